"""Statements 97 and 98: variables whose new value waits for the station's boot."""

from __future__ import annotations

import pytest

from chargehub.stations.commands import VariableName, VariableWrite
from tests.hub_fixtures import V2X, V16, VERSIONS, RunningHub, at
from tests.integration.gateway.variables import (
    A,
    B,
    C,
    answer_to_write,
    begin_report,
    item,
    page,
    report,
    row_of,
    values,
    write,
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_98_what_waits_for_a_boot_is_read_after_it(
    hub: RunningHub, version: str
) -> None:
    name = VariableName("", "Own") if version == V16 else A
    async with hub.station(version) as station:
        sent = write(hub, station, VariableWrite(name, "60"))
        answer = answer_to_write(version, "RebootRequired", name)
        await station.reply(await station.asked(), answer)
        await sent
        assert (await row_of(hub, station, name)).pending_value == "60"
        await station.boot()
        asked = await station.asked()
        if version == V16:
            assert asked[2:] == ["GetConfiguration", {"key": ["Own"]}]
            key = {"key": "Own", "readonly": False, "value": "60"}
            await station.reply(asked, {"configurationKey": [key]})
        else:
            assert asked[2:] == ["GetVariables", {"getVariableData": [item(A)]}]
            told = item(A, attributeStatus="Accepted", attributeValue="60")
            await station.reply(asked, {"getVariableResult": [told]})
        await hub.until(
            "SELECT value FROM station_variables WHERE station_id = :station AND key = :key",
            "60",
            station=hub.station_ids[station.identity],
            key=name.key,
        )
        assert (await row_of(hub, station, name)).pending_value is None


@pytest.mark.parametrize("version", V2X)
async def test_statement_98_what_is_write_only_is_not_read_after_a_boot(
    hub: RunningHub, version: str
) -> None:
    """B06.FR.09: it would be refused. The next one is asked for alone."""
    async with hub.station(version) as station:
        told = item(A, variableAttribute=[{"mutability": "WriteOnly"}])
        payload = {"requestId": 1, "generatedAt": at(), "seqNo": 0, "reportData": [told]}
        await station.call("NotifyReport", payload)
        for name in (A, B):
            sent = write(hub, station, VariableWrite(name, "60"))
            answer = answer_to_write(version, "RebootRequired", name)
            await station.reply(await station.asked(), answer)
            await sent
        await station.boot()
        asked = await station.asked()
        assert asked[2:] == ["GetVariables", {"getVariableData": [item(B)]}]
        await station.reply(
            asked, {"getVariableResult": [item(B, attributeStatus="Accepted", attributeValue="60")]}
        )
        assert (await row_of(hub, station, A)).pending_value is None


@pytest.mark.parametrize("version", V2X)
async def test_statement_97_98_what_is_written_during_a_report_waits_for_its_boot(
    hub: RunningHub, version: str
) -> None:
    """The report does not name it, for what it tells is of before; the write came after."""
    async with hub.station(version) as station:
        number = await begin_report(hub, station)
        await station.call("NotifyReport", page(number, 0, A, tbc=True))
        sent = write(hub, station, VariableWrite(B, "60"))
        answer = answer_to_write(version, "RebootRequired", B)
        await station.reply(await station.asked(), answer)
        await sent
        await station.call("NotifyReport", page(number, 1, C))
        assert await report(hub, number) == ("complete", 1)
        assert (await row_of(hub, station, B)).pending_value == "60"
        # The next report is of after it, and does not name it either.
        number = await begin_report(hub, station)
        await station.call("NotifyReport", page(number, 0, A))
        assert await values(hub, station) == {"Own.A": "page 0"}
