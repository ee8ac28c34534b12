"""Statements 96-98: variables over the real path, on each version that has them.

The station is in the test's hand: it sees every request and answers as it likes.
"""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from chargehub.devices.variables import WriteResult
from chargehub.stations.commands import (
    InvalidCommand,
    RawCommand,
    VariableName,
    VariableWrite,
)
from tests.hub_fixtures import (
    V2X,
    V16,
    V201,
    VERSIONS,
    RunningHub,
    Station,
    at,
)
from tests.integration.gateway.variables import (
    A,
    B,
    C,
    answer_to_write,
    begin_report,
    devices,
    item,
    page,
    report,
    row_of,
    values,
    write,
)

MOST = 500
LIMITS = {"station_variables": MOST}
FULL = ("chargehub_limits_hit_total", {"limit": "station_variables"})
ACCEPTED = {"status": "Accepted"}


async def limited(hub: RunningHub, station: Station, kind: str, items: int) -> None:
    """Let the station tell how many items it takes."""
    name = VariableName("DeviceDataCtrlr", "ItemsPerMessage", variable_instance=kind)
    if station.version == V16:
        sent = hub.send(station.identity, RawCommand("GetConfiguration", {}))
        key = {"key": "GetConfigurationMaxKeys", "readonly": True, "value": str(items)}
        await station.reply(await station.asked(), {"configurationKey": [key]})
        await sent
    else:
        told = item(name, variableAttribute=[{"value": str(items), "mutability": "ReadOnly"}])
        payload = {"requestId": 4_711, "generatedAt": at(), "seqNo": 0, "reportData": [told]}
        await station.call("NotifyReport", payload)


def effects(results: list[WriteResult]) -> list[tuple[str, str | None]]:
    return [(result.effect, result.status) for result in results]


# --- 96: limits -----------------------------------------------------------------------------------


async def test_statement_96_b05_fr_11_writes_are_cut_as_reported_and_one_by_one_until_then(
    hub: RunningHub,
) -> None:
    async with hub.station(V201) as station:
        writes = [VariableWrite(name, "1") for name in (A, B, C)]
        for sizes in ([1, 1, 1], [2, 1]):
            sent = write(hub, station, *writes)
            seen = []
            for size in sizes:
                asked = await station.asked()
                items = asked[3]["setVariableData"]
                assert len(items) == size
                seen += [one["variable"]["name"] for one in items]
                results = [
                    {key: one[key] for key in ("component", "variable")}
                    | {"attributeStatus": "Accepted"}
                    for one in items
                ]
                await station.reply(asked, {"setVariableResult": results})
            assert seen == ["A", "B", "C"]
            assert effects(await sent) == [("applied", "Accepted")] * 3
            await limited(hub, station, "SetVariables", 2)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_96_b06_fr_05_max_keys_reads_are_cut_as_reported_and_one_by_one_until_then(
    hub: RunningHub, version: str
) -> None:
    names = [VariableName("", key) if version == V16 else VariableName("Own", key) for key in "ABC"]
    async with hub.station(version) as station:
        for sizes in ([1, 1, 1], [2, 1]):
            reading = asyncio.create_task(
                devices(hub).variables.read(station.identity, names, "a test")
            )
            for size in sizes:
                asked = await station.asked()
                if version == V16:
                    assert len(asked[3]["key"]) == size
                    keys = [{"key": key, "readonly": False} for key in asked[3]["key"]]
                    await station.reply(asked, {"configurationKey": keys})
                else:
                    items = asked[3]["getVariableData"]
                    assert len(items) == size
                    told = [
                        {"attributeStatus": "Accepted", "attributeValue": "1", **one}
                        for one in items
                    ]
                    await station.reply(asked, {"getVariableResult": told})
            told_names, unsupported = await reading
            assert [told.name for told in told_names] == names
            assert unsupported == []
            await limited(hub, station, "GetVariables", 2)


@pytest.mark.parametrize("action", ["SetVariables", "GetVariables"])
async def test_statement_96_b05_fr_13_no_variable_twice_in_a_request_as_it_is(
    hub: RunningHub, action: str
) -> None:
    field = "setVariableData" if action == "SetVariables" else "getVariableData"
    more = {"attributeValue": "1"} if action == "SetVariables" else {}
    twice = [item(A, **more), item(A, attributeType="Actual", **more)]
    async with hub.station(V201) as station:
        with pytest.raises(InvalidCommand, match="named twice"):
            await hub.send(station.identity, RawCommand(action, {field: twice}))
        assert not station.inbox


# --- 97: pages ------------------------------------------------------------------------------------


