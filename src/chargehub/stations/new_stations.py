"""The rows of new stations, whoever they come from: an operator, an import, the demo's open door.

Whether they may be there, and who is told, is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.stations.rules import NewStation
from chargehub.stations.store import charging_stations, connectors, evses


async def insert_stations(
    connection: AsyncConnection,
    at: datetime,
    stations: Sequence[tuple[NewStation, bytes | None]],
) -> dict[str, int]:
    """Insert stations, each with the HMAC of its password (None: it has none); return their ids.

    By identity in lower case. An identity or gun code that is taken is an IntegrityError.
    """
    rows = [
        {
            "identity": item.identity,
            "location_id": item.location_id,
            "name": item.name,
            "max_power_w": item.max_power_w,
            "registration": item.registration,
            "security_profile": item.security_profile,
            "bound_serial_number": item.bound_serial_number,
            "credential_hash": credential_hash,
            "credential_rotated_at": None if credential_hash is None else at,
            "commissioned_at": at,
        }
        for item, credential_hash in stations
    ]
    query = insert(charging_stations).returning(
        charging_stations.c.id, charging_stations.c.identity
    )
    ids = {row.identity.lower(): row.id for row in await connection.execute(query, rows)}
    await _insert_evses(connection, ids, [item for item, _ in stations])
    return ids


async def _insert_evses(
    connection: AsyncConnection, ids: Mapping[str, int], stations: Sequence[NewStation]
) -> None:
    evse_rows: list[dict[str, Any]] = []
    connector_rows: list[dict[str, Any]] = []
    for item in stations:
        station_id = ids[item.identity.lower()]
        for evse in item.evses:
            key = {"station_id": station_id, "evse_no": evse.evse_no}
            evse_rows.append({**key, "gun_code": evse.gun_code, "max_power_w": evse.max_power_w})
            connector_rows.extend(
                {**key, "connector_no": number, "standard": standard}
                for number, standard in enumerate(evse.standards, start=1)
            )
    for table, rows in ((evses, evse_rows), (connectors, connector_rows)):
        if rows:
            await connection.execute(insert(table), rows)
