"""What the demo's database holds at first: one hub, four small locations, idTokens, operators.

Seeding again adds what is missing and changes nothing else, except passwords that were lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import create_operator
from chargehub.access.store import operators
from chargehub.demo.files import DemoFiles
from chargehub.drivers.store import id_tokens
from chargehub.kit.db import Database
from chargehub.stations.commissioning import commission_stations
from chargehub.stations.credentials import generate_credential, hash_credential, verify
from chargehub.stations.fence import lock_fence
from chargehub.stations.rules import NewEvse, NewStation
from chargehub.stations.store import charging_stations, locations

ACTOR = "demo"
HUB = "quzhou-hub"
HUB_STATIONS = 91
GUNS = 2

ID_TOKENS = {"TAXI": 400, "RIDE": 200, "PRIV": 100}
HOLDERS = {"TAXI": "Taxi", "RIDE": "Ride-hailing", "PRIV": "Private"}
LOGINS = {"admin": Role.ADMIN, "operator": Role.OPERATOR, "viewer": Role.VIEWER}


@dataclass(frozen=True, slots=True)
class DemoLocation:
    id: str
    name: str
    address: str
    latitude: float
    longitude: float
    prefix: str
    stations: int
    power_w: int


# The hub's position is given; its small neighbours lie within a few kilometres of it.
LOCATIONS = (
    DemoLocation(
        HUB, "衢州出租车充电枢纽", "浙江省衢州市柯城区", 28.97, 118.87, "QZ", HUB_STATIONS, 120_000
    ),
    DemoLocation(
        "quzhou-railway", "衢州站停车场", "浙江省衢州市柯城区", 28.9660, 118.8840, "QR", 4, 60_000
    ),
    DemoLocation(
        "quzhou-hospital",
        "人民医院停车楼",
        "浙江省衢州市柯城区",
        28.9480,
        118.8590,
        "QH",
        3,
        60_000,
    ),
    DemoLocation(
        "quzhou-market", "市场南侧", "浙江省衢州市衢江区", 28.9790, 118.9330, "QM", 3, 80_000
    ),
    DemoLocation(
        "quzhou-west", "西区公交场", "浙江省衢州市柯城区", 28.9860, 118.8260, "QW", 5, 120_000
    ),
)


async def seed(
    database: Database, key: bytes, files: DemoFiles, at: datetime, *, tls: bool = False
) -> None:
    """Bring the database and the demo's files to the same demo."""
    async with database.write() as connection:
        await _seed_locations(connection)
        await _seed_stations(connection, key, at)
        await _seed_id_tokens(connection)
    await _agree_station_passwords(database, key, files, at)
    await _agree_profiles(database, files, tls=tls)
    await _agree_logins(database, files, at)


def identity_of(number: int) -> str:
    """Return the identity of the hub's station of this number (from 1)."""
    return f"QZ-{number:03d}"


