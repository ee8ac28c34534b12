"""Writes that a station's protocol has no words for: known before anything leaves."""

from __future__ import annotations

import asyncio

import pytest

from chargehub.devices.templates import NewTemplate
from chargehub.devices.variables import InvalidWrite
from chargehub.stations.commands import UnsupportedByStation, VariableName, VariableWrite
from tests.hub_fixtures import V2X, V16, RunningHub

OWN = VariableWrite(VariableName("Own", "A"), "1")
KEY = VariableWrite(VariableName("", "VendorKey"), "1")
OWN_ITEM = {"component": {"name": "Own"}, "variable": {"name": "A"}}


@pytest.mark.parametrize("version", V2X)
async def test_a_key_is_unsupported_where_there_are_none(hub: RunningHub, version: str) -> None:
    variables = hub.hub.features.devices.variables
    async with hub.station(version) as station:
        with pytest.raises(UnsupportedByStation):
            await variables.write(station.identity, [OWN, KEY], "a test")
        with pytest.raises(UnsupportedByStation):
            await variables.read(station.identity, [KEY.name], "a test")
        assert not station.inbox


@pytest.mark.parametrize("version", V2X)
async def test_a_template_with_a_key_writes_all_else_where_there_are_none(
    hub: RunningHub, version: str
) -> None:
    templates = hub.hub.features.devices.templates
    async with hub.station(version) as station:
        new = NewTemplate(f"keys {version}", (OWN, KEY), identities=(station.identity,))
        template = await templates.create(new, "a test")
        application_id = await templates.apply(
            template.id, "a test", identities=None, only_drift=False, wait=None
        )
        applying = asyncio.create_task(templates.carry_on(str(application_id), {}))
        asked = await station.asked()
        data = {"setVariableData": [{**OWN_ITEM, "attributeValue": "1"}]}
        assert asked[2:] == ["SetVariables", data]
        results = [{**OWN_ITEM, "attributeStatus": "Accepted"}]
        await station.reply(asked, {"setVariableResult": results})
        await applying
        await hub.until(
            "SELECT string_agg(outcome, ' ' ORDER BY seq) FROM station_commands"
            " WHERE order_id = :order",
            "answered unsupported",
            order=application_id,
        )
        assert not station.inbox


@pytest.mark.parametrize("durable", [False, True])
async def test_a_value_that_no_message_can_carry_keeps_all_of_them_here(
    hub: RunningHub, durable: bool
) -> None:
    """A key's value has 500 characters at most (CiString500Type)."""
    variables = hub.hub.features.devices.variables
    sizes = {"A": 1, "B": 600, "C": 1}
    writes = [VariableWrite(VariableName("", key), "1" * size) for key, size in sizes.items()]
    async with hub.station(V16) as station:
        with pytest.raises(InvalidWrite) as refused:
            await variables.write(station.identity, writes, "a test", durable=durable)
        assert [error["variable"] for error in refused.value.facts["errors"]] == ["B#Actual"]
        longest = VariableWrite(VariableName("", "D"), "1" * 500)
        sending = asyncio.create_task(variables.write(station.identity, [longest], "a test"))
        asked = await station.asked()
        assert asked[2:] == ["ChangeConfiguration", {"key": "D", "value": longest.value}]
        await station.reply(asked, {"status": "Accepted"})
        (result,) = await sending
        assert (result.effect, result.status) == ("applied", "Accepted")
        assert not station.inbox
