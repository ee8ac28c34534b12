"""Every command of ours, judged and answered by the `ocpp` package's own machinery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from chargehub.kit.clock import wall_now
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    GetTransactionStatus,
    ReportInventory,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    ResetKind,
    ResetStation,
    TriggerMessage,
    UnlockConnector,
)
from tests.hub_fixtures import TOKEN, V2X, V16, V201, VERSIONS, RunningHub, with_2_1
from tests.interop.package_stations import ANSWERS, POWER, connected

IN_AN_HOUR = wall_now() + timedelta(hours=1)
COMMANDS: list[tuple[Command, dict[str, str]]] = [
    (
        RequestStartTransaction(TOKEN, "ISO14443", 7, 1, "FLEET"),
        {V16: "RemoteStartTransaction", **dict.fromkeys(V2X, "RequestStartTransaction")},
    ),
    (
        RequestStopTransaction("7"),
        {V16: "RemoteStopTransaction", **dict.fromkeys(V2X, "RequestStopTransaction")},
    ),
    (ResetStation(ResetKind.ON_IDLE), dict.fromkeys(VERSIONS, "Reset")),
    (ChangeAvailability(operative=True, evse_no=1), dict.fromkeys(VERSIONS, "ChangeAvailability")),
    (UnlockConnector(2), dict.fromkeys(VERSIONS, "UnlockConnector")),
    (
        ReserveNow(3, IN_AN_HOUR, TOKEN, "ISO14443", "FLEET", 1),
        dict.fromkeys(VERSIONS, "ReserveNow"),
    ),
    (CancelReservation(3), dict.fromkeys(VERSIONS, "CancelReservation")),
    (ClearCache(), dict.fromkeys(VERSIONS, "ClearCache")),
    (TriggerMessage("StatusNotification", 1), dict.fromkeys(VERSIONS, "TriggerMessage")),
    (ReportInventory(5), {V16: "GetConfiguration", **dict.fromkeys(V2X, "GetBaseReport")}),
    (GetTransactionStatus("tx"), dict.fromkeys(V2X, "GetTransactionStatus")),
]


@pytest.mark.parametrize(
    ("version", "command", "action"),
    [
        pytest.param(version, command, action, id=f"{version}-{action}")
        for command, actions in COMMANDS
        for version, action in actions.items()
    ],
)
async def test_the_package_understands_what_we_ask(
    hub: RunningHub, version: str, command: Command, action: str
) -> None:
    station = await connected(hub, await hub.new_station(), version)
    answer = await hub.send(station.identity, command)
    assert (await station.order())[0] == action
    # The package has refused nothing, so it said what its table says.
    assert answer.status == ANSWERS[version][action].get("status")
    assert answer.payload
    await station.leave()


RAW: list[tuple[str, str, dict[str, Any]]] = [
    (V16, "ChangeConfiguration", {"key": "Interval", "value": "60"}),
    (V16, "GetConfiguration", {"key": ["Interval"]}),
    (V201, "GetVariables", {"getVariableData": [POWER]}),
    (V201, "SetVariables", {"setVariableData": [{"attributeValue": "60000", **POWER}]}),
]


@pytest.mark.parametrize(("version", "action", "payload"), with_2_1(RAW))
async def test_an_operator_configures_a_station_over_rest(
    hub: RunningHub,
    operator: httpx.AsyncClient,
    version: str,
    action: str,
    payload: dict[str, Any],
) -> None:
    station = await connected(hub, await hub.new_station(), version)
    response = await operator.post(
        f"/charging-stations/{station.identity}/commands/{action}", json=payload
    )
    assert response.status_code == 200, response.text
    assert (await station.order())[0] == action
    assert response.json()["payload"]
    await station.leave()
