"""Our own restart in mid-transaction: the book is rebuilt from the database, meters included."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from chargehub.telemetry.readings import Flag
from chargehub.transactions.recall import MANY_READINGS
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import Session
from tests.scenarios.stage import Stage, flags_of


async def test_energy_goes_on_over_a_restart(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, token)
    await station.advance(30)
    await station.go_offline()
    (before,) = stage.hub.book.all_at_station(await stage.station_id(station.identity))
    await stage.restart()
    (after,) = stage.hub.book.all_at_station(await stage.station_id(station.identity))
    assert after.track == before.track
    assert (after.id_token, after.authorized, after.flags) == (token.lower(), True, Flag.NONE)
    # A charging card stays in use, though its station is not back yet.
    elsewhere = await stage.raw(version)
    assert (await elsewhere.authorize(token)).status == "ConcurrentTx"
    wire = station.uplink.wire
    wire.account.url = stage.addresses.ocpp_url  # type: ignore[attr-defined]  # A socket's.
    await station.come_back()
    await station.advance(30)
    await station.stop(1)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, flags_of(row) & ~Flag.OFFLINE) == ("Ended", Flag.NONE)
    assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    assert (await elsewhere.authorize(token)).status == "Accepted"


async def test_more_readings_than_the_loop_may_fold_count_alike(stage: Stage, version: str) -> None:
    """They are folded in a thread, at the start and when settled."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    row = await stage.the_transaction(station.identity)
    async with stage.database.write() as connection:
        await connection.execute(
            text(
                "INSERT INTO samples (sampled_at, received_at, station_id, evse_no,"
                " transaction_id, context, content_hash, register_wh)"
                " SELECT at, at, :station, 1, :number, 'Sample.Periodic', n, 5000 + 10 * n"
                " FROM generate_series(1, :count) n,"
                " LATERAL (SELECT :began + n * interval '1 second') t(at)"
            ),
            {
                "station": station.station_id,
                "number": row.id,
                "count": MANY_READINGS + 1,
                "began": row.started_at,
            },
        )
    stage.pass_time(MANY_READINGS + 1)
    await stage.restart()
    taken = (MANY_READINGS + 1) * 10
    (found,) = stage.hub.book.all_at_station(station.station_id)
    assert (found.track.energy_wh, found.heard_at) == (taken, stage.clock.date())
    await station.wire.open()
    await station.end(session, 5_000 + taken)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (taken, Flag.NONE)
    samples = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert [s.energy_wh for s in samples] == [10 * n for n in range(1, MANY_READINGS + 2)]


async def test_a_reset_register_is_remembered_over_a_restart(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 90_000)
    for register_wh in (90_300, 90_600, 100):
        stage.pass_time(10)
        await station.sample(session, register_wh)
    await stage.restart()
    await station.wire.open()
    stage.pass_time(10)
    await station.sample(session, 400)
    stage.pass_time(10)
    await station.end(session, 500)
    live = await stage.the_transaction(station.identity)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert live.energy_wh == row.energy_wh == 600 + 500
    assert flags_of(row) == Flag.REGISTER_RESET


async def test_what_was_due_is_done_after_a_restart(stage: Stage, version: str) -> None:
    """No due action is lost: settling, and the watch over a forgotten transaction."""
    station = await stage.raw(version)
    ended = await station.begin(await stage.new_token(), 5_000, evse_no=2)
    stage.pass_time(10)
    await station.end(ended, 5_300)
    forgotten = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(10)
    await station.sample(forgotten, 5_300)
    stage.pass_time(10)
    await station.report(1, "Available", station.now)
    await stage.restart()
    stage.pass_time(16 * 60)
    await stage.work()
    await stage.settle()
    rows = {row.evse_no: row for row in await stage.transactions_of(station.identity)}
    assert rows[2].settled_at is not None
    assert (rows[1].state, rows[1].energy_wh) == ("Ended", 300)
    assert flags_of(rows[1]) == Flag.CLOSED_BY_POLICY | Flag.SUSPECT


async def test_what_was_answered_before_is_known_after(stage: Stage, version: str) -> None:
    """Replays of a start, a sample and a stop across our restart change nothing."""
    station = await stage.raw(version)
    session, speech = Session(1, await stage.new_token()), station.speech
    started = speech.started(session, station.now, 5_000)
    first = await station.say(started)
    speech.learn(session, first)
    stage.pass_time(10)
    sampled = speech.sampled(session, station.now, [speech.value(5_300)])
    await station.say(sampled)
    await stage.restart()
    await station.wire.open()
    assert await station.say(started) == first
    await station.say(sampled)
    stage.pass_time(10)
    stopped = speech.ended(session, station.now, 5_600)
    answer = await station.say(stopped)
    await stage.restart()
    await station.wire.open()
    assert [await station.say(said) for said in (started, sampled, stopped)] == [first, {}, answer]
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, flags_of(row)) == ("Ended", 600, Flag.NONE)
    assert len(await stage.samples_of(row.id)) == 3


async def test_commands_under_way_are_closed_as_unknown(stage: Stage, version: str) -> None:
    """The hub dies while a station thinks; what it did with the start is told by its start."""
    token = await stage.new_token()
    station = await stage.simulated(version, Misbehaviour.SILENT_TO_CALLS)
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO station_commands (id, station_id, action, payload, requested_by,"
            " requested_at, remote_start_id, evse_no, id_token) VALUES (gen_random_uuid(), %s,"
            " 'RequestStartTransaction', '{}', 'a scenario', %s, 990001, 1, %s)",
            (await stage.station_id(station.identity), stage.clock.date(), token.lower()),
        )
    await station.go_offline()
    await stage.restart()
    (asked,) = await stage.rows(
        "SELECT outcome FROM station_commands WHERE id_token = :token", token=token.lower()
    )
    assert asked.outcome == "unknown"
