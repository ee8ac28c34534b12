"""What we ask of an OCPP 1.6 station, and what its answers report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.devices.reports import VariablesReported
from chargehub.gateway.translate_v16 import TRANSLATOR
from chargehub.gateway.translation import Context
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
    UnsupportedByStation,
)

SCHEMAS = schemas_for(OcppVersion.V16)
NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)

Payload = dict[str, Any]


# --- Answers to our requests ----------------------------------------------------------------------


def test_configuration_becomes_variables() -> None:
    payload = {
        "configurationKey": [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
            {"key": "AuthorizationKey", "readonly": False},
        ],
        "unknownKey": ["Nonsense"],
    }
    assert SCHEMAS.check_response("GetConfiguration", payload) is None
    (report,) = TRANSLATOR.results["GetConfiguration"](payload, Context(7, NOW))
    assert isinstance(report, VariablesReported)
    assert [(v.own_key, v.value, v.mutability) for v in report.variables] == [
        ("HeartbeatInterval", "300", "ReadWrite"),
        ("NumberOfConnectors", "2", "ReadOnly"),
        ("AuthorizationKey", None, "ReadWrite"),
    ]
    assert [v.name.path for v in report.variables] == [
        "OCPPCommCtrlr.HeartbeatInterval#Actual",
        "NumberOfConnectors#Actual",
        "SecurityCtrlr.BasicAuthPassword#Actual",
    ]
    assert [name.path for name in report.unsupported] == ["Nonsense#Actual"]


def test_odd_configuration_answers_lose_only_what_is_odd() -> None:
    payload = {"configurationKey": [{"key": "A", "value": 5}, {"readonly": True}, "x"]}
    (report,) = TRANSLATOR.results["GetConfiguration"](payload, Context(7, NOW, valid=False))
    assert isinstance(report, VariablesReported)
    assert [(v.name.variable, v.value) for v in report.variables] == [("A", "5")]


# --- Commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (
            RequestStartTransaction("TAXI-001", "ISO14443", 5, evse_no=2),
            "RemoteStartTransaction",
            {"idTag": "TAXI-001", "connectorId": 2},
        ),
        (
            RequestStartTransaction("TAXI-001", None, 5, group_id_token="FLEET"),
            "RemoteStartTransaction",
            {"idTag": "TAXI-001"},
        ),
        (RequestStopTransaction("42"), "RemoteStopTransaction", {"transactionId": 42}),
        (ResetStation(ResetKind.IMMEDIATE), "Reset", {"type": "Hard"}),
        (ResetStation(ResetKind.ON_IDLE), "Reset", {"type": "Soft"}),
        (
            ChangeAvailability(operative=False),
            "ChangeAvailability",
            {"connectorId": 0, "type": "Inoperative"},
        ),
        (
            ChangeAvailability(operative=True, evse_no=2, connector_no=1),
            "ChangeAvailability",
            {"connectorId": 2, "type": "Operative"},
        ),
        (UnlockConnector(2), "UnlockConnector", {"connectorId": 2}),
        (
            ReserveNow(9, EXPIRES, "TAXI-001", group_id_token="FLEET", evse_no=2),
            "ReserveNow",
            {
                "connectorId": 2,
                "expiryDate": "2026-12-01T00:00:00.000Z",
                "idTag": "TAXI-001",
                "parentIdTag": "FLEET",
                "reservationId": 9,
            },
        ),
        (
            ReserveNow(9, EXPIRES.astimezone(), "TAXI-001"),
            "ReserveNow",
            {
                "connectorId": 0,
                "expiryDate": "2026-12-01T00:00:00.000Z",
                "idTag": "TAXI-001",
                "reservationId": 9,
            },
        ),
        (CancelReservation(9), "CancelReservation", {"reservationId": 9}),
        (ClearCache(), "ClearCache", {}),
        (
            TriggerMessage("StatusNotification", 2),
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "connectorId": 2},
        ),
        (
            TriggerMessage("LogStatusNotification"),
            "TriggerMessage",
            {"requestedMessage": "DiagnosticsStatusNotification"},
        ),
        (
            TriggerMessage("MeterValues", 0),
            "TriggerMessage",
            {"requestedMessage": "MeterValues"},
        ),
    ],
)
def test_commands_in_words_of_1_6(command: Command, action: str, payload: Payload) -> None:
    request = TRANSLATOR.encode(command)
    assert request is not None
    assert (request.action, request.payload) == (action, payload)
    assert SCHEMAS.check_request(action, payload) is None


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("T" * 21, None, 5),
        ReserveNow(9, EXPIRES, "T" * 21),
        ReserveNow(9, EXPIRES, "TAXI", group_id_token="G" * 21),
        RequestStopTransaction("3f2a"),
        RequestStopTransaction("-1"),
        RequestStopTransaction(str(2**31)),
        RequestStopTransaction("²"),
    ],
)
def test_commands_that_1_6_cannot_carry_are_refused(command: Command) -> None:
    with pytest.raises(InvalidCommand):
        TRANSLATOR.encode(command)


def test_capabilities_that_1_6_lacks() -> None:
    assert TRANSLATOR.encode(GetTransactionStatus()) is None
    with pytest.raises(UnsupportedByStation):
        TRANSLATOR.encode(TriggerMessage("TransactionEvent"))


def test_a_pending_station_is_asked_but_not_started_statement_34() -> None:
    allowed = TRANSLATOR.allowed_while_pending
    assert {"GetConfiguration", "ChangeConfiguration", "TriggerMessage"} <= allowed
    assert not allowed & {"RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow"}
    assert allowed <= SCHEMAS.actions


def test_tables_name_only_actions_of_1_6_and_cover_billing_data() -> None:
    assert set(TRANSLATOR.inbound) <= SCHEMAS.actions
    tolerant = {action for action, message in TRANSLATOR.inbound.items() if message.tolerant}
    assert tolerant == {
        "BootNotification",
        "MeterValues",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
    triggered = TRANSLATOR.trigger_answers["TriggerMessage"]
    assert triggered <= set(TRANSLATOR.inbound)
    assert "StartTransaction" not in triggered  # Statement 32.
