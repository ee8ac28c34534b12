"""OCPP 2.x in version-free words: tokens, transactions, meter values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway.translation import Untranslatable
from chargehub.stations.reports import (
    NoticeReported,
)
from chargehub.telemetry.readings import Flag
from chargehub.transactions.reports import (
    AuthorizeRequested,
    EventKind,
    IdToken,
    SamplesReported,
    TransactionReply,
    TransactionReported,
)
from tests.unit.gateway.words import AT, NOW, STAMP, Payload, Words

EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


TRANSACTION = "0123456789abcdef0123456789abcdef01"
"""A's are 34 hex digits."""
STARTED: Payload = {
    "eventType": "Started",
    "timestamp": STAMP,
    "triggerReason": "CablePluggedIn",
    "seqNo": 0,
    "transactionInfo": {"transactionId": TRANSACTION, "chargingState": "EVConnected"},
    "evse": {"id": 1, "connectorId": 1},
    "idToken": {"idToken": "TAXI-001", "type": "ISO14443"},
}
METER_VALUE: Payload = {
    "timestamp": STAMP,
    "sampledValue": [{"value": 1600, "unitOfMeasure": {"unit": "Wh"}}],
}


# --- Authorize ------------------------------------------------------------------------------------


def test_authorize_keeps_the_case_of_the_token_statement_42(words: Words) -> None:
    payload = {"idToken": {"idToken": "TaXi", "type": "ISO14443"}}
    assert words.read("Authorize", payload) == [
        AuthorizeRequested(7, NOW, IdToken("TaXi", "ISO14443"))
    ]


def test_no_authorization_token_statement_59(words: Words) -> None:
    payload = {"idToken": {"idToken": "", "type": "NoAuthorization"}}
    assert words.read("Authorize", payload) == [
        AuthorizeRequested(7, NOW, IdToken("", "NoAuthorization"))
    ]


@pytest.mark.parametrize("status", AuthorizationStatus)
def test_every_decision_has_its_word(words: Words, status: AuthorizationStatus) -> None:
    assert words.answer("Authorize", Authorization(status)) == {
        "idTokenInfo": {"status": status.value}
    }


def test_group_is_returned_as_central_statement_59(words: Words) -> None:
    decided = Authorization(AuthorizationStatus.ACCEPTED, "FLEET", EXPIRES)
    info = {
        "status": "Accepted",
        "cacheExpiryDateTime": "2026-12-01T00:00:00.000Z",
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
    }
    assert words.answer("Authorize", decided) == {"idTokenInfo": info}
    assert words.answer("TransactionEvent", TransactionReply(42, decided)) == {"idTokenInfo": info}


# --- TransactionEvent -----------------------------------------------------------------------------


def test_started_event(words: Words) -> None:
    report = words.event(STARTED)
    assert report == TransactionReported(
        station_id=7,
        received_at=NOW,
        kind=EventKind.STARTED,
        at=AT,
        transaction_ref=TRANSACTION,
        evse_no=1,
        connector_no=1,
        id_token=IdToken("TAXI-001", "ISO14443"),
        seq_no=0,
        trigger="CablePluggedIn",
        charging_state="EVConnected",
        content_hash=report.content_hash,
    )
    assert (report.assigns_ref, report.ref_is_ours, report.register_wh) == (False, False, None)


def test_id_token_info_only_for_an_id_token_statement_58(words: Words) -> None:
    assert words.answer("TransactionEvent", TransactionReply(42)) == {}
    reply = TransactionReply(42, Authorization(AuthorizationStatus.ACCEPTED))
    assert words.answer("TransactionEvent", reply) == {"idTokenInfo": {"status": "Accepted"}}


def test_d_remote_started_event_without_token_statement_62(words: Words) -> None:
    payload = STARTED | {
        "triggerReason": "RemoteStart",
        "reservationId": 9,
        "transactionInfo": {"transactionId": "t", "remoteStartId": 2**31 - 1},
    }
    del payload["idToken"]
    report = words.event(payload)
    assert (report.id_token, report.remote_start_id) == (None, 2**31 - 1)
    assert (report.reservation_id, report.trigger) == (9, "RemoteStart")


def test_begin_and_end_registers_come_as_readings(words: Words) -> None:
    payload = STARTED | {
        "meterValue": [
            {
                "timestamp": STAMP,
                "sampledValue": [
                    {
                        "value": 1.5,
                        "context": "Transaction.Begin",
                        "unitOfMeasure": {"unit": "kWh"},
                    }
                ],
            }
        ]
    }
    (reading,) = words.event(payload).readings
    assert (reading.context, reading.register_wh, reading.flags) == ("Transaction.Begin", 1500, 0)


def test_a_ended_event_without_evse_and_reason(words: Words) -> None:
    payload = {
        "eventType": "Ended",
        "timestamp": STAMP,
        "triggerReason": "StopAuthorized",
        "seqNo": 5,
        "transactionInfo": {"transactionId": TRANSACTION, "chargingState": "EVConnected"},
    }
    report = words.event(payload)
    assert report.kind is EventKind.ENDED
    assert (report.evse_no, report.stopped_reason, report.id_token) == (None, None, None)
    assert (report.flags, report.raw) == (0, None)


