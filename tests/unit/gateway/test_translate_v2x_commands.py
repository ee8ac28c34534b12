"""What we ask of an OCPP 2.x station, and the tables a later version extends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chargehub.gateway import translate_v201
from chargehub.gateway.translation import Context, InboundMessage, Report
from chargehub.ocpp import DIALECTS
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
from tests.unit.gateway.words import Payload, Words

EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


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
            TriggerMessage("MeterValues", 2),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "evse": {"id": 2}},
        ),
        (TriggerMessage("Heartbeat"), "TriggerMessage", {"requestedMessage": "Heartbeat"}),
        (GetTransactionStatus(), "GetTransactionStatus", {}),
        (GetTransactionStatus("t"), "GetTransactionStatus", {"transactionId": "t"}),
    ],
)
def test_commands_in_words_of_2_x(
    words: Words, command: Command, action: str, payload: Payload
) -> None:
    request = words.translator.encode(command)
    assert request is not None
    assert (request.action, request.payload) == (action, payload)
    assert words.schemas.check_request(action, payload) is None


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("T" * 256, None, 5),
        ReserveNow(9, EXPIRES, "TAXI", group_id_token="G" * 256),
        TriggerMessage("StatusNotification"),
    ],
)
def test_commands_that_2_x_cannot_carry_are_refused(words: Words, command: Command) -> None:
    with pytest.raises(InvalidCommand):
        words.translator.encode(command)


def test_statement_77_f06_fr_13_a_status_is_asked_for_by_evse_and_connector(words: Words) -> None:
    request = words.translator.encode(TriggerMessage("StatusNotification", 2))
    assert request is not None
    assert request.payload == {
        "requestedMessage": "StatusNotification",
        "evse": {"id": 2, "connectorId": 1},
    }
    with pytest.raises(InvalidCommand):
        words.translator.encode(TriggerMessage("StatusNotification"))


def test_a_pending_station_is_asked_but_not_started_statement_34(words: Words) -> None:
    allowed = words.translator.allowed_while_pending
    assert {"GetVariables", "SetVariables", "GetBaseReport", "TriggerMessage"} <= allowed
    assert not allowed & {"RequestStartTransaction", "RequestStopTransaction", "ReserveNow"}
    assert allowed <= words.schemas.actions


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("T" * 37, None, 5),
        ReserveNow(9, EXPIRES, "TAXI", group_id_token="G" * 37),
    ],
)
def test_2_0_1_takes_shorter_tokens_than_2_1(command: Command) -> None:
    with pytest.raises(InvalidCommand):
        translate_v201.TRANSLATOR.encode(command)


def test_tables_name_only_actions_of_the_version_and_cover_billing_data(words: Words) -> None:
    known = words.schemas.actions | DIALECTS[words.version].sends
    assert set(words.translator.inbound) <= known
    tolerant = {action for action, message in words.translator.inbound.items() if message.tolerant}
    billing = {"MeterValues", "StatusNotification", "TransactionEvent"}
    assert tolerant == billing | {"BootNotification"}
    for allowed in words.translator.trigger_answers.values():
        assert allowed <= words.schemas.actions


def test_a_later_version_is_this_table_extended(words: Words) -> None:
    def read_nothing(_payload: Payload, _context: Context) -> list[Report]:
        return []

    new = InboundMessage(read_nothing, lambda _replies, _now: {})
    later = words.translator.extended(inbound={"BatterySwap": new})
    assert later.inbound["BatterySwap"] is new
    assert later.inbound["TransactionEvent"] is words.translator.inbound["TransactionEvent"]
    assert "BatterySwap" not in words.translator.inbound
