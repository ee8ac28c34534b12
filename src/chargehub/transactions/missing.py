"""Asks a station whether it still holds messages of a transaction that has gaps (E14).

Billing waits for `messages_pending` to become false or unknown. What then arrives settles the
transaction anew by itself; a station that cannot be asked, or is silent for a day, has no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import GetTransactionStatus, UnsupportedByStation
from chargehub.stations.dispatch import CommandDesk
from chargehub.telemetry.readings import Flag
from chargehub.transactions.store import transactions

log = structlog.get_logger(__name__)

ASK_MISSING = "transaction.ask_missing"
REQUESTED_BY = "settlement"
ASK_AGAIN = timedelta(minutes=10)
ASK_UNTIL = timedelta(days=1)
"""By then the station has told all it will ever tell."""


async def schedule_ask_missing(
    connection: AsyncConnection, clock: HubClock, transaction_id: int
) -> None:
    """Ask soon, in the transaction that found the gap; what waits already keeps its time."""
    await jobs.schedule_once(connection, ASK_MISSING, [transaction_id], clock.now())


@dataclass(slots=True)
class MissingMessages:
    database: Database
    clock: HubClock
    desk: CommandDesk

    async def ask(self, subject: str, _payload: dict[str, Any]) -> None:
        """Ask about the transaction `subject` while it has a gap. Repeatable."""
        number = int(subject)
        async with self.database.read() as connection:
            row = (
                await connection.execute(
                    select(
                        transactions.c.station_id,
                        transactions.c.ref,
                        transactions.c.flags,
                        transactions.c.ended_at,
                    ).where(transactions.c.id == number)
                )
            ).one_or_none()
        if row is None or row.ended_at is None:
            return
        if not row.flags & Flag.GAP or self.clock.now() - row.ended_at > ASK_UNTIL:
            await self._conclude(number, pending=False)
            return
        try:
            _, answer = await self.desk.send(
                row.station_id, GetTransactionStatus(row.ref), REQUESTED_BY, transaction_id=number
            )
        except UnsupportedByStation:
            await self._conclude(number, pending=None)
        except ChargeHubError as error:
            # Offline, silent or busy: it may hold messages all the same.
            log.info("missing_messages_not_known", transaction_id=number, why=error.code)
            await self._conclude(number, pending=True)
        else:
            await self._conclude(number, pending=answer.payload.get("messagesInQueue") is True)

    async def _conclude(self, number: int, *, pending: bool | None) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                update(transactions)
                .where(transactions.c.id == number)
                .values(messages_pending=pending)
            )
            if pending:
                again = self.clock.now() + ASK_AGAIN
                await jobs.postpone(connection, ASK_MISSING, str(number), again)
