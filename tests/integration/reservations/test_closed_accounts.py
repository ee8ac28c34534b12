"""Reservations of accounts that are closed: while they book, and after they did not come."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_end import AccountEnd
from chargehub.drivers.inbox import notify
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.store import drivers
from chargehub.drivers.vehicles import Garage
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.sealing import Seal
from chargehub.reservations.booking import finish, lock_reservation
from chargehub.reservations.history import forget_no_shows
from chargehub.reservations.of_drivers import ReservationsOfDriver
from chargehub.reservations.rules import Terms
from chargehub.reservations.store import no_shows_of_closed
from tests.integration.reservations.hub import (
    NOON,
    Desk,
    stored,
)


def account_end(desk: Desk, database: Database) -> AccountEnd:
    seal = Seal(b"a key")
    return AccountEnd(
        database,
        desk.wall.hub_clock(),
        seal,
        logins=DriverLogins(database),
        garage=Garage(seal),
        parts=(ReservationsOfDriver(),),
    )


@pytest.mark.parametrize("known_by", ["phone_fingerprint", "wechat_fingerprint"])
async def test_closing_the_account_does_not_wash_off_a_suspension(
    desk: Desk, known_by: str
) -> None:
    desk.wall.go(minutes=1)
    await desk.set_terms(Terms(no_show_limit=2, held_share_percent=100))
    sealed = {"phone_sealed": b"sealed"} if known_by == "phone_fingerprint" else {}

    async def is_known(account: UUID, fingerprint: bytes) -> None:
        async with desk.database.write() as connection:
            known = update(drivers).where(drivers.c.id == account)
            await connection.execute(known.values({known_by: fingerprint, **sealed}))

    stranger, *accounts = await desk.drivers(4)
    await is_known(stranger, b"somebody else")
    for missed, account in enumerate(accounts):
        await is_known(account, b"this person")
        if missed == 2:
            break
        row = await desk.book(account)
        desk.wall.go(hours=1)
        async with desk.database.write() as connection:
            await finish(connection, row, "no_show", "not_there", desk.wall.at)
        await account_end(desk, desk.database).close(account)
    facts = await desk.refused(account)
    assert facts == {"rule": "no_show_limit", "passes_at": "2026-11-30T14:01:00Z"}
    await desk.book(stranger)
    desk.wall.go(days=7)
    await desk.book(account)


async def test_no_shows_of_closed_accounts_are_forgotten_when_no_rule_counts_them(
    desk: Desk,
) -> None:
    async def kept() -> int:
        async with desk.database.read() as connection:
            return await connection.scalar(select(func.count(no_shows_of_closed.c.at))) or 0

    async with desk.database.write() as connection:
        await connection.execute(no_shows_of_closed.insert().values(fingerprint=b"p", at=NOON))
    await forget_no_shows(desk.database, NOON + timedelta(days=37))
    assert await kept() == 1
    desk.wall.go(minutes=1)
    await desk.set_terms(Terms(no_show_days=90, suspension_days=10))
    await forget_no_shows(desk.database, NOON + timedelta(days=100))
    assert await kept() == 1
    await forget_no_shows(desk.database, NOON + timedelta(days=100, seconds=1))
    assert await kept() == 0


async def until_it_waits(database: Database, task: asyncio.Task[None]) -> None:
    """Let it go on until it is done, or waits for a lock."""
    waits = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    while not task.done():
        async with database.read() as connection:
            if await connection.scalar(waits):
                return


async def test_an_account_that_is_closed_while_it_books_has_no_gun_held(
    desk: Desk, connections: Database
) -> None:
    account = account_end(desk, connections)
    closing: list[asyncio.Task[None]] = []

    async def look_up(_connection: AsyncConnection, driver_id: UUID, _at: datetime) -> bool:
        closing.append(asyncio.create_task(account.close(driver_id)))
        await until_it_waits(connections, closing[0])
        return False

    desk.bookings.is_verified = look_up
    row = await desk.book()
    await closing[0]
    ended = await stored(desk.database, row.id)
    assert (ended.status, ended.end_reason) == ("cancelled", "account_closed")
    with pytest.raises(NotFound):
        await desk.book(row.driver_id)


async def test_an_account_is_closed_while_its_driver_is_told_something(
    desk: Desk, connections: Database
) -> None:
    row = await desk.book()
    async with desk.database.write() as connection:
        await lock_reservation(connection, row.id)
        closing = asyncio.create_task(account_end(desk, connections).close(row.driver_id))
        await until_it_waits(connections, closing)
        facts = {"reservation_id": row.id}
        await notify(connection, row.driver_id, "reservation_waiting", facts, NOON)
    await closing
    assert (await stored(desk.database, row.id)).status == "cancelled"
