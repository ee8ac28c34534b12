"""What the queue has to do with a driver's account: an open place ends with it, all are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.reservations.booking import lock
from chargehub.reservations.queue.line import end_entry, newest_of
from chargehub.reservations.queue.store import OPEN, queue_entries
from chargehub.reservations.queue.triggers import look_soon

E = queue_entries.c


class QueueOfDriver(AccountPart):
    """Places name the driver's id only; a call is a reservation and ends with those."""

    name = "queue"

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        entry = await newest_of(connection, driver_id)
        if entry is not None and entry.status in OPEN:
            await lock(connection, f"location {entry.location_id}")
            await end_entry(connection, entry.id, "left", "account_closed", at)
            await look_soon(connection, entry.location_id, at)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        query = (
            select(
                E.id,
                E.location_id,
                E.wanted_power_w,
                E.status,
                E.joined_at,
                E.called_at,
                E.skipped,
                E.missed,
                E.ended_at,
                E.end_reason,
            )
            .where(E.driver_id == driver_id)
            .order_by(E.id)
        )
        return [dict(row) for row in (await connection.execute(query)).mappings()]