def profile_of(number: int, *, tls: bool) -> int:
    """Return the security profile of the hub's station of this number (from 1).

    Three in a row have the same, so that each goes with each version of the protocol.
    """
    return (number // 3) % 3 + 1 if tls else 1


def serial_number_of(identity: str) -> str:
    """Return what the simulated station of this identity calls itself at boot."""
    return f"SN-{identity}"[:25]


async def _seed_locations(connection: AsyncConnection) -> None:
    rows = [
        {
            "id": place.id,
            "name": place.name,
            "address": place.address,
            "latitude": place.latitude,
            "longitude": place.longitude,
        }
        for place in LOCATIONS
    ]
    await connection.execute(insert(locations).on_conflict_do_nothing(), rows)


async def _seed_stations(connection: AsyncConnection, key: bytes, at: datetime) -> None:
    # Any station that ever stood here counts: a decommissioned one does not come back.
    known = {
        identity.lower()
        for identity in await connection.scalars(select(charging_stations.c.identity))
    }
    missing = [
        station
        for place in LOCATIONS
        for station in _stations_of(place)
        if station.identity.lower() not in known
    ]
    if missing:
        await commission_stations(connection, at, key, missing, actor=ACTOR)


def _stations_of(place: DemoLocation) -> Iterable[NewStation]:
    for number in range(1, place.stations + 1):
        identity = f"{place.prefix}-{number:03d}"
        yield NewStation(
            identity=identity,
            location_id=place.id,
            name=f"{number}号桩",
            max_power_w=place.power_w,
            evses=tuple(
                NewEvse(evse_no, place.power_w, f"{identity}-{evse_no}")
                for evse_no in range(1, GUNS + 1)
            ),
        )


async def _seed_id_tokens(connection: AsyncConnection) -> None:
    rows = [
        {
            "token": f"{prefix}-{number:04d}".lower(),
            "display": f"{prefix}-{number:04d}",
            "holder": f"{HOLDERS[prefix]} {number:04d}",
        }
        for prefix, count in ID_TOKENS.items()
        for number in range(1, count + 1)
    ]
    await connection.execute(insert(id_tokens).on_conflict_do_nothing(), rows)


async def _agree_station_passwords(
    database: Database, key: bytes, files: DemoFiles, at: datetime
) -> None:
    """Make the fleet's file and the stored hashes fit: whatever fits already stays."""
    passwords = files.read_stations()
    async with database.read() as connection:
        stations = (
            await connection.execute(
                select(charging_stations)
                .where(
                    charging_stations.c.location_id == HUB,
                    charging_stations.c.identity.like("QZ-%"),
                    charging_stations.c.decommissioned_at.is_(None),
                )
                .order_by(charging_stations.c.identity)
            )
        ).all()
    agreed: dict[str, str] = {}
    changed: dict[int, bytes] = {}
    for station in stations:
        password = passwords.get(station.identity)
        stored = station.credential_hash
        if password is None or stored is None or not verify(key, stored, password.encode()):
            password = generate_credential()
            changed[station.id] = hash_credential(key, password.encode())
        agreed[station.identity] = password
    # The file first: after a kill in between, the next start finds passwords that do not fit.
    if changed or agreed.keys() != passwords.keys():
        files.write_stations(agreed)
    async with database.write() as connection:
        for station_id, hashed in changed.items():
            await connection.execute(
                update(charging_stations)
                .where(charging_stations.c.id == station_id)
                .values(credential_hash=hashed, credential_rotated_at=at)
            )


async def _agree_profiles(database: Database, files: DemoFiles, *, tls: bool) -> None:
    """Set the fleet's security profiles, lower ones too: without TLS nobody could come otherwise.

    A hub with real stations never lowers them.
    """
    numbers = range(1, HUB_STATIONS + 1)
    profiles = {identity_of(number): profile_of(number, tls=tls) for number in numbers}
    files.write_profiles(profiles)
    async with database.write() as connection:
        await lock_fence(connection)
        for identity, profile in profiles.items():
            await connection.execute(
                update(charging_stations)
                .where(
                    charging_stations.c.identity == identity,
                    charging_stations.c.decommissioned_at.is_(None),
                )
                .values(
                    security_profile=profile,
                    bound_serial_number=serial_number_of(identity) if profile == 3 else None,
                )
            )


async def _agree_logins(database: Database, files: DemoFiles, at: datetime) -> None:
    """Make the three operators, with passwords made up once and kept in a private file."""
    kept = files.read_logins()
    logins = {login: kept.get(login) or secrets.token_urlsafe(9) for login in LOGINS}
    if logins != kept:
        files.write_logins(logins)
    async with database.read() as connection:
        known = {
            row.login: row.password_hash for row in await connection.execute(select(operators))
        }
    passwords = Passwords()
    for login, role in LOGINS.items():
        if login in known and login in kept:
            continue
        hashed = await passwords.hash(logins[login])
        async with database.write() as connection:
            if login in known:
                await connection.execute(
                    update(operators)
                    .where(operators.c.login == login)
                    .values(password_hash=hashed, disabled_at=None)
                )
            else:
                await create_operator(
                    connection, at, login=login, role=role, password_hash=hashed, actor=ACTOR
                )
