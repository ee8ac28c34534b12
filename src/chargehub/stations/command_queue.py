"""Commands that wait for their station: kept in order, delivered once, each with an outcome.

A waiting command is a row (`queued`), claimed as `pending` in a transaction of its own before it
leaves. So after a crash it is known that it may have left, and it never leaves twice. The rows are
read and written in `waiting_commands`; what may wait is decided in `durable`; who wants something
sent is above.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.metrics import limit_counter
from chargehub.stations.commands import (
    Command,
    CommandAnswer,
    CommandNotDurable,
    CommandOutcome,
    CommandQueueFull,
    InvalidCommand,
    RawCommand,
    StationNotAccepted,
)
from chargehub.stations.dispatch import (
    CommandDesk,
    action_of,
    payload_of,
    record_command,
)
from chargehub.stations.durable import restore, targets_of, why_not_durable
from chargehub.stations.store import station_connections
from chargehub.stations.waiting_commands import (
    cancel_waiting,
    claim_oldest,
    count_waiting,
    expire_waiting,
    read_next_expiry,
    read_unsent,
    replace_waiting,
)

log = structlog.get_logger(__name__)

DELIVER = "commands.deliver"
"""Due row: the station `subject` may have commands waiting."""
EXPIRE = "commands.expire"
"""Due row: a command for the station `subject` has waited long enough. One row a station."""
RETRY_AFTER = timedelta(seconds=30)
SETTLE_AFTER = timedelta(seconds=10)
"""A station that is back may have to boot first: until then many answer nothing or an error."""

_FULL = limit_counter("queued_commands")
ENDED = Counter("chargehub_queued_commands_total", "Durable commands that ended", ["end"])


class Delivery(NamedTuple):
    """What has become of a durable command by the time its sender hears of it."""

    command_id: UUID
    answer: CommandAnswer | None
    outcome: CommandOutcome
    """`answered`; else `queued`: it waits, `pending`: it has left and was not answered yet, or how
    it ended without leaving: `replaced`, `cancelled`, `expired`."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    waiting: int
    """Commands that may wait for one station."""
    usual: timedelta
    """How long a command waits unless told."""
    longest: timedelta
    at_once: int
    """Stations whose next command is looked up at the same time."""
    answer_within_s: float
    """Wall seconds for which whoever asked waits for the station's answer."""


