"""The use case: walk Locations outward from a point until a page is full.

The index gives them by distance; whether one fits is decided on the truth of now, which no column
holds. How far one request walks is limited; the next page goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.finding.forecast import WEEK, read_running
from chargehub.finding.guns import Gun, Summary, Wanted, guns_by_location, summarise
from chargehub.finding.queries import (
    read_aborted,
    read_nearest,
)
from chargehub.finding.rules import (
    PowerClasses,
    TypicalCar,
    chord_of,
    metres_of,
    predicted_wait,
    unit_vector,
)
from chargehub.kit.datum import Point
from chargehub.stations.opening import Opening, opening_at, read_hours
from chargehub.stations.opening_hours import read_utc

LOOKED_AT_ONCE = 100
"""With a filter: Locations read at once while looking for those that fit."""
LOOKED_AT_MOST = 2_000
"""Locations that one request looks at; then its page is short and the next goes on."""

Place = tuple[float, str]
"""How far the walk has come: chord and Location id."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a driver looks for, around a point of WGS-84."""

    here: Point
    radius_m: float | None
    wanted: Wanted
    open_now: bool
    limit: int

    @property
    def filters(self) -> bool:
        return self.open_now or self.wanted != Wanted()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the hub beside its rows."""

    now: datetime
    online_ids: Collection[int]
    classes: PowerClasses
    car: TypicalCar


@dataclass(frozen=True, slots=True)
class Found:
    """A Location that fits; `row` is that of `read_nearest`."""

    row: Row[Any]
    opening: Opening
    guns: Sequence[Gun]

    @property
    def place(self) -> Place:
        return self.row.chord, self.row.id

    @property
    def distance_m(self) -> int:
        return round(metres_of(self.row.chord))


@dataclass(frozen=True, slots=True)
class Told:
    """What a page tells of a Location found."""

    found: Found
    summary: Summary
    opening_changes_at: datetime | None
    no_aborted_session: bool | None
    wait_minutes: int | None


async def search(
    connection: AsyncConnection, wanted: Search, around: Surroundings, after: Place | None
) -> tuple[list[Told], Place | None]:
    """Return a page of Locations by distance, and where the next page begins."""
    found, following = await _walk(connection, wanted, around, after)
    return await _tell(connection, found, around), following


async def _walk(
    connection: AsyncConnection, wanted: Search, around: Surroundings, after: Place | None
) -> tuple[list[Found], Place | None]:
    vector = unit_vector(*wanted.here)
    reach = None if wanted.radius_m is None else chord_of(wanted.radius_m)
    at_once = max(wanted.limit + 1, LOOKED_AT_ONCE if wanted.filters else 0)
    found: list[Found] = []
    looked_at = 0
    while looked_at < LOOKED_AT_MOST:
        rows = await read_nearest(
            connection, vector, now=around.now, reach=reach, after=after, limit=at_once
        )
        found += await _fitting(connection, rows, wanted, around)
        if len(found) > wanted.limit:
            page = found[: wanted.limit]
            return page, page[-1].place
        if len(rows) < at_once:
            return found, None
        looked_at += len(rows)
        after = rows[-1].chord, rows[-1].id
    return found, after


async def _fitting(
    connection: AsyncConnection, rows: Sequence[Row[Any]], wanted: Search, around: Surroundings
) -> list[Found]:
    openings = {
        row.id: opening_at(row.wall, read_hours(row.regular_hours, row.exceptions)) for row in rows
    }
    asked = [row for row in rows if openings[row.id].open_now or not wanted.open_now]
    guns = await guns_by_location(
        connection, [row.id for row in asked], around.now, around.classes, around.online_ids
    )
    return [
        Found(row, openings[row.id], guns[row.id])
        for row in asked
        if any(wanted.wanted.met_by(gun) for gun in guns.get(row.id, ()))
    ]


async def _tell(
    connection: AsyncConnection, found: Sequence[Found], around: Surroundings
) -> list[Told]:
    since = around.now - WEEK
    stations = {gun.row.station_id for one in found for gun in one.guns}
    aborted = await read_aborted(connection, stations, since)
    waits = await _waits(connection, found, around)
    changes = await read_utc(
        connection,
        [
            (one.row.id, one.opening.changes_at, one.row.time_zone)
            for one in found
            if one.opening.changes_at is not None
        ],
    )
    told = []
    for one in found:
        summary = summarise(one.guns)
        charged = summary.last_charged_at is not None and summary.last_charged_at >= since
        told.append(
            Told(
                one,
                summary,
                changes.get(one.row.id),
                one.row.id not in aborted if charged else None,
                waits.get(one.row.id),
            )
        )
    return told


async def _waits(
    connection: AsyncConnection, found: Sequence[Found], around: Surroundings
) -> dict[str, int | None]:
    """Return minutes until a gun is free, of the Locations where none is."""
    full = {one.row.id: one.guns for one in found if not any(gun.free for gun in one.guns)}
    charging = {
        location: [gun.row for gun in guns if gun.row.transaction_id is not None and gun.of_use]
        for location, guns in full.items()
    }
    rows = [row for guns in charging.values() for row in guns]
    running, usual = await read_running(connection, rows, around.now)
    return {
        location: predicted_wait(
            (running[row.transaction_id] for row in guns), around.car, usual.get(location)
        )
        for location, guns in charging.items()
    }
