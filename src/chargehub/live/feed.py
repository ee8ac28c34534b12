"""Keeps the board fed and its viewers awake: listens, loads, flushes, counts viewers.

It holds nothing per viewer; a viewer is a coroutine in `stream` with one integer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter, Gauge

from chargehub.kit.errors import ChargeHubError
from chargehub.kit.events import EventBus
from chargehub.live.board import Board
from chargehub.live.facts import HubFacts
from chargehub.live.frames import Topics
from chargehub.stations.events import (
    ConnectorStatusChanged,
    HubLayoutChanged,
    StationOnline,
    StationWentOffline,
)
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

log = structlog.get_logger(__name__)

EventT = TypeVar("EventT")
LOOK_AT_HOLDS_S = 1.0

VIEWERS = Gauge("chargehub_live_viewers", "Viewers connected to the live stream")
VIEWERS_REFUSED = Counter(
    "chargehub_live_viewers_refused_total", "Viewers refused because of the limit"
)
FRAMES = Counter("chargehub_live_frames_total", "Frames made from changes")


class TooManyViewers(ChargeHubError):
    """Too many viewers are connected to the live stream; try again later."""

    code = "too-many-viewers"
    status = 503


class LiveFeed:
    """`listen` before the gateway opens (features.py), `start` when the database is up (app.py)."""

    def __init__(
        self,
        board: Board,
        load: Callable[[], Awaitable[HubFacts]],
        *,
        max_viewers: int,
        read_held: Callable[[], Awaitable[frozenset[tuple[int, int]]]] | None = None,
        flush_s: float = 0.2,
        beat_s: float = 2.0,
        stall_s: float = 30.0,
        reload_s: float = 5.0,
    ) -> None:
        self.board = board
        self.closed = False
        self.viewers = 0
        self.beat_s = beat_s
        self.stall_s = stall_s
        self._load = load
        self._max_viewers = max_viewers
        self._flush_s = flush_s
        self._reload_s = reload_s
        self._read_held = read_held
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # While the database is read, events wait here and are applied on top of what was read.
        self._held: list[tuple[Callable[[Any], None], object]] | None = None

    def listen(self, bus: EventBus) -> None:
        board = self.board
        self._subscribe(bus, StationOnline, board.station_online)
        self._subscribe(bus, StationWentOffline, board.station_went_offline)
        self._subscribe(bus, ConnectorStatusChanged, board.connector_status_changed)
        self._subscribe(bus, HubLayoutChanged, board.layout_changed)
        self._subscribe(bus, TransactionStarted, board.transaction_started)
        self._subscribe(bus, TransactionProgressed, board.transaction_progressed)
        self._subscribe(bus, TransactionEnded, board.transaction_ended)

    def _subscribe(
        self, bus: EventBus, kind: type[EventT], apply: Callable[[EventT], None]
    ) -> None:
        def listener(event: EventT) -> None:
            if self._held is None:
                apply(event)
            else:
                self._held.append((apply, event))

        bus.subscribe(kind, listener)

    async def start(self) -> None:
        await self.reload()
        self._task = asyncio.create_task(self._run(), name="live-feed")

    async def stop(self) -> None:
        """End every stream; call it before the HTTP server waits for its connections to end."""
        self.closed = True
        self._wake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def reload(self) -> None:
        """Read the database again and put the events that came meanwhile on top."""
        self._held = []
        try:
            await self.look_at_holds()
            self.board.load(await self._load())
        finally:
            held, self._held = self._held, None
            for apply, event in held:
                apply(event)
        self._wake()

    async def look_at_holds(self) -> None:
        """Let the board know which EVSEs are reserved for somebody now."""
        if self._read_held is not None:
            self.board.set_held(await self._read_held())

    def check_room(self) -> None:
        """Raise TooManyViewers when one more would exceed the limit."""
        if self.viewers >= self._max_viewers:
            VIEWERS_REFUSED.inc()
            raise TooManyViewers(limit=self._max_viewers, retry_after_s=10)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Count a viewer in and out."""
        if self.viewers == 0:
            # Nobody watched, so nothing was flushed.
            self.board.flush()
        self.viewers += 1
        VIEWERS.inc()
        try:
            yield
        finally:
            self.viewers -= 1
            VIEWERS.dec()

    def catch_up(self, cursor: int | None, topics: Topics) -> tuple[bytes, int]:
        """Return what a viewer at `cursor` misses, and its new cursor."""
        return self.board.catch_up(cursor, topics), self.board.ring.seq

    async def news(self, cursor: int, timeout_s: float) -> None:
        """Wait until there is something after `cursor`, or the feed ends, or the time is up."""
        if self.closed or self.board.ring.seq != cursor:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            pass

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        reload_at = held_at = 0.0
        while True:
            await asyncio.sleep(self._flush_s)
            try:
                # Also while nobody watches: the snapshot over HTTP needs no viewer.
                self.board.notice_midnight()
                if self.board.outdated and loop.time() >= reload_at:
                    reload_at = loop.time() + self._reload_s
                    await self.reload()
                # Holds begin and end by the clock, so no event tells of them.
                if loop.time() >= held_at:
                    held_at = loop.time() + LOOK_AT_HOLDS_S
                    await self.look_at_holds()
                # With nobody watching, changed keys wait: there are never more than keys.
                if self.viewers and self.board.flush():
                    FRAMES.inc()
                    self._wake()
            except Exception:
                log.exception("live_flush_failed")
