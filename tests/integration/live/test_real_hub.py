"""The board of a real hub: what stations do over OCPP shows, and a restart shows the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import create_operator
from chargehub.kit.clock import wall_now
from tests.hub_fixtures import TOKEN, V16, V201, RunningHub, Station, at, running_hub, status
from tests.live_client import EventReader, Viewer, view_of

PASSWORD = "a password for tests"


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningHub]:
    async with running_hub(module_database_url) as running:
        password_hash = await Passwords().hash(PASSWORD)
        async with running.database.write() as connection:
            await create_operator(
                connection,
                wall_now(),
                login="watcher",
                role=Role.VIEWER,
                password_hash=password_hash,
                actor="test",
            )
        yield running


@pytest.fixture
async def client(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=hub.addresses.api_url, timeout=20) as client:
        login = {"login": "watcher", "password": PASSWORD}
        answer = await client.post("/api/v1/login", json=login)
        assert answer.status_code == HTTPStatus.OK
        yield client


async def board(client: httpx.AsyncClient) -> Viewer:
    answer = await client.get("/api/v1/live/snapshot")
    assert answer.status_code == HTTPStatus.OK
    return view_of(answer.content)


async def shown(
    client: httpx.AsyncClient, hub: RunningHub, station: Station, **expected: Any
) -> None:
    """Watch the stream until gun 1 of the station is as expected."""
    key = f"{hub.station_ids[station.identity]}-1"
    viewer, reader = Viewer(), EventReader()
    gun: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with client.stream("GET", "/api/v1/live") as response, asyncio.timeout(10):
            assert response.status_code == HTTPStatus.OK
            async for chunk in response.aiter_bytes():
                for event in reader.feed(chunk):
                    viewer.apply(event)
                gun = viewer.evses.get(key, {})
                if expected.items() <= gun.items():
                    return
    raise AssertionError(gun)


def sample(power_kw: float, register_wh: int, soc: int) -> list[dict[str, Any]]:
    return [
        {
            "timestamp": at(),
            "sampledValue": [
                {"measurand": "Energy.Active.Import.Register", "value": str(register_wh)},
                {"measurand": "Power.Active.Import", "value": str(power_kw), "unit": "kW"},
                {"measurand": "SoC", "value": str(soc), "unit": "Percent"},
            ],
        }
    ]


async def begin_v16(station: Station) -> int:
    await station.call("StatusNotification", status(V16, "Charging"))
    started = await station.call(
        "StartTransaction",
        {"connectorId": 1, "idTag": TOKEN, "meterStart": 1000, "timestamp": at(600)},
    )
    number: int = started["transactionId"]
    await station.call(
        "MeterValues",
        {"connectorId": 1, "transactionId": number, "meterValue": sample(88.5, 3500, 47)},
    )
    return number


async def test_a_transaction_shows_from_start_to_stop(
    hub: RunningHub, client: httpx.AsyncClient
) -> None:
    async with hub.station(V16) as station:
        number = await begin_v16(station)
        await shown(
            client,
            hub,
            station,
            status="Charging",
            transaction_id=number,
            power_w=88_500,
            energy_wh=2500,
            soc_percent=47.0,
        )
        await station.call(
            "StopTransaction", {"transactionId": number, "meterStop": 3501, "timestamp": at()}
        )
        await station.call("StatusNotification", status(V16, "Finishing"))
        await shown(client, hub, station, status="Finishing", transaction_id=None, power_w=None)
        seen = await board(client)
        assert seen.hub["energy_today_wh"]["hub"] >= 2501


async def test_a_connector_that_says_occupied_shows_what_its_transaction_says(
    hub: RunningHub, client: httpx.AsyncClient
) -> None:
    async with hub.station(V201) as station:
        await station.call("StatusNotification", status(V201, "Occupied"))
        await shown(client, hub, station, status="Occupied")
        event: dict[str, Any] = {
            "eventType": "Started",
            "timestamp": at(),
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "T-1", "chargingState": "EVConnected"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": TOKEN, "type": "ISO14443"},
        }
        await station.call("TransactionEvent", event)
        await shown(client, hub, station, status="Preparing")
        event |= {"eventType": "Updated", "triggerReason": "ChargingStateChanged", "seqNo": 1}
        event["timestamp"] = at()
        event["transactionInfo"]["chargingState"] = "Charging"
        await station.call("TransactionEvent", event)
        await shown(client, hub, station, status="Charging")


async def evses(client: httpx.AsyncClient, **query: str) -> dict[str, dict[str, Any]]:
    """Return all that REST lists for the query, page by page, by the keys of a simple name."""
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get("/api/v1/evses", params={"limit": "2", **query, **cursor})
        page = answer.raise_for_status().json()
        for item in page["items"]:
            found[f"{item['station_identity']}-{item['evse_no']}"] = item
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_rest_and_board_say_the_same_of_every_gun(
    hub: RunningHub, client: httpx.AsyncClient
) -> None:
    """A 2.x connector only says Occupied while it charges; an absent station's says Available."""
    async with hub.station(V201) as station, hub.station(V16) as other:
        await station.call("StatusNotification", status(V201, "Occupied"))
        event: dict[str, Any] = {
            "eventType": "Started",
            "timestamp": at(),
            "triggerReason": "ChargingStateChanged",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "T-9", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": TOKEN, "type": "ISO14443"},
        }
        await station.call("TransactionEvent", event)
        await other.call("StatusNotification", status(V16, "Available"))
        await shown(client, hub, station, status="Charging")
        await shown(client, hub, other, status="Available")
        every = await evses(client)
        charging = await evses(client, state="Charging")
        gun = charging[f"{station.identity}-1"]
        assert (gun["state"], gun["status"], gun["online"]) == ("Charging", "Occupied", True)
        assert f"{station.identity}-1" in await evses(client, status="Occupied")
        assert f"{other.identity}-1" in await evses(client, state="Available", online="true")
        counts = Counter(item["state"] for item in every.values())
        assert counts == Counter((await board(client)).hub["evses_by_state"])
        for state in counts:
            same = {key for key, item in every.items() if item["state"] == state}
            assert set(await evses(client, state=state)) == same
        detail = (await client.get(f"/api/v1/charging-stations/{station.identity}")).json()
        assert detail["evses"][0]["state"] == "Charging"
    await shown_offline(client, other)


