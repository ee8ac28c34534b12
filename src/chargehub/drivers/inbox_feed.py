"""Who watches an inbox, and the stream they read: messages by their number, resumed by it.

It holds nothing per reader but an event to wake it; what a reader missed is read from the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import Row

from chargehub.drivers.inbox import count_unread, read_delivered, read_newest_seq
from chargehub.kit.db import Database
from chargehub.kit.event_stream import RETRY, StreamLimit

log = structlog.get_logger(__name__)

PAGE = 50

STREAMS = Gauge("chargehub_inbox_streams", "Inbox streams open")
STALLED = Counter("chargehub_inbox_streams_stalled_total", "Readers let go who read nothing")


class InboxFeed:
    """Made by features.py; `stop` ends every stream."""

    def __init__(
        self,
        database: Database,
        *,
        streams_max: int = 2_000,
        streams_of_driver: int = 5,
        beat_s: float = 15.0,
        login_check_s: float = 60.0,
        stall_s: float = 30.0,
    ) -> None:
        self.database = database
        self.closed = False
        self.beat_s = beat_s
        self.login_check_s = login_check_s
        self.stall_s = stall_s
        self.limit = StreamLimit(
            "inbox_streams", STREAMS, most=streams_max, most_of_driver=streams_of_driver
        )
        self._news: dict[UUID, asyncio.Event] = {}

    @contextmanager
    def attached(self, driver_id: UUID) -> Iterator[None]:
        """Count a reader in and out."""
        try:
            with self.limit.attached(driver_id):
                yield
        finally:
            if not self.limit.has(driver_id):
                self._news.pop(driver_id, None)

    def wake(self, driver_id: UUID) -> None:
        news = self._news.pop(driver_id, None)
        if news is not None:
            news.set()

    def news(self, driver_id: UUID) -> asyncio.Event:
        """Return what is set at the driver's next message, or at the end."""
        return self._news.setdefault(driver_id, asyncio.Event())

    def stalled(self) -> None:
        STALLED.inc()
        log.info("inbox_reader_stalled", stall_s=self.stall_s)

    def stop(self) -> None:
        """End every stream; call it before the HTTP server waits for its connections to end."""
        self.closed = True
        for driver_id in list(self._news):
            self.wake(driver_id)


@dataclass(slots=True)
class InboxReader:
    """One stream of a driver: its place, and whether its login still holds."""

    feed: InboxFeed
    driver_id: UUID
    login_good: Callable[[], Awaitable[bool]]
    write: Callable[[Row[Any]], bytes]
    seq: int = 0

    async def events(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Yield what is after the reader's place, and what comes, while its login lives."""
        loop = asyncio.get_running_loop()
        feed = self.feed
        check_at = loop.time() + feed.login_check_s
        yield RETRY + await self._take_place(last_event_id)
        while not feed.closed:
            # Taken before the table is read: what comes meanwhile sets it.
            news = feed.news(self.driver_id)
            text = await self._read()
            if text or loop.time() >= check_at:
                if not await self.login_good():
                    return
                check_at = loop.time() + feed.login_check_s
            if text:
                yield text
                continue
            try:
                async with asyncio.timeout(feed.beat_s):
                    await news.wait()
            except TimeoutError:
                yield b": beat\n\n"

    async def _take_place(self, last_event_id: str | None) -> bytes:
        async with self.feed.database.read() as connection:
            newest = await read_newest_seq(connection, self.driver_id)
            unread = await count_unread(connection, self.driver_id)
        known = _seq(last_event_id)
        # An id that was never given (another hub's, of a lost database) leads nowhere.
        self.seq = newest if known is None or known > newest else known
        return b'id: %d\nevent: state\ndata: {"unread":%d}\n\n' % (self.seq, unread)

    async def _read(self) -> bytes:
        async with self.feed.database.read() as connection:
            rows = await read_delivered(connection, self.driver_id, self.seq, PAGE)
        if rows:
            self.seq = rows[-1].seq
        return b"".join(b"id: %d\ndata: %s\n\n" % (row.seq, self.write(row)) for row in rows)


def _seq(event_id: str | None) -> int | None:
    text = event_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
