"""A gun at which a start was accepted, and nothing has begun yet, is given to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import Row, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.reservations.choice import Wish
from chargehub.reservations.guard import EvseHeld
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.stations.dispatch import CommandDesk, WithEnd
from chargehub.stations.starts import LONGEST, UNANSWERED, read_starts
from chargehub.stations.store import station_commands
from chargehub.transactions.book import Book
from chargehub.transactions.remote import RemoteControl
from tests.fakes.station_link import FakeStationLink
from tests.integration.reservations.hub import NOON, Desk
from tests.integration.reservations.queueing import QueueWorld
from tests.integration.reservations.test_life import World, place

Key = tuple[int, int]
LATER = timedelta(hours=2)


@pytest_asyncio.fixture
async def world(database: Database) -> World:
    made = World(database, Terms(held_share_percent=100))
    await made.open()
    return made


async def ask_to_start(desk: Desk, key: tuple[int, int | None], token: str, **other: Any) -> UUID:
    """Write down a start that the station has accepted, unless told otherwise."""
    values = {
        "id": uuid4(),
        "station_id": key[0],
        "evse_no": key[1],
        "id_token": token,
        "action": "RequestStartTransaction",
        "payload": {},
        "requested_by": "test",
        "requested_at": desk.wall.at,
        "outcome": "answered",
        "status": "Accepted",
        **other,
    }
    async with desk.database.write() as connection:
        await connection.execute(station_commands.insert().values(values))
    return UUID(str(values["id"]))


async def change(desk: Desk, command: UUID, **values: Any) -> None:
    async with desk.database.write() as connection:
        mine = station_commands.c.id == command
        await connection.execute(update(station_commands).where(mine).values(values))


def app_token(driver: UUID) -> str:
    return f"app-{driver.hex[:12]}"


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({}, True),
        ({"id_token": "STRANGER"}, True),
        ({"outcome": "pending", "status": None}, True),
        ({"outcome": "unknown", "status": None}, True),
        ({"outcome": "timeout", "status": "station-timeout"}, True),
        ({"status": "Rejected"}, False),
        ({"status": "NotStarted"}, False),
        ({"outcome": "unknown", "status": "NotStarted"}, False),
        ({"outcome": "offline", "status": "station-offline"}, False),
        ({"outcome": "failed", "status": None}, False),
        ({"transaction_id": 7}, False),
        ({"action": "UnlockConnector"}, False),
        ({"requested_at": NOON - LONGEST - timedelta(seconds=1)}, False),
        ({"requested_at": NOON - LONGEST}, True),
        (
            {"outcome": "timeout", "requested_at": NOON - UNANSWERED - timedelta(seconds=1)},
            False,
        ),
    ],
)
async def test_what_counts_as_about_to_begin(
    world: World, told: dict[str, Any], counts: bool
) -> None:
    key = (world.stations[1], 1)
    await ask_to_start(world, key, told.pop("id_token", "stranger"), **told)
    async with world.database.read() as connection:
        starts = await read_starts(connection, world.stations, NOON)
    assert starts.at(*key) == ("stranger" if counts else None)
    assert starts.at(key[0], 2) is None


async def test_a_gun_about_to_begin_is_reserved_for_nobody_else(world: World) -> None:
    command = await ask_to_start(world, (world.stations[1], 1), "stranger")
    assert await world.refused(gun_code="CS1-1") == {"rule": "gun_free", "passes_at": None}
    pool = await world.book(power_w=120_000)
    assert place(pool) == (world.stations[1], 2)
    await world.book(gun_code="CS1-1", starts_at=NOON + LATER)
    await change(world, command, status="NotStarted")
    await world.book(gun_code="CS1-1")


async def test_a_start_that_names_no_gun_may_take_any_of_its_station(world: World) -> None:
    await ask_to_start(world, (world.stations[1], None), "stranger")
    pool = await world.book(power_w=120_000)
    assert place(pool) == (world.stations[2], 1)


async def test_a_gun_that_somebody_is_plugging_into_is_not_the_called_ones(world: World) -> None:
    """As the hold begins: the booking moves, as it does for a charge that runs."""
    held = await world.book(gun_code="CS1-1", starts_at=NOON + LATER)
    await world.go(minutes=99)
    await ask_to_start(world, place(held), "stranger")
    await world.go(minutes=1)
    moved = await world.row(held)
    assert (moved.status, place(moved)) == ("active", (world.stations[1], 2))
    assert world.told == ["reservation_moved"]


@pytest.mark.parametrize("by", ["app", "card of the group"])
async def test_who_starts_at_their_own_gun_keeps_it(world: World, by: str) -> None:
    (driver,) = await world.drivers(1)
    held = await world.book(driver, gun_code="CS1-1")
    await world.settle()
    token = app_token(driver)
    if by != "app":
        token = "card"
        async with world.database.write() as connection:
            await connection.execute(
                text(
                    "INSERT INTO id_tokens (token, display, kind, group_token)"
                    " VALUES ('card', 'CARD', 'ISO14443', :group)"
                ),
                {"group": held.group_token},
            )
    await ask_to_start(world, place(held), token)
    await world.go(minutes=2)
    assert (await world.row(held)).moves == 0
    assert world.told == ["reservation_called"]


async def test_nobody_is_called_to_a_gun_that_is_about_to_begin(database: Database) -> None:
    world = QueueWorld(database)
    await world.open()
    await world.fill()
    first = await world.join()
    starting, free = world.guns[4], world.guns[5]
    command = await ask_to_start(world, starting, "stranger")
    await world.free(starting)
    assert await world.called() == []
    (waits,) = await world.places()
    assert waits.wait_minutes == 30  # Until another is free.
    await world.free(free)
    assert await world.called() == [(first, free)]
    second = await world.join()
    await change(world, command, status="NotStarted")
    await world.look()
    assert await world.called() == [(first, free), (second, starting)]


class Starter:
    """Starts from afar as the hub does it, at stations that accept."""

    def __init__(self, desk: Desk) -> None:
        link, clock = FakeStationLink(), desk.wall.hub_clock()
        link.online = set(desk.stations)
        self.desk, self.link = CommandDesk(desk.database, link, clock), link
        self.remote = RemoteControl(desk.database, clock, self.desk, Book(), call_timeout_s=30)

    async def start(self, key: Key, driver: UUID, then: Callable[[], Awaitable[None]]) -> str:
        """Ask for a start; `then` is run in the transaction that writes it down."""

        async def record(_connection: AsyncConnection, _command: UUID, _number: int) -> WithEnd:
            await then()
            return with_end

        async def with_end(_end: object, _connection: AsyncConnection) -> None: ...

        try:
            await self.remote.request_start(*key, app_token(driver), "test", record=record)
        except EvseHeld:
            return "held"
        return "started"


async def at_the_lock(database: Database, other: asyncio.Task[Any]) -> None:
    """Return as the other waits for the lock that we have, or is done, which is a mistake."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while not other.done():
        async with database.read() as connection:
            if await connection.scalar(waiting):
                return
        await asyncio.sleep(0.01)


