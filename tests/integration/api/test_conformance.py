"""The test adapter as a suite meets it: whom it lets in, and that each operation really works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from websockets.exceptions import InvalidStatus

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import AccessService
from chargehub.conformance.rules import action_of, is_from_here
from chargehub.kit.clock import ClockPair, HubClock
from tests.hub_fixtures import TOKEN, V2X, V16, V201, VERSIONS, RunningHub, at, running_hub, status
from tests.integration.api.conftest import NO_TLS, problem_of

LOGIN_PASSWORD = "a password for tests"
NEW_PASSWORD = "another-password-of-the-suite"
Clients = dict[str, httpx.AsyncClient]


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningHub]:
    async with running_hub(module_database_url, demo=True, conformance_adapter=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def clients(hub: RunningHub) -> AsyncIterator[Clients]:
    """One client per role, and one of nobody."""
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    access = AccessService(hub.database, HubClock(ClockPair(0, 0, 1)), passwords=cheap)
    tokens: dict[str, str | None] = {"nobody": None}
    for role in Role:
        await access.add_operator(
            login=role.value, role=role, password=LOGIN_PASSWORD, actor="test"
        )
        tokens[role.value] = (await access.log_in(role.value, LOGIN_PASSWORD, address="x")).token
    made = {
        name: httpx.AsyncClient(
            base_url=hub.addresses.api_url + "/api/octt",
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            verify=NO_TLS,
            trust_env=False,
            timeout=30,
        )
        for name, token in tokens.items()
    }
    yield made
    for client in made.values():
        await client.aclose()


@pytest.fixture
def suite(clients: Clients) -> httpx.AsyncClient:
    return clients["conformance"]


def url(identity: str, rest: str) -> str:
    return f"/1.6/{identity}/{rest}"


async def done(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


# Who is let in ---------------------------------------------------------------------------------


async def test_there_is_no_adapter_unless_it_is_switched_on(database_url: str) -> None:
    async with running_hub(database_url, demo=True) as plain:
        base = plain.addresses.api_url
        async with httpx.AsyncClient(base_url=base, verify=NO_TLS, trust_env=False) as client:
            for path in ("/api/octt/create-token", "/api/octt/1.6/CS-1/call/Reset"):
                assert (await client.post(path, json={})).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_no_other_role_opens_it(clients: Clients, role: str) -> None:
    for path in ("/create-token", url("CS-1", "call/Reset"), url("CS-1", "set-pending-boot")):
        answer = problem_of(await clients[role].post(path, json={}), 403, "forbidden")
        assert answer["needed_role"] == "conformance"


async def test_nothing_is_open_without_a_login(clients: Clients) -> None:
    problem_of(await clients["nobody"].post("/create-token", json={}), 401, "unauthenticated")


async def test_its_role_opens_nothing_else(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    for path in ("/api/v1/charging-stations", "/api/v1/me", "/api/v1/operators", "/metrics"):
        problem_of(await suite.get(hub.addresses.api_url + path), 403, "forbidden")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_what_a_proxy_passes_on_is_refused(suite: httpx.AsyncClient, header: str) -> None:
    answer = await suite.post("/create-token", json={}, headers={header: "127.0.0.1"})
    problem_of(answer, 403, "not-of-this-machine")


async def test_another_machine_is_refused(clients: Clients) -> None:
    """Uvicorn takes a loopback proxy's word for the client: then that is whom we refuse."""
    answer = await clients["nobody"].post(
        "/create-token", json={}, headers={"X-Forwarded-For": "203.0.113.7"}
    )
    problem_of(answer, 403, "not-of-this-machine")


@pytest.mark.parametrize(
    ("host", "headers", "here"),
    [
        ("127.0.0.1", (), True),
        ("127.8.9.1", (), True),
        ("::1", (), True),
        ("::ffff:127.0.0.1", (), True),
        ("::ffff:192.0.2.1", (), False),
        ("192.0.2.1", (), False),
        ("10.0.0.1", (), False),
        ("localhost", (), False),
        (None, (), False),
        ("127.0.0.1", ("via",), False),
    ],
)
def test_who_is_of_this_machine(host: str | None, headers: tuple[str, ...], here: bool) -> None:
    assert is_from_here(host, headers) is here


def test_names_become_actions() -> None:
    assert action_of("get-installed-certificate-ids") == "GetInstalledCertificateIds"
    assert action_of("reset") == "Reset"


