"""A stream of server-sent events that gives up on a reader who reads nothing, and how many may be.

Nothing is queued: what a reader does not take stops its own coroutine at the full socket. What the
events say, and who may see them, is the features' matter.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

from prometheus_client import Gauge
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from chargehub.kit.errors import ChargeHubError
from chargehub.kit.http import TooManyRequests
from chargehub.kit.metrics import limit_counter

# The browser waits this long before it connects again by itself.
RETRY_MS = 2000
RETRY = b"retry: %d\n\n" % RETRY_MS


class TooManyStreams(ChargeHubError):
    """Too many streams of this kind are open; try again later."""

    code = "too-many-streams"
    status = 503


class StreamLimit:
    """Counts the drivers' open streams of one kind, and refuses what exceeds the settings.

    `setting` is the limit in all, by its name in the settings; `<setting>_of_driver` that of one
    driver, without which one of them could leave the others none.
    """

    def __init__(self, setting: str, gauge: Gauge, *, most: int, most_of_driver: int) -> None:
        self.most = most
        self.most_of_driver = most_of_driver
        self._gauge = gauge
        self._refused = limit_counter(setting)
        self._refused_of_driver = limit_counter(f"{setting}_of_driver")
        self._open: Counter[UUID] = Counter()

    @property
    def streams(self) -> int:
        return self._open.total()

    def check_room(self, driver_id: UUID) -> None:
        """Raise TooManyRequests or TooManyStreams when one more would exceed a limit."""
        if self._open[driver_id] >= self.most_of_driver:
            self._refused_of_driver.inc()
            raise TooManyRequests("Close another stream of yours first.", retry_after_s=30)
        if self.streams >= self.most:
            self._refused.inc()
            raise TooManyStreams(retry_after_s=30)

    @contextmanager
    def attached(self, driver_id: UUID) -> Iterator[None]:
        """Count a reader in and out."""
        self._open[driver_id] += 1
        self._gauge.inc()
        try:
            yield
        finally:
            self._gauge.dec()
            self._open[driver_id] -= 1
            if not self._open[driver_id]:
                del self._open[driver_id]

    def has(self, driver_id: UUID) -> bool:
        """Whether the driver has any stream open."""
        return driver_id in self._open


class EventStream(StreamingResponse):
    """Is counted by `attached` while it streams; `stalled` hears of a reader that is let go."""

    media_type = "text/event-stream"

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        attached: Callable[[], AbstractContextManager[None]],
        stall_s: float,
        stalled: Callable[[], None],
    ) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._attached = attached
        self._stall_s = stall_s
        self._stalled = stalled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._attached():
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            # The answer stays unfinished, at which the HTTP server closes the connection.
            self._stalled()
