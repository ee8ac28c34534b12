"""The connection fence: a socket that is no longer the station's may write nothing.

Each socket has an epoch; the fence compares it inside the batch's own transaction. Whoever changes
what a station is (credential, registration, service) raises the epoch in the same transaction.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.kit.arrays import array_parameter
from chargehub.kit.group_commit import Item, Row, StaleKeys
from chargehub.stations.reports import Connected
from chargehub.stations.store import station_connections

FENCE_LOCK = 0x0C4A46E
"""Advisory lock: shared by every batch, exclusive while connections change their epoch."""


ACCEPTED = "Accepted"
PARTING = frozenset({"registration", "security_profile", "bound_serial_number"})
"""Columns whose change may end the station's connection."""


class ConnectionFence:
    """Refuses items of superseded sockets inside the batch's own transaction."""

    async def ask(self, connection: AsyncConnection[Row], items: Sequence[Item[Any]]) -> StaleKeys:
        lock = "pg_advisory_xact_lock_shared"
        keys, epochs = [], []
        for item in items:
            if item.fence is not None:
                keys.append(item.key)
                epochs.append(item.fence)
            elif isinstance(item.report, Connected):
                lock = "pg_advisory_xact_lock"
        await connection.execute(f"SELECT {lock}({FENCE_LOCK})".encode())
        cursor = await connection.execute(
            "SELECT u.station_id FROM unnest(%s::bigint[], %s::bigint[]) u(station_id, epoch)"
            " JOIN station_connections c USING (station_id) WHERE c.epoch <> u.epoch",
            (array_parameter(keys), array_parameter(epochs)),
        )

        async def stale_keys() -> set[Hashable]:
            return {row[0] for row in await cursor.fetchall()}

        return stale_keys


async def lock_fence(connection: SqlConnection) -> None:
    """Let no batch run until this transaction ends.

    Call it before any row is locked: a batch takes this lock first too, so neither waits for the
    other in a circle.
    """
    await connection.execute(select(func.pg_advisory_xact_lock(FENCE_LOCK)))


async def shut_out(connection: SqlConnection, station_id: int, at: datetime) -> bool:
    """Make the station's open socket stale, if there is one; needs `lock_fence`."""
    closed = await connection.execute(
        update(station_connections)
        .where(
            station_connections.c.station_id == station_id,
            station_connections.c.disconnected_at.is_(None),
        )
        .values(epoch=station_connections.c.epoch + text("1"), disconnected_at=at)
        .returning(station_connections.c.station_id)
    )
    return closed.one_or_none() is not None


async def ends_connection(
    connection: SqlConnection, station_id: int, different: Mapping[str, Any]
) -> bool:
    """Say whether the station's socket, if it has one, is no longer what it was let in as."""
    if different.get("registration", ACCEPTED) != ACCEPTED:
        return True  # It is not served a moment longer.
    # One that is accepted now hears it at its next boot, on the socket it has (B02.FR.01/03).
    if not PARTING & different.keys():
        return False
    query = select(
        station_connections.c.security_profile, station_connections.c.certified_serial
    ).where(station_connections.c.station_id == station_id)
    socket = (await connection.execute(query)).one_or_none()
    if socket is None:
        return False
    rebound = "bound_serial_number" in different and socket.certified_serial is not None
    return rebound or socket.security_profile < different.get("security_profile", 0)
