"""The live view of one charge as server-sent events, every few seconds.

Rows are read when a charge's row has changed; the values between come from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import Row

from chargehub.charging.service import Charging
from chargehub.charging.views import charge_view
from chargehub.kit.errors import NotFound
from chargehub.kit.event_stream import RETRY

log = structlog.get_logger(__name__)

EVERY_S = 3.0
LOGIN_CHECK_S = 60.0
STALL_S = 30.0

STALLED = Counter("chargehub_charge_streams_stalled_total", "Readers let go who read nothing")


async def charge_events(
    charging: Charging,
    driver_id: UUID,
    charge_id: UUID,
    read: Callable[[], Awaitable[Row[Any]]],
    login_good: Callable[[], Awaitable[bool]],
    *,
    every_s: float = EVERY_S,
    login_check_s: float = LOGIN_CHECK_S,
) -> AsyncIterator[bytes]:
    """Yield the charge as it is now and whenever it has changed, until it is over.

    `read` raises NotFound when it is no longer the driver's: an account has taken a guest's over.
    """
    loop = asyncio.get_running_loop()
    check_at = loop.time() + login_check_s
    yield RETRY
    with charging.watch.following(charge_id, driver_id) as news:
        try:
            row = await read()
        except NotFound:
            return
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
                try:
                    row = await read()
                except NotFound:
                    return


def stalled() -> None:
    STALLED.inc()
    log.info("charge_reader_stalled", stall_s=STALL_S)
