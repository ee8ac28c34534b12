"""Which of a Location's guns a reservation may have: read under its lock, judged, and taken.

That no gun is promised twice is the table's exclusion constraint; who finds it taken tries the
next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import ExclusionViolation
from sqlalchemy import Row, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.reservations.guns import Gun, Occupancy, is_left, read_guns, read_held
from chargehub.reservations.rules import (
    History,
    ReservationRefused,
    Terms,
    Times,
    Window,
    check_lead,
    check_share,
    times_of_gun,
)
from chargehub.reservations.store import reservations

R = reservations.c


@dataclass(frozen=True, slots=True)
class Wish:
    driver_id: UUID
    gun_code: str | None = None
    """The given gun; None: any of the Location."""
    location_id: str | None = None
    power_w: int = 0
    """At least, of any gun."""
    starts_at: datetime | None = None
    """None: now."""


@dataclass(slots=True)
class Choice:
    """A Location's guns and what of them is promised, read under its lock."""

    guns: list[Gun]
    held: Sequence[Row[Any]]
    window: Window
    now: datetime
    queued_from_w: int | None = None
    silent_since: datetime | None = None

    @classmethod
    async def read(
        cls,
        connection: AsyncConnection,
        location_id: str,
        occupancy: Occupancy,
        window: Window,
        now: datetime,
        *,
        besides: int = 0,
    ) -> Choice:
        guns = await read_guns(connection, location_id, occupancy, now)
        held = await read_held(connection, location_id, now, besides=besides)
        return cls(guns, held, window, now)

    def held_times(self) -> list[tuple[datetime, datetime]]:
        """Return what counts against the share: guns held for who is called do not."""
        return [(row.held_from, row.hold_until) for row in self.held if row.queue_entry_id is None]

    def leave_to_queue(self, least_wanted_w: int | None) -> None:
        """Keep off the guns for which somebody waits in the queue: that power and more."""
        self.queued_from_w = least_wanted_w

    def leave_out_silent(self, since: datetime) -> None:
        """Promise no gun whose station has not been heard of since then."""
        self.silent_since = since

    def is_silent(self, gun: Gun) -> bool:
        return self.silent_since is not None and gun.is_silent(self.silent_since)

    def waited_for(self, gun: Gun) -> bool:
        return self.queued_from_w is not None and gun.power_w >= self.queued_from_w

    def fitting(self, power_w: int) -> list[Gun]:
        """Return what may be promised of that power, the best first.

        A gun that is to be held at once must be known to be free. The weakest that will do is
        taken, so that the strong ones are there for who needs them; of equal ones that which shows
        that it is held, since strangers try what looks free.
        """
        able = [
            gun
            for gun in self.guns
            if gun.power_w >= power_w and not (self.waited_for(gun) or self.is_silent(gun))
        ]
        if self.window.held_from <= self.now:
            able = [gun for gun in able if gun.free_now]
        taken = self.taken(self.window)
        free = [gun for gun in able if gun.key not in taken]

        def rank(gun: Gun) -> tuple[object, ...]:
            return gun.broken, not gun.online, gun.power_w, not gun.looks_reserved, gun.key

        return sorted(free, key=rank)

    async def may_take(self, connection: AsyncConnection, gun: Gun) -> bool:
        """Tell whether the gun can be held, where that is to be at once, and keep starts off it."""
        if self.window.held_from > self.now:
            return True
        return await is_left(connection, gun.key, self.now)

    def able(self, wish: Wish) -> list[Gun]:
        """Return the guns in service that would do, free or not."""
        if wish.gun_code is None:
            return [gun for gun in self.guns if gun.power_w >= wish.power_w]
        code = wish.gun_code.lower()
        return [gun for gun in self.guns if gun.gun_code.lower() == code]

    def times(self, wish: Wish, terms: Terms, history: History) -> Times:
        """Return when this would not be refused for want of a gun, as far as promises tell."""
        able = [gun for gun in self.able(wish) if not self.is_silent(gun)]
        if wish.starts_at is None:
            # Of a gun that is in use nobody knows when it is free.
            able = [gun for gun in able if gun.free_now]

        def passes(window: Window) -> bool:
            try:
                check_lead(terms, history, window, self.now)
                check_share(terms, len(self.guns), self.held_times(), window)
            except ReservationRefused:
                return False
            taken = self.taken(window)
            return any(gun.key not in taken for gun in able)

        ends = [row.hold_until for row in self.held]
        return times_of_gun(terms, wish.starts_at, self.now, ends, passes)

    def taken(self, window: Window) -> set[tuple[int, int]]:
        """Return the guns that are promised for some of that time."""
        return {(row.station_id, row.evse_no) for row in self._overlapping(window)}

    def _overlapping(self, window: Window) -> list[Row[Any]]:
        begin, end = window.held_from, window.hold_until
        return [row for row in self.held if row.held_from < end and begin < row.hold_until]

    async def make_room(self, connection: AsyncConnection, key: tuple[int, int]) -> None:
        """Move provisional bookings of others off this gun, where others fit them."""
        for row in self._overlapping(self.window):
            movable = row.any_evse and row.called_at is None and row.status == "requested"
            if (row.station_id, row.evse_no) == key and movable:
                await self._move_away(connection, row)

    async def _move_away(self, connection: AsyncConnection, row: Row[Any]) -> None:
        window = Window(row.held_from, row.held_from, row.hold_until)
        others = [one for one in self.held if one.id != row.id]
        elsewhere = Choice(self.guns, others, window, self.now, silent_since=self.silent_since)
        for gun in elsewhere.fitting(row.wanted_power_w):
            if gun.key != (row.station_id, row.evse_no):
                values = {"station_id": gun.station_id, "evse_no": gun.evse_no}
                moved = await change(connection, row.id, values)
                if moved is not None:
                    self.held = [*others, moved]
                    return


async def change(
    connection: AsyncConnection, number: int, values: dict[str, Any]
) -> Row[Any] | None:
    """Change a reservation; None where the gun is somebody else's then, and nothing changed."""
    statement = update(reservations).where(R.id == number).values(values).returning(reservations)
    return await unless_taken(connection, statement)


async def unless_taken(connection: AsyncConnection, statement: Any) -> Row[Any] | None:
    """Return the row that a statement writes; None where the database refuses an overlap."""
    try:
        async with connection.begin_nested():
            row: Row[Any] = (await connection.execute(statement)).one()
            return row
    except IntegrityError as error:
        if isinstance(error.orig, ExclusionViolation):
            return None
        raise
