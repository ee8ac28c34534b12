"""Random days at a full Location, held against rules told a second time.

No gun is free while somebody waits who could use it; who joined first is called first; nobody is
lost, called twice or called for longer than five minutes. A restart may come at any moment.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, select, update

from chargehub.kit.db import Database
from chargehub.reservations.queue.store import queue_entries
from chargehub.reservations.rules import ReservationRefused
from chargehub.reservations.store import OPEN, reservations
from tests.integration.reservations.hub import set_online, set_status
from tests.integration.reservations.queueing import Key, QueueWorld

GUNS, DRIVERS, STATIONS = 10, 8, 5
CALL, CHARGE = timedelta(minutes=5), timedelta(minutes=30)
WANTS = (60_000, 120_000)

LIKELY = {
    "join": 9,
    "depart": 7,
    "arrive": 4,
    "go": 4,
    "leave": 1,
    "skip": 2,
    "walk_in": 2,
    "fault": 1,
    "repair": 2,
    "lose": 1,
    "find": 2,
    "book": 1,
    "restart": 1,
}
ACTS = 40


def acts_of(seed: int) -> list[tuple[Any, ...]]:
    """Return what happens on a day."""
    draw = random.Random(seed)
    made: list[tuple[Any, ...]] = []
    for name in draw.choices(list(LIKELY), list(LIKELY.values()), k=ACTS):
        who, gun, station = draw.randrange(DRIVERS), draw.randrange(GUNS), draw.randrange(STATIONS)
        how: dict[str, tuple[int, ...]] = {
            "join": (who, draw.choice(WANTS)),
            "go": (draw.randint(1, 6),),
            "book": (who, gun, draw.randint(25, 60)),
            **dict.fromkeys(("arrive", "leave", "skip"), (who,)),
            **dict.fromkeys(("depart", "walk_in", "fault", "repair"), (gun,)),
            **dict.fromkeys(("lose", "find"), (station,)),
            "restart": (),
        }
        made.append((name, *how[name]))
    return made


class Day:
    """One day, and what an onlooker with a notebook knows of it."""

    def __init__(self, world: QueueWorld, drivers: Sequence[UUID]) -> None:
        self.world, self.drivers = world, drivers
        self.faulted: set[Key] = set()
        self.lost: set[int] = set()
        self.order: list[UUID] = []
        """Who is in the queue, called or not, as the rules would have them stand."""
        self.wants: dict[UUID, int] = {}
        self.missed: dict[UUID, int] = {}
        self.skipped: set[UUID] = set()
        self.calls: dict[UUID, Row[Any]] = {}

    @property
    def now(self) -> datetime:
        return self.world.wall.at

    def power(self, key: Key) -> int:
        return 60_000 if key[0] == self.world.stations[0] else 120_000

    def works(self, key: Key) -> bool:
        return not (key in self.faulted or key[0] in self.lost or key in self.world.occupied.guns)

    async def rows(self) -> list[Row[Any]]:
        async with self.world.database.read() as connection:
            query = select(reservations).where(reservations.c.status.in_(OPEN))
            return list(await connection.execute(query.order_by(reservations.c.id)))

    # What happens.

    async def join(self, one: int, wanted: int) -> None:
        driver = self.drivers[one]
        try:
            await self.world.join(driver, wanted)
        except ReservationRefused as refused:
            rule = refused.facts["rule"]
            assert rule in {"one_queue", "gun_free", "gun_held"}
            assert rule != "one_queue" or driver in self.order
            return
        assert driver not in self.order
        self.order.append(driver)
        self.wants[driver], self.missed[driver] = wanted, 0
        self.skipped.discard(driver)

    async def leave(self, one: int) -> None:
        driver = self.drivers[one]
        if driver in self.order:
            await self.world.leave(driver)
            self.order.remove(driver)

    async def skip(self, one: int) -> None:
        driver = self.drivers[one]
        if driver not in self.order:
            return
        call = self.calls.get(driver)
        power = 10**9 if call is None else self.power((call.station_id, call.evse_no))
        behind = self.order[self.order.index(driver) + 1 :]
        free = [other for other in behind if other not in self.calls and self.wants[other] <= power]
        try:
            await self.world.skip(driver)
        except ReservationRefused:
            assert driver in self.skipped or not free
            return
        assert driver not in self.skipped
        mine, theirs = self.order.index(driver), self.order.index(free[0])
        self.order[mine], self.order[theirs] = free[0], driver
        self.skipped.add(driver)
        self.calls.pop(driver, None)

    async def arrive(self, one: int) -> None:
        driver = self.drivers[one]
        call = self.calls.get(driver)
        if call is not None and self.works((call.station_id, call.evse_no)):
            await self.world.arrive(driver)
            self.order.remove(driver)

    async def depart(self, number: int) -> None:
        self.world.occupied.guns.discard(self.world.guns[number])

    async def walk_in(self, number: int) -> None:
        key = self.world.guns[number]
        held = {(row.station_id, row.evse_no) for row in await self.rows()}
        if self.works(key) and key not in held:
            self.world.occupied.guns.add(key)

    async def fault(self, number: int) -> None:
        self.faulted.add(self.world.guns[number])
        await set_status(self.world.database, self.world.guns[number], "Faulted")

    async def repair(self, number: int) -> None:
        self.faulted.discard(self.world.guns[number])
        await set_status(self.world.database, self.world.guns[number], "Available")

    async def lose(self, number: int) -> None:
        self.lost.add(self.world.stations[number])
        await set_online(self.world.database, self.world.stations[number], online=False)

    async def find(self, number: int) -> None:
        self.lost.discard(self.world.stations[number])
        await set_online(self.world.database, self.world.stations[number], online=True)

    async def book(self, one: int, number: int, minutes: int) -> None:
        starts_at = self.now + timedelta(minutes=minutes)
        code = f"CS{number // 2}-{number % 2 + 1}"
        with suppress(ReservationRefused):
            await self.world.book(self.drivers[one], gun_code=code, starts_at=starts_at)

    async def promise_nothing(self) -> None:
        over = {"status": "cancelled", "ended_at": self.now}
        booked = reservations.c.queue_entry_id.is_(None) & reservations.c.status.in_(OPEN)
        async with self.world.database.write() as connection:
            await connection.execute(update(reservations).where(booked).values(over))

    async def restart(self) -> None:
        self.world.build()

    async def go(self, minutes: int) -> None:
        for _ in range(minutes - 1):
            await self.act("pass_a_minute")
        await self.pass_a_minute()

    async def pass_a_minute(self) -> None:
        self.world.wall.go(minutes=1)
        await self.world.settle()

    async def act(self, name: str, *how: int) -> None:
        await getattr(self, name)(*how)
        await self.world.look()
        await self.check()

    # What must be true then.

    async def check(self) -> None:
        rows, line = await self.rows(), await self.world.line()
        calls = {row.driver_id: row for row in rows if row.queue_entry_id is not None}
        assert len(calls) == sum(row.queue_entry_id is not None for row in rows)
        before = list(self.order)
        await self.follow_calls_that_ended(calls, [row.driver_id for row in line])
        # Nobody is lost, nobody stands there twice, and all stand as the rules have them.
        assert [row.driver_id for row in line] == self.order
        waiting = [row.driver_id for row in line if row.status == "waiting"]
        assert set(waiting) == set(self.order) - set(calls)
        self.check_calls(calls, waiting, before)
        self.check_no_gun_idles(rows, waiting)
        self.calls = calls

    async def follow_calls_that_ended(
        self, calls: dict[UUID, Row[Any]], line: Sequence[UUID]
    ) -> None:
        async with self.world.database.read() as connection:
            query = select(queue_entries).order_by(queue_entries.c.id)
            entries = {row.driver_id: row for row in await connection.execute(query)}
        late = []
        for driver, call in self.calls.items():
            again = calls.get(driver)
            if driver not in self.order or (again is not None and again.id == call.id):
                continue
            if entries[driver].missed == self.missed[driver]:
                # Taken back: only where the gun could not be had.
                assert not self.works((call.station_id, call.evse_no))
                continue
            assert self.now >= call.created_at + CALL
            self.missed[driver] += 1
            assert entries[driver].missed == self.missed[driver]
            self.order.remove(driver)
            if self.missed[driver] == 2:
                assert entries[driver].end_reason == "not_come"
            else:
                late.append(driver)
        # Those whose calls ended at one moment may stand in any order.
        self.order += sorted(late, key=line.index)

    def check_calls(
        self, calls: dict[UUID, Row[Any]], waiting: Sequence[UUID], before: Sequence[UUID]
    ) -> None:
        held: set[Key] = set()
        for driver, call in calls.items():
            key = call.station_id, call.evse_no
            assert key not in held
            held.add(key)
            assert self.power(key) >= self.wants[driver]
            assert call.hold_until == call.created_at + CALL
            assert call.hold_until > self.now
            if driver in self.calls and self.calls[driver].id == call.id:
                continue
            assert self.works(key)
            ahead = before[: before.index(driver)]
            passed_over = [other for other in ahead if other in waiting and other in self.order]
            moved_back = [
                other for other in passed_over if before.index(other) != self.place(other)
            ]
            for other in set(passed_over) - set(moved_back):
                assert self.wants[other] > self.power(key)

    def place(self, driver: UUID) -> int:
        return self.order.index(driver)

    def check_no_gun_idles(self, rows: Sequence[Row[Any]], waiting: Sequence[UUID]) -> None:
        promised = {
            (row.station_id, row.evse_no)
            for row in rows
            if row.starts_at < self.now + CALL + CHARGE or row.held_from < self.now + CALL
        }
        free = [key for key in self.world.guns if self.works(key) and key not in promised]
        without = [
            row
            for row in rows
            if row.held_from <= self.now < row.hold_until
            and not self.works((row.station_id, row.evse_no))
        ]
        for driver in waiting:
            fitting = [key for key in free if self.power(key) >= self.wants[driver]]
            assert len(fitting) <= len(without)


async def live(database: Database, acts: Sequence[tuple[Any, ...]]) -> None:
    world = QueueWorld(database)
    await world.open()
    await world.fill()
    day = Day(world, await world.drivers(DRIVERS))
    for name, *how in acts:
        await day.act(name, *how)
    # Nobody comes any more: all are called, and out in the end.
    for number in range(GUNS):
        await day.repair(number)
        await day.depart(number)
    for number in range(STATIONS):
        await day.find(number)
    await day.promise_nothing()
    await day.act("go", 13)
    assert day.order == []


@pytest.mark.parametrize("seed", [1, 2, pytest.param(None, marks=pytest.mark.slow)])
async def test_whatever_a_day_at_a_full_hub_brings(database: Database, seed: int | None) -> None:
    for number in range(100, 120) if seed is None else [seed]:
        async with database.write() as connection:
            await connection.exec_driver_sql(
                "TRUNCATE locations, drivers, reservations, due_actions CASCADE"
            )
        await live(database, acts_of(number))
