"""What reservations have to do with a driver's account: open ones end with it, all are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.reservations.booking import finish, lock_reservation
from chargehub.reservations.history import keep_no_shows
from chargehub.reservations.store import OPEN, reservations

R = reservations.c


class ReservationsOfDriver(AccountPart):
    """They name the driver's id only, which leads to a closed account without a name.

    The times of no-shows outlast it, under the fingerprint of its phone (`history.py`).
    """

    name = "reservations"

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        query = select(R.id).where(R.driver_id == driver_id, R.status.in_(OPEN))
        for number in list(await connection.scalars(query)):
            row = await lock_reservation(connection, number)
            if row.status in OPEN:
                await finish(connection, row, "cancelled", "account_closed", at)
        await keep_no_shows(connection, driver_id)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        query = (
            select(
                R.id,
                R.location_id,
                R.status,
                R.starts_at,
                R.hold_until,
                R.created_at,
                R.ended_at,
                R.end_reason,
            )
            .where(R.driver_id == driver_id)
            .order_by(R.id)
        )
        return [dict(row) for row in (await connection.execute(query)).mappings()]
