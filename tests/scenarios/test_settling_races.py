"""Settling while the station still speaks: what is committed meanwhile is not lost."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import select, text, update

from chargehub.kit.worker import Worker
from chargehub.telemetry.readings import Flag
from chargehub.telemetry.store import samples
from chargehub.transactions.rows import SETTLE, SETTLE_DELAY, SETTLE_WAITS
from chargehub.transactions.settlement import Settlement
from chargehub.transactions.store import transactions
from tests.scenarios.speech import V201, Session
from tests.scenarios.stage import RawStation, Stage, flags_of

WAITING = text(
    """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
)


async def ended(stage: Stage) -> tuple[RawStation, Session]:
    station = await stage.raw(V201)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    stage.pass_time(60)
    await station.end(session, None)
    return station, session


async def test_a_sample_that_comes_while_settling_runs_settles_again(stage: Stage) -> None:
    """Also when late samples have put settling off to its limit: its time moves all the same."""
    station, session = await ended(stage)
    ended_at = station.now
    stage.pass_time(SETTLE_WAITS.total_seconds() + 30)
    message = station.speech.sampled(session, ended_at - 30, [station.speech.value(6_200)])
    await station.say(message)
    stage.pass_time(SETTLE_DELAY.total_seconds())
    settlement = Settlement(stage.database, stage.hub.orphans.clock)
    late = station.speech.sampled(session, ended_at - 10, [station.speech.value(6_400)])

    async def settle_and_hear(subject: str, payload: dict[str, Any]) -> None:
        await settlement.settle(subject, payload)
        await station.say(late)

    hasty = Worker(stage.database, settlement.clock, {SETTLE: settle_and_hear}, {})
    await hasty.run_once()
    assert (await stage.the_transaction(station.identity)).energy_wh == 1_200
    stage.pass_time(1)
    await stage.work()
    assert (await stage.the_transaction(station.identity)).energy_wh == 1_400


async def test_what_is_committed_while_settling_runs_is_not_overwritten(stage: Stage) -> None:
    """Settling is stopped half-way, by a lock on a sample that it must write."""
    station, _ = await ended(stage)
    number = (await stage.the_transaction(station.identity)).id
    own = samples.c.transaction_id == number
    async with stage.database.write() as connection:
        await connection.execute(update(samples).where(own).values(energy_wh=None))
    settlement = Settlement(stage.database, stage.hub.orphans.clock)

    async def flag() -> None:
        raised = transactions.c.flags.bitwise_or(int(Flag.OFFLINE))
        async with stage.database.write() as connection:
            await connection.execute(
                update(transactions).where(transactions.c.id == number).values(flags=raised)
            )

    async def waiting(many: int, unless: asyncio.Task[None]) -> None:
        async with asyncio.timeout(10):
            while not unless.done():
                # A transaction of its own each time: within one the answer stays the same.
                async with stage.database.read() as connection:
                    if await connection.scalar(WAITING) == many:
                        return
                await asyncio.sleep(0.01)

    async with stage.database.write() as holding:
        await holding.execute(select(samples).where(own).with_for_update())
        settling = asyncio.create_task(settlement.settle(str(number), {}))
        await waiting(1, settling)
        flagging = asyncio.create_task(flag())
        await waiting(2, flagging)
    await asyncio.gather(settling, flagging)
    row = await stage.the_transaction(station.identity)
    assert flags_of(row) & Flag.OFFLINE
    assert row.energy_wh == 900
