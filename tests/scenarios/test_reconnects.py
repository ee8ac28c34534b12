"""Outages, replays and the ways in which stations come back (wire-quirks, table of section 1)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from chargehub.telemetry.readings import Flag
from simulators.car import Car
from simulators.client import Disconnected
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import V16, Message, Session
from tests.scenarios.stage import Stage, flags_of

m = Misbehaviour
WAYS_BACK = {
    "A: statuses first": (),
    "B: queue first": (m.QUEUE_BEFORE_STATUS,),
    "D: no status at all": (m.NO_STATUS_ON_RECONNECT,),
    "F: boot and all statuses": (m.BOOT_ON_RECONNECT,),
    "A 2.0.1: replays without offline": (m.NO_OFFLINE_FLAG,),
    "two calls at once": (m.TWO_CALLS_AT_ONCE,),
    "ids from 1 again": (m.COUNTING_IDS,),
    "a flood of heartbeats": (m.FLOOD,),
}


@pytest.mark.parametrize("quirks", WAYS_BACK.values(), ids=WAYS_BACK.keys())
async def test_an_outage_in_mid_session(
    stage: Stage, version: str, quirks: tuple[Misbehaviour, ...]
) -> None:
    """One session ends and another begins while nobody listens; nothing is lost or doubled."""
    first, second = await stage.new_token(), await stage.new_token()
    station = await stage.simulated(version, m.SKIP_AUTHORIZE, *quirks)
    await station.plug_in(1, Car(soc=0.3))
    assert await station.present_token(1, first)
    await station.advance(30)
    await station.go_offline()
    await station.advance(30)
    await station.stop(1)
    await station.unplug(1)
    between_wh = station.charging.delivered_wh
    await station.plug_in(1, Car(soc=0.4))
    assert await station.present_token(1, second)
    await station.advance(30)
    await station.come_back()
    await station.advance(30)
    await station.stop(1)
    live = await stage.transactions_of(station.identity)
    await stage.settle()
    settled = await stage.transactions_of(station.identity)
    for old, new in (live, settled):
        assert (old.state, old.id_token) == ("Ended", first.lower())
        assert (new.state, new.id_token) == ("Ended", second.lower())
        assert old.energy_wh == pytest.approx(between_wh, abs=1)
        assert new.energy_wh == pytest.approx(station.charging.delivered_wh - between_wh, abs=1)
        wanted = version != V16 and m.NO_OFFLINE_FLAG not in quirks
        assert flags_of(old) == flags_of(new) == (Flag.OFFLINE if wanted else Flag.NONE)
    for row in settled:
        periodic = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
        assert len(periodic) == len({s.sampled_at for s in periodic}) == 6


async def test_a_session_wholly_offline_is_told_under_its_new_number(stage: Stage) -> None:
    """A: an offline start is replayed, and what follows carries the number of its answer."""
    token = await stage.new_token()
    station = await stage.simulated(V16, m.SKIP_AUTHORIZE)
    await station.go_offline()
    began = stage.clock.date()
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, token)
    await station.advance(40)
    await station.stop(1)
    ended = stage.clock.date()
    await station.unplug(1)
    stage.pass_time(3600)
    await station.come_back()
    row = await stage.the_transaction(station.identity)
    assert (row.started_at, row.ended_at, row.state) == (began, ended, "Ended")
    assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    assert flags_of(row) == Flag.NONE


async def test_what_is_lost_stays_open_until_the_policy_closes_it(
    stage: Stage, version: str
) -> None:
    """E replays nothing and boots anew: its open transaction is never stopped."""
    station = await stage.simulated(version, m.FORGET_QUEUE, m.BOOT_ON_RECONNECT)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(30)
    told_wh = station.charging.delivered_wh
    await station.go_offline()
    await station.stop(1)
    await station.unplug(1)
    await station.come_back()
    assert (await stage.the_transaction(station.identity)).state == "Active"
    stage.pass_time(16 * 60)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert row.state == "Ended"
    assert row.energy_wh == pytest.approx(told_wh, abs=1)
    assert flags_of(row) & Flag.CLOSED_BY_POLICY


class Outage(NamedTuple):
    """Which of the ordered messages are unanswered when the line breaks."""

    answered: int
    repeated_from: int


@pytest.mark.parametrize("outage", [Outage(1, 0), Outage(2, 1), Outage(3, 1), Outage(4, 0)])
async def test_a_burst_is_answered_in_order(stage: Stage, version: str, outage: Outage) -> None:
    """Quirk 3: more than one call outstanding; repeated in one burst after a reconnect."""
    station = await stage.raw(version)
    session, speech = Session(1, await stage.new_token()), station.speech
    began = station.now
    started = speech.started(session, began, 5_000)
    speech.learn(session, await station.say(started))
    messages = [
        started,
        speech.sampled(session, began + 10, [speech.value(5_200)]),
        speech.sampled(session, began + 20, [speech.value(5_400)]),
        speech.sampled(session, began + 30, [speech.value(5_600)]),
        speech.ended(session, began + 40, 5_800),
    ]
    stage.pass_time(60)
    for message in messages[: outage.answered]:
        await station.say(message)
    await station.reconnect()
    answered: list[int] = []

    async def say(index: int, message: Message) -> None:
        await station.wire.call(message.action, message.payload)
        answered.append(index)

    station.wire._turn = asyncio.Semaphore(10)  # noqa: SLF001  As impatient as D.
    burst = list(enumerate(messages))[outage.repeated_from :]
    await asyncio.gather(*(say(*one) for one in burst))
    assert answered == [index for index, _ in burst]
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 800, Flag.NONE)
    assert len(await stage.samples_of(row.id)) == 5


async def test_a_frame_too_large_costs_the_sender_alone(stage: Stage, version: str) -> None:
    """Statement 10: 1009 for the sender; it comes back, the other is not disturbed."""
    token, other_token = await stage.new_token(), await stage.new_token()
    station, other = await stage.raw(version), await stage.raw(version)
    session = await other.begin(other_token, 5_000)
    started = station.speech.started(Session(1, token), station.now, 5_000)
    with pytest.raises(Disconnected):
        await station.say(Message("DataTransfer", {"vendorId": "x", "data": "y" * 2_000_000}))
    stage.pass_time(60)
    await other.end(session, 6_000)
    await station.wire.wait_lost()
    await station.wire.open()
    await station.say(started)
    assert (await stage.the_transaction(other.identity)).energy_wh == 1_000
    assert (await stage.the_transaction(station.identity)).state == "Active"


async def test_statement_7_no_boot_is_needed_after_a_reconnect(stage: Stage, version: str) -> None:
    """Quirk 1: registration is durable, over our own restart too."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    await stage.restart()
    await station.wire.open()
    stage.pass_time(60)
    await station.sample(session, 5_900)
    await station.end(session, 6_000)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 1_000, Flag.NONE)
