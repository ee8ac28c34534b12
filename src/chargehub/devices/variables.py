"""Reading and writing a station's variables in version-free words.

A write is checked before it leaves, cut into requests the station takes, and answered with the
station's own word for each variable. What is stored changes by the station's answer alone
(`inbound.WritesHandler`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.inbound import MARK_UNSUPPORTED, name_row
from chargehub.devices.inventory import Inventory
from chargehub.devices.queries import name_of, read_known
from chargehub.devices.reports import VariableReported, VariablesReported, VariablesWritten
from chargehub.devices.rules import (
    Variable,
    duplicates,
    refused_write,
    request_limit,
    split,
)
from chargehub.devices.store import station_variables
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, InvalidInput
from chargehub.kit.secrets import hide_in_text
from chargehub.stations.at_once import send_at_once
from chargehub.stations.command_queue import CommandQueue, Delivery
from chargehub.stations.commands import (
    CommandAnswer,
    CommandOutcome,
    GetVariables,
    InvalidCommand,
    SetVariables,
    VariableName,
    VariableWrite,
)
from chargehub.stations.durable import restore
from chargehub.stations.queries import find_station_in_service
from chargehub.stations.store import charging_stations, station_commands

REQUESTED_BY = "devices"


class InvalidWrite(InvalidInput):
    """A variable does not take this value."""

    code = "invalid-write"

    @classmethod
    def of(cls, found: Sequence[tuple[VariableName, str]], joint: str = " ") -> InvalidWrite:
        """Tell what is wrong with which variables; the first of them in the sentence, too."""
        errors = [
            {"where": name.path, "variable": name.path, "message": message}
            for name, message in found
        ]
        first = f"{errors[0]['where']}{joint}{errors[0]['message']}"
        return cls(first.removesuffix(".") + ".", errors=errors)


@dataclass(frozen=True, slots=True)
class WriteResult:
    name: VariableName
    value: str
    effect: str
    """A WriteEffect, `waiting` (for the station or its answer), `replaced`, `cancelled`, `expired`
    (before it left), `unknown` (not told), `failed` (see `error`) or `not_sent` (an earlier one
    failed)."""
    status: str | None = None
    """The station's own word."""
    command_id: UUID | None = None
    error: str | None = None


@dataclass(slots=True)
class Variables:
    database: Database
    queue: CommandQueue
    inventory: Inventory

    async def write(
        self,
        identity: str,
        writes: Sequence[VariableWrite],
        actor: str,
        *,
        durable: bool = False,
        wait: timedelta | None = None,
    ) -> list[WriteResult]:
        """Write in the order given. Raises before anything leaves what is known to be wrong.

        That is InvalidWrite, and UnsupportedByStation of a station that is connected. Raises what
        CommandDesk.send raises where the first request fails; after that a failure is the result of
        its variables, and nothing further is sent.
        """
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
            keys = [write.name.key for write in writes]
            known = (await read_known(connection, [station.id], keys))[station.id]
        _check(writes, known)
        self._check_words(station.id, writes)
        results: list[WriteResult] = []
        failed = False
        for chunk in split(writes, request_limit(known, "SetVariables")):
            if failed:
                results += [WriteResult(write.name, write.value, "not_sent") for write in chunk]
                continue
            try:
                sent = await self._send(
                    station.id, SetVariables(chunk), actor, durable=durable, wait=wait
                )
            except ChargeHubError as error:
                if not results:
                    raise
                failed = True
                results += [_failed(write, error) for write in chunk]
                continue
            results += _results(chunk, sent)
        return results

    def _check_words(self, station_id: int, writes: Sequence[VariableWrite]) -> None:
        """Raise for what a connected station's protocol has no words for, a text too long or so."""
        errors = []
        for write in writes:
            try:
                self.queue.desk.check(station_id, SetVariables((write,)))
            except InvalidCommand as error:
                message = hide_in_text(error.detail)
                errors.append((write.name, message))
        if errors:
            raise InvalidWrite.of(errors, joint=": ")

    async def _send(
        self,
        station_id: int,
        command: SetVariables | GetVariables,
        actor: str,
        *,
        durable: bool,
        wait: timedelta | None = None,
    ) -> Delivery:
        if durable:
            expires_at = self.queue.expiry(wait)
            return await self.queue.send(station_id, command, actor, expires_at=expires_at)
        sent = await send_at_once(self.queue, station_id, command, actor)
        return Delivery(*sent, CommandOutcome.ANSWERED)

    async def read(
        self, identity: str, names: Sequence[VariableName], actor: str
    ) -> tuple[list[VariableReported], list[VariableName]]:
        """Ask the station for these; return what it told and what it does not have.

        What it neither told nor denied is in neither: it may be write-only (B06.FR.09). Raises as
        CommandDesk.send.
        """
        again = duplicates(names)
        if again:
            raise InvalidInput(f"{again[0].path} is named twice.")
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
            known = (await read_known(connection, [station.id], ()))[station.id]
        told: list[VariableReported] = []
        unsupported: list[VariableName] = []
        for chunk in split(names, request_limit(known, "GetVariables")):
            sent = await self._send(station.id, GetVariables(chunk), actor, durable=False)
            for report in _reports_of(sent.answer):
                if isinstance(report, VariablesReported):
                    told += report.variables
                    unsupported += report.unsupported
        return told, unsupported

    async def read_everything(self, identity: str, actor: str) -> int:
        """Ask for a report of all variables; return its number. Raises as CommandDesk.send."""
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
        number, _ = await self.inventory.ask(station.id, actor)
        return number

    async def command_unsupported(self, subject: str, _payload: dict[str, Any]) -> None:
        """Mark what a station cannot even be asked for or told, as a station would. Repeatable."""
        async with self.database.write() as connection:
            query = select(station_commands).where(station_commands.c.id == UUID(subject))
            row = (await connection.execute(query)).one_or_none()
            command = None if row is None else restore(row.action, row.payload, raw=row.raw)
            if row is None or not isinstance(command, SetVariables):
                return
            # One name may be at fault for all of them: so only a request of one tells anything.
            if len(command.writes) == 1:
                await _mark_unsupported(connection, row.station_id, command.writes[0].name)

    async def station_booted(self, subject: str) -> None:
        """Read anew what was to take effect at the boot: the station's value is the truth now."""
        station_id = int(subject)
        async with self.database.write() as connection:
            names = await _settle_pending(connection, station_id)
            if not names:
                return
            known = (await read_known(connection, [station_id], ()))[station_id]
            for chunk in split(names, request_limit(known, "GetVariables")):
                await self.queue.add(
                    connection,
                    station_id,
                    GetVariables(chunk),
                    REQUESTED_BY,
                    expires_at=self.queue.expiry(),
                )
        self.queue.kick(station_id)


