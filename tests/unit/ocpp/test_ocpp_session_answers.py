"""Statements 23 to 32, as dialogues of literal frames with one session."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from chargehub.ocpp import (
    CallAnswered,
    CallFailed,
    CallReceived,
    CallRefused,
    ErrorCode,
    FailureReason,
    Ignored,
    IgnoredReason,
    OcppSession,
    OcppVersion,
)

V16 = OcppVersion.V16
V201 = OcppVersion.V201
V21 = OcppVersion.V21
EVERY = [V16, V201, V21]

OpenSession = Callable[..., OcppSession]
NOW = 1000.0

HEARTBEAT = '[2,"h","Heartbeat",{}]'


def clear_cache(ocpp: OcppSession, now: float = NOW, timeout: float = 30.0) -> str:
    return ocpp.call("ClearCache", {}, now, timeout)


CLEAR_CACHE_1 = '[2,"ours-1","ClearCache",{}]'
ACCEPTED_1 = '[3,"ours-1",{"status":"Accepted"}]'


START = (
    '[2,"7","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,'
    '"timestamp":"2026-01-01T00:00:00Z"}]'
)
STARTED_TEXT = '[3,"7",{"idTagInfo":{"status":"Accepted"},"transactionId":5}]'


# 23, 24: what cannot be read --------------------------------------------------------------------

UNREADABLE: list[str | bytes] = [
    "hello",
    "{",
    "[]",
    "{}",
    "[2]",
    '[2,5,"Heartbeat",{}]',
    '["2","1","Heartbeat",{}]',
    "[" * 100_000,
    b'[2,"1","Heartbeat",{}]',
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: str(text)[:20])
def test_statement_23_on_1_6_an_unreadable_frame_is_dropped(
    session: OpenSession, text: str | bytes
) -> None:
    ocpp = session(V16)
    event = ocpp.receive(text, NOW)
    assert isinstance(event, Ignored)
    assert event.reason is IgnoredReason.MALFORMED
    assert ocpp.texts_to_send() == []
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: str(text)[:20])
@pytest.mark.parametrize("version", [V201, V21])
def test_statement_23_on_2_x_an_unreadable_frame_is_answered_with_minus_one(
    session: OpenSession, version: OcppVersion, text: str | bytes
) -> None:
    ocpp = session(version)
    assert isinstance(ocpp.receive(text, NOW), Ignored)
    (answer,) = ocpp.texts_to_send()
    kind, message_id, code, description, details = json.loads(answer)
    assert (kind, message_id, code, details) == (4, "-1", "RpcFrameworkError", {})
    # No raw garbage inside: the description is one of ours.
    assert description in {
        "not acceptable JSON",
        "not an OCPP message",
        "a CALL without usable message id",
        "binary frame",
    }
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)


@pytest.mark.parametrize(
    ("version", "code"),
    [(V16, "FormationViolation"), (V201, "RpcFrameworkError"), (V21, "RpcFrameworkError")],
)
@pytest.mark.parametrize("text", ['[2,"1"]', '[2,"1","Heartbeat"]', '[2,"1",{},{}]'])
def test_statement_23_a_broken_call_with_an_id_is_answered_under_it(
    session: OpenSession, version: OcppVersion, code: str, text: str
) -> None:
    ocpp = session(version)
    event = ocpp.receive(text, NOW)
    assert isinstance(event, CallRefused)
    assert event.message_id == "1"
    (answer,) = ocpp.texts_to_send()
    assert json.loads(answer)[:3] == [4, "1", code]


@pytest.mark.parametrize("text", ["[3]", "[3,7,{}]", "[4]", '[4,{},"X","",{}]'])
@pytest.mark.parametrize("version", EVERY)
def test_a_broken_answer_is_never_answered(
    session: OpenSession, version: OcppVersion, text: str
) -> None:
    ocpp = session(version)
    clear_cache(ocpp)
    ocpp.texts_to_send()
    assert isinstance(ocpp.receive(text, NOW), Ignored)
    assert ocpp.texts_to_send() == []


@pytest.mark.parametrize(
    ("version", "text", "answers"),
    [
        (V16, '[5,"1","X","",{}]', []),
        (V16, '[9,"1"]', []),
        (
            V201,
            '[5,"1","X","",{}]',
            ['[4,"1","MessageTypeNotSupported","this message type is not supported",{}]'],
        ),
        (
            V201,
            "[9,1]",
            ['[4,"-1","MessageTypeNotSupported","this message type is not supported",{}]'],
        ),
        # 2.1 P4 4.1.3, 4.4: ignored again.
        (V21, '[7,"1","X","",{}]', []),
        (V21, "[9,1]", []),
    ],
)
def test_statement_24_an_unknown_message_type_is_ignored_or_refused(
    session: OpenSession, version: OcppVersion, text: str, answers: list[str]
) -> None:
    ocpp = session(version)
    event = ocpp.receive(text, NOW)
    assert isinstance(event, Ignored)
    assert event.reason is IgnoredReason.UNKNOWN_MESSAGE_TYPE
    assert ocpp.texts_to_send() == answers


# 25, 26, 27: CALLERROR --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "action", "code"),
    [
        (V16, "CustomOperation", "NotImplemented"),
        (V16, "heartbeat", "NotImplemented"),
        (V16, "", "NotImplemented"),
        (V16, "TransactionEvent2", "NotImplemented"),
        # Signed messages are no matter of 1.6.
        (V16, "Heartbeat-Signed", "NotImplemented"),
        (V16, "Reset", "NotSupported"),
        (V16, "SignCertificate", "NotSupported"),
        (V201, "CustomOperation", "NotImplemented"),
        (V201, "HeartbeatRequest", "NotImplemented"),
        (V201, "CustomOperation-Signed", "NotImplemented"),
        (V201, "Reset", "NotSupported"),
        (V201, "NotifyEVChargingNeeds", "NotSupported"),
        (V201, "BatterySwap", "NotImplemented"),
        (V21, "CustomOperation", "NotImplemented"),
        (V21, "BatterySwap", "NotSupported"),
        (V21, "OpenPeriodicEventStream", "NotSupported"),
        # It exists, but nobody may ask for it: it is a SEND.
        (V21, "NotifyPeriodicEventStream", "NotImplemented"),
    ],
)
def test_statement_25_unknown_is_not_implemented_and_unserved_is_not_supported(
    session: OpenSession, version: OcppVersion, action: str, code: str
) -> None:
    ocpp = session(version)
    event = ocpp.receive(f'[2,"1","{action}",{{}}]', NOW)
    assert isinstance(event, CallRefused)
    (answer,) = ocpp.texts_to_send()
    assert json.loads(answer)[:3] == [4, "1", code]
    assert ocpp.unanswered_count == 0


@pytest.mark.parametrize(
    ("version", "text", "code"),
    [
        (V16, '[2,"1","Authorize",{}]', "OccurenceConstraintViolation"),
        (V201, '[2,"1","Authorize",{}]', "OccurrenceConstraintViolation"),
        (V16, '[2,"1","Heartbeat",{"x":1}]', "FormationViolation"),
        (V201, '[2,"1","Heartbeat",{"x":1}]', "FormatViolation"),
        (V16, '[2,"1","Heartbeat",[]]', "FormationViolation"),
        (V201, '[2,"1","Heartbeat",[]]', "FormatViolation"),
        (V21, '[2,"1","Authorize",{}]', "OccurrenceConstraintViolation"),
        (V21, '[2,"1","Heartbeat",{"x":1}]', "FormatViolation"),
        (V16, '[2,"1","Authorize",{"idTag":5}]', "TypeConstraintViolation"),
        (V16, f'[2,"1","Authorize",{{"idTag":"{"x" * 21}"}}]', "PropertyConstraintViolation"),
        (V16, '[2,"1","Authorize",{"idTag":"\\u0000"}]', None),
    ],
)
def test_statement_26_a_violation_is_named_in_the_versions_own_spelling(
    session: OpenSession, version: OcppVersion, text: str, code: str | None
) -> None:
    ocpp = session(version)
    event = ocpp.receive(text, NOW)
    answers = [json.loads(answer) for answer in ocpp.texts_to_send()]
    assert [answer[2] for answer in answers] == ([] if code is None else [code])
    assert isinstance(event, CallReceived if code is None else CallRefused)


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("FormationViolation", ErrorCode.FORMAT_VIOLATION),
        ("FormatViolation", ErrorCode.FORMAT_VIOLATION),
        ("OccurenceConstraintViolation", ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("OccurrenceConstraintViolation", ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("VendorSpecificError", "VendorSpecificError"),
    ],
)
@pytest.mark.parametrize("version", EVERY)
def test_statement_26_either_spelling_is_understood(
    session: OpenSession, version: OcppVersion, code: str, read: ErrorCode | str
) -> None:
    ocpp = session(version)
    clear_cache(ocpp)
    # Details that are no object are kept as they came.
    assert ocpp.receive(f'[4,"ours-1","{code}","line\\nbreak","details"]', NOW) == CallFailed(
        "ours-1",
        "ClearCache",
        FailureReason.ANSWERED_WITH_ERROR,
        sent=True,
        code=read,
        description="line\nbreak",
        details="details",
    )


@pytest.mark.parametrize("version", EVERY)
def test_statement_27_every_callerror_has_five_elements(
    session: OpenSession, version: OcppVersion
) -> None:
    ocpp = session(version)
    long_name = "n" * 2000
    ocpp.receive(f'[2,"1","Heartbeat",{{"{long_name}":1}}]', NOW)
    ocpp.receive('[2,"2","Nonsense",{}]', NOW)
    ocpp.receive('[2,"3"]', NOW)
    ocpp.receive(HEARTBEAT, NOW)
    ocpp.reply_error("h", "InternalError", "d" * 2000, {"why": None, "a": 1})
    answers = [json.loads(answer) for answer in ocpp.texts_to_send()]
    assert [answer[1] for answer in answers] == ["1", "2", "3", "h"]
    for answer in answers:
        assert len(answer) == 5
        assert len(answer[3]) <= 255
        assert isinstance(answer[4], dict)
    assert answers[3][4] == {"a": 1}


# 28: what we send -------------------------------------------------------------------------------


def test_statement_28_absent_fields_are_left_out(session: OpenSession) -> None:
    ocpp = session()
    ocpp.call(
        "RemoteStartTransaction",
        {"idTag": "T", "connectorId": None, "chargingProfile": {}},
        NOW,
        30.0,
    )
    ocpp.receive(START, NOW)
    ocpp.reply("7", {"idTagInfo": {"status": "Accepted", "parentIdTag": None}, "transactionId": 5})
    ocpp.receive(HEARTBEAT, NOW)
    ocpp.reply("h", {})
    assert ocpp.texts_to_send() == [
        '[2,"ours-1","RemoteStartTransaction",{"idTag":"T"}]',
        STARTED_TEXT,
        '[3,"h",{}]',
    ]


# 29: billing data -------------------------------------------------------------------------------

BROKEN_BILLING_DATA = [
    (V16, "StartTransaction", '{"connectorId":1,"meterStart":0}'),
    (V16, "StopTransaction", '{"transactionId":-1,"meterStop":"12","reason":"Because"}'),
    (V16, "MeterValues", '{"connectorId":1,"meterValue":[{"sampledValue":[{"unit":"Hz"}]}]}'),
    (V16, "StatusNotification", '{"connectorId":1,"status":"Sleeping","vendor":{}}'),
    (V201, "TransactionEvent", '{"eventType":"Ended","seqNo":1.5}'),
    (V201, "MeterValues", '{"evseId":1,"meterValue":[]}'),
    (V201, "StatusNotification", '{"connectorStatus":null}'),
    (V21, "TransactionEvent", '{"eventType":"Ended","preconditioningStatus":"Maybe"}'),
    (V21, "MeterValues", '{"evseId":1,"meterValue":[]}'),
]


@pytest.mark.parametrize(("version", "action", "payload"), BROKEN_BILLING_DATA)
def test_statement_29_broken_billing_data_is_handed_up_and_answered(
    session: OpenSession, version: OcppVersion, action: str, payload: str
) -> None:
    ocpp = session(version)
    event = ocpp.receive(f'[2,"1","{action}",{payload}]', NOW)
    assert isinstance(event, CallReceived)
    assert event.payload == json.loads(payload)
    assert not event.valid
    assert event.violation is not None
    assert ocpp.texts_to_send() == []
    ocpp.reply("1", {})
    assert ocpp.texts_to_send() == ['[3,"1",{}]']


def test_statement_29_good_billing_data_is_valid(session: OpenSession) -> None:
    event = session().receive(START, NOW)
    assert isinstance(event, CallReceived)
    assert event.valid


# 30: invalid answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "payload"),
    [
        ('{"status":"Perhaps"}', {"status": "Perhaps"}),
        ('{"listVersion":1}', {"listVersion": 1}),
        ("{}", {}),
        ("[]", {}),
        ("null", {}),
        ('"Accepted"', {}),
    ],
)
@pytest.mark.parametrize("version", [V16, V201])
def test_statement_30_an_invalid_answer_is_handed_up_flagged_and_not_answered(
    session: OpenSession, version: OcppVersion, answer: str, payload: dict[str, Any]
) -> None:
    ocpp = session(version)
    clear_cache(ocpp)
    ocpp.texts_to_send()
    event = ocpp.receive(f'[3,"ours-1",{answer}]', NOW)
    assert isinstance(event, CallAnswered)
    assert not event.valid
    assert event.payload == payload
    assert ocpp.texts_to_send() == []


# 31: signed messages ----------------------------------------------------------------------------


def signed(payload: str) -> str:
    sealed = urlsafe_b64encode(payload.encode()).decode().rstrip("=")
    return json.dumps({"payload": sealed, "protected": "e30", "signature": "AA"})


@pytest.mark.parametrize("version", [V201, V21])
def test_statement_31_a_signed_call_is_unwrapped_and_answered_like_any_other(
    session: OpenSession, version: OcppVersion
) -> None:
    ocpp = session(version)
    inner = '{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"é"}}'
    event = ocpp.receive(f'[2,"1","BootNotification-Signed",{signed(inner)}]', NOW)
    assert event == CallReceived("1", "BootNotification", json.loads(inner), signed=True)
    ocpp.reply("1", {"status": "Accepted"})
    assert ocpp.texts_to_send() == ['[3,"1",{"status":"Accepted"}]']


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (signed('{"x":1}'), "FormatViolation"),
        (signed("not json"), "FormatViolation"),
        (signed("[]"), "FormatViolation"),
        ('{"payload":"_w"}', "FormatViolation"),
        ('{"payload":5}', "FormatViolation"),
        ('{"payload":"é"}', "FormatViolation"),
    ],
)
def test_statement_31_an_unreadable_signed_call_is_refused(
    session: OpenSession, payload: str, code: str
) -> None:
    ocpp = session(V201)
    event = ocpp.receive(f'[2,"1","Heartbeat-Signed",{payload}]', NOW)
    assert isinstance(event, CallRefused)
    (answer,) = ocpp.texts_to_send()
    assert json.loads(answer)[:3] == [4, "1", code]


def test_statement_31_signed_billing_data_that_cannot_be_read_is_kept(session: OpenSession) -> None:
    ocpp = session(V201)
    event = ocpp.receive('[2,"1","TransactionEvent-Signed",{"payload":"!"}]', NOW)
    assert isinstance(event, CallReceived)
    assert (event.action, event.payload) == ("TransactionEvent", {"payload": "!"})
    assert event.signed
    assert not event.valid


# 32: before acceptance --------------------------------------------------------------------------


@pytest.mark.parametrize("version", EVERY)
def test_statement_32_before_acceptance_only_a_boot_is_heard(
    session: OpenSession, version: OcppVersion
) -> None:
    ocpp = session(version, accepted=False)
    event = ocpp.receive(HEARTBEAT, NOW)
    assert isinstance(event, CallRefused)
    assert event.violation.code is ErrorCode.SECURITY_ERROR
    assert ocpp.texts_to_send() == ['[4,"h","SecurityError","this station is not accepted",{}]']
    boot = (
        '{"chargePointVendor":"V","chargePointModel":"M"}'
        if version is V16
        else '{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}'
    )
    assert isinstance(ocpp.receive(f'[2,"b","BootNotification",{boot}]', NOW), CallReceived)
    ocpp.accepted = True
    # The refusal is not remembered: the same message passes now.
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)


def test_statement_32_billing_data_is_no_exception(session: OpenSession) -> None:
    assert isinstance(session(accepted=False).receive(START, NOW), CallRefused)


def test_statement_32_what_we_triggered_is_heard_and_nothing_else(session: OpenSession) -> None:
    ocpp = session(accepted=False)
    ocpp.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, NOW, 30.0)
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)
    assert isinstance(ocpp.receive(START, NOW), CallRefused)
    meter_values = '[2,"m","MeterValues",{"connectorId":1,"meterValue":[]}]'
    assert isinstance(ocpp.receive(meter_values, NOW), CallRefused)


def test_statement_32_what_still_waits_to_be_sent_has_triggered_nothing(
    session: OpenSession,
) -> None:
    ocpp = session(accepted=False)
    clear_cache(ocpp)
    ocpp.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, NOW, 30.0)
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallRefused)
    ocpp.receive(ACCEPTED_1, NOW)
    assert isinstance(ocpp.receive(HEARTBEAT, NOW), CallReceived)


def test_statement_32_a_report_we_asked_for_is_heard(session: OpenSession) -> None:
    ocpp = session(V201, accepted=False)
    report = '[2,"r","NotifyReport",{"requestId":1,"generatedAt":"2026-01-01T00:00:00Z","seqNo":0}]'
    assert isinstance(ocpp.receive(report, NOW), CallRefused)
    ocpp.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, NOW, 30.0)
    assert isinstance(ocpp.receive(report, NOW), CallReceived)
