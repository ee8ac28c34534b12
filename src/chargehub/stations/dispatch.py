"""The command desk: every command to a station is a row before it leaves and after it returns.

Two short transactions around the station's round trip, none during it. What was pending when the
server died is closed as `unknown` at the next start, and an outbox row tells whoever can ask the
station what became of it. Commands that wait are the business of `command_queue`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit import jobs
from chargehub.kit.clean import clean_json
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.secrets import REDACTED, hide_in_text, only_words, redacted
from chargehub.stations.commands import (
    ChangeCredential,
    Command,
    CommandAnswer,
    CommandOutcome,
    RawCommand,
    StationBusy,
    StationLink,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.store import charging_stations, station_commands

log = structlog.get_logger(__name__)

STORE_AGAIN_S = 1.0
COMMAND_UNKNOWN = "command.unknown"
"""Outbox topic: nobody knows what the station did with the command `subject`."""
COMMAND_UNSUPPORTED = "command.unsupported"
"""Outbox topic: the station cannot do what the command `subject` asks for."""
NEVER_LEFT = (StationBusy, StationNotAccepted)
UNANSWERED = (StationOffline, StationTimeout)
"""Whether they left is in the error's facts."""
TOLD_ENDS = {
    CommandOutcome.UNKNOWN: COMMAND_UNKNOWN,
    CommandOutcome.TIMEOUT: COMMAND_UNKNOWN,
    CommandOutcome.UNSUPPORTED: COMMAND_UNSUPPORTED,
}
"""Ends that somebody may act on."""

End = CommandAnswer | BaseException
"""A command's answer, or what was raised instead of one."""
WithEnd = Callable[[End, AsyncConnection], Awaitable[None]]
"""Writes what follows from a command's end, in the transaction that records the end. It is done
again until that is stored, so it must be repeatable."""
WithPending = Callable[[AsyncConnection, UUID], Awaitable[WithEnd | None]]
"""Writes what must exist whenever the command does, in the transaction that records it."""
_Along = Callable[[AsyncConnection], Awaitable[None]]


