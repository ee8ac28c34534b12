"""The command desk: every command to a station is a row before it leaves and after it returns.

Two short transactions around the station's round trip, none during it. What was pending when the
server died is closed as `unknown` at the next start; reconciling it is the business of whoever
asked.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit.clean import clean_json
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.secrets import hide_in_text, redacted
from chargehub.stations.commands import (
    ChangeCredential,
    Command,
    CommandAnswer,
    RawCommand,
    StationLink,
    StationOffline,
    StationTimeout,
)
from chargehub.stations.store import charging_stations, station_commands

log = structlog.get_logger(__name__)

STORE_AGAIN_S = 1.0

WithPending = Callable[[AsyncConnection, UUID], Awaitable[None]]
"""Writes what must exist whenever the command does, in the transaction that records it."""


class CommandDesk:
    def __init__(self, database: Database, link: StationLink, clock: HubClock) -> None:
        self._database = database
        self._link = link
        self._clock = clock
        self._insisting: set[asyncio.Task[None]] = set()
        """Outcomes that could not be stored yet."""

    async def stop(self) -> None:
        """Give up on outcomes that cannot be stored; the next start closes them as unknown."""
        for task in self._insisting:
            task.cancel()
        await asyncio.gather(*self._insisting, return_exceptions=True)

    def online_ids(self) -> frozenset[int]:
        return self._link.online_ids()

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
        await self._begin(
            {
                "id": command_id,
                "station_id": station_id,
                "action": action_of(command),
                "payload": redacted(payload_of(command)),
                "requested_by": requested_by,
                "requested_at": self._clock.now(),
                "remote_start_id": remote_start_id,
                "transaction_id": transaction_id,
                "evse_no": evse_no,
                "id_token": id_token,
            },
            with_pending,
        )
        try:
            answer = await self._link.send(station_id, command)
        except ChargeHubError as error:
            # A station's own words may repeat what it was told.
            error.detail, error.facts = hide_in_text(error.detail), redacted(error.facts)
            if isinstance(command, ChangeCredential):
                error.facts.pop("station_detail", None)
            await self._close(command_id, _outcome_of(error), error.code, {"detail": error.detail})
            error.facts["command_id"] = str(command_id)
            raise
        except asyncio.CancelledError:
            # The request was abandoned; whether the station acted is not known.
            await asyncio.shield(self._close(command_id, "unknown", None, None))
            raise
        except Exception:
            await self._close(command_id, "failed", ChargeHubError.code, None)
            raise
        if isinstance(command, ChangeCredential):
            # Only its word: the rest may hold the password, under any name.
            await self._close(command_id, "answered", answer.told or answer.status, None)
        else:
            await self._close(command_id, "answered", answer.status, answer.payload)
        return command_id, answer

    async def _begin(self, values: dict[str, Any], with_pending: WithPending | None) -> None:
        try:
            await self._record_pending(values, with_pending)
        except Exception:
            # Where only the answer to COMMIT was lost, the row is there and waits for ever.
            self._insist_on(values["id"], {"outcome": "failed", "completed_at": self._clock.now()})
            raise

    async def _record_pending(
        self, values: dict[str, Any], with_pending: WithPending | None
    ) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(station_commands).values(values))
            if with_pending is not None:
                await with_pending(connection, values["id"])
            identity = await connection.execute(
                select(charging_stations.c.identity).where(
                    charging_stations.c.id == values["station_id"]
                )
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

    async def _close(
        self, command_id: UUID, outcome: str, status: str | None, answer: dict[str, Any] | None
    ) -> None:
        """Store how a command ended. Where the database is away this goes on trying, and raises."""
        ended = {
            "outcome": outcome,
            "status": status,
            "answer": redacted(clean_json(answer)),
            "completed_at": self._clock.now(),
        }
        try:
            await self._store_end(command_id, ended)
        except Exception:
            self._insist_on(command_id, ended)
            raise

    def _insist_on(self, command_id: UUID, ended: dict[str, Any]) -> None:
        task = asyncio.create_task(self._insist(command_id, ended), name="command-end")
        self._insisting.add(task)
        task.add_done_callback(self._insisting.discard)

    async def _insist(self, command_id: UUID, ended: dict[str, Any]) -> None:
        while True:
            await asyncio.sleep(STORE_AGAIN_S)
            try:
                await self._store_end(command_id, ended)
            except Exception as error:  # noqa: BLE001  Whatever it was, the row says pending still.
                log.warning("command_end_not_stored", command_id=str(command_id), why=repr(error))
            else:
                return

    async def _store_end(self, command_id: UUID, ended: dict[str, Any]) -> None:
        async with self._database.write() as connection:
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


async def close_pending_as_unknown(connection: AsyncConnection, at: datetime) -> list[UUID]:
    """Close, at start-up, what a dead server left open; return the ids to be reconciled."""
    rows = await connection.execute(
        update(station_commands)
        .where(station_commands.c.outcome == "pending")
        .values(outcome="unknown", completed_at=at)
        .returning(station_commands.c.id)
    )
    return [row.id for row in rows]


def action_of(command: Command) -> str:
    return command.action if isinstance(command, RawCommand) else type(command).__name__


def payload_of(command: Command) -> dict[str, Any]:
    if isinstance(command, RawCommand):
        return command.payload
    return {key: _plain(value) for key, value in dataclasses.asdict(command).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _outcome_of(error: ChargeHubError) -> str:
    if isinstance(error, StationOffline):
        return "offline"
    return "timeout" if isinstance(error, StationTimeout) else "failed"