async def test_statement_97_b07_fr_04_10_swapped_and_repeated_pages_make_one_report(
    hub: RunningHub,
) -> None:
    async with hub.station(V201) as station:
        await station.call("NotifyReport", page(99_999, 0, VariableName("Own", "Gone")))
        number = await begin_report(hub, station)
        await station.call("NotifyReport", page(number, 2, C))
        assert await report(hub, number) == ("receiving", 2)
        for _ in range(2):
            await station.call("NotifyReport", page(number, 0, A, tbc=True))
        assert await values(hub, station) == {
            "Own.Gone": "page 0",
            "Own.A": "page 0",
            "Own.C": "page 2",
        }
        await station.call("NotifyReport", page(number, 1, B, tbc=True))
        assert await report(hub, number) == ("complete", 2)
        # What a whole report does not name is not there any more.
        assert await values(hub, station) == {
            "Own.A": "page 0",
            "Own.B": "page 1",
            "Own.C": "page 2",
        }
        await station.call("NotifyReport", page(number, 1, B, tbc=True))
        assert await report(hub, number) == ("complete", 2)


async def test_statement_97_a_missing_last_page_ends_the_report_and_asks_anew_at_the_next_boot(
    hub: RunningHub,
) -> None:
    async with hub.station(V201) as station:
        await station.call("NotifyReport", page(99_999, 0, C))
        number = await begin_report(hub, station)
        await station.call("NotifyReport", page(number, 0, A, tbc=True))
        (due,) = await hub.rows(
            "SELECT due_at FROM due_actions WHERE kind = 'report.give_up' AND subject = :number",
            number=str(number),
        )
        assert due.due_at is not None
        await devices(hub).inventory.give_up(str(number), {})
        assert await report(hub, number) == ("incomplete", None)
        # Nothing is forgotten on half a report.
        assert await values(hub, station) == {"Own.A": "page 0", "Own.C": "page 0"}
        await station.boot()
        assert (await station.asked())[2] == "GetBaseReport"


@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize("when", ["before the answer", "after a reconnect"])
async def test_statements_77_97_a_report_completes_by_its_number_and_not_by_the_answer(
    hub: RunningHub, version: str, when: str
) -> None:
    async with hub.station(version) as station:
        asking = asyncio.create_task(
            devices(hub).variables.read_everything(station.identity, "a test")
        )
        asked = await station.asked()
        number = asked[3]["requestId"]
        if when == "before the answer":
            await station.call("NotifyReport", page(number, 0, A))
            assert await report(hub, number) == ("complete", 0)
        await station.reply(asked, {"status": "Accepted"})
        assert await asking == number
        if when == "after a reconnect":
            assert await report(hub, number) == ("asked", None)
            await station.vanish()
            again = await hub.connect(station.identity, version)
            await again.call("NotifyReport", page(number, 0, A))
            await again.leave()
        assert await report(hub, number) == ("complete", 0)


async def test_statement_97_a_number_of_another_station_joins_nothing(hub: RunningHub) -> None:
    async with hub.station(V201) as station, hub.station(V201) as other:
        number = await begin_report(hub, station)
        await other.call("NotifyReport", page(number, 0, A))
        assert await report(hub, number) == ("asked", None)
        assert await values(hub, other) == {"Own.A": "page 0"}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("EmptyResultSet", "empty"),
        ("NotSupported", "unsupported"),
        ("Rejected", "rejected"),
    ],
)
async def test_statement_97_an_answer_without_pages_ends_the_report(
    hub: RunningHub, word: str, state: str
) -> None:
    async with hub.station(V201) as station:
        number = await begin_report(hub, station, word)
        assert (await report(hub, number))[0] == state


async def test_statement_97_the_answer_to_getconfiguration_is_the_report(hub: RunningHub) -> None:
    async with hub.station(V16) as station:
        asking = asyncio.create_task(
            devices(hub).variables.read_everything(station.identity, "a test")
        )
        asked = await station.asked()
        assert asked[2:] == ["GetConfiguration", {}]
        keys = [{"key": "Own", "readonly": True, "value": "1"}, {"key": "None", "readonly": False}]
        await station.reply(asked, {"configurationKey": keys})
        assert (await report(hub, await asking))[0] == "complete"
        assert await values(hub, station) == {"Own": "1", "None": None}


# --- 98: values -----------------------------------------------------------------------------------


async def test_statement_98_b07_fr_03_attributes_without_value_are_kept_as_such(
    hub: RunningHub,
) -> None:
    async with hub.station(V201) as station:
        attributes = [{"mutability": "WriteOnly"}, {"type": "MaxSet", "mutability": "ReadOnly"}]
        limits = {
            "dataType": "OptionList",
            "unit": "A",
            "minLimit": 1,
            "maxLimit": 2.5,
            "valuesList": "x,y",
            "supportsMonitoring": False,
        }
        told = item(A, variableAttribute=attributes, variableCharacteristics=limits)
        payload = {"requestId": 1, "generatedAt": at(), "seqNo": 0, "reportData": [told]}
        await station.call("NotifyReport", payload)
        rows = await hub.rows(
            "SELECT * FROM station_variables WHERE station_id = :station ORDER BY key",
            station=hub.station_ids[station.identity],
        )
        facts = [
            (row.attribute, row.value, row.mutability, row.data_type, row.unit) for row in rows
        ]
        assert facts == [
            ("Actual", None, "WriteOnly", "OptionList", "A"),
            ("MaxSet", None, "ReadOnly", "OptionList", "A"),
        ]
        assert {(row.min_limit, row.max_limit, row.values_list) for row in rows} == {
            (1.0, 2.5, "x,y")
        }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("word", "effect", "stored", "pending"),
    [
        ("Accepted", "applied", "60", None),
        ("Rejected", "refused", "300", None),
        ("RebootRequired", "after_reboot", "300", "60"),
    ],
)
async def test_statement_98_the_stored_value_changes_by_the_stations_word_alone(
    hub: RunningHub, version: str, word: str, effect: str, stored: str, pending: str | None
) -> None:
    name = VariableName("OCPPCommCtrlr", "OfflineThreshold")
    if version == V16:
        name = VariableName("OCPPCommCtrlr", "WebSocketPingInterval")
    async with hub.station(version) as station:
        await tell(hub, station, name, "300")
        sent = write(hub, station, VariableWrite(name, "60"))
        asked = await station.asked()
        assert (await row_of(hub, station, name)).value == "300"
        await station.reply(asked, answer_to_write(version, word, name))
        assert effects(await sent) == [(effect, word)]
        row = await row_of(hub, station, name)
        assert (row.value, row.pending_value) == (stored, pending)
        assert row.own_key == ("WebSocketPingInterval" if version == V16 else None)


