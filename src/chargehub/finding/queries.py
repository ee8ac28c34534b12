"""What finding reads: the nearest Locations by the index, and their guns by set queries.

Reads only. A Location with no gun in service is read but not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.finding.rules import Vector
from chargehub.kit.errors import NotFound
from chargehub.stations.guns import GUN_POWER_SQL
from chargehub.stations.opening_hours import WALL_EXCEPTIONS
from chargehub.stations.store import UNIT_VECTOR
from chargehub.transactions.store import ABORTED

Rows = Sequence[Row[Any]]
GunKey = tuple[int, int]
"""(station id, evse_no)."""

_POINT = "cube(CAST(:vector AS double precision[]))"
# Ordered by what the index orders by; the id decides between Locations at one place.
_NEAREST = """
SELECT id, name, address, latitude, longitude, time_zone, regular_hours, opening_exceptions,
       {exceptions} AS exceptions, {here} <-> {point} AS chord,
       CAST(:now AS timestamptz) AT TIME ZONE time_zone AS wall
FROM locations
WHERE true {conditions}
ORDER BY {here} <-> {point}, id
LIMIT :limit
"""
# An index takes part in this, and stops where the radius does; the ball inside the cube is exact.
_WITHIN = "AND {here} <@ cube_enlarge({point}, :reach, 3) AND {here} <-> {point} <= :reach"
_AFTER = "AND ({here} <-> {point}, id) > (CAST(:chord AS double precision), CAST(:id AS text))"

_GUNS = f"""
SELECT s.location_id, s.id AS station_id, s.identity, s.name AS station_name, s.registration,
       s.status AS station_status, s.max_power_w AS station_max_power_w,
       s.wanted_operative AND e.wanted_operative AS operative,
       e.evse_no, e.gun_code, {GUN_POWER_SQL} AS max_power_w,
       b.lock_device, b.lock_state, b.sensor_device, b.sensor_state, b.sensor_since, b.blocked_by,
       c.statuses, c.standards, active.id AS transaction_id, active.started_at,
       coalesce(active.now, newest.ended_at) AS last_charged_at
FROM charging_stations s
JOIN evses e ON e.station_id = s.id
LEFT JOIN bays b
    ON b.station_id = e.station_id AND b.evse_no = e.evse_no AND b.removed_at IS NULL
CROSS JOIN LATERAL (
    SELECT array_agg(status) AS statuses, array_agg(DISTINCT standard) AS standards
    FROM connectors WHERE station_id = e.station_id AND evse_no = e.evse_no
) AS c
LEFT JOIN LATERAL (
    SELECT id, started_at, CAST(:now AS timestamptz) AS now FROM transactions
    WHERE station_id = e.station_id AND evse_no = e.evse_no AND state = 'Active'
    ORDER BY started_at DESC, id DESC LIMIT 1
) AS active ON true
LEFT JOIN LATERAL (
    SELECT least(ended_at, :now) AS ended_at FROM transactions
    WHERE station_id = e.station_id AND evse_no = e.evse_no AND ended_at IS NOT NULL
    ORDER BY started_at DESC LIMIT 1
) AS newest ON true
WHERE s.decommissioned_at IS NULL AND s.location_id = ANY(CAST(:locations AS text[]))
"""  # noqa: S608  Put together from our own constants.
# OFFSET 0: else a plan for any Location walks all stations in the order of their identities.
_PAGE_OF_GUNS = f"""
SELECT * FROM ({_GUNS} OFFSET 0) AS guns
WHERE {{conditions}}
ORDER BY lower(identity), evse_no
LIMIT :limit
"""  # noqa: S608  Put together from our own constants.
_GUNS_AFTER = "(lower(identity), evse_no) > (CAST(:identity AS text), :evse_no)"
_ABORTED = text(
    f"""
    SELECT DISTINCT s.location_id
    FROM transactions t JOIN charging_stations s ON s.id = t.station_id
    WHERE t.{ABORTED} AND t.ended_at >= :since
      AND t.station_id = ANY(CAST(:stations AS bigint[]))
    """  # noqa: S608  Put together from our own constants.
)
_USUAL = text(
    """
    SELECT s.location_id, CAST(percentile_cont(0.5) WITHIN GROUP (
        ORDER BY extract(epoch FROM t.ended_at - t.started_at) / 60) AS double precision) AS minutes
    FROM transactions t JOIN charging_stations s ON s.id = t.station_id
    WHERE t.station_id = ANY(CAST(:stations AS bigint[]))
      AND t.started_at >= :since AND t.state = 'Ended' AND t.energy_wh > 0
    GROUP BY s.location_id
    """
)


def nearest_query(*, within: bool, after: bool) -> str:
    """Return the SQL, for the benchmark and the test of its plan too."""
    conditions = " ".join([_WITHIN] * within + [_AFTER] * after)
    return _NEAREST.replace("{conditions}", conditions).format(
        here=UNIT_VECTOR, point=_POINT, exceptions=WALL_EXCEPTIONS
    )


async def read_nearest(
    connection: AsyncConnection,
    vector: Vector,
    *,
    now: datetime,
    reach: float | None,
    after: tuple[float, str] | None,
    limit: int,
) -> Rows:
    """Return Locations by distance and id; `chord` is the distance through a ball of radius 1.

    `wall` is what a clock shows there; `reach` and the first of `after` are chords.
    """
    values: dict[str, Any] = {"vector": list(vector), "now": now, "limit": limit}
    if reach is not None:
        values["reach"] = reach
    if after is not None:
        values |= {"chord": after[0], "id": after[1]}
    query = nearest_query(within=reach is not None, after=after is not None)
    rows: Rows = (await connection.execute(text(query), values)).all()
    return rows


async def read_guns(
    connection: AsyncConnection,
    location_ids: Collection[str],
    now: datetime,
) -> Rows:
    """Return the guns in service of some Locations."""
    values = {"locations": list(location_ids), "now": now}
    rows: Rows = (await connection.execute(text(_GUNS), values)).all()
    return rows


async def read_page_of_guns(
    connection: AsyncConnection,
    location_id: str,
    now: datetime,
    *,
    after: tuple[str, int] | None,
    limit: int,
) -> Rows:
    """Return guns in service of a Location, by station identity (lower case) and number."""
    values: dict[str, Any] = {"locations": [location_id], "now": now, "limit": limit}
    if after is not None:
        values |= {"identity": after[0], "evse_no": after[1]}
    query = _PAGE_OF_GUNS.format(conditions="true" if after is None else _GUNS_AFTER)
    rows: Rows = (await connection.execute(text(query), values)).all()
    return rows


async def find_location(connection: AsyncConnection, location_id: str) -> None:
    """Raise NotFound where there is no such Location."""
    query = text("SELECT 1 FROM locations WHERE id = :id")
    if (await connection.execute(query, {"id": location_id})).one_or_none() is None:
        raise NotFound("There is no such location.")


async def read_aborted(
    connection: AsyncConnection, station_ids: Collection[int], since: datetime
) -> set[str]:
    """Return the Locations where a transaction was aborted since then."""
    values = {"stations": list(station_ids), "since": since}
    return {row.location_id for row in await connection.execute(_ABORTED, values)}


async def read_usual_minutes(
    connection: AsyncConnection, station_ids: Collection[int], since: datetime
) -> dict[str, float]:
    """Return the median length of the transactions begun since then, by Location."""
    values = {"stations": list(station_ids), "since": since}
    return {row.location_id: row.minutes for row in await connection.execute(_USUAL, values)}
