"""Which transaction a message means: statements 45 to 47, 53, 55 to 57, 61 and 62."""

from __future__ import annotations

import pytest

from chargehub.telemetry.readings import Flag
from tests.scenarios.speech import SPEECHES_2X, V16, Message, Session, moment
from tests.scenarios.stage import RawStation, Stage, flags_of


async def test_statement_45_minus_one_is_reconciled_by_connector_and_time(stage: Stage) -> None:
    """E16 3.18: a station that never learned the number still means its one transaction."""
    tokens = [await stage.new_token(), await stage.new_token()]
    station = await stage.raw(V16)
    first = await station.begin(tokens[0], 5_000, evse_no=1)
    second = await station.begin(tokens[1], 8_000, evse_no=2)
    first.number = second.number = None
    stage.pass_time(60)
    await station.sample(second, 8_700)
    await station.sample(first, 5_600)
    stage.pass_time(60)
    await station.end(second, 9_400)
    rows = {row.evse_no: row for row in await stage.transactions_of(station.identity)}
    assert (rows[1].state, rows[2].state) == ("Active", "Ended")
    assert rows[2].energy_wh == 1_400
    assert flags_of(rows[2]) == Flag.UNKNOWN_TRANSACTION
    assert [row.register_wh for row in await stage.samples_of(rows[2].id)] == [
        8_000,
        8_700,
        9_400,
    ]
    await station.end(first, 6_200)
    rows = {row.evse_no: row for row in await stage.transactions_of(station.identity)}
    assert (rows[1].state, rows[1].energy_wh) == ("Ended", 1_200)
    assert len(rows) == 2


async def test_statement_45_a_repeated_stop_of_minus_one_ends_nobody_else(stage: Stage) -> None:
    """Without an idTag only the first one could be reconciled; its repetition means the same."""
    station = await stage.raw(V16)
    first = await station.begin(await stage.new_token(), 5_000, evse_no=1)
    first.number = None
    stage.pass_time(60)
    stopped = station.speech.ended(first, station.now, 6_000, token=None)
    await station.say(stopped)
    second = await station.begin(await stage.new_token(), 100, evse_no=2)
    stage.pass_time(5)
    await station.reconnect()
    assert await station.say(stopped) == {}
    rows = {row.evse_no: row for row in await stage.transactions_of(station.identity)}
    assert (rows[1].state, rows[2].state) == ("Ended", "Active")
    assert len(rows) == 2
    stage.pass_time(60)
    await station.end(second, 900)
    assert (await stage.transactions_of(station.identity))[1].energy_wh == 800


async def test_statement_45_minus_one_that_could_mean_two_ends_neither(stage: Stage) -> None:
    station = await stage.raw(V16)
    tokens = [await stage.new_token(), await stage.new_token()]
    for evse_no, token in enumerate(tokens, start=1):
        await station.begin(token, 5_000, evse_no=evse_no)
    stage.pass_time(60)
    lost = Session(1, tokens[0])
    for _ in range(2):
        assert await station.end(lost, 6_000, token=None) == {}
    *running, stray = await stage.transactions_of(station.identity)
    assert [row.state for row in running] == ["Active", "Active"]
    assert (stray.state, stray.evse_no) == ("Ended", None)
    assert flags_of(stray) & (Flag.STUB | Flag.UNKNOWN_TRANSACTION)


@pytest.mark.parametrize("reference", ["unknown", "closed", "absent", "of another station"])
async def test_statement_46_what_refers_to_no_open_transaction_is_kept_and_closes_none(
    stage: Stage, version: str, reference: str
) -> None:
    token = await stage.new_token()
    station, other = await stage.raw(version), await stage.raw(version)
    closed = await station.begin(await stage.new_token(), 1_000, evse_no=1)
    stage.pass_time(60)
    await station.end(closed, 2_000)
    running = await station.begin(token, 5_000, evse_no=1)
    foreign = await other.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    meant = {"closed": closed, "of another station": foreign}.get(reference, Session(2, token))
    if reference == "unknown":
        meant.number = 2_000_000_000
    ended = station.speech.ended(meant, station.now, 6_000, token=None)
    if reference == "absent":
        ended.payload.pop("transactionId", None)
        ended.payload.pop("transactionInfo", None)
    assert await station.say(ended) in ({}, {"idTokenInfo": {"status": "Accepted"}})
    by_id = {row.ref: row for row in await stage.transactions_of(station.identity)}
    own = by_id[running.reference if version != V16 else str(running.number)]
    if reference == "absent" and version == V16:
        # One transaction is open, and a stop without any number can only mean it.
        assert own.state == "Ended"
        return
    assert own.state == "Active"
    assert (await stage.the_transaction(other.identity)).state == "Active"
    kept = await stage.rows(
        "SELECT e.flags | t.flags AS flags FROM transaction_events e"
        " JOIN transactions t ON t.id = e.transaction_id"
        " WHERE t.station_id = :id AND e.kind = 'Ended' AND e.at = :at"
        " UNION ALL SELECT CASE WHEN flagged THEN :flag ELSE 0 END FROM station_notices"
        " WHERE station_id = :id",
        id=station.station_id,
        at=moment(station.now),
        flag=int(Flag.INVALID_PAYLOAD),
    )
    assert len(kept) == 1
    if version == V16 or reference in {"closed", "absent"}:
        assert kept[0].flags


