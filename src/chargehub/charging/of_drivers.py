"""What charges have to do with a driver's account: they go from a guest to the account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.charging.store import charges
from chargehub.charging.watch import ChargeWatch
from chargehub.drivers.account_parts import AccountPart

STARTING = ("requested", "starting")


class ChargesOfDriver(AccountPart):
    """The wishes; what was charged is told by transactions. They hold nothing personal."""

    name = "charge_requests"

    def __init__(self, watch: ChargeWatch | None = None) -> None:
        self._watch = watch

    async def obstacle(self, connection: AsyncConnection, driver_id: UUID) -> str | None:
        starting = select(charges.c.id).where(
            charges.c.driver_id == driver_id, charges.c.state.in_(STARTING)
        )
        if (await connection.execute(starting.limit(1))).one_or_none() is None:
            return None
        return "A charge of yours is starting; wait, or end it first."

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        # A driver waits for one start at a time: a second one stays where it is and ends there.
        mine = charges.alias()
        starts = select(mine.c.id).where(mine.c.driver_id == driver_id, mine.c.state.in_(STARTING))
        await connection.execute(
            update(charges)
            .where(charges.c.driver_id == guest_id)
            .where(or_(charges.c.state.not_in(STARTING), ~starts.exists()))
            .values(driver_id=driver_id)
        )

    def taken_over(self, guest_id: UUID) -> None:
        if self._watch is not None:
            self._watch.changed(guest_id)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        query = (
            select(
                charges.c.id,
                charges.c.started_by,
                charges.c.state,
                charges.c.requested_at,
                charges.c.ended_at,
                charges.c.end_reason,
                charges.c.transaction_id,
            )
            .where(charges.c.driver_id == driver_id)
            .order_by(charges.c.requested_at, charges.c.id)
        )
        return [dict(row) for row in (await connection.execute(query)).mappings()]