class CommandDesk:
    def __init__(self, database: Database, link: StationLink, clock: HubClock) -> None:
        self._database = database
        self._link = link
        self._clock = clock
        self._insisting: set[asyncio.Task[None]] = set()
        """Outcomes that could not be stored yet."""
        self._stopped = False

    async def stop(self) -> None:
        """Give up on outcomes that cannot be stored; the next start closes them as unknown.

        So it does with what ends after this.
        """
        self._stopped = True
        for task in self._insisting:
            task.cancel()
        await asyncio.gather(*self._insisting, return_exceptions=True)

    def online_ids(self) -> frozenset[int]:
        return self._link.online_ids()

    def check(self, station_id: int, command: Command, *, least_profile: int = 0) -> None:
        """Raise what is wrong with a command before it is sent, as far as StationLink.check."""
        self._link.check(station_id, command, least_profile=least_profile)

    async def disconnect(self, station_id: int) -> None:
        await self._link.disconnect(station_id)

    async def send(
        self,
        station_id: int,
        command: Command,
        requested_by: str,
        *,
        remote_start_id: int | None = None,
        transaction_id: int | None = None,
        evse_no: int | None = None,
        id_token: str | None = None,
        with_pending: WithPending | None = None,
    ) -> tuple[UUID, CommandAnswer]:
        """Record, send, record the outcome. A failure is raised with `command_id` in its facts."""
        command_id = uuid.uuid4()
        with_end = await self._begin(
            {
                "id": command_id,
                "station_id": station_id,
                "action": action_of(command),
                "payload": redacted(payload_of(command)),
                "raw": isinstance(command, RawCommand),
                "requested_by": requested_by,
                "requested_at": self._clock.now(),
                "remote_start_id": remote_start_id,
                "transaction_id": transaction_id,
                "evse_no": evse_no,
                "id_token": id_token,
            },
            with_pending,
        )
        return command_id, await self.carry_out(command_id, station_id, command, with_end=with_end)

    async def carry_out(
        self,
        command_id: UUID,
        station_id: int,
        command: Command,
        *,
        waits: bool = False,
        with_end: WithEnd | None = None,
    ) -> CommandAnswer:
        """Send a command that is on record as pending, and record its outcome.

        One that `waits` goes back into the queue where it did not leave, and its outcome is unknown
        where it left and the connection ended; the error is raised all the same.
        """
        secret = carries_secret(command)
        try:
            answer = await self._link.send(station_id, command)
        except ChargeHubError as error:
            # A station's own words may repeat what it was told.
            error.detail, error.facts = hide_in_text(error.detail), redacted(error.facts)
            if secret and "station_detail" in error.facts:
                error.facts["station_detail"] = REDACTED
            outcome = _outcome_of(error, waits=waits)
            detail = {"detail": error.detail}
            await self.close(command_id, outcome, error.code, detail, _along(with_end, error))
            error.facts |= {"command_id": str(command_id), "outcome": outcome}
            raise
        except asyncio.CancelledError as error:
            # The request was abandoned; whether the station acted is not known.
            along = _along(with_end, error)
            await asyncio.shield(self.close(command_id, CommandOutcome.UNKNOWN, None, None, along))
            raise
        except Exception as error:
            along = _along(with_end, error)
            await self.close(command_id, CommandOutcome.FAILED, ChargeHubError.code, None, along)
            raise
        along = _along(with_end, answer)
        if isinstance(command, ChangeCredential):
            # Only its word: the rest may hold the password, under any name.
            word = answer.told or answer.status
            await self.close(command_id, CommandOutcome.ANSWERED, word, None, along)
            return answer
        if secret:
            answer = dataclasses.replace(answer, payload=only_words(answer.payload))
        await self.close(command_id, CommandOutcome.ANSWERED, answer.status, answer.payload, along)
        return answer

    async def _begin(
        self, values: dict[str, Any], with_pending: WithPending | None
    ) -> WithEnd | None:
        with_end = None
        try:
            async with self._database.write() as connection:
                await record_command(connection, values)
                if with_pending is not None:
                    with_end = await with_pending(connection, values["id"])
        except (Exception, asyncio.CancelledError):
            # Where only the answer to COMMIT was lost, the row is there and waits for ever.
            ended = {"outcome": CommandOutcome.FAILED, "completed_at": self._clock.now()}
            never_sent = ChargeHubError("The command could not be recorded.")
            self._insist_on(values["id"], ended, _along(with_end, never_sent))
            raise
        return with_end

    async def close(
        self,
        command_id: UUID,
        outcome: CommandOutcome,
        status: str | None,
        answer: dict[str, Any] | None,
        along: _Along | None = None,
    ) -> None:
        """Store how a command ended, or that it waits again; of an unknown end somebody is told.

        Where the database is away this goes on trying, and raises.
        """
        ended: dict[str, Any] = {"outcome": outcome}
        if outcome != CommandOutcome.QUEUED:
            hidden = redacted(clean_json(answer))
            ended |= {"status": status, "answer": hidden, "completed_at": self._clock.now()}
        try:
            await self._store_end(command_id, ended, along)
        except Exception:
            if outcome == CommandOutcome.QUEUED:
                # Perhaps it was stored, and has been taken from the queue since: never twice.
                ended |= {"outcome": CommandOutcome.UNKNOWN, "completed_at": self._clock.now()}
            self._insist_on(command_id, ended, along)
            raise

    def _insist_on(self, command_id: UUID, ended: dict[str, Any], along: _Along | None) -> None:
        if self._stopped:
            log.warning("command_end_not_stored", command_id=str(command_id), why="stopped")
            return
        task = asyncio.create_task(self._insist(command_id, ended, along), name="command-end")
        self._insisting.add(task)
        task.add_done_callback(self._insisting.discard)

    async def _insist(self, command_id: UUID, ended: dict[str, Any], along: _Along | None) -> None:
        while True:
            await asyncio.sleep(STORE_AGAIN_S)
            try:
                await self._store_end(command_id, ended, along)
            except Exception as error:  # noqa: BLE001  Whatever it was, the row says pending still.
                log.warning("command_end_not_stored", command_id=str(command_id), why=repr(error))
            else:
                return

    async def _store_end(
        self, command_id: UUID, ended: dict[str, Any], along: _Along | None
    ) -> None:
        async with self._database.write() as connection:
            if along is not None:
                # First: who has locked the station may wait for the command's row.
                await along(connection)
            closed = await connection.execute(
                update(station_commands)
                .where(
                    station_commands.c.id == command_id,
                    charging_stations.c.id == station_commands.c.station_id,
                )
                .values(ended)
                .returning(charging_stations.c.identity, station_commands.c.action)
            )
            row = closed.one_or_none()
            topic = TOLD_ENDS.get(ended["outcome"])
            if row is not None and topic is not None:
                await _tell(connection, topic, [command_id], self._clock.now())
        if row is None:
            return  # It was never recorded.
        log.info(
            "station_command_closed",
            station_id=row.identity,
            action=row.action,
            command_id=str(command_id),
            outcome=ended["outcome"],
            status=ended.get("status"),
        )


