"""What transactions have to do with a driver's account: a running one keeps it open."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.store import id_tokens
from chargehub.stations.store import charging_stations
from chargehub.transactions.store import transactions

OF_OWNER = and_(
    id_tokens.c.token == transactions.c.id_token,
    # A card may have been another's, or nobody's, before.
    transactions.c.started_at >= id_tokens.c.driver_since,
)
"""Joins transactions with the idToken whose present driver began them."""


class TransactionsOfDriver(AccountPart):
    """Those begun with an idToken of the driver, since it is the driver's.

    Nothing is erased of them: they name an idToken, which leads to a closed account without a name.
    """

    name = "charges"

    async def obstacle(self, connection: AsyncConnection, driver_id: UUID) -> str | None:
        running = (
            select(transactions.c.id)
            .join(id_tokens, OF_OWNER)
            .where(id_tokens.c.driver_id == driver_id, transactions.c.state == "Active")
            .limit(1)
        )
        if (await connection.execute(running)).one_or_none() is None:
            return None
        return "A charge of yours is running; end it first."

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        query = (
            select(
                transactions.c.id,
                charging_stations.c.identity.label("station"),
                transactions.c.evse_no,
                id_tokens.c.display.label("id_token"),
                transactions.c.started_at,
                transactions.c.ended_at,
                transactions.c.energy_wh,
            )
            .join(id_tokens, OF_OWNER)
            .join(charging_stations, charging_stations.c.id == transactions.c.station_id)
            .where(id_tokens.c.driver_id == driver_id)
            .order_by(transactions.c.started_at, transactions.c.id)
        )
        return [dict(row) for row in (await connection.execute(query)).mappings()]
