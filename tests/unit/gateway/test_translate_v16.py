"""OCPP 1.6 in version-free words: every message, every field quirk, every answer by its schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway.translate_v16 import TRANSLATOR
from chargehub.gateway.translation import Context, Report, Untranslatable
from chargehub.ocpp import OcppVersion, schemas_for
from chargehub.stations.reports import (
    BootReply,
    BootReported,
    ConnectorStatus,
    NoticeReported,
    RegistrationStatus,
    StatusReported,
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

SCHEMAS = schemas_for(OcppVersion.V16)
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
    build = TRANSLATOR.inbound[action].answer
    assert build is not None
    payload = build(replies, NOW)
    assert SCHEMAS.check_response(action, payload) is None
    return payload


def only_transaction(action: str, payload: Payload) -> TransactionReported:
    (report,) = read(action, payload)
    assert isinstance(report, TransactionReported)
    return report


def status_of(payload: Payload) -> StatusReported:
    report = read("StatusNotification", payload)[0]
    assert isinstance(report, StatusReported)
    return report


START: Payload = {"connectorId": 1, "idTag": "TAXI-001", "meterStart": 1500, "timestamp": STAMP}
STOP: Payload = {"transactionId": 42, "meterStop": 9500, "timestamp": STAMP}
METER_VALUE: Payload = {"timestamp": STAMP, "sampledValue": [{"value": "1600", "unit": "Wh"}]}


# --- Boot, heartbeat, notices ---------------------------------------------------------------------


def test_boot_with_empty_texts_reads_as_absent() -> None:
    """Field quirk: boot fields may be empty strings."""
    (report,) = read(
        "BootNotification",
        {
            "chargePointVendor": "Teld",
            "chargePointModel": "DC120",
            "chargePointSerialNumber": "SN-1",
            "firmwareVersion": "1.2",
            "iccid": "",
            "imsi": "",
            "meterType": "",
        },
    )
    assert report == BootReported(
        station_id=7,
        received_at=NOW,
        vendor="Teld",
        model="DC120",
        serial_number="SN-1",
        firmware_version="1.2",
    )


def test_boot_takes_the_charge_box_serial_where_there_is_no_other() -> None:
    (report,) = read(
        "BootNotification",
        {"chargePointVendor": "V", "chargePointModel": "M", "chargeBoxSerialNumber": "BOX"},
    )
    assert isinstance(report, BootReported)
    assert report.serial_number == "BOX"


@pytest.mark.parametrize("status", RegistrationStatus)
def test_boot_answer_statements_35_39(status: RegistrationStatus) -> None:
    assert answer("BootNotification", BootReply(status, 60)) == {
        "currentTime": WIRE_NOW,
        "interval": 60,
        "status": status.value,
    }


def test_heartbeat_reports_nothing_and_tells_the_time() -> None:
    assert read("Heartbeat", {}) == []
    assert answer("Heartbeat") == {"currentTime": WIRE_NOW}


@pytest.mark.parametrize(
    ("action", "payload", "kind"),
    [
        ("DiagnosticsStatusNotification", {"status": "Uploaded"}, "LogStatusNotification"),
        ("LogStatusNotification", {"status": "Idle"}, "LogStatusNotification"),
        ("FirmwareStatusNotification", {"status": "Installed"}, "FirmwareStatusNotification"),
        (
            "SignedFirmwareStatusNotification",
            {"status": "Installed", "requestId": 3},
            "FirmwareStatusNotification",
        ),
        (
            "SecurityEventNotification",
            {"type": "StartupOfTheDevice", "timestamp": STAMP},
            "SecurityEventNotification",
        ),
        ("DataTransfer", {"vendorId": "Teld", "messageId": "x", "data": "y"}, "DataTransfer"),
    ],
)
def test_notices_are_kept_whole_and_acknowledged_statements_95_101(
    action: str, payload: Payload, kind: str
) -> None:
    (report,) = read(action, payload)
    assert isinstance(report, NoticeReported)
    assert (report.kind, report.payload, report.flagged) == (kind, payload, False)
    assert report.at == (AT if "timestamp" in payload else None)
    expected = {"status": "UnknownVendorId"} if action == "DataTransfer" else {}
    assert answer(action, None) == expected  # Statement 101: no data for an unknown vendor.


# --- Status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEV",
        "SuspendedEVSE",
        "Finishing",
        "Reserved",
        "Unavailable",
        "Faulted",
    ],
)
def test_status_of_a_connector(word: str) -> None:
    payload = {"connectorId": 2, "errorCode": "NoError", "status": word, "timestamp": STAMP}
    assert read("StatusNotification", payload) == [
        StatusReported(7, NOW, 2, 1, ConnectorStatus(word), at=AT)
    ]
    assert answer("StatusNotification", None) == {}


def test_d_e_f_status_without_timestamp() -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
    assert status_of(payload).at is None


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00Z", "never", ""])
def test_status_with_an_absurd_timestamp_counts_as_without(stamp: str) -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": stamp}
    assert status_of(payload).at is None


def test_connector_0_is_the_station_statement_52() -> None:
    payload = {"connectorId": 0, "errorCode": "NoError", "status": "Unavailable"}
    report = status_of(payload)
    assert (report.evse_no, report.connector_no) == (0, 0)


def test_d_faulted_with_no_error_and_vendor_details() -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Faulted"}
    assert status_of(payload).error_code is None
    payload |= {
        "errorCode": "GroundFailure",
        "info": "leak",
        "vendorId": "Teld",
        "vendorErrorCode": "E7",
    }
    report = status_of(payload)
    assert (report.error_code, report.info) == ("GroundFailure", "leak")
    assert (report.vendor_id, report.vendor_error_code) == ("Teld", "E7")


def test_unknown_status_word_is_shown_as_unknown_and_kept_statement_29() -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Parked"}
    status, kept = read("StatusNotification", payload)
    assert isinstance(status, StatusReported)
    assert status.status is ConnectorStatus.UNKNOWN
    assert isinstance(kept, NoticeReported)
    assert (kept.payload, kept.flagged) == (payload, True)


# --- Authorize ------------------------------------------------------------------------------------


def test_authorize_keeps_the_case_of_the_tag_statement_42() -> None:
    assert read("Authorize", {"idTag": "TaXi"}) == [AuthorizeRequested(7, NOW, IdToken("TaXi"))]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (AuthorizationStatus.ACCEPTED, "Accepted"),
        (AuthorizationStatus.BLOCKED, "Blocked"),
        (AuthorizationStatus.CONCURRENT_TX, "ConcurrentTx"),
        (AuthorizationStatus.EXPIRED, "Expired"),
        (AuthorizationStatus.INVALID, "Invalid"),
        (AuthorizationStatus.NO_CREDIT, "Blocked"),
        (AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE, "Blocked"),
        (AuthorizationStatus.NOT_AT_THIS_LOCATION, "Blocked"),
        (AuthorizationStatus.NOT_AT_THIS_TIME, "Blocked"),
        (AuthorizationStatus.UNKNOWN, "Invalid"),
    ],
)
def test_every_decision_has_a_word_of_1_6(status: AuthorizationStatus, word: str) -> None:
    assert answer("Authorize", Authorization(status)) == {"idTagInfo": {"status": word}}


def test_group_and_expiry_are_in_every_answer_statement_50() -> None:
    decided = Authorization(AuthorizationStatus.ACCEPTED, "FLEET", EXPIRES)
    info = {
        "status": "Accepted",
        "parentIdTag": "FLEET",
        "expiryDate": "2026-12-01T00:00:00.000Z",
    }
    reply = TransactionReply(42, decided)
    assert answer("Authorize", decided) == {"idTagInfo": info}
    assert answer("StartTransaction", reply) == {"idTagInfo": info, "transactionId": 42}
    assert answer("StopTransaction", reply) == {"idTagInfo": info}


def test_group_that_does_not_fit_1_6_is_left_out() -> None:
    decided = Authorization(AuthorizationStatus.ACCEPTED, "G" * 21)
    assert answer("Authorize", decided) == {"idTagInfo": {"status": "Accepted"}}


# --- StartTransaction -----------------------------------------------------------------------------


def test_start_asks_for_a_number() -> None:
    report = only_transaction("StartTransaction", START | {"reservationId": 9})
    assert report.kind is EventKind.STARTED
    assert (report.transaction_ref, report.assigns_ref) == (None, True)
    assert (report.evse_no, report.connector_no) == (1, 1)
    assert report.id_token == IdToken("TAXI-001")
    assert (report.register_wh, report.reservation_id, report.at) == (1500, 9, AT)
    assert (report.flags, report.raw) == (0, None)


def test_repeated_start_has_the_same_content_statement_43() -> None:
    first = only_transaction("StartTransaction", START)
    again = only_transaction("StartTransaction", dict(reversed(START.items())))
    other = only_transaction("StartTransaction", START | {"meterStart": 1501})
    assert first == again
    assert first.content_hash != other.content_hash


def test_refused_start_still_gets_its_number_statement_47() -> None:
    reply = TransactionReply(42, Authorization(AuthorizationStatus.BLOCKED))
    assert answer("StartTransaction", reply) == {
        "idTagInfo": {"status": "Blocked"},
        "transactionId": 42,
    }


def test_f_start_without_id_tag_is_read_and_refused() -> None:
    payload = {key: value for key, value in START.items() if key != "idTag"}
    report = only_transaction("StartTransaction", payload)
    assert report.id_token is None
    assert (report.flags, report.raw) == (Flag.INVALID_PAYLOAD, payload)
    assert answer("StartTransaction", TransactionReply(42)) == {
        "idTagInfo": {"status": "Invalid"},
        "transactionId": 42,
    }


@pytest.mark.parametrize(
    ("change", "register_wh", "flags"),
    [
        ({"meterStart": -5}, None, Flag.NEGATIVE),
        ({"meterStart": 10**12}, None, Flag.IMPLAUSIBLE),
        ({"meterStart": "1500"}, 1500, Flag.INVALID_PAYLOAD),
        # Draft 4 knows no 1500.0 as an integer.
        ({"meterStart": 1500.0}, 1500, Flag.INVALID_PAYLOAD),
        ({"meterStart": 1500.4}, 1500, Flag.INVALID_PAYLOAD),
        ({"meterStart": None}, None, Flag.INVALID_PAYLOAD | Flag.UNREADABLE),
        ({"timestamp": "2026-11-23T07:59:30"}, 1500, Flag.CLOCK_SKEW),
        ({"timestamp": "1970-01-01T00:00:07Z"}, 1500, Flag.CLOCK_SKEW),
        ({"vendorField": 1}, 1500, Flag.INVALID_PAYLOAD),
        ({"idTag": "T" * 21}, 1500, Flag.INVALID_PAYLOAD),
        ({"connectorId": 70000}, 1500, Flag.INVALID_PAYLOAD),
        ({"connectorId": -1}, 1500, Flag.INVALID_PAYLOAD),
        ({"reservationId": -1}, 1500, Flag.INVALID_PAYLOAD),
    ],
)
def test_start_out_of_order_is_flagged_and_kept_raw_statement_29(
    change: Payload, register_wh: int | None, flags: int
) -> None:
    payload = START | change
    report = only_transaction("StartTransaction", payload)
    assert (report.register_wh, report.flags) == (register_wh, flags)
    assert report.raw == (payload if flags else None)
    assert report.evse_no == (None if "connectorId" in change else 1)


@pytest.mark.parametrize("payload", [{}, {"meterStart": 1}, {"connectorId": "first"}])
def test_a_start_of_almost_nothing_asks_for_a_number_statement_47(payload: Payload) -> None:
    report = only_transaction("StartTransaction", payload)
    assert (report.evse_no, report.id_token, report.assigns_ref) == (None, None, True)
    assert report.flags & Flag.INVALID_PAYLOAD
    assert report.raw == payload


def test_a_station_behind_in_time_is_replayed_by_its_own_clock_statement_49() -> None:
    old = (NOW - timedelta(days=3)).isoformat()
    report = only_transaction("StartTransaction", START | {"timestamp": old})
    assert (report.at, report.flags) == (NOW - timedelta(days=3), 0)


# --- StopTransaction ------------------------------------------------------------------------------


def test_stop_without_tag_and_reason_statement_51() -> None:
    report = only_transaction("StopTransaction", STOP)
    assert report.kind is EventKind.ENDED
    assert (report.transaction_ref, report.assigns_ref, report.ref_is_ours) == ("42", False, True)
    assert (report.id_token, report.stopped_reason) == (None, "Local")
    assert (report.register_wh, report.at, report.flags) == (9500, AT, 0)
    assert answer("StopTransaction", TransactionReply(42)) == {}


def test_stop_with_tag_reason_and_transaction_data() -> None:
    begin = {"value": "1500", "unit": "Wh", "context": "Transaction.Begin"}
    end = {"value": "9.5", "unit": "kWh", "context": "Transaction.End"}
    data = [
        {"timestamp": STAMP, "sampledValue": [begin]},
        {"timestamp": STAMP, "sampledValue": [end]},
    ]
    payload = STOP | {"idTag": "TAXI-001", "reason": "EVDisconnected", "transactionData": data}
    report = only_transaction("StopTransaction", payload)
    assert report.id_token == IdToken("TAXI-001")
    assert report.stopped_reason == "EVDisconnected"
    assert [(r.context, r.register_wh) for r in report.readings] == [
        ("Transaction.Begin", 1500),
        ("Transaction.End", 9500),
    ]


def test_e_stop_with_signed_transaction_data_is_kept() -> None:
    signed = {"value": '"T0NNRnx7fQ=="', "format": "SignedData", "context": "Transaction.End"}
    data = [{"timestamp": STAMP, "sampledValue": [signed]}]
    report = only_transaction("StopTransaction", STOP | {"transactionData": data})
    (reading,) = report.readings
    assert (reading.flags, reading.raw) == (Flag.SIGNED, data[0])


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("HardReset", "ImmediateReset"),
        ("SoftReset", "SoftReset"),
        ("UnlockCommand", "UnlockCommand"),
        ("DeAuthorized", "DeAuthorized"),
    ],
)
def test_stop_reasons_in_2x_words(reason: str, word: str) -> None:
    assert only_transaction("StopTransaction", STOP | {"reason": reason}).stopped_reason == word


@pytest.mark.parametrize(
    ("number", "ref"),
    [
        pytest.param(-1, None, id="statement 45: never learned"),
        pytest.param(0, "0", id="never given by us"),
        pytest.param(2**31, "2147483648", id="beyond 31 bit"),
        pytest.param("42", "42", id="as text"),
        pytest.param("abc", None, id="garbage"),
        pytest.param(1e300, None, id="beyond 64 bit"),
        pytest.param(None, None, id="null"),
    ],
)
def test_transaction_numbers_statements_45_46(number: object, ref: str | None) -> None:
    assert (
        only_transaction("StopTransaction", STOP | {"transactionId": number}).transaction_ref == ref
    )
    payload = {"connectorId": 1, "transactionId": number, "meterValue": [METER_VALUE]}
    samples = read("MeterValues", payload)[0]
    assert isinstance(samples, SamplesReported)
    assert samples.transaction_ref == ref


def test_stop_of_nothing_is_untranslatable_and_still_answered() -> None:
    with pytest.raises(Untranslatable):
        read("StopTransaction", {"timestamp": STAMP})
    assert answer("StopTransaction") == {}


# --- MeterValues ----------------------------------------------------------------------------------


def test_meter_values_of_a_transaction() -> None:
    payload = {"connectorId": 2, "transactionId": 42, "meterValue": [METER_VALUE, METER_VALUE]}
    (report,) = read("MeterValues", payload)
    assert isinstance(report, SamplesReported)
    assert (report.evse_no, report.transaction_ref) == (2, "42")
    assert [r.register_wh for r in report.readings] == [1600, 1600]
    assert answer("MeterValues", None) == {}


def test_c_clock_aligned_values_of_the_station() -> None:
    """C sends them with connector 0 and no transaction."""
    sample = {"value": "1600", "context": "Sample.Clock"}
    payload = {"connectorId": 0, "meterValue": [{"timestamp": STAMP, "sampledValue": [sample]}]}
    (report,) = read("MeterValues", payload)
    assert isinstance(report, SamplesReported)
    assert (report.evse_no, report.transaction_ref) == (0, None)
    (reading,) = report.readings
    assert (reading.context, reading.flags) == ("Sample.Clock", Flag.UNIT_MISSING)


def test_invalid_meter_values_are_read_flagged_and_kept_statement_29() -> None:
    sample = {"value": 1600, "unit": "Wh", "vendor": "x"}
    payload = {"connectorId": "1", "meterValue": [{"timestamp": STAMP, "sampledValue": [sample]}]}
    samples, kept = read("MeterValues", payload)
    assert isinstance(samples, SamplesReported)
    assert samples.evse_no == 1
    (reading,) = samples.readings
    assert (reading.register_wh, reading.flags) == (1600, Flag.INVALID_PAYLOAD)
    assert reading.raw == payload["meterValue"][0]
    assert kept == NoticeReported(7, NOW, "MeterValues", payload, flagged=True)


@pytest.mark.parametrize("payload", [{}, {"connectorId": 1}, {"meterValue": [METER_VALUE]}])
def test_meter_values_of_nothing_are_untranslatable(payload: Payload) -> None:
    with pytest.raises(Untranslatable):
        read("MeterValues", payload)
    assert answer("MeterValues") == {}
