"""Configuration of simulated stations, end to end: inventory, writes, templates, a reboot."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from chargehub.devices.queries import find_template, read_application_stations, read_order
from chargehub.devices.rules import station_outcome
from chargehub.devices.templates import NewTemplate, compare, wanted_of
from chargehub.stations.commands import VariableName, VariableWrite
from simulators.misbehaviour import NO_QUIRKS, Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.speech import V16
from tests.scenarios.stage import RawStation, Stage

BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
PING = VariableName("OCPPCommCtrlr", "WebSocketPingInterval")
TIMEOUT = VariableName("TxCtrlr", "EVConnectionTimeOut")
NONE = VariableName("Own", "Nonsense")


async def ready(stage: Stage, version: str, *quirks: Misbehaviour) -> SimulatedStation:
    station = await stage.simulated(version, *quirks)
    await stage.work()
    await station.settled()
    return station


async def known(stage: Stage, station: SimulatedStation | RawStation, name: VariableName) -> Any:
    (row,) = await stage.rows(
        "SELECT v.* FROM station_variables v JOIN charging_stations s ON s.id = v.station_id"
        " WHERE s.identity = :identity AND v.key = :key",
        identity=station.identity,
        key=name.key,
    )
    return row


async def test_the_first_boot_brings_the_whole_inventory(stage: Stage, version: str) -> None:
    station = await ready(stage, version)
    row = await known(stage, station, BEAT)
    assert row.value == str(station.configuration.integer("HeartbeatInterval"))
    assert (row.mutability, row.data_type) == ("ReadWrite", "integer")
    secret = await known(stage, station, VariableName("SecurityCtrlr", "BasicAuthPassword"))
    assert secret.value is None
    assert secret.mutability == ("ReadWrite" if version == V16 else "WriteOnly")
    (report,) = await stage.rows(
        "SELECT r.state FROM variable_reports r JOIN charging_stations s ON s.id = r.station_id"
        " WHERE s.identity = :identity",
        identity=station.identity,
    )
    assert report.state == "complete"


async def test_many_values_are_written_within_the_stations_limit(
    stage: Stage, version: str
) -> None:
    """The simulated station refuses a request that is too large."""
    station = await ready(stage, version)
    names = [
        BEAT,
        TIMEOUT,
        VariableName("OCPPCommCtrlr", "MessageAttempts", variable_instance="TransactionEvent"),
        VariableName("AlignedDataCtrlr", "Interval"),
        VariableName("SampledDataCtrlr", "TxUpdatedInterval"),
        PING,
    ]
    variables = stage.hub.devices.variables
    writes = [VariableWrite(name, "77") for name in names]
    results = await variables.write(station.identity, writes, "a scenario")
    assert [result.effect for result in results] == ["applied"] * 5 + ["after_reboot"]
    requests = len({result.command_id for result in results})
    assert requests == (6 if version == V16 else 2)
    told, unsupported = await variables.read(station.identity, names, "a scenario")
    assert [variable.value for variable in told] == ["77"] * 5 + ["30"]
    assert unsupported == []
    assert (await known(stage, station, BEAT)).value == "77"
    assert (await known(stage, station, PING)).pending_value == "77"


async def test_a_template_is_applied_and_holds_after_the_reboot(stage: Stage, version: str) -> None:
    stations = [await ready(stage, version) for _ in range(3)]
    stubborn = stations[2]
    setting = stubborn.configuration.find("ConnectionTimeOut")
    assert setting is not None
    setting.writable = False
    new = NewTemplate(
        name=f"standard {version}",
        wanted=tuple(
            VariableWrite(name, value)
            for name, value in ((BEAT, "240"), (PING, "25"), (TIMEOUT, "90"), (NONE, "1"))
        ),
        identities=tuple(station.identity for station in stations),
    )
    templates = stage.hub.devices.templates
    template = await templates.create(new, "a scenario")
    await stations[1].go_offline()
    application_id = await templates.apply(
        template.id, "a scenario", identities=None, only_drift=True, wait=None
    )
    await stage.work()
    unsupported = 0 if version != V16 else 1
    assert await outcomes(stage, application_id) == [
        # 2.0.1 stations reported all they have, so nonsense is not even sent.
        "rejected" if unsupported else "partly_refused",
        "under_way",
        "rejected",
    ]
    await stage.restart()
    for station in stations:
        station.uplink.wire.account.url = stage.addresses.ocpp_url  # type: ignore[attr-defined]  # A socket's.
        await station.go_offline()
        await station.come_back()
    stage.pass_time(11)
    await stage.work()
    assert (await outcomes(stage, application_id))[1] != "under_way"
    states = await drift(stage, template.id)
    good = {"in_sync": 2, "pending_reboot": 1, "unsupported": 1}
    assert states == [good, good, {"in_sync": 1, "pending_reboot": 1, "drift": 1, "unsupported": 1}]
    stage.pass_time(5)
    for station in stations[:2]:
        await station.power_cut()
        await station.come_back()
    await stage.work()
    assert (await drift(stage, template.id))[:2] == [{"in_sync": 3, "unsupported": 1}] * 2
    assert stations[0].configuration.integer("WebSocketPingInterval") == 25


async def test_a_station_that_always_wants_a_reboot_is_told_once_and_not_rebooted(
    stage: Stage, version: str
) -> None:
    """Else it would be told, or rebooted, whenever it comes back. An operator reboots it."""
    station = await stage.raw(version)
    again = item(PING, attributeStatus="RebootRequired")
    unchanged = item(PING, attributeStatus="Accepted", attributeValue="30")
    station.answers.update(
        {
            "ChangeConfiguration": {"status": "RebootRequired"},
            "SetVariables": {"setVariableResult": [again]},
            "GetConfiguration": {"configurationKey": [], "unknownKey": []},
            "GetVariables": {"getVariableResult": [unchanged]},
            "GetBaseReport": {"status": "EmptyResultSet"},
            "Reset": {"status": "Accepted"},
        }
    )
    templates = stage.hub.devices.templates
    new = NewTemplate(
        name=f"stubborn {version}",
        wanted=(VariableWrite(PING, "25"),),
        identities=(station.identity,),
    )
    template = await templates.create(new, "a scenario")
    application_id = await templates.apply(
        template.id, "a scenario", identities=None, only_drift=True, wait=None
    )
    await stage.work()
    assert await outcomes(stage, application_id) == ["reboot_required"]
    for reboots in (False, True, True, False):
        await station.reconnect()
        if reboots:
            stage.pass_time(1)
            await station.boot()
        stage.pass_time(11)
        await stage.work()
    asked = Counter(action for action, _ in station.asked)
    assert asked["ChangeConfiguration"] + asked["SetVariables"] == 1
    assert asked["Reset"] == 0
    # Read anew after the first boot: what it says then is the truth.
    assert asked["GetConfiguration"] + asked["GetVariables"] == (2 if version == V16 else 1)


@pytest.mark.parametrize("told", [[NONE], [BEAT], []])
async def test_what_an_answer_leaves_out_is_not_accepted(
    stage: Stage, version: str, told: list[VariableName]
) -> None:
    """A station that takes two values at once, and speaks of another, of one, or of none."""
    station = await stage.raw(version)
    items = VariableName("DeviceDataCtrlr", "ItemsPerMessage", variable_instance="SetVariables")
    limit = item(items, attributeStatus="Accepted", attributeValue="2")
    station.answers.update(
        {
            "ChangeConfiguration": {},
            "GetConfiguration": {"configurationKey": [], "unknownKey": []},
            "GetVariables": {"getVariableResult": [limit]},
            "SetVariables": {
                "setVariableResult": [item(name, attributeStatus="Accepted") for name in told]
            },
        }
    )
    if version != V16:
        await stage.hub.devices.variables.read(station.identity, [items], "a scenario")
    new = NewTemplate(
        name=f"half {station.identity}",
        wanted=(VariableWrite(BEAT, "240"), VariableWrite(TIMEOUT, "90")),
        identities=(station.identity,),
    )
    templates = stage.hub.devices.templates
    template = await templates.create(new, "a scenario")
    application_id = await templates.apply(
        template.id, "a scenario", identities=None, only_drift=False, wait=None
    )
    await stage.work()
    assert await outcomes(stage, application_id) == ["unknown"]


async def test_a_write_that_timed_out_is_read_back(stage: Stage, version: str) -> None:
    """The station did as it was told, and did not say so in time."""
    station = await stage.raw(version)
    await stage.work()
    await stage.know(station.station_id, BEAT, "300")
    new = NewTemplate(
        name=f"in silence {version}",
        wanted=(VariableWrite(BEAT, "240"),),
        identities=(station.identity,),
    )
    templates = stage.hub.devices.templates
    template = await templates.create(new, "a scenario")
    application_id = await templates.apply(
        template.id, "a scenario", identities=None, only_drift=True, wait=None
    )
    station.wire.quirks = frozenset((Misbehaviour.SILENT_TO_CALLS,))
    with stage.patience(0.2):
        await templates.carry_on(str(application_id), {})
    assert await outcomes(stage, application_id) == ["unknown"]
    station.wire.quirks = NO_QUIRKS
    key = {"key": "HeartbeatInterval", "readonly": False, "value": "240"}
    result = item(BEAT, attributeStatus="Accepted", attributeValue="240")
    station.answers.update(
        {
            "GetConfiguration": {"configurationKey": [key]},
            "GetVariables": {"getVariableResult": [result]},
        }
    )
    await stage.work()
    row = await known(stage, station, BEAT)
    assert row.value == "240"
    assert await drift(stage, template.id) == [{"in_sync": 1}]


def item(name: VariableName, **more: str) -> dict[str, Any]:
    variable = {"name": name.variable}
    if name.variable_instance:
        variable["instance"] = name.variable_instance
    return {"component": {"name": name.component}, "variable": variable, **more}


async def test_drift_is_noticed_when_a_station_tells_of_it(stage: Stage, version: str) -> None:
    """By its inventory, by an answer, and by what it says to a write."""
    station = await ready(stage, version)
    new = NewTemplate(
        name=f"watched {version}",
        wanted=(VariableWrite(BEAT, "240"),),
        identities=(station.identity,),
    )
    templates, variables = stage.hub.devices.templates, stage.hub.devices.variables
    await templates.create(new, "a scenario")
    await stage.work()
    assert await drift_notices(stage, station) == [True]
    await variables.write(station.identity, [VariableWrite(BEAT, "240")], "a scenario")
    await stage.work()
    assert await drift_notices(stage, station) == [True, False]
    setting = station.configuration.find("HeartbeatInterval")
    assert setting is not None
    setting.value = "77"
    await variables.read(station.identity, [BEAT], "a scenario")
    await stage.work()
    assert await drift_notices(stage, station) == [True, False, True]
    setting.value = "240"
    await variables.read_everything(station.identity, "a scenario")
    await station.settled()
    await stage.work()
    assert await drift_notices(stage, station) == [True, False, True, False]


async def drift_notices(stage: Stage, station: SimulatedStation) -> list[bool]:
    """Return of each notice whether it says that the station differs, oldest first."""
    rows = await stage.rows(
        "SELECT n.flagged FROM station_notices n JOIN charging_stations s ON s.id = n.station_id"
        " WHERE s.identity = :identity AND n.kind = 'ConfigurationDrift' ORDER BY n.id",
        identity=station.identity,
    )
    return [row.flagged for row in rows]


async def outcomes(stage: Stage, application_id: Any) -> list[str]:
    async with stage.database.read() as connection:
        rows = await read_application_stations(connection, application_id)
        orders = await read_order(connection, application_id, [row.station_id for row in rows])
    return [
        str(station_outcome(row.state, orders[row.station_id], refused=bool(row.refused)))
        for row in rows
    ]


async def drift(stage: Stage, template_id: int) -> list[dict[str, int]]:
    async with stage.database.read() as connection:
        template = await find_template(connection, template_id)
        ids = [await stage.station_id(identity) for identity in template.identities]
        compared = await compare(connection, ids, wanted_of(template))
    return [dict(Counter(str(item.state) for item in compared[number])) for number in ids]
