"""A COMMIT that took place and whose answer got lost: the station repeats itself, we remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chargehub.telemetry.readings import Flag
from simulators.client import Disconnected
from tests.fakes.lossy import LossySource
from tests.scenarios.speech import V16, Message, Session
from tests.scenarios.stage import RawStation, Stage, flags_of, open_stage


@pytest_asyncio.fixture(scope="module")
async def _open_stage(module_database_url: str) -> AsyncIterator[Stage]:
    # Without the frame log, whose own COMMITs could be the ones that get lost.
    opened = await open_stage(module_database_url, frame_log=False)
    # Before its first batch, so the committer opens its connection here.
    opened.hub.committer.source = LossySource(module_database_url)
    yield opened
    await opened.hub.stop()
    await opened.database.close()


async def lose(station: RawStation, message: Message) -> None:
    """Say it; it is committed, no answer comes, and the connection is closed."""
    source = station.stage.hub.committer.source
    assert isinstance(source, LossySource)
    source.lose_next = True
    # No answer of any kind: a CALLERROR would be taken for a refusal.
    with pytest.raises(Disconnected):
        await station.say(message)
    assert not source.lose_next
    await station.reconnect()


async def test_a_start_whose_commit_was_not_answered_is_ended_once(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    session, said = Session(1, await stage.new_token()), station.speech
    started = said.started(session, station.now, 5_000)
    await lose(station, started)
    said.learn(session, await station.say(started))
    row = await stage.the_transaction(station.identity)
    if version == V16:
        assert session.number == row.id
    stage.pass_time(60)
    await station.sample(session, 6_000)
    stage.pass_time(60)
    ended = said.ended(session, station.now, 7_000)
    await lose(station, ended)
    await station.say(ended)
    live = await stage.the_transaction(station.identity)
    await stage.settle()
    settled = await stage.the_transaction(station.identity)
    for seen in (live, settled):
        assert (seen.state, seen.energy_wh, seen.end_register_wh) == ("Ended", 2_000, 7_000)
        assert flags_of(seen) == Flag.NONE
    assert stage.hub.book.by_id(row.id) is None
    kinds = [event.kind for event in await stage.events_of(row.id)]
    assert (kinds.count("Started"), kinds.count("Ended")) == (1, 1)
    # The card is free again.
    other = await stage.raw(version)
    assert (await other.authorize(session.token)).status == "Accepted"


@pytest.mark.parametrize("next_word", ["sample", "bare sample", "end"])
async def test_what_follows_a_start_the_book_never_heard_of_belongs_to_it(
    stage: Stage, version: str, next_word: str
) -> None:
    """The station does not repeat its start: it goes on under the name it has."""
    station = await stage.raw(version)
    session, said = Session(1, await stage.new_token()), station.speech
    await lose(station, said.started(session, station.now, 5_000))
    row = await stage.the_transaction(station.identity)
    session.number = row.id
    stage.pass_time(60)
    if next_word == "sample":
        await station.sample(session, 6_000)
    elif next_word == "bare sample":
        await station.say(said.bare(1, station.now, [said.value(6_000)]))
    if next_word != "end":
        opened = stage.hub.book.by_id(row.id)
        assert opened is not None
        assert opened.track.energy_wh == 1_000
    stage.pass_time(60)
    await station.end(session, 7_000)
    live = await stage.the_transaction(station.identity)
    assert (live.state, live.energy_wh, flags_of(live)) == ("Ended", 2_000, Flag.NONE)
    assert stage.hub.book.by_id(row.id) is None


async def test_a_sample_whose_commit_was_not_answered_counts_once(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    session, said = await station.begin(await stage.new_token(), 5_000), station.speech
    stage.pass_time(60)
    sampled = said.sampled(session, station.now, [said.value(6_000)])
    await lose(station, sampled)
    await station.say(sampled)
    stage.pass_time(60)
    await station.end(session, 7_000)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 2_000, Flag.NONE)
    periodic = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert [s.register_wh for s in periodic] == [6_000]


async def is_offline(stage: Stage, station_id: int, epoch: int) -> None:
    """Wait until this connection is known to be over."""
    query = "SELECT epoch, disconnected_at FROM station_connections WHERE station_id = :station_id"
    async with asyncio.timeout(20):
        while True:
            (row,) = await stage.rows(query, station_id=station_id)
            if row.epoch == epoch and row.disconnected_at is not None:
                return
            await asyncio.sleep(0.05)


async def test_a_station_whose_arrival_was_not_answered_does_not_stay_online(
    stage: Stage, version: str
) -> None:
    """It was turned away, and may not come again for long."""
    station = await stage.raw(version)
    source = stage.hub.committer.source
    assert isinstance(source, LossySource)
    await station.wire.close(abruptly=True)
    await is_offline(stage, station.station_id, epoch=1)
    source.lose_next = True
    await station.wire.open()
    await is_offline(stage, station.station_id, epoch=2)
    assert not source.lose_next
