"""The queue over REST: a driver's own place, and what staff sees and removes."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import insert, update

from chargehub.access.store import audit_entries
from chargehub.stations.store import connectors, station_connections
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)


@pytest_asyncio.fixture
async def place(api: RunningApi) -> str:
    """A Location whose station is away: no gun there is free."""
    number = next(NAMES)
    location = f"Q{number}"
    await make_location(api, location)
    await make_station(api, f"QS-{number}", location)
    return location


async def new_driver(api: RunningApi) -> httpx.AsyncClient:
    return (await api.new_driver())[1]


async def join(client: httpx.AsyncClient, location: str, **more: object) -> httpx.Response:
    return await client.post("/queue", json={"location_id": location, **more})


async def test_a_driver_joins_sees_skips_and_leaves(api: RunningApi, place: str) -> None:
    first, second = await new_driver(api), await new_driver(api)
    made = await join(first, place, power_w=120_000)
    assert made.status_code == 201, made.text
    joined = made.json()
    assert (joined["status"], joined["position"], joined["waiting"]) == ("waiting", 1, 1)
    assert joined["call"] is None
    assert (await join(second, place)).json()["position"] == 2
    assert (await first.get("/queue")).json() == joined | {"waiting": 2}
    skipped = await first.post("/queue/skip")
    assert (skipped.status_code, skipped.json()["position"]) == (200, 2)
    again = await first.post("/queue/skip")
    assert problem_of(again, 409, "reservation-refused")["rule"] == "queue_skips"
    left = await first.delete("/queue")
    assert (left.status_code, left.json()["status"]) == (200, "left")
    assert (await first.delete("/queue")).json() == left.json()
    assert (await first.get("/queue")).json() == left.json()
    assert (await second.get("/queue")).json()["position"] == 1
    problem_of(await first.post("/queue/skip"), 404, "not-found")


async def test_the_same_key_joins_once(api: RunningApi, place: str) -> None:
    client, headers = await new_driver(api), {"Idempotency-Key": "one-place"}
    body = {"location_id": place}
    first = await client.post("/queue", json=body, headers=headers)
    again = await client.post("/queue", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    reused = await client.post("/queue", json=body | {"power_w": 1_000}, headers=headers)
    problem_of(reused, 422, "idempotency-key-reused")


async def test_what_is_wrong_is_said(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    for verb in (client.get, client.delete):
        problem_of(await verb("/queue"), 404, "not-found")
    problem_of(await join(client, "nowhere"), 404, "not-found")
    problem_of(await join(client, place, vehicle_id=str(uuid4())), 404, "not-found")
    refused = problem_of(await join(client, place, power_w=999_999), 409, "reservation-refused")
    assert (refused["rule"], refused["passes_at"]) == ("power", None)
    assert (await join(client, place, power_w=-1)).status_code == 422
    assert (await join(client, place)).status_code == 201
    refused = problem_of(await join(client, place), 409, "reservation-refused")
    assert refused["rule"] == "one_queue"
    # Nor may a reservation for now go before.
    body = {"location_id": place}
    other = await (await new_driver(api)).post("/reservations", json=body)
    assert other.json()["rule"] in {"queue", "held_share"}


async def test_ones_own_vehicle_may_be_named_and_sold(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    vehicle = (await client.post("/vehicles", json={"plate": "浙HD12345"})).json()["id"]
    made = (await join(client, place, vehicle_id=vehicle)).json()
    assert made["vehicle_id"] == vehicle
    assert (await client.delete(f"/vehicles/{vehicle}")).status_code == 204
    assert (await client.get("/queue")).json()["vehicle_id"] is None


async def test_staff_sees_the_queue_by_ids_only_and_removes_with_a_reason(
    api: RunningApi, place: str
) -> None:
    clients = [await api.new_driver() for _ in range(3)]
    for _, client in clients:
        assert (await join(client, place)).status_code == 201
    url = f"/locations/{place}/queue"
    first = (await api.operator.get(url, params={"limit": 2})).json()
    second = (await api.operator.get(url, params={"cursor": first["next_cursor"]})).json()
    items = first["items"] + second["items"]
    assert [item["position"] for item in items] == [1, 2, 3]
    assert [item["driver_id"] for item in items] == [str(driver) for driver, _ in clients]
    assert second["next_cursor"] is None
    body = {"reason": "asked at the desk"}
    removal = f"{url}/{items[0]['id']}/remove"
    removed = await api.operator.post(removal, json=body)
    assert (removed.json()["status"], removed.json()["end_reason"]) == ("out", "removed_by_staff")
    assert (await api.operator.post(removal, json=body)).json() == removed.json()
    assert (await clients[1][1].get("/queue")).json()["position"] == 1
    async with api.database.read() as connection:
        rows = await connection.execute(
            audit_entries.select().where(audit_entries.c.action == "queue_entry.removed")
        )
        assert [row.facts["reason"] for row in rows] == ["asked at the desk"]
    problem_of(await api.operator.post(f"{url}/999999/remove", json=body), 404, "not-found")
    problem_of(await api.operator.get("/locations/nowhere/queue"), 404, "not-found")


@pytest.mark.parametrize("power_w", [0, 120_000])
async def test_where_a_gun_is_free_nobody_queues(api: RunningApi, place: str, power_w: int) -> None:
    station_id = await api.station_id(f"QS-{place[1:]}")
    async with api.database.write() as connection:
        await connection.execute(
            insert(station_connections).values(
                station_id=station_id,
                epoch=1,
                protocol="ocpp1.6",
                remote="here",
                connected_at=api.clock.now(),
            )
        )
        here = connectors.c.station_id == station_id
        await connection.execute(update(connectors).where(here).values(status="Available"))
    refused = await join(await new_driver(api), place, power_w=power_w)
    assert problem_of(refused, 409, "reservation-refused")["rule"] == "gun_free"


async def test_power_in_kilowatts_is_told_so(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    for power in (120, 120_000_000):
        problem = problem_of(await join(client, place, power_w=power), 422, "invalid-input")
        assert "120000 for 120 kW" in str(problem["errors"])
