"""What stations say twice: statements 43, 44 and 54, by content and never by message id."""

from __future__ import annotations

import pytest

from chargehub.telemetry.readings import Flag
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.speech import V16, Message, Session
from tests.scenarios.stage import RawStation, Stage, flags_of


async def told_twice(station: RawStation, message: Message) -> None:
    """Say it, say it again at once, and once more after a reconnect; the answer is the same."""
    answers = [await station.say(message), await station.say(message)]
    await station.reconnect()
    answers.append(await station.say(message))
    assert answers[0] == answers[1] == answers[2]


async def test_statement_43_a_repeated_start_is_one_transaction(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    session = Session(1, token)
    started = station.speech.started(session, station.now, 5_000)
    first = await station.say(started)
    station.speech.learn(session, first)
    assert station.speech.verdict(first).status == "Accepted"
    for _ in range(2):
        await station.reconnect()
        # Not ConcurrentTx against itself, whatever the time of the repetition.
        stage.pass_time(40)
        assert await station.say(started) == first
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.begin_register_wh) == ("Active", 5_000)
    assert len(await stage.events_of(row.id)) == 1


async def test_statement_43_a_start_is_known_again_after_its_end(
    stage: Stage, version: str
) -> None:
    """The answer got lost, the station ended meanwhile, and the card charges elsewhere now."""
    token = await stage.new_token()
    station, other = await stage.raw(version), await stage.raw(version)
    session = Session(1, token)
    started = station.speech.started(session, station.now, 5_000)
    station.speech.learn(session, first := await station.say(started))
    stage.pass_time(60)
    await station.end(session, 6_000)
    await other.begin(token)
    assert await station.say(started) == first
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.authorization_status) == ("Ended", 1_000, "Accepted")
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.begin_register_wh) == ("Ended", 1_000, 5_000)


async def test_statement_43_a_repeated_start_of_a_station_without_clock(
    stage: Stage, version: str
) -> None:
    """The timestamp is of 1970, so the begin is our time of receipt: another each time."""
    token = await stage.new_token()
    station = await stage.raw(version)
    started = station.speech.started(Session(1, token), 37.0, 5_000)
    await told_twice(station, started)
    stage.pass_time(5)
    await told_twice(station, started)
    row = await stage.the_transaction(station.identity)
    assert flags_of(row) == Flag.CLOCK_SKEW
    assert len(await stage.events_of(row.id)) == 1


async def test_statement_43_without_a_clock_the_same_words_begin_another_charge(
    stage: Stage,
) -> None:
    """A dead clock and a register that begins at 0: only the end tells the starts apart."""
    token = await stage.new_token()
    station = await stage.raw(V16)
    numbers = []
    for register_wh in (3_000, 2_000):
        session = Session(1, token)
        started = station.speech.started(session, 0.0, 0)
        await told_twice(station, started)
        station.speech.learn(session, await station.say(started))
        stage.pass_time(600)
        await told_twice(station, station.speech.ended(session, 600.0, register_wh))
        stage.pass_time(600)
        numbers.append(session.number)
    first, second = await stage.transactions_of(station.identity)
    assert [first.id, second.id] == numbers
    assert (first.state, first.energy_wh) == ("Ended", 3_000)
    assert (second.state, second.energy_wh) == ("Ended", 2_000)


@pytest.mark.parametrize("place", ["transaction", "ended transaction", "no transaction"])
async def test_statement_44_repeated_samples_without_a_clock_are_stored_once(
    stage: Stage, version: str, place: str
) -> None:
    """Their time is our time of receipt: another each time."""
    station = await stage.raw(version)
    session, said = await station.begin(await stage.new_token(), 5_000), station.speech
    stage.pass_time(60)
    sampled = said.sampled(session, 37.0, [said.value(5_500)])
    if place == "no transaction":
        sampled = said.bare(0, 37.0, [said.value(5_500)])
    elif place == "ended transaction":
        await station.end(session, 6_000)
    for _ in range(3):
        await station.say(sampled)
        stage.pass_time(5)
        await station.reconnect()
    row = await stage.the_transaction(station.identity)
    number = 0 if place == "no transaction" else row.id
    stored = [
        sample
        for sample in await stage.samples_of(number)
        if sample.station_id == row.station_id and sample.context == "Sample.Periodic"
    ]
    assert [sample.register_wh for sample in stored] == [5_500]
    await station.say(said.sampled(session, 38.0, [said.value(5_500)]))
    others = await stage.samples_of(row.id)
    assert len([sample for sample in others if sample.context == "Sample.Periodic"]) == (
        1 if place == "no transaction" else 2
    )