# What it does ----------------------------------------------------------------------------------


async def test_a_raw_call_may_clear_profiles(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    """Suites need it; operators have an endpoint that keeps the books."""
    async with hub.station(V16) as station:
        path = url(station.identity, "call/ClearChargingProfile")
        asking = asyncio.create_task(suite.post(path, json={}))
        call = await station.asked()
        assert call[2:] == ["ClearChargingProfile", {}]
        await station.reply(call, {"status": "Accepted"})
        assert (await done(await asking))["status"] == "Accepted"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["call/ClearCache", "clear-cache"])
async def test_a_raw_call_returns_what_the_station_answers(
    hub: RunningHub, suite: httpx.AsyncClient, version: str, path: str
) -> None:
    async with hub.station(version) as station:
        asking = asyncio.create_task(suite.post(url(station.identity, path), json={}))
        call = await station.asked()
        assert call[2:] == ["ClearCache", {}]
        await station.reply(call, {"status": "Accepted"})
        answer = await done(await asking)
        assert (answer["outcome"], answer["status"]) == ("result", "Accepted")
        assert answer["payload"] == {"status": "Accepted"}
        # It is on record as every command is.
        recorded = await hub.rows(
            "SELECT requested_by, raw, outcome FROM station_commands WHERE id = :id",
            id=answer["command_id"],
        )
        assert [tuple(row) for row in recorded] == [("conformance", True, "answered")]


@pytest.mark.parametrize("code", ["NotImplemented", "InternalError"])
async def test_a_callerror_is_an_answer(
    hub: RunningHub, suite: httpx.AsyncClient, code: str
) -> None:
    async with hub.station() as station:
        asking = asyncio.create_task(suite.post(url(station.identity, "clear-cache"), json={}))
        call = await station.asked()
        await station.send([4, call[1], code, "not today", {}])
        answer = await done(await asking)
    assert (answer["outcome"], answer["error_code"]) == ("error", code)
    assert answer["error_description"] == "not today"


