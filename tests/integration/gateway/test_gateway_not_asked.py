"""What cannot be asked of a station is refused before it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import (
    Command,
    GetTransactionStatus,
    InvalidCommand,
    RawCommand,
    RequestStartTransaction,
    RequestStopTransaction,
    TriggerMessage,
    UnsupportedByStation,
)
from tests.hub_fixtures import V16, V201, RunningHub, with_2_1


def nested(depth: int) -> list[Any]:
    value: list[Any] = ["core"]
    for _ in range(depth):
        value = [value]
    return value


UNSUPPORTED: list[tuple[str, Command]] = [
    (V16, GetTransactionStatus("1")),
    (V16, TriggerMessage("TransactionEvent")),
    (V16, RawCommand("SetVariables", {"setVariableData": []})),
    (V16, RawCommand("MakeCoffee", {})),
    (V16, RawCommand("Heartbeat", {})),
    (V16, RawCommand("SignCertificate", {"csr": "x"})),
    (V201, RawCommand("NotifyEVChargingNeeds", {})),
    (V201, RawCommand("RemoteStartTransaction", {"idTag": "CARD"})),
    (V201, RawCommand("BootNotification", {})),
    (V201, RawCommand("", {})),
]

INVALID: list[tuple[str, Command]] = [
    (V201, RawCommand("DataTransfer", {"vendorId": "made-up", "data": nested(100)})),
    (V201, RawCommand("DataTransfer", {"vendorId": "made-up", "data": nested(20_000)})),
    (V16, RawCommand("Reset", {"type": nested(100)})),
    (V16, RequestStartTransaction("x" * 21, None, 1)),
    (V16, RequestStopTransaction("tx-1")),
    (V16, RequestStopTransaction("4294967296")),
    (V16, RawCommand("Reset", {"type": "Gentle"})),
    (V16, RawCommand("Reset", {})),
    (V16, RawCommand("UnlockConnector", {"connectorId": "1"})),
    (V16, RawCommand("ClearCache", {"deep": [[[[{}]]]], "more": 1})),
    (V201, TriggerMessage("StatusNotification")),
    (V201, TriggerMessage("MakeCoffee")),
    (V201, RequestStopTransaction("x" * 37)),
    (V201, RawCommand("GetVariables", {"getVariableData": []})),
    (
        V16,
        RawCommand(
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "yesterday", "idTag": "A", "reservationId": 1},
        ),
    ),
    (V16, RawCommand("UnlockConnector", {"connectorId": 2**31})),
    # Statement 85, K10.FR.02, and statement 77, F06.FR.13: no schema forbids it.
    (V201, RawCommand("ClearChargingProfile", {})),
    (V201, RawCommand("TriggerMessage", {"requestedMessage": "StatusNotification"})),
    (V16, RawCommand("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "abc"})),
    (V16, RawCommand("ChangeConfiguration", {"key": "heartbeatinterval", "value": "9"})),
    (
        V201,
        RawCommand(
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "attributeValue": "abc",
                        "component": {"name": "OCPPCommCtrlr"},
                        "variable": {"name": "HeartbeatInterval"},
                    }
                ]
            },
        ),
    ),
]


@pytest.mark.parametrize(
    ("version", "command", "error"),
    [(version, command, UnsupportedByStation) for version, command in with_2_1(UNSUPPORTED)]
    + [(version, command, InvalidCommand) for version, command in with_2_1(INVALID)]
    + [(V201, RequestStartTransaction("x" * 37, None, 1), InvalidCommand)],
)
async def test_what_cannot_be_asked_never_leaves(
    hub: RunningHub, version: str, command: Command, error: type[ChargeHubError]
) -> None:
    async with hub.station(version) as station:
        with pytest.raises(error):
            await hub.send(station.identity, command)
        await station.call("Heartbeat", {})
        assert not station.inbox


async def test_an_empty_list_is_said_to_be_empty_not_missing(hub: RunningHub) -> None:
    async with hub.station(V201) as station:
        with pytest.raises(InvalidCommand, match="getVariableData: must have 1 or more items"):
            await hub.send(station.identity, RawCommand("GetVariables", {"getVariableData": []}))
