"""Every command of both versions over the real path: what leaves, and what its answer becomes.

The wire is judged by the reference validator, another engine than the server's own.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema.validators import validator_for
from prometheus_client import REGISTRY

from chargehub.kit.errors import ChargeHubError
from chargehub.ocpp import DIALECTS, OcppVersion
from chargehub.ocpp.schemas import read_schema
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    GetTransactionStatus,
    RawCommand,
    ReportInventory,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    ResetKind,
    ResetStation,
    StationAnswerError,
    StationBusy,
    StationOffline,
    StationTimeout,
    TriggerMessage,
    UnlockConnector,
    UnsupportedByStation,
)
from tests.fakes.lossy import LossySource
from tests.hub_fixtures import (
    DEADLINE_S,
    V2X,
    V16,
    V201,
    VERSIONS,
    Payload,
    RunningHub,
    Station,
    at,
    running_hub,
)

TRY_AGAIN_LATER = 1013

QUEUED = 4
LIMITS = {"outbound_waiting": QUEUED}
ACCEPTED = {"status": "Accepted"}
EXPIRY = datetime(2026, 7, 1, 8, 0, 0, 123_456, tzinfo=UTC)
EXPIRY_TEXT = "2026-07-01T08:00:00.123Z"
PYTHONS_TEXT = "2026-07-01T16:00:00.123456+08:00"
CARD = {"idToken": "CARD", "type": "ISO14443"}
GROUP = {"idToken": "FLEET", "type": "Central"}
POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}

V16_COMMANDS: list[tuple[Command, str, Payload, Payload]] = [
    (
        RequestStartTransaction("CARD", "ISO14443", 7, evse_no=2, group_id_token="FLEET"),
        "RemoteStartTransaction",
        {"connectorId": 2, "idTag": "CARD"},
        ACCEPTED,
    ),
    (
        RequestStartTransaction("CARD", None, 7),
        "RemoteStartTransaction",
        {"idTag": "CARD"},
        {"status": "Rejected"},
    ),
    (RequestStopTransaction("7"), "RemoteStopTransaction", {"transactionId": 7}, ACCEPTED),
    (ResetStation(ResetKind.IMMEDIATE), "Reset", {"type": "Hard"}, ACCEPTED),
    (ResetStation(ResetKind.ON_IDLE), "Reset", {"type": "Soft"}, {"status": "Rejected"}),
    (
        ChangeAvailability(operative=False),
        "ChangeAvailability",
        {"connectorId": 0, "type": "Inoperative"},
        {"status": "Scheduled"},
    ),
    (
        ChangeAvailability(operative=True, evse_no=2, connector_no=1),
        "ChangeAvailability",
        {"connectorId": 2, "type": "Operative"},
        ACCEPTED,
    ),
    (UnlockConnector(2), "UnlockConnector", {"connectorId": 2}, {"status": "UnlockFailed"}),
    (
        ReserveNow(5, EXPIRY, "CARD", "ISO14443", "FLEET", 1),
        "ReserveNow",
        {
            "connectorId": 1,
            "expiryDate": EXPIRY_TEXT,
            "idTag": "CARD",
            "parentIdTag": "FLEET",
            "reservationId": 5,
        },
        {"status": "Occupied"},
    ),
    (
        ReserveNow(5, EXPIRY, "CARD"),
        "ReserveNow",
        {"connectorId": 0, "expiryDate": EXPIRY_TEXT, "idTag": "CARD", "reservationId": 5},
        ACCEPTED,
    ),
    (CancelReservation(5), "CancelReservation", {"reservationId": 5}, ACCEPTED),
    (ClearCache(), "ClearCache", {}, ACCEPTED),
    (
        TriggerMessage("StatusNotification", evse_no=1),
        "TriggerMessage",
        {"connectorId": 1, "requestedMessage": "StatusNotification"},
        {"status": "NotImplemented"},
    ),
    (TriggerMessage("Heartbeat"), "TriggerMessage", {"requestedMessage": "Heartbeat"}, ACCEPTED),
    (ReportInventory(9), "GetConfiguration", {}, {"configurationKey": []}),
    (
        RawCommand("GetConfiguration", {"key": ["HeartbeatInterval"]}),
        "GetConfiguration",
        {"key": ["HeartbeatInterval"]},
        {"unknownKey": ["HeartbeatInterval"]},
    ),
    (
        RawCommand("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        "ChangeConfiguration",
        {"key": "HeartbeatInterval", "value": "60"},
        {"status": "RebootRequired"},
    ),
    (
        # Statement 39: also when an operator words it.
        RawCommand("GetDiagnostics", {"location": "ftp://127.0.0.1/", "startTime": PYTHONS_TEXT}),
        "GetDiagnostics",
        {"location": "ftp://127.0.0.1/", "startTime": EXPIRY_TEXT},
        {},
    ),
    (
        RawCommand("DataTransfer", {"vendorId": "made-up", "data": "衢州\n\"'"}),
        "DataTransfer",
        {"vendorId": "made-up", "data": "衢州\n\"'"},
        {"status": "Accepted", "data": "{}"},
    ),
]

V2X_COMMANDS: list[tuple[Command, str, Payload, Payload]] = [
    (
        RequestStartTransaction("CARD", "ISO14443", 7, evse_no=2, group_id_token="FLEET"),
        "RequestStartTransaction",
        {"evseId": 2, "groupIdToken": GROUP, "idToken": CARD, "remoteStartId": 7},
        {"status": "Accepted", "transactionId": "tx-1"},
    ),
    (
        RequestStartTransaction("CARD", None, 8),
        "RequestStartTransaction",
        {"idToken": {"idToken": "CARD", "type": "Central"}, "remoteStartId": 8},
        {"status": "Rejected"},
    ),
    (
        RequestStopTransaction("tx-1"),
        "RequestStopTransaction",
        {"transactionId": "tx-1"},
        ACCEPTED,
    ),
    (ResetStation(ResetKind.IMMEDIATE), "Reset", {"type": "Immediate"}, ACCEPTED),
    (ResetStation(ResetKind.ON_IDLE), "Reset", {"type": "OnIdle"}, {"status": "Scheduled"}),
    (
        ChangeAvailability(operative=False),
        "ChangeAvailability",
        {"operationalStatus": "Inoperative"},
        {"status": "Scheduled"},
    ),
    (
        ChangeAvailability(operative=True, evse_no=2, connector_no=1),
        "ChangeAvailability",
        {"evse": {"connectorId": 1, "id": 2}, "operationalStatus": "Operative"},
        ACCEPTED,
    ),
    (
        UnlockConnector(2),
        "UnlockConnector",
        {"connectorId": 1, "evseId": 2},
        {"status": "OngoingAuthorizedTransaction"},
    ),
    (
        ReserveNow(5, EXPIRY, "CARD", "ISO14443", "FLEET", 1),
        "ReserveNow",
        {
            "evseId": 1,
            "expiryDateTime": EXPIRY_TEXT,
            "groupIdToken": GROUP,
            "id": 5,
            "idToken": CARD,
        },
        {"status": "Faulted"},
    ),
    (CancelReservation(5), "CancelReservation", {"reservationId": 5}, ACCEPTED),
    (ClearCache(), "ClearCache", {}, {"status": "Rejected"}),
    (
        TriggerMessage("StatusNotification", evse_no=1),
        "TriggerMessage",
        {"evse": {"connectorId": 1, "id": 1}, "requestedMessage": "StatusNotification"},
        ACCEPTED,
    ),
    (TriggerMessage("Heartbeat"), "TriggerMessage", {"requestedMessage": "Heartbeat"}, ACCEPTED),
    (
        GetTransactionStatus("tx-1"),
        "GetTransactionStatus",
        {"transactionId": "tx-1"},
        {"messagesInQueue": True, "ongoingIndicator": False},
    ),
    (GetTransactionStatus(), "GetTransactionStatus", {}, {"messagesInQueue": False}),
    (
        ReportInventory(9),
        "GetBaseReport",
        {"reportBase": "FullInventory", "requestId": 9},
        {"status": "EmptyResultSet"},
    ),
    (
        RawCommand("GetVariables", {"getVariableData": [POWER]}),
        "GetVariables",
        {"getVariableData": [POWER]},
        {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "5", **POWER}]},
    ),
    (
        RawCommand("SetVariables", {"setVariableData": [{"attributeValue": "5", **POWER}]}),
        "SetVariables",
        {"setVariableData": [{"attributeValue": "5", **POWER}]},
        {"setVariableResult": [{"attributeStatus": "RebootRequired", **POWER}]},
    ),
    (
        RawCommand("ReserveNow", {"id": 5, "expiryDateTime": PYTHONS_TEXT, "idToken": CARD}),
        "ReserveNow",
        {"id": 5, "expiryDateTime": EXPIRY_TEXT, "idToken": CARD},
        ACCEPTED,
    ),
    (
        RawCommand("DataTransfer", {"vendorId": "made-up", "data": {"a": [1, None, {}]}}),
        "DataTransfer",
        {"vendorId": "made-up", "data": {"a": [1, None, {}]}},
        {"status": "Accepted", "data": [None, {}]},
    ),
]

COMMANDS = [
    *((V16, *row) for row in V16_COMMANDS),
    *((version, *row) for version in V2X for row in V2X_COMMANDS),
]


def official(version: str, action: str, *, answer: bool = False) -> Any:
    """Return the reference validator of a message."""
    dialect = DIALECTS[OcppVersion(version)]
    suffix = "Response" if answer else dialect.request_suffix
    schema = read_schema(dialect.schema_folder, action + suffix)
    return validator_for(schema)(schema)


@pytest.mark.parametrize(("version", "command", "action", "payload", "answer"), COMMANDS)
async def test_statements_28_39_101_a_command_leaves_valid_and_its_answer_comes_back_whole(
    hub: RunningHub, version: str, command: Command, action: str, payload: Payload, answer: Payload
) -> None:
    official(version, action, answer=True).validate(answer)  # Or the test proves nothing.
    async with hub.station(version) as station:
        sent = hub.send(station.identity, command)
        raw = await station.socket.recv()
        asked = json.loads(raw)
        assert asked == [2, asked[1], action, payload]
        official(version, action).validate(asked[3])
        if action != "DataTransfer":  # Statement 28; a vendor's own JSON travels untouched.
            text = str(raw).removesuffix("{}]")
            assert not any(absent in text for absent in ("null", "[]", "{}", ": ", ", "))
        await station.reply(asked, answer)
        result = await sent
        assert result.payload == answer
        words = [item["attributeStatus"] for item in answer.get("setVariableResult", ())]
        assert result.status == (words[0] if words else answer.get("status"))


# The rest of a CALLERROR after its id, and what becomes of the command.
ERRORS: list[tuple[list[Any], type[ChargeHubError], str]] = [
    (["NotImplemented", "no", {}], UnsupportedByStation, "NotImplemented"),
    (["NotSupported", "no", {}], UnsupportedByStation, "NotSupported"),
    (["InternalError", "no", {}], StationAnswerError, "InternalError"),
    (["FormationViolation", "", {}], StationAnswerError, "FormatViolation"),
    (["OccurenceConstraintViolation", "", {}], StationAnswerError, "OccurrenceConstraintViolation"),
    (["GenericError", "no", "details as text"], StationAnswerError, "GenericError"),
    (["GenericError", "no", [1, 2]], StationAnswerError, "GenericError"),
    (["GenericError", "no", None], StationAnswerError, "GenericError"),
    (["GenericError", "x" * 5_000, {"deep": [{}]}], StationAnswerError, "GenericError"),
    (["GenericError", "no"], StationAnswerError, "GenericError"),
    (["NotImplemented"], UnsupportedByStation, "NotImplemented"),
    (["Tired", "of\x00 work\ud800", {}, "more", "still more"], StationAnswerError, "Tired"),
    ([None, None, None], StationAnswerError, ""),
    ([7, {}, []], StationAnswerError, ""),
    ([], StationAnswerError, ""),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("rest", "error", "code"), ERRORS)
async def test_an_error_of_the_station_has_a_name(
    hub: RunningHub,
    version: str,
    rest: list[Any],
    error: type[ChargeHubError],
    code: str,
) -> None:
    async with hub.station(version) as station:
        command = hub.send(station.identity, ClearCache())
        asked = await station.asked()
        await station.send([4, asked[1], *rest])
        with pytest.raises(error) as failed:
            await command
        assert failed.value.facts["station_error"] == code
        assert len(failed.value.facts["station_detail"]) <= 255
        assert "\x00" not in failed.value.facts["station_detail"]
        await still_obeys(hub, station)


async def still_obeys(hub: RunningHub, station: Station) -> None:
    command = hub.send(station.identity, ClearCache())
    await station.reply(await station.asked(), ACCEPTED)
    assert (await command).status == "Accepted"


async def test_a_station_that_was_never_here_or_has_left_is_offline(hub: RunningHub) -> None:
    identity = await hub.new_station()
    with pytest.raises(StationOffline):
        await hub.send(identity, ClearCache())
    station = await hub.connect(identity)
    await station.leave()
    await hub.until(
        "SELECT disconnected_at IS NOT NULL FROM station_connections WHERE station_id = :id",
        True,
        id=hub.station_ids[identity],
    )
    with pytest.raises(StationOffline):
        await hub.send(identity, ClearCache())


@pytest.mark.parametrize("end", ["leave", "vanish"])
async def test_a_command_whose_station_goes_away_fails_at_once(hub: RunningHub, end: str) -> None:
    station = await hub.connect(await hub.new_station())
    commands = [hub.send(station.identity, ClearCache()) for _ in range(2)]
    await station.asked()
    await getattr(station, end)()
    async with asyncio.timeout(DEADLINE_S):
        outcomes = await asyncio.gather(*commands, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StationOffline] * 2


async def test_a_mute_station_is_a_timeout_and_obeys_later(hub: RunningHub) -> None:
    async with hub.station() as station:
        with hub.patience(0.05), pytest.raises(StationTimeout):
            await hub.send(station.identity, ClearCache())
        await station.asked()
        await still_obeys(hub, station)


BUSY = ("chargehub_limits_hit_total", {"limit": "outbound_waiting"})


async def test_a_full_queue_is_busy_and_loses_nobody(hub: RunningHub) -> None:
    async with hub.station(V201) as station:
        # One is on its way, QUEUED wait behind it.
        commands = [hub.send(station.identity, ClearCache()) for _ in range(1 + QUEUED)]
        first = await station.asked()
        before = REGISTRY.get_sample_value(*BUSY)
        assert before is not None
        with pytest.raises(StationBusy):
            await hub.send(station.identity, ClearCache())
        assert REGISTRY.get_sample_value(*BUSY) == before + 1
        await station.reply(first, ACCEPTED)
        for _ in range(QUEUED):
            await station.reply(await station.asked(), ACCEPTED)
        assert {(await command).status for command in commands} == {"Accepted"}
        await still_obeys(hub, station)


async def test_a_station_that_reads_nothing_is_a_timeout_too(hub: RunningHub) -> None:
    async with hub.station(compression=None) as station:
        station.socket.transport.pause_reading()
        # Until every buffer between us is full, and beyond.
        large = RawCommand("DataTransfer", {"vendorId": "made-up", "data": "x" * 2_000_000})
        async with asyncio.timeout(DEADLINE_S):
            for _ in range(6):
                with hub.patience(0.05), pytest.raises(StationTimeout):
                    await hub.send(station.identity, large)
        async with hub.station() as other:
            await still_obeys(hub, other)
        station.socket.transport.abort()


async def test_an_abandoned_command_leaves_the_line_free(hub: RunningHub) -> None:
    async with hub.station() as station:
        command = hub.send(station.identity, ClearCache())
        asked = await station.asked()
        command.cancel()
        assert isinstance(
            (await asyncio.gather(command, return_exceptions=True))[0], asyncio.CancelledError
        )
        await station.reply(asked, ACCEPTED)
        await still_obeys(hub, station)


@pytest.mark.parametrize(
    ("version", "command", "answer", "path", "value"),
    [
        (
            V16,
            ReportInventory(1),
            {"configurationKey": [{"key": "Interval", "readonly": False, "value": "60"}]},
            "Interval#Actual",
            "60",
        ),
        (
            V201,
            RawCommand("GetVariables", {"getVariableData": [POWER]}),
            {
                "getVariableResult": [
                    {"attributeStatus": "Accepted", "attributeValue": "5", **POWER}
                ]
            },
            "EVSE@1.Power#Actual",
            "5",
        ),
    ],
)
async def test_what_an_answer_reports_is_kept(
    hub: RunningHub, version: str, command: Command, answer: Payload, path: str, value: str
) -> None:
    async with hub.station(version) as station:
        sent = hub.send(station.identity, command)
        await station.reply(await station.asked(), answer)
        await sent
        await hub.until(
            "SELECT coalesce((SELECT value FROM station_variables"
            " WHERE station_id = :station AND path = :path), '')",
            value,
            station=hub.station_ids[station.identity],
            path=path,
        )


async def test_an_answer_whose_commit_was_lost_ends_the_socket(database_url: str) -> None:
    """Whether it was stored is not known: the station comes back, and nothing is assumed."""
    async with running_hub(database_url) as own:
        source = LossySource(database_url)
        own.hub.committer.source = source
        identity = await own.new_station()
        station = await own.connect(identity)
        await station.boot()
        command = own.send(identity, RawCommand("GetConfiguration", {}))
        call = await station.asked()
        source.lose_next = True
        await station.reply(call, {"configurationKey": [], "unknownKey": ["a"]})
        assert (await command).payload["unknownKey"] == ["a"]
        assert await station.closed() == TRY_AGAIN_LATER
        await (await own.connect(identity)).leave()


@pytest.mark.parametrize("version", V2X)
async def test_what_a_raw_request_asked_for_is_acknowledged_and_kept(
    hub: RunningHub, version: str
) -> None:
    """N02: the report comes by itself, page after page, long after the answer."""
    async with hub.station(version) as station:
        asking = hub.send(station.identity, RawCommand("GetMonitoringReport", {"requestId": 7}))
        await station.reply(await station.asked(), {"status": "Accepted"})
        assert (await asking).status == "Accepted"
        for page in (0, 1):
            report = {"requestId": 7, "seqNo": page, "tbc": page == 0, "generatedAt": at()}
            assert await station.call("NotifyMonitoringReport", report) == {}
        rows = await hub.rows(
            "SELECT kind, payload->>'seqNo' FROM station_notices WHERE station_id = :id"
            " AND NOT flagged ORDER BY id",
            id=hub.station_ids[station.identity],
        )
        assert [tuple(row) for row in rows] == [("NotifyMonitoringReport", page) for page in "01"]
