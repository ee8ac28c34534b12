"""Transactions that have gaps: the station is asked for what is missing (statement 55, E14)."""

from __future__ import annotations

import asyncio

import pytest

from chargehub.telemetry.readings import Flag
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import Message, Payload, Session
from tests.scenarios.stage import RawStation, Stage, flags_of


async def with_a_gap(stage: Stage, station: RawStation) -> tuple[Session, Message]:
    """End a transaction of which one message is missing; return what is missing."""
    session = Session(1, await stage.new_token())
    began = station.now
    started = station.speech.started(session, began, 5_000)
    missing, ended = (
        station.speech.sampled(session, began + 10, [station.speech.value(5_100)]),
        station.speech.ended(session, began + 20, 5_200),
    )
    stage.pass_time(60)
    for message in (started, ended):
        await station.say(message)
    return session, missing


async def test_statement_55_a_station_is_asked_for_what_is_missing_until_it_has_no_more(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    station.answers["GetTransactionStatus"] = {"ongoingIndicator": False, "messagesInQueue": True}
    session, missing = await with_a_gap(stage, station)
    await stage.settle()
    question = ("GetTransactionStatus", {"transactionId": session.reference})
    assert station.asked.count(question) == 1
    assert (await stage.the_transaction(station.identity)).messages_pending is True
    stage.pass_time(601)
    await stage.work()
    assert station.asked.count(question) == 2
    await station.say(missing)
    await stage.settle()
    stage.pass_time(601)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (flags_of(row), row.messages_pending) == (Flag.NONE, False)
    assert station.asked.count(question) == 2, "nothing is missing any more"


async def test_statement_55_nothing_else_waits_while_a_silent_station_is_asked(
    stage: Stage, version_2x: str
) -> None:
    silent, other = await stage.raw(version_2x), await stage.raw(version_2x)
    silent.answers["GetTransactionStatus"] = {"ongoingIndicator": False, "messagesInQueue": True}
    await with_a_gap(stage, silent)
    await stage.settle()
    silent.wire.quirks = frozenset((Misbehaviour.SILENT_TO_CALLS,))
    stage.pass_time(560)
    session = await other.begin(await stage.new_token())
    await other.end(session, 6_000)
    stage.pass_time(100)  # The question is due after 600 s, the settlement a little later.
    asked = "SELECT FROM station_commands WHERE station_id = :id AND outcome = 'pending'"
    working = asyncio.create_task(stage.hub.worker.run_once())
    try:
        async with asyncio.timeout(10):
            while (await stage.the_transaction(other.identity)).settled_at is None:  # noqa: ASYNC110  Its row.
                await asyncio.sleep(0.01)
            while not await stage.rows(asked, id=silent.station_id):  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.01)
        assert not working.done()
    finally:
        await silent.wire.close(abruptly=True)
        async with asyncio.timeout(10):
            await working


@pytest.mark.parametrize(
    ("answer", "pending"),
    [({"messagesInQueue": False}, False), (None, None)],
    ids=["no more", "cannot be asked"],
)
async def test_statement_55_billing_need_not_wait_for_ever(
    stage: Stage, answer: Payload | None, pending: bool | None, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    if answer is not None:
        station.answers["GetTransactionStatus"] = answer
    await with_a_gap(stage, station)
    await stage.settle()
    stage.pass_time(3_600)
    await stage.work()
    row = await stage.the_transaction(station.identity)
    assert (flags_of(row), row.messages_pending) == (Flag.GAP, pending)
    assert [action for action, _ in station.asked].count("GetTransactionStatus") == 1


async def test_statement_55_a_station_that_is_gone_holds_up_a_bill_for_a_day(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    await with_a_gap(stage, station)
    await station.wire.close()
    await stage.settle()
    assert (await stage.the_transaction(station.identity)).messages_pending is True
    stage.pass_time(86_401)
    await stage.work()
    assert (await stage.the_transaction(station.identity)).messages_pending is False
