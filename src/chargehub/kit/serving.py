"""How the process serves: uvicorn without a say in signals, less garbage, more open files."""

from __future__ import annotations

import asyncio
import gc
import resource
from contextlib import nullcontext
from typing import Any

import structlog
import uvicorn

log = structlog.get_logger(__name__)


def spare_the_collector() -> None:
    """Keep what lives as long as the process out of garbage collection.

    A thousand connections are a million objects; collecting often among them costs a tenth of the
    server's CPU and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def allow_descriptors(needed: int) -> int:
    """Raise the process's limit of open files as far as needed and allowed; return the limit.

    The usual soft limit of 1,024 is less than the stations of a few hubs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    allowed = needed if hard == unlimited else min(needed, hard)
    if soft != unlimited and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft != unlimited and soft < needed:
        log.warning("few_file_descriptors", allowed=soft, needed=needed)
    return needed if soft == unlimited else soft


class QuietServer(uvicorn.Server):
    """Leaves the process's signals to `serve`, which stops all parts in order."""

    def capture_signals(self) -> Any:
        return nullcontext()


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
