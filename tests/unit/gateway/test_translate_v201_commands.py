"""What we ask of an OCPP 2.0.1 station, and the tables a later version extends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.gateway.translate_v201 import TRANSLATOR
from chargehub.gateway.translation import Context, InboundMessage, Report
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

SCHEMAS = schemas_for(OcppVersion.V201)
NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)

Payload = dict[str, Any]


TRANSACTION = "0123456789abcdef0123456789abcdef01"
"""A's are 34 hex digits."""


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
    billing = {"MeterValues", "StatusNotification", "TransactionEvent"}
    assert tolerant == billing | {"BootNotification"}
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
