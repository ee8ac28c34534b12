"""What is a driver's is nobody else's: another driver's id is one that does not exist.

Every endpoint of drivers that takes an id is asked for what another driver has, and by its owner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert

from chargehub.api import create_openapi
from chargehub.bays.store import bay_commands, bays
from chargehub.charging.rules import EndReason
from chargehub.charging.store import charges
from chargehub.drivers.inbox import notify
from chargehub.drivers.logins import IssuedDriverLogin
from chargehub.reservations.store import reservations
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)
from tests.integration.api.credential_world import PNG, enter
from tests.integration.api.mail import TURN
from tests.integration.api.test_guards import ACCOUNT_HOLDER, DRIVER, doors, driver_login

Maker = Callable[[RunningApi, IssuedDriverLogin], Awaitable[Any]]
OF_DRIVERS = sorted(item for item, door in doors().items() if door in {DRIVER, ACCOUNT_HOLDER})
WITH_ID = [item for item in OF_DRIVERS if "{" in item[1]]
BODIES: dict[tuple[str, str], tuple[str, bytes]] = {
    ("PATCH", "/api/v1/vehicles/{vehicle_id}"): (
        "application/json",
        json.dumps({"plate": "浙H·D7654"}).encode(),
    ),
    ("PUT", "/api/v1/credentials/{credential_id}/image"): ("image/png", PNG),
    ("POST", "/api/v1/vehicles/{vehicle_id}/plug-and-charge"): (
        "application/json",
        json.dumps({"consent": {"version": "2026-11-24", "accepted": True}}).encode(),
    ),
}
NOT_REPEATED = {
    "/api/v1/inbox/read-all": "reading twice is reading once",
    "/api/v1/inbox/{message_id}/read": "reading twice is reading once",
}


async def make_login(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    async with api.database.write() as connection:
        issued = await api.driver_logins.issue(connection, owner.principal.driver_id, "pad")
    return issued.principal.login_id


async def make_vehicle(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    async with api.new_client(owner.token) as client:
        plate = f"浙H{next(NAMES):05}"
        made = await client.post(
            "/vehicles", json={"plate": plate}, headers={"Idempotency-Key": str(uuid4())}
        )
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def make_message(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    async with api.database.write() as connection:
        await notify(connection, owner.principal.driver_id, "your_turn", TURN, api.clock.now())
    async with api.new_client(owner.token) as client:
        return (await client.get("/inbox")).json()["items"][0]["id"]


async def place_of(api: RunningApi) -> tuple[str, int]:
    """Return a new Location and a station there."""
    location, identity = f"place-{next(NAMES)}", f"OWN-{next(NAMES)}"
    await make_location(api, location)
    await make_station(api, identity, location)
    return location, await api.station_id(identity)


async def make_reservation(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    location, station_id = await place_of(api)
    now = api.clock.now()
    row = {
        "driver_id": owner.principal.driver_id,
        "id_token": "app-1",
        "location_id": location,
        "station_id": station_id,
        "evse_no": 1,
        "any_evse": False,
        "wanted_power_w": 60_000,
        "held_from": now,
        "starts_at": now,
        "hold_until": now + timedelta(minutes=15),
        "created_at": now,
    }
    async with api.database.write() as connection:
        made = await connection.execute(
            insert(reservations).values(row).returning(reservations.c.id)
        )
        return made.scalar_one()


async def make_charge(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    _, station_id = await place_of(api)
    row = {
        "id": uuid4(),
        "driver_id": owner.principal.driver_id,
        "station_id": station_id,
        "evse_no": 1,
        "started_by": "app",
        "id_token": "app-1",
        "state": "failed",
        "requested_at": api.clock.now(),
        "ended_at": api.clock.now(),
        "end_reason": EndReason.REFUSED,
    }
    async with api.database.write() as connection:
        await connection.execute(insert(charges).values(row))
    return row["id"]


async def make_credential(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    async with api.new_client(owner.token) as client:
        return (await enter(client))["id"]


async def make_lock_command(api: RunningApi, owner: IssuedDriverLogin) -> Any:
    location, station_id = await place_of(api)
    now = api.clock.now()
    bay = {
        "location_id": location,
        "station_id": station_id,
        "evse_no": 1,
        "lock_device": "LOCK-1",
        "created_by": "test",
        "created_at": now,
    }
    command = {
        "id": uuid4(),
        "action": "lower",
        "cause": "driver",
        "requested_by": "driver",
        "driver_id": owner.principal.driver_id,
        "requested_at": now,
    }
    async with api.database.write() as connection:
        made = await connection.execute(insert(bays).values(bay).returning(bays.c.id))
        row = command | {"bay_id": made.scalar_one()}
        await connection.execute(insert(bay_commands).values(row))
    return command["id"]


MAKERS: dict[str, Maker] = {
    "login_id": make_login,
    "vehicle_id": make_vehicle,
    "message_id": make_message,
    "reservation_id": make_reservation,
    "charge_id": make_charge,
    "lock_command_id": make_lock_command,
    "credential_id": make_credential,
}
"""How a driver comes to what an id of this name is of."""


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_anothers_is_not_there(api: RunningApi, method: str, path: str) -> None:
    (name,) = re.findall(r"\{(\w+)\}", path)
    owner = await driver_login(api)
    url = api.url + path.replace(f"{{{name}}}", str(await MAKERS[name](api, owner)))
    kind, body = BODIES.get((method, path), ("application/json", None))
    headers = {"Idempotency-Key": str(uuid4()), "Content-Type": kind}
    async with api.new_client((await driver_login(api)).token) as another:
        answer = await another.request(method, url, content=body, headers=headers)
        problem_of(answer, 404, "not-found")
    headers["Idempotency-Key"] = str(uuid4())
    async with (
        api.new_client(owner.token) as client,
        client.stream(method, url, content=body, headers=headers) as own,
    ):
        assert own.status_code in {200, 204, 409}, own.status_code


def test_what_a_phone_may_repeat_takes_an_idempotency_key() -> None:
    paths = create_openapi()["paths"]
    for method, path in OF_DRIVERS:
        if method != "POST" or path in NOT_REPEATED:
            continue
        names = {item["name"] for item in paths[path]["post"].get("parameters", ())}
        assert "Idempotency-Key" in names, f"{method} {path}"
