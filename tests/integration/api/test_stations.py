"""Locations, charging stations and EVSEs as the API shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest_asyncio
from sqlalchemy import insert, update

from chargehub.stations.store import (
    charging_stations,
    connectors,
    station_connections,
    station_notices,
)
from tests.integration.api.conftest import (
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

AT = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
IDENTITIES = [f"QZ-{number:02d}" for number in range(1, 8)]


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    """Two locations; the first has seven stations, QZ-02 is online and charges on gun 1."""
    async with running(module_database_url) as api:
        await make_location(api, "north")
        await make_location(api, "south")
        for identity in IDENTITIES:
            await make_station(api, identity, "north", name=f"Row {identity[-1]}")
        await make_station(api, "other", "south")
        station_id = await api.station_id("QZ-02")
        async with api.database.write() as connection:
            await connection.execute(
                insert(station_connections).values(
                    station_id=station_id,
                    epoch=1,
                    protocol="some protocol",
                    remote="127.0.0.1",
                    connected_at=AT,
                )
            )
            await connection.execute(
                update(connectors)
                .where(connectors.c.station_id == station_id, connectors.c.evse_no == 1)
                .values(status="Charging", status_at=AT, error_code="NoError")
            )
            await connection.execute(
                update(charging_stations)
                .where(charging_stations.c.id == station_id)
                .values(vendor="Maker", boot_facts={"reason": "PowerUp"})
            )
        api.link.online.add(station_id)
        yield api


async def test_locations_count_their_stations(hub: RunningApi) -> None:
    page = (await hub.viewer.get("/locations")).json()
    counts = {item["id"]: (item["station_count"], item["evse_count"]) for item in page["items"]}
    assert counts == {"north": (7, 14), "south": (1, 2)}
    north = (await hub.viewer.get("/locations/north")).json()
    assert (north["latitude"], north["time_zone"]) == (28.97, "Asia/Shanghai")
    problem_of(await hub.viewer.get("/locations/east"), 404, "not-found")


async def test_stations_page_in_order_without_gap_or_repeat(hub: RunningApi) -> None:
    seen: list[str] = []
    query: dict[str, str] = {"limit": "3", "location": "north"}
    while True:
        page = (await hub.viewer.get("/charging-stations", params=query)).json()
        assert len(page["items"]) <= 3
        seen += [item["identity"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == IDENTITIES


async def filtered(hub: RunningApi, **query: str) -> list[str]:
    response = await hub.viewer.get("/charging-stations", params=query)
    assert response.status_code == 200, response.text
    return [item["identity"] for item in response.json()["items"]]


async def test_station_filters(hub: RunningApi) -> None:
    assert await filtered(hub, location="south") == ["other"]
    assert await filtered(hub, online="true") == ["QZ-02"]
    assert "QZ-02" not in await filtered(hub, online="false")
    assert len(await filtered(hub, online="false")) == 7
    assert await filtered(hub, status="Charging") == ["QZ-02"]
    assert len(await filtered(hub, status="Unknown")) == 8
    assert await filtered(hub, q="row 3") == ["QZ-03"]
    assert await filtered(hub, q="OTHER") == ["other"]
    assert await filtered(hub, q="%") == []
    assert await filtered(hub, decommissioned="true") == []


async def test_station_detail_in_any_case(hub: RunningApi) -> None:
    detail = (await hub.viewer.get("/charging-stations/qz-02")).json()
    assert detail["identity"] == "QZ-02"
    assert detail["online"] is True
    assert detail["protocol"] == "some protocol"
    assert detail["vendor"] == "Maker"
    assert detail["boot_facts"] == {"reason": "PowerUp"}
    first, second = detail["evses"]
    assert (first["status"], first["status_at"]) == ("Charging", "2026-11-23T06:30:00Z")
    assert first["error_code"] is None
    assert first["connectors"][0]["standard"] == "GBT_DC"
    assert second["status"] == "Unknown"
    assert not any("credential_hash" in key for key in detail)
    problem_of(await hub.viewer.get("/charging-stations/QZ-99"), 404, "not-found")


async def test_evses_are_listed_with_their_station(hub: RunningApi) -> None:
    page = (await hub.viewer.get("/evses", params={"limit": 500})).json()
    keys = [(item["station_identity"].lower(), item["evse_no"]) for item in page["items"]]
    assert keys == sorted(keys)
    assert len(keys) == 16
    [charging] = (await hub.viewer.get("/evses", params={"status": "Charging"})).json()["items"]
    assert (charging["station_identity"], charging["evse_no"]) == ("QZ-02", 1)
    assert charging["online"] is True
    south = (await hub.viewer.get("/locations/south/evses", params={"limit": 1})).json()
    assert [item["evse_no"] for item in south["items"]] == [1]
    rest = await hub.viewer.get(
        "/locations/south/evses", params={"limit": 1, "cursor": south["next_cursor"]}
    )
    assert [item["evse_no"] for item in rest.json()["items"]] == [2]
    assert rest.json()["next_cursor"] is None
    problem_of(await hub.viewer.get("/locations/east/evses"), 404, "not-found")


async def test_samples_of_an_evse_without_any(hub: RunningApi) -> None:
    series = await hub.viewer.get("/charging-stations/QZ-02/evses/1/samples")
    assert series.json() == {"items": [], "next_cursor": None}
    problem_of(await hub.viewer.get("/charging-stations/QZ-02/evses/3/samples"), 404, "not-found")


async def test_notices_page_newest_first_and_are_for_operators(hub: RunningApi) -> None:
    station_id = await hub.station_id("QZ-03")
    rows = [
        {
            "station_id": station_id,
            "kind": "SecurityEventNotification" if number % 2 else "DataTransfer",
            "at": AT,
            "received_at": AT + timedelta(seconds=number // 2),
            "flagged": number == 4,
            "payload": {"number": number},
        }
        for number in range(5)
    ]
    async with hub.database.write() as connection:
        await connection.execute(insert(station_notices), rows)
    path = "/charging-stations/qz-03/notices"
    seen: list[int] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = (await hub.operator.get(path, params=query)).json()
        seen += [item["payload"]["number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [4, 3, 2, 1, 0]
    chosen = await hub.operator.get(path, params={"kind": "DataTransfer", "flagged": "true"})
    assert [item["payload"] for item in chosen.json()["items"]] == [{"number": 4}]
    problem_of(await hub.viewer.get(path), 403, "forbidden")
    problem_of(await hub.operator.get("/charging-stations/none/notices"), 404, "not-found")