async def shown_offline(client: httpx.AsyncClient, station: Station) -> None:
    key = f"{station.identity}-1"
    async with asyncio.timeout(10):
        while key not in await evses(client, state="Offline"):  # noqa: ASYNC110 - REST has no event.
            await asyncio.sleep(0.05)
    gun = (await evses(client, online="false"))[key]
    assert (gun["state"], gun["status"], gun["online"]) == ("Offline", "Available", False)
    assert key not in await evses(client, state="Available")


async def test_a_restart_shows_what_was_shown(hub: RunningHub, client: httpx.AsyncClient) -> None:
    async with hub.station(V16) as station:
        number = await begin_v16(station)
        await shown(client, hub, station, transaction_id=number, energy_wh=2500)
        await station.call("StatusNotification", status(V16, "Faulted", evse=2))
    async with asyncio.timeout(10):
        while (await board(client)).hub["stations_online"]:  # noqa: ASYNC110 - poll the page's view.
            await asyncio.sleep(0.02)
    before = await board(client)
    await hub.restart()
    client.base_url = httpx.URL(hub.addresses.api_url)
    after = await board(client)
    assert before.evses
    assert (after.stations, after.evses) == (before.stations, before.evses)
    assert after.hub == before.hub


async def test_a_new_station_appears_without_a_restart(
    hub: RunningHub, client: httpx.AsyncClient
) -> None:
    async with hub.station(V16) as station:
        await station.call("StatusNotification", status(V16, "Available"))
        await shown(client, hub, station, status="Available")


async def test_after_the_logout_there_is_nothing_to_see(client: httpx.AsyncClient) -> None:
    csrf = client.cookies["chargehub_csrf"]
    answer = await client.post("/api/v1/logout", headers={"X-CSRF-Token": csrf})
    assert answer.status_code == HTTPStatus.NO_CONTENT
    for path in ("/api/v1/live", "/api/v1/live/snapshot"):
        assert (await client.get(path)).status_code == HTTPStatus.UNAUTHORIZED
