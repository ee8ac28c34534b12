"""Starting and stopping from afar: statements 75, 76 and wire-quirks 2.8 and 2.13."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargehub.stations.commands import CommandAnswer, StationAnswerError, StationTimeout
from chargehub.telemetry.readings import Flag
from chargehub.transactions.orphans import TransactionNotActive
from chargehub.transactions.remote import IdTokenNotAccepted, StartAsked
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.speech import V16, Session
from tests.scenarios.stage import CALL_TIMEOUT_S, RawStation, Stage, flags_of

GIVE_UP_S = CALL_TIMEOUT_S + 185
SILENCE_S = 0.1
"""Wall time after which a station that never answers is given up."""
DEADLOCK_S = CALL_TIMEOUT_S / 2
"""Wall time after which hub and station wait for each other."""
ACCEPTED = {
    "RemoteStartTransaction": {"status": "Accepted"},
    "RequestStartTransaction": {"status": "Accepted"},
}
REJECTED = {action: {"status": "Rejected"} for action in ACCEPTED}


async def ask_start(
    stage: Stage, station: SimulatedStation | RawStation, evse_no: int | None, token: str
) -> StartAsked:
    station_id = await stage.station_id(station.identity)
    return await stage.hub.remote.request_start(station_id, evse_no, token, "a scenario")


async def command(stage: Stage, asked: StartAsked) -> Any:
    (row,) = await stage.rows("SELECT * FROM station_commands WHERE id = :id", id=asked.command_id)
    return row


async def wait_until_begun(stage: Stage, station: SimulatedStation) -> Any:
    """The start follows the answer; wait until the station has told of it."""
    await station.settled()
    return await stage.the_transaction(station.identity)


@pytest.mark.parametrize("evse_no", [2, None])
async def test_statement_75_a_remote_start_is_followed_to_its_transaction(
    stage: Stage, version: str, evse_no: int | None
) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version)
    await station.plug_in(2, Car(soc=0.3))
    asked = await ask_start(stage, station, evse_no, token)
    assert asked.answer.status == "Accepted"
    begun = await wait_until_begun(stage, station)
    assert (begun.evse_no, begun.id_token, begun.state) == (2, token.lower(), "Active")
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    row = await command(stage, asked)
    assert (row.status, row.outcome, row.transaction_id) == ("Accepted", "answered", begun.id)


async def test_statement_75_accepted_is_not_started(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version, Misbehaviour.IGNORE_REMOTE_START)
    await station.plug_in(1, Car(soc=0.3))
    asked = await ask_start(stage, station, 1, token)
    assert asked.answer.status == "Accepted"
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    row = await command(stage, asked)
    assert (row.status, row.transaction_id) == ("NotStarted", None)


async def test_statement_75_a_server_that_dies_before_the_answer_forgets_no_start(
    stage: Stage, version: str
) -> None:
    """The due row is there before the command leaves; what nobody saw answered is closed by it."""
    token = await stage.new_token()
    station = await stage.simulated(version, Misbehaviour.SILENT_TO_CALLS)
    with stage.patience(SILENCE_S):
        await stage.work()  # Its inventory was asked for in vain.
    asking = asyncio.create_task(ask_start(stage, station, 1, token))
    query = "SELECT * FROM station_commands WHERE id_token = :token"
    async with asyncio.timeout(DEADLOCK_S):
        while not await stage.rows(query, token=token.lower()):  # noqa: ASYNC110  A row says it.
            await asyncio.sleep(0.01)
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    (row,) = await stage.rows(query, token=token.lower())
    assert (row.outcome, row.status) == ("pending", None), "given up while its answer is awaited"
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    (row,) = await stage.rows(query, token=token.lower())
    assert (row.outcome, row.status) == ("unknown", "NotStarted")


async def test_statement_75_a_refused_start_is_not_one_that_did_not_begin(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    station.answers = REJECTED
    asked = await ask_start(stage, station, 1, await stage.new_token())
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    assert (await command(stage, asked)).status == "Rejected"
    assert not await stage.rows(
        "SELECT 1 FROM due_actions WHERE subject = :id", id=str(asked.command_id)
    )


async def test_statement_75_what_begins_later_than_we_waited_has_started(
    stage: Stage, version: str
) -> None:
    """The car comes after three minutes; the station still waits for it."""
    token = await stage.new_token()
    station = await stage.raw(version)
    station.answers = ACCEPTED
    asked = await ask_start(stage, station, 1, token)
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    assert (await command(stage, asked)).status == "NotStarted"
    more = {} if version == V16 else {"remote_start_id": asked.remote_start_id}
    await station.begin(token, 5_000, **more)
    row = await command(stage, asked)
    begun = await stage.the_transaction(station.identity)
    assert (row.status, row.transaction_id) == ("Accepted", begun.id)


@pytest.mark.parametrize("authorizes", [False, True])
async def test_what_follows_a_remote_start_may_come_before_its_answer(
    stage: Stage, version: str, authorizes: bool
) -> None:
    """F reports Preparing and D authorizes before the CALLRESULT: we serve while we wait."""
    token = await stage.new_token()
    station = await stage.simulated(version, Misbehaviour.ANSWERS_LAST)
    if authorizes:
        setting = station.configuration.find("AuthorizeRemoteTxRequests")
        assert setting is not None
        setting.value = "true"
    await station.plug_in(1, Car(soc=0.3))
    async with asyncio.timeout(DEADLOCK_S):
        asked = await ask_start(stage, station, 1, token)
    begun = await wait_until_begun(stage, station)
    row = await command(stage, asked)
    assert (row.status, row.transaction_id) == ("Accepted", begun.id)
    async with asyncio.timeout(DEADLOCK_S):
        _, answer = await stage.hub.remote.request_stop(begun.id, "a scenario")
    assert answer.status == "Accepted"
    await station.settled()
    ended = await stage.the_transaction(station.identity)
    assert (ended.state, ended.stopped_reason) == ("Ended", "Remote")


async def test_a_start_without_its_token_gets_the_one_we_asked_for(
    stage: Stage, version_2x: str
) -> None:
    """D: Started has the remoteStartId but no idToken (quirk 8), and wants no idTokenInfo."""
    token = await stage.new_token()
    station = await stage.simulated(version_2x, Misbehaviour.NO_STARTED_TOKEN)
    await station.plug_in(1, Car(soc=0.3))
    asked = await ask_start(stage, station, 1, token)
    begun = await wait_until_begun(stage, station)
    assert (begun.id_token, begun.authorization_status) == (token.lower(), "Accepted")
    assert begun.remote_start_id == asked.remote_start_id
    started = [m for m in station.acknowledged if m.payload.get("eventType") == "Started"]
    assert [message.answer for message in started] == [{}]
    elsewhere = await stage.raw(version_2x)
    assert (await elsewhere.authorize(token)).status == "ConcurrentTx"


async def test_a_local_start_without_token_gets_none(stage: Stage, version_2x: str) -> None:
    station = await stage.simulated(version_2x, Misbehaviour.NO_STARTED_TOKEN)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    assert (await stage.the_transaction(station.identity)).id_token is None


async def test_a_token_may_come_back_as_another_type(stage: Stage, version_2x: str) -> None:
    """F: ISO14443 although we sent Central."""
    token = await stage.new_token(kind="Central")
    station = await stage.simulated(version_2x, Misbehaviour.OTHER_TOKEN_TYPE)
    await station.plug_in(1, Car(soc=0.3))
    asked = await ask_start(stage, station, 1, token)
    begun = await wait_until_begun(stage, station)
    assert (begun.id_token, begun.id_token_kind) == (token.lower(), "ISO14443")
    assert (await command(stage, asked)).transaction_id == begun.id


@pytest.mark.parametrize("first_event", ["Updated", "Ended"])
async def test_statement_62_the_remote_start_id_may_come_on_any_event(
    stage: Stage, first_event: str, version_2x: str
) -> None:
    """A Started that comes after its Ended still tells whose remote start it was."""
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    station.answers = ACCEPTED
    asked = await ask_start(stage, station, 1, token)
    session, speech = Session(1, token), station.speech
    began = station.now
    started = speech.started(session, began, 5_000, remote_start_id=asked.remote_start_id)
    started.payload.pop("idToken")
    stage.pass_time(20)
    if first_event == "Ended":
        await station.say(speech.ended(session, began + 20, 5_600, token=None))
    else:
        await station.say(speech.sampled(session, began + 10, [speech.value(5_300)]))
    await station.say(started)
    row = await stage.the_transaction(station.identity)
    assert (row.remote_start_id, row.id_token) == (asked.remote_start_id, token.lower())
    assert row.begin_register_wh == 5_000
    assert (await command(stage, asked)).transaction_id == row.id


@pytest.mark.parametrize("kind", ["Updated", "Ended", "after the end"])
async def test_statement_62_a_remote_start_id_is_linked_from_whichever_event_has_it(
    stage: Stage, version_2x: str, kind: str
) -> None:
    """F02.FR.21: only the next event has it, and that need not be the first one."""
    token = await stage.new_token()
    station = await stage.raw(version_2x)
    station.answers = ACCEPTED
    asked = await ask_start(stage, station, 1, token)
    session, speech = Session(1, token), station.speech
    await station.say(speech.started(session, station.now, 5_000, token=None))
    stage.pass_time(10)
    messages = {
        "Updated": speech.sampled(session, station.now, [speech.value(5_300)]),
        "after the end": speech.sampled(session, station.now + 1, [speech.value(5_400)]),
        "Ended": speech.ended(session, station.now + 2, 5_600, token=None),
    }
    messages[kind].payload["transactionInfo"]["remoteStartId"] = asked.remote_start_id
    stage.pass_time(10)
    for name in ("Updated", "Ended", "after the end"):
        await station.say(messages[name])
    row = await stage.the_transaction(station.identity)
    assert (row.remote_start_id, row.id_token) == (asked.remote_start_id, token.lower())
    assert (await command(stage, asked)).transaction_id == row.id


async def test_statement_75_starts_without_an_id_are_told_apart_by_gun_and_answer(
    stage: Stage,
) -> None:
    """1.6 has no remoteStartId: token, connector and time must do."""
    tokens = [await stage.new_token(), await stage.new_token()]
    station = await stage.raw(V16)
    station.answers = REJECTED
    refused = await ask_start(stage, station, 1, tokens[0])
    station.answers = ACCEPTED
    on_first = await ask_start(stage, station, 1, tokens[0])
    on_second = await ask_start(stage, station, 2, tokens[1])
    await station.begin(tokens[1], 5_000, evse_no=2)
    await station.begin(tokens[0], 7_000, evse_no=1)
    begun = {row.evse_no: row.id for row in await stage.transactions_of(station.identity)}
    linked = [(await command(stage, c)).transaction_id for c in (refused, on_first, on_second)]
    assert linked == [None, begun[1], begun[2]]


async def test_statement_75_a_local_start_at_another_gun_claims_none(stage: Stage) -> None:
    """The same card, but the gun that we asked for still waits."""
    token = await stage.new_token()
    station = await stage.raw(V16)
    station.answers = ACCEPTED
    asked = await ask_start(stage, station, 1, token)
    local = await station.begin(token, 5_000, evse_no=2)
    assert (await command(stage, asked)).transaction_id is None
    stage.pass_time(30)
    await station.end(local, 5_200)
    await station.begin(token, 7_000, evse_no=1)
    begun = (await stage.transactions_of(station.identity))[-1]
    assert (begun.evse_no, begun.id) == (1, (await command(stage, asked)).transaction_id)


async def test_statement_75_a_refused_start_is_not_claimed_by_a_local_one(stage: Stage) -> None:
    token = await stage.new_token()
    station = await stage.raw(V16)
    station.answers = REJECTED
    asked = await ask_start(stage, station, 1, token)
    assert asked.answer.status == "Rejected"
    await station.begin(token, 5_000)
    row = await command(stage, asked)
    assert (row.status, row.transaction_id) == ("Rejected", None)


async def test_a_second_start_on_a_waiting_gun_is_rejected(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    first = await ask_start(stage, station, 1, await stage.new_token())
    await station.settled()
    second = await ask_start(stage, station, 1, await stage.new_token())
    assert (first.answer.status, second.answer.status) == ("Accepted", "Rejected")
    await station.plug_in(1, Car(soc=0.3))
    begun = await stage.the_transaction(station.identity)
    assert (await command(stage, first)).transaction_id == begun.id
    assert (await command(stage, second)).transaction_id is None


async def test_a_card_that_may_not_charge_is_not_sent(stage: Stage, version: str) -> None:
    station, other = await stage.raw(version), await stage.raw(version)
    charging = await stage.new_token()
    await other.begin(charging)
    blocked = await stage.new_token(status="Blocked")
    for token in (charging, blocked, "NOBODY-KNOWS-IT"):
        with pytest.raises(IdTokenNotAccepted):
            await ask_start(stage, station, 1, token)
    assert not [action for action, _ in station.asked if "Start" in action]


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_statement_76_a_remote_stop_leaves_the_transaction_open_until_it_ends(
    stage: Stage, version: str, status: str
) -> None:
    station = await stage.raw(version)
    actions = ("RemoteStopTransaction", "RequestStopTransaction")
    station.answers = {action: {"status": status} for action in actions}
    session = await station.begin(await stage.new_token(), 5_000)
    open_one = await stage.the_transaction(station.identity)
    _, answer = await stage.hub.remote.request_stop(open_one.id, "a scenario")
    assert answer.status == status
    ((_, asked),) = [said for said in station.asked if said[0] in actions]
    wanted = session.number if version == V16 else session.reference
    assert asked["transactionId"] == wanted
    assert (await stage.the_transaction(station.identity)).state == "Active"
    stage.pass_time(5)
    # F03.FR.02: the energy stops, the transaction does not; 1.6 has no word for it.
    said = station.speech.sampled(session, station.now, [station.speech.value(5_100)])
    if version != V16:
        said.payload["triggerReason"] = "RemoteStop"
    await station.say(said)
    await stage.settle()
    assert (await stage.the_transaction(station.identity)).state == "Active"
    # A, E and C stop without an idTag after a remote stop.
    await station.end(session, 5_100, reason="Remote", token=None)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.stopped_reason) == ("Ended", "Remote")
    with pytest.raises(TransactionNotActive):
        await stage.hub.remote.request_stop(open_one.id, "a scenario")


@pytest.mark.parametrize(
    ("quirk", "outcome", "error"),
    [
        (Misbehaviour.SILENT_TO_CALLS, "timeout", StationTimeout),
        (Misbehaviour.ERROR_TO_CALLS, "failed", StationAnswerError),
    ],
)
async def test_a_start_that_failed_hinders_no_local_one(
    stage: Stage, version: str, quirk: Misbehaviour, outcome: str, error: type[Exception]
) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version, quirk)
    await station.plug_in(1, Car(soc=0.3))
    patience_s = SILENCE_S if error is StationTimeout else CALL_TIMEOUT_S
    with stage.patience(patience_s), pytest.raises(error):
        await ask_start(stage, station, 1, token)
    (asked,) = await stage.rows(
        "SELECT * FROM station_commands WHERE id_token = :token", token=token.lower()
    )
    assert (asked.outcome, asked.transaction_id) == (outcome, None)
    await station.present_token(1, token)
    begun = await stage.the_transaction(station.identity)
    assert (begun.state, flags_of(begun)) == ("Active", Flag.NONE)


async def test_a_slightly_wrong_answer_is_kept(stage: Stage, version: str) -> None:
    """Quirk 10: invalid results are stored and used as far as they go."""
    station = await stage.simulated(version, Misbehaviour.INVALID_ANSWERS)
    await station.plug_in(1, Car(soc=0.3))
    asked = await ask_start(stage, station, 1, await stage.new_token())
    assert isinstance(asked.answer, CommandAnswer)
    row = await command(stage, asked)
    assert (row.outcome, row.status) == ("answered", None)
    assert row.answer["status"] == 7
    begun = await wait_until_begun(stage, station)
    assert (await command(stage, asked)).transaction_id == begun.id