async def test_statement_98_what_is_write_only_is_never_kept(hub: RunningHub) -> None:
    """Neither as the station tells it nor as we wrote it: what it is cannot be known."""
    async with hub.station(V201) as station:
        told = item(A, variableAttribute=[{"mutability": "WriteOnly"}])
        payload = {"requestId": 1, "generatedAt": at(), "seqNo": 0, "reportData": [told]}
        await station.call("NotifyReport", payload)
        sent = write(hub, station, VariableWrite(A, "60"))
        await station.reply(await station.asked(), answer_to_write(V201, "Accepted", A))
        assert effects(await sent) == [("applied", "Accepted")]
        row = await row_of(hub, station, A)
        assert (row.value, row.mutability) == (None, "WriteOnly")
        assert row.read_at is not None


async def test_a_station_that_makes_names_up_fills_nothing(hub: RunningHub) -> None:
    """Reports that nobody asked for: what is known is told anew, what is new finds no room."""
    async with hub.station(V201) as station:
        station_id = hub.station_ids[station.identity]
        async with hub.database.write() as connection:
            await connection.execute(
                text(
                    "INSERT INTO station_variables (station_id, key, path, component, variable,"
                    " attribute) SELECT :station, 'k' || n, 'k' || n, 'Own', 'k' || n, 'Actual'"
                    " FROM generate_series(1, :count) n"
                ),
                {"station": station_id, "count": MOST - 2},
            )
        before = REGISTRY.get_sample_value(*FULL)
        assert before is not None
        for names in ((A, B), (A, B, C), (C,)):
            told = [item(name, variableAttribute=[{"value": str(len(names))}]) for name in names]
            payload = {"requestId": 99, "generatedAt": at(), "seqNo": 0, "reportData": told}
            assert await station.call("NotifyReport", payload) == {}
        query = "SELECT variable, value FROM station_variables WHERE station_id = :station"
        rows = await hub.rows(query, station=station_id)
        assert len(rows) == MOST
        assert sorted((row.variable, row.value) for row in rows if row.value) == [
            ("A", "3"),
            ("B", "3"),
        ]
        assert REGISTRY.get_sample_value(*FULL) == before + 2


async def tell(hub: RunningHub, station: Station, name: VariableName, value: str) -> None:
    if station.version == V16:
        sent = hub.send(station.identity, RawCommand("GetConfiguration", {}))
        key = {"key": name.variable, "readonly": False, "value": value}
        await station.reply(await station.asked(), {"configurationKey": [key]})
        await sent
        return
    told = item(name, variableAttribute=[{"value": value}])
    payload = {"requestId": 1, "generatedAt": at(), "seqNo": 0, "reportData": [told]}
    await station.call("NotifyReport", payload)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_station_does_not_have_is_marked(hub: RunningHub, version: str) -> None:
    name = VariableName("", "Own") if version == V16 else A
    async with hub.station(version) as station:
        await tell(hub, station, name, "1")
        reading = asyncio.create_task(
            devices(hub).variables.read(station.identity, [name], "a test")
        )
        asked = await station.asked()
        if version == V16:
            await station.reply(asked, {"unknownKey": ["Own"]})
        else:
            told = item(A, attributeStatus="UnknownVariable")
            await station.reply(asked, {"getVariableResult": [told]})
        assert await reading == ([], [name])
        row = await row_of(hub, station, name)
        assert (row.supported, row.value) == (False, None)
        await tell(hub, station, name, "2")
        row = await row_of(hub, station, name)
        assert (row.supported, row.value) == (True, "2")


async def test_a_raw_write_changes_what_is_stored_too(hub: RunningHub) -> None:
    async with hub.station(V16) as station:
        ask = RawCommand("ChangeConfiguration", {"key": "AuthorizationKey", "value": "marker-7"})
        sent = hub.send(station.identity, ask)
        await station.reply(await station.asked(), ACCEPTED)
        await sent
        row = await row_of(hub, station, VariableName("SecurityCtrlr", "BasicAuthPassword"))
        assert row.value == "(redacted)"
