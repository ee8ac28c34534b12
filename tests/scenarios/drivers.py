"""Drivers on the stage: an account, and what its phone asks of the hub."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from chargehub.drivers.accounts import open_account
from chargehub.drivers.cards import give_card
from chargehub.drivers.logins import DriverLogins
from chargehub.kit.http import API_PREFIX
from tests.scenarios.stage import Stage

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Phone:
    """A driver with their phone in the hand."""

    stage: Stage
    driver_id: UUID
    token: str

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with self._client() as client:
            return await client.request(method, path, **more)

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.ask("POST", path, json=body)
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        async with self._client() as client, client.stream("GET", path) as answer:
            assert answer.status_code == 200
            yield answer.aiter_lines()

    def _client(self) -> httpx.AsyncClient:
        # A new one each time: the server may have been restarted at another port.
        return httpx.AsyncClient(
            base_url=self.stage.addresses.api_url + API_PREFIX,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=NO_TLS,
            trust_env=False,
            timeout=30,
        )

    async def add_card(self, kind: str) -> str:
        """Give the driver another idToken."""
        token = f"CARD-{next(self.stage.numbers):04d}"
        async with self.stage.database.write() as connection:
            await give_card(connection, self.driver_id, token, kind, self.stage.clock.date())
        return token


async def new_phone(stage: Stage, **columns: Any) -> Phone:
    """A new driver, logged in."""
    logins = DriverLogins(stage.database)
    async with stage.database.write() as connection:
        driver_id = await open_account(connection, stage.clock.date(), stage.hub.seal, **columns)
        assert driver_id is not None
        issued = await logins.issue(connection, driver_id, "a phone")
    return Phone(stage, driver_id, issued.token)
