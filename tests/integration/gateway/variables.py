"""Variables of a station in the test's hand: how it tells them, and what is kept of them."""

from __future__ import annotations

import asyncio
from typing import Any

from chargehub.devices.service import Devices
from chargehub.stations.commands import VariableName, VariableWrite
from tests.hub_fixtures import V16, Payload, RunningHub, Station, at

A, B, C = (VariableName("Own", name) for name in "ABC")


def devices(hub: RunningHub) -> Devices:
    return hub.hub.features.devices


def item(name: VariableName, **more: Any) -> Payload:
    variable: Payload = {"name": name.variable}
    if name.variable_instance:
        variable["instance"] = name.variable_instance
    return {"component": {"name": name.component}, "variable": variable, **more}


def page(request_id: int, seq_no: int, *names: VariableName, tbc: bool | None = None) -> Payload:
    payload: Payload = {"requestId": request_id, "generatedAt": at(), "seqNo": seq_no}
    if tbc is not None:
        payload["tbc"] = tbc
    if names:
        payload["reportData"] = [
            item(name, variableAttribute=[{"value": f"page {seq_no}"}]) for name in names
        ]
    return payload


async def values(hub: RunningHub, station: Station) -> dict[str, str | None]:
    rows = await hub.rows(
        "SELECT path, value FROM station_variables WHERE station_id = :station AND supported"
        " AND component <> 'DeviceDataCtrlr'",
        station=hub.station_ids[station.identity],
    )
    return {row.path.removesuffix("#Actual"): row.value for row in rows}


async def report(hub: RunningHub, number: int) -> tuple[str, int | None]:
    (row,) = await hub.rows(
        "SELECT state, last_page FROM variable_reports WHERE request_id = :number", number=number
    )
    return row.state, row.last_page


def write(hub: RunningHub, station: Station, *writes: VariableWrite) -> Any:
    variables = devices(hub).variables
    return asyncio.create_task(variables.write(station.identity, writes, "a test"))


async def begin_report(hub: RunningHub, station: Station, status: str = "Accepted") -> int:
    asking = asyncio.create_task(devices(hub).variables.read_everything(station.identity, "a test"))
    asked = await station.asked()
    assert asked[3]["reportBase"] == "FullInventory"
    await station.reply(asked, {"status": status})
    number: int = await asking
    assert number == asked[3]["requestId"]
    return number


def answer_to_write(version: str, word: str, name: VariableName) -> Payload:
    if version == V16:
        return {"status": word}
    return {"setVariableResult": [item(name, attributeStatus=word)]}


async def row_of(hub: RunningHub, station: Station, name: VariableName) -> Any:
    (row,) = await hub.rows(
        "SELECT * FROM station_variables WHERE station_id = :station AND key = :key",
        station=hub.station_ids[station.identity],
        key=name.key,
    )
    return row
