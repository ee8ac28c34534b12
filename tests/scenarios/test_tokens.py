"""How presented tokens are judged and booked: statements 48 to 51 and 58 to 60."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chargehub.telemetry.readings import Flag
from chargehub.transactions.queries import find_transaction
from chargehub.transactions.views import transaction_detail
from simulators.clock import rfc3339
from tests.scenarios.speech import SPEECHES_2X, V16, Message, Session, Verdict
from tests.scenarios.stage import Stage, flags_of


@pytest.mark.parametrize("why", ["Blocked", "Expired", "Invalid", "ConcurrentTx"])
async def test_statement_48_a_refused_start_is_stored_and_judged_anew(
    stage: Stage, version: str, why: str
) -> None:
    columns: dict[str, dict[str, Any]] = {
        "Blocked": {"status": "Blocked"},
        "Expired": {"expires_at": stage.clock.date() - timedelta(hours=1)},
    }
    token = await stage.new_token(**columns.get(why, {}))
    if why == "Invalid":
        token = "NOBODY-KNOWS-IT"
    if why == "ConcurrentTx":
        await (await stage.raw(version)).begin(token)
    station = await stage.raw(version)
    assert (await station.authorize(token)).status == why
    session = Session(1, token)
    answer = await station.say(station.speech.started(session, station.now, 5_000))
    station.speech.learn(session, answer)
    assert station.speech.verdict(answer).status == why
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.authorization_status) == ("Active", why)
    assert flags_of(row) == Flag.REFUSED_TOKEN
    # E ends what was refused with DeAuthorized.
    stage.pass_time(2)
    await station.end(session, 5_000, reason="DeAuthorized", token=None)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.stopped_reason) == ("Ended", 0, "DeAuthorized")


async def test_statement_48_a_refused_card_blocks_nobody(stage: Stage, version: str) -> None:
    """A refused transaction is not one that the card charges in."""
    token = await stage.new_token(status="Blocked")
    station = await stage.raw(version)
    await station.begin(token)
    assert (await station.authorize(token)).status == "Blocked"
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE id_tokens SET status = 'Accepted' WHERE token = %s", (token.lower(),)
        )
    elsewhere = await stage.raw(version)
    assert (await elsewhere.authorize(token)).status == "Accepted"


async def test_one_card_charges_one_car(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    session = await station.begin(token, evse_no=1)
    # At its own station the card is about to stop; at another gun it may not start.
    assert (await station.authorize(token)).status == "Accepted"
    second = Session(2, token)
    answer = await station.say(station.speech.started(second, station.now, 5_000))
    assert station.speech.verdict(answer).status == "ConcurrentTx"
    stage.pass_time(60)
    await station.end(session, 6_000)
    elsewhere = await stage.raw(version)
    assert (await elsewhere.authorize(token)).status == "Accepted"


async def test_one_card_at_many_stations_at_once_charges_one_car(
    stage: Stage, version: str
) -> None:
    """Starts that share one COMMIT know of each other too."""
    token = await stage.new_token()
    stations = [await stage.raw(version) for _ in range(6)]
    starts = [s.speech.started(Session(1, token), s.now, 5_000) for s in stations]
    answers = await asyncio.gather(
        *(station.say(start) for station, start in zip(stations, starts, strict=True))
    )
    statuses = [stations[0].speech.verdict(answer).status for answer in answers]
    assert sorted(filter(None, statuses)) == ["Accepted", *["ConcurrentTx"] * 5]


async def test_statement_50_any_card_of_the_group_may_stop(stage: Stage, version: str) -> None:
    group = f"FLEET-{next(stage.numbers)}"
    mine, theirs = [await stage.new_token(group_token=group) for _ in range(2)]
    station = await stage.raw(version)
    assert await station.authorize(mine) == Verdict("Accepted", group)
    session = Session(1, mine)
    answer = await station.say(station.speech.started(session, station.now, 5_000))
    station.speech.learn(session, answer)
    assert station.speech.verdict(answer) == Verdict("Accepted", group)
    stage.pass_time(60)
    assert await station.authorize(theirs) == Verdict("Accepted", group)
    stopped = await station.end(session, 6_000, token=theirs)
    assert station.speech.verdict(stopped) == Verdict("Accepted", group)
    row = await stage.the_transaction(station.identity)
    assert (row.id_token, row.stop_id_token) == (mine.lower(), theirs)
    assert (row.group_id_token, row.state) == (group, "Ended")


async def test_statement_50_the_name_of_a_group_is_no_card(stage: Stage, version: str) -> None:
    group = f"FLEET-{next(stage.numbers)}"
    await stage.new_token(group_token=group)
    station = await stage.raw(version)
    assert (await station.authorize(group)).status == "Invalid"


async def test_who_stops_a_refused_transaction_does_not_pay_for_it(
    stage: Stage, version: str
) -> None:
    refused = await stage.new_token(status="Blocked")
    good = await stage.new_token()
    station = await stage.raw(version)
    session = await station.begin(refused, 5_000)
    stage.pass_time(60)
    await station.end(session, 6_000, token=good)
    row = await stage.the_transaction(station.identity)
    assert (row.id_token, row.authorization_status) == (refused.lower(), "Blocked")
    assert row.stop_id_token == good


async def test_statement_42_cards_compare_without_case(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    session = await station.begin(token.lower(), 5_000)
    assert (await station.authorize(token.swapcase())).status == "Accepted"
    stage.pass_time(60)
    await station.end(session, 6_000, token=token.upper())
    row = await stage.the_transaction(station.identity)
    assert (row.id_token, row.energy_wh, flags_of(row)) == (token.lower(), 1_000, Flag.NONE)


async def test_statement_51_a_stop_without_token_and_reason(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(60)
    ended = station.speech.ended(session, station.now, 6_000, token=None)
    ended.payload.pop("reason", None)
    ended.payload.get("transactionInfo", {}).pop("stoppedReason", None)
    assert await station.say(ended) == {}
    row = await stage.the_transaction(station.identity)
    assert (row.stopped_reason, row.energy_wh) == ("Local", 1_000)
    assert row.stop_id_token is None


async def test_statement_51_transaction_data_is_stored(stage: Stage) -> None:
    station = await stage.raw(V16)
    session = await station.begin(await stage.new_token(), 5_000)
    speech, began = station.speech, rfc3339(station.now)
    sampled = speech.sampled(session, station.now + 10, [speech.value(5_300)])
    stage.pass_time(60)
    await station.say(sampled)
    ended = speech.ended(session, station.now, 6_000)
    # StopTxnSampledData repeats what MeterValues said, and adds to it.
    values = [speech.value(5_000, context="Transaction.Begin")]
    begin = {"timestamp": began, "sampledValue": values}
    ended.payload["transactionData"] = [begin, *sampled.payload["meterValue"]]
    await station.say(ended)
    row = await stage.the_transaction(station.identity)
    stored = [(s.context, s.register_wh) for s in await stage.samples_of(row.id)]
    assert stored == [
        ("Transaction.Begin", 5_000),  # meterStart
        ("Transaction.Begin", 5_000),  # what the station says of it itself
        ("Sample.Periodic", 5_300),
        ("Transaction.End", 6_000),  # meterStop, which the station says nowhere else
    ]


@pytest.mark.parametrize("kind", ["Started", "Updated", "Ended"])
async def test_statement_58_a_token_is_answered_and_its_absence_too(
    stage: Stage, kind: str, version_2x: str
) -> None:
    token = await stage.new_token()
    station, speech = await stage.raw(version_2x), SPEECHES_2X[version_2x]()
    session = Session(1, token)
    if kind != "Started":
        assert await station.say(speech.started(session, station.now, 5_000, token=None)) == {}
    event = speech.event(session, kind, station.now)
    assert await station.say(Message("TransactionEvent", event)) == {}
    event |= {"seqNo": 9, "idToken": {"idToken": token, "type": "ISO14443"}}
    answer = await station.say(Message("TransactionEvent", event))
    assert answer == {"idTokenInfo": {"status": "Accepted"}}


async def test_statement_58_the_card_may_come_after_the_cable(
    stage: Stage, version_2x: str
) -> None:
    """E03: Started by the cable without a token, Updated Authorized with one."""
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    session = Session(1, token)
    assert await station.say(station.speech.started(session, station.now, 5_000, token=None)) == {}
    before = await stage.the_transaction(station.identity)
    assert (before.id_token, before.authorization_status) == (None, None)
    stage.pass_time(5)
    authorized = station.speech.sampled(session, station.now, [station.speech.value(5_000)])
    authorized.payload["triggerReason"] = "Authorized"
    authorized.payload["idToken"] = {"idToken": token, "type": "ISO14443"}
    assert station.speech.verdict(await station.say(authorized)).status == "Accepted"
    after = await stage.the_transaction(station.identity)
    assert (after.id_token, after.authorization_status) == (token.lower(), "Accepted")
    elsewhere = await stage.raw(version_2x)
    assert (await elsewhere.authorize(token)).status == "ConcurrentTx"


async def test_statement_59_no_authorization_needs_no_card(stage: Stage, version_2x: str) -> None:
    station = await stage.raw(version_2x)
    session = Session(1, "")
    started = station.speech.started(session, station.now, 5_000)
    started.payload["idToken"] = {"idToken": "", "type": "NoAuthorization"}
    assert await station.say(started) == {"idTokenInfo": {"status": "Accepted"}}
    row = await stage.the_transaction(station.identity)
    assert flags_of(row) == Flag.NONE
    assert row.authorization_status == "Accepted"


async def test_statement_59_a_group_is_of_type_central(stage: Stage, version_2x: str) -> None:
    group = f"FLEET-{next(stage.numbers)}"
    token = await stage.new_token(group_token=group)
    station = await stage.raw(version_2x)
    answer = await station.say(station.speech.authorize(token))
    assert answer["idTokenInfo"]["groupIdToken"] == {"idToken": group, "type": "Central"}


async def test_a_start_without_any_token_is_refused_and_watched(stage: Stage) -> None:
    """F accepts a remote start without idTag and then starts without one."""
    station = await stage.raw(V16)
    started = station.speech.started(Session(1, ""), station.now, 5_000)
    del started.payload["idTag"]
    answer = await station.say(started)
    assert station.speech.verdict(answer).status == "Invalid"
    row = await stage.the_transaction(station.identity)
    assert answer["transactionId"] == row.id
    assert (row.id_token, flags_of(row)) == (None, Flag.INVALID_PAYLOAD)
    stage.pass_time(16 * 60)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert row.state == "Ended"


async def test_a_card_is_not_refused_at_the_gun_that_forgot_its_last_charge(
    stage: Stage, version: str
) -> None:
    """After a crash of the station, the driver presents the same card at the same gun."""
    token = await stage.new_token()
    station = await stage.raw(version)
    await station.begin(token)
    stage.pass_time(60)
    again = Session(1, token)
    answer = await station.say(station.speech.started(again, station.now, 9_000))
    assert station.speech.verdict(answer).status == "Accepted"


async def test_statement_42_a_token_is_shown_as_entered_else_as_presented(
    stage: Stage, version: str
) -> None:
    """Compared without case all the same, and of a kind that 1.6 does not tell."""
    station = await stage.raw(version)
    entered = await stage.new_token(kind="ISO15693")
    shown: list[tuple[str | None, str | None]] = []
    for evse_no, token in ((1, entered.swapcase()), (2, "NeverEntered1")):
        session = await station.begin(token, 5_000, evse_no=evse_no)
        stage.pass_time(60)
        await station.end(session, 6_000)
        row = (await stage.transactions_of(station.identity))[-1]
        async with stage.database.read() as connection:
            found = transaction_detail(await find_transaction(connection, row.id), None)
        shown.append((found.id_token, found.stop_id_token))
        if version == V16:
            assert found.id_token_kind == ("ISO15693" if token != "NeverEntered1" else None)
    assert shown == [(entered, entered), ("NeverEntered1", "NeverEntered1")]
