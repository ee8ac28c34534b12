"""The demo's data: complete at first, unchanged by a second start, repaired when files are lost."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, text, update

from chargehub.access.passwords import Passwords
from chargehub.access.store import operators
from chargehub.demo import seed as demo_seed
from chargehub.demo.drivers import DRIVERS, seed_drivers
from chargehub.demo.files import DemoFiles
from chargehub.demo.seed import HUB, seed
from chargehub.drivers.account_rules import normalise_phone, normalise_plate, normalise_vin
from chargehub.drivers.accounts import find_by_phone, set_phone
from chargehub.drivers.store import drivers, id_tokens
from chargehub.drivers.vehicles import Garage, read_vehicles
from chargehub.kit.db import Database
from chargehub.kit.sealing import Seal
from chargehub.stations.credentials import verify
from chargehub.stations.store import charging_stations, connectors, evses, locations

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
KEY = b"k" * 48


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(demo_seed, "Passwords", partial(Passwords, hasher))


@pytest.fixture
def files(tmp_path: Path) -> DemoFiles:
    return DemoFiles(tmp_path)


async def everything(database: Database) -> list[Any]:
    async with database.read() as connection:
        return [
            (await connection.execute(select(table).order_by(text("1, 2")))).all()
            for table in (locations, charging_stations, evses, connectors, id_tokens, operators)
        ]


async def test_one_hub_of_91_dual_gun_stations_and_four_small_locations(
    database: Database, files: DemoFiles
) -> None:
    await seed(database, KEY, files, AT)
    async with database.read() as connection:
        counted = await connection.execute(
            select(charging_stations.c.location_id, func.count()).group_by(
                charging_stations.c.location_id
            )
        )
        per_location: dict[str, int] = {row[0]: row[1] for row in counted}
        hub = (await connection.execute(select(locations).where(locations.c.id == HUB))).one()
        guns = (
            await connection.execute(
                select(evses, charging_stations.c.identity)
                .join(charging_stations, charging_stations.c.id == evses.c.station_id)
                .where(charging_stations.c.location_id == HUB)
            )
        ).all()
        tokens = await connection.scalar(select(func.count()).select_from(id_tokens))
    assert per_location.pop(HUB) == 91
    assert len(per_location) == 4
    assert all(2 <= count <= 5 for count in per_location.values())
    assert (hub.latitude, hub.longitude) == (28.97, 118.87)
    assert len(guns) == 182
    assert {gun.max_power_w for gun in guns} == {120_000}
    assert {gun.identity for gun in guns} == {f"QZ-{number:03d}" for number in range(1, 92)}
    assert tokens == 700


async def test_seeding_again_changes_nothing(database: Database, files: DemoFiles) -> None:
    await seed(database, KEY, files, AT)
    before = await everything(database)
    stations, logins = files.read_stations(), files.read_logins()
    await seed(database, KEY, files, AT.replace(year=2027))
    assert await everything(database) == before
    assert files.read_stations() == stations
    assert files.read_logins() == logins


async def test_the_fleets_passwords_open_the_stations(database: Database, files: DemoFiles) -> None:
    await seed(database, KEY, files, AT)
    passwords = files.read_stations()
    assert len(passwords) == 91
    assert stat.S_IMODE(files.stations_path.stat().st_mode) == 0o600
    async with database.read() as connection:
        rows = (await connection.execute(select(charging_stations))).all()
    for row in rows:
        if row.identity in passwords:
            assert verify(KEY, row.credential_hash, passwords[row.identity].encode())


async def test_a_lost_file_or_key_means_new_passwords(database: Database, files: DemoFiles) -> None:
    await seed(database, KEY, files, AT)
    first = files.read_stations()
    files.stations_path.unlink()
    await seed(database, KEY, files, AT)
    second = files.read_stations()
    assert second.keys() == first.keys()
    assert all(first[identity] != second[identity] for identity in first)
    other_key = b"o" * 48
    await seed(database, other_key, files, AT)
    async with database.read() as connection:
        row = (
            await connection.execute(
                select(charging_stations).where(charging_stations.c.identity == "QZ-017")
            )
        ).one()
    assert verify(other_key, row.credential_hash, files.read_stations()["QZ-017"].encode())


async def test_logins_work_and_survive_a_lost_file(database: Database, files: DemoFiles) -> None:
    await seed(database, KEY, files, AT)
    files.logins_path.unlink()
    await seed(database, KEY, files, AT)
    assert stat.S_IMODE(files.logins_path.stat().st_mode) == 0o600
    logins = files.read_logins()
    assert list(logins) == ["admin", "operator", "viewer"]
    async with database.read() as connection:
        rows = (await connection.execute(select(operators))).all()
    assert {row.login: row.role for row in rows} == {login: login for login in logins}
    for row in rows:
        assert await Passwords().verify(row.password_hash, logins[row.login])


async def test_what_a_person_changed_stays(database: Database, files: DemoFiles) -> None:
    """A decommissioned station does not come back, and its password leaves the fleet's file."""
    await seed(database, KEY, files, AT)
    gone = charging_stations.c.identity == "QZ-005"
    async with database.write() as connection:
        await connection.execute(update(charging_stations).where(gone).values(decommissioned_at=AT))
    await seed(database, KEY, files, AT)
    async with database.read() as connection:
        again = (await connection.execute(select(charging_stations).where(gone))).all()
    assert len(again) == 1
    assert "QZ-005" not in files.read_stations()


