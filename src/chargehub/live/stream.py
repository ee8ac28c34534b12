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

from chargehub.kit.event_stream import RETRY, EventStream
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import Topics

log = structlog.get_logger(__name__)

LoginCheck = Callable[[], Awaitable[bool]]
"""True while the login that opened the stream is still good."""

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
    yield RETRY
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


class LiveResponse(EventStream):
    """Counts its viewer while it streams and gives up on one that reads nothing for too long."""

    def __init__(self, content: AsyncIterator[bytes], feed: LiveFeed) -> None:
        def stalled() -> None:
            VIEWERS_STALLED.inc()
            log.info("live_viewer_stalled", stall_s=feed.stall_s)

        super().__init__(content, attached=feed.attached, stall_s=feed.stall_s, stalled=stalled)
