"""A driver's own vehicles: what may be entered, what may be shared, nobody else's."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from chargehub.drivers.store import vehicles
from chargehub.drivers.vehicles import MAX_VEHICLES, Garage
from tests.integration.api.conftest import RunningApi, problem_of

VINS = itertools.count(1)


def new_vin() -> str:
    return f"LSVAA4187C3{next(VINS):06d}"


async def add(client: httpx.AsyncClient, **body: Any) -> str:
    response = await client.post("/vehicles", json={"plate": "浙HD12345", **body})
    assert response.status_code == 201, response.text
    made: dict[str, str] = response.json()
    return made["id"]


async def test_entered_read_changed_and_removed(api: RunningApi) -> None:
    _, client = await api.new_driver()
    vin = new_vin()
    made = await add(client, vin=vin.lower(), battery_wh=60_000)
    view = (await client.get(f"/vehicles/{made}")).json()
    del view["created_at"]
    assert view == {
        "id": made,
        "plate": "浙HD12345",
        "vin": vin,
        "connector_standard": "GBT_DC",
        "battery_wh": 60_000,
        "is_default": True,
    }
    changed = await client.patch(
        f"/vehicles/{made}", json={"plate": "浙H·D1288", "connector_standard": "CHAOJI"}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["plate"], changed.json()["vin"]) == ("浙HD1288", vin)
    cleared = await client.patch(f"/vehicles/{made}", json={"vin": None, "plate": None})
    assert (cleared.json()["plate"], cleared.json()["vin"]) == ("浙HD1288", None)
    assert [item["id"] for item in (await client.get("/vehicles")).json()["items"]] == [made]
    assert (await client.delete(f"/vehicles/{made}")).status_code == 204
    assert (await client.get("/vehicles")).json()["items"] == []
    problem_of(await client.delete(f"/vehicles/{made}"), 404, "not-found")


async def default_of(client: httpx.AsyncClient) -> list[str]:
    items = (await client.get("/vehicles")).json()["items"]
    return [item["plate"] for item in items if item["is_default"]]


async def test_one_vehicle_is_the_default_one(api: RunningApi) -> None:
    """The first until another is made it; when it goes, one of the others is."""
    _, client = await api.new_driver()
    assert await default_of(client) == []
    plates = ["浙HD10001", "浙HD10002", "浙HD10003"]
    made = [await add(client, plate=plate) for plate in plates]
    assert await default_of(client) == plates[:1]
    for index in (2, 1):
        chosen = await client.patch(f"/vehicles/{made[index]}", json={"is_default": True})
        assert (chosen.status_code, chosen.json()["is_default"]) == (200, True)
        assert await default_of(client) == [plates[index]]
    assert (await client.delete(f"/vehicles/{made[1]}")).status_code == 204
    assert await default_of(client) == [plates[2]]
    for value in (False, "yes", 1):
        refused = await client.patch(f"/vehicles/{made[0]}", json={"is_default": value})
        problem_of(refused, 422, "invalid-input")


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ({"plate": "浙HD123"}, "body.plate", "province"),
        ({"plate": "浙HD123456"}, "body.plate", "province"),
        ({"plate": None}, "body.plate", "province"),
        ({"vin": "LSVAA4187C218484"}, "body.vin", "17 letters"),
        ({"vin": "LSVAA4187C218484O"}, "body.vin", "17 letters"),
        ({"connector_standard": "NEMA"}, "body.connector_standard", "GBT_DC"),
        ({"battery_wh": 0}, "body.battery_wh", "greater"),
        ({"battery_wh": "60000"}, "body.battery_wh", "integer"),
        ({"owner": "me"}, "body.owner", "no such field"),
    ],
)
async def test_bad_input_says_what_is_wrong(
    api: RunningApi, body: dict[str, Any], where: str, said: str
) -> None:
    response = await api.driver.post("/vehicles", json={"plate": "浙HD12345", **body})
    [error] = problem_of(response, 422, "invalid-input")["errors"]
    assert error["where"].startswith(where)
    assert said in error["message"]
    assert (await api.driver.get("/vehicles")).json()["items"] == []


async def test_another_drivers_vehicle_is_not_there(api: RunningApi) -> None:
    _, mine = await api.new_driver()
    _, theirs = await api.new_driver()
    made = await add(theirs)
    for vehicle in (made, str(uuid4())):
        path = f"/vehicles/{vehicle}"
        problem_of(await mine.get(path), 404, "not-found")
        problem_of(await mine.patch(path, json={"battery_wh": 1_000}), 404, "not-found")
        problem_of(await mine.delete(path), 404, "not-found")
    assert (await mine.get("/vehicles")).json()["items"] == []
    assert (await theirs.get(f"/vehicles/{made}")).json()["battery_wh"] is None


async def test_many_drivers_may_have_one_vin(api: RunningApi) -> None:
    """Typed in it proves nothing, and keeps nobody from charging the car that they drive."""
    _, day = await api.new_driver()
    _, night = await api.new_driver()
    vin = new_vin()
    first = await add(day, vin=vin)
    second = await add(night, vin=vin)
    third = await add(night, plate="浙HD12346")
    late = await night.patch(f"/vehicles/{third}", json={"vin": vin})
    assert (late.status_code, late.json()["vin"]) == (200, vin)
    for client, vehicle in ((day, first), (night, second)):
        assert (await client.get(f"/vehicles/{vehicle}")).json()["vin"] == vin


async def test_many_drivers_may_share_a_plate_but_none_has_it_twice(api: RunningApi) -> None:
    _, day = await api.new_driver()
    _, night = await api.new_driver()
    await add(day)
    await add(night)
    problem_of(await day.post("/vehicles", json={"plate": "浙h d12345"}), 409, "plate-known")


async def test_a_driver_has_so_many_vehicles(api: RunningApi) -> None:
    _, client = await api.new_driver()
    for number in range(MAX_VEHICLES):
        await add(client, plate=f"浙HD1234{number}")
    refused = await client.post("/vehicles", json={"plate": "浙HD99999"})
    assert problem_of(refused, 409, "too-many-vehicles")["max"] == MAX_VEHICLES


async def test_a_repeated_post_enters_one_vehicle(api: RunningApi) -> None:
    _, client = await api.new_driver()
    key = {"Idempotency-Key": "vehicle-1"}
    body = {"plate": "浙HD12345"}
    first = await client.post("/vehicles", json=body, headers=key)
    again = await client.post("/vehicles", json=body, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await client.post("/vehicles", json={"plate": "浙HD1288"}, headers=key)
    problem_of(other, 422, "idempotency-key-reused")
    assert len((await client.get("/vehicles")).json()["items"]) == 1


async def test_neither_plate_nor_vin_is_stored_in_the_clear(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    vin = new_vin()
    await add(client, vin=vin)
    async with api.database.read() as connection:
        [row] = (
            await connection.execute(select(vehicles).where(vehicles.c.driver_id == driver_id))
        ).all()
    kept = b" ".join(value for value in row if isinstance(value, bytes))
    assert vin.encode() not in kept
    assert "浙HD12345".encode() not in kept
    assert Garage(api.seal).opened(row).vin == vin


async def test_a_guest_has_no_vehicles(api: RunningApi) -> None:
    async with api.new_client() as nobody:
        made = (await nobody.post("/driver-logins/guests", json={})).json()
    async with api.new_client(made["token"]) as guest:
        problem_of(await guest.post("/vehicles", json={"plate": "浙HD1288"}), 403, "account-needed")
