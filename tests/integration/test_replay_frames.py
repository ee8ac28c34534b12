"""`chargehub replay-frames` on a database that a server has worked on."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from chargehub.cli import main
from chargehub.kit.clock import wall_now
from chargehub.kit.jobs import due_actions
from chargehub.replay import scratch_database
from chargehub.transactions.rows import SETTLE
from chargehub.transactions.store import transactions
from tests.hub_fixtures import TOKEN, RunningHub, Station, at, running_hub


async def command(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["replay-frames", *arguments])


async def charge(station: Station) -> int:
    start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1_000, "timestamp": at(60)}
    number: int = (await station.call("StartTransaction", start))["transactionId"]
    stop = {"transactionId": number, "meterStop": 2_500, "timestamp": at(), "reason": "Local"}
    await station.call("StopTransaction", stop)
    return number


async def settle(hub: RunningHub, number: int) -> None:
    async with hub.database.write() as connection:
        due = due_actions.c.kind == SETTLE
        await connection.execute(update(due_actions).where(due).values(due_at=wall_now()))
    settled = "SELECT settled_at IS NOT NULL FROM transactions WHERE id = :number"
    await hub.until(settled, expected=True, number=number)


async def databases(hub: RunningHub) -> Any:
    return await hub.value("SELECT count(*) FROM pg_database WHERE datname LIKE '%replay%'")


async def test_it_says_whether_the_same_comes_of_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARGEHUB_DATABASE_URL", database_url.replace("+psycopg", ""))
    async with running_hub(database_url) as hub:
        async with hub.station() as station:
            number = await charge(station)
        await settle(hub, number)
        async with asyncio.timeout(60):
            # What came within the last seconds is left out.
            while "1 transactions compared" not in (same := await command(station.identity)).output:
                assert "0 transactions compared" in same.output or "no frames" in same.output
        assert same.output.splitlines()[-1].endswith("0 left out, 0 differences.")
        assert (same.exit_code, len(same.output.splitlines())) == (0, 1)
        async with hub.database.write() as connection:
            await connection.execute(
                update(transactions).where(transactions.c.id == number).values(energy_wh=1_499)
            )
        other = await command()
        assert other.exit_code == 1
        told = f"{station.identity} {number}: energy_wh was 1499, and is 1500 in the replay"
        assert told in other.output
        assert await databases(hub) == 0


async def names(url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        query = "SELECT datname FROM pg_database WHERE datname LIKE '%replay%'"
        return {row[0] for row in await (await connection.execute(query)).fetchall()}


async def test_what_a_killed_run_left_behind_is_dropped_and_what_is_in_use_stays(
    database_url: str,
) -> None:
    plain = database_url.replace("+psycopg", "")
    async with scratch_database(database_url) as in_use:
        kept = in_use.rpartition("/")[2].partition("?")[0]
        left_behind = kept[:-4] + "dead"
        async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as admin:
            await admin.execute(f"CREATE DATABASE {left_behind}".encode())
        assert {kept, left_behind} <= await names(plain)
        async with scratch_database(database_url) as another:
            assert another != in_use
            assert kept in await names(plain)
            assert left_behind not in await names(plain)
    assert kept not in await names(plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NOBODY"], "There is no charging station nobody."),
        (["--to", "2020-01-01"], "The frame log has no frames"),
    ],
)
async def test_it_says_what_it_cannot_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setenv("CHARGEHUB_DATABASE_URL", database_url.replace("+psycopg", ""))
    result = await command(*arguments)
    assert result.exit_code == 1
    assert message in result.output