@dataclass(slots=True)
class CommandQueue:
    database: Database
    desk: CommandDesk
    clock: HubClock
    limits: QueueLimits
    _turns: asyncio.Semaphore = field(init=False)
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _waiters: dict[UUID, asyncio.Future[CommandAnswer | None]] = field(default_factory=dict)
    _settling: set[asyncio.Task[None]] = field(default_factory=set)
    _missed: set[int] = field(default_factory=set)
    """Stations that something was queued for while they had no socket here. Each may be on its way
    in: its connection may have been written down before the command was."""
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.limits.at_once)

    async def stop(self) -> None:
        """End what is under way and begin nothing more: what has left is closed as unknown."""
        self._stopped = True
        tasks = [*self._tasks.values(), *self._settling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Return when nothing is under way to any station."""
        while tasks := [*self._tasks.values(), *self._settling]:
            await asyncio.wait(tasks)
            await asyncio.sleep(0)  # The tasks' own callbacks forget them.

    # Asking ------------------------------------------------------------------------------------

    def expiry(self, wanted: timedelta | None = None) -> datetime:
        """Return until when a command may wait that is asked for now."""
        return self.clock.now() + min(wanted or self.limits.usual, self.limits.longest)

    async def send(
        self,
        station_id: int,
        command: Command,
        requested_by: str,
        *,
        expires_at: datetime | None,
        evse_no: int | None = None,
    ) -> Delivery:
        """Queue a command, and deliver it where the station is here.

        Raises CommandNotDurable, CommandQueueFull and, once it has left, what CommandDesk.send
        raises.
        """
        async with self.database.write() as connection:
            command_id = await self.add(
                connection,
                station_id,
                command,
                requested_by,
                expires_at=expires_at,
                evse_no=evse_no,
            )
        return await self.deliver_now(station_id, command_id)

    async def add(
        self,
        connection: AsyncConnection,
        station_id: int,
        command: Command,
        requested_by: str,
        *,
        expires_at: datetime | None,
        evse_no: int | None = None,
        order_id: UUID | None = None,
    ) -> UUID:
        """Queue a command in the caller's transaction; `deliver_now` or `kick` goes on after it."""
        payload = payload_of(command)
        refused = why_not_durable(command, payload)
        if refused is not None:
            raise CommandNotDurable(refused)
        now, command_id, targets = self.clock.now(), uuid.uuid4(), targets_of(command)
        if expires_at is not None:
            # Before any row of the queue is locked: `expire` takes them in this order.
            await jobs.schedule_earliest(connection, EXPIRE, str(station_id), expires_at)
        if targets:
            replaced = await replace_waiting(connection, station_id, targets, command_id, now)
            ENDED.labels(CommandOutcome.REPLACED).inc(replaced)
        waiting = await count_waiting(connection, station_id)
        # What never expires is ours: one wish an EVSE.
        if expires_at is not None and waiting >= self.limits.waiting:
            _FULL.inc()
            raise CommandQueueFull(waiting=waiting)
        values = {
            "id": command_id,
            "station_id": station_id,
            "action": action_of(command),
            "payload": payload,
            "raw": isinstance(command, RawCommand),
            "requested_by": requested_by,
            "requested_at": now,
            "outcome": CommandOutcome.QUEUED,
            "durable": True,
            "targets": targets,
            "expires_at": expires_at,
            "evse_no": evse_no,
            "order_id": order_id,
        }
        await record_command(connection, values)
        return command_id

    async def cancel(self, station_id: int, command_id: UUID, actor: str) -> Row[Any]:
        """End a command that still waits. Raises NotFound, CommandNotQueued."""
        now = self.clock.now()
        async with self.database.write() as connection:
            row = await cancel_waiting(connection, station_id, command_id, now)
            subject = str(command_id)
            await audit(connection, now, actor, "station.command_cancelled", subject)
        ENDED.labels(CommandOutcome.CANCELLED).inc()
        return row

    # Delivering --------------------------------------------------------------------------------

    def kick(self, station_id: int) -> None:
        """Deliver in the background what waits for the station: now, or at its return.

        Nothing is lost with the task: after a crash the station connects anew, and a due row says
        so (`presence.ConnectHandler`).
        """
        running = self._tasks.get(station_id)
        if running is not None and not running.done():
            # Queue up behind it: it may have looked before the newest row was there.
            running.add_done_callback(lambda _: self._begin(station_id))
            return
        self._begin(station_id)

    def arrived(self, station_id: int) -> None:
        """Look again for what was queued between a connection's record and its taking over.

        Once the station is among those that are here, `kick` finds it itself.
        """
        if station_id in self._missed and not self._stopped:
            self._missed.discard(station_id)
            task = asyncio.create_task(self._settle(station_id), name=f"arrived-{station_id}")
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    def _miss(self, station_id: int) -> None:
        self._missed.add(station_id)
        if station_id in self.desk.online_ids():
            self.arrived(station_id)

    async def _settle(self, station_id: int) -> None:
        try:
            async with self.database.write() as connection:
                # As in `presence.ConnectHandler`, whose row keeps its time.
                due_at = self.clock.now() + SETTLE_AFTER
                await jobs.schedule_once(connection, DELIVER, [station_id], due_at)
        except Exception:
            log.exception("delivery_not_scheduled", station=station_id)
            self._kick_later(station_id)

    def _begin(self, station_id: int) -> None:
        if self._stopped:
            return
        if station_id not in self.desk.online_ids():
            self._miss(station_id)
            return
        running = self._tasks.get(station_id)
        if running is not None and not running.done():
            return
        task = asyncio.create_task(self._deliver(station_id), name=f"deliver-{station_id}")
        self._tasks[station_id] = task
        task.add_done_callback(lambda done: self._forget(station_id, done))

    def _forget(self, station_id: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(station_id) is task:
            del self._tasks[station_id]

    async def deliver_now(self, station_id: int, command_id: UUID) -> Delivery:
        """Deliver what waits for a station that is here; return what it answers to this command."""
        if station_id not in self.desk.online_ids():
            self._miss(station_id)
            return Delivery(command_id, None, CommandOutcome.QUEUED)
        waiter = self._waiters[command_id] = asyncio.get_running_loop().create_future()
        delivering = asyncio.create_task(self.deliver(station_id))
        try:
            await asyncio.wait(
                {waiter, delivering},
                timeout=self.limits.answer_within_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            so_far: CommandOutcome | None = None
            if not waiter.done():
                async with self.database.read() as connection:
                    so_far = await read_unsent(connection, command_id)
            if waiter.done():
                answer = waiter.result()
                so_far = CommandOutcome.QUEUED if answer is None else CommandOutcome.ANSWERED
                return Delivery(command_id, answer, so_far)
            return Delivery(command_id, None, so_far or CommandOutcome.PENDING)
        finally:
            # What is under way goes on without whoever asked.
            delivering.cancel()
            del self._waiters[command_id]

    async def deliver(self, station_id: int) -> None:
        """Deliver what waits for a station and return when nothing is under way to it any more."""
        self.kick(station_id)
        while (task := self._tasks.get(station_id)) is not None and not task.done():
            await asyncio.wait([task])

    async def _deliver(self, station_id: int) -> None:
        """Send what waits for the station, oldest first, until nothing does or it is gone."""
        try:
            while (row := await self._next(station_id)) is not None:
                if not await self._carry_out(row):
                    return
        except Exception:
            # The database is away, most likely; so no due row can be written either.
            log.exception("delivery_failed", station=station_id)
            self._kick_later(station_id)

    def _kick_later(self, station_id: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(RETRY_AFTER.total_seconds(), self.kick, station_id)

    async def _next(self, station_id: int) -> Row[Any] | None:
        # No turn is held while a station is waited for: silent ones would hold up all others.
        async with self._turns:
            if station_id not in self.desk.online_ids():
                return None
            now = self.clock.now()
            async with self.database.write() as connection:
                return await claim_oldest(connection, station_id, now)

    async def _carry_out(self, row: Row[Any]) -> bool:
        """Send one; return whether the next may be tried."""
        waiter = self._waiters.get(row.id)
        command = restore(row.action, row.payload, raw=row.raw)
        try:
            if command is None:
                raise InvalidCommand("What was written down cannot be read any more.")
            answer = await self.desk.carry_out(row.id, row.station_id, command, waits=True)
        except ChargeHubError as error:
            outcome = error.facts.get("outcome", CommandOutcome.FAILED)
            if command is None:
                await self.desk.close(
                    row.id, CommandOutcome.FAILED, error.code, {"detail": error.detail}
                )
            if waiter is not None and not waiter.done():
                if outcome == CommandOutcome.QUEUED:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
            if outcome != CommandOutcome.QUEUED:
                ENDED.labels(outcome).inc()
                return True
            if not isinstance(error, StationNotAccepted):  # That one will boot again.
                await self._retry_later(row.station_id)
            return False
        ENDED.labels(CommandOutcome.ANSWERED).inc()
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)
        return True

    async def _retry_later(self, station_id: int) -> None:
        """Look again soon, where the station should be here; else its return is awaited."""
        due_at = self.clock.now() + RETRY_AFTER
        async with self.database.write() as connection:
            connected = await connection.scalar(
                select(station_connections.c.station_id).where(
                    station_connections.c.station_id == station_id,
                    station_connections.c.disconnected_at.is_(None),
                )
            )
            if connected is None:
                self._miss(station_id)
                return
            await jobs.schedule(connection, DELIVER, str(station_id), due_at)

    # What is due -------------------------------------------------------------------------------

    async def station_due(self, subject: str, _payload: dict[str, Any]) -> None:
        """Deliver to a station that is back, without making other due rows wait. Repeatable."""
        station_id = int(subject)
        if station_id in self.desk.online_ids():
            self.kick(station_id)
        else:
            await self._retry_later(station_id)

    async def expire(self, subject: str, _payload: dict[str, Any]) -> None:
        """End what nobody came for in time. Repeatable."""
        now, station_id = self.clock.now(), int(subject)
        due = jobs.due_actions.c
        row = (due.kind == EXPIRE) & (due.subject == subject)
        async with self.database.write() as connection:
            # A command that is queued meanwhile finds this row as it is afterwards, or none.
            await connection.execute(select(due.id).where(row).with_for_update())
            expired = await expire_waiting(connection, station_id, now)
            next_at = await read_next_expiry(connection, station_id)
            if next_at is None:
                await connection.execute(delete(jobs.due_actions).where(row))
            else:
                # One under way, whose time has passed, may come back unsent.
                due_at = next_at if next_at > now else now + RETRY_AFTER
                await jobs.postpone(connection, EXPIRE, subject, due_at)
        ENDED.labels(CommandOutcome.EXPIRED).inc(expired)
