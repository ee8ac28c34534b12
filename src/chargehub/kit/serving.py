"""How the process serves: uvicorn without a say in signals, and less garbage collection."""

from __future__ import annotations

import asyncio
import gc
from contextlib import nullcontext
from typing import Any

import uvicorn


def spare_the_collector() -> None:
    """Keep what lives as long as the process out of garbage collection.

    A thousand connections are a million objects; collecting often among them costs a tenth of the
    server's CPU and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class QuietServer(uvicorn.Server):
    """Leaves the process's signals to `serve`, which stops all parts in order."""

    def capture_signals(self) -> Any:
        return nullcontext()


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
