"""OCPP 2.x in version-free words: boot, status, events, reports, reservations."""

from __future__ import annotations

import pytest

from chargehub.devices.reports import VariableReported, VariablesReported
from chargehub.gateway.translation import Context
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.stations.commands import VariableName
from chargehub.stations.reports import (
    BootReply,
    BootReported,
    ConnectorStatus,
    NoticeReported,
    RegistrationStatus,
    StatusReported,
)
from tests.unit.gateway.words import AT, NOW, STAMP, WIRE_NOW, Payload, Words

# --- Boot, heartbeat, notices ---------------------------------------------------------------------


def test_boot_with_empty_texts_reads_as_absent(words: Words) -> None:
    """Field quirk: boot fields may be empty strings."""
    (report,) = words.read(
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
def test_boot_answer_statements_35_39(words: Words, status: RegistrationStatus) -> None:
    assert words.answer("BootNotification", BootReply(status, 60)) == {
        "currentTime": WIRE_NOW,
        "interval": 60,
        "status": status.value,
    }


def test_heartbeat_reports_nothing_and_tells_the_time(words: Words) -> None:
    assert words.read("Heartbeat", {}) == []
    assert words.answer("Heartbeat") == {"currentTime": WIRE_NOW}


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("LogStatusNotification", {"status": "Uploaded", "requestId": 3}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("SecurityEventNotification", {"type": "OwnInvention", "timestamp": STAMP}),
        ("DataTransfer", {"vendorId": "Teld", "data": {"any": ["json", None]}}),
        ("NotifyMonitoringReport", {"requestId": 3, "seqNo": 0, "generatedAt": STAMP}),
        (
            "NotifyCustomerInformation",
            {"data": "none", "seqNo": 0, "generatedAt": STAMP, "requestId": 3},
        ),
        ("NotifyDisplayMessages", {"requestId": 3, "tbc": False}),
        ("PublishFirmwareStatusNotification", {"status": "Idle"}),
    ],
)
def test_notices_are_kept_whole_and_acknowledged_statements_95_101(
    words: Words, action: str, payload: Payload
) -> None:
    (report,) = words.read(action, payload)
    assert isinstance(report, NoticeReported)
    assert (report.kind, report.payload, report.flagged) == (action, payload, False)
    assert report.at == (AT if "timestamp" in payload else None)
    expected = {"status": "UnknownVendorId"} if action == "DataTransfer" else {}
    assert words.answer(action, None) == expected


# --- Status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evse_no", "connector_no"),
    [(1, 1), (2, 1), (1, 2), pytest.param(0, 0, id="D, F: the whole station")],
)
@pytest.mark.parametrize("word", ["Available", "Occupied", "Reserved", "Unavailable", "Faulted"])
def test_status_of_a_connector(words: Words, evse_no: int, connector_no: int, word: str) -> None:
    payload = {
        "timestamp": STAMP,
        "connectorStatus": word,
        "evseId": evse_no,
        "connectorId": connector_no,
    }
    assert words.read("StatusNotification", payload) == [
        StatusReported(7, NOW, evse_no, connector_no, ConnectorStatus(word), at=AT)
    ]
    assert words.answer("StatusNotification", None) == {}


def test_unknown_status_word_is_shown_as_unknown_and_kept_statement_29(words: Words) -> None:
    payload = {"timestamp": STAMP, "connectorStatus": "Parked", "evseId": 1, "connectorId": 1}
    status, kept = words.read("StatusNotification", payload)
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
    words: Words, component: Payload, evse_no: int, connector_no: int
) -> None:
    payload = notify_event(event_data(component, "AvailabilityState", "Reserved"))
    assert words.read("NotifyEvent", payload) == [
        StatusReported(7, NOW, evse_no, connector_no, ConnectorStatus.RESERVED, at=AT)
    ]
    assert words.answer("NotifyEvent", None) == {}  # Statement 99.


def test_other_events_are_kept_beside_the_status(words: Words) -> None:
    payload = notify_event(
        event_data({"name": "EVSE", "evse": {"id": 1}}, "AvailabilityState", "Faulted"),
        event_data({"name": "FiscalMetering"}, "Problem", "true"),
    )
    status, kept = words.read("NotifyEvent", payload)
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
def test_availability_that_is_none_of_a_gun_stays_a_notice(
    words: Words, component: Payload, value: str
) -> None:
    (kept,) = words.read(
        "NotifyEvent", notify_event(event_data(component, "AvailabilityState", value))
    )
    assert isinstance(kept, NoticeReported)


# --- Reports and reservations ---------------------------------------------------------------------


def test_a_report_without_tbc_and_attribute_type(words: Words) -> None:
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
    (report,) = words.read("NotifyReport", payload)
    assert isinstance(report, VariablesReported)
    assert report.request_id == 11
    power = VariableReported(
        VariableName("EVSE", "Power", evse_no=1),
        value="60000",
        mutability="ReadOnly",
        data_type="decimal",
        unit="W",
    )
    assert report.variables[0] == power
    # Statement 98: an attribute without value is kept.
    assert (report.variables[1].name.attribute, report.variables[1].value) == ("MaxSet", None)
    assert report.variables[1].mutability == "ReadWrite"
    assert words.answer("NotifyReport", None) == {}


def test_empty_report_page(words: Words) -> None:
    (report,) = words.read("NotifyReport", {"requestId": 1, "generatedAt": STAMP, "seqNo": 0})
    assert report == VariablesReported(7, NOW, 1, (), seq_no=0)


def test_variables_read_from_our_own_question(words: Words) -> None:
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
    assert words.schemas.check_response("GetVariables", payload) is None
    (report,) = words.translator.results["GetVariables"](payload, Context(7, NOW))
    assert isinstance(report, VariablesReported)
    assert [(v.name.path, v.value) for v in report.variables] == [
        ("OCPPCommCtrlr.HeartbeatInterval#Actual", "300")
    ]
    assert [name.path for name in report.unsupported] == ["OCPPCommCtrlr.Nonsense#Actual"]


@pytest.mark.parametrize("status", ["Expired", "Removed"])
def test_reservation_status_statement_68(words: Words, status: str) -> None:
    payload = {"reservationId": 9, "reservationUpdateStatus": status}
    assert words.read("ReservationStatusUpdate", payload) == [
        ReservationStatusReported(7, NOW, 9, status)
    ]
    assert words.answer("ReservationStatusUpdate", None) == {}
