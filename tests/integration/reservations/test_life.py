"""The life of a reservation by the hub's clock, with stations that answer as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.inbox_texts import check as check_message
from chargehub.kit.db import Database
from chargehub.kit.jobs import due_actions
from chargehub.kit.worker import Worker
from chargehub.reservations.life import CHECK_EVERY, MOVES_MAX, LifeCycle
from chargehub.reservations.of_drivers import ReservationsOfDriver
from chargehub.reservations.rules import Terms
from chargehub.reservations.station import HeldGun
from chargehub.reservations.store import reservations
from chargehub.stations.admission import close_left_open_connections
from tests.integration.reservations.hub import (
    NOON,
    Desk,
    set_online,
    set_station_status,
    set_status,
    stored,
)


@dataclass
class Stations:
    """Answers what a gun was told to answer, else Accepted, and keeps what it holds."""

    answers: dict[tuple[int, int], str | None] = field(default_factory=dict)
    held: dict[int, dict[int, HeldGun]] = field(default_factory=dict)
    """By station and reservation."""
    deaf: set[int] = field(default_factory=set)

    async def ask_station(self, held: HeldGun) -> str | None:
        answer = self.answers.get((held.station_id, held.evse_no), "Accepted")
        if answer == "Accepted":
            self.held.setdefault(held.station_id, {})[held.reservation_id] = held
        return answer

    async def release(self, reservation_id: int, station_id: int) -> bool:
        if station_id in self.deaf:
            return False
        self.held.get(station_id, {}).pop(reservation_id, None)
        return True

    def holds(self, number: int) -> list[tuple[int, int]]:
        return [
            (station_id, held[number].evse_no)
            for station_id, held in self.held.items()
            if number in held
        ]


class World(Desk):
    """A Location with a worker that acts on what is due whenever a test lets time pass."""

    def __init__(self, database: Database, terms: Terms) -> None:
        super().__init__(database, terms)
        self.at_stations = Stations()
        self.inbox: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.build()

    def build(self) -> None:
        """Begin with nothing in memory."""
        clock = self.wall.hub_clock()
        self.life = LifeCycle(self.database, clock, self.occupied, self.at_stations, self._notify)
        self.worker = Worker(self.database, clock, self.life.due(), {}, self.life.slow())

    async def restart(self) -> None:
        """Forget all that is in memory, and start as the hub does: nobody is connected yet."""
        self.build()
        async with self.database.write() as connection:
            await close_left_open_connections(connection, self.wall.at)
        await self.settle()

    async def line_up(self) -> None:
        """Let all stations connect again."""
        for station_id in self.stations:
            await set_online(self.database, station_id, online=True)

    async def see(self, key: tuple[int, int], status: str) -> None:
        """Let a gun say so now."""
        await set_status(self.database, key, status, self.wall.at)

    async def _notify(
        self,
        _connection: AsyncConnection,
        _driver: UUID,
        kind: str,
        facts: Mapping[str, Any],
        _at: datetime,
        *,
        key: str | None = None,
    ) -> bool:
        check_message(kind, facts)  # What nobody could word would end no step.
        if key in self.keys:
            return False
        self.keys.add(key)
        self.inbox.append((kind, dict(facts)))
        return True

    @property
    def told(self) -> list[str]:
        return [kind for kind, _ in self.inbox]

    async def settle(self) -> None:
        # What is scheduled anew by what runs is due a moment later; the minutes stay whole.
        for _ in range(MOVES_MAX + 1):
            while await self.worker.run_once():
                pass
            self.wall.go(milliseconds=1)
        self.wall.go(milliseconds=-MOVES_MAX - 1)

    async def go(self, **much: float) -> None:
        """Let time pass minute by minute, as the worker sees it."""
        for _ in range(int(timedelta(**much) / timedelta(minutes=1))):
            self.wall.go(minutes=1)
            await self.settle()

    async def due(self) -> list[str]:
        async with self.database.read() as connection:
            return list(await connection.scalars(select(due_actions.c.kind)))

    async def row(self, row: Row[Any]) -> Row[Any]:
        return await stored(self.database, row.id)


def place(row: Row[Any]) -> tuple[int, int]:
    return row.station_id, row.evse_no


@pytest_asyncio.fixture
async def world(database: Database) -> World:
    made = World(database, Terms(held_share_percent=100))
    await made.open()
    return made


async def test_a_booking_for_now_is_held_at_once_and_a_no_show_at_its_end(world: World) -> None:
    made = await world.book()
    await world.settle()
    row = await world.row(made)
    assert (row.status, row.station_answer, row.called_at) == ("active", "Accepted", NOON)
    assert world.at_stations.holds(row.id) == [place(row)]
    await world.go(minutes=9)
    assert world.told == ["reservation_called"]
    assert world.inbox[0][1]["gun_code"] == "CS0-1"
    await world.go(minutes=5)
    assert world.told == ["reservation_called", "reservation_about_to_expire"]
    await world.go(minutes=2)
    row = await world.row(made)
    assert (row.status, row.ended_at) == ("no_show", NOON + timedelta(minutes=15))
    assert world.at_stations.holds(row.id) == []
    assert await world.due() == []


async def test_a_later_window_is_told_its_station_from_the_lead_on(world: World) -> None:
    made = await world.book(starts_at=NOON + timedelta(hours=2))
    await world.go(minutes=99)
    row = await world.row(made)
    assert (row.status, row.called_at) == ("requested", None)
    assert world.at_stations.holds(row.id) == []
    await world.go(minutes=1)
    row = await world.row(made)
    assert (row.status, row.called_at) == ("active", NOON + timedelta(minutes=100))


async def test_a_transaction_that_still_runs_moves_the_booking(world: World) -> None:
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    world.occupied.guns.add(place(made))
    await world.go(minutes=100)
    row = await world.row(made)
    assert place(row) != place(made)
    assert row.status == "active"
    assert world.inbox[0][0] == "reservation_moved"
    assert world.inbox[0][1]["gun_code"] == "CS1-2"
    assert world.at_stations.holds(row.id) == [place(row)]


async def test_where_nothing_is_free_nobody_is_called_until_the_car_leaves(world: World) -> None:
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    world.occupied.guns |= {(station, evse) for station in world.stations for evse in (1, 2)}
    await world.go(minutes=110)
    row = await world.row(made)
    assert (place(row), row.called_at) == (place(made), None)
    assert world.told == ["reservation_waiting"]
    world.occupied.guns.discard(place(made))
    await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.called_at) == (place(made), NOON + timedelta(minutes=111))
    # Told each time it changes, and once only.
    world.occupied.guns.add(place(made))
    await world.go(minutes=3)
    assert (await world.row(made)).called_at is None
    world.occupied.guns.discard(place(made))
    await world.go(minutes=3)
    assert world.told == ["reservation_waiting", "reservation_called"] * 2


@pytest.mark.parametrize("status", ["Finishing", "Occupied", "Preparing"])
async def test_a_car_that_stays_after_its_charge_moves_the_booking(
    world: World, status: str
) -> None:
    """Its charge is over, its driver is away: the gun is in use all the same."""
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    await world.see(place(made), status)
    await world.go(minutes=100)
    row = await world.row(made)
    assert place(row) == (made.station_id, 2)
    assert world.told == ["reservation_moved"]


@pytest.mark.parametrize("answer", ["Occupied", "Faulted", "Unavailable", "Rejected"])
async def test_a_station_that_says_no_moves_the_booking(world: World, answer: str) -> None:
    world.at_stations.answers[world.stations[0], 1] = answer
    made = await world.book()
    assert place(made) == (world.stations[0], 1)
    await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.status) == ((world.stations[0], 2), "active")
    assert (row.station_answer, row.moves) == ("Accepted", 1)
    assert world.told == ["reservation_called", "reservation_moved"]


async def test_where_all_say_no_we_guard_a_gun_alone(world: World) -> None:
    for station_id in world.stations:
        for evse_no in (1, 2):
            world.at_stations.answers[station_id, evse_no] = "Rejected"
    made = await world.book()
    await world.go(minutes=MOVES_MAX)
    row = await world.row(made)
    assert (row.status, row.station_answer, row.moves) == ("active", "Rejected", MOVES_MAX)


async def test_a_station_without_reservations_is_guarded_by_us(world: World) -> None:
    world.at_stations.answers[world.stations[0], 1] = "Unsupported"
    made = await world.book()
    await world.settle()
    row = await world.row(made)
    assert (place(row), row.status) == ((world.stations[0], 1), "active")
    assert row.station_answer == "Unsupported"


async def test_a_station_that_is_away_is_asked_again_and_the_clock_goes_on(world: World) -> None:
    made = await world.book(gun_code="CS1-1")
    world.at_stations.answers[place(made)] = None
    await world.settle()
    assert (await world.row(made)).status == "pending"
    del world.at_stations.answers[place(made)]
    await world.go(minutes=1)
    assert (await world.row(made)).status == "active"
    world.at_stations.deaf.add(made.station_id)
    await world.go(minutes=15)
    row = await world.row(made)
    assert row.status == "no_show"
    assert await world.due() == []


@pytest.mark.parametrize("why", ["faulted", "its station is faulted", "offline"])
async def test_a_gun_that_breaks_while_it_is_held_is_changed_for_another(
    world: World, why: str
) -> None:
    made = await world.book(gun_code="CS1-1")
    await world.settle()
    if why == "faulted":
        await world.see(place(made), "Faulted")
    elif why != "offline":
        await set_station_status(world.database, made.station_id, "Faulted")
    else:
        await world.go(minutes=2)
        await set_online(world.database, made.station_id, online=False, at=world.wall.at)
        # It may be back before its driver is there.
        await world.go(minutes=1)
        assert place(await world.row(made)) == place(made)
    await world.go(minutes=1)
    row = await world.row(made)
    assert place(row) != place(made)
    assert why == "faulted" or row.station_id != made.station_id
    assert world.at_stations.holds(row.id) == [place(row)]
    assert world.told == ["reservation_called", "reservation_moved"]
    reason = "station_offline" if why == "offline" else "faulted"
    assert world.inbox[-1][1]["reason"] == reason


async def test_a_short_drop_of_the_line_takes_no_gun_away(world: World) -> None:
    made = await world.book(gun_code="CS1-1")
    await world.settle()
    for _ in range(4):
        await set_online(world.database, made.station_id, online=False, at=world.wall.at)
        await world.go(minutes=1)
        await world.line_up()
        await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.called_at) == (place(made), NOON)
    assert world.told == ["reservation_called"]


async def test_a_gun_without_a_line_for_a_moment_has_nobody_called_to_it(world: World) -> None:
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    await world.go(minutes=99)
    await set_online(world.database, made.station_id, online=False, at=world.wall.at)
    await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.status, row.called_at) == (place(made), "active", None)
    await world.line_up()
    await world.go(minutes=1)
    assert (await world.row(made)).called_at == NOON + timedelta(minutes=101)


async def test_after_a_restart_the_stations_have_time_to_come_back(world: World) -> None:
    """Also who was offline as the hub went down: nobody could come back meanwhile."""
    made = await world.book(gun_code="CS1-1")
    await world.settle()
    await set_online(world.database, made.station_id, online=False, at=world.wall.at)
    world.wall.go(minutes=6)
    await world.restart()
    await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.called_at) == (place(made), NOON)
    await world.line_up()
    await world.go(minutes=1)
    assert world.told == ["reservation_called"]


async def test_a_cancelled_booking_is_forgotten_by_its_station(world: World) -> None:
    made = await world.book()
    await world.settle()
    world.at_stations.deaf.add(made.station_id)
    async with world.database.write() as connection:
        await world.bookings.cancel(connection, made.id, made.driver_id)
    await world.go(minutes=2)
    assert world.at_stations.holds(made.id) == [place(made)]
    world.at_stations.deaf.clear()
    await world.go(minutes=1)
    assert world.at_stations.holds(made.id) == []


async def test_an_extension_is_told_to_the_station(world: World) -> None:
    made = await world.book()
    await world.settle()
    async with world.database.write() as connection:
        await world.bookings.extend(connection, made.id, made.driver_id)
    await world.settle()
    (held,) = world.at_stations.held[made.station_id].values()
    assert held.hold_until == NOON + timedelta(minutes=30)
    await world.go(minutes=16)
    assert (await world.row(made)).status == "active"
    await world.go(minutes=14)
    assert world.told == ["reservation_called", "reservation_about_to_expire"]
    assert (await world.row(made)).status == "no_show"


async def test_it_lives_on_over_restarts_and_everything_may_be_done_twice(world: World) -> None:
    made = await world.book(starts_at=NOON + timedelta(hours=2))
    world.occupied.guns.add(place(made))
    for minute in range(136):
        await world.restart()
        await world.line_up()
        if minute % 5 == 0:
            await world.life.step(str(made.id))
            await world.life.ask(str(made.id))
            await world.life.release(f"{made.id}:{made.station_id}")
        await world.go(minutes=1)
    row = await world.row(made)
    assert row.status == "no_show"
    assert world.told == ["reservation_moved", "reservation_about_to_expire"]
    assert world.at_stations.holds(made.id) == []


async def test_what_ran_out_while_the_hub_was_down_is_nobodys_no_show(world: World) -> None:
    made = await world.book(starts_at=NOON + timedelta(hours=2))
    world.wall.go(hours=5)
    await world.settle()
    row = await world.row(made)
    assert (row.status, row.end_reason) == ("expired", "hub_was_down")
    assert world.told == ["reservation_failed"]


@pytest.mark.parametrize(
    ("late", "status", "reason"),
    [(CHECK_EVERY, "no_show", "not_come"), (2 * CHECK_EVERY, "expired", "hub_was_down")],
)
async def test_a_hub_that_goes_down_in_mid_hold_makes_no_no_show(
    world: World, late: timedelta, status: str, reason: str
) -> None:
    made = await world.book()
    await world.go(minutes=10)
    world.wall.at = made.hold_until + late
    await world.restart()
    row = await world.row(made)
    assert (row.status, row.end_reason) == (status, reason)


async def test_what_is_used_while_its_station_is_asked_stays_used(world: World) -> None:
    made = await world.book()
    asking = world.at_stations.ask_station

    async def used_meanwhile(held: HeldGun) -> str | None:
        async with world.database.write() as connection:
            over = {"status": "used", "ended_at": world.wall.at}
            await connection.execute(update(reservations).values(over))
        return await asking(held)

    world.at_stations.ask_station = used_meanwhile  # type: ignore[method-assign]  # Once.
    await world.settle()
    assert (await world.row(made)).status == "used"
    await world.go(minutes=20)
    assert (await world.row(made)).status == "used"
    assert world.at_stations.holds(made.id) == []


async def test_an_account_that_is_closed_lets_its_gun_go_and_its_export_tells_of_it(
    world: World,
) -> None:
    made, other = await world.book(), await world.book()
    await world.settle()
    part = ReservationsOfDriver()
    async with world.database.write() as connection:
        await part.erase(connection, made.driver_id, world.wall.at)
        (told,) = await part.export(connection, made.driver_id)
    await world.settle()
    assert (told["id"], told["status"]) == (made.id, "cancelled")
    assert told["end_reason"] == "account_closed"
    assert world.at_stations.holds(made.id) == []
    assert (await world.row(other)).status == "active"


@pytest.mark.parametrize(
    ("before_end_s", "stays", "status", "reason"),
    [
        (100, False, "expired", "gun_was_taken"),
        (100, True, "expired", "gun_was_taken"),
        (130, False, "no_show", "not_come"),
    ],
)
async def test_who_may_have_stood_before_the_car_of_another_in_the_end_is_no_no_show(
    world: World, before_end_s: int, stays: bool, status: str, reason: str
) -> None:
    made = await world.book()
    await world.settle()
    world.wall.at = made.hold_until - timedelta(seconds=before_end_s + 5)
    await world.see(place(made), "Occupied")
    if not stays:
        world.wall.go(seconds=5)
        await world.see(place(made), "Available")
    world.wall.at = made.hold_until
    await world.settle()
    row = await world.row(made)
    assert (row.status, row.end_reason) == (status, reason)
    assert ("reservation_failed" in world.told) == (status == "expired")
