"""Transactions that their stations forget: noticed, watched, closed by policy, corrected later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from chargehub.settings import station_key
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.store import charging_stations
from chargehub.telemetry.readings import Flag
from chargehub.transactions.orphans import ORPHAN_DELAY, StationStillOnline
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import V16, Message, Session, Speech201, moment
from tests.scenarios.stage import RawStation, Stage, flags_of

CHECK_S = ORPHAN_DELAY.total_seconds()
CLOSED = Flag.CLOSED_BY_POLICY | Flag.SUSPECT


async def forget(station: RawStation, sign: str) -> None:
    """Give the sign by which the hub can tell that the station has gone on."""
    if sign == "available":
        await station.report(1, "Available", station.now)
    elif sign == "boot":
        await station.boot()
    else:
        await station.begin(await station.stage.new_token(), 5_900)


async def run_until_forgotten(stage: Stage, version: str, sign: str) -> tuple[RawStation, Session]:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    stage.pass_time(60)
    await forget(station, sign)
    return station, session


async def oldest(stage: Stage, station: RawStation) -> Any:
    return (await stage.transactions_of(station.identity))[0]


@pytest.mark.parametrize("sign", ["available", "boot", "new start"])
async def test_a_forgotten_transaction_is_closed_when_it_stays_silent(
    stage: Stage, version: str, sign: str
) -> None:
    station, session = await run_until_forgotten(stage, version, sign)
    last_heard = station.now - 60
    # 52, 38: neither a status nor a boot ends anything by itself.
    assert (await oldest(stage, station)).state == "Active"
    stage.pass_time(CHECK_S - 60)
    await stage.work()
    assert (await oldest(stage, station)).state == "Active"
    stage.pass_time(120)
    await stage.work()
    row = await oldest(stage, station)
    assert (row.state, row.energy_wh, row.ended_at) == ("Ended", 900, moment(last_heard))
    assert (flags_of(row), row.stopped_reason) == (CLOSED, "Other")
    # The card is free again.
    elsewhere = await stage.raw(version)
    assert (await elsewhere.authorize(session.token)).status == "Accepted"


@pytest.mark.parametrize("sign", ["available", "boot", "new start"])
async def test_the_stations_late_word_wins_over_the_policy(
    stage: Stage, version: str, sign: str
) -> None:
    station, session = await run_until_forgotten(stage, version, sign)
    ended_at = station.now - 30
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    assert (await oldest(stage, station)).state == "Ended"
    stage.pass_time(3600)
    ended = station.speech.ended(session, ended_at, 6_400, reason="PowerLoss")
    for _ in range(2):
        await station.reconnect()
        await station.say(ended)
        await stage.settle()
        row = await oldest(stage, station)
        assert (row.state, row.energy_wh, row.end_register_wh) == ("Ended", 1_400, 6_400)
        assert (row.ended_at, row.stopped_reason) == (moment(ended_at), "PowerLoss")
        assert flags_of(row) == CLOSED
    # A second, other word no longer does.
    await station.end(session, 9_900)
    await stage.settle()
    assert (await oldest(stage, station)).energy_wh == 1_400


async def test_a_transaction_that_goes_on_after_a_reboot_is_left_alone(
    stage: Stage, version: str
) -> None:
    """Its samples show it alive, even by a clock that is an hour slow."""
    station = await stage.raw(version)
    slow_s = 3600
    session = Session(1, await stage.new_token())
    started = station.speech.started(session, station.now - slow_s, 5_000)
    station.speech.learn(session, await station.say(started))
    await station.boot()
    register_wh = 5_000
    for _ in range(8):
        stage.pass_time(300)
        register_wh += 4_000
        value = station.speech.value(register_wh)
        await station.say(station.speech.sampled(session, station.now - slow_s, [value]))
        await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (row.state, flags_of(row)) == ("Active", Flag.NONE)
    # Then it falls silent.
    stage.pass_time(2 * CHECK_S)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh) == ("Ended", 32_000)


async def test_a_station_that_repeats_itself_does_not_put_the_check_off(
    stage: Stage, version: str
) -> None:
    station, _ = await run_until_forgotten(stage, version, "available")
    for _ in range(4):
        stage.pass_time(300)
        await station.report(1, "Available", station.now)
        await stage.work()
    assert (await stage.the_transaction(station.identity)).state == "Ended"


async def test_statement_52_an_old_or_other_status_is_no_sign(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    await station.begin(await stage.new_token(), 5_000, evse_no=1)
    await station.report(1, "Available", station.now - 60)  # replayed
    await station.report(2, "Available", station.now + 1)
    await station.report(0, "Available", station.now + 1)
    await station.report(1, "Faulted", station.now + 1)
    stage.pass_time(2 * CHECK_S)
    await stage.work()
    assert (await stage.the_transaction(station.identity)).state == "Active"


@pytest.mark.parametrize("quirk", [Misbehaviour.NEVER_STOP_REFUSED, Misbehaviour.LOSE_ENDED])
async def test_what_a_station_never_stops_is_closed(
    stage: Stage, version: str, quirk: Misbehaviour
) -> None:
    """D drops a refused start and never stops the transaction we numbered; F loses the Ended."""
    refused = quirk is Misbehaviour.NEVER_STOP_REFUSED
    token = await stage.new_token(status="Blocked" if refused else "Accepted")
    station = await stage.simulated(version, quirk, Misbehaviour.SKIP_AUTHORIZE)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, token)
    await station.advance(60)
    await station.stop(1)
    await station.unplug(1)
    row = await stage.the_transaction(station.identity)
    assert row.state == "Active"
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert row.state == "Ended"
    assert flags_of(row) == CLOSED | (Flag.REFUSED_TOKEN if refused else Flag.NONE)
    if refused:
        assert row.energy_wh == 0
    else:
        assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)


async def test_a_power_cut_with_an_open_transaction(stage: Stage, version: str) -> None:
    """The end is told after the boot; it is the station's own."""
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(60)
    await station.power_cut()
    stage.pass_time(120)
    await station.come_back()
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.stopped_reason) == ("Ended", "PowerLoss")
    assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    assert not flags_of(row) & Flag.CLOSED_BY_POLICY