@pytest.mark.parametrize("other", ["time", "card", "register", "gun"])
async def test_statement_43_a_start_that_differs_in_one_thing_is_another_transaction(
    stage: Stage, version: str, other: str
) -> None:
    cards = [await stage.new_token(), await stage.new_token()]
    station = await stage.raw(version)
    first = Session(1, cards[0])
    told = station.speech.started(first, station.now, 5_000)
    station.speech.learn(first, await station.say(told))
    began = station.now
    stage.pass_time(60)
    await station.end(first, 5_000)
    second = Session(2 if other == "gun" else 1, cards[other == "card"])
    again = station.speech.started(
        second, began + (1 if other == "time" else 0), 5_001 if other == "register" else 5_000
    )
    station.speech.learn(second, await station.say(again))
    assert (first.number, first.reference) != (second.number, second.reference)
    rows = await stage.transactions_of(station.identity)
    assert sorted(row.state for row in rows) == ["Active", "Ended"]


async def test_statement_44_a_repeated_stop_bills_once(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    session = await station.begin(token, 5_000)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    stage.pass_time(60)
    ended = station.speech.ended(session, station.now, 7_000)
    if version == V16:
        element = {"timestamp": ended.payload["timestamp"]}
        element["sampledValue"] = [station.speech.value(7_000, context="Transaction.End")]
        ended.payload["transactionData"] = [element]
    await told_twice(station, ended)
    live = await stage.the_transaction(station.identity)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    for seen in (live, row):
        assert (seen.state, seen.energy_wh, seen.end_register_wh) == ("Ended", 2_000, 7_000)
    samples = [sample.register_wh for sample in await stage.samples_of(row.id)]
    assert samples == [5_000, 5_900, 7_000]
    kinds = [event.kind for event in await stage.events_of(row.id)]
    assert kinds.count("Ended") == 1
    assert flags_of(row) == Flag.NONE


async def test_statement_44_a_second_other_stop_does_not_change_the_first(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    session = await station.begin(token, 5_000)
    stage.pass_time(60)
    await station.end(session, 6_000)
    before = await stage.the_transaction(station.identity)
    stage.pass_time(60)
    await station.end(session, 9_000, reason="Other")
    await stage.settle()
    after = await stage.the_transaction(station.identity)
    assert (after.energy_wh, after.ended_at) == (before.energy_wh, before.ended_at)
    assert after.stopped_reason == "Local"
    last = (await stage.events_of(after.id))[-1]
    assert Flag(last.flags) & Flag.UNKNOWN_TRANSACTION


@pytest.mark.parametrize("seq_no", [None, 0])
async def test_statement_54_a_replayed_event_is_billed_once(
    stage: Stage, seq_no: int | None, version_2x: str
) -> None:
    """Some stations send seqNo 0 in every event (E): neither it nor the id tells them apart."""
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    session = Session(1, token)
    more = {} if seq_no is None else {"seq_no": seq_no}
    began = station.now
    messages = [station.speech.started(session, began, 5_000, **more)]
    for step in range(1, 4):
        value = station.speech.value(5_000 + 200 * step)
        messages.append(station.speech.sampled(session, began + 10 * step, [value]))
        if seq_no is not None:
            messages[-1].payload["seqNo"] = seq_no
    messages.append(station.speech.ended(session, began + 40, 5_800, **more))
    stage.pass_time(60)
    first = [await station.say(message) for message in messages]
    await station.reconnect()
    # Some mark only the replay as offline.
    replayed = [Message(told.action, {**told.payload, "offline": True}) for told in messages]
    again = [await station.say(message) for message in replayed]
    assert again == first
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, row.state) == (800, "Ended")
    assert len(await stage.events_of(row.id)) == 5
    assert len(await stage.samples_of(row.id)) == 5
    assert not flags_of(row) & Flag.GAP


def told_samples(station: SimulatedStation) -> set[tuple[int | str, str]]:
    """Return what samples of transactions the station holds as acknowledged."""
    told = set()
    for message in station.acknowledged:
        for bound, context in (("meterStart", "Begin"), ("meterStop", "End")):
            if bound in message.payload:
                told.add((message.payload["timestamp"], f"Transaction.{context}"))
        if message.action not in {"MeterValues", "TransactionEvent", "StopTransaction"}:
            continue
        payload = message.payload
        for element in payload.get("meterValue") or payload.get("transactionData") or ():
            told.add((element["timestamp"], element["sampledValue"][0]["context"]))
    return told


@pytest.mark.parametrize(
    "ids", [(), (Misbehaviour.COUNTING_IDS,)], ids=["fresh ids", "ids from 1 again"]
)
async def test_an_answer_lost_makes_no_second_anything(
    stage: Stage, version: str, ids: tuple[Misbehaviour, ...]
) -> None:
    """A repeats what we did not answer with a new id and the same content."""
    token = await stage.new_token()
    quirks = (Misbehaviour.LOSE_ANSWERS, *ids)
    station = await stage.simulated(version, *quirks, lost_answer_timeout_s=0.1)
    await station.plug_in(1, Car(soc=0.3))
    assert await station.present_token(1, token)
    await station.advance(60)
    await station.stop(1)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, flags_of(row)) == ("Ended", Flag.NONE)
    assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    stored = await stage.samples_of(row.id)
    told = told_samples(station)
    assert len(stored) == len(told) > 5
    assert len({(sample.sampled_at, sample.context) for sample in stored}) == len(stored)
    assert station.statistics.messages_sent > len(station.acknowledged)