async def _settle_pending(connection: AsyncConnection, station_id: int) -> list[VariableName]:
    variables = station_variables.c
    booted_at = (
        select(charging_stations.c.booted_at)
        .where(charging_stations.c.id == station_id)
        .scalar_subquery()
    )
    settled = await connection.execute(
        update(station_variables)
        .where(variables.station_id == station_id, variables.pending_at < booted_at)
        .values(pending_value=None, pending_at=None)
        .returning(station_variables)
    )
    # What is write-only cannot be read.
    return [name_of(row) for row in settled if row.mutability != "WriteOnly"]


async def _mark_unsupported(
    connection: AsyncConnection, station_id: int, name: VariableName
) -> None:
    row = name_row(station_id, name)
    await connection.exec_driver_sql(MARK_UNSUPPORTED.sql, tuple([value] for value in row))


def _check(writes: Sequence[VariableWrite], known: Mapping[str, Variable]) -> None:
    errors = [(name, "is named twice") for name in duplicates(write.name for write in writes)]
    for write in writes:
        problem = refused_write(write, known.get(write.name.key))
        if problem is not None:
            errors.append((write.name, problem))
    if errors:
        raise InvalidWrite.of(errors)


def _reports_of(answer: CommandAnswer | None) -> tuple[Any, ...]:
    return answer.told if answer is not None and isinstance(answer.told, tuple) else ()


def _effect_untold(sent: Delivery) -> str:
    """Say what became of a write of which the station told nothing."""
    if sent.answer is not None:
        return "unknown"
    waits = sent.outcome in {CommandOutcome.QUEUED, CommandOutcome.PENDING}
    return "waiting" if waits else sent.outcome.value


def _results(chunk: Sequence[VariableWrite], sent: Delivery) -> list[WriteResult]:
    told: dict[str, Any] = {}
    for report in _reports_of(sent.answer):
        if isinstance(report, VariablesWritten):
            told |= {outcome.name.key: outcome for outcome in report.outcomes}
    results = []
    for write in chunk:
        outcome = told.get(write.name.key)
        results.append(
            WriteResult(
                write.name,
                write.value,
                _effect_untold(sent) if outcome is None else outcome.effect.value,
                None if outcome is None else outcome.status,
                sent.command_id,
            )
        )
    return results


def _failed(write: VariableWrite, error: ChargeHubError) -> WriteResult:
    command_id = error.facts.get("command_id")
    return WriteResult(
        write.name,
        write.value,
        "failed",
        command_id=UUID(command_id) if command_id else None,
        error=error.code,
    )
