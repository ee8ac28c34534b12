"""A whole hub as a process of its own: PostgreSQL, simulated stations, and something of each kind.

`python -m tests.contract.served DATABASE_URL FILE` writes into the file, as JSON, what a client
needs to know, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import uvloop
from argon2 import PasswordHasher
from sqlalchemy import text

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import AccessService
from chargehub.drivers.accounts import open_account
from chargehub.drivers.logins import DriverLogins
from chargehub.kit import logging
from chargehub.kit.clock import ClockPair, HubClock, wall_now
from chargehub.kit.http import API_PREFIX
from simulators.car import Car
from simulators.clock import ClockPair as StationClockPair
from simulators.clock import HubClock as StationClock
from simulators.dialects import DIALECTS
from simulators.station import SimulatedStation
from tests.hub_fixtures import PASSWORD, TOKEN, VERSIONS, RunningHub, running_hub

LOGIN = "schemathesis"
WANTED = {"component": "", "variable": "HeartbeatInterval", "value": "600"}
CONNECTED = ("CS-0001", "CS-0002", "CS-0003")
"""One of each version, with a transaction at its first gun."""
AWAY = "CS-0004"
SPARE = ("CS-0005", "CS-0006", "CS-0007")
"""For what a station does not survive."""
DRIVERS = 6
"""The first asks what drivers may; the others may log out for good."""
ASKER_STAYS = (
    f"CREATE RULE stays AS ON UPDATE TO operators WHERE old.login = '{LOGIN}' DO INSTEAD NOTHING",
    "CREATE RULE stays AS ON UPDATE TO login_sessions DO INSTEAD NOTHING",
)
"""Who asks at random finds itself among the operators, and would reset its own password, take its
own role away, and from then on prove nothing."""
KNOWN: dict[str, list[Any]] = {
    "identity": [*CONNECTED, AWAY],
    "location_id": ["hub"],
    "evse_no": [1, 2],
    "token": [TOKEN],
    "template_id": [1, 2],
    "transaction_id": [1, 2, 3],
}
"""What there is, by the names of parameters."""


async def admin_token(hub: RunningHub) -> str:
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    access = AccessService(hub.database, HubClock(ClockPair(0, 0, 1)), passwords=cheap)
    await access.add_operator(login=LOGIN, role=Role.ADMIN, password=PASSWORD, actor="test")
    token = (await access.log_in(LOGIN, PASSWORD, address="test")).token
    async with hub.database.write() as connection:
        for rule in ASKER_STAYS:
            await connection.execute(text(rule))
    return token


async def driver_token(hub: RunningHub, phone: str) -> str:
    async with hub.database.write() as connection:
        driver_id = await open_account(connection, wall_now(), hub.hub.features.seal, phone=phone)
        assert driver_id is not None
        return (await DriverLogins(hub.database).issue(connection, driver_id, "phone")).token


async def charging_station(hub: RunningHub, identity: str, version: str) -> SimulatedStation:
    """Connect a new station, with a transaction at its first gun."""
    station = SimulatedStation(
        await hub.new_station(identity),
        hub.addresses.ocpp_url,
        PASSWORD,
        DIALECTS[version],
        clock=StationClock(StationClockPair.from_now()),
    )
    await station.connect()
    await station.boot()
    await station.plug_in(1, Car())
    token = f"{TOKEN}-{version}"
    await hub.new_token(token)
    assert await station.present_token(1, token)
    await station.settled()
    return station


async def furnish(hub: RunningHub, admin: str) -> None:
    """Make what KNOWN tells of, besides the connected stations."""
    for identity in (AWAY, *SPARE):
        await hub.new_station(identity)
    headers = {"Authorization": f"Bearer {admin}"}
    url = hub.addresses.api_url + API_PREFIX
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        for number in KNOWN["template_id"]:
            template = {"name": f"template {number}", "wanted": [WANTED]}
            made = await client.post("/configuration-templates", json=template)
            assert made.json()["id"] == number
    numbers = await hub.rows("SELECT id FROM transactions ORDER BY id")
    assert [row.id for row in numbers] == KNOWN["transaction_id"]


async def serve(database_url: str, told: Path) -> None:
    async with running_hub(database_url, demo=True) as hub, asyncio.TaskGroup() as group:
        stations = [
            await charging_station(hub, identity, version)
            for identity, version in zip(CONNECTED, VERSIONS, strict=True)
        ]
        running = [group.create_task(station.run()) for station in stations]
        admin = await admin_token(hub)
        await furnish(hub, admin)
        drivers = [await driver_token(hub, f"+861390000000{number}") for number in range(DRIVERS)]
        facts = {"url": hub.addresses.api_url, "admin": admin, "drivers": drivers}
        ready = told.with_suffix(".new")
        ready.write_text(json.dumps(facts))
        ready.rename(told)
        await asyncio.to_thread(sys.stdin.read)
        for task in running:
            task.cancel()


if __name__ == "__main__":
    logging.configure("warning", "json")
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
