"""Who comes to the hub on the day, drawn from a seed: when, in what car, and what they plan. Pure.

Three drivers in five come home in the evening and want a gun within the same hour; a quarter of
all reserve. What becomes of a reservation is drawn too: most keep it, some come early or late, ask
for more time, cancel, or never come.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulators.arrivals import HOURLY_WEIGHTS
from simulators.car import Car, draw_car

HOUR, MINUTE = 3_600.0, 60.0
MIDNIGHT = 1_795_363_200.0
"""2026-11-22T16:00:00Z, midnight of the 23rd in Quzhou."""
PEAK_SHARE = 0.62
PEAK_AT_H, PEAK_SPREAD_H = 18.6, 0.32
RESERVING_SHARE = 0.25
RUSH_AT_H, RUSH_SHARE = 17.0, 0.2
"""Of those who reserve for the evening so many do it at the very same moment."""
POWERS_W = (120_000, 60_000)


class Character(StrEnum):
    ON_TIME = "on time"
    EARLY = "early"
    LATE = "late"
    NO_SHOW = "never comes"
    CANCELS = "cancels"
    EXTENDS = "asks for more time"


class Manner(StrEnum):
    """Of who waits in the queue and is called."""

    COMES = "comes"
    SLEEPS = "does not see the call"
    GIVES_WAY = "lets the next go first"


MANNERS = {3: Manner.SLEEPS, 6: Manner.GIVES_WAY}
"""By the last digit of the driver's number."""

CHARACTERS = {
    Character.ON_TIME: 50,
    Character.EARLY: 16,
    Character.EXTENDS: 9,
    Character.LATE: 8,
    Character.NO_SHOW: 9,
    Character.CANCELS: 8,
}


@dataclass(frozen=True, slots=True)
class Booking:
    at: float
    starts_at: float | None
    """None: now."""
    gun: float | None
    """0 to 1: which gun is wanted; None: any."""
    power_w: int
    character: Character
    changes_at: float
    """When its driver cancels it or asks for more time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one driver means to do."""

    number: int
    arrives_at: float
    booking: Booking | None
    car: Car
    by_card: bool
    looks_first: bool
    """Asks the app about a gun before driving up to it."""
    patience_s: float
    to_the_reader_s: float
    lingers_s: float
    choice: float

    @property
    def manner(self) -> Manner:
        """How they behave in the queue."""
        return MANNERS.get(self.number % 10, Manner.COMES)

    @property
    def queues_for_w(self) -> int:
        return max(POWERS_W) if self.number % 3 == 0 else 0


def draw_day(seed: int, drivers: int) -> list[Plan]:
    """Return the plans of so many drivers; the same seed brings the same day."""
    rng = random.Random(f"day:{seed}:{drivers}")
    reserving = set(rng.sample(range(drivers), round(drivers * RESERVING_SHARE)))
    return [_draw_plan(rng, number, reserves=number in reserving) for number in range(drivers)]


def _draw_plan(rng: random.Random, number: int, *, reserves: bool) -> Plan:
    wanted_at = MIDNIGHT + _draw_hour(rng) * HOUR
    booking = _draw_booking(rng, wanted_at) if reserves else None
    arrives_at = wanted_at if booking is None else _draw_arrival(rng, booking)
    overstays = rng.random() < 0.12
    return Plan(
        number=number,
        arrives_at=arrives_at,
        booking=booking,
        car=draw_car(rng),
        by_card=rng.random() < 0.5,
        looks_first=rng.random() < 0.6,
        patience_s=rng.uniform(8, 30) * MINUTE,
        to_the_reader_s=rng.uniform(8, 45),
        lingers_s=rng.uniform(15, 60) * MINUTE if overstays else rng.uniform(20, 400),
        choice=rng.random(),
    )


def _draw_hour(rng: random.Random) -> float:
    if rng.random() < PEAK_SHARE:
        return min(max(rng.gauss(PEAK_AT_H, PEAK_SPREAD_H), 17.3), 20.5)
    (hour,) = rng.choices(range(24), weights=HOURLY_WEIGHTS)
    return hour + rng.random()


def _draw_booking(rng: random.Random, wanted_at: float) -> Booking:
    character = rng.choices(list(CHARACTERS), weights=list(CHARACTERS.values()))[0]
    gun = rng.random() if rng.random() < 0.4 else None
    (power_w,) = rng.choices(POWERS_W, weights=(70, 30))
    ahead_s = rng.uniform(25, 300) * MINUTE
    rush = MIDNIGHT + RUSH_AT_H * HOUR
    if rng.random() < 0.15:
        # On the road already: the gun is held from now on.
        at = wanted_at - rng.uniform(4, 13) * MINUTE
        return Booking(at, None, gun, power_w, character, at + rng.uniform(1, 8) * MINUTE)
    at = wanted_at - ahead_s
    if rng.random() < RUSH_SHARE and wanted_at > rush + 25 * MINUTE:
        at = rush
    changes_at = wanted_at + rng.uniform(2, 12) * MINUTE
    if character is Character.CANCELS:
        soon = at + rng.uniform(0.5, 2.5) * MINUTE
        changes_at = soon if rng.random() < 0.5 else rng.uniform(soon, wanted_at)
    return Booking(max(at, MIDNIGHT + 1), wanted_at, gun, power_w, character, changes_at)


def _draw_arrival(rng: random.Random, booking: Booking) -> float:
    """Return when the driver comes, reckoned from the window that was wanted."""
    begin = booking.starts_at if booking.starts_at is not None else booking.at
    minutes = {
        Character.EARLY: (-19.0, -4.0),
        Character.LATE: (15.5, 28.0),
        Character.EXTENDS: (16.0, 28.0),
    }.get(booking.character, (0.0, 14.0))
    return max(begin + rng.uniform(*minutes) * MINUTE, booking.at + MINUTE)


def share_of(plans: Sequence[Plan]) -> float:
    return sum(plan.booking is not None for plan in plans) / len(plans)