async def nothing() -> None: ...


async def test_a_start_while_the_gun_is_booked_finds_it_held(world: World) -> None:
    one, other = await world.drivers(2)
    starter, key = Starter(world), (world.stations[1], 1)
    async with world.database.write() as connection:
        await world.bookings.book(connection, Wish(one, gun_code="CS1-1"))
        start = asyncio.create_task(starter.start(key, other, nothing))
        await at_the_lock(world.database, start)
    assert await start == "held"
    assert starter.link.sent == []
    async with world.database.read() as connection:
        assert (await connection.execute(station_commands.select())).all() == []
    await starter.desk.stop()


@pytest.mark.parametrize("by", ["booking", "pool booking", "move", "call"])
async def test_a_gun_that_is_started_while_it_is_given_away_is_not_given(
    database: Database, by: str
) -> None:
    world = QueueWorld(database)
    await world.open()
    (starting,) = await world.drivers(1)
    key = world.guns[2]
    giving: list[asyncio.Task[Any]] = []

    async def book(**wish: Any) -> Row[Any] | str:
        try:
            return await world.book(**wish)
        except ReservationRefused as refused:
            return str(refused.facts["rule"])

    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "booking": lambda: book(gun_code="CS1-1"),
        "pool booking": lambda: book(power_w=120_000),
        "move": world.settle,
        "call": world.look,
    }
    held = waiting = None
    if by == "move":
        held = await world.book(gun_code="CS2-1")
        world.occupied.guns.add(place(held))
    if by == "call":
        await world.fill()
        waiting = await world.join()
        world.occupied.guns -= {key, world.guns[3]}

    async def give() -> None:
        giving.append(asyncio.ensure_future(ways[by]()))
        await at_the_lock(world.database, giving[0])
        assert not giving[0].done()

    starter = Starter(world)
    assert await starter.start(key, starting, give) == "started"
    given = await giving[0]
    if by == "booking":
        assert given == "gun_free"
    elif by == "pool booking":
        assert place(given) == world.guns[3]
    elif by == "move":
        assert held is not None
        assert place(await world.row(held)) == world.guns[3]
    else:
        assert await world.called() == [(waiting, world.guns[3])]
    await starter.desk.stop()