async def test_a_raw_call_is_validated(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    async with hub.station() as station:
        wrong = await suite.post(url(station.identity, "reset"), json={"type": "Sideways"})
        problem_of(wrong, 422, "invalid-command")
        theirs = await suite.post(url(station.identity, "boot-notification"), json={})
        problem_of(theirs, 409, "unsupported-by-station")
        assert not station.inbox
    away = await suite.post(url(station.identity, "clear-cache"), json={})
    problem_of(away, 409, "station-offline")
    problem_of(await suite.post(url("nobody", "reset"), json={"type": "Soft"}), 404, "not-found")


@pytest.mark.parametrize("wanted", ["Accepted", "Blocked", "Expired"])
async def test_a_token_is_given_status_and_group(
    hub: RunningHub, suite: httpx.AsyncClient, wanted: str
) -> None:
    token = f"SUITE-{wanted}"
    body = {"token_id": token, "status": wanted, "group": "GROUP001"}
    await done(await suite.post("/create-token", json=body))
    async with hub.station() as station:
        answer = await station.call("Authorize", {"idTag": token})
    assert answer["idTagInfo"]["status"] == wanted
    assert answer["idTagInfo"]["parentIdTag"] == "GROUP001"


async def test_a_station_is_given_a_password(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    identity = await hub.new_station()
    body = {"station_id": identity, "password": NEW_PASSWORD}
    await done(await suite.post("/set-basic-auth-password", json=body))
    with pytest.raises(InvalidStatus):
        await hub.connect(identity)
    await (await hub.connect(identity, password=NEW_PASSWORD)).leave()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rejected", [False, True])
async def test_the_next_boot_is_decided(
    hub: RunningHub, suite: httpx.AsyncClient, version: str, rejected: bool
) -> None:
    identity = await hub.new_station()
    path = url(identity, "set-pending-boot")
    await done(await suite.post(path, json={"pending": True, "rejected": rejected}))
    station = await hub.connect(identity, version)
    assert (await station.boot())["status"] == ("Rejected" if rejected else "Pending")
    await done(await suite.post(path, json={"pending": False}))
    assert (await station.boot())["status"] == "Accepted"
    await station.leave()


@pytest.mark.parametrize("version", V2X)
async def test_item_limits_cut_the_requests(
    hub: RunningHub, suite: httpx.AsyncClient, version: str
) -> None:
    async with hub.station(version) as station:
        limits = {"get_variables": 2, "set_variables": 2, "get_report": 2}
        limit = url(station.identity, "set-items-per-message")
        await done(await suite.post(limit, json=limits))
        names = [
            {"component": {"name": "Ctrlr", "evse": {"id": 1}}, "variable": {"name": name}}
            for name in ("One", "Two", "Three")
        ]
        reading = asyncio.create_task(
            suite.post(url(station.identity, "get-variables"), json={"getVariableData": names})
        )
        for expected in (names[:2], names[2:]):
            call = await station.asked()
            assert call[2:] == ["GetVariables", {"getVariableData": expected}]
            told = [
                item | {"attributeStatus": "Accepted", "attributeValue": "7"} for item in expected
            ]
            await station.reply(call, {"getVariableResult": told})
        answer = await done(await reading)
        assert [item["variable"] for item in answer["told"]] == ["One", "Two", "Three"]
        items = [item | {"attributeValue": "8"} for item in names]
        writing = asyncio.create_task(
            suite.post(url(station.identity, "set-variables"), json={"setVariableData": items})
        )
        for expected in (items[:2], items[2:]):
            call = await station.asked()
            assert call[2:] == ["SetVariables", {"setVariableData": expected}]
            told = [
                {"attributeStatus": "Accepted"}
                | {key: item[key] for key in ("component", "variable")}
                for item in expected
            ]
            await station.reply(call, {"setVariableResult": told})
        answer = await done(await writing)
        assert [item["effect"] for item in answer["results"]] == ["applied"] * 3


async def test_a_security_profile_rises_and_never_falls(
    hub: RunningHub, suite: httpx.AsyncClient
) -> None:
    identity = await hub.new_station()
    path = url(identity, "set-security-profile")
    await done(await suite.post(path, json={"security_profile": 2}))
    with pytest.raises(InvalidStatus) as refused:
        await hub.connect(identity)
    assert refused.value.response.status_code == 403
    lowered = await suite.post(path, json={"security_profile": 1})
    problem_of(lowered, 409, "security-profile-lowered")


async def test_a_password_is_changed_over_ocpp(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    async with hub.station(V201) as station:
        changing = asyncio.create_task(
            suite.post(url(station.identity, "update-basic-auth-password"), json={})
        )
        call = await station.asked()
        [item] = call[3]["setVariableData"]
        password = item.pop("attributeValue")
        told = [item | {"attributeStatus": "Accepted"}]
        await station.reply(call, {"setVariableResult": told})
        answer = await done(await changing)
        assert answer == {"status": "Accepted", "valid_credentials": "new"}
    await (await hub.connect(station.identity, V201, password=password)).leave()


async def test_a_new_authorization_key_opens_the_door(
    hub: RunningHub, suite: httpx.AsyncClient
) -> None:
    key = "AABBCCDDEEFF00112233445566778899AABBCCDD"
    async with hub.station(V16) as station:
        body = {"key": "AuthorizationKey", "value": key}
        changing = asyncio.create_task(
            suite.post(url(station.identity, "change-configuration"), json=body)
        )
        call = await station.asked()
        assert call[2:] == ["ChangeConfiguration", body]
        await station.reply(call, {"status": "Accepted"})
        assert (await done(await changing))["status"] == "Accepted"
    with pytest.raises(InvalidStatus):
        await hub.connect(station.identity)
    await (await hub.connect(station.identity, password=bytes.fromhex(key))).leave()


async def test_the_latest_transaction_is_read(hub: RunningHub, suite: httpx.AsyncClient) -> None:
    async with hub.station() as station:
        path = url(station.identity, "latest-transaction")
        assert await done(await suite.get(path)) == {"transaction": None}
        await station.call("StatusNotification", status(V16))
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 0, "timestamp": at(60)}
        started = await station.call("StartTransaction", start)
        shown = (await done(await suite.get(path)))["transaction"]
        assert (shown["ref"], shown["state"]) == (str(started["transactionId"]), "Active")
        stop = {
            "transactionId": started["transactionId"],
            "meterStop": 5,
            "timestamp": at(),
            "reason": "EVDisconnected",
        }
        await station.call("StopTransaction", stop)
        shown = (await done(await suite.get(path, params={"id_token": TOKEN})))["transaction"]
        assert (shown["state"], shown["stopped_reason"]) == ("Ended", "EVDisconnected")
        none = await done(await suite.get(path, params={"id_token": "SOMEBODY-ELSE"}))
        assert none == {"transaction": None}
