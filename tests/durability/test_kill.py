"""Invariant 1: acknowledged means committed. SIGKILL at any moment loses and doubles nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import migrate
from chargehub.kit.db import Database
from chargehub.kit.postgres import EmbeddedPostgres
from tests.durability.server import DEADLINE_S, LOGIN, PASSWORD, Server, create_killer
from tests.durability.stations import TrustlessStation

STATIONS = 24
PROMISES_BETWEEN_KILLS = (100, 1_000)

Felt = Callable[[], Awaitable[None]]
"""Waits until a station has lost its connection once more."""
KILLS = pytest.mark.parametrize(
    "kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)


@KILLS
async def test_killed_under_load_nothing_acknowledged_is_lost_or_doubled(
    database: Database, database_url: str, tmp_path: Path, kills: int
) -> None:
    server = Server(database_url, tmp_path / "server.log")

    async def kill(_felt: Felt) -> None:
        await server.end(signal.SIGKILL)
        await server.start()

    await _charge_through(kill, kills, server, database)


@KILLS
async def test_a_database_killed_under_load_loses_and_doubles_nothing(
    open_dir: Path, tmp_path: Path, kills: int
) -> None:
    """The server stays, answers nothing that it cannot store, and goes on when it can."""
    with EmbeddedPostgres(open_dir / f"killed-{kills}") as postgres:
        migrate.upgrade(postgres.url)
        database = Database(postgres.url)
        server = Server(postgres.url, tmp_path / "server.log")

        async def kill(felt: Felt) -> None:
            pid = int((postgres.cluster_dir / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)
            # The start itself keeps the stations, which are of this process, from hearing anything.
            await felt()
            postgres.start()

        await _charge_through(kill, kills, server, database)
        await database.close()


async def _charge_through(
    kill: Callable[[Felt], Awaitable[None]], kills: int, server: Server, database: Database
) -> None:
    """Let stations charge and an operator command them while something is killed again and again.

    Then hold every acknowledgement against the database.
    """
    await server.start()
    await create_killer(database)
    stations = [
        TrustlessStation(
            f"K-{number:02}",
            f"password-of-{number:02}-kill",
            ("ocpp2.0.1", "ocpp1.6", "ocpp2.1", "ocpp1.6")[number % 4],
            server.ocpp_url,
        )
        for number in range(STATIONS)
    ]
    chance = random.Random(kills)
    stop = asyncio.Event()
    commanded = CommandLog(server, [station.identity for station in stations])
    try:
        async with asyncio.TaskGroup() as group:
            for station in stations:
                group.create_task(station.run(stop))
            commanding = group.create_task(commanded.run(stop))
            for _ in range(kills):
                # A moment somewhere in the load; the point of the test is that it does not matter.
                await _hear_promises(stations, chance.randrange(*PROMISES_BETWEEN_KILLS))
                felt = partial(_feel_kill, stations, _repeats(stations))
                await kill(felt)
                await felt()
            await _until(lambda: bool(commanded.answered))
            await _until(lambda: sum(len(s.acknowledged.starts) for s in stations) > STATIONS)
            stop.set()
            await commanding
        await _settled(database)
    finally:
        await server.end(signal.SIGTERM)
    await _check_stations(database, stations)
    await _check_commands(database, commanded)


def _promises(stations: list[TrustlessStation]) -> int:
    return sum(station.acknowledged.count for station in stations)


def _repeats(stations: list[TrustlessStation]) -> int:
    return sum(station.repeats for station in stations)


async def _hear_promises(stations: list[TrustlessStation], count: int) -> None:
    """Wait until the stations have had so many acknowledgements more."""
    wanted = _promises(stations) + count
    await _until(lambda: _promises(stations) >= wanted)


async def _feel_kill(stations: list[TrustlessStation], repeats_before: int) -> None:
    await _until(lambda: _repeats(stations) > repeats_before)


async def _until(question: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not question():  # noqa: ASYNC110  The question is about other parts' state.
            await asyncio.sleep(0.02)


class CommandLog:
    """An operator who keeps commanding stations, and what they were told."""

    def __init__(self, server: Server, identities: list[str]) -> None:
        self._server = server
        self._identities = identities
        self.answered: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        number = 0
        token: str | None = None
        async with httpx.AsyncClient(timeout=10) as client:
            while not stop.is_set():
                number += 1
                try:
                    token = token or await self._log_in(client)
                    await self._command(client, token, number)
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)

    async def _log_in(self, client: httpx.AsyncClient) -> str:
        answer = await client.post(
            f"{self._server.api_url}/api/v1/login", json={"login": LOGIN, "password": PASSWORD}
        )
        answer.raise_for_status()
        token: str = answer.json()["token"]
        return token

    async def _command(self, client: httpx.AsyncClient, token: str, number: int) -> None:
        identity = self._identities[number % len(self._identities)]
        answer = await client.post(
            f"{self._server.api_url}/api/v1/charging-stations/{identity}/commands/ClearCache",
            json={},
            headers={"Authorization": f"Bearer {token}"},
        )
        if answer.status_code == 200:
            self.answered[answer.json()["command_id"]] = "answered"


async def _settled(database: Database) -> None:
    """Wait until everything has come to its end: no due action and no command got lost on the way.

    Settling falls due a minute after the end; the rows are brought forward instead of waiting.
    """
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with database.write() as connection:
                await connection.execute(
                    text(
                        "UPDATE due_actions SET due_at = now() - interval '1 hour'"
                        " WHERE kind = 'transaction.settle'"
                    )
                )
                left = await connection.scalar(
                    text(
                        "SELECT (SELECT count(*) FROM transactions"
                        "  WHERE state = 'Ended' AND settled_at IS NULL)"
                        " + (SELECT count(*) FROM station_commands WHERE outcome = 'pending')"
                    )
                )
            if left == 0:
                return
            await asyncio.sleep(0.2)


async def _check_stations(database: Database, stations: list[TrustlessStation]) -> None:
    promised = Counter[str]()
    async with database.read() as connection:
        for station in stations:
            promised += await _check_station(connection, station)
    assert promised["starts"] > STATIONS
    assert promised["samples"] > promised["starts"]


async def _check_station(connection: AsyncConnection, station: TrustlessStation) -> Counter[str]:
    promised = station.acknowledged
    station_id = await connection.scalar(
        text("SELECT id FROM charging_stations WHERE identity = :identity"),
        {"identity": station.identity},
    )
    transactions = (
        await connection.execute(
            text(
                "SELECT ref, end_register_wh, state, energy_wh FROM transactions"
                " WHERE station_id = :id"
            ),
            {"id": station_id},
        )
    ).all()
    stored = {row.ref: row for row in transactions}
    assert sorted(stored) == sorted(promised.starts.values())
    for ref, register in promised.stops.items():
        assert (stored[ref].state, stored[ref].end_register_wh) == ("Ended", register)
        assert stored[ref].energy_wh == 800
    statuses = await connection.execute(
        text("SELECT status, at FROM connector_status_events WHERE station_id = :id"),
        {"id": station_id},
    )
    assert Counter((row.status, row.at) for row in statuses) == Counter(promised.statuses)
    samples = await connection.execute(
        text(
            "SELECT t.ref, s.sampled_at, s.register_wh FROM samples s"
            " JOIN transactions t ON t.id = s.transaction_id"
            " WHERE s.station_id = :id"
        ),
        {"id": station_id},
    )
    found = Counter((row.ref, row.sampled_at, row.register_wh) for row in samples)
    assert found == Counter(promised.samples)
    return Counter(starts=len(promised.starts), samples=len(promised.samples))


async def _check_commands(database: Database, commanded: CommandLog) -> None:
    assert commanded.answered
    async with database.read() as connection:
        rows = await connection.execute(text("SELECT id, outcome FROM station_commands"))
        outcomes = {str(row.id): row.outcome for row in rows}
    assert {number: outcomes[number] for number in commanded.answered} == commanded.answered
