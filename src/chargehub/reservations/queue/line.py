"""The queue of a Location as rows: read, changed, ended. Its changes are made under its lock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.reservations.queue.store import OPEN, queue_entries
from chargehub.reservations.store import reservations

E = queue_entries.c
R = reservations.c


async def read_line(connection: AsyncConnection, location_id: str) -> list[Row[Any]]:
    """Return who waits or is called at a Location, in their order."""
    query = (
        select(queue_entries)
        .where(E.location_id == location_id, E.status.in_(OPEN))
        .order_by(E.rank, E.id)
    )
    return list(await connection.execute(query))


async def newest_of(connection: AsyncConnection, driver_id: UUID) -> Row[Any] | None:
    """Return a driver's newest entry, open or over."""
    query = select(queue_entries).where(E.driver_id == driver_id).order_by(E.id.desc()).limit(1)
    return (await connection.execute(query)).one_or_none()


async def read_entry(connection: AsyncConnection, entry_id: int) -> Row[Any]:
    return (await connection.execute(select(queue_entries).where(E.id == entry_id))).one()


async def newest_calls(
    connection: AsyncConnection, entry_ids: Collection[int]
) -> dict[int, Row[Any]]:
    """Return the newest reservation by which each of these was called."""
    query = select(reservations).where(R.queue_entry_id.in_(list(entry_ids))).order_by(R.id)
    return {row.queue_entry_id: row for row in await connection.execute(query)}


async def change_entry(connection: AsyncConnection, entry_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(queue_entries).where(E.id == entry_id).values(values))


async def end_entry(
    connection: AsyncConnection, entry_id: int, status: str, reason: str, now: datetime
) -> None:
    """End an entry that is open still."""
    values = {"status": status, "ended_at": now, "end_reason": reason}
    here = (E.id == entry_id) & E.status.in_(OPEN)
    await connection.execute(update(queue_entries).where(here).values(values))


def waiting_of(line: Sequence[Row[Any]]) -> list[Row[Any]]:
    return [row for row in line if row.status == "waiting"]
