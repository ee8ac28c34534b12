"""A running hub, and an operator's REST client, for stations made of the `ocpp` package."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from argon2 import PasswordHasher

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import AccessService
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.http import API_PREFIX
from tests.hub_fixtures import PASSWORD, RunningHub, running_hub


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningHub]:
    async with running_hub(module_database_url) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def operator(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    """An operator who is logged in."""
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    access = AccessService(hub.database, HubClock(ClockPair(0, 0, 1)), passwords=cheap)
    await access.add_operator(login="op", role=Role.OPERATOR, password=PASSWORD, actor="test")
    issued = await access.log_in("op", PASSWORD, address="test")
    async with httpx.AsyncClient(
        base_url=hub.addresses.api_url + API_PREFIX,
        headers={"Authorization": f"Bearer {issued.token}"},
        # No TLS is spoken here: an empty context saves loading every authority.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        trust_env=False,
        timeout=10,
    ) as client:
        yield client
