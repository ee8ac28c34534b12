"""Starting and stopping from afar, in version-free words.

Accepted is not started (F01/F02): an accepted start that no transaction follows is closed as such
when its time is over, so that whoever asked learns why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.authorization import Authorization, decide, find_place, find_token_fact
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.reservations.guard import check_held, keep_for_start
from chargehub.stations.commands import (
    CommandAnswer,
    CommandOutcome,
    RequestStartTransaction,
    RequestStopTransaction,
)
from chargehub.stations.dispatch import CommandDesk, WithEnd
from chargehub.stations.profiles import ChargingProfile
from chargehub.stations.store import station_commands
from chargehub.transactions.book import Book
from chargehub.transactions.orphans import TransactionNotActive
from chargehub.transactions.store import remote_start_ids

log = structlog.get_logger(__name__)

START_TIMEOUT = "remote_start.timeout"
NOT_STARTED = "NotStarted"


class IdTokenNotAccepted(Conflict):
    """The idToken may not charge now."""

    code = "id-token-not-accepted"

    @classmethod
    def of(cls, refused: Authorization) -> IdTokenNotAccepted:
        word = str(refused.status)
        return cls(f"The idToken is {word}.", authorization=word)


@dataclass(frozen=True, slots=True)
class StartAsked:
    command_id: UUID
    remote_start_id: int
    answer: CommandAnswer


StartRecord = Callable[[AsyncConnection, UUID, int], Awaitable[WithEnd]]
"""Takes the command's id and the remoteStartId, in the transaction that records both."""


@dataclass(frozen=True, slots=True)
class StartProfile:
    """A charging profile for the transaction to come, and who keeps it on record."""

    profile: ChargingProfile
    record: StartRecord


@dataclass(slots=True)
class RemoteControl:
    database: Database
    clock: HubClock
    desk: CommandDesk
    book: Book
    call_timeout_s: float
    """Wall seconds the station has to answer."""
    start_within: timedelta = timedelta(minutes=3)

    async def request_start(
        self,
        station_id: int,
        evse_no: int | None,
        id_token: str,
        requested_by: str,
        *,
        under: StartProfile | None = None,
        record: StartRecord | None = None,
    ) -> StartAsked:
        """Ask a station to begin a transaction, `under` a charging profile if given.

        Who keeps the start on record hands in `record`, or has it in `under`.

        Raises IdTokenNotAccepted, EvseHeld, and what CommandDesk.send raises.
        """
        now = self.clock.now()
        token = id_token.lower()
        async with self.database.write() as connection:
            found = await find_token_fact(connection, token)
            place = await find_place(connection, station_id)
            authorization = decide(
                token,
                None,
                found.fact if found else None,
                now=now,
                place=place,
                evse_no=evse_no,
                charging_elsewhere=self.book.charging_with(token) is not None,
            )
            if not authorization.accepted:
                raise IdTokenNotAccepted.of(authorization)
            where, group = (station_id, evse_no), authorization.group_id_token
            await check_held(connection, where, token, group, now)  # No command is made in vain.
            remote_start_id = (await connection.execute(remote_start_ids.next_value())).scalar_one()
        command = RequestStartTransaction(
            id_token=found.display if found else id_token,
            id_token_type=found.kind if found else None,
            remote_start_id=remote_start_id,
            evse_no=evse_no,
            group_id_token=authorization.group_id_token,
            charging_profile=under.profile if under else None,
        )
        keep = under.record if under is not None else record

        async def with_pending(connection: AsyncConnection, command_id: UUID) -> WithEnd | None:
            await keep_for_start(connection, where, token, group, self.clock.now())
            await self._expect_start(connection, command_id)
            return await keep(connection, command_id, remote_start_id) if keep else None

        command_id, answer = await self.desk.send(
            station_id,
            command,
            requested_by,
            remote_start_id=remote_start_id,
            evse_no=evse_no,
            id_token=token,
            with_pending=with_pending,
        )
        return StartAsked(command_id, remote_start_id, answer)

    async def _expect_start(self, connection: AsyncConnection, command_id: UUID) -> None:
        """Watch the start before its answer is known: whoever dies in between forgets nothing."""
        now = self.clock.now()
        due_at = now + self.clock.hub_time(self.call_timeout_s) + self.start_within
        await jobs.schedule_once(connection, START_TIMEOUT, [command_id], due_at)

    async def give_up_start(self, subject: str, _payload: dict[str, Any]) -> None:
        """Close a start that no transaction followed although it was, or may have been, accepted.

        Repeatable. One that still waits for its answer is looked at again.
        """
        commands = station_commands.c
        async with self.database.write() as connection:
            waiting = await connection.scalar(
                select(commands.id).where(
                    commands.id == UUID(subject), commands.outcome == CommandOutcome.PENDING
                )
            )
            if waiting is not None:
                later = self.clock.now() + self.start_within
                await jobs.postpone(connection, START_TIMEOUT, subject, later)
                return
            closed = await connection.scalar(
                update(station_commands)
                .where(
                    commands.id == UUID(subject),
                    commands.transaction_id.is_(None),
                    or_(
                        commands.status == "Accepted",
                        and_(commands.outcome == CommandOutcome.UNKNOWN, commands.status.is_(None)),
                    ),
                )
                .values(status=NOT_STARTED)
                .returning(commands.remote_start_id)
            )
            if closed is None:
                return
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