async def test_a_closed_transaction_that_goes_on_is_counted_on(
    stage: Stage, version_2x: str
) -> None:
    """Silent for long, it was alive: what it sends afterwards still counts."""
    station, session = await run_until_forgotten(stage, version_2x, "boot")
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    await station.sample(session, 8_000)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh) == ("Ended", 3_000)
    await station.end(session, 8_500)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, row.stopped_reason) == (3_500, "Local")


async def an_hour_later(stage: Stage) -> None:
    """Let an hour pass, so that the check for dark stations is due, and do what it asks for."""
    stage.pass_time(3600)
    await stage.work()


async def test_a_card_is_free_again_when_its_station_went_dark(stage: Stage, version: str) -> None:
    """No status, no boot, no new start: nothing but the time tells."""
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    last_heard = station.now
    for _ in range(5):
        await an_hour_later(stage)
    assert (await stage.the_transaction(station.identity)).state == "Active"
    assert (await elsewhere.authorize(session.token)).status == "ConcurrentTx"
    for _ in range(2):
        await an_hour_later(stage)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.ended_at) == ("Ended", 900, moment(last_heard))
    assert flags_of(row) == CLOSED
    assert (await elsewhere.authorize(session.token)).status == "Accepted"


async def test_a_decommissioned_station_keeps_no_card(stage: Stage, version: str) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    async with stage.database.write() as connection:
        await connection.execute(
            update(charging_stations)
            .where(charging_stations.c.id == station.station_id)
            .values(decommissioned_at=stage.clock.date())
        )
    await an_hour_later(stage)
    row = await stage.the_transaction(station.identity)
    assert (row.state, flags_of(row)) == ("Ended", CLOSED)
    assert (await elsewhere.authorize(session.token)).status == "Accepted"


async def test_events_alone_show_a_transaction_alive_after_our_restart(
    stage: Stage, version_2x: str
) -> None:
    """2.x without samples: what was heard before the restart is not forgotten."""
    station = await stage.raw(version_2x)
    session = await station.begin(await stage.new_token(), 5_000)
    said = station.speech
    assert isinstance(said, Speech201)
    for state in ("SuspendedEV", "Charging"):
        stage.pass_time(4 * 3600)
        event = said.event(session, "Updated", station.now, charging_state=state)
        await station.say(Message("TransactionEvent", event))
    heard_at = stage.clock.date()
    await stage.restart()
    (found,) = stage.hub.book.all_at_station(station.station_id)
    assert found.heard_at == heard_at
    await an_hour_later(stage)
    assert (await stage.the_transaction(station.identity)).state == "Active"


