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

_LOCATIONS = text(
    """
    SELECT l.id, l.name, l.time_zone FROM locations l
    LEFT JOIN charging_stations s ON s.location_id = l.id AND s.decommissioned_at IS NULL
    GROUP BY l.id ORDER BY count(s.id) DESC, l.id
    """
)
_STATIONS = text(
    """
    SELECT s.id, s.identity, s.name, s.location_id, s.max_power_w, s.status, s.status_at,
           s.error_code, c.connected_at, c.disconnected_at
    FROM charging_stations s LEFT JOIN station_connections c ON c.station_id = s.id
    WHERE s.decommissioned_at IS NULL ORDER BY s.identity
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
# A sample may carry only some of the values: of the last ten, the newest of each that is there.
_ACTIVE = text(
    """
    SELECT t.id, t.station_id, t.evse_no, t.started_at, t.charging_state,
           last.power_w, coalesce(last.energy_wh, t.energy_wh) AS energy_wh, last.soc_percent
    FROM transactions t
    LEFT JOIN LATERAL (
        SELECT
            (array_agg(power_w ORDER BY sampled_at DESC)
                FILTER (WHERE power_w IS NOT NULL))[1] AS power_w,
            (array_agg(energy_wh ORDER BY sampled_at DESC)
                FILTER (WHERE energy_wh IS NOT NULL))[1] AS energy_wh,
            (array_agg(soc_percent ORDER BY sampled_at DESC)
                FILTER (WHERE soc_percent IS NOT NULL))[1] AS soc_percent
        FROM (
            SELECT sampled_at, power_w, energy_wh, soc_percent FROM samples
            WHERE station_id = t.station_id AND evse_no = t.evse_no AND transaction_id = t.id
              AND sampled_at >= t.started_at
            ORDER BY sampled_at DESC LIMIT 10
        ) AS newest
    ) AS last ON true
    WHERE t.state = 'Active' AND t.evse_no IS NOT NULL
    ORDER BY t.started_at, t.id
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
    # In order of start: of two active transactions on one EVSE the newer stays.
    active: dict[EvseKey, TransactionFacts] = {
        (row.station_id, row.evse_no): TransactionFacts(
            row.id,
            row.started_at,
            row.charging_state,
            row.power_w,
            row.energy_wh,
            row.soc_percent,
        )
        for row in await connection.execute(_ACTIVE)
    }
    evses: dict[int, list[EvseFacts]] = defaultdict(list)
    for row in await connection.execute(_EVSES):
        key = (row.station_id, row.evse_no)
        evses[row.station_id].append(
            EvseFacts(
                row.evse_no,
                row.gun_code,
                row.max_power_w,
                connectors.get(key, {}),
                active.get(key),
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