async def test_statement_46_samples_of_no_known_transaction_are_kept(stage: Stage) -> None:
    station = await stage.raw(V16)
    await station.begin(await stage.new_token(), 5_000)
    stray = Session(1, "", number=2_000_000_001)
    stage.pass_time(10)
    await station.sample(stray, 77_000)
    rows = await stage.rows(
        "SELECT transaction_id, register_wh, flags FROM samples WHERE station_id = :id"
        " AND context = 'Sample.Periodic'",
        id=station.station_id,
    )
    assert [(row.transaction_id, row.register_wh) for row in rows] == [(0, 77_000)]
    assert Flag(rows[0].flags) == Flag.UNKNOWN_TRANSACTION
    assert (await stage.the_transaction(station.identity)).state == "Active"


async def test_statement_47_numbers_are_positive_unique_and_given_to_refused_starts_too(
    stage: Stage,
) -> None:
    station = await stage.raw(V16)
    tokens = [await stage.new_token(), await stage.new_token(status="Blocked"), "NOBODY-KNOWS-IT"]
    sessions = []
    for token in tokens:
        sessions.append(await station.begin(token, 5_000))
        stage.pass_time(1)
        await station.end(sessions[-1], 5_000)
        stage.pass_time(1)
    await stage.restart()
    await station.wire.open()
    sessions.append(await station.begin(tokens[0], 5_000))
    numbers = [session.number or 0 for session in sessions]
    assert min(numbers) > 0
    assert max(numbers) < 2**31
    assert sorted(set(numbers)) == numbers


async def test_statement_53_a_new_start_makes_the_open_one_suspect(
    stage: Stage, version: str
) -> None:
    """The station has forgotten the first; its late stop still counts."""
    station = await stage.raw(version)
    first = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    await station.sample(first, 5_900)
    stage.pass_time(60)
    stopped = station.speech.ended(first, station.now, 6_400)
    stage.pass_time(60)
    second = await station.begin(await stage.new_token(), 6_400)
    old, new = await stage.transactions_of(station.identity)
    assert (old.state, flags_of(old)) == ("Active", Flag.SUSPECT)
    assert (new.state, flags_of(new)) == ("Active", Flag.NONE)
    await station.say(stopped)
    stage.pass_time(60)
    await station.end(second, 7_000)
    await stage.settle()
    old, new = await stage.transactions_of(station.identity)
    assert (old.state, old.energy_wh, flags_of(old)) == ("Ended", 1_400, Flag.SUSPECT)
    assert (new.state, new.energy_wh, flags_of(new)) == ("Ended", 600, Flag.NONE)


async def test_statement_53_an_old_start_told_late_does_not_displace_the_running_one(
    stage: Stage, version: str
) -> None:
    """49: a queued start is booked by its own time; nameless samples mean the newer one."""
    station = await stage.raw(version)
    began_long_ago = station.now
    stage.pass_time(600)
    running = await station.begin(await stage.new_token(), 6_000)
    old = Session(1, await stage.new_token())
    started = station.speech.started(old, began_long_ago, 5_000, offline=True)
    station.speech.learn(old, await station.say(started))
    stage.pass_time(10)
    value = station.speech.value(6_100)
    await station.say(station.speech.bare(1, station.now, [value]))
    await station.say(station.speech.ended(old, began_long_ago + 300, 5_800, offline=True))
    first, second = await stage.transactions_of(station.identity)
    assert (first.started_at, first.energy_wh) == (moment(began_long_ago), 800)
    assert first.state == "Ended"
    assert (second.state, flags_of(second)) == ("Active", Flag.NONE)
    nameless = [row.register_wh for row in await stage.samples_of(second.id)]
    assert 6_100 in nameless
    stage.pass_time(50)
    await station.end(running, 6_700)
    assert (await stage.transactions_of(station.identity))[1].energy_wh == 700


