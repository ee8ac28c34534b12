"""Drivers with credentials, a hub of another day, and all that the database holds as text."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg import sql
from sqlalchemy import select

from chargehub.drivers.credentials.parts import CredentialParts
from chargehub.drivers.credentials.queries import verified_kinds
from chargehub.drivers.credentials.rules import local_day
from chargehub.drivers.store import inbox_messages
from chargehub.kit.clock import ClockPair, HubClock, wall_now
from tests.integration.api.conftest import CREDENTIAL_SETTINGS, HUB_ZONE, RunningApi
from tests.pictures import jpeg, png

COUNT = itertools.count(1)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
MARK = b"what nobody may read in a dump of the database"
JPEG, PNG = jpeg(MARK), png(MARK)
KIND = "taxi_qualification"


def new_number() -> str:
    """Return an ID number that no test has used."""
    body = f"3308021990{next(COUNT):07d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def day(days: int = 0) -> str:
    """Return the hub's day so many days from now."""
    return (local_day(wall_now(), HUB_ZONE) + timedelta(days=days)).isoformat()


def body_of(number: str, **more: Any) -> dict[str, Any]:
    return {"kind": KIND, "number": number, "valid_to": day(400), **more}


async def enter(
    client: httpx.AsyncClient, number: str | None = None, **more: Any
) -> dict[str, Any]:
    """Enter a credential and return it."""
    response = await client.post("/credentials", json=body_of(number or new_number(), **more))
    assert response.status_code == 201, response.text
    entered: dict[str, Any] = response.json()
    return entered


async def approve(api: RunningApi, credential_id: str, **read: Any) -> dict[str, Any]:
    response = await api.operator.post(f"/credential-reviews/{credential_id}/approve", json=read)
    assert response.status_code == 200, response.text
    approved: dict[str, Any] = response.json()
    return approved


async def put_image(client: httpx.AsyncClient, credential_id: str, image: bytes = JPEG) -> None:
    response = await client.put(f"/credentials/{credential_id}/image", content=image)
    assert response.status_code == 200, response.text
    assert response.json()["has_image"]


def hub_in(api: RunningApi, days: float) -> CredentialParts:
    """Return the parts as they are when the hub's clock shows so many days later."""
    clock = HubClock(ClockPair(0, days * 86_400, 1))
    return CredentialParts.build(api.database, clock, api.seal, **CREDENTIAL_SETTINGS)


async def pass_day(api: RunningApi, days: float) -> None:
    """Let the daily action of that day run."""
    parts = hub_in(api, days)
    await parts.daily.work(parts.credentials.clock.now())


async def inbox_of(api: RunningApi, driver_id: UUID, kind: str) -> list[dict[str, Any]]:
    """Return the facts of the driver's messages of a kind, the oldest first."""
    query = select(inbox_messages.c.facts).where(
        inbox_messages.c.driver_id == driver_id, inbox_messages.c.kind == kind
    )
    async with api.database.read() as connection:
        return list(await connection.scalars(query.order_by(inbox_messages.c.id)))


async def kinds_of(api: RunningApi, driver_id: UUID, on: str | None = None) -> set[str]:
    """Return the kinds that count for the driver on a day, today if none is given."""
    async with api.database.read() as connection:
        found = await verified_kinds(connection, driver_id, date.fromisoformat(on or day()))
    return {kind.value for kind in found}


def dump(url: str) -> str:
    """Return every row of every table as text; binary columns are hex there."""
    told = []
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            rows = connection.execute(query).fetchall()
            told += [f"{table}: {row[0]}" for row in rows]
    return "\n".join(told)


def is_in(text: str, secret: bytes | str) -> bool:
    """Tell whether a secret stands in a dump: as it is, or as hex."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return raw.hex() in text or raw.decode("utf-8", "replace") in text
