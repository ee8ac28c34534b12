"""The server as a process: a hub on a migrated database, from its start until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from chargehub.app import Addresses, Hub
from chargehub.kit import migrate
from chargehub.kit.serving import spare_the_collector
from chargehub.settings import Settings


async def serve(
    settings: Settings, database_url: str, *, ready: Callable[[Addresses], None] | None = None
) -> None:
    """Run the server on a database of any schema version until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await asyncio.to_thread(migrate.upgrade, database_url)
    hub = Hub(settings, database_url)
    addresses = await hub.start()
    try:
        if ready is not None:
            ready(addresses)
        spare_the_collector()
        if settings.tls.chains:  # Else a closed terminal ends the server, as ever.
            loop.add_signal_handler(signal.SIGHUP, hub.read_certificates_soon)
        await stopping.wait()
    finally:
        await hub.stop()
