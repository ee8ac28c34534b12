"""Open transactions from the database, meter tracks included: the book as the rows have it.

All of them when the server starts; a single one when its begin was committed and the answer to the
commit was lost, so that the book never heard of it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import namedtuple_row
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.facts import Connection, StoredTransaction
from chargehub.transactions.meter import begin_track, find_truth

MANY_READINGS = 2_000
"""Folding more than these would hold up every socket: it is done in a thread."""


async def load_book(connection: SqlConnection) -> Book:
    """Rebuild the book of open transactions."""
    raw = await connection.get_raw_connection()
    driver: Connection | None = raw.driver_connection
    assert driver is not None
    book = Book()
    for found in (await read_open(driver)).values():
        book.put(found)
    return book


async def recall_lost(
    connection: Connection, stored: Iterable[StoredTransaction], book: Book
) -> dict[int, OpenTransaction]:
    """Return those that are open in the database and missing in the book."""
    lost = {one.id for one in stored if one.state == "Active" and book.by_id(one.id) is None}
    return await read_open(connection, lost) if lost else {}


async def read_open(
    connection: Connection, only: Collection[int] | None = None
) -> dict[int, OpenTransaction]:
    """Return the open transactions in the order of their numbers; all, or `only` these."""
    numbers = None if only is None else list(only)
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(
            """
            SELECT t.*, e.heard_at AS last_event_at, e.told_at
            FROM transactions t
            CROSS JOIN LATERAL (SELECT max(received_at) AS heard_at, max(at) AS told_at
                FROM transaction_events WHERE transaction_id = t.id) e
            WHERE t.state = 'Active' AND (%(ids)s::bigint[] IS NULL OR t.id = ANY(%(ids)s))
            ORDER BY t.id
            """,
            {"ids": numbers},
        )
        rows: list[Any] = await cursor.fetchall()
        readings: dict[int, list[Reading]] = defaultdict(list)
        sampled_at: dict[int, datetime] = {}
        await cursor.execute(
            """
            SELECT s.transaction_id, s.sampled_at, s.received_at, s.context, s.content_hash,
                s.register_wh, s.flags
            FROM unnest(%s::bigint[], %s::bigint[]) u(station_id, transaction_id)
            JOIN samples s USING (station_id, transaction_id)
            """,
            ([row.station_id for row in rows], [row.id for row in rows]),
        )
        told: list[Any] = await cursor.fetchall()
        for sample in told:
            readings[sample.transaction_id].append(reading_of(sample))
            newest = sampled_at.get(sample.transaction_id, sample.received_at)
            sampled_at[sample.transaction_id] = max(newest, sample.received_at)
    opened: dict[int, OpenTransaction] = {}
    for row in rows:
        heard = (row.received_at, row.last_event_at, sampled_at.get(row.id))
        heard_at = max(at for at in heard if at is not None)
        folded = readings[row.id]
        if len(folded) > MANY_READINGS:
            opened[row.id] = await asyncio.to_thread(_opened, row, folded, heard_at)
        else:
            opened[row.id] = _opened(row, folded, heard_at)
    return opened


def reading_of(sample: Any) -> Reading:
    """Return what meter truth needs of a stored sample."""
    return Reading(
        sample.sampled_at,
        sample.context,
        register_wh=sample.register_wh,
        flags=sample.flags,
        content_hash=sample.content_hash,
    )


def _opened(row: Any, readings: Sequence[Reading], heard_at: datetime) -> OpenTransaction:
    track = begin_track(
        row.begin_register_wh, row.started_at, row.max_power_w, row.previous_register_wh
    )
    return OpenTransaction(
        id=row.id,
        station_id=row.station_id,
        ref=row.ref,
        evse_no=row.evse_no,
        connector_no=row.connector_no,
        id_token=row.id_token,
        group_id_token=row.group_id_token,
        authorized=row.authorization_status == "Accepted",
        started_at=row.started_at,
        track=find_truth(track, readings).track,
        heard_at=heard_at,
        flags=Flag(row.flags),
        charging_state=row.charging_state,
        told_at=row.told_at,
        shown_at=max((reading.sampled_at for reading in readings), default=None),
        remote_start_id=row.remote_start_id,
        reservation_id=row.reservation_id,
    )
