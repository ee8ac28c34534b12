"""A few drivers of the demo, with phones that nobody has, vehicles and cards."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from chargehub.drivers.accounts import open_account
from chargehub.drivers.cards import IdTokenTaken, give_card
from chargehub.drivers.vehicles import Garage
from chargehub.kit.db import Database
from chargehub.kit.sealing import Seal


@dataclass(frozen=True, slots=True)
class DemoDriver:
    phone: str
    name: str
    kind: str
    plate: str
    vin: str
    card: str


# The last numbers of each range, which the fleet's drivers rarely take.
DRIVERS = (
    DemoDriver("+8613800000001", "李明", "taxi", "浙HD00001", "LDEM0000500000001", "TAXI-0400"),
    DemoDriver("+8613800000002", "王芳", "taxi", "浙HD00002", "LDEM0000700000002", "TAXI-0399"),
    DemoDriver(
        "+8613800000003", "张伟", "ride_hailing", "浙HD00003", "LDEM0000900000003", "RIDE-0200"
    ),
    DemoDriver("+8613800000004", "陈静", "private", "浙HA0004", "LDEM0000000000004", "PRIV-0099"),
)


async def seed_drivers(database: Database, seal: Seal, at: datetime) -> None:
    """Make those drivers who are not there; whoever is stays as they are."""
    garage = Garage(seal)
    for driver in DRIVERS:
        async with database.write() as connection:
            driver_id = await open_account(
                connection, at, seal, phone=driver.phone, name=driver.name, kinds=[driver.kind]
            )
            if driver_id is None:
                continue
            vehicle = {"plate": driver.plate, "vin": driver.vin, "battery_wh": 60_000}
            await garage.add(connection, driver_id, vehicle, at)
            # One who took another phone kept it.
            with suppress(IdTokenTaken):
                await give_card(connection, driver_id, driver.card, "ISO14443", at)
