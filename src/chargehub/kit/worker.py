"""The one worker: acts on due rows when their time has come, and on outbox rows as they come.

At least once each: a row goes only after its action succeeded, so actions must be repeatable. An
action that keeps failing is tried again later and later and never dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import delete, func, select, true, update

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.jobs import due_actions, outbox
from chargehub.kit.secrets import hide_in_text

log = structlog.get_logger(__name__)

Payload = dict[str, Any]
DueAction = Callable[[str, Payload], Awaitable[None]]
"""Takes the row's subject and payload."""
OutboxAction = Callable[[str, Payload], Awaitable[None]]

BATCH = 200
CONCURRENT = 16
"""Actions on events under way at once. They wait for stations, most of them, and hold no database
connection meanwhile; so more of them than the pool has connections do not use it up."""
IDLE_S = 0.5
RETRY_AFTER = (timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1))

RUN = Counter("chargehub_worker_runs_total", "Due rows and outbox rows acted on", ["kind", "end"])
OVERDUE = Gauge("chargehub_worker_overdue", "All due rows whose time has passed, at the last look")


@dataclass(slots=True)
class Worker:
    """Runs in the server's process; wiring of kinds and topics to actions is app.py's."""

    database: Database
    clock: HubClock
    due: Mapping[str, DueAction]
    topics: Mapping[str, OutboxAction]
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _under_way: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    """Outbox rows being acted on, by seq: a slow one is not begun again and holds no other."""
    _done: list[int] = field(default_factory=list)
    """Outbox rows that were acted on, to be marked together; still among those under way."""

    def start(self) -> None:
        # Apart, so that a station that is slow to answer an event's command delays no due action.
        self._tasks = [
            asyncio.create_task(self._run(self._run_due), name="worker-due"),
            asyncio.create_task(self._run(self._run_outbox), name="worker-outbox"),
        ]

    async def stop(self) -> None:
        await _end(self._tasks)
        # After the one that starts them.
        await _end(list(self._under_way.values()))
        try:
            await self._close_events()
        except Exception:
            log.exception("worker_events_not_closed", events=len(self._done))

    @property
    def alive(self) -> bool:
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def _run(self, work: Callable[[], Awaitable[int]]) -> None:
        while True:
            try:
                worked = await work()
            except Exception:
                log.exception("worker_round_failed")
                worked = 0
            if not worked:
                await asyncio.sleep(IDLE_S)

    async def run_once(self) -> int:
        """Act on what is due now; return how many rows were acted on."""
        worked = await self._run_due() + await self._run_outbox()
        await asyncio.gather(*self._under_way.values())
        await self._close_events()
        return worked

    async def _run_due(self) -> int:
        now = self.clock.now()
        async with self.database.read() as connection:
            rows = (
                await connection.execute(
                    select(due_actions)
                    .where(due_actions.c.due_at <= now)
                    .order_by(due_actions.c.due_at)
                    .limit(BATCH)
                )
            ).all()
            overdue = len(rows)
            if overdue == BATCH:
                overdue = (
                    await connection.scalar(select(func.count()).where(due_actions.c.due_at <= now))
                    or overdue
                )
        OVERDUE.set(overdue)
        for row in rows:
            error = await self._act(self.due, row.kind, row.subject, row.payload)
            # Scheduled anew while it ran: the row has another time and stays.
            same = (due_actions.c.id == row.id) & (due_actions.c.due_at == row.due_at)
            async with self.database.write() as connection:
                if error is None:
                    await connection.execute(delete(due_actions).where(same))
                    continue
                await connection.execute(
                    update(due_actions)
                    .where(same)
                    .values(
                        attempts=row.attempts + 1,
                        last_error=error,
                        due_at=_retry_at(now, row.attempts),
                    )
                )
        return len(rows)

    async def _run_outbox(self) -> int:
        """Begin what is open, as turns become free; return how many rows were begun or marked."""
        closed = await self._close_events()
        async with self.database.read() as connection:
            rows = (
                await connection.execute(
                    select(outbox)
                    .where(
                        outbox.c.handled_at.is_(None),
                        func.coalesce(outbox.c.retry_at <= self.clock.now(), true()),
                        outbox.c.seq.not_in(list(self._under_way)),
                    )
                    .order_by(outbox.c.seq)
                    .limit(BATCH)
                )
            ).all()
        # Most topics have no action here: they are the event feed's.
        await self._mark_handled([row.seq for row in rows if row.topic not in self.topics])
        for row in rows:
            if row.topic in self.topics:
                closed += await self._wait_for_turn()
                task = asyncio.create_task(self._take_turn(row), name=f"outbox-{row.seq}")
                self._under_way[row.seq] = task
        return closed + len(rows)

    async def _wait_for_turn(self) -> int:
        """Wait until one may begin, marking meanwhile what is done; return how many were marked."""
        closed = 0
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._turns.acquire()
            except TimeoutError:
                closed += await self._close_events()
            else:
                return closed

    async def _take_turn(self, row: Any) -> None:
        acted = False
        try:
            error = await self._act(self.topics, row.topic, row.subject, row.payload)
            acted = error is None
            if error is not None:
                await self._postpone(row, error)
        except Exception:
            # The outcome could not be written down: the row is still open and comes again.
            log.exception("worker_event_not_closed", topic=row.topic, subject=row.subject)
            await asyncio.sleep(IDLE_S)
        finally:
            self._turns.release()
            if acted:
                self._done.append(row.seq)
            else:
                del self._under_way[row.seq]

    async def _postpone(self, row: Any, error: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                update(outbox)
                .where(outbox.c.seq == row.seq)
                .values(
                    attempts=row.attempts + 1,
                    last_error=error,
                    retry_at=_retry_at(self.clock.now(), row.attempts),
                )
            )

    async def _close_events(self) -> int:
        """Mark what was acted on. Where that fails it is tried again, without acting again."""
        done = list(self._done)
        await self._mark_handled(done)
        del self._done[: len(done)]
        for seq in done:
            del self._under_way[seq]
        return len(done)

    async def _mark_handled(self, numbers: list[int]) -> None:
        if not numbers:
            return
        async with self.database.write() as connection:
            await connection.execute(
                update(outbox)
                .where(outbox.c.seq.in_(numbers))
                .values(
                    attempts=outbox.c.attempts + 1,
                    handled_at=self.clock.now(),
                )
            )

    async def _act(
        self, actions: Mapping[str, DueAction], kind: str, subject: str, payload: Payload
    ) -> str | None:
        """Run one action; return its error text, or None."""
        action = actions.get(kind)
        if action is None:
            RUN.labels(kind, "unknown").inc()
            log.error("worker_unknown_kind", kind=kind, subject=subject)
            return f"no action for {kind}"
        try:
            await action(subject, payload)
        except Exception as error:
            RUN.labels(kind, "failed").inc()
            log.exception("worker_action_failed", kind=kind, subject=subject)
            # The database quotes the row it refuses, and a row may hold a secret.
            return hide_in_text(f"{type(error).__name__}: {error}")[:500]
        RUN.labels(kind, "done").inc()
        return None


def _retry_at(now: datetime, attempts: int) -> datetime:
    return now + RETRY_AFTER[min(attempts, len(RETRY_AFTER) - 1)]


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
