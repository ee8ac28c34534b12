"""What a place in the queue is worth: its position, and how long the wait may take. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.reservations.choice import Choice
from chargehub.reservations.guns import Gun, Occupancy
from chargehub.reservations.queries import find_described
from chargehub.reservations.queue.line import newest_calls, read_line, waiting_of
from chargehub.reservations.queue.rules import (
    GunKey,
    Outcome,
    Supply,
    expected_waits,
    outcome_of,
)
from chargehub.reservations.queue.supply import callable_guns
from chargehub.reservations.rules import Window
from chargehub.reservations.store import OPEN
from chargehub.reservations.terms import terms_at

MINUTES_TO_LEAVE = 5.0
"""A car that is plugged in and does not charge comes or goes."""


class Forecast(Protocol):
    """Reckons when guns in use are free; implemented above, where transactions are known."""

    async def free_in(
        self, connection: AsyncConnection, location_id: str, now: datetime
    ) -> tuple[Mapping[GunKey, float | None], float | None]:
        """Return minutes by gun with a transaction, and how long a charge usually takes there."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """An entry as it is to be shown."""

    entry: Row[Any]
    status: str
    position: int | None
    """1 is the next; None: not waiting."""
    waiting: int
    wait_minutes: int | None
    call: Row[Any] | None
    """The reservation by which they are called now, with its gun."""


@dataclass(frozen=True, slots=True)
class Outlook:
    occupancy: Occupancy
    forecast: Forecast

    async def of_location(
        self, connection: AsyncConnection, location_id: str, now: datetime
    ) -> list[Place]:
        """Return the Location's queue: who is called or waits, in their order."""
        line = await read_line(connection, location_id)
        waiting = waiting_of(line)
        waits = await self._waits(connection, location_id, waiting, now)
        calls = await newest_calls(connection, [row.id for row in line if row.status == "called"])
        places = []
        for row in line:
            position = wait = call = None
            status = row.status
            if status == "waiting":
                position = waiting.index(row) + 1
                wait = waits[position - 1]
            elif calls[row.id].status in OPEN:
                call = await find_described(connection, calls[row.id].id)
            else:
                # It is over, and will be acted on in a moment.
                ended = calls[row.id]
                used = outcome_of(ended.status, ended.end_reason) is Outcome.SERVED
                status = "served" if used else "waiting"
            places.append(Place(row, status, position, len(waiting), wait, call))
        return places

    async def of_entry(self, connection: AsyncConnection, entry: Row[Any], now: datetime) -> Place:
        places = await self.of_location(connection, entry.location_id, now)
        found = next((place for place in places if place.entry.id == entry.id), None)
        return found or Place(entry, entry.status, None, 0, None, None)

    async def _waits(
        self, connection: AsyncConnection, location_id: str, waiting: list[Row[Any]], now: datetime
    ) -> list[int | None]:
        if not waiting:
            return []
        terms = await terms_at(connection, location_id, now)
        window = Window(now, now, now + terms.queue_call)
        choice = await Choice.read(connection, location_id, self.occupancy, window, now)
        free_in, usual = await self.forecast.free_in(connection, location_id, now)
        callable_now = {gun.key for gun in callable_guns(choice, terms, now)[0]}

        def minutes(gun: Gun) -> float | None:
            if gun.key in free_in:
                return free_in[gun.key]
            if gun.charging or gun.starting is not None:
                return usual
            if gun.blocked:
                return None  # Who parks without charging may stay for days.
            if gun.key in callable_now:
                return 0.0
            # Held or promised to somebody who is still to come; else a car is in the way.
            return usual if gun.free_now else MINUTES_TO_LEAVE

        supplies = [
            Supply(gun.power_w, minutes(gun))
            for gun in choice.guns
            if gun.online and not gun.broken
        ]
        return expected_waits([row.wanted_power_w for row in waiting], supplies, usual)
