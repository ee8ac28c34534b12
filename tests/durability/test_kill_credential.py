"""The server killed between telling a station its new password and hearing what it says to that."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from chargehub.access.rules import Role
from chargehub.kit.db import Database
from tests.durability.server import LOGIN, PASSWORD, Server, create_killer
from tests.hub_fixtures import V16, Station, basic_auth

OLD = "the-password-it-came-with"


async def come(server: Server, identity: str, password: str | bytes) -> Station:
    socket = await connect(
        f"{server.ocpp_url()}/{identity}",
        subprotocols=[Subprotocol(V16)],
        additional_headers=basic_auth(identity, password),
        proxy=None,
    )
    return Station(socket, identity, V16)


async def opens(server: Server, identity: str, password: str | bytes) -> bool:
    try:
        station = await come(server, identity, password)
    except InvalidStatus:
        return False
    # Served, so it has been written down.
    await station.call("Heartbeat", {})
    await station.leave()
    return True


async def tell(client: httpx.AsyncClient, station: Station) -> tuple[asyncio.Task[object], str]:
    """Ask for a change; return the request under way and the password that the station was told."""
    path = f"/charging-stations/{station.identity}/credential/change"
    asking: asyncio.Task[object] = asyncio.create_task(client.post(path))
    while True:
        call = await station.asked()
        if call[2] == "ChangeConfiguration":
            return asking, call[3]["value"]
        await station.reply(call, {"configurationKey": []})


async def test_statement_16_after_a_crash_both_work_until_one_is_used(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    server = Server(database_url, tmp_path / "server.log")
    await server.start()
    try:
        await create_killer(database, Role.ADMIN)
        base = f"{server.api_url}/api/v1"
        async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            answer = await client.post("/login", json={"login": LOGIN, "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
            stations = [await come(server, identity, OLD) for identity in ("TOOK-IT", "DID-NOT")]
            for station in stations:
                await station.boot()
            told = [await tell(client, station) for station in stations]
            await server.end(signal.SIGKILL)
            await asyncio.gather(*(asking for asking, _ in told), return_exceptions=True)
        await server.start()
        took_it, did_not = (bytes.fromhex(fresh) for _, fresh in told)
        assert await opens(server, "TOOK-IT", took_it)
        assert not await opens(server, "TOOK-IT", OLD)
        assert await opens(server, "DID-NOT", OLD)
        assert not await opens(server, "DID-NOT", did_not)
    finally:
        await server.end(signal.SIGTERM)