def test_e_ended_event_with_signed_value_and_seq_no_0(words: Words) -> None:
    signature = {
        "signedMeterData": "T0NNRg==",
        "signingMethod": "ECDSA",
        "encodingMethod": "OCMF",
        "publicKey": "",
    }
    payload = STARTED | {
        "eventType": "Ended",
        "transactionInfo": {"transactionId": TRANSACTION, "stoppedReason": "Local"},
        "meterValue": [
            {
                "timestamp": STAMP,
                "sampledValue": [
                    {
                        "value": 150.05,
                        "context": "Transaction.End",
                        "signedMeterValue": signature,
                        "unitOfMeasure": {"unit": "kWh"},
                    }
                ],
            }
        ],
    }
    del payload["idToken"]
    report = words.event(payload)
    (reading,) = report.readings
    assert (reading.register_wh, reading.flags) == (150050, Flag.SIGNED)
    assert reading.raw == payload["meterValue"][0]
    assert (report.seq_no, report.stopped_reason) == (0, "Local")


def test_replay_marked_offline_has_the_same_content_statement_54(words: Words) -> None:
    first, replayed = words.event(STARTED), words.event(STARTED | {"offline": True})
    assert first.content_hash == replayed.content_hash
    assert (first.offline, replayed.offline) == (False, True)


def test_e_events_of_equal_seq_no_differ_in_content_statement_54(words: Words) -> None:
    updated = STARTED | {"eventType": "Updated", "timestamp": "2026-11-23T07:59:40Z"}
    hashes = {words.event(payload).content_hash for payload in (STARTED, updated)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"eventType": "Begun"}, {"kind": EventKind.UPDATED}),
        ({"seqNo": "3"}, {"seq_no": 3}),
        ({"seqNo": -1}, {"seq_no": None}),
        (
            {"seqNo": 2**63},
            {"seq_no": None, "raw": STARTED | {"seqNo": "9223372036854775808"}},
        ),
        ({"seqNo": 2**63 - 1}, {"seq_no": 2**63 - 1, "flags": 0, "raw": None}),
        ({"evse": {"id": 1, "connectorId": -1}}, {"evse_no": 1, "connector_no": None}),
        ({"evse": {"id": 40000}}, {"evse_no": None, "connector_no": None}),
        ({"evse": 1}, {"evse_no": None}),
        ({"idToken": "TAXI-001"}, {"id_token": IdToken("TAXI-001")}),
        ({"idToken": {"idToken": 5, "type": "Central"}}, {"id_token": IdToken("5", "Central")}),
        ({"idToken": [5]}, {"id_token": IdToken("")}),
        ({"idToken": {}}, {"id_token": IdToken("")}),
        ({"offline": "yes"}, {"offline": False}),
        ({"reservationId": 2**31}, {"reservation_id": None}),
        ({"triggerReason": None}, {"trigger": None}),
        ({"triggerReason": "OwnReason"}, {"trigger": "OwnReason"}),
        ({"newField": {"deep": [1]}}, {}),
        ({"meterValue": []}, {"readings": ()}),
        ({"transactionInfo": {"transactionId": 77}}, {"transaction_ref": "77"}),
        ({"transactionInfo": {"transactionId": "t" * 40}}, {"transaction_ref": "t" * 40}),
    ],
)
def test_event_out_of_order_is_flagged_and_kept_raw_statement_29(
    words: Words, change: Payload, expected: dict[str, Any]
) -> None:
    payload = STARTED | change
    report = words.event(payload)
    expected = {"flags": Flag.INVALID_PAYLOAD, "raw": payload} | expected
    assert {name: getattr(report, name) for name in expected} == expected


def test_event_of_an_absurd_clock_is_flagged(words: Words) -> None:
    report = words.event(STARTED | {"timestamp": "1970-01-01T00:00:12Z"})
    assert (report.at, report.flags) == (NOW, Flag.CLOCK_SKEW)
    assert report.raw is not None


@pytest.mark.parametrize("info", [None, {}, {"transactionId": ""}, {"transactionId": []}, "t-1"])
def test_event_without_transaction_is_untranslatable_and_still_answered(
    words: Words, info: object
) -> None:
    with pytest.raises(Untranslatable):
        words.read("TransactionEvent", STARTED | {"transactionInfo": info})
    assert words.answer("TransactionEvent") == {}


# --- MeterValues ----------------------------------------------------------------------------------


@pytest.mark.parametrize("evse_no", [0, 2])
def test_meter_values_of_an_evse(words: Words, evse_no: int) -> None:
    (report,) = words.read("MeterValues", {"evseId": evse_no, "meterValue": [METER_VALUE]})
    assert isinstance(report, SamplesReported)
    assert (report.evse_no, report.transaction_ref) == (evse_no, None)
    assert [r.register_wh for r in report.readings] == [1600]
    assert words.answer("MeterValues", None) == {}


def test_invalid_meter_values_are_read_flagged_and_kept_statement_29(words: Words) -> None:
    payload = {
        "evseId": 1,
        "meterValue": [
            {"timestamp": STAMP, "sampledValue": [{"value": "1600", "measurand": "Energy"}]}
        ],
    }
    samples, kept = words.read("MeterValues", payload)
    assert isinstance(samples, SamplesReported)
    (reading,) = samples.readings
    assert (reading.extras, reading.flags) == ({"Energy": 1600.0}, Flag.INVALID_PAYLOAD)
    assert kept == NoticeReported(7, NOW, "MeterValues", payload, flagged=True)


@pytest.mark.parametrize("payload", [{}, {"evseId": 1}, {"meterValue": [METER_VALUE]}])
def test_meter_values_of_nothing_are_untranslatable(words: Words, payload: Payload) -> None:
    with pytest.raises(Untranslatable):
        words.read("MeterValues", payload)
    assert words.answer("MeterValues") == {}
