"""A whole day at the hub, from a seed: drawn, lived, and what it came to."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.days.drivers import first_of_day, new_driver
from tests.days.ledger import Ledger
from tests.days.mishaps import Mishaps
from tests.days.people import draw_day
from tests.days.place import close_day, open_day


@dataclass(frozen=True, slots=True)
class Size:
    stations: int
    drivers: int


FULL = Size(91, 600)
SMALL = Size(10, 66)
"""The same hub and the same evening, at a ninth."""


async def live_a_day(database_url: str, size: Size, seed: int) -> Ledger:
    day = await open_day(database_url, stations=size.stations)
    try:
        drivers = [await new_driver(day, plan) for plan in draw_day(seed, size.drivers)]
        for driver in drivers:
            day.add(first_of_day(driver.plan), driver.live())
        Mishaps(day, random.Random(f"mishaps:{seed}")).plan()
        await day.run()
        by_number = {driver.plan.number: driver for driver in drivers}
        for promise in day.ledger.promises:
            await by_number[promise.driver].look_up(promise)
        return day.ledger
    finally:
        await close_day(day)
