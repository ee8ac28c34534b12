"""Guests who left nothing behind are forgotten: their driver, idToken, logins and inbox.

What anything else names stays, a charge above all: it is told by its driver's id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, and_, delete, exists, select

from chargehub.drivers.store import drivers, id_tokens
from chargehub.kit.db import Database
from chargehub.kit.tables import metadata

GUESTS_KEPT = timedelta(days=7)
"""After their end, on hub time: a station that was offline may still tell of a charge."""
CHUNK = 500


async def forget_guests(database: Database, now: datetime, chunk: int = CHUNK) -> int:
    """Delete guests whose time is over for GUESTS_KEPT and whom nothing names; return how many.

    In chunks of a transaction each.
    """
    over = and_(drivers.c.guest_until < now - GUESTS_KEPT, *_named_by_nothing())
    query = select(drivers.c.id).where(over).limit(chunk).with_for_update(skip_locked=True)
    forgotten = 0
    while True:
        async with database.write() as connection:
            found: list[UUID] = list(await connection.scalars(query))
            # Locked now, so that nothing new can name them; it may have until a moment ago.
            still = select(drivers.c.id).where(drivers.c.id.in_(found), over)
            gone = list(await connection.scalars(still))
            await connection.execute(delete(id_tokens).where(id_tokens.c.driver_id.in_(gone)))
            # Logins and inbox go with them.
            await connection.execute(delete(drivers).where(drivers.c.id.in_(gone)))
        forgotten += len(gone)
        if len(found) < chunk:
            return forgotten


def _named_by_nothing() -> list[ColumnElement[bool]]:
    """Return the conditions, one for each table whose rows outlast what they name."""
    return [~exists().where(column == drivers.c.id) for column in _columns_that_keep()]


def _columns_that_keep() -> list[Column[Any]]:
    return [
        key.parent
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column is drivers.c.id and key.ondelete != "CASCADE" and table is not id_tokens
    ]