async def test_ids_of_two_stations_may_be_the_same(stage: Stage, version: str) -> None:
    """A: two stations booted in one second sent identical message ids."""
    tokens = [await stage.new_token(), await stage.new_token()]
    stations = [await stage.simulated(version, Misbehaviour.COUNTING_IDS) for _ in tokens]
    for station, token in zip(stations, tokens, strict=True):
        await station.plug_in(1, Car(soc=0.3))
        assert await station.present_token(1, token)
        await station.advance(20)
        await station.go_offline()
        await station.come_back()
        await station.stop(1)
    for station, token in zip(stations, tokens, strict=True):
        row = await stage.the_transaction(station.identity)
        assert (row.id_token, row.state) == (token.lower(), "Ended")
        assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)


async def test_an_id_that_begins_again_after_its_end_is_another_transaction(
    stage: Stage, version_2x: str
) -> None:
    """Station firmware that seeds its transactionIds by the clock repeats them after a boot."""
    first_token, second_token = await stage.new_token(), await stage.new_token()
    station = await stage.raw(version_2x)
    first = Session(1, first_token)
    await station.say(station.speech.started(first, station.now, 5_000))
    stage.pass_time(60)
    await station.end(first, 6_000)
    stage.pass_time(60)
    second = Session(1, second_token, reference=first.reference)
    answer = await station.say(started := station.speech.started(second, station.now, 6_000))
    assert station.speech.verdict(answer).status == "Accepted"
    assert await station.say(started) == answer
    stage.pass_time(60)
    await station.end(second, 8_500)
    await stage.settle()
    rows = await stage.transactions_of(station.identity)
    booked = [(row.id_token, row.state, row.energy_wh) for row in rows]
    assert booked == [
        (first_token.lower(), "Ended", 1_000),
        (second_token.lower(), "Ended", 2_500),
    ]
