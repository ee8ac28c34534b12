"""Reads the hub as it is now from the database, for the board to start from. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.live.facts import (
    ConnectorFacts,
    EvseFacts,
    HubFacts,
    LocationFacts,
    StationFacts,
    TodayFacts,
    TodayTransaction,
    TransactionFacts,
)
from chargehub.stations.reports import ConnectorStatus
from chargehub.telemetry.queries import read_latest_values

_LOCATIONS = text(
    """
    SELECT l.id, l.name, l.time_zone FROM locations l
    LEFT JOIN charging_stations s ON s.location_id = l.id AND s.decommissioned_at IS NULL
    GROUP BY l.id ORDER BY count(s.id) DESC, l.id
    """
)
# A station that was put in another's place stands there, whatever it is called.
_STATIONS = text(
    """
    WITH RECURSIVE places (station_id, place) AS (
        SELECT s.id, s.identity FROM charging_stations s
        WHERE NOT EXISTS (SELECT FROM charging_stations p WHERE p.replaced_by_id = s.id)
        UNION ALL
        SELECT p.replaced_by_id, places.place
        FROM places JOIN charging_stations p ON p.id = places.station_id
        WHERE p.replaced_by_id IS NOT NULL
    )
    SELECT s.id, s.identity, s.name, s.location_id, s.max_power_w, s.status, s.status_at,
           s.error_code, c.connected_at, c.disconnected_at
    FROM charging_stations s JOIN places ON places.station_id = s.id
    LEFT JOIN station_connections c ON c.station_id = s.id
    WHERE s.decommissioned_at IS NULL ORDER BY places.place, s.identity
    """
)
_EVSES = text(
    """
    SELECT e.station_id, e.evse_no, e.gun_code, e.max_power_w
    FROM evses e JOIN charging_stations s ON s.id = e.station_id
    WHERE s.decommissioned_at IS NULL ORDER BY e.station_id, e.evse_no
    """
)
_CONNECTORS = text(
    """
    SELECT c.station_id, c.evse_no, c.connector_no, c.status, c.status_at, c.error_code
    FROM connectors c JOIN charging_stations s ON s.id = c.station_id
    WHERE s.decommissioned_at IS NULL ORDER BY c.station_id, c.evse_no, c.connector_no
    """
)
_ACTIVE = text(
    """
    SELECT id, station_id, evse_no, started_at, charging_state, energy_wh
    FROM transactions WHERE state = 'Active' AND evse_no IS NOT NULL
    """
)
# The hub's day is the day of the Location with the most stations.
_DAY = text(
    """
    SELECT date_trunc('day', CAST(:now AS timestamptz), zone) AS starts_at,
           date_trunc('day', date_trunc('day', CAST(:now AS timestamptz), zone)
               + interval '36 hours', zone) AS ends_at
    FROM (
        SELECT coalesce((
            SELECT l.time_zone FROM locations l JOIN charging_stations s ON s.location_id = l.id
            WHERE s.decommissioned_at IS NULL
            GROUP BY l.id ORDER BY count(*) DESC, l.id LIMIT 1
        ), 'Asia/Shanghai') AS zone
    ) AS hub
    """
)
_TODAY = text(
    """
    SELECT t.id, s.location_id, coalesce(t.energy_wh, 0) AS energy_wh
    FROM transactions t JOIN charging_stations s ON s.id = t.station_id
    WHERE t.started_at >= :starts_at
    """
)

EvseKey = tuple[int, int]


async def load_hub(connection: AsyncConnection, now: datetime) -> HubFacts:
    """Read everything inside the caller's one transaction (repeatable read, if it must be exact).

    Events committed meanwhile are applied on top, so a torn read heals itself.
    """
    locations = (await connection.execute(_LOCATIONS)).all()
    connectors: dict[EvseKey, dict[int, ConnectorFacts]] = defaultdict(dict)
    for row in await connection.execute(_CONNECTORS):
        connectors[row.station_id, row.evse_no][row.connector_no] = _status(row)
    active = await _active(connection)
    evses: dict[int, list[EvseFacts]] = defaultdict(list)
    for row in await connection.execute(_EVSES):
        key = (row.station_id, row.evse_no)
        evses[row.station_id].append(
            EvseFacts(
                row.evse_no,
                row.gun_code,
                row.max_power_w,
                connectors.get(key, {}),
                tuple(active[key]),
            )
        )
    stations = tuple(
        _station(row, tuple(evses[row.id])) for row in await connection.execute(_STATIONS)
    )
    return HubFacts(
        tuple(LocationFacts(row.id, row.name, row.time_zone) for row in locations),
        stations,
        await _today(connection, now),
    )


async def _active(connection: AsyncConnection) -> dict[EvseKey, list[TransactionFacts]]:
    rows = (await connection.execute(_ACTIVE)).all()
    newest = await read_latest_values(connection, [(row.station_id, row.id) for row in rows])
    active: dict[EvseKey, list[TransactionFacts]] = defaultdict(list)
    for row in rows:
        values = newest.get(row.id)
        energy_wh = None if values is None else values.energy_wh
        running = TransactionFacts(
            row.id,
            row.started_at,
            row.charging_state,
            None if values is None else values.power_w,
            row.energy_wh if energy_wh is None else energy_wh,
            None if values is None else values.soc_percent,
        )
        active[row.station_id, row.evse_no].append(running)
    return active


async def _today(connection: AsyncConnection, now: datetime) -> TodayFacts:
    day = (await connection.execute(_DAY, {"now": now})).one()
    rows = await connection.execute(_TODAY, {"starts_at": day.starts_at})
    started = tuple(TodayTransaction(row.id, row.location_id, row.energy_wh) for row in rows)
    return TodayFacts(day.starts_at, day.ends_at, started)


def _station(row: Row[Any], evses: tuple[EvseFacts, ...]) -> StationFacts:
    online = row.connected_at is not None and row.disconnected_at is None
    return StationFacts(
        station_id=row.id,
        identity=row.identity,
        name=row.name,
        location_id=row.location_id,
        max_power_w=row.max_power_w,
        online=online,
        since=row.connected_at if online else row.disconnected_at,
        whole=_status(row),
        evses=evses,
    )


def _status(row: Row[Any]) -> ConnectorFacts:
    return ConnectorFacts(ConnectorStatus(row.status), row.status_at, row.error_code or None)
