"""Which car that is nobody's stands at a gun: remembered for minutes, sealed.

A driver may bind the car that was seen at the gun where their own charge runs: the gun was not
unplugged since, so it is the car that they charge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import vehicle_sightings
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.group_commit import BatchStatement
from chargehub.stations.reports import UNPLUGGED, ConnectorStatus
from chargehub.stations.store import connector_status_events, evses, station_connections

SEEN_FOR = timedelta(minutes=15)
SIGHTING_FORGET = "vehicle.forget"
SIBLING_LATE = timedelta(minutes=1)
"""Some stations name the car first, and only then tell at which gun one was plugged in."""
_PLUGGED_IN = (ConnectorStatus.OCCUPIED, ConnectorStatus.PREPARING)

WRITE_SIGHTING = BatchStatement(
    "vehicle_sightings.write",
    """
    INSERT INTO vehicle_sightings (station_id, evse_no, id_token, kind, identity_sealed, seen_at)
    SELECT DISTINCT ON (station_id, evse_no) * FROM unnest(%s::bigint[], %s::smallint[],
        %s::text[], %s::text[], %s::bytea[], %s::timestamptz[])
        AS u(station_id, evse_no, id_token, kind, identity_sealed, seen_at)
    ORDER BY station_id, evse_no, seen_at DESC
    ON CONFLICT (station_id, evse_no) DO UPDATE SET id_token = EXCLUDED.id_token,
        kind = EXCLUDED.kind, identity_sealed = EXCLUDED.identity_sealed, seen_at = EXCLUDED.seen_at
    """,
)
"""Columns: station, EVSE, idToken, kind, what it is called (sealed), when."""


async def read_sightings(
    connection: AsyncConnection, guns: Sequence[tuple[int, int]], now: datetime
) -> Sequence[Row[Any]]:
    """Return, with their gun codes, the cars that stand at these guns, the newest first.

    A gun that was unplugged since, or whose station was away since, may hold another car; where a
    car came to another gun of the station just then, it may have been that one.
    """
    if not guns:
        return []
    seen, told = vehicle_sightings.c, connector_status_events.c
    unplugged = exists().where(
        told.station_id == seen.station_id,
        told.evse_no == seen.evse_no,
        told.status.in_(UNPLUGGED),
        told.received_at > seen.seen_at,
    )
    at_sibling = exists().where(
        told.station_id == seen.station_id,
        told.evse_no.not_in((0, seen.evse_no)),
        told.status.in_(_PLUGGED_IN),
        told.received_at.between(seen.seen_at, seen.seen_at + SIBLING_LATE),
    )
    linked = station_connections.c
    was_away = exists().where(
        linked.station_id == seen.station_id,
        or_(linked.connected_at > seen.seen_at, linked.disconnected_at.is_not(None)),
    )
    query = (
        select(vehicle_sightings, evses.c.gun_code)
        .join(evses, (evses.c.station_id == seen.station_id) & (evses.c.evse_no == seen.evse_no))
        .where(
            or_(*((seen.station_id == one) & (seen.evse_no == number) for one, number in guns)),
            seen.seen_at > now - SEEN_FOR,
            ~unplugged,
            ~was_away,
            ~at_sibling,
        )
        .order_by(seen.seen_at.desc())
    )
    return (await connection.execute(query)).all()


async def forget_sighting(connection: AsyncConnection, station_id: int, evse_no: int) -> None:
    seen = vehicle_sightings.c
    await connection.execute(
        delete(vehicle_sightings).where(seen.station_id == station_id, seen.evse_no == evse_no)
    )


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The due action that forgets cars which were seen too long ago; repeatable."""

    database: Database
    clock: HubClock

    async def forget(self, _subject: str, _payload: dict[str, Any]) -> None:
        async with self.database.write() as connection:
            old = vehicle_sightings.c.seen_at <= self.clock.now() - SEEN_FOR
            await connection.execute(delete(vehicle_sightings).where(old))
