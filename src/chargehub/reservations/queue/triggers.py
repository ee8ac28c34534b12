"""When a Location's queue is looked at: whatever may have freed a gun says so in its transaction.

A look finds the state as it is then, so one too many costs a look and one too few is made good
by the watch, which looks every half minute while somebody waits.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.group_commit import BatchStatement, Writes
from chargehub.reservations.queue.store import OPEN, OPEN_SQL, queue_entries

LOOK = "queue.look"
"""Calls whom a free gun fits; subject: the Location."""
WATCH = "queue.watch"
"""As LOOK, again and again while somebody waits. Apart, so that no trigger is lost to it."""

LOOK_AT = BatchStatement(
    "queue.look_at",
    f"""
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT 'queue.look', s.location_id, max(u.at), '{{}}'::jsonb
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS u(station_id, at)
    JOIN charging_stations s ON s.id = u.station_id
    WHERE EXISTS (SELECT 1 FROM queue_entries q
                  WHERE q.location_id = s.location_id AND q.{OPEN_SQL})
    GROUP BY s.location_id ORDER BY s.location_id
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,  # noqa: S608  The words are ours.
    order=85,
)
"""Columns: station, when."""


def look_at(writes: Writes, station_id: int, at: datetime) -> None:
    """Have the queue looked at where this station stands, in the batch's transaction."""
    writes.add(LOOK_AT, (station_id, at))


async def look_soon(connection: AsyncConnection, location_id: str, now: datetime) -> None:
    """Have the queue looked at, if anybody is in it, in the caller's transaction."""
    entries = queue_entries.c
    query = select(entries.id).where(entries.location_id == location_id, entries.status.in_(OPEN))
    if await connection.scalar(query.limit(1)) is not None:
        await jobs.schedule(connection, LOOK, location_id, now)


async def least_wanted(connection: AsyncConnection, location_id: str) -> int | None:
    """Return the least power that somebody waits for: guns of that and more are theirs first."""
    entries = queue_entries.c
    query = (
        select(entries.wanted_power_w)
        .where(entries.location_id == location_id, entries.status == "waiting")
        .order_by(entries.wanted_power_w)
        .limit(1)
    )
    wanted: int | None = await connection.scalar(query)
    return wanted
