"""Commands to stations: the station's own answer, every failure, and what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from structlog.testing import capture_logs

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import (
    ChangeAvailability,
    CommandAnswer,
    InvalidCommand,
    RawCommand,
    RequestStartTransaction,
    ResetKind,
    ResetStation,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationTimeout,
    UnlockConnector,
    UnsupportedByStation,
)
from chargehub.stations.dispatch import CommandDesk, close_pending_as_unknown
from chargehub.stations.store import station_commands
from tests.integration.api.conftest import (
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

CS = "/charging-stations/cs"


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    """One station, `cs`, online."""
    async with running(module_database_url) as api:
        await make_location(api, "north")
        await make_station(api, "cs", "north")
        await make_station(api, "offline", "north")
        api.link.online.add(await api.station_id("cs"))
        yield api


async def newest(hub: RunningApi, identity: str = "cs") -> dict[str, Any]:
    page = await hub.viewer.get(f"/charging-stations/{identity}/commands", params={"limit": 1})
    [command] = page.json()["items"]
    found: dict[str, Any] = command
    return found


async def test_raw_command_answers_the_stations_own_result(hub: RunningApi) -> None:
    station_id = await hub.station_id("cs")
    hub.link.script(station_id, CommandAnswer("Odd", {"status": "Odd", "more": [1, {"a": None}]}))
    with capture_logs() as lines:
        response = await hub.operator.post(f"{CS}/commands/GetReport", json={"a": 1})
    assert response.status_code == 200
    (line,) = [line for line in lines if line["event"] == "station_command_closed"]
    assert (line["station_id"], line["action"], line["status"]) == (
        "cs",
        "GetReport",
        "Odd",
    )
    result = response.json()
    assert result["status"] == "Odd"
    assert result["payload"] == {"status": "Odd", "more": [1, {"a": None}]}
    assert hub.link.sent[-1] == (station_id, RawCommand("GetReport", {"a": 1}))
    record = await newest(hub)
    assert record["command_id"] == result["command_id"]
    assert (record["action"], record["payload"]) == ("GetReport", {"a": 1})
    assert (record["requested_by"], record["outcome"]) == ("operator", "answered")
    assert record["answer"] == result["payload"]
    assert record["completed_at"] >= record["requested_at"]


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (UnsupportedByStation(), 409, "unsupported"),
        (StationNotAccepted(), 409, "failed"),
        (InvalidCommand("type: is required"), 422, "failed"),
        (StationAnswerError("NotImplemented"), 502, "failed"),
        (StationBusy(), 503, "failed"),
        (StationTimeout(), 504, "timeout"),
    ],
)
async def test_failed_command_is_a_problem_and_on_record(
    hub: RunningApi, error: ChargeHubError, status: int, outcome: str
) -> None:
    hub.link.script(await hub.station_id("cs"), error)
    response = await hub.operator.post(f"{CS}/commands/Reset", json={"type": "Soft"})
    document = problem_of(response, status, error.code)
    record = await newest(hub)
    assert record["command_id"] == document["command_id"]
    assert (record["outcome"], record["status"]) == (outcome, error.code)


async def test_offline_station_is_a_conflict(hub: RunningApi) -> None:
    response = await hub.operator.post("/charging-stations/offline/commands/Reset", json={})
    problem_of(response, 409, "station-offline")
    assert (await newest(hub, "offline"))["outcome"] == "offline"
    missing = await hub.operator.post("/charging-stations/missing/commands/Reset", json={})
    problem_of(missing, 404, "not-found")


async def test_version_free_orders(hub: RunningApi) -> None:
    station_id = await hub.station_id("cs")
    for path, body, command in (
        ("reset", {"kind": "Immediate"}, ResetStation(ResetKind.IMMEDIATE)),
        ("reset", {}, ResetStation(ResetKind.ON_IDLE)),
        ("unlock", {"evse_no": 2}, UnlockConnector(2, 1)),
    ):
        response = await hub.operator.post(f"{CS}/{path}", json=body)
        assert response.status_code == 200, response.text
        assert response.json()["status"] == "Accepted"
        assert hub.link.sent[-1] == (station_id, command)
    unknown = await hub.operator.post(f"{CS}/unlock", json={"evse_no": 3})
    problem_of(unknown, 404, "not-found")


async def wanted(hub: RunningApi, identity: str = "cs") -> tuple[bool, list[bool]]:
    detail = (await hub.viewer.get(f"/charging-stations/{identity}")).json()
    return detail["wanted_operative"], [evse["wanted_operative"] for evse in detail["evses"]]


async def test_scheduled_keeps_wanted_and_actual_apart(hub: RunningApi) -> None:
    station_id = await hub.station_id("cs")
    hub.link.script(station_id, CommandAnswer("Scheduled", {"status": "Scheduled"}))
    response = await hub.operator.post(
        f"{CS}/availability", json={"operative": False, "evse_no": 2}
    )
    assert response.json()["status"] == "Scheduled"
    assert hub.link.sent[-1] == (station_id, ChangeAvailability(operative=False, evse_no=2))
    assert await wanted(hub) == (True, [True, False])
    detail = (await hub.viewer.get(CS)).json()
    assert detail["evses"][1]["status"] == "Unknown"
    await hub.operator.post(f"{CS}/availability", json={"operative": True, "evse_no": 2})
    await hub.operator.post(f"{CS}/availability", json={"operative": False})
    assert hub.link.sent[-1] == (station_id, ChangeAvailability(operative=False, evse_no=0))
    assert await wanted(hub) == (False, [True, True])


async def test_wish_is_kept_when_the_station_is_offline(hub: RunningApi) -> None:
    response = await hub.operator.post(
        "/charging-stations/offline/availability", json={"operative": False}
    )
    assert (response.status_code, response.json()["outcome"]) == (202, "queued")
    assert await wanted(hub, "offline") == (False, [True, True])


async def test_secrets_are_sent_and_not_recorded(hub: RunningApi) -> None:
    secret = "00112233445566778899AABBCCDDEEFF"
    payloads: list[tuple[str, dict[str, Any]]] = [
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": secret}),
        (
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                        "attributeValue": secret,
                    }
                ]
            },
        ),
    ]
    for action, payload in payloads:
        await hub.admin.post(f"{CS}/commands/{action}", json=payload)
        assert hub.link.sent[-1][1] == RawCommand(action, payload)
        history = await hub.viewer.get(f"{CS}/commands")
        assert action in history.text
        assert secret not in history.text


UNDER_PROFILE = {"idTag": "CARD-1", "chargingProfile": {}}


async def test_a_start_without_profile_may_be_worded_by_hand(hub: RunningApi) -> None:
    payload = {"idTag": "CARD-1", "connectorId": 1}
    answer = await hub.operator.post(f"{CS}/commands/RemoteStartTransaction", json=payload)
    assert answer.status_code == 200, answer.text
    assert hub.link.sent[-1][1] == RawCommand("RemoteStartTransaction", payload)


@pytest.mark.parametrize("query", [{}, {"durable": True}])
@pytest.mark.parametrize(
    ("action", "payload", "endpoint"),
    [
        ("SetChargingProfile", {"connectorId": 0}, "POST /api/v1{}/charging-profiles"),
        ("ClearChargingProfile", {}, "DELETE /api/v1{}/charging-profiles"),
        ("ChangeAvailability", {"type": "Inoperative"}, "POST /api/v1{}/availability"),
        ("RemoteStartTransaction", UNDER_PROFILE, "POST /api/v1{}/start-under-profile"),
        ("RequestStartTransaction", UNDER_PROFILE, "POST /api/v1{}/start-under-profile"),
    ],
)
async def test_what_the_hub_keeps_books_of_is_not_sent_as_it_is(
    hub: RunningApi, action: str, payload: dict[str, Any], endpoint: str, query: dict[str, Any]
) -> None:
    """The ledger would believe in limits that are gone."""
    sent = len(hub.link.sent)
    answer = await hub.admin.post(f"{CS}/commands/{action}", json=payload, params=query)
    document = problem_of(answer, 422, "command-kept-in-books")
    assert document["endpoint"] == endpoint.format(CS)
    told = f"{action} with a charging profile" if payload is UNDER_PROFILE else action
    assert document["detail"] == f"{told} is sent by {document['endpoint']}."
    assert len(hub.link.sent) == sent


ECHOES: list[tuple[str, dict[str, Any], CommandAnswer | ChargeHubError]] = [
    (
        "SetVariables",
        {
            "setVariableData": [
                {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                    "attributeValue": "echoed-7d",
                }
            ]
        },
        CommandAnswer(
            "Rejected",
            {
                "setVariableResult": [
                    {
                        "attributeStatus": "Rejected",
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                        "attributeStatusInfo": {
                            "reasonCode": "TooShort",
                            "additionalInfo": "echoed-7d is too short",
                        },
                    }
                ]
            },
        ),
    ),
    (
        "ChangeConfiguration",
        {"key": "AuthorizationKey", "value": "echoed-7d"},
        StationAnswerError(
            "The station answered GenericError.",
            station_error="GenericError",
            station_detail="cannot store echoed-7d",
        ),
    ),
]


@pytest.mark.parametrize(("action", "payload", "outcome"), ECHOES)
async def test_a_secret_that_the_station_repeats_is_not_on_record(
    hub: RunningApi, action: str, payload: dict[str, Any], outcome: CommandAnswer | ChargeHubError
) -> None:
    hub.link.script(await hub.station_id("cs"), outcome)
    answer = await hub.admin.post(f"{CS}/commands/{action}", json=payload)
    history = await hub.viewer.get(f"{CS}/commands")
    async with hub.database.read() as connection:
        stored = await connection.execute(
            select(station_commands.c.answer).where(station_commands.c.action == action)
        )
    for shown in (answer.text, history.text, str(stored.all())):
        assert "echoed-7d" not in shown
    if isinstance(outcome, CommandAnswer):
        # What it says in the standard's words is kept.
        (result,) = (await newest(hub))["answer"]["setVariableResult"]
        assert result["attributeStatus"] == "Rejected"
        assert result["attributeStatusInfo"]["reasonCode"] == "TooShort"


def set_variable(name: str) -> dict[str, Any]:
    variable = {"component": {"name": "X"}, "variable": {"name": name}, "attributeValue": "1"}
    return {"setVariableData": [{**variable, "variable": {"name": "Interval"}}, variable]}


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("CertificateSigned", {}),
        ("DeleteCertificate", {}),
        ("InstallCertificate", {}),
        ("PublishFirmware", {}),
        ("SetNetworkProfile", {}),
        ("SignedUpdateFirmware", {}),
        ("UpdateFirmware", {"location": "https://example.org/firmware.bin"}),
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": "1"}),
        ("ChangeConfiguration", {"key": "authorizationkey", "value": "1"}),
        ("ChangeConfiguration", {"key": "WebPassword", "value": "1"}),
        ("SetVariables", set_variable("BasicAuthPassword")),
        ("SetVariables", set_variable("BASICAUTHPASSWORD")),
        ("ChangeConfiguration", {"key": "CentralSystemURL", "value": "evil.example"}),
        ("ChangeConfiguration", {"key": "X1", "value": "wss://evil.example"}),
        ("SetVariables", set_variable("OcppCsmsUrl")),
        ("DataTransfer", {"vendorId": "v", "data": "connect elsewhere"}),
        ("GetDiagnostics", {"location": "ftp://evil.example"}),
        ("GetLog", {"log": {"remoteLocation": "ftp://evil.example"}}),
    ],
)
async def test_what_a_station_trusts_connects_to_or_executes_is_for_admins(
    hub: RunningApi, action: str, payload: dict[str, Any]
) -> None:
    sent = len(hub.link.sent)
    refused = await hub.operator.post(f"{CS}/commands/{action}", json=payload)
    assert problem_of(refused, 403, "forbidden")["needed_role"] == "admin"
    assert len(hub.link.sent) == sent
    allowed = await hub.admin.post(f"{CS}/commands/{action}", json=payload)
    assert allowed.status_code == 200, allowed.text
    assert hub.link.sent[-1][1] == RawCommand(action, payload)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "300"}),
        ("SetVariables", set_variable("HeartbeatInterval")),
        ("GetConfiguration", {"key": ["AuthorizationKey"]}),
        ("GetInstalledCertificateIds", {}),
    ],
)
async def test_the_rest_is_for_operators(
    hub: RunningApi, action: str, payload: dict[str, Any]
) -> None:
    allowed = await hub.operator.post(f"{CS}/commands/{action}", json=payload)
    assert allowed.status_code == 200, allowed.text


async def test_an_answers_secrets_are_neither_shown_nor_recorded(hub: RunningApi) -> None:
    keys = [{"key": "AuthorizationKey", "readonly": False, "value": "marker-4f"}]
    hub.link.script(await hub.station_id("cs"), CommandAnswer(None, {"configurationKey": keys}))
    answer = await hub.admin.post(f"{CS}/commands/GetConfiguration", json={})
    assert answer.status_code == 200
    history = await hub.admin.get(f"{CS}/commands")
    for shown in (answer.text, history.text):
        assert "(redacted)" in shown
        assert "marker-4f" not in shown


async def test_statement_17_a_pin_is_sent_and_not_shown(hub: RunningApi) -> None:
    command = RequestStartTransaction("471147", "KeyCode", 7)
    desk = CommandDesk(hub.database, hub.link, hub.clock)
    await desk.send(await hub.station_id("cs"), command, "test", id_token="471147")
    assert hub.link.sent[-1][1] == command
    history = await hub.viewer.get(f"{CS}/commands")
    assert '"remote_start_id":7' in history.text
    assert "471147" not in history.text


async def test_no_database_transaction_is_open_during_the_round_trip(hub: RunningApi) -> None:
    silence = asyncio.Event()
    hub.link.script(await hub.station_id("cs"), silence)
    sent = len(hub.link.sent)
    asking = asyncio.create_task(hub.operator.post(f"{CS}/reset", json={}))
    async with asyncio.timeout(10):
        while len(hub.link.sent) == sent:  # noqa: ASYNC110  # The fake offers no event.
            await asyncio.sleep(0.01)
    record = await newest(hub)
    assert (record["outcome"], record["completed_at"]) == ("pending", None)
    async with hub.database.read() as connection:
        open_transactions = (
            await connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%%' AND pid <> pg_backend_pid()"
            )
        ).scalar_one()
    assert open_transactions == 0
    silence.set()
    assert (await asking).status_code == 200
    assert (await newest(hub))["outcome"] == "answered"


async def test_commands_pending_at_start_up_become_unknown(hub: RunningApi) -> None:
    silence = asyncio.Event()
    hub.link.script(await hub.station_id("cs"), silence)
    sent = len(hub.link.sent)
    asking = asyncio.create_task(hub.operator.post(f"{CS}/reset", json={}))
    async with asyncio.timeout(10):
        while len(hub.link.sent) == sent:  # noqa: ASYNC110  # The fake offers no event.
            await asyncio.sleep(0.01)
    command_id = (await newest(hub))["command_id"]
    async with hub.database.write() as connection:
        closed = await close_pending_as_unknown(connection, hub.clock.now())
    assert [str(item) for item in closed] == [command_id]
    assert (await newest(hub))["outcome"] == "unknown"
    silence.set()
    await asking


async def test_history_pages_and_filters(hub: RunningApi) -> None:
    async with hub.database.read() as connection:
        station_id = await hub.station_id("cs")
        total = await connection.scalar(
            select(func.count())
            .select_from(station_commands)
            .where(station_commands.c.station_id == station_id)
        )
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 4}
    while True:
        page = (await hub.viewer.get(f"{CS}/commands", params=query)).json()
        seen += [item["command_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == total
    timeouts = (await hub.viewer.get(f"{CS}/commands", params={"outcome": "timeout"})).json()
    assert {item["outcome"] for item in timeouts["items"]} == {"timeout"}
    audit = (await hub.admin.get("/audit", params={"action": "station.command"})).json()
    assert {entry["subject"] for entry in audit["items"]} == {"cs", "offline"}
