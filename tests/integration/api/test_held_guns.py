"""Guns that are reserved, as operators see them and as they may command them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import delete, insert, update

from chargehub.drivers.store import drivers, id_tokens
from chargehub.reservations.store import reservations
from chargehub.stations.store import connectors
from tests.integration.api.conftest import (
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)


@pytest_asyncio.fixture
async def held(module_database_url: str) -> AsyncIterator[RunningApi]:
    """A station, both guns free; the first is held for another than STRANGER for 15 minutes."""
    async with running(module_database_url) as api:
        await make_location(api, "hub")
        await make_station(api, "QZ-01", "hub")
        station_id, now, driver_id = await api.station_id("QZ-01"), api.clock.now(), uuid4()
        window = {"held_from": now, "starts_at": now}
        window["hold_until"] = now + timedelta(minutes=15)
        async with api.database.write() as connection:
            await connection.execute(update(connectors).values(status="Available"))
            await connection.execute(
                insert(drivers).values(id=driver_id, group_token="DRV-1", created_at=now)
            )
            await connection.execute(insert(id_tokens).values(token="stranger", display="STRANGER"))
            await connection.execute(
                insert(reservations).values(
                    driver_id=driver_id,
                    id_token="app-1",
                    location_id="hub",
                    station_id=station_id,
                    evse_no=1,
                    any_evse=False,
                    wanted_power_w=1,
                    status="active",
                    station_answer="Unsupported",
                    created_at=now,
                    **window,
                )
            )
        api.link.online.add(station_id)
        yield api


async def test_a_held_gun_is_reserved_and_no_strangers(held: RunningApi) -> None:
    viewer = held.clients["viewer"]

    async def states() -> list[str]:
        evses = (await viewer.get("/evses")).json()["items"]
        (station,) = (await viewer.get("/charging-stations")).json()["items"]
        assert [evse["state"] for evse in station["evses"]] == [e["state"] for e in evses]
        return [evse["state"] for evse in evses]

    assert await states() == ["Reserved", "Available"]
    reserved = (await viewer.get("/evses", params={"state": "Reserved"})).json()["items"]
    assert [evse["evse_no"] for evse in reserved] == [1]
    body = {"station": "QZ-01", "evse_no": 1, "id_token": "STRANGER"}
    answer = await held.clients["operator"].post("/transactions/start", json=body)
    problem = problem_of(answer, 409, "evse-held")
    assert problem["evse_no"] == 1
    assert problem["rule"] == "gun_held"
    assert problem["passes_at"] is not None
    async with held.database.write() as connection:
        await connection.execute(delete(reservations))
    assert await states() == ["Available", "Available"]
