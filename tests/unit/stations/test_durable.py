"""Which commands may wait for a station, and what a row gives back of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    GetVariables,
    RawCommand,
    ReportInventory,
    RequestStartTransaction,
    ReserveNow,
    ResetKind,
    ResetStation,
    SetVariables,
    UnlockConnector,
    VariableName,
    VariableWrite,
)
from chargehub.stations.dispatch import action_of, payload_of
from chargehub.stations.durable import reading_back, restore, targets_of, why_not_durable

BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
PRICE = VariableName("Connector", "Power", evse_no=1, connector_no=2, attribute="MaxSet")
MAY_WAIT: list[Command] = [
    CancelReservation(5),
    ChangeAvailability(operative=False, evse_no=2),
    ClearCache(),
    GetVariables((BEAT, PRICE)),
    SetVariables((VariableWrite(BEAT, "60"), VariableWrite(PRICE, "5"))),
    RawCommand("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
    RawCommand("SetVariables", {"setVariableData": [{"attributeValue": "1"}]}),
]


@pytest.mark.parametrize("command", MAY_WAIT)
def test_what_waits_comes_back_as_it_was(command: Command) -> None:
    payload = payload_of(command)
    assert why_not_durable(command, payload) is None
    raw = isinstance(command, RawCommand)
    assert restore(action_of(command), payload, raw=raw) == command


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("CARD", None, 1),
        ReportInventory(7),
        UnlockConnector(1),
        ResetStation(ResetKind.ON_IDLE),
        ReserveNow(1, datetime(2027, 1, 1, tzinfo=UTC), "CARD"),
        RawCommand("Reset", {"type": "Soft"}),
        RawCommand("RemoteStartTransaction", {"idTag": "CARD"}),
        RawCommand("UnlockConnector", {"connectorId": 1}),
        RawCommand("ChangeConfiguration", {"key": "AuthorizationKey", "value": "marker"}),
        SetVariables((VariableWrite(VariableName("SecurityCtrlr", "BasicAuthPassword"), "m"),)),
    ],
)
def test_what_serves_a_moment_or_carries_a_secret_does_not_wait(command: Command) -> None:
    assert why_not_durable(command, payload_of(command)) is not None


def test_no_other_type_of_command_waits_by_default() -> None:
    """A new type is decided about here, not by chance."""
    waiting = {type(command) for command in MAY_WAIT}
    others = [kind for kind in get_args(Command) if kind not in waiting]
    assert all(restore(kind.__name__, {}, raw=False) is None for kind in others)


def test_an_unreadable_row_is_no_command() -> None:
    assert restore("ChangeAvailability", {"operative": "perhaps"}, raw=False) is None


def raw(action: str, **payload: Any) -> RawCommand:
    return RawCommand(action, payload)


@pytest.mark.parametrize(
    ("earlier", "later", "replaces"),
    [
        (ChangeAvailability(operative=True), ChangeAvailability(operative=False), True),
        (ChangeAvailability(operative=True, evse_no=1), ChangeAvailability(operative=False), False),
        (
            SetVariables((VariableWrite(BEAT, "60"),)),
            SetVariables((VariableWrite(PRICE, "1"), VariableWrite(BEAT, "90"))),
            True,
        ),
        (
            SetVariables((VariableWrite(PRICE, "1"), VariableWrite(BEAT, "90"))),
            SetVariables((VariableWrite(BEAT, "60"),)),
            False,
        ),
        (
            SetVariables((VariableWrite(BEAT, "60"),)),
            SetVariables((VariableWrite(VariableName("ocppcommctrlr", "heartbeatinterval"), "9"),)),
            True,
        ),
        (
            raw("ChangeConfiguration", key="HeartbeatInterval", value="60"),
            raw("ChangeConfiguration", key="heartbeatinterval", value="90"),
            True,
        ),
        (
            raw("SetVariables", setVariableData=[{"variable": {"name": "A"}, "attributeValue": 1}]),
            raw("SetVariables", setVariableData=[{"variable": {"name": "a"}, "attributeValue": 2}]),
            True,
        ),
        (raw("GetConfiguration"), raw("GetConfiguration"), False),
        (CancelReservation(1), CancelReservation(2), False),
    ],
)
def test_a_later_command_replaces_what_it_sets_as_a_whole(
    earlier: Command, later: Command, replaces: bool
) -> None:
    before, after = targets_of(earlier), targets_of(later)
    assert bool(before and after and set(before) <= set(after)) is replaces


def test_what_was_written_can_be_read_back() -> None:
    assert reading_back(SetVariables((VariableWrite(BEAT, "60"),))) == GetVariables((BEAT,))
    item = {"component": {"name": "A"}, "variable": {"name": "B"}}
    assert reading_back(
        raw("SetVariables", setVariableData=[{**item, "attributeValue": "1"}])
    ) == raw("GetVariables", getVariableData=[item])
    assert reading_back(raw("ChangeConfiguration", key="A", value="1")) == raw(
        "GetConfiguration", key=["A"]
    )
    assert reading_back(ClearCache()) is None
    assert reading_back(raw("DataTransfer", vendorId="x")) is None