def _along(with_end: WithEnd | None, end: End) -> _Along | None:
    return None if with_end is None else partial(with_end, end)


async def record_command(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write a command down, and who wanted it."""
    await connection.execute(insert(station_commands).values(values))
    identity = await connection.execute(
        select(charging_stations.c.identity).where(charging_stations.c.id == values["station_id"])
    )
    await audit(
        connection,
        values["requested_at"],
        values["requested_by"],
        "station.command",
        identity.scalar_one(),
        action=values["action"],
        command_id=str(values["id"]),
    )


async def _tell(
    connection: AsyncConnection, topic: str, command_ids: Sequence[UUID], at: datetime
) -> None:
    rows = [
        {"at": at, "topic": topic, "subject": str(command_id), "payload": {}}
        for command_id in command_ids
    ]
    if rows:
        await connection.execute(insert(jobs.outbox), rows)


async def close_pending_as_unknown(connection: AsyncConnection, at: datetime) -> list[UUID]:
    """Close, at start-up, what a dead server left open, and tell of it; return the ids."""
    rows = await connection.execute(
        update(station_commands)
        .where(station_commands.c.outcome == CommandOutcome.PENDING)
        .values(outcome=CommandOutcome.UNKNOWN, completed_at=at)
        .returning(station_commands.c.id)
    )
    closed = [row.id for row in rows]
    await _tell(connection, COMMAND_UNKNOWN, closed, at)
    return closed


def action_of(command: Command) -> str:
    return command.action if isinstance(command, RawCommand) else type(command).__name__


def carries_secret(command: Command) -> bool:
    payload = payload_of(command)
    return bool(redacted(payload) != payload)


def payload_of(command: Command) -> dict[str, Any]:
    if isinstance(command, RawCommand):
        return command.payload
    fields: dict[str, Any] = _plain(dataclasses.asdict(command))
    return fields


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case _:
            return value


def _outcome_of(error: ChargeHubError, *, waits: bool) -> CommandOutcome:
    sent = bool(error.facts.get("sent"))
    if waits and (isinstance(error, NEVER_LEFT) or (isinstance(error, UNANSWERED) and not sent)):
        return CommandOutcome.QUEUED
    if isinstance(error, StationOffline):
        return CommandOutcome.UNKNOWN if waits else CommandOutcome.OFFLINE
    if isinstance(error, UnsupportedByStation):
        return CommandOutcome.UNSUPPORTED
    return CommandOutcome.TIMEOUT if isinstance(error, StationTimeout) else CommandOutcome.FAILED
