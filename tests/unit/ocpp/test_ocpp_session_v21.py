"""What 2.1 adds to the RPC layer: CALLRESULTERROR (type 5) and SEND (type 6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chargehub.ocpp import (
    CallAnswered,
    CallReceived,
    CallRefused,
    CallRepeated,
    ErrorCode,
    Ignored,
    IgnoredReason,
    InvalidPayload,
    OcppSession,
    OcppVersion,
    ResultRefused,
    SendReceived,
)

V21 = OcppVersion.V21
OpenSession = Callable[..., OcppSession]
NOW = 1000.0
HEARTBEAT = '[2,"h","Heartbeat",{}]'
STREAM: dict[str, Any] = {
    "id": 7,
    "pending": 0,
    "basetime": "2026-11-23T08:00:00Z",
    "data": [{"t": 0, "v": "230.4"}, {"t": 5.5, "v": "230.2"}],
}


def send(payload: Any, action: str = "NotifyPeriodicEventStream") -> str:
    return json.dumps([6, "s-1", action, payload])


# 30: an answer that cannot be processed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('{"status":"Perhaps"}', "PropertyConstraintViolation"),
        ('{"status":"Accepted","listVersion":1}', "FormatViolation"),
        ('{"status":5}', "TypeConstraintViolation"),
        ("{}", "OccurrenceConstraintViolation"),
        ("null", "TypeConstraintViolation"),
    ],
)
def test_statement_30_fr_06_an_invalid_answer_is_used_and_told_so(
    session: OpenSession, answer: str, code: str
) -> None:
    ocpp = session(V21)
    ocpp.call("ClearCache", {}, NOW, 30.0)
    ocpp.call("ClearCache", {}, NOW, 30.0)
    ocpp.texts_to_send()
    event = ocpp.receive(f'[3,"ours-1",{answer}]', NOW)
    assert isinstance(event, CallAnswered)
    assert not event.valid
    refusal, following = map(json.loads, ocpp.texts_to_send())
    assert refusal[:3] == [5, "ours-1", code]
    assert len(refusal) == 5
    assert 0 < len(refusal[3]) <= 255
    assert refusal[4] == {}
    assert following[1] == "ours-2"


@pytest.mark.parametrize(
    "answer",
    [
        '[3,"ours-1",{"status":"Accepted"}]',
        '[4,"ours-1","InternalError","",{}]',
        # Nobody knows what this answers: it may be a late one, long given up.
        '[3,"ours-9",{"status":7}]',
        "[3]",
        '[5,"ours-1","FormatViolation","",{}]',
    ],
)
def test_statement_30_nothing_else_gets_a_callresulterror(
    session: OpenSession, answer: str
) -> None:
    ocpp = session(V21)
    ocpp.call("ClearCache", {}, NOW, 30.0)
    ocpp.texts_to_send()
    ocpp.receive(answer, NOW)
    assert ocpp.texts_to_send() == []


def test_statement_30_a_refused_answer_of_ours_is_told_to_the_host(session: OpenSession) -> None:
    ocpp = session(V21)
    ocpp.receive(HEARTBEAT, NOW)
    ocpp.reply("h", {"currentTime": "soon"})
    ocpp.texts_to_send()
    event = ocpp.receive('[5,"h","FormationViolation","what time?",{"field":"currentTime"}]', NOW)
    assert event == ResultRefused(
        "h", "Heartbeat", ErrorCode.FORMAT_VIOLATION, "what time?", {"field": "currentTime"}
    )
    # It is never answered, and refused once: a second one refers to nothing.
    assert ocpp.texts_to_send() == []
    again = ocpp.receive('[5,"h","GenericError","",{}]', NOW)
    assert again == Ignored(IgnoredReason.UNMATCHED_ANSWER, message_id="h")


def test_statement_22_a_retry_after_a_refused_answer_is_worked_on_anew(
    session: OpenSession,
) -> None:
    ocpp = session(V21)
    ocpp.receive(HEARTBEAT, NOW)
    ocpp.reply("h", {})
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallRepeated)
    assert isinstance(ocpp.receive('[5,"h","GenericError","",{}]', NOW), ResultRefused)
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)


@pytest.mark.parametrize("answered", [False, True])
def test_statement_30_what_was_not_answered_with_a_result_cannot_be_refused(
    session: OpenSession, *, answered: bool
) -> None:
    ocpp = session(V21)
    ocpp.receive(HEARTBEAT, NOW)
    if answered:
        ocpp.reply_error("h", "InternalError")
    assert isinstance(ocpp.receive('[5,"h","GenericError","",{}]', NOW), Ignored)
    assert ocpp.unanswered_count == (0 if answered else 1)


@pytest.mark.parametrize(
    "text", ["[5]", "[5,7]", '[5,{},"X","",{}]', '[5,"h"]', '[5,"h",7,[],null]']
)
def test_a_broken_callresulterror_is_never_answered(session: OpenSession, text: str) -> None:
    ocpp = session(V21)
    assert isinstance(ocpp.receive(text, NOW), Ignored)
    assert ocpp.texts_to_send() == []


# SEND -------------------------------------------------------------------------------------------


def test_statement_30_fr_07_n15_fr_02_a_send_is_handed_up_and_never_answered(
    session: OpenSession,
) -> None:
    ocpp = session(V21)
    event = ocpp.receive(send(STREAM), NOW)
    assert event == SendReceived("s-1", "NotifyPeriodicEventStream", STREAM)
    assert event.valid
    assert ocpp.unanswered_count == 0
    assert ocpp.texts_to_send() == []


def test_statement_19_a_send_may_come_while_calls_of_both_sides_are_open(
    session: OpenSession,
) -> None:
    ocpp = session(V21)
    ocpp.call("ClearCache", {}, NOW, 30.0)
    ocpp.receive(HEARTBEAT, NOW)
    assert isinstance(ocpp.receive(send(STREAM), NOW), SendReceived)
    ocpp.reply("h", {})
    assert isinstance(ocpp.receive('[3,"ours-1",{"status":"Accepted"}]', NOW), CallAnswered)


def test_statement_30_an_invalid_send_is_flagged_and_not_refused(session: OpenSession) -> None:
    ocpp = session(V21)
    event = ocpp.receive(send({"id": -1, "data": []}), NOW)
    assert isinstance(event, SendReceived)
    assert not event.valid
    assert event.violation is not None
    assert ocpp.texts_to_send() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (send(STREAM, "Nonsense"), IgnoredReason.UNWANTED_SEND),
        # What must be answered cannot travel as a SEND.
        (send({}, "Heartbeat"), IgnoredReason.UNWANTED_SEND),
        (send({}, "TransactionEvent"), IgnoredReason.UNWANTED_SEND),
        ("[6]", IgnoredReason.MALFORMED),
        ('[6,"s"]', IgnoredReason.MALFORMED),
        ('[6,"s",7,{}]', IgnoredReason.MALFORMED),
        ('[6,"s","NotifyPeriodicEventStream",[]]', IgnoredReason.MALFORMED),
    ],
)
def test_statement_30_a_send_that_means_nothing_is_ignored(
    session: OpenSession, text: str, reason: IgnoredReason
) -> None:
    ocpp = session(V21)
    event = ocpp.receive(text, NOW)
    assert isinstance(event, Ignored)
    assert event.reason is reason
    assert ocpp.texts_to_send() == []


def test_statement_32_before_acceptance_a_send_is_ignored(session: OpenSession) -> None:
    ocpp = session(V21, accepted=False)
    assert isinstance(ocpp.receive(send(STREAM), NOW), Ignored)
    assert ocpp.texts_to_send() == []


def test_a_call_by_the_name_of_a_send_is_refused(session: OpenSession) -> None:
    ocpp = session(V21)
    event = ocpp.receive(json.dumps([2, "1", "NotifyPeriodicEventStream", STREAM]), NOW)
    assert isinstance(event, CallRefused)
    assert event.violation.code is ErrorCode.NOT_IMPLEMENTED


def test_we_cannot_call_by_the_name_of_a_send_either(session: OpenSession) -> None:
    with pytest.raises(InvalidPayload):
        session(V21).call("NotifyPeriodicEventStream", STREAM, NOW, 30.0)
