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

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import drivers, id_tokens
from chargehub.kit import jobs
from chargehub.kit.errors import NotFound
from chargehub.kit.sealing import Seal

APP_PREFIX = "app-"
# With its prefix 20 characters: as long as an idTag of 1.6 may be.
RANDOM_BYTES = 8
PHONE, NAME, WECHAT = "drivers.phone", "drivers.name", "drivers.wechat"
"""What is sealed of a driver, with `/<id>` behind it; fingerprints have no id."""
SIGNED_UP = "driver.signed_up"
"""Outbox topic: the driver of this id has an account with a phone from now on."""


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
    if phone is not None:
        await jobs.post(connection, SIGNED_UP, str(driver_id), at)
    token = f"{APP_PREFIX.upper()}{secrets.token_hex(RANDOM_BYTES).upper()}"
    await connection.execute(
        insert(id_tokens).values(
            token=token.lower(),
            display=token,
            kind="Central",
            group_token=group,
            expires_at=guest_until,
            driver_id=driver_id,
            driver_since=at,
        )
    )
    return driver_id


def lock_number(fingerprint: bytes) -> int:
    """Return the number of the advisory lock of what has no row to lock yet."""
    return int.from_bytes(fingerprint[:8], "big", signed=True)


async def find_account(
    connection: AsyncConnection, driver_id: UUID, *, lock: bool = False
) -> Row[Any]:
    """Return an open account's row; NotFound when there is none.

    Who locks it comes before or after the account's end, and keeps nobody from telling the driver.
    """
    query = select(drivers).where(drivers.c.id == driver_id, drivers.c.closed_at.is_(None))
    if lock:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such driver.")
    return row


async def find_app_token(connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
    """Return the idToken with which this driver starts by app."""
    query = select(id_tokens).where(
        id_tokens.c.driver_id == driver_id,
        id_tokens.c.kind == "Central",
        id_tokens.c.token.startswith(APP_PREFIX),
    )
    row = (await connection.execute(query.order_by(id_tokens.c.token).limit(1))).one_or_none()
    if row is None:
        raise NotFound("The driver has no app token.")
    return row


async def find_by_phone(
    connection: AsyncConnection, seal: Seal, phone: str, *, lock: bool = False
) -> Row[Any] | None:
    """Return the open account of a normalised phone."""
    query = select(drivers).where(
        drivers.c.phone_fingerprint == seal.fingerprint(phone, PHONE), drivers.c.closed_at.is_(None)
    )
    if lock:
        query = query.with_for_update()
    return (await connection.execute(query)).one_or_none()


async def find_by_wechat(connection: AsyncConnection, seal: Seal, open_id: str) -> Row[Any] | None:
    """Return the open account bound to it. Those who ask for one that is not yet take turns."""
    key = seal.fingerprint(open_id, WECHAT)
    await connection.execute(select(func.pg_advisory_xact_lock(lock_number(key))))
    query = select(drivers).where(
        drivers.c.wechat_fingerprint == key,
        drivers.c.closed_at.is_(None),
    )
    return (await connection.execute(query.with_for_update())).one_or_none()


async def set_phone(connection: AsyncConnection, seal: Seal, driver_id: UUID, phone: str) -> bool:
    """Give an account this phone; False where another open account has it."""
    values = {
        "phone_sealed": seal.close(phone, f"{PHONE}/{driver_id}"),
        "phone_fingerprint": seal.fingerprint(phone, PHONE),
    }
    try:
        async with connection.begin_nested():
            await connection.execute(
                update(drivers).where(drivers.c.id == driver_id).values(values)
            )
    except IntegrityError:
        return False
    return True


async def make_account_of_guest(
    connection: AsyncConnection, seal: Seal, driver_id: UUID, phone: str
) -> None:
    """Give a guest a phone: from now on it is an account, and its app token has no end."""
    await connection.execute(
        update(drivers)
        .where(drivers.c.id == driver_id)
        .values(
            phone_sealed=seal.close(phone, f"{PHONE}/{driver_id}"),
            phone_fingerprint=seal.fingerprint(phone, PHONE),
            guest_until=None,
        )
    )
    await connection.execute(
        update(id_tokens).where(id_tokens.c.driver_id == driver_id).values(expires_at=None)
    )


async def close_guest_into(
    connection: AsyncConnection, at: datetime, guest_id: UUID, driver: Row[Any]
) -> None:
    """Let the account of a driver who began as a guest take the guest's idTokens over.

    What runs on such a token can be ended by the account: it is of its group now.
    """
    await connection.execute(
        update(id_tokens)
        .where(id_tokens.c.driver_id == guest_id)
        .values(driver_id=driver.id, group_token=driver.group_token, expires_at=None)
    )
    await connection.execute(update(drivers).where(drivers.c.id == guest_id).values(closed_at=at))
