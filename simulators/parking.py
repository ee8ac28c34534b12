"""The gateway of the bays beside the fleet: served on a port of this machine, its cars the fleet's.

Who plugs in stands over the sensor; a car that somebody parked by hand stays until they drive it
away.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from simulators.bays import BayGateway, gateway_server
from simulators.clock import Clock
from simulators.fleet import Fleet

LOOK_S = 0.5
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class BayOptions:
    """How the gateway is reached and where it tells; `guns`: device by gun code."""

    port: int
    key: str
    callback: str
    guns: Mapping[str, str]


@asynccontextmanager
async def serving(gateway: BayGateway, port: int) -> AsyncIterator[str]:
    """Serve a gateway, and yield its URL."""
    listening = socket.create_server((HOST, port))
    server = gateway_server(gateway)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="bay-gateway")
    gateway.start()
    try:
        yield f"http://{HOST}:{listening.getsockname()[1]}"
    finally:
        await gateway.stop()
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def parking(options: BayOptions, clock: Clock, fleet: Fleet) -> AsyncIterator[BayGateway]:
    """Run the gateway beside a fleet whose cars stand in its bays."""
    gateway = BayGateway(
        clock, options.key.encode(), options.guns.values(), lambda: options.callback
    )
    async with serving(gateway, options.port):
        gateway.tell_all()
        following = asyncio.create_task(_follow(gateway, options.guns, fleet), name="parking")
        try:
            yield gateway
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(gateway: BayGateway, guns: Mapping[str, str], fleet: Fleet) -> None:
    """Park where the fleet's cars are plugged in, and drive away what was parked so."""
    charging: set[str] = set()
    while True:
        for station in fleet.stations:
            for gun in station.guns:
                device = guns.get(f"{station.identity}-{gun.evse_no}")
                if device is None:
                    continue
                if gun.plugged_in and device not in charging:
                    charging.add(device)
                    gateway.park(device)
                elif not gun.plugged_in and device in charging:
                    charging.remove(device)
                    gateway.leave(device)
        await asyncio.sleep(LOOK_S)
