"""A gun whose station or operator says that it serves nobody gets no driver, by whatever way."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select, update

from chargehub.reservations.queue.service import Queue
from chargehub.reservations.store import reservations
from chargehub.stations.store import charging_stations, connectors, station_connections
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)
from tests.integration.api.test_reservations import set_rules


@pytest_asyncio.fixture
async def place(api: RunningApi) -> str:
    """A Location with one station, whose two guns say that they are Available."""
    number = next(NAMES)
    location, identity = f"N{number}", f"NS-{number}"
    await make_location(api, location)
    await make_station(api, identity, location)
    await set_rules(api, location, held_share_percent=100)
    station_id = await api.station_id(identity)
    api.link.online.add(station_id)
    connection_row = {
        "station_id": station_id,
        "epoch": 1,
        "protocol": "ocpp1.6",
        "remote": "here",
        "connected_at": api.clock.now(),
    }
    async with api.database.write() as connection:
        await connection.execute(insert(station_connections).values(connection_row))
        here = connectors.c.station_id == station_id
        await connection.execute(update(connectors).where(here).values(status="Available"))
    return location


async def let_station(api: RunningApi, place: str, **values: Any) -> None:
    here = charging_stations.c.location_id == place
    async with api.database.write() as connection:
        await connection.execute(update(charging_stations).where(here).values(values))


async def found(api: RunningApi, place: str) -> list[dict[str, Any]]:
    guns: list[dict[str, Any]] = (await api.anonymous.get(f"/locations/{place}/guns")).json()[
        "items"
    ]
    return guns


async def scan(client: httpx.AsyncClient, code: str) -> dict[str, Any]:
    seen: dict[str, Any] = (await client.get("/guns/resolve", params={"code": code})).json()
    return seen


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"status": "Faulted"}, "Faulted"),
        ({"status": "Unavailable"}, "Unavailable"),
        ({"registration": "Pending"}, "Unavailable"),
        ({"wanted_operative": False}, "Unavailable"),
    ],
)
async def test_nobody_is_sent_to_a_gun_of_no_use(
    api: RunningApi, place: str, values: dict[str, Any], state: str
) -> None:
    await let_station(api, place, **values)
    _, client = await api.new_driver()
    guns = await found(api, place)
    assert [gun["state"] for gun in guns] == [state] * 2
    code = guns[0]["gun_code"]
    seen = await scan(client, code)
    assert (seen["state"], seen["may_start"]) == (state.lower(), False)
    refused = await client.post("/charges", json={"gun_code": code})
    assert problem_of(refused, 409, "gun-not-free")["state"] == state.lower()
    for wish in ({"gun_code": code}, {"location_id": place}):
        refused = await client.post("/reservations", json=wish)
        rule = problem_of(refused, 409, "reservation-refused")["rule"]
        assert rule in ({"gun_free"} if "status" in values else {"in_service", "power"})
    joined = await client.post("/queue", json={"location_id": place})
    assert joined.status_code == (201 if "status" in values else 409), joined.text
    await api.app.state.parts[Queue].look(place)
    async with api.database.read() as connection:
        query = select(func.count()).where(reservations.c.location_id == place)
        assert await connection.scalar(query) == 0
    # Mended, it is there for who waits, or else for who asks.
    await let_station(
        api, place, status="Available", registration="Accepted", wanted_operative=True
    )
    await api.app.state.parts[Queue].look(place)
    if joined.status_code == 201:
        assert (await client.get("/queue")).json()["status"] == "called"
    else:
        assert (await client.post("/reservations", json={"gun_code": code})).status_code == 201


async def test_a_gun_of_use_is_found_scanned_and_reserved(api: RunningApi, place: str) -> None:
    """What the station says of itself as a whole is often nothing."""
    _, client = await api.new_driver()
    guns = await found(api, place)
    assert [gun["state"] for gun in guns] == ["Available"] * 2
    seen = await scan(client, guns[0]["gun_code"])
    assert (seen["state"], seen["may_start"]) == ("free", True)
    made = await client.post("/reservations", json={"gun_code": guns[0]["gun_code"]})
    assert made.status_code == 201, made.text


async def test_a_gun_about_to_begin_is_not_free_to_anybody(api: RunningApi, place: str) -> None:
    code, other = (gun["gun_code"] for gun in await found(api, place))
    _, client = await api.new_driver()
    begun = await client.post("/charges", json={"gun_code": code})
    assert begun.status_code == 201, begun.text
    assert [gun["state"] for gun in await found(api, place)] == ["Occupied", "Available"]
    _, another = await api.new_driver()
    assert (await scan(another, code))["state"] == "occupied"
    refused = await another.post("/reservations", json={"gun_code": code})
    assert problem_of(refused, 409, "reservation-refused")["rule"] == "gun_free"
    made = await another.post("/reservations", json={"location_id": place})
    assert (made.status_code, made.json()["gun_code"]) == (201, other)


async def test_a_gun_gives_no_more_than_its_cabinet(api: RunningApi, place: str) -> None:
    await let_station(api, place, max_power_w=60_000)
    _, client = await api.new_driver()
    assert {gun["max_power_w"] for gun in await found(api, place)} == {60_000}
    wish = {"location_id": place, "power_w": 60_001}
    refused = await client.post("/reservations", json=wish)
    assert problem_of(refused, 409, "reservation-refused")["rule"] == "power"
    made = await client.post("/reservations", json=wish | {"power_w": 60_000})
    assert made.status_code == 201, made.text