async def test_statement_55_gaps_are_reported_and_filled_by_latecomers(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    session = Session(1, await stage.new_token(), events=7)  # The first seqNo need not be 0.
    began = station.now
    started = station.speech.started(session, began, 5_000)
    values = [[station.speech.value(5_000 + 100 * step)] for step in (1, 2)]
    samples = [
        station.speech.sampled(session, began + 10 * step, value)
        for step, value in enumerate(values, start=1)
    ]
    ended = station.speech.ended(session, began + 30, 5_300)
    stage.pass_time(60)
    for message in (started, samples[1], ended):
        await station.say(message)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.first_seq_no, row.last_seq_no, row.energy_wh) == (7, 10, 300)
    assert flags_of(row) == Flag.GAP
    await station.say(samples[0])
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert flags_of(row) == Flag.NONE
    assert [sample.energy_wh for sample in await stage.samples_of(row.id)] == [0, 100, 200, 300]


@pytest.mark.parametrize("kind", ["Updated", "Ended"])
async def test_statement_56_an_event_without_its_start_makes_a_stub(
    stage: Stage, kind: str, version_2x: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    session = Session(1, token)
    if kind == "Updated":
        await station.sample(session, 5_000)
        stage.pass_time(10)
        await station.sample(session, 5_300)
    stage.pass_time(50)
    answer = await station.end(session, 6_000)
    assert station.speech.verdict(answer).status == "Accepted"
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh) == ("Ended", 1_000 if kind == "Updated" else 0)
    assert flags_of(row) == Flag.STUB | Flag.BEGIN_MISSING
    # Who stops need not be who started.
    assert (row.id_token, row.stop_id_token) == (None, token)


async def test_statement_57_what_happened_offline_is_booked_by_its_own_time(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    began = station.now
    stage.pass_time(3600)
    session = Session(1, token)
    started = station.speech.started(session, began, 5_000, offline=True)
    station.speech.learn(session, await station.say(started))
    await station.say(station.speech.ended(session, began + 600, 9_000, offline=True))
    row = await stage.the_transaction(station.identity)
    assert (row.started_at, row.ended_at) == (moment(began), moment(began + 600))
    assert row.received_at == moment(station.now)
    assert (row.offline, flags_of(row)) == (
        (True, Flag.OFFLINE) if version != V16 else (False, Flag.NONE)
    )
    # No live action follows: nothing is asked of the station but its inventory.
    await stage.settle()
    assert {action for action, _ in station.asked} <= {"GetBaseReport", "GetConfiguration"}


async def test_statement_61_two_stations_may_use_one_id(stage: Stage, version_2x: str) -> None:
    stations: list[RawStation] = [await stage.raw(version_2x) for _ in range(2)]
    sessions = []
    for station in stations:
        session = Session(1, await stage.new_token(), reference="the-same-on-both")
        sessions.append(session)
        await station.say(station.speech.started(session, station.now, 5_000))
    stage.pass_time(60)
    await stations[0].end(sessions[0], 6_000)
    ended = await stage.the_transaction(stations[0].identity)
    running = await stage.the_transaction(stations[1].identity)
    assert (ended.state, ended.energy_wh, running.state) == ("Ended", 1_000, "Active")
    assert ended.id != running.id


@pytest.mark.parametrize("when", ["Started", "Updated", "Ended", "after the end"])
async def test_statement_62_facts_are_linked_on_whichever_event_they_come(
    stage: Stage, when: str, version_2x: str
) -> None:
    """E01.FR.13/16: evse, reservationId and token may come on any event."""
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    session = Session(2, token)
    began = station.now
    speech = station.speech
    messages = {
        "Started": speech.started(session, began, 5_000),
        "Updated": speech.sampled(session, began + 10, [speech.value(5_300)]),
        "after the end": speech.sampled(session, began + 15, [speech.value(5_400)]),
        "Ended": speech.ended(session, began + 20, 5_600),
    }
    evse = messages["Started"].payload.pop("evse")
    messages[when].payload.update(evse=evse, reservationId=71)
    stage.pass_time(30)
    for name in ("Started", "Updated", "Ended", "after the end"):
        await station.say(messages[name])
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.evse_no, row.connector_no, row.reservation_id) == (2, 1, 71)
    assert row.energy_wh == 600
    # Judged by the EVSE's own figures, and its samples lie where they belong.
    assert row.max_power_w == 120_000
    samples = await stage.samples_of(row.id)
    assert [(sample.evse_no, sample.energy_wh) for sample in samples] == [
        (2, 0),
        (2, 300),
        (2, 400),
        (2, 600),
    ]


