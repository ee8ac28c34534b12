"""Random days at a Location, held against a model: no overlap, and every rule kept both ways.

What is refused is refused for a rule that is broken, and what is let through breaks none.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select

from chargehub.kit.db import Database
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.reservations.store import OPEN, reservations
from tests.integration.reservations.hub import set_online
from tests.integration.reservations.test_life import World

# Two no-shows, two guns held and a short silence, so that a short day sees them reached.
TERMS = Terms(
    held_share_percent=20,
    hold_lead_min=20,
    verified_head_start_min=0,
    no_show_limit=2,
    longest_silence_min=10,
)
GUNS, MOST, DRIVERS = 10, 2, 5
BOOK = st.tuples(
    st.just("book"), st.integers(0, DRIVERS - 1), st.integers(0, GUNS), st.integers(0, 90)
)

ACTS = st.one_of(
    BOOK,
    BOOK,
    BOOK,
    st.tuples(st.just("cancel"), st.integers(0, DRIVERS - 1)),
    st.tuples(st.just("extend"), st.integers(0, DRIVERS - 1)),
    st.tuples(st.just("go"), st.integers(1, 25)),
    st.tuples(st.just("break"), st.integers(0, GUNS - 1)),
    st.tuples(st.just("park"), st.integers(0, GUNS - 1)),
    st.tuples(st.just("mend"), st.integers(0, GUNS - 1)),
    st.tuples(st.just("drop"), st.integers(0, GUNS // 2 - 1)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("occupy"), st.integers(0, GUNS - 1)),
    st.tuples(st.just("leave"), st.integers(0, GUNS - 1)),
)


class Day:
    """One random day, and what must be true after every act of it."""

    def __init__(self, world: World, drivers: Sequence[UUID]) -> None:
        self.world = world
        self.drivers = drivers
        self.keys = [(station, evse) for station in world.stations for evse in (1, 2)]
        self.unfit: set[tuple[int, int]] = set()
        """Broken, or a car stands there that does not charge."""
        self.down: dict[int, datetime] = {}
        """Stations without a line, and since when."""

    async def act(self, name: str, *how: int) -> None:
        before = await self.rows()
        await getattr(self, name)(before, *how)
        self.check(await self.rows())

    async def rows(self) -> list[Row[Any]]:
        async with self.world.database.read() as connection:
            query = select(reservations).order_by(reservations.c.id)
            return list(await connection.execute(query))

    def open(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        return [row for row in rows if row.status in OPEN and row.hold_until > self.now]

    @property
    def now(self) -> datetime:
        return self.world.wall.at

    async def book(self, before: list[Row[Any]], driver: int, gun: int, minutes: int) -> None:
        starts_at = self.now + timedelta(minutes=minutes) if minutes > 10 else None
        code = None if gun == GUNS else f"CS{gun // 2}-{gun % 2 + 1}"
        wish: dict[str, Any] = {"starts_at": starts_at}
        wish |= {"gun_code": code} if code else {"location_id": "L1"}
        try:
            made = await self.world.book(self.drivers[driver], **wish)
        except ReservationRefused as refused:
            self.deserved(refused.facts["rule"], before, driver, gun, starts_at)
            self.named(refused.facts, before, gun, starts_at)
        else:
            self.deserved_none(made, before, driver)

    def deserved(
        self,
        rule: str,
        before: list[Row[Any]],
        driver: int,
        gun: int,
        starts_at: datetime | None,
    ) -> None:
        """Check that the rule which refused is really broken."""
        arrival = starts_at or self.now
        begin = max(self.now, arrival - TERMS.hold_lead)
        end = arrival + TERMS.hold
        held = self.open(before)
        meets = [row for row in held if row.held_from < end and begin < row.hold_until]
        if rule == "max_active":
            assert any(row.driver_id == self.drivers[driver] for row in held)
        elif rule == "held_share":
            assert self.most_at_once(meets, begin) >= MOST
        elif rule == "no_show_limit":
            assert self.no_shows(before, driver) >= TERMS.no_show_limit
        elif rule == "offline":
            assert set(self.wanted(gun)) <= self.silent()
        else:
            assert rule == "gun_free"
            wanted = self.wanted(gun)
            taken = {(row.station_id, row.evse_no) for row in meets}
            unfit = self.not_free() if begin <= self.now else self.silent()
            assert set(wanted) <= taken | unfit

    def wanted(self, gun: int) -> list[tuple[int, int]]:
        return self.keys if gun == GUNS else [self.keys[gun]]

    def silent(self) -> set[tuple[int, int]]:
        since = self.now - TERMS.longest_silence
        long_down = {number for number, at in self.down.items() if at < since}
        return {key for key in self.keys if key[0] in long_down}

    def not_free(self) -> set[tuple[int, int]]:
        down = {key for key in self.keys if key[0] in self.down}
        return self.unfit | self.world.occupied.guns | down

    def named(
        self, facts: dict[str, Any], before: list[Row[Any]], gun: int, starts_at: datetime | None
    ) -> None:
        """Check that what a refusal says would pass is free, as far as is known by now."""
        if facts["rule"] not in {"held_share", "gun_free"}:
            return
        wanted = set(self.wanted(gun)) - self.silent()
        if starts_at is None:
            assert "next_window" not in facts
            told, lead = facts["passes_at"], timedelta()
            wanted -= self.not_free()
        else:
            assert facts["passes_at"] is None
            told, lead = facts.get("next_window"), TERMS.hold_lead
        if told is None:
            return
        arrival = datetime.fromisoformat(told)
        assert arrival > (starts_at or self.now)
        begin, end = arrival - lead, arrival + TERMS.hold
        meets = [row for row in self.open(before) if row.held_from < end and begin < row.hold_until]
        assert wanted - {(row.station_id, row.evse_no) for row in meets}
        assert self.most_at_once(meets, begin) < MOST

    def deserved_none(self, made: Row[Any], before: list[Row[Any]], driver: int) -> None:
        assert all(row.driver_id != self.drivers[driver] for row in self.open(before))
        assert self.no_shows(before, driver) < TERMS.no_show_limit
        assert made.binds_any
        assert made.hold_until - made.starts_at == timedelta(minutes=15)
        assert made.held_from == max(self.now, made.starts_at - timedelta(minutes=20))
        assert (made.station_id, made.evse_no) not in self.silent()
        if made.held_from <= self.now:
            assert (made.station_id, made.evse_no) not in self.not_free()

    def no_shows(self, rows: Sequence[Row[Any]], driver: int) -> int:
        own = [row for row in rows if row.driver_id == self.drivers[driver]]
        return sum(row.status == "no_show" for row in own)

    async def cancel(self, before: list[Row[Any]], driver: int) -> None:
        for row in self.open(before):
            if row.driver_id == self.drivers[driver]:
                async with self.world.database.write() as connection:
                    ended = await self.world.bookings.cancel(connection, row.id, row.driver_id)
                free = self.now - row.created_at <= timedelta(minutes=3)
                assert ended.end_reason == ("cancelled" if free else "cancelled_late")

    async def extend(self, before: list[Row[Any]], driver: int) -> None:
        for row in self.open(before):
            if row.driver_id == self.drivers[driver]:
                try:
                    async with self.world.database.write() as connection:
                        changed = await self.world.bookings.extend(
                            connection, row.id, row.driver_id
                        )
                    assert not row.extended
                    assert changed.hold_until - row.hold_until == timedelta(minutes=15)
                except ReservationRefused as refused:
                    rule = refused.facts["rule"]
                    assert rule in {"extensions", "extension_free", "held_share"}
                    assert rule != "extensions" or row.extended

    async def go(self, _before: list[Row[Any]], minutes: int) -> None:
        self.world.wall.go(minutes=minutes)
        await self.world.settle()

    async def break_(self, _before: list[Row[Any]], gun: int) -> None:
        self.unfit.add(self.keys[gun])
        await self.world.see(self.keys[gun], "Faulted")

    async def park(self, _before: list[Row[Any]], gun: int) -> None:
        self.unfit.add(self.keys[gun])
        await self.world.see(self.keys[gun], "Finishing")

    async def mend(self, _before: list[Row[Any]], gun: int) -> None:
        self.unfit.discard(self.keys[gun])
        await self.world.see(self.keys[gun], "Available")

    async def drop(self, _before: list[Row[Any]], station: int) -> None:
        number = self.world.stations[station]
        self.down[number] = self.now
        await set_online(self.world.database, number, online=False, at=self.now)

    async def restart(self, _before: list[Row[Any]]) -> None:
        """Everybody comes back."""
        await self.world.restart()
        await self.world.line_up()
        self.down.clear()

    async def occupy(self, _before: list[Row[Any]], gun: int) -> None:
        self.world.occupied.guns.add(self.keys[gun])

    async def leave(self, _before: list[Row[Any]], gun: int) -> None:
        self.world.occupied.guns.discard(self.keys[gun])

    @staticmethod
    def most_at_once(rows: Sequence[Row[Any]], since: datetime) -> int:
        moments = {since, *(row.held_from for row in rows)}
        counts = (
            sum(row.held_from <= moment < row.hold_until for row in rows)
            for moment in moments
            if moment >= since
        )
        return max(counts, default=0)

    def check(self, rows: list[Row[Any]]) -> None:
        held = self.open(rows)
        for one, other in itertools.combinations(held, 2):
            same = (one.station_id, one.evse_no) == (other.station_id, other.evse_no)
            assert (
                not same or one.hold_until <= other.held_from or other.hold_until <= one.held_from
            )
            assert one.driver_id != other.driver_id
        assert self.most_at_once(held, self.now) <= MOST
        for row in rows:
            assert (row.ended_at is None) == (row.status in OPEN)
            assert row.status != "no_show" or row.called_at is not None
            if row.status == "requested":
                assert row.called_at is None


async def live(url: str, acts: Sequence[tuple[Any, ...]]) -> None:
    database = Database(url)
    try:
        world = World(database, replace(TERMS))
        await world.open()
        day = Day(world, await world.drivers(DRIVERS))
        for name, *how in acts:
            await day.act("break_" if name == "break" else name, *how)
        await day.act("go", 300)
        assert not [row for row in await day.rows() if row.status in OPEN]
        assert await world.due() == []
    finally:
        await database.close()


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(acts=st.lists(ACTS, min_size=15, max_size=40))
def test_whatever_a_day_brings(database_url: str, acts: list[tuple[Any, ...]]) -> None:
    with asyncio.Runner() as runner:
        runner.run(clear(database_url))
        runner.run(live(database_url, acts))


async def clear(url: str) -> None:
    database = Database(url)
    try:
        async with database.write() as connection:
            await connection.exec_driver_sql(
                "TRUNCATE locations, drivers, reservations, due_actions CASCADE"
            )
    finally:
        await database.close()
