"""What bays have to do with a driver's account: the locks that were lowered for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.store import bay_commands
from chargehub.drivers.account_parts import AccountPart

C = bay_commands.c


class LocksOfDriver(AccountPart):
    """They name the driver's id only, which leads to a closed account without a name."""

    name = "lock_commands"

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        mine = update(bay_commands).where(C.driver_id == guest_id)
        await connection.execute(mine.values(driver_id=driver_id))

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        query = (
            select(C.id, C.bay_id, C.action, C.requested_at, C.outcome, C.why, C.ended_at)
            .where(C.driver_id == driver_id)
            .order_by(C.seq)
        )
        return [dict(row) for row in (await connection.execute(query)).mappings()]
