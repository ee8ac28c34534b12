"""OCPP 2.0.1 in version-free words: every message, every quirk, every answer by its schema."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway.translate_v201 import TRANSLATOR
from chargehub.gateway.translation import Context, InboundMessage, Report, Untranslatable
from chargehub.ocpp import OcppVersion, schemas_for
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    GetTransactionStatus,
    InvalidCommand,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    ResetKind,
    ResetStation,
    TriggerMessage,
    UnlockConnector,
)
from chargehub.stations.reports import (
    BootReply,
    BootReported,
    ConnectorStatus,
    NoticeReported,
    RegistrationStatus,
    StatusReported,
    VariableReported,
    VariablesReported,
)
from chargehub.telemetry.readings import Flag
from chargehub.transactions.reports import (
    AuthorizeRequested,
    EventKind,
    IdToken,
    ReservationStatusReported,
    SamplesReported,
    TransactionReply,
    TransactionReported,
)

SCHEMAS = schemas_for(OcppVersion.V201)
NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
AT = datetime(2026, 11, 23, 7, 59, 30, tzinfo=UTC)
STAMP = "2026-11-23T07:59:30Z"
WIRE_NOW = "2026-11-23T08:00:00.123Z"
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)

Payload = dict[str, Any]


def read(action: str, payload: Payload) -> list[Report]:
    """Read as the gateway does: `valid` says what the official schema says."""
    valid = SCHEMAS.check_request(action, payload) is None
    return list(TRANSLATOR.inbound[action].read(payload, Context(7, NOW, valid)))


def answer(action: str, *replies: object) -> Payload:
    payload = TRANSLATOR.inbound[action].answer(replies, NOW)
    assert SCHEMAS.check_response(action, payload) is None
    return payload


def event(payload: Payload) -> TransactionReported:
    (report,) = read("TransactionEvent", payload)
    assert isinstance(report, TransactionReported)
    return report


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


# --- Boot, heartbeat, notices ---------------------------------------------------------------------


def test_boot_with_empty_texts_reads_as_absent() -> None:
    """Field quirk: boot fields may be empty strings."""
    (report,) = read(
        "BootNotification",
        {
            "reason": "PowerUp",
            "chargingStation": {
                "vendorName": "Teld",
                "model": "DC120",
                "serialNumber": "SN-1",
                "firmwareVersion": "",
                "modem": {"iccid": "", "imsi": "460"},
            },
        },
    )
    assert report == BootReported(
        station_id=7,
        received_at=NOW,
        vendor="Teld",
        model="DC120",
        serial_number="SN-1",
        imsi="460",
        reason="PowerUp",
    )


@pytest.mark.parametrize("status", RegistrationStatus)
def test_boot_answer_statement_35_39(status: RegistrationStatus) -> None:
    assert answer("BootNotification", BootReply(status, 60)) == {
        "currentTime": WIRE_NOW,
        "interval": 60,
        "status": status.value,
    }


def test_heartbeat_reports_nothing_and_tells_the_time() -> None:
    assert read("Heartbeat", {}) == []
    assert answer("Heartbeat") == {"currentTime": WIRE_NOW}


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("LogStatusNotification", {"status": "Uploaded", "requestId": 3}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("SecurityEventNotification", {"type": "OwnInvention", "timestamp": STAMP}),
        ("DataTransfer", {"vendorId": "Teld", "data": {"any": ["json", None]}}),
    ],
)
def test_notices_are_kept_whole_and_acknowledged_statements_95_101(
    action: str, payload: Payload
) -> None:
    (report,) = read(action, payload)
    assert isinstance(report, NoticeReported)
    assert (report.kind, report.payload, report.flagged) == (action, payload, False)
    assert report.at == (AT if "timestamp" in payload else None)
    expected = {"status": "UnknownVendorId"} if action == "DataTransfer" else {}
    assert answer(action, None) == expected


# --- Status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evse_no", "connector_no"),
    [(1, 1), (2, 1), (1, 2), pytest.param(0, 0, id="D, F: the whole station")],
)
@pytest.mark.parametrize("word", ["Available", "Occupied", "Reserved", "Unavailable", "Faulted"])
def test_status_of_a_connector(evse_no: int, connector_no: int, word: str) -> None:
    payload = {
        "timestamp": STAMP,
        "connectorStatus": word,
        "evseId": evse_no,
        "connectorId": connector_no,
    }
    assert read("StatusNotification", payload) == [
        StatusReported(7, NOW, evse_no, connector_no, ConnectorStatus(word), at=AT)
    ]
    assert answer("StatusNotification", None) == {}


def test_unknown_status_word_is_shown_as_unknown_and_kept_statement_29() -> None:
    payload = {"timestamp": STAMP, "connectorStatus": "Parked", "evseId": 1, "connectorId": 1}
    status, kept = read("StatusNotification", payload)
    assert isinstance(status, StatusReported)
    assert status.status is ConnectorStatus.UNKNOWN
    assert kept == NoticeReported(7, NOW, "StatusNotification", payload, flagged=True)


def notify_event(*events: Payload) -> Payload:
    return {"generatedAt": STAMP, "seqNo": 0, "eventData": list(events)}


def event_data(component: Payload, variable: str, value: str) -> Payload:
    return {
        "eventId": 1,
        "timestamp": STAMP,
        "trigger": "Delta",
        "actualValue": value,
        "eventNotificationType": "HardWiredNotification",
        "component": component,
        "variable": {"name": variable},
    }


@pytest.mark.parametrize(
    ("component", "evse_no", "connector_no"),
    [
        ({"name": "Connector", "evse": {"id": 2, "connectorId": 1}}, 2, 1),
        ({"name": "EVSE", "evse": {"id": 2}}, 2, 1),
        ({"name": "ChargingStation"}, 0, 0),
    ],
)
def test_availability_state_is_a_status_statement_73(
    component: Payload, evse_no: int, connector_no: int
) -> None:
    payload = notify_event(event_data(component, "AvailabilityState", "Reserved"))
    assert read("NotifyEvent", payload) == [
        StatusReported(7, NOW, evse_no, connector_no, ConnectorStatus.RESERVED, at=AT)
    ]
    assert answer("NotifyEvent", None) == {}  # Statement 99.


def test_other_events_are_kept_beside_the_status() -> None:
    payload = notify_event(
        event_data({"name": "EVSE", "evse": {"id": 1}}, "AvailabilityState", "Faulted"),
        event_data({"name": "FiscalMetering"}, "Problem", "true"),
    )
    status, kept = read("NotifyEvent", payload)
    assert isinstance(status, StatusReported)
    assert kept == NoticeReported(7, NOW, "NotifyEvent", payload, at=AT)


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ({"name": "EVSE", "evse": {"id": 1}}, "Parked"),
        ({"name": "EVSE"}, "Available"),
        ({"name": "Cable", "evse": {"id": 1}}, "Available"),
    ],
)
def test_availability_that_is_none_of_a_gun_stays_a_notice(component: Payload, value: str) -> None:
    (kept,) = read("NotifyEvent", notify_event(event_data(component, "AvailabilityState", value)))
    assert isinstance(kept, NoticeReported)


# --- Authorize ------------------------------------------------------------------------------------


def test_authorize_keeps_the_case_of_the_token_statement_42() -> None:
    payload = {"idToken": {"idToken": "TaXi", "type": "ISO14443"}}
    assert read("Authorize", payload) == [AuthorizeRequested(7, NOW, IdToken("TaXi", "ISO14443"))]


def test_no_authorization_token_statement_59() -> None:
    payload = {"idToken": {"idToken": "", "type": "NoAuthorization"}}
    assert read("Authorize", payload) == [
        AuthorizeRequested(7, NOW, IdToken("", "NoAuthorization"))
    ]


@pytest.mark.parametrize("status", AuthorizationStatus)
def test_every_decision_has_its_word(status: AuthorizationStatus) -> None:
    assert answer("Authorize", Authorization(status)) == {"idTokenInfo": {"status": status.value}}


def test_group_is_returned_as_central_statement_59() -> None:
    decided = Authorization(AuthorizationStatus.ACCEPTED, "FLEET", EXPIRES)
    info = {
        "status": "Accepted",
        "cacheExpiryDateTime": "2026-12-01T00:00:00.000Z",
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
    }
    assert answer("Authorize", decided) == {"idTokenInfo": info}
    assert answer("TransactionEvent", TransactionReply(42, decided)) == {"idTokenInfo": info}


# --- TransactionEvent -----------------------------------------------------------------------------


def test_started_event() -> None:
    report = event(STARTED)
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


def test_id_token_info_only_for_an_id_token_statement_58() -> None:
    assert answer("TransactionEvent", TransactionReply(42)) == {}
    reply = TransactionReply(42, Authorization(AuthorizationStatus.ACCEPTED))
    assert answer("TransactionEvent", reply) == {"idTokenInfo": {"status": "Accepted"}}


def test_d_remote_started_event_without_token_statement_62() -> None:
    payload = STARTED | {
        "triggerReason": "RemoteStart",
        "reservationId": 9,
        "transactionInfo": {"transactionId": "t", "remoteStartId": 2**31 - 1},
    }
    del payload["idToken"]
    report = event(payload)
    assert (report.id_token, report.remote_start_id) == (None, 2**31 - 1)
    assert (report.reservation_id, report.trigger) == (9, "RemoteStart")


def test_begin_and_end_registers_come_as_readings() -> None:
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
    (reading,) = event(payload).readings
    assert (reading.context, reading.register_wh, reading.flags) == ("Transaction.Begin", 1500, 0)


def test_a_ended_event_without_evse_and_reason() -> None:
    payload = {
        "eventType": "Ended",
        "timestamp": STAMP,
        "triggerReason": "StopAuthorized",
        "seqNo": 5,
        "transactionInfo": {"transactionId": TRANSACTION, "chargingState": "EVConnected"},
    }
    report = event(payload)
    assert report.kind is EventKind.ENDED
    assert (report.evse_no, report.stopped_reason, report.id_token) == (None, None, None)
    assert (report.flags, report.raw) == (0, None)


def test_e_ended_event_with_signed_value_and_seq_no_0() -> None:
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
    report = event(payload)
    (reading,) = report.readings
    assert (reading.register_wh, reading.flags) == (150050, Flag.SIGNED)
    assert reading.raw == payload["meterValue"][0]
    assert (report.seq_no, report.stopped_reason) == (0, "Local")


def test_replay_marked_offline_has_the_same_content_statement_54() -> None:
    first, replayed = event(STARTED), event(STARTED | {"offline": True})
    assert first.content_hash == replayed.content_hash
    assert (first.offline, replayed.offline) == (False, True)


def test_e_events_of_equal_seq_no_differ_in_content_statement_54() -> None:
    updated = STARTED | {"eventType": "Updated", "timestamp": "2026-11-23T07:59:40Z"}
    hashes = {event(payload).content_hash for payload in (STARTED, updated)}
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
    change: Payload, expected: dict[str, Any]
) -> None:
    payload = STARTED | change
    report = event(payload)
    expected = {"flags": Flag.INVALID_PAYLOAD, "raw": payload} | expected
    assert {name: getattr(report, name) for name in expected} == expected


def test_event_of_an_absurd_clock_is_flagged() -> None:
    report = event(STARTED | {"timestamp": "1970-01-01T00:00:12Z"})
    assert (report.at, report.flags) == (NOW, Flag.CLOCK_SKEW)
    assert report.raw is not None


@pytest.mark.parametrize("info", [None, {}, {"transactionId": ""}, {"transactionId": []}, "t-1"])
def test_event_without_transaction_is_untranslatable_and_still_answered(info: object) -> None:
    with pytest.raises(Untranslatable):
        read("TransactionEvent", STARTED | {"transactionInfo": info})
    assert answer("TransactionEvent") == {}


# --- MeterValues ----------------------------------------------------------------------------------


@pytest.mark.parametrize("evse_no", [0, 2])
def test_meter_values_of_an_evse(evse_no: int) -> None:
    (report,) = read("MeterValues", {"evseId": evse_no, "meterValue": [METER_VALUE]})
    assert isinstance(report, SamplesReported)
    assert (report.evse_no, report.transaction_ref) == (evse_no, None)
    assert [r.register_wh for r in report.readings] == [1600]
    assert answer("MeterValues", None) == {}


def test_invalid_meter_values_are_read_flagged_and_kept_statement_29() -> None:
    payload = {
        "evseId": 1,
        "meterValue": [
            {"timestamp": STAMP, "sampledValue": [{"value": "1600", "measurand": "Energy"}]}
        ],
    }
    samples, kept = read("MeterValues", payload)
    assert isinstance(samples, SamplesReported)
    (reading,) = samples.readings
    assert (reading.extras, reading.flags) == ({"Energy": 1600.0}, Flag.INVALID_PAYLOAD)
    assert kept == NoticeReported(7, NOW, "MeterValues", payload, flagged=True)


@pytest.mark.parametrize("payload", [{}, {"evseId": 1}, {"meterValue": [METER_VALUE]}])
def test_meter_values_of_nothing_are_untranslatable(payload: Payload) -> None:
    with pytest.raises(Untranslatable):
        read("MeterValues", payload)
    assert answer("MeterValues") == {}


# --- Reports and reservations ---------------------------------------------------------------------


def test_a_report_without_tbc_and_attribute_type() -> None:
    payload = {
        "requestId": 11,
        "generatedAt": STAMP,
        "seqNo": 0,
        "reportData": [
            {
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "Power"},
                "variableAttribute": [
                    {"value": "60000", "mutability": "ReadOnly"},
                    {"type": "MaxSet"},
                ],
                "variableCharacteristics": {
                    "dataType": "decimal",
                    "unit": "W",
                    "supportsMonitoring": False,
                },
            }
        ],
    }
    (report,) = read("NotifyReport", payload)
    assert isinstance(report, VariablesReported)
    assert report.request_id == 11
    power = VariableReported(
        component="EVSE",
        component_instance=None,
        evse_no=1,
        connector_no=None,
        variable="Power",
        variable_instance=None,
        attribute="Actual",
        value="60000",
        mutability="ReadOnly",
        data_type="decimal",
        unit="W",
    )
    assert report.variables[0] == power
    # Statement 98: an attribute without value is kept.
    assert (report.variables[1].attribute, report.variables[1].value) == ("MaxSet", None)
    assert report.variables[1].mutability == "ReadWrite"
    assert answer("NotifyReport", None) == {}


def test_empty_report_page() -> None:
    (report,) = read("NotifyReport", {"requestId": 1, "generatedAt": STAMP, "seqNo": 0})
    assert report == VariablesReported(7, NOW, 1, ())


def test_variables_read_from_our_own_question() -> None:
    payload = {
        "getVariableResult": [
            {
                "attributeStatus": "Accepted",
                "attributeValue": "300",
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "HeartbeatInterval"},
            },
            {
                "attributeStatus": "UnknownVariable",
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "Nonsense"},
            },
        ]
    }
    assert SCHEMAS.check_response("GetVariables", payload) is None
    (report,) = TRANSLATOR.results["GetVariables"](payload, Context(7, NOW))
    assert isinstance(report, VariablesReported)
    assert [(v.component, v.variable, v.attribute, v.value) for v in report.variables] == [
        ("OCPPCommCtrlr", "HeartbeatInterval", "Actual", "300")
    ]


@pytest.mark.parametrize("status", ["Expired", "Removed"])
def test_reservation_status_statement_68(status: str) -> None:
    payload = {"reservationId": 9, "reservationUpdateStatus": status}
    assert read("ReservationStatusUpdate", payload) == [
        ReservationStatusReported(7, NOW, 9, status)
    ]
    assert answer("ReservationStatusUpdate", None) == {}


# --- Commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (
            RequestStartTransaction("TAXI-001", "ISO14443", 5, evse_no=2, group_id_token="FLEET"),
            "RequestStartTransaction",
            {
                "idToken": {"idToken": "TAXI-001", "type": "ISO14443"},
                "remoteStartId": 5,
                "evseId": 2,
                "groupIdToken": {"idToken": "FLEET", "type": "Central"},
            },
        ),
        (
            RequestStartTransaction("TAXI-001", None, 5),
            "RequestStartTransaction",
            {"idToken": {"idToken": "TAXI-001", "type": "Central"}, "remoteStartId": 5},
        ),
        (
            RequestStopTransaction(TRANSACTION),
            "RequestStopTransaction",
            {"transactionId": TRANSACTION},
        ),
        (ResetStation(ResetKind.IMMEDIATE), "Reset", {"type": "Immediate"}),
        (ResetStation(ResetKind.ON_IDLE), "Reset", {"type": "OnIdle"}),
        (
            ChangeAvailability(operative=False),
            "ChangeAvailability",
            {"operationalStatus": "Inoperative"},
        ),
        (
            ChangeAvailability(operative=True, evse_no=2),
            "ChangeAvailability",
            {"operationalStatus": "Operative", "evse": {"id": 2}},
        ),
        (
            ChangeAvailability(operative=True, evse_no=2, connector_no=1),
            "ChangeAvailability",
            {"operationalStatus": "Operative", "evse": {"id": 2, "connectorId": 1}},
        ),
        (UnlockConnector(2), "UnlockConnector", {"evseId": 2, "connectorId": 1}),
        (
            ReserveNow(9, EXPIRES, "TAXI-001", "ISO14443", "FLEET", 2),
            "ReserveNow",
            {
                "id": 9,
                "expiryDateTime": "2026-12-01T00:00:00.000Z",
                "idToken": {"idToken": "TAXI-001", "type": "ISO14443"},
                "groupIdToken": {"idToken": "FLEET", "type": "Central"},
                "evseId": 2,
            },
        ),
        (
            ReserveNow(9, EXPIRES, "TAXI-001"),
            "ReserveNow",
            {
                "id": 9,
                "expiryDateTime": "2026-12-01T00:00:00.000Z",
                "idToken": {"idToken": "TAXI-001", "type": "Central"},
            },
        ),
        (CancelReservation(9), "CancelReservation", {"reservationId": 9}),
        (ClearCache(), "ClearCache", {}),
        (
            # Statement 77, F06.FR.13: names evse and connector.
            TriggerMessage("StatusNotification", 2),
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}},
        ),
        (
            TriggerMessage("MeterValues", 2),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "evse": {"id": 2}},
        ),
        (TriggerMessage("Heartbeat"), "TriggerMessage", {"requestedMessage": "Heartbeat"}),
        (GetTransactionStatus(), "GetTransactionStatus", {}),
        (GetTransactionStatus("t"), "GetTransactionStatus", {"transactionId": "t"}),
    ],
)
def test_commands_in_words_of_2_0_1(command: Command, action: str, payload: Payload) -> None:
    request = TRANSLATOR.encode(command)
    assert request is not None
    assert (request.action, request.payload) == (action, payload)
    assert SCHEMAS.check_request(action, payload) is None


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("T" * 37, None, 5),
        ReserveNow(9, EXPIRES, "TAXI", group_id_token="G" * 37),
        TriggerMessage("StatusNotification"),
    ],
)
def test_commands_that_2_0_1_cannot_carry_are_refused(command: Command) -> None:
    with pytest.raises(InvalidCommand):
        TRANSLATOR.encode(command)


def test_a_pending_station_is_asked_but_not_started_statement_34() -> None:
    allowed = TRANSLATOR.allowed_while_pending
    assert {"GetVariables", "SetVariables", "GetBaseReport", "TriggerMessage"} <= allowed
    assert not allowed & {"RequestStartTransaction", "RequestStopTransaction", "ReserveNow"}
    assert allowed <= SCHEMAS.actions


def test_tables_name_only_actions_of_2_0_1_and_cover_billing_data() -> None:
    assert set(TRANSLATOR.inbound) <= SCHEMAS.actions
    tolerant = {action for action, message in TRANSLATOR.inbound.items() if message.tolerant}
    assert tolerant == {"MeterValues", "StatusNotification", "TransactionEvent"}
    for allowed in TRANSLATOR.trigger_answers.values():
        assert allowed <= SCHEMAS.actions


def test_a_later_version_is_this_table_extended() -> None:
    def read_nothing(_payload: Payload, _context: Context) -> list[Report]:
        return []

    new = InboundMessage(read_nothing, lambda _replies, _now: {})
    later = TRANSLATOR.extended(inbound={"BatterySwap": new})
    assert later.inbound["BatterySwap"] is new
    assert later.inbound["TransactionEvent"] is TRANSLATOR.inbound["TransactionEvent"]
    assert "BatterySwap" not in TRANSLATOR.inbound
