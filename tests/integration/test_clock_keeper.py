"""The clock pair in the database over starts, stops and kills."""

from __future__ import annotations

import asyncio
import time

from chargehub.kit.db import RESERVE_S, ClockKeeper, Database, continue_clock, hub_clock, read_clock


async def reached_wall(database: Database) -> float:
    async with database.read() as connection:
        return float((await connection.execute(hub_clock.select())).one().reached_wall)


async def test_first_start_is_the_wall(database: Database) -> None:
    async with database.write() as connection:
        assert await read_clock(connection) is None
        pair = await continue_clock(connection, wall=1000.0, rate=60)
        assert pair.hub_at(1000.0) == 1000.0
        assert await read_clock(connection) == pair


async def test_an_orderly_stop_causes_no_jump(database: Database) -> None:
    wall = time.time()
    async with database.write() as connection:
        pair = await continue_clock(connection, wall, rate=60)
    keeper = ClockKeeper(database, pair)
    keeper.start()
    await keeper.stop()
    stopped = await reached_wall(database)
    assert wall <= stopped <= time.time()
    async with database.write() as connection:
        again = await continue_clock(connection, stopped + 36_000, rate=60)
    assert again.hub_epoch == pair.hub_at(stopped) + 36_000


async def test_a_running_keeper_reserves_ahead(database: Database) -> None:
    wall = time.time()
    async with database.write() as connection:
        pair = await continue_clock(connection, wall - 100, rate=60)
    keeper = ClockKeeper(database, pair)
    keeper.start()
    async with asyncio.timeout(20):
        while await reached_wall(database) < wall + RESERVE_S:  # noqa: ASYNC110  Another's row.
            await asyncio.sleep(0.02)
    # Killed here: the next start may see a jump of the reserve, but nothing shown before it again.
    async with database.write() as connection:
        again = await continue_clock(connection, time.time(), rate=60)
    assert pair.hub_at(time.time()) <= again.hub_epoch <= pair.hub_at(time.time() + RESERVE_S)
    await keeper.stop()


async def test_rate_1_needs_no_keeper(database: Database) -> None:
    async with database.write() as connection:
        pair = await continue_clock(connection, wall=1000.0, rate=1)
    before = await reached_wall(database)
    keeper = ClockKeeper(database, pair)
    keeper.start()
    await keeper.stop()
    assert await reached_wall(database) == before
