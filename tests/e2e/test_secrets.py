"""Secrets through every door of a real server: none is in any row or in any line of its log."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import create_operator
from chargehub.demo.processes import free_ports
from chargehub.kit.clock import wall_now
from chargehub.kit.db import Database
from tests.hub_fixtures import V16, V201, Station, at, basic_auth, status

MARK = "zq8fKx"
"""Part of every secret that the test chooses."""
ADMIN_PASSWORD = f"{MARK} admin pass phrase"
OPERATOR_PASSWORD = f"{MARK} operator pass phrase"
URL = f"ftp://user:{MARK}@127.0.0.1/file"
COMPONENT = {"name": "SecurityCtrlr"}
VARIABLE = {"component": COMPONENT, "variable": {"name": "BasicAuthPassword"}}
PROFILE: dict[str, Any] = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": f"wss://cs:{MARK}@127.0.0.1/",
    "messageTimeout": 30,
    "securityProfile": 1,
    "ocppInterface": "Wired0",
    "vpn": {"server": "v", "user": "u", "password": MARK, "key": MARK, "type": "IKEv2"},
    "apn": {"apn": "a", "apnUserName": "u", "apnPassword": MARK, "apnAuthentication": "AUTO"},
}


FRAMED = (
    *("ChangeConfiguration", "GetConfiguration", "UpdateFirmware", "GetDiagnostics"),
    *("NotifyReport", "NotifyEvent", "SetVariables", "GetVariables", "GetLog"),
    *("SetNetworkProfile", "RequestStartTransaction", "DataTransfer", "Authorize", "MeterValues"),
)
"""Actions with a secret in them that the frame log has."""


@dataclass
class World:
    client: httpx.AsyncClient
    ocpp_url: str
    secrets: set[str] = field(default_factory=lambda: {MARK})
    """What must not be found anywhere."""

    async def post(self, path: str, body: Any, expected: int = 200) -> Any:
        response = await self.client.post(path, json=body)
        assert response.status_code == expected, response.text
        return response.json() if response.content else None

    async def log_in(self, login: str, password: str) -> None:
        self.client.headers.pop("X-CSRF-Token", None)
        result = await self.post("/login", {"login": login, "password": password})
        self.secrets |= {result["token"], result["csrf_token"]}
        self.client.headers["X-CSRF-Token"] = result["csrf_token"]

    async def connect(self, identity: str, version: str, password: str) -> Station:
        headers = basic_auth(identity, password)
        self.secrets.add(headers["Authorization"].removeprefix("Basic "))
        socket = await connect(
            f"{self.ocpp_url}/{identity}",
            subprotocols=[Subprotocol(version)],
            additional_headers=headers,
            proxy=None,
        )
        return Station(socket, identity, version)

    async def command(
        self, station: Station, action: str, payload: Any, answer: Any, *, error: bool = False
    ) -> str:
        """Send a command as an admin, let the station answer it; return what the API says."""
        path = f"/charging-stations/{station.identity}/commands/{action}"
        asking = asyncio.create_task(self.client.post(path, json=payload))
        call = await station.asked()
        assert call[2:] == [action, payload]
        if error:
            await station.send([4, call[1], "InternalError", answer, {"echo": answer}])
        else:
            await station.reply(call, answer)
        response = await asking
        assert response.status_code == (502 if error else 200), response.text
        return response.text


def text_of(log: Path) -> str:
    return log.read_text()


@asynccontextmanager
async def served(database: Database, url: str, log: Path) -> AsyncIterator[World]:
    api_port, ocpp_port = free_ports("127.0.0.1", 2)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHARGEHUB_")},
        "CHARGEHUB_DATABASE_URL": url,
        "CHARGEHUB_SECRET_KEY": f"{MARK}-K7q2mZ4xV9bT1nR8cW5yL3hJ6pD0sFgA",
        "CHARGEHUB_API_PORT": str(api_port),
        "CHARGEHUB_OCPP_PORT": str(ocpp_port),
        "CHARGEHUB_LOG__LEVEL": "debug",
        "CHARGEHUB_LOG__FORMAT": "json",
    }
    command = (sys.executable, "-m", "chargehub", "serve")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=log.parent, env=environment, stdout=output, stderr=output
        )
    base = f"http://127.0.0.1:{api_port}/api/v1"
    try:
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            async with asyncio.timeout(60):
                while '"server_started"' not in text_of(log):
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            async with database.write() as connection:
                await create_operator(
                    connection,
                    wall_now(),
                    login="root",
                    role=Role.ADMIN,
                    password_hash=await Passwords().hash(ADMIN_PASSWORD),
                    actor="test",
                )
            yield World(client, f"ws://127.0.0.1:{ocpp_port}/ocpp")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()


async def operators(world: World) -> None:
    wrong = {"login": "root", "password": f"{MARK} wrong"}
    await world.post("/login", wrong, 401)
    await world.post("/login", {"login": "root", "secret": MARK}, 422)
    await world.log_in("root", ADMIN_PASSWORD)
    new = {"login": "li.na", "role": "operator", "password": OPERATOR_PASSWORD}
    made = await world.post("/operators", new, 201)
    await world.post("/operators", {**new, "role": MARK}, 422)
    await world.log_in("li.na", OPERATOR_PASSWORD)
    change = {"old_password": OPERATOR_PASSWORD, "new_password": f"{MARK} another phrase"}
    await world.client.post("/me/password", json=change)
    await world.log_in("root", ADMIN_PASSWORD)
    reset = {"password": f"{MARK} third phrase"}
    await world.client.post(f"/operators/{made['id']}/password", json=reset)


async def commissioning(world: World) -> None:
    place = {"id": "hub", "name": "Hub", "latitude": 28.97, "longitude": 118.87}
    await world.post("/locations", place, 201)
    guns = {"evses": [{"evse_no": 1}], "max_power_w": 60_000, "location_id": "hub"}
    for identity in ("ONE", "TWO"):
        made = await world.post("/charging-stations", {"identity": identity, **guns}, 201)
        world.secrets.add(made["credential"])
        path = f"/charging-stations/{identity}/credential"
        await world.post(path, {"credential": f"{MARK}-of-{identity}-0123"})
    with pytest.raises(InvalidStatus):
        await world.connect("ONE", V16, f"{MARK}-wrong")


async def speaking_16(world: World) -> list[str]:
    station = await world.connect("ONE", V16, f"{MARK}-of-ONE-0123")
    boot = {"chargePointVendor": "Made Up", "chargePointModel": "D120"}
    await station.call("BootNotification", boot)
    keys = [{"key": "AuthorizationKey", "readonly": False, "value": MARK}]
    keys += [{"key": "FtpLocation", "readonly": False, "value": URL}]
    # The inventory, asked for at the first boot.
    await station.reply(await station.asked(), {"configurationKey": keys})
    accepted = {"status": "Accepted"}
    change = {"key": "AuthorizationKey", "value": MARK}
    when = {"location": URL, "retrieveDate": at()}
    said = [
        await world.command(station, "ChangeConfiguration", change, accepted),
        await world.command(station, "ChangeConfiguration", change, f"no {URL}", error=True),
        await world.command(station, "GetConfiguration", {}, {"configurationKey": keys}),
        await world.command(station, "UpdateFirmware", when, {}),
        await world.command(station, "GetDiagnostics", {"location": URL}, {"fileName": URL}),
        await changing_credential(world, station),
    ]
    await station.call("StatusNotification", status(V16))
    await badly_said(station)
    await station.leave()
    return said


async def badly_said(station: Station) -> None:
    """Secrets in frames that nobody can use; the frame log keeps those too."""
    keys = [{"value": MARK, "key": "AuthorizationKey"}]
    pem = f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----"
    for frame in (
        f'[2,"torn","ChangeConfiguration",{{"value":"{MARK}","key":"Authorization',
        f'{{"password":"{MARK}"}}',
        [3, "nobody-asked", {"configurationKey": keys}],
        [9, "no-such-type", {"password": MARK}],
        [2, "refused", "ChangeConfiguration", keys[0]],
        [2, "wrong", "Authorize", {"idToken": {"idToken": MARK, "type": "KeyCode"}}],
        [2, "tolerated", "MeterValues", {"connectorId": "one", "password": MARK}],
        [2, "a-key", "DataTransfer", {"vendorId": "v", "data": pem}],
        f'[2,"binary","X",{{"password":"{MARK}"}}]'.encode(),
    ):
        await station.send(frame)
    await station.send([2, "last", "Heartbeat", {}])
    while (await station.frame())[1] != "last":
        pass


async def changing_credential(world: World, station: Station) -> str:
    """Give the station a password over OCPP; return what the API says."""
    path = f"/charging-stations/{station.identity}/credential/change"
    asking = asyncio.create_task(world.client.post(path))
    call = await station.asked()
    if station.version == V16:
        world.secrets.add(call[3]["value"])
        # Some repeat what they were told.
        await station.reply(call, {"status": "Accepted", "value": call[3]["value"]})
    else:
        [item] = call[3]["setVariableData"]
        world.secrets.add(item["attributeValue"])
        await station.reply(call, {"setVariableResult": [item | {"attributeStatus": "Accepted"}]})
    response = await asking
    assert (response.status_code, response.json()["valid_credentials"]) == (200, "new")
    return response.text


async def speaking_201(world: World) -> list[str]:
    station = await world.connect("TWO", V201, f"{MARK}-of-TWO-0123")
    boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "Made Up", "model": "D120"}}
    await station.call("BootNotification", boot)
    inventory = await station.asked()
    accepted = {"status": "Accepted"}
    await station.reply(inventory, accepted)
    reported = {**VARIABLE, "variableAttribute": [{"value": MARK, "mutability": "ReadWrite"}]}
    report = {
        "requestId": inventory[3]["requestId"],
        "generatedAt": at(),
        "seqNo": 0,
        "reportData": [reported],
    }
    await station.call("NotifyReport", report)
    event = {
        "eventId": 1,
        "timestamp": at(),
        "trigger": "Delta",
        "actualValue": MARK,
        "eventNotificationType": "CustomMonitor",
        **VARIABLE,
    }
    await station.call("NotifyEvent", {"generatedAt": at(), "seqNo": 0, "eventData": [event]})
    data = {"setVariableData": [{**VARIABLE, "attributeValue": MARK}]}
    was_set = {"setVariableResult": [{**VARIABLE, "attributeStatus": "Accepted"}]}
    got = [{**VARIABLE, "attributeStatus": "Accepted", "attributeValue": MARK}]
    firmware = {"requestId": 1, "firmware": {"location": URL, "retrieveDateTime": at()}}
    log = {"requestId": 2, "logType": "DiagnosticsLog", "log": {"remoteLocation": URL}}
    profile = {"configurationSlot": 1, "connectionData": PROFILE}
    pin = {"idToken": {"idToken": MARK, "type": "KeyCode"}, "remoteStartId": 1}
    asked = {"getVariableData": [VARIABLE]}
    said = [
        await world.command(station, "SetVariables", data, was_set),
        await world.command(station, "GetVariables", asked, {"getVariableResult": got}),
        await world.command(station, "UpdateFirmware", firmware, accepted),
        await world.command(station, "GetLog", log, accepted),
        await world.command(station, "SetNetworkProfile", profile, accepted),
        await world.command(station, "RequestStartTransaction", pin, accepted),
        await changing_credential(world, station),
    ]
    vpn = {**PROFILE["vpn"], "password": MARK * 10}  # Too long: an error tells of it.
    invalid = {"configurationSlot": 1, "connectionData": {**PROFILE, "vpn": vpn}}
    path = "/charging-stations/TWO/commands/SetNetworkProfile"
    await world.post(path, invalid, 422)
    await station.leave()
    return said


async def rows_of(database: Database) -> str:
    """Return everything that is stored, as text."""
    async with database.read() as connection:
        names = await connection.scalars(
            text(
                "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r'"
                " AND c.relnamespace = 'public'::regnamespace"
            )
        )
        found = []
        for name in names.all():
            query = f"SELECT row_to_json(t)::text FROM {name} t"  # noqa: S608  The catalogue's.
            found += [f"{name} {row}" for row in await connection.scalars(text(query))]
    return "\n".join(found)


def lines_with(where: str, secrets: set[str]) -> list[str]:
    return [line for line in where.splitlines() if any(secret in line for secret in secrets)]


async def test_statement_17_no_secret_stays(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    async with served(database, database_url, log) as world:
        await operators(world)
        await commissioning(world)
        said = [*await speaking_16(world), *await speaking_201(world)]
        shown = (await world.client.get("/charging-stations/TWO/commands")).text
        trail = (await world.client.get("/audit")).text
    rows, lines = await rows_of(database), text_of(log)
    # All of it has left its traces,
    frames = [line for line in rows.splitlines() if line.startswith("frames_")]
    for action in FRAMED:
        assert any(f'"action":"{action}"' in line for line in frames), action
    for kept in ("AuthorizationKey", "BasicAuthPassword", "NotifyEvent", "SetNetworkProfile"):
        assert kept in rows
    assert rows.count("(redacted)") > 10
    assert "station_refused" in lines
    # and no secret is among them.
    assert lines_with(rows, world.secrets) == []
    assert lines_with(lines, world.secrets) == []
    assert lines_with("\n".join((*said, shown, trail)), world.secrets) == []
