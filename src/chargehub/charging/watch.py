"""The watch over drivers' charges: which transactions are theirs, and when a limit is reached.

It listens to what was committed and keeps the newest values of each charge in memory. What it
acts on are rows: it can miss or repeat an event, and at start-up it looks at everything again, so
that no restart forgets a charge or its limits. Nothing of it runs in a batch of the group commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from chargehub.charging import ledger
from chargehub.charging.rules import EndReason, Limits, Progress, reached
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.events import EventBus
from chargehub.transactions.book import Book
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
ASKED_MAX = 1_000
"""So many transactions are asked about in one read."""
ATTEMPTS = 5
"""So often a transaction is looked up in vain before it is left to the next start."""


@dataclass(slots=True)
class Watched:
    """One charge that is going on."""

    charge_id: UUID
    started_at: datetime
    limits: Limits
    stopping: bool
    progress: Progress | None = None
    first_soc_percent: float | None = None


@dataclass(slots=True)
class ChargeWatch:
    """`listen` before the gateway opens (features.py), `start` when it is open (app.py)."""

    database: Database
    clock: HubClock
    book: Book
    stopped: bool = False
    _watched: dict[int, Watched] = field(default_factory=dict)
    """By transaction."""
    _strangers: dict[int, str] = field(default_factory=dict)
    """Open transactions that are no driver's, with the idToken by which they were judged."""
    _news: dict[int, int] = field(default_factory=dict)
    """Transactions whose rows are to be looked at, with how often that failed."""
    _reached: dict[int, EndReason] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _followers: dict[UUID, list[asyncio.Event]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    def listen(self, bus: EventBus) -> None:
        bus.subscribe(TransactionStarted, self._started)
        bus.subscribe(TransactionProgressed, self._progressed)
        bus.subscribe(TransactionEnded, self._ended)

    async def start(self) -> None:
        """Look at everything that may have happened while nobody listened, then go on."""
        async with self.database.read() as connection:
            missed = await ledger.find_unsettled(connection, self.clock.now())
        for number in missed:
            self._news.setdefault(number, 0)
        self._task = asyncio.create_task(self._run(), name="charge-watch")
        self._wake.set()

    async def stop(self) -> None:
        """End the streams and the watch; call it before the HTTP server waits for its own end."""
        self.stopped = True
        for followers in self._followers.values():
            for news in followers:
                news.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def progress_of(self, transaction_id: int | None) -> Watched | None:
        return self._watched.get(transaction_id or 0)

    @contextmanager
    def following(self, *ids: UUID) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever one of these has changed, or the watch ends.

        A charge (its row), or a driver (whose charges are another's now).
        """
        news = asyncio.Event()
        for one in ids:
            self._followers.setdefault(one, []).append(news)
        try:
            yield news
        finally:
            for one in ids:
                self._followers[one].remove(news)
                if not self._followers[one]:
                    del self._followers[one]

    def changed(self, charge_or_driver: UUID) -> None:
        for news in self._followers.get(charge_or_driver, ()):
            news.set()

    def note(self, transaction_id: int) -> None:
        """Have a transaction's row looked at."""
        self._news.setdefault(transaction_id, 0)
        self._wake.set()

    async def idle(self) -> None:
        """Do what is waiting to be done (for tests, and for who needs it done)."""
        while self._news or self._reached or self._looking.locked():
            await self._look()

    # What the bus tells; called after COMMIT, for thousands of samples a second.

    def _started(self, event: TransactionStarted) -> None:
        self.note(event.transaction_id)

    def _ended(self, event: TransactionEnded) -> None:
        self._strangers.pop(event.transaction_id, None)
        self.note(event.transaction_id)

    def _progressed(self, event: TransactionProgressed) -> None:
        watched = self._watched.get(event.transaction_id)
        if watched is None:
            self._consider(event.transaction_id)
            return
        watched.progress = merged(watched.progress, event)
        if watched.first_soc_percent is None:
            watched.first_soc_percent = event.soc_percent
        self._judge(event.transaction_id, watched)

    def _consider(self, transaction_id: int) -> None:
        """A transaction may learn later by whose idToken it is."""
        found = self.book.by_id(transaction_id)
        token = found.id_token if found is not None else None
        if token is not None and self._strangers.get(transaction_id) != token:
            self.note(transaction_id)

    def _judge(self, transaction_id: int, watched: Watched) -> None:
        if watched.stopping:
            return
        now = self.clock.now_about()
        why = reached(watched.limits, watched.progress, watched.started_at, now)
        if why is not None:
            watched.stopping = True
            self._reached[transaction_id] = why
            self._wake.set()

    # What follows, in the watch's own time.

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Exception:
                log.exception("charge_watch_round_failed")
            if self._news or self._reached:
                self._wake.set()
                await asyncio.sleep(AGAIN_S)

    async def _look(self) -> None:
        async with self._looking:  # Two at once would both find a charge missing.
            # Out of the news before they are read: what comes meanwhile has them looked at again.
            asked = {number: self._news.pop(number) for number in list(self._news)[:ASKED_MAX]}
            try:
                theirs = await self._sort_out(asked)
            except BaseException:
                for number, failures in asked.items():
                    self._news.setdefault(number, failures)
                raise
            for number in theirs:
                self._news.setdefault(number, asked[number])
            for number in theirs:
                await self._trying(number, self._news.pop(number, 0))
            await self._ask_stops()

    async def _sort_out(self, asked: Collection[int]) -> list[int]:
        """Return which of the transactions may be a driver's, and leave the others.

        When a hub's stations come back there are many, and most are nobody's.
        """
        if not asked:
            return []
        async with self.database.read() as connection:
            theirs = await ledger.find_of_drivers(connection, self.clock.now(), asked)
        for number in asked:
            if number not in theirs:
                self._leave(number)
        return sorted(theirs)

    def _leave(self, number: int) -> None:
        """Watch a transaction no more, unless it learns of another idToken."""
        self._watched.pop(number, None)
        self._reached.pop(number, None)
        opened = self.book.by_id(number)
        if opened is not None:
            self._strangers[number] = opened.id_token or ""

    async def _ask_stops(self) -> None:
        for number, why in list(self._reached.items()):
            async with self.database.write() as connection:
                charge_id = await ledger.ask_stop(connection, self.clock.now(), number, why)
            self._reached.pop(number, None)
            if charge_id is not None:
                self.changed(charge_id)

    async def _trying(self, number: int, failures: int) -> None:
        try:
            await self._settle(number)
        except (SQLAlchemyError, OSError) as error:
            log.warning("charge_not_settled", transaction_id=number, why=repr(error))
            if failures < ATTEMPTS:
                self._news[number] = failures + 1
                raise

    async def _settle(self, number: int) -> None:
        """Make the charge's row what its transaction's row says."""
        async with self.database.write() as connection:
            found = await ledger.settle(connection, self.clock.now(), number)
        if found is None:
            self._leave(number)
        elif found.over:
            self._watched.pop(number, None)
            self._reached.pop(number, None)
        else:
            known = self._watched.get(number)
            newest = known.progress if known is not None else found.progress
            first = known.first_soc_percent if known is not None else found.first_soc_percent
            watched = Watched(
                found.charge_id, found.started_at, found.limits, found.stopping, newest, first
            )
            self._watched[number] = watched
            self._judge(number, watched)
        if found is not None:
            self.changed(found.charge_id)


def merged(before: Progress | None, event: TransactionProgressed) -> Progress:
    """Return the newest of each value; what is not told stays."""
    told: dict[str, Any] = {
        name: value
        for name in ("power_w", "energy_wh", "soc_percent", "charging_state")
        if (value := getattr(event, name)) is not None
    }
    return replace(before, at=event.at, **told) if before else Progress(event.at, **told)
