"""The one worker: acts on due rows when their time has come, and on outbox rows as they come.

At least once each: a row goes only after its action succeeded, so actions must be repeatable. An
action that keeps failing is tried again later and later and never dropped. What may wait for a
station is a due action done apart, with turns of its own kind; one that waits long goes on without
a turn, so silent stations hold up nobody. No other action may wait for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

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
"""Actions on events under way at once."""
PATIENCE_S = 1.0
"""Wall seconds after which an action done apart has no turn any more: its station is silent. So of
a kind at most `slow_at_once` begin a second, and each ends with its command's time-out at last."""
IDLE_S = 0.5
RETRY_AFTER = (timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1))

RUN = Counter("chargehub_worker_runs_total", "Due rows and outbox rows acted on", ["kind", "end"])
OVERDUE = Gauge("chargehub_worker_overdue", "All due rows whose time has passed, at the last look")


class _Apart(NamedTuple):
    kind: str
    begun_at: float
    task: asyncio.Task[None]


@dataclass(slots=True)
class Worker:
    """Runs in the server's process; features.py tells which kind or topic has which action."""

    database: Database
    clock: HubClock
    due: Mapping[str, DueAction]
    topics: Mapping[str, OutboxAction]
    slow: Mapping[str, DueAction] = field(default_factory=dict)
    """Due actions that may wait for a station's answer."""
    slow_at_once: int = CONCURRENT
    """Turns of each such kind; what is due beyond that waits for one as a row."""
    patience_s: float = PATIENCE_S
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _under_way: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    """Outbox rows being acted on, by seq: a slow one is not begun again and holds no other."""
    _apart: dict[int, _Apart] = field(default_factory=dict)
    """Slow due rows being acted on, by id."""
    _done: list[int] = field(default_factory=list)
    """Outbox rows that were acted on, to be marked together; still among those under way."""

    def start(self) -> None:
        # Two loops, so that no event's action delays a due one.
        self._tasks = [
            asyncio.create_task(self._run(self._run_due), name="worker-due"),
            asyncio.create_task(self._run(self._run_outbox), name="worker-outbox"),
        ]

    async def stop(self) -> None:
        await _end(self._tasks)
        # After the one that starts them.
        await _end([*self._under_way.values(), *(one.task for one in self._apart.values())])
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
        apart = [one.task for one in self._apart.values()]
        await asyncio.gather(*self._under_way.values(), *apart)
        await self._close_events()
        return worked

    async def _run_due(self) -> int:
        """Act on what is due, begin what is slow; return how many rows were acted on or begun."""
        now = self.clock.now()
        overdue = (due_actions.c.due_at <= now) & due_actions.c.id.not_in(list(self._apart))
        full = [kind for kind in self.slow if not self._has_turn(kind)]
        async with self.database.read() as connection:
            rows = (
                await connection.execute(
                    select(due_actions)
                    .where(overdue, due_actions.c.kind.not_in(full))
                    .order_by(due_actions.c.due_at)
                    .limit(BATCH)
                )
            ).all()
            count = len(rows)
            if full or count == BATCH:
                query = select(func.count()).select_from(due_actions).where(overdue)
                count = await connection.scalar(query) or count
        OVERDUE.set(count)
        worked = 0
        for row in rows:
            if row.kind not in self.slow:
                await self._close_due(row, await self._act(self.due, row))
            elif self._has_turn(row.kind):
                task = asyncio.create_task(self._act_apart(row), name=f"due-{row.id}")
                self._apart[row.id] = _Apart(row.kind, time.monotonic(), task)
            else:
                continue
            worked += 1
        return worked

    def _has_turn(self, kind: str) -> bool:
        since = time.monotonic() - self.patience_s
        taken = sum(one.kind == kind and one.begun_at > since for one in self._apart.values())
        return taken < self.slow_at_once

    async def _act_apart(self, row: Any) -> None:
        try:
            await self._close_due(row, await self._act(self.slow, row))
        except Exception:
            # The outcome could not be written down: the row is still due and comes again.
            log.exception("worker_due_not_closed", kind=row.kind, subject=row.subject)
            await asyncio.sleep(IDLE_S)
        finally:
            del self._apart[row.id]

    async def _close_due(self, row: Any, error: str | None) -> None:
        # Scheduled anew while it ran: the row has another time and stays.
        same = (due_actions.c.id == row.id) & (due_actions.c.due_at == row.due_at)
        async with self.database.write() as connection:
            if error is None:
                await connection.execute(delete(due_actions).where(same))
                return
            await connection.execute(
                update(due_actions)
                .where(same)
                .values(
                    attempts=row.attempts + 1,
                    last_error=error,
                    due_at=_retry_at(self.clock.now(), row.attempts),
                )
            )

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
            error = await self._act(self.topics, row, row.topic)
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
        self, actions: Mapping[str, DueAction], row: Any, topic: str | None = None
    ) -> str | None:
        """Run one action; return its error text, or None."""
        kind, subject = topic or row.kind, row.subject
        action = actions.get(kind)
        if action is None:
            RUN.labels(kind, "unknown").inc()
            log.error("worker_unknown_kind", kind=kind, subject=subject)
            return f"no action for {kind}"
        try:
            await action(subject, row.payload)
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
