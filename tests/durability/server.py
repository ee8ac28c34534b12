"""The real server as a process that a test may kill, and an operator who may command it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import create_operator
from chargehub.kit.clock import wall_now
from chargehub.kit.db import Database

DEADLINE_S = 60.0
LOGIN, PASSWORD = "killer", "a long enough pass phrase"


class Server:
    """The real server as a process of its own, after each start on ports that it chooses."""

    def __init__(self, database_url: str, log: Path) -> None:
        self.api_url = ""
        self._ocpp_url = ""
        self._log = log
        self._environment = {
            **os.environ,
            "CHARGEHUB_DATABASE_URL": database_url,
            "CHARGEHUB_DEMO": "true",
            "CHARGEHUB_API_PORT": "0",
            "CHARGEHUB_OCPP_PORT": "0",
            "CHARGEHUB_LOG__FORMAT": "json",
            "CHARGEHUB_LIMITS__MESSAGES_PER_S": "100000",
            "CHARGEHUB_LIMITS__MESSAGES_BURST": "100000",
        }
        self._process: asyncio.subprocess.Process | None = None

    def ocpp_url(self) -> str:
        return self._ocpp_url

    async def start(self) -> None:
        said_before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chargehub",
                "serve",
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient() as client:
            while not (self._hear_addresses(said_before) and await self._ready(client)):
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)

    def _hear_addresses(self, said_before: int) -> bool:
        """Read where it listens from what it has logged since."""
        for line in self._log.read_bytes()[said_before:].splitlines():
            if b'"server_started"' in line:
                told = json.loads(line)
                self.api_url, self._ocpp_url = told["api"], told["ocpp"]
                return True
        return False

    async def _ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.api_url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            await self._process.wait()


async def create_killer(database: Database, role: Role = Role.OPERATOR) -> None:
    hashed = await Passwords().hash(PASSWORD)
    async with database.write() as connection:
        await create_operator(
            connection, wall_now(), login=LOGIN, role=role, password_hash=hashed, actor="test"
        )
