"""A driver's account: opened with an app token, as a guest too.

Times are hub time. Personal data go to the table sealed; nothing here logs them.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import drivers, id_tokens
from chargehub.kit.errors import NotFound
from chargehub.kit.sealing import Seal

# With its prefix 20 characters: as long as an idTag of 1.6 may be.
RANDOM_BYTES = 8
PHONE, NAME, WECHAT = "drivers.phone", "drivers.name", "drivers.wechat"
"""What is sealed of a driver, with `/<id>` behind it; fingerprints have no id."""


async def open_account(
    connection: AsyncConnection,
    at: datetime,
    seal: Seal,
    *,
    phone: str | None = None,
    name: str = "",
    language: str = "zh",
    kinds: Iterable[str] = (),
    guest_until: datetime | None = None,
) -> UUID | None:
    """Insert a driver with an app token; None when the phone (normalised) has an open account.

    A guest has no phone and a time until which its app token is good.
    """
    driver_id = uuid.uuid4()
    group = f"DRV-{secrets.token_hex(RANDOM_BYTES).upper()}"
    inserted = await connection.execute(
        insert_or_skip(drivers)
        .values(
            id=driver_id,
            phone_sealed=phone and seal.close(phone, f"{PHONE}/{driver_id}"),
            phone_fingerprint=phone and seal.fingerprint(phone, PHONE),
            name_sealed=seal.close(name, f"{NAME}/{driver_id}") if name else None,
            language=language,
            kinds=list(kinds),
            group_token=group,
            created_at=at,
            guest_until=guest_until,
        )
        .on_conflict_do_nothing()
        .returning(drivers.c.id)
    )
    if inserted.one_or_none() is None:
        return None
    token = f"APP-{secrets.token_hex(RANDOM_BYTES).upper()}"
    await connection.execute(
        insert(id_tokens).values(
            token=token.lower(),
            display=token,
            kind="Central",
            group_token=group,
            expires_at=guest_until,
            driver_id=driver_id,
        )
    )
    return driver_id


async def find_account(
    connection: AsyncConnection, driver_id: UUID, *, lock: bool = False
) -> Row[Any]:
    """Return an open account's row; NotFound when there is none."""
    query = select(drivers).where(drivers.c.id == driver_id, drivers.c.closed_at.is_(None))
    if lock:
        query = query.with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such driver.")
    return row


async def find_app_token(connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
    """Return the idToken with which this driver starts by app."""
    query = select(id_tokens).where(
        id_tokens.c.driver_id == driver_id,
        id_tokens.c.kind == "Central",
        id_tokens.c.token.startswith("app-"),
    )
    row = (await connection.execute(query.order_by(id_tokens.c.token).limit(1))).one_or_none()
    if row is None:
        raise NotFound("The driver has no app token.")
    return row