async def test_statement_62_a_reservation_is_linked(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    await station.begin(await stage.new_token(), 5_000, reservation_id=4711)
    assert (await stage.the_transaction(station.identity)).reservation_id == 4711


async def test_nameless_samples_go_to_the_running_transaction(stage: Stage, version: str) -> None:
    """F: its MeterValues message names no transaction; quirk 8: by EVSE and time."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000, evse_no=2)
    stage.pass_time(10)
    said = station.speech.bare(2, station.now, [station.speech.value(5_300)])
    await station.say(said)
    early = station.speech.bare(2, station.now - 100, [station.speech.value(4_000)])
    await station.say(early)
    await station.say(station.speech.bare(1, station.now, [station.speech.value(99)]))
    stage.pass_time(10)
    await station.end(session, 5_600)
    # Told again after the end, it is the same row still.
    await station.say(said)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert row.energy_wh == 600
    registers = [sample.register_wh for sample in await stage.samples_of(row.id)]
    assert registers == [5_000, 5_300, 5_600]
    others = await stage.rows(
        "SELECT register_wh FROM samples WHERE station_id = :id AND transaction_id = 0"
        " ORDER BY register_wh",
        id=station.station_id,
    )
    assert [other.register_wh for other in others] == [99, 4_000]


async def test_samples_after_the_stop_are_kept_and_not_billed(stage: Stage, version: str) -> None:
    """D resends the gap's samples 86 s after the stop; others go on sampling after the end."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    began = station.now
    stage.pass_time(60)
    await station.end(session, 6_000)
    stage.pass_time(86)
    value = station.speech.value
    await station.say(station.speech.sampled(session, began + 30, [value(5_500)]))
    await station.say(station.speech.sampled(session, began + 120, [value(7_700)]))
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, row.state) == (1_000, "Ended")
    stored = {s.register_wh: s.energy_wh for s in await stage.samples_of(row.id)}
    assert stored[5_500] == 500
    assert stored[7_700] is None


async def test_statement_56_a_stub_is_judged_by_its_gun_once_that_is_known(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    before = await station.begin(await stage.new_token(), 1_000)
    stage.pass_time(60)
    await station.end(before, 2_000)
    forgotten = await station.begin(await stage.new_token(), 2_000)
    stage.pass_time(60)
    session, speech = Session(1, await stage.new_token()), station.speech
    started = speech.started(session, station.now, 2_000)
    stage.pass_time(10)
    await station.sample(session, 2_300)
    await station.say(started)
    (first, second) = stage.hub.book.all_at_station(station.station_id)
    assert (first.ref, second.ref) == (forgotten.reference, session.reference)
    assert (first.flags, second.flags) == (Flag.SUSPECT, Flag.STUB | Flag.BEGIN_MISSING)
    assert (second.track.max_power_w, second.track.previous_wh) == (120_000, 2_000)
    _, old, new = await stage.transactions_of(station.identity)
    assert (flags_of(old), new.previous_register_wh) == (Flag.SUSPECT, 2_000)


async def test_an_old_charging_state_does_not_overwrite(stage: Stage, version_2x: str) -> None:
    token = await stage.new_token()
    station, speech = await stage.raw(version_2x), SPEECHES_2X[version_2x]()
    session = Session(1, token)
    await station.say(speech.started(session, station.now, 5_000))
    states = [(10, "EVConnected"), (20, "Charging"), (30, "SuspendedEV")]
    events = [
        Message(
            "TransactionEvent",
            speech.event(session, "Updated", station.now + after, charging_state=state),
        )
        for after, state in states
    ]
    stage.pass_time(60)
    for event in (events[0], events[2], events[1]):
        await station.say(event)
    assert (await stage.the_transaction(station.identity)).charging_state == "SuspendedEV"


async def test_connector_zero_is_legal_anywhere(stage: Stage, version: str) -> None:
    """Quirk 13: a start at connector 0 or EVSE 0 is booked, and so are its samples."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000, evse_no=0)
    stage.pass_time(10)
    await station.sample(session, 5_300)
    stage.pass_time(10)
    await station.end(session, 5_600)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    # No gun is named, so it deserves a second look.
    assert (row.evse_no, row.energy_wh, flags_of(row)) == (0, 600, Flag.UNKNOWN_EVSE)
    assert 5_300 in [sample.register_wh for sample in await stage.samples_of(row.id)]