async def test_with_tls_a_third_each_have_profiles_1_2_and_3(
    database: Database, files: DemoFiles
) -> None:
    query = (
        "SELECT security_profile, bound_serial_number IS NOT NULL, count(*)"
        " FROM charging_stations WHERE location_id = 'quzhou-hub' GROUP BY 1, 2 ORDER BY 1"
    )
    await seed(database, KEY, files, AT, tls=True)
    async with database.read() as connection:
        rows = (await connection.execute(text(query))).all()
    assert [tuple(row) for row in rows] == [(1, False, 31), (2, False, 30), (3, True, 30)]
    lines = files.profiles_path.read_text().splitlines()
    assert lines[:1] + lines[6:8] == ["identity,security_profile", "QZ-006,3", "QZ-007,3"]
    await seed(database, KEY, files, AT)
    async with database.read() as connection:
        rows = (await connection.execute(text(query))).all()
    assert [tuple(row) for row in rows] == [(1, False, 91)]


async def test_a_few_drivers_are_made_once(database: Database, files: DemoFiles) -> None:
    await seed(database, KEY, files, AT)
    seal = Seal(KEY)
    for _ in range(2):
        await seed_drivers(database, seal, AT)
    async with database.read() as connection:
        for driver in DRIVERS:
            row = await find_by_phone(connection, seal, driver.phone)
            assert row is not None
            card = (
                await connection.execute(
                    select(id_tokens).where(id_tokens.c.token == driver.card.lower())
                )
            ).one()
            assert (card.driver_id, card.group_token) == (row.id, row.group_token)
            [vehicle] = await read_vehicles(connection, [row.id])
            assert Garage(seal).opened(vehicle).vin == driver.vin
        assert await connection.scalar(select(func.count()).select_from(drivers)) == len(DRIVERS)
    for driver in DRIVERS:
        assert normalise_phone(driver.phone) == driver.phone
        assert normalise_plate(driver.plate) == driver.plate
        assert normalise_vin(driver.vin) == driver.vin


async def test_a_demo_driver_who_took_another_phone_keeps_vehicle_and_card(
    database: Database,
) -> None:
    seal = Seal(KEY)
    await seed_drivers(database, seal, AT)
    async with database.write() as connection:
        first = await find_by_phone(connection, seal, DRIVERS[0].phone)
        assert first is not None
        assert await set_phone(connection, seal, first.id, "+8613900009999")
    await seed_drivers(database, seal, AT)
    async with database.read() as connection:
        [vehicle] = await read_vehicles(connection, [first.id])
        card = id_tokens.c.token == DRIVERS[0].card.lower()
        owner = await connection.scalar(select(id_tokens.c.driver_id).where(card))
    assert Garage(seal).opened(vehicle).vin == DRIVERS[0].vin
    assert owner == first.id
