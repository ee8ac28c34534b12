"""Opening times as they stand in the database: wall times of a Location from UTC, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import NotFound
from chargehub.stations.opening import next_open, read_hours

WALL_EXCEPTIONS = """(
    SELECT jsonb_agg(jsonb_build_object(
        'closed', one -> 'closed',
        'begin', CAST(one ->> 'begin' AS timestamptz) AT TIME ZONE time_zone,
        'end', CAST(one ->> 'end' AS timestamptz) AT TIME ZONE time_zone))
    FROM jsonb_array_elements(opening_exceptions) AS one
    WHERE CAST(one ->> 'end' AS timestamptz) > :now
)"""
"""Of a row of `locations`: the exceptions that are not over at `:now`, for `read_hours`."""
_HOURS = text(
    f"""
    SELECT regular_hours, {WALL_EXCEPTIONS} AS exceptions, time_zone,
           CAST(:now AS timestamptz) AT TIME ZONE time_zone AS wall
    FROM locations WHERE id = :id
    """  # noqa: S608  Put together from our own constants.
)
_UTC = text(
    """
    SELECT place, wall AT TIME ZONE zone AS at
    FROM unnest(CAST(:places AS text[]), CAST(:walls AS timestamp[]), CAST(:zones AS text[]))
         AS u(place, wall, zone)
    """
)


async def open_from(
    connection: AsyncConnection, location_id: str, at: datetime, length: timedelta
) -> datetime | None:
    """Return the first moment from `at` on from which a Location is open for so long; None: never.

    Raises NotFound.
    """
    row = (await connection.execute(_HOURS, {"id": location_id, "now": at})).one_or_none()
    if row is None:
        raise NotFound("There is no such location.")
    wall = next_open(row.wall, length, read_hours(row.regular_hours, row.exceptions))
    if wall is None or wall == row.wall:
        # As it came: a wall time may stand for two moments, in the night in which clocks go back.
        return None if wall is None else at
    return (await read_utc(connection, [(location_id, wall, row.time_zone)]))[location_id]


async def read_utc(
    connection: AsyncConnection, walls: Sequence[tuple[str, datetime, str]]
) -> dict[str, datetime]:
    """Return when clocks show these wall times: (Location id, wall time, time zone)."""
    if not walls:
        return {}
    places, times, zones = zip(*walls, strict=True)
    values = {"places": list(places), "walls": list(times), "zones": list(zones)}
    return {row.place: row.at for row in await connection.execute(_UTC, values)}
