"""Commands worded by hand that wait: what could never be sent is refused when it is asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from chargehub.stations.commands import InvalidCommand, RawCommand
from tests.hub_fixtures import V16, VERSIONS, RunningHub


def write(version: str, component: str, variable: str, value: str) -> RawCommand:
    if version == V16:
        return RawCommand("ChangeConfiguration", {"key": variable, "value": value})
    item = {
        "component": {"name": component},
        "variable": {"name": variable},
        "attributeValue": value,
    }
    return RawCommand("SetVariables", {"setVariableData": [item]})


async def ask(hub: RunningHub, identity: str, command: RawCommand) -> str:
    control = hub.hub.features.devices.orders.control
    wait = timedelta(hours=1)
    return (await control.send_durably(identity, command, wait=wait, actor="a test")).outcome


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_no_station_may_be_told_does_not_wait(hub: RunningHub, version: str) -> None:
    """Also where nobody knows yet in which words the station speaks."""
    identity = await hub.new_station()
    for component, variable, value, why in (
        ("OCPPCommCtrlr", "HeartbeatInterval", "1", "takes a whole number from 10"),
        ("SecurityCtrlr", "SecurityProfile", "0", "may not fall below 1"),
    ):
        with pytest.raises(InvalidCommand, match=why):
            await ask(hub, identity, write(version, component, variable, value))
    assert await hub.count("station_commands", identity) == 0
    allowed = write(version, "OCPPCommCtrlr", "HeartbeatInterval", "60")
    assert await ask(hub, identity, allowed) == "queued"


@pytest.mark.parametrize("version", VERSIONS)
async def test_nor_for_a_station_that_is_here(hub: RunningHub, version: str) -> None:
    async with hub.station(version) as station:
        with pytest.raises(InvalidCommand):
            await ask(
                hub, station.identity, write(version, "OCPPCommCtrlr", "HeartbeatInterval", "1")
            )
        assert await hub.count("station_commands", station.identity) == 0
        command = RawCommand("ClearCache", {})
        asking = asyncio.create_task(ask(hub, station.identity, command))
        await station.reply(await station.asked(), {"status": "Accepted"})
        assert await asking == "answered"
