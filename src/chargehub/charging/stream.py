"""The live view of one charge as server-sent events, every few seconds.

Rows are read when a charge's row has changed; the values between come from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from chargehub.charging.service import Charging
from chargehub.charging.views import charge_view
from chargehub.kit.errors import ChargeHubError

log = structlog.get_logger(__name__)

EVERY_S = 3.0
LOGIN_CHECK_S = 60.0
RETRY_MS = 2000
STALL_S = 30.0


class TooManyCharges(ChargeHubError):
    """Too many charges are watched at once; try again later, or ask for the charge itself."""

    code = "too-many-charge-streams"
    status = 503


async def charge_events(
    charging: Charging,
    charge_id: UUID,
    read: Callable[[], Awaitable[Row[Any]]],
    login_good: Callable[[], Awaitable[bool]],
    *,
    every_s: float = EVERY_S,
    login_check_s: float = LOGIN_CHECK_S,
) -> AsyncIterator[bytes]:
    """Yield the charge as it is now and whenever it has changed, until it is over."""
    loop = asyncio.get_running_loop()
    check_at = loop.time() + login_check_s
    yield b"retry: %d\n\n" % RETRY_MS
    with charging.watch.following(charge_id) as news:
        row = await read()
        while True:
            watched = charging.watch.progress_of(row.transaction_id)
            view = charge_view(row, watched, charging.clock.now())
            over = row.ended_at is not None
            kind = b"over" if over else b"charge"
            yield b"event: %s\ndata: %s\n\n" % (kind, view.model_dump_json().encode())
            if over or charging.watch.stopped:
                return
            try:
                async with asyncio.timeout(every_s):
                    await news.wait()
            except TimeoutError:
                pass
            if loop.time() >= check_at:
                if not await login_good():
                    return
                check_at = loop.time() + login_check_s
            if news.is_set():
                news.clear()
                row = await read()


class ChargeStream(StreamingResponse):
    """Counts its viewer while it streams and gives up on one that reads nothing for too long."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes], charging: Charging) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._charging = charging

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._charging.streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._charging.streams -= 1

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(STALL_S):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            log.info("charge_stream_stalled", stall_s=STALL_S)


def check_room(charging: Charging) -> None:
    if charging.streams >= charging.streams_max:
        raise TooManyCharges(limit=charging.streams_max, retry_after_s=10)
