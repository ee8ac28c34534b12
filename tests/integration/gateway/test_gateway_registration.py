"""Before acceptance: statements 32 to 35, what a station may say, and what we may say to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    InvalidCommand,
    RawCommand,
    RequestStartTransaction,
    RequestStopTransaction,
    ResetKind,
    ResetStation,
    StationNotAccepted,
    TriggerMessage,
    UnlockConnector,
)
from chargehub.stations.store import charging_stations
from tests.hub_fixtures import (
    BOOTS,
    TOKEN,
    V2X,
    V16,
    V21,
    V201,
    VERSIONS,
    RunningHub,
    Station,
    at,
    status,
    with_2_1,
)

ACCEPTED = {"status": "Accepted"}


def transaction_started(version: str) -> tuple[str, dict[str, Any]]:
    if version == V16:
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 0, "timestamp": at()}
        return "StartTransaction", start
    return "TransactionEvent", {
        "eventType": "Started",
        "timestamp": at(),
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "before-acceptance"},
    }


async def refused(station: Station, action: str, payload: Any) -> bool:
    answer = await station.ask(action, payload)
    return [answer[0], answer[2]] == [4, "SecurityError"]


async def unaccepted(hub: RunningHub, version: str, registration: str) -> Station:
    identity = await hub.new_station(registration=registration)
    return await hub.connect(identity, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
@pytest.mark.parametrize("booted", [True, False])
async def test_statement_32_before_acceptance_only_a_boot_is_heard(
    hub: RunningHub, version: str, registration: str, booted: bool
) -> None:
    station = await unaccepted(hub, version, registration)
    if booted:
        assert (await station.boot())["status"] == registration
    assert await refused(station, "Heartbeat", {})
    assert await refused(station, "StatusNotification", status(version))
    assert await refused(station, *transaction_started(version))
    assert await hub.count("connector_status_events", station.identity) == 0
    assert await hub.count("transactions", station.identity) == 0
    assert (await station.boot())["status"] == registration
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_32_acceptance_begins_with_the_first_boot(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station(has_booted=False)
    station = await hub.connect(identity, version)
    assert await refused(station, *transaction_started(version))
    with pytest.raises(StationNotAccepted):
        await hub.send(identity, ClearCache())
    assert (await station.boot())["status"] == "Accepted"
    assert await station.call("StatusNotification", status(version)) == {}
    await station.leave()
    # Statement 7: from then on no boot is needed.
    station = await hub.connect(identity, version)
    assert await station.call("StatusNotification", status(version)) == {}
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_32_accepted_at_last_it_is_heard_on_the_same_socket(
    hub: RunningHub, version: str
) -> None:
    station = await unaccepted(hub, version, "Pending")
    assert (await station.boot())["status"] == "Pending"
    frame = [2, "asked-too-early", "StatusNotification", status(version)]
    await station.send(frame)
    assert (await station.answer_to("asked-too-early"))[2] == "SecurityError"
    await hub.register(station.identity, "Accepted")
    assert (await station.boot())["status"] == "Accepted"
    # A refusal is no answer that a retry would get again.
    await station.send(frame)
    assert await station.answer_to("asked-too-early") == [3, "asked-too-early", {}]
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_32_what_we_triggered_is_heard(hub: RunningHub, version: str) -> None:
    station = await unaccepted(hub, version, "Pending")
    await station.boot()
    command = hub.send(station.identity, TriggerMessage("StatusNotification", evse_no=1))
    await station.reply(await station.asked(), ACCEPTED)
    await command
    assert await station.call("StatusNotification", status(version)) == {}
    assert await refused(station, "Heartbeat", {})
    await station.leave()


ASKS_FOR_A_REPORT = [
    RawCommand("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
    RawCommand("GetReport", {"requestId": 1, "componentCriteria": ["Active"]}),
]


@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize("ask", ASKS_FOR_A_REPORT, ids=lambda ask: ask.action)
async def test_statement_32_a_report_we_asked_for_is_heard(
    hub: RunningHub, version: str, ask: RawCommand
) -> None:
    station = await unaccepted(hub, version, "Pending")
    report = {
        "requestId": 1,
        "generatedAt": at(),
        "seqNo": 0,
        "reportData": [
            {
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "Power"},
                "variableAttribute": [{"value": "60000"}],
            }
        ],
    }
    assert await refused(station, "NotifyReport", report)
    command = hub.send(station.identity, ask)
    await station.reply(await station.asked(), ACCEPTED)
    await command
    assert await station.call("NotifyReport", report) == {}
    assert await hub.count("station_variables", station.identity, value="60000") == 1
    assert await refused(station, "Heartbeat", {})
    await station.leave()


NEVER_BEFORE_ACCEPTANCE: list[Command] = [
    RequestStartTransaction(TOKEN, "ISO14443", 1, evse_no=1),
    RequestStopTransaction("1"),
    UnlockConnector(1),
    ClearCache(),
    CancelReservation(1),
    ChangeAvailability(operative=False),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("booted", [True, False])
async def test_statement_33_nothing_goes_to_a_rejected_station(
    hub: RunningHub, version: str, booted: bool
) -> None:
    station = await unaccepted(hub, version, "Rejected")
    if booted:
        await station.boot()
    everything = [
        *NEVER_BEFORE_ACCEPTANCE,
        TriggerMessage("BootNotification"),
        ResetStation(ResetKind.IMMEDIATE),
        RawCommand("Reset", {"type": "Soft" if version == V16 else "OnIdle"}),
    ]
    for command in everything:
        with pytest.raises(StationNotAccepted, match="Rejected"):
            await hub.send(station.identity, command)
    assert (await station.boot())["status"] == "Rejected"
    assert not station.inbox
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_36_an_accepted_station_is_not_asked_to_boot(
    hub: RunningHub, version: str
) -> None:
    station = await unaccepted(hub, version, "Pending")
    await station.boot()
    await hub.register(station.identity, "Accepted")
    assert (await station.boot())["status"] == "Accepted"
    actions = ["TriggerMessage"] + ["ExtendedTriggerMessage"] * (version == V16)
    raw = [RawCommand(action, {"requestedMessage": "BootNotification"}) for action in actions]
    commands: list[Command] = [TriggerMessage("BootNotification"), *raw]
    for command in commands:
        with pytest.raises(InvalidCommand, match="accepted"):
            await hub.send(station.identity, command)
    assert (await station.boot())["status"] == "Accepted"
    assert not station.inbox
    await station.leave()


ALLOWED_WHILE_PENDING: list[tuple[str, Command, dict[str, Any]]] = [
    (V16, TriggerMessage("BootNotification"), ACCEPTED),
    (V16, RawCommand("GetConfiguration", {}), {"configurationKey": []}),
    (V16, RawCommand("ChangeConfiguration", {"key": "a", "value": "b"}), ACCEPTED),
    (V201, TriggerMessage("BootNotification"), ACCEPTED),
    (
        V201,
        RawCommand(
            "GetVariables",
            {"getVariableData": [{"component": {"name": "c"}, "variable": {"name": "v"}}]},
        ),
        {
            "getVariableResult": [
                {
                    "attributeStatus": "UnknownVariable",
                    "component": {"name": "c"},
                    "variable": {"name": "v"},
                }
            ]
        },
    ),
]


@pytest.mark.parametrize(("version", "command", "answer"), with_2_1(ALLOWED_WHILE_PENDING))
async def test_statement_34_a_pending_station_may_be_asked_and_configured(
    hub: RunningHub, version: str, command: Command, answer: dict[str, Any]
) -> None:
    station = await unaccepted(hub, version, "Pending")
    await station.boot()
    sent = hub.send(station.identity, command)
    await station.reply(await station.asked(), answer)
    assert (await sent).payload == answer
    assert station.socket.close_code is None
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_34_a_pending_station_may_not_be_started_or_stopped(
    hub: RunningHub, version: str
) -> None:
    station = await unaccepted(hub, version, "Pending")
    await station.boot()
    for command in NEVER_BEFORE_ACCEPTANCE:
        with pytest.raises(StationNotAccepted, match="Pending"):
            await hub.send(station.identity, command)
    assert (await station.boot())["status"] == "Pending"
    assert not station.inbox
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_35_the_interval_is_a_heartbeats_or_a_retrys(
    hub: RunningHub, version: str
) -> None:
    station = await hub.connect(await hub.new_station(), version)
    assert (await station.boot())["interval"] == hub.settings.heartbeat_interval_s
    async with hub.database.write() as connection:
        await connection.execute(
            charging_stations.update()
            .where(charging_stations.c.identity == station.identity)
            .values(heartbeat_interval_s=77)
        )
    assert (await station.boot())["interval"] == 77
    for registration in ("Pending", "Rejected"):
        await hub.register(station.identity, registration)
        answer = await station.boot()
        assert (answer["status"], answer["interval"]) == (registration, 60)
    await station.leave()


@pytest.mark.parametrize(
    ("version", "action"),
    [(V16, "GetConfiguration"), (V201, "GetBaseReport"), (V21, "GetBaseReport")],
)
async def test_statement_37_the_inventory_is_asked_for_once_a_firmware(
    hub: RunningHub, version: str, action: str
) -> None:
    identity = await hub.new_station(inventoried=False)
    station = await hub.connect(identity, version)
    await station.boot()
    asked = await station.asked()
    assert asked[2] == action
    await station.reply(asked, {"configurationKey": []} if version == V16 else ACCEPTED)
    await hub.until(
        "SELECT inventoried_firmware FROM charging_stations WHERE id = :id",
        "",
        id=hub.station_ids[identity],
    )
    await station.boot()
    changed = dict(BOOTS[version])
    if version == V16:
        changed["firmwareVersion"] = "2.0"
    else:
        changed["chargingStation"] = {**changed["chargingStation"], "firmwareVersion": "2.0"}
    await station.call("BootNotification", changed)
    assert (await station.asked())[2] == action
    assert not station.inbox
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_field_too_many_or_too_long_keeps_no_station_from_booting(
    hub: RunningHub, version: str
) -> None:
    station = await hub.connect(await hub.new_station(), version)
    boot: dict[str, Any] = json.loads(json.dumps(BOOTS[version]))
    place = boot if version == V16 else boot["chargingStation"]
    place["firmwareVersion"], place["invented"], place["iccid"] = "v" * 51, 1, None
    answer = await station.call("BootNotification", boot)
    assert answer["status"] == "Accepted"
    query = "SELECT firmware_version FROM charging_stations WHERE identity = :identity"
    assert await hub.value(query, identity=station.identity) == "v" * 51
    kept = {"kind": "BootNotification", "flagged": True}
    assert await hub.count("station_notices", station.identity, **kept) == 1
    # Who does not even say what it is, is turned away in words that it understands.
    place.pop("chargePointModel" if version == V16 else "model")
    assert (await station.call("BootNotification", boot))["status"] == "Rejected"
    await station.leave()
