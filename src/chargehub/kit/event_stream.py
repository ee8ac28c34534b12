"""A stream of server-sent events that gives up on a reader who reads nothing.

Nothing is queued: what a reader does not take stops its own coroutine at the full socket. What the
events say, and who may see them, is the features' matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

# The browser waits this long before it connects again by itself.
RETRY_MS = 2000
RETRY = b"retry: %d\n\n" % RETRY_MS


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
