"""One viewer's stream: a coroutine with one integer, writing the ring's shared bytes.

Nothing is queued here. A viewer that reads slowly is stopped by its own full socket and finds a
snapshot when it wakes; one that reads nothing is let go.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from prometheus_client import Counter
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from chargehub.live.feed import LiveFeed
from chargehub.live.frames import Topics

log = structlog.get_logger(__name__)

LoginCheck = Callable[[], Awaitable[bool]]
"""True while the login that opened the stream is still good."""

# The browser waits this long before it connects again by itself.
RETRY_MS = 2000
LOGIN_CHECK_S = 60.0
SEND_BUFFER_BYTES = 32 * 1024

VIEWERS_STALLED = Counter(
    "chargehub_live_viewers_stalled_total", "Viewers let go because they read nothing"
)


def prepare_listening_socket(listener: socket.socket, stall_s: float = 30.0) -> None:
    """Keep the kernel from hiding stale frames, and from keeping a reader that is gone.

    Accepted sockets inherit both. By default the kernel buffers megabytes, at our rate half an
    hour of frames. Closing a connection waits for its buffer to drain, which a peer that reads
    nothing never allows: after `stall_s` without progress the kernel drops it.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stall_s * 1000))


async def frames(
    feed: LiveFeed,
    topics: Topics,
    last_event_id: str | None,
    login_good: LoginCheck,
    login_check_s: float = LOGIN_CHECK_S,
) -> AsyncIterator[bytes]:
    """Yield what brings the viewer up to date, for as long as the feed and its login live."""
    loop = asyncio.get_running_loop()
    check_at = loop.time() + login_check_s
    cursor = feed.board.ring.cursor(last_event_id)
    yield b"retry: %d\n\n" % RETRY_MS
    said_at = -feed.beat_s
    while not feed.closed:
        if loop.time() >= check_at:
            if not await login_good():
                return
            check_at = loop.time() + login_check_s
        text, cursor = feed.catch_up(cursor, topics)
        if not text and loop.time() - said_at >= feed.beat_s:
            text = feed.board.beat_event()
        if text:
            yield text
            said_at = loop.time()
        await feed.news(cursor, feed.beat_s)


class LiveResponse(StreamingResponse):
    """Counts its viewer while it streams and gives up on one that reads nothing for too long."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes], feed: LiveFeed) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feed.attached():
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._feed.stall_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            # The answer stays unfinished, at which the HTTP server closes the connection.
            VIEWERS_STALLED.inc()
            log.info("live_viewer_stalled", stall_s=self._feed.stall_s)
