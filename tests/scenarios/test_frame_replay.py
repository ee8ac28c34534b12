"""The frame log holds all that decided: replayed, it rebuilds the same transactions.

Stations of each version live through days with outages, repetitions, replays and lost answers; then
their frames go through session, translator and rules once more, into an empty database.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import RowMapping, select, text

from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit.db import Database
from chargehub.kit.postgres import EmbeddedPostgres
from chargehub.replay import Outcome, replay
from chargehub.telemetry.store import samples
from chargehub.transactions.store import transaction_events, transactions
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.conftest import new_database
from tests.scenarios.speech import Session
from tests.scenarios.stage import Stage
from tests.scenarios.test_autocharge import autocharging, bind, charges_by_itself

m = Misbehaviour
DAYS = 3
SESSIONS_A_DAY = 3
CHARACTERS: Sequence[tuple[Misbehaviour, ...]] = (
    (m.SKIP_AUTHORIZE, m.DUPLICATE_STOP, m.COUNTING_IDS),
    (m.LOSE_ANSWERS, m.REPEAT_START, m.BOOT_ON_RECONNECT),
    (m.QUEUE_BEFORE_STATUS, m.NO_OFFLINE_FLAG, m.SAMPLES_AFTER_STOP),
    (m.ZERO_BEGIN, m.UNIT_KWH, m.TWO_CALLS_AT_ONCE),
    (m.MALFORMED_FRAMES, m.REGISTER_JUMPS_BACK, m.SEQ_NO_ZERO, m.MINUS_ONE_TRANSACTION),
    (m.LOSE_ENDED, m.EXTRA_FIELDS, m.NO_STATUS_TIMESTAMP),
)


@pytest_asyncio.fixture
async def scratch(embedded_postgres: EmbeddedPostgres, _template: str) -> AsyncIterator[Database]:
    database = Database(embedded_postgres.url_of(new_database(embedded_postgres, _template)))
    yield database
    await database.close()


async def live_through_a_day(
    stage: Stage, station: SimulatedStation, cards: Sequence[str], chance: random.Random
) -> None:
    """Charge some cars, with the line down now and then, and the worker at its work."""
    for _ in range(SESSIONS_A_DAY):
        gun, card = chance.choice((1, 2)), chance.choice(cards)
        await station.plug_in(gun, Car(soc=chance.uniform(0.2, 0.6)))
        await station.present_token(gun, card)
        await station.advance(chance.randrange(20, 60, 10))
        if chance.random() < 0.5:
            await station.go_offline()
            await station.advance(chance.randrange(10, 40, 10))
            if chance.random() < 0.5:
                await station.stop(gun)
            await station.come_back()
        await station.advance(20)
        await station.stop(gun)
        await station.unplug(gun)
        stage.pass_time(90)
        await stage.work()
    for _ in range(6):
        stage.pass_time(chance.uniform(1_000, 6_000))
        await stage.work()


async def rest(stage: Stage) -> None:
    """Let everything be settled, and every frame be written: a hub that stops writes its last."""
    for _ in range(8):
        stage.pass_time(3_600)
        await stage.work()
    await stage.restart()


async def rebuild(stage: Stage, scratch: Database, identity: str) -> Outcome:
    """Settle everything, write every frame down, and replay."""
    await rest(stage)
    return await replay(stage.database, scratch, [identity], None, stage.clock.date())


async def told_of(database: Database, station_id: int) -> list[Any]:
    """Return all that is stored of a station's charging, without numbers of ours."""
    found: list[Any] = []
    async with database.read() as connection:
        for begun in await connection.execute(
            select(transactions)
            .where(transactions.c.station_id == station_id)
            .order_by(transactions.c.received_at, transactions.c.id)
        ):
            of_it = [
                (await connection.execute(select(table).where(table.c.transaction_id == begun.id)))
                .mappings()
                .all()
                for table in (samples, transaction_events)
            ]
            found.append(
                (
                    (begun.started_at, begun.ended_at, begun.energy_wh, begun.flags),
                    [sorted(map(without_numbers, rows)) for rows in of_it],
                )
            )
    return found


