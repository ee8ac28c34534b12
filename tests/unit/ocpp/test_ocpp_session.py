"""Statements 19 to 22 and the host's side, as dialogues of literal frames with one session."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chargehub.ocpp import (
    CallAnswered,
    CallFailed,
    CallQueueFull,
    CallReceived,
    CallRefused,
    CallRepeated,
    ErrorCode,
    Event,
    FailureReason,
    Ignored,
    IgnoredReason,
    InvalidPayload,
    NoSuchCall,
    OcppSession,
    OcppVersion,
    SessionClosed,
)
from chargehub.ocpp.session import RECENT_CALLS

V16 = OcppVersion.V16
EVERY = list(OcppVersion)

OpenSession = Callable[..., OcppSession]
NOW = 1000.0

HEARTBEAT = '[2,"h","Heartbeat",{}]'


def clear_cache(ocpp: OcppSession, now: float = NOW, timeout: float = 30.0) -> str:
    return ocpp.call("ClearCache", {}, now, timeout)


CLEAR_CACHE_1 = '[2,"ours-1","ClearCache",{}]'
CLEAR_CACHE_2 = '[2,"ours-2","ClearCache",{}]'
ACCEPTED_1 = '[3,"ours-1",{"status":"Accepted"}]'
ACCEPTED_2 = '[3,"ours-2",{"status":"Accepted"}]'


# 19 and 20: our calls ---------------------------------------------------------------------------


def test_statement_19_ten_calls_leave_one_at_a_time(session: OpenSession) -> None:
    ocpp = session()
    ids = [clear_cache(ocpp) for _ in range(10)]
    for message_id in ids:
        assert ocpp.texts_to_send() == [f'[2,"{message_id}","ClearCache",{{}}]']
        event = ocpp.receive(f'[3,"{message_id}",{{"status":"Accepted"}}]', NOW)
        assert event == CallAnswered(message_id, "ClearCache", {"status": "Accepted"})
    assert ocpp.texts_to_send() == []
    assert ocpp.queued_count == 0
    assert ocpp.next_deadline is None


@pytest.mark.parametrize(
    "end",
    [
        ACCEPTED_1,
        '[3,"ours-1",{"status":"Perhaps"}]',
        '[4,"ours-1","NotSupported","",{}]',
    ],
)
def test_statement_19_any_answer_lets_the_next_one_go(session: OpenSession, end: str) -> None:
    ocpp = session()
    clear_cache(ocpp)
    clear_cache(ocpp)
    assert ocpp.texts_to_send() == [CLEAR_CACHE_1]
    ocpp.receive(end, NOW)
    assert ocpp.texts_to_send() == [CLEAR_CACHE_2]


def test_statement_20_a_call_that_crosses_ours_is_handed_up_and_answered_at_once(
    session: OpenSession,
) -> None:
    ocpp = session()
    clear_cache(ocpp)
    ocpp.texts_to_send()
    assert ocpp.receive(HEARTBEAT, NOW) == CallReceived("h", "Heartbeat", {})
    ocpp.reply("h", {"currentTime": "2026-01-01T00:00:00.000Z"})
    assert ocpp.texts_to_send() == ['[3,"h",{"currentTime":"2026-01-01T00:00:00.000Z"}]']
    assert isinstance(ocpp.receive(ACCEPTED_1, NOW), CallAnswered)


def test_the_queue_is_bounded(session: OpenSession) -> None:
    ocpp = session(queued_max=2)
    for _ in range(3):
        clear_cache(ocpp)
    with pytest.raises(CallQueueFull):
        clear_cache(ocpp)
    ocpp.receive(ACCEPTED_1, NOW)
    assert clear_cache(ocpp) == "ours-4"


# 21: time-outs and late answers -----------------------------------------------------------------


def test_statement_21_a_late_answer_is_never_that_of_the_next_call(session: OpenSession) -> None:
    ocpp = session()
    clear_cache(ocpp, timeout=30.0)
    clear_cache(ocpp, timeout=60.0)
    assert ocpp.texts_to_send() == [CLEAR_CACHE_1]
    assert ocpp.next_deadline == NOW + 30.0
    assert ocpp.expire(NOW + 29.9) == []
    assert ocpp.expire(NOW + 30.0) == [
        CallFailed("ours-1", "ClearCache", FailureReason.TIMED_OUT, sent=True)
    ]
    assert ocpp.texts_to_send() == [CLEAR_CACHE_2]
    assert ocpp.next_deadline == NOW + 90.0
    for late in (ACCEPTED_1, '[4,"ours-1","GenericError","",{}]'):
        ignored = Ignored(IgnoredReason.UNMATCHED_ANSWER, message_id="ours-1")
        assert ocpp.receive(late, NOW + 31.0) == ignored
    assert ocpp.receive(ACCEPTED_2, NOW + 32.0) == CallAnswered(
        "ours-2", "ClearCache", {"status": "Accepted"}
    )


@pytest.mark.parametrize(
    "text",
    ['[3,"x",{}]', '[4,"x","GenericError","",{}]', '[4,"-1","RpcFrameworkError","",{}]'],
)
@pytest.mark.parametrize("version", EVERY)
def test_statement_21_an_unknown_id_is_ignored(
    session: OpenSession, version: OcppVersion, text: str
) -> None:
    ocpp = session(version)
    assert isinstance(ocpp.receive(text, NOW), Ignored)
    clear_cache(ocpp)
    assert isinstance(ocpp.receive(text, NOW), Ignored)
    assert ocpp.texts_to_send() == [CLEAR_CACHE_1]
    assert isinstance(ocpp.receive(ACCEPTED_1, NOW), CallAnswered)
    assert isinstance(ocpp.receive(ACCEPTED_1, NOW), Ignored)


def test_a_call_that_never_left_says_so(session: OpenSession) -> None:
    ocpp = session()
    clear_cache(ocpp, timeout=60.0)
    clear_cache(ocpp, timeout=10.0)
    clear_cache(ocpp, timeout=90.0)
    assert ocpp.next_deadline == NOW + 10.0
    assert ocpp.expire(NOW + 10.0) == [
        CallFailed("ours-2", "ClearCache", FailureReason.TIMED_OUT, sent=False)
    ]
    ocpp.texts_to_send()
    ocpp.receive(ACCEPTED_1, NOW + 50.0)
    assert ocpp.texts_to_send() == ['[2,"ours-3","ClearCache",{}]']
    # Its time for an answer begins when it leaves.
    assert ocpp.next_deadline == NOW + 140.0


# 22: message ids and retries --------------------------------------------------------------------


def test_statement_22_our_ids_fit_and_differ_over_connections() -> None:
    ids: set[str] = set()
    for _ in range(20):
        ocpp = OcppSession(V16, supported=frozenset())
        for _ in range(20):
            ids.add(clear_cache(ocpp))
    assert len(ids) == 400
    assert all(len(message_id) <= 36 for message_id in ids)


START = (
    '[2,"7","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,'
    '"timestamp":"2026-01-01T00:00:00Z"}]'
)
STARTED = {"idTagInfo": {"status": "Accepted"}, "transactionId": 5}
STARTED_TEXT = '[3,"7",{"idTagInfo":{"status":"Accepted"},"transactionId":5}]'


def test_statement_22_a_retry_is_answered_again_and_not_run_again(session: OpenSession) -> None:
    retry = START
    ocpp = session()
    assert isinstance(ocpp.receive(START, NOW), CallReceived)
    # While the first is still being worked on, its answer is that of the second as well.
    assert ocpp.receive(retry, NOW) == CallRepeated("7", "StartTransaction", answered=False)
    assert ocpp.texts_to_send() == []
    ocpp.reply("7", STARTED)
    assert ocpp.texts_to_send() == [STARTED_TEXT]
    assert ocpp.receive(retry, NOW) == CallRepeated("7", "StartTransaction", answered=True)
    assert ocpp.texts_to_send() == [STARTED_TEXT]
    with pytest.raises(NoSuchCall):
        ocpp.reply("7", STARTED)


@pytest.mark.parametrize("answered", [True, False])
def test_statement_22_the_same_id_with_other_content_is_another_call(
    session: OpenSession, *, answered: bool
) -> None:
    ocpp = session()
    ocpp.receive(START, NOW)
    if answered:
        ocpp.reply("7", STARTED)
    other = START.replace('"T"', '"U"')
    event = ocpp.receive(other, NOW)
    assert isinstance(event, CallReceived)
    assert event.payload["idTag"] == "U"
    ocpp.reply("7", {**STARTED, "transactionId": 6})
    if not answered:
        ocpp.reply("7", {**STARTED, "transactionId": 7})
    assert len(ocpp.texts_to_send()) == 2
    assert ocpp.unanswered_count == 0


def test_statement_22_another_connection_starts_anew(session: OpenSession) -> None:
    for _ in range(2):
        ocpp = session()
        assert isinstance(ocpp.receive(START, NOW), CallReceived)


def test_statement_22_an_error_is_no_result_so_its_retry_is_run(session: OpenSession) -> None:
    ocpp = session()
    ocpp.receive(START, NOW)
    ocpp.reply_error("7", ErrorCode.INTERNAL_ERROR)
    assert isinstance(ocpp.receive(START, NOW), CallReceived)


def test_statement_22_memory_of_retries_is_bounded(session: OpenSession) -> None:
    ocpp = session()

    def run(message_id: str, data: str = "") -> Event:
        payload = json.dumps({"vendorId": "v", "data": data})
        event = ocpp.receive(f'[2,"{message_id}","DataTransfer",{payload}]', NOW)
        if isinstance(event, CallReceived):
            ocpp.reply(message_id, {"status": "Accepted"})
        return event

    for number in range(10 * RECENT_CALLS):
        run(f"{number}")
        oldest = max(0, number - RECENT_CALLS + 1)
        assert isinstance(run(f"{oldest}"), CallRepeated), "the last ones are known"
    for number in range(8 * RECENT_CALLS):
        assert isinstance(run(f"{number}"), CallReceived), "those long before are not"


def test_statement_22_of_two_calls_with_one_id_the_older_is_answered_first(
    session: OpenSession,
) -> None:
    ocpp = session()
    newer = START.replace('"T"', '"U"')
    ocpp.receive(START, NOW)
    ocpp.receive(newer, NOW)
    ocpp.reply("7", STARTED)
    ocpp.texts_to_send()
    assert ocpp.receive(newer, NOW) == CallRepeated("7", "StartTransaction", answered=False)
    ocpp.reply("7", {**STARTED, "transactionId": 6})
    (answer,) = ocpp.texts_to_send()
    assert ocpp.receive(newer, NOW) == CallRepeated("7", "StartTransaction", answered=True)
    assert ocpp.texts_to_send() == [answer]


@pytest.mark.parametrize("error", [True, False])
def test_statement_22_what_is_forgotten_takes_no_room(session: OpenSession, *, error: bool) -> None:
    ocpp = session()
    ocpp.receive(START, NOW)
    ocpp.reply("7", STARTED)
    for number in range(100):
        text = json.dumps([2, "x", "DataTransfer", {"vendorId": "v", "data": f"{number:0>1000}"}])
        ocpp.receive(text, NOW)
        if error:
            ocpp.reply_error("x", ErrorCode.INTERNAL_ERROR)
        else:
            ocpp.reply("x", {"status": "Accepted"})
    assert isinstance(ocpp.receive(START, NOW), CallRepeated)


# The host's side --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Reset", {"type": "Cold"}, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ("Reset", {}, ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("Reset", {"type": object()}, ErrorCode.FORMAT_VIOLATION),
        ("Reset", {"type": "Soft", "extra": 1}, ErrorCode.FORMAT_VIOLATION),
        ("SelfDestruct", {}, ErrorCode.NOT_IMPLEMENTED),
        ("Reset", {"type": json.loads("[" * 65 + "1" + "]" * 65)}, ErrorCode.FORMAT_VIOLATION),
        ("TriggerMessage", {"requestedMessage": []}, ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    ],
)
def test_a_wrong_call_of_ours_never_leaves(
    session: OpenSession, action: str, payload: dict[str, Any], code: ErrorCode
) -> None:
    ocpp = session()
    with pytest.raises(InvalidPayload) as caught:
        ocpp.call(action, payload, NOW, 30.0)
    assert caught.value.violation.code is code
    assert ocpp.texts_to_send() == []
    assert ocpp.next_deadline is None


def test_an_answer_to_nothing_is_the_hosts_error(session: OpenSession) -> None:
    ocpp = session()
    with pytest.raises(NoSuchCall):
        ocpp.reply("x", {})
    with pytest.raises(NoSuchCall):
        ocpp.reply_error("x", ErrorCode.INTERNAL_ERROR)


def test_an_unencodable_reply_leaves_the_call_open_for_another_answer(session: OpenSession) -> None:
    ocpp = session()
    ocpp.receive(HEARTBEAT, NOW)
    with pytest.raises(InvalidPayload):
        ocpp.reply("h", {"currentTime": object()})
    ocpp.reply_error("h", ErrorCode.INTERNAL_ERROR)
    assert ocpp.texts_to_send() == ['[4,"h","InternalError","",{}]']


@pytest.mark.parametrize("ids", ["abc", "aaa"])
def test_calls_that_wait_for_us_are_bounded(session: OpenSession, ids: str) -> None:
    ocpp = session(unanswered_max=2)
    texts = [
        json.dumps([2, message_id, "DataTransfer", {"vendorId": str(number)}])
        for number, message_id in enumerate(ids)
    ]
    assert [type(ocpp.receive(text, NOW)) for text in texts] == [
        CallReceived,
        CallReceived,
        CallRefused,
    ]
    assert json.loads(ocpp.texts_to_send()[0])[:3] == [4, ids[2], "GenericError"]
    ocpp.reply(ids[0], {"status": "Accepted"})
    assert isinstance(ocpp.receive(texts[2], NOW), CallReceived)


def test_close_ends_every_call_once_and_everything_else_quietly(session: OpenSession) -> None:
    ocpp = session()
    for _ in range(3):
        clear_cache(ocpp)
    ocpp.receive(HEARTBEAT, NOW)
    assert ocpp.close() == [
        CallFailed(f"ours-{number}", "ClearCache", FailureReason.CONNECTION_CLOSED, number == 1)
        for number in (1, 2, 3)
    ]
    assert ocpp.close() == []
    assert ocpp.expire(NOW + 1000.0) == []
    assert ocpp.next_deadline is None
    # The commit of a message may end after its connection: its reply goes nowhere.
    ocpp.reply("h", {})
    ocpp.reply_error("h", ErrorCode.INTERNAL_ERROR)
    assert ocpp.receive(HEARTBEAT, NOW) == Ignored(IgnoredReason.SESSION_CLOSED)
    assert ocpp.texts_to_send() == []
    with pytest.raises(SessionClosed):
        clear_cache(ocpp)


def test_texts_are_handed_over_once_and_in_order(session: OpenSession) -> None:
    ocpp = session()
    ocpp.receive('[2,"a","Heartbeat",{}]', NOW)
    ocpp.receive('[2,"b","Heartbeat",{}]', NOW)
    ocpp.reply("b", {})
    ocpp.receive('[2,"c","Nonsense",{}]', NOW)
    ocpp.reply("a", {})
    clear_cache(ocpp)
    assert [json.loads(text)[1] for text in ocpp.texts_to_send()] == ["b", "c", "a", "ours-1"]
    assert ocpp.texts_to_send() == []


def test_strings_are_clean_before_anyone_sees_them(session: OpenSession) -> None:
    event = session().receive('[2,"1","Authorize",{"idTag":"AB\\u0000\\ud800"}]', NOW)
    assert event == CallReceived("1", "Authorize", {"idTag": "AB\ufffd"})


@pytest.mark.parametrize(
    "said", ["a\\u0000", "a\\u0000\\u0000", "a\0", "\\ud800", "\\udc00a\\u0000"]
)
def test_a_call_is_answered_under_exactly_its_id(session: OpenSession, said: str) -> None:
    """A station that finds its answer by comparing ids finds no cleaned one."""
    ocpp = session()
    exact = json.loads(f'"{said}"', strict=False)
    event = ocpp.receive(f'[2,"{said}","Heartbeat",{{}}]', NOW)
    assert isinstance(event, CallReceived)
    ocpp.reply(event.message_id, {"currentTime": "\ud800"})
    # An id of its own, however alike it is.
    ocpp.receive('[2,"a","Heartbeat",{}]', NOW)
    ocpp.reply("a", {})
    ocpp.receive(f'[2,"{said}x","Nonsense",{{}}]', NOW)
    answers = [json.loads(text) for text in ocpp.texts_to_send()]
    assert [answer[1] for answer in answers] == [exact, "a", exact + "x"]
    assert answers[0][2] == {"currentTime": "\ufffd"}


def test_an_answer_under_a_padded_id_of_ours_is_ours(session: OpenSession) -> None:
    ocpp = session()
    clear_cache(ocpp)
    event = ocpp.receive('[3,"ours-1\\u0000",{"status":"Accepted"}]', NOW)
    assert isinstance(event, CallAnswered)