async def test_late_samples_that_keep_coming_do_not_put_settling_off(
    stage: Stage, version: str
) -> None:
    """And what comes afterwards is settled again."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    began = station.now
    stage.pass_time(3600)
    await station.end(session, 65_000)
    ended = station.now
    said, settled_after = station.speech, None
    for number in range(1, 31):
        stage.pass_time(30)
        value = said.value(5_000 + number * 500)
        await station.say(said.sampled(session, began + number * 30, [value]))
        await stage.work()
        row = await stage.the_transaction(station.identity)
        if row.settled_at is not None and settled_after is None:
            settled_after = station.now - ended
    assert settled_after is not None
    assert settled_after <= 12 * 60
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert row.energy_wh == 60_000
    periodic = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert [s.energy_wh for s in periodic] == [number * 500 for number in range(1, 31)]


@pytest.mark.parametrize("evse_no", [0, 99])
async def test_a_start_at_no_gun_of_the_station_holds_no_card_and_does_not_stay(
    stage: Stage, version: str, evse_no: int
) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000, evse_no=evse_no)
    row = await stage.the_transaction(station.identity)
    assert (row.state, flags_of(row) & Flag.UNKNOWN_EVSE) == ("Active", Flag.UNKNOWN_EVSE)
    assert (await elsewhere.authorize(session.token)).status == "Accepted"
    await stage.restart()
    await elsewhere.reconnect()
    assert (await elsewhere.authorize(session.token)).status == "Accepted"
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    assert (await stage.the_transaction(station.identity)).state == "Ended"


async def garbage(station: RawStation) -> list[Message]:
    """Starts that a broken station makes of nothing."""
    if station.speech.version == V16:
        return [Message("StartTransaction", {})]
    starts = []
    for reference in ("x" * 5_000, 4711):
        session = Session(1, await station.stage.new_token())
        message = station.speech.started(session, station.now, 5_000)
        message.payload["transactionInfo"]["transactionId"] = reference
        del message.payload["evse"]
        starts.append(message)
    return starts


async def test_garbage_starts_are_closed_without_another_sign(stage: Stage, version: str) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    tokens = []
    for message in await garbage(station):
        await station.say(message)
        if "idToken" in message.payload:
            tokens.append(message.payload["idToken"]["idToken"])
    rows = await stage.transactions_of(station.identity)
    assert rows
    assert {row.state for row in rows} == {"Active"}
    for token in tokens:
        assert (await elsewhere.authorize(token)).status == "Accepted"
    stage.pass_time(CHECK_S + 60)
    await stage.work()
    rows = await stage.transactions_of(station.identity)
    assert {row.state for row in rows} == {"Ended"}


@pytest.mark.parametrize("replaced", [False, True])
async def test_what_is_open_at_a_station_that_is_taken_away_is_closed_at_once(
    stage: Stage, version: str, replaced: bool
) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    commissioning = Commissioning(
        stage.database,
        stage.hub.orphans.clock,
        station_key(stage.settings),
        stage.hub.bus,
        stage.hub.connections,
    )
    if replaced:
        await commissioning.replace(
            station.identity, new_identity=f"{station.identity}-new", actor="test"
        )
    else:
        await commissioning.decommission(station.identity, actor="test")
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 900, CLOSED)
    assert (await elsewhere.authorize(session.token)).status == "Accepted"
    await stage.settle()
    assert (await stage.the_transaction(station.identity)).settled_at is not None


async def test_the_late_stop_of_a_station_wins_over_an_operators_close(
    stage: Stage, version: str
) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    number = (await stage.the_transaction(station.identity)).id
    close = stage.hub.orphans.close_by_operator
    with pytest.raises(StationStillOnline):
        await close(station.station_id, number, "wang.fang")
    await station.wire.close(abruptly=True)
    async with asyncio.timeout(10):
        while station.station_id in stage.hub.connections.online_ids():  # noqa: ASYNC110 - no event.
            await asyncio.sleep(0.01)
    await close(station.station_id, number, "wang.fang")
    assert (await elsewhere.authorize(session.token)).status == "Accepted"
    await station.wire.open()
    stage.pass_time(60)
    await station.end(session, 6_000)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.end_register_wh) == ("Ended", 1_000, 6_000)


async def test_what_its_station_knows_no_more_can_be_closed_though_it_is_online(
    stage: Stage, version: str
) -> None:
    station, elsewhere = await stage.raw(version), await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    number = (await stage.the_transaction(station.identity)).id
    close = stage.hub.orphans.close_by_operator
    for action in ("RemoteStopTransaction", "RequestStopTransaction"):
        station.answers[action] = {"status": "Rejected"}
    with pytest.raises(StationStillOnline):
        await close(station.station_id, number, "wang.fang")
    _, answer = await stage.hub.remote.request_stop(number, "wang.fang")
    assert answer.status == "Rejected"
    await close(station.station_id, number, "wang.fang")
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 0, CLOSED)
    assert (await elsewhere.authorize(session.token)).status == "Accepted"