def without_numbers(row: RowMapping) -> str:
    ours = {"id", "transaction_id"}
    return repr({name: value for name, value in row.items() if name not in ours})


@pytest.mark.parametrize("quirks", CHARACTERS, ids=lambda quirks: "+".join(q.label for q in quirks))
async def test_days_of_a_station_are_rebuilt_from_its_frames(
    stage: Stage, scratch: Database, version: str, quirks: tuple[Misbehaviour, ...]
) -> None:
    chance = random.Random(f"{version}{quirks}")
    cards = [await stage.new_token() for _ in range(4)]
    blocked = await stage.new_token(status="Blocked")
    station = await stage.simulated(version, *quirks, lost_answer_timeout_s=0.1)
    for _ in range(DAYS):
        await live_through_a_day(stage, station, [*cards, blocked], chance)
    station_id = await stage.station_id(station.identity)
    outcome = await rebuild(stage, scratch, station.identity)
    assert outcome.differences == []
    assert (outcome.unusable, outcome.left_out) == (0, 0)
    assert outcome.compared >= DAYS
    live, rebuilt = [await told_of(database, station_id) for database in (stage.database, scratch)]
    assert len(live) == outcome.compared
    assert rebuilt == live


async def forget_frames(stage: Stage, station_id: int, which: str, **values: Any) -> int:
    async with stage.database.write() as connection:
        query = f"DELETE FROM frames WHERE station_id = :station AND {which}"  # noqa: S608  A test's.
        found = await connection.execute(text(query), {"station": station_id, **values})
    return found.rowcount


async def test_a_frame_that_is_missing_shows(stage: Stage, scratch: Database, version: str) -> None:
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(30)
    await station.stop(1)
    await rest(stage)
    station_id = await stage.station_id(station.identity)
    last_words = "message_type = 2 AND text LIKE ANY (ARRAY['%StopTransaction%', '%Ended%'])"
    assert await forget_frames(stage, station_id, last_words) == 1
    outcome = await rebuild(stage, scratch, station.identity)
    assert outcome.compared == 1
    what = [one.what for one in outcome.differences]
    assert "stopped_reason was Local, and is Other in the replay" in what


async def test_a_start_whose_answer_was_lost_keeps_its_number(
    stage: Stage, scratch: Database, version: str
) -> None:
    """The answer to its repetition has the number that all later messages name."""
    station = await stage.raw(version)
    other = await station.begin(await stage.new_token(), 9_000, evse_no=2)
    session, speech = Session(1, await stage.new_token()), station.speech
    started = speech.started(session, station.now, 5_000)
    await station.say(started)
    await station.reconnect()
    speech.learn(session, await station.say(started))
    stage.pass_time(60)
    await station.sample(session, 5_700)
    await station.end(session, 6_000)
    await station.end(other, 9_900)
    await rest(stage)
    answer = "number = (SELECT max(number) FROM frames WHERE station_id = :station AND epoch = 1)"
    assert await forget_frames(stage, station.station_id, f"epoch = 1 AND {answer}") == 1
    outcome = await rebuild(stage, scratch, station.identity)
    assert (outcome.differences, outcome.compared) == ([], 2)


async def test_a_car_that_starts_by_itself_is_rebuilt_under_its_name(
    stage: Stage, scratch: Database, version: str
) -> None:
    bound = await bind(stage, version, "mac")
    station = await autocharging(stage, version)
    assert await charges_by_itself(stage, station, bound.car)
    await station.advance(60)
    await station.unplug(1)
    await rest(stage)
    names = CarNames(stage.hub.seal)
    end = stage.clock.date()
    outcome = await replay(stage.database, scratch, [station.identity], None, end, names)
    assert (outcome.compared, outcome.left_out, outcome.differences) == (1, 0, [])
