"""Starting and stopping from afar, in version-free words.

Accepted is not started (F01/F02): an accepted start that no transaction follows is closed as such
when its time is over, so that whoever asked learns why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import insert, update

from chargehub.authorization import decide
from chargehub.authorization.store import find_token_fact
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.stations.commands import (
    CommandAnswer,
    RequestStartTransaction,
    RequestStopTransaction,
)
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.store import station_commands
from chargehub.transactions.book import Book
from chargehub.transactions.store import remote_start_ids

log = structlog.get_logger(__name__)

START_TIMEOUT = "remote_start.timeout"
NOT_STARTED = "NotStarted"


class IdTokenNotAccepted(Conflict):
    """The idToken may not charge now."""

    code = "id-token-not-accepted"


class TransactionNotActive(Conflict):
    """The transaction is not active."""

    code = "transaction-not-active"


@dataclass(frozen=True, slots=True)
class StartAsked:
    command_id: UUID
    remote_start_id: int
    answer: CommandAnswer


@dataclass(slots=True)
class RemoteControl:
    database: Database
    clock: HubClock
    desk: CommandDesk
    book: Book
    start_within: timedelta = timedelta(minutes=3)

    async def request_start(
        self, station_id: int, evse_no: int | None, id_token: str, requested_by: str
    ) -> StartAsked:
        """Ask a station to begin a transaction.

        Raises IdTokenNotAccepted, and what CommandDesk.send raises.
        """
        now = self.clock.now()
        token = id_token.lower()
        async with self.database.write() as connection:
            found = await find_token_fact(connection, token)
            remote_start_id = (await connection.execute(remote_start_ids.next_value())).scalar_one()
        authorization = decide(
            token,
            None,
            found.fact if found else None,
            now=now,
            charging_elsewhere=self.book.charging_with(token) is not None,
        )
        if not authorization.accepted:
            raise IdTokenNotAccepted(
                f"The idToken is {authorization.status}.", authorization=str(authorization.status)
            )
        command = RequestStartTransaction(
            id_token=found.display if found else id_token,
            id_token_type=found.kind if found else None,
            remote_start_id=remote_start_id,
            evse_no=evse_no,
            group_id_token=authorization.group_id_token,
        )
        command_id, answer = await self.desk.send(
            station_id,
            command,
            requested_by,
            remote_start_id=remote_start_id,
            evse_no=evse_no,
            id_token=token,
        )
        if answer.status == "Accepted":
            await self._expect_start(command_id)
        return StartAsked(command_id, remote_start_id, answer)

    async def _expect_start(self, command_id: UUID) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                insert(jobs.due_actions).values(
                    kind=START_TIMEOUT,
                    subject=str(command_id),
                    due_at=self.clock.now() + self.start_within,
                )
            )

    async def give_up_start(self, subject: str, _payload: dict[str, Any]) -> None:
        """Close an accepted remote start that no transaction followed. Repeatable."""
        async with self.database.write() as connection:
            closed = await connection.scalar(
                update(station_commands)
                .where(
                    station_commands.c.id == UUID(subject),
                    station_commands.c.transaction_id.is_(None),
                    station_commands.c.status != NOT_STARTED,
                )
                .values(status=NOT_STARTED)
                .returning(station_commands.c.remote_start_id)
            )
            if closed is None:
                return
            await connection.execute(
                insert(jobs.outbox).values(
                    at=self.clock.now(),
                    topic="remote_start.not_started",
                    subject=subject,
                    payload={"remote_start_id": closed},
                )
            )
        log.info("remote_start_not_started", command_id=subject)

    async def request_stop(
        self, transaction_id: int, requested_by: str
    ) -> tuple[UUID, CommandAnswer]:
        """Ask the station to end a transaction; it stays active until the station ends it.

        Raises TransactionNotActive, and what CommandDesk.send raises.
        """
        found = self.book.by_id(transaction_id)
        if found is None:
            raise TransactionNotActive
        return await self.desk.send(
            found.station_id,
            RequestStopTransaction(found.ref),
            requested_by,
            transaction_id=found.id,
            evse_no=found.evse_no,
        )
