"""Who comes to the hub and when: about 600 drivers a day, drawn from a seed.

A day's visits depend on the seed and the date alone, so the same seed brings the same drivers,
cars and mishaps whenever the fleet is started.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum, auto
from zoneinfo import ZoneInfo

from simulators.car import Car, draw_car

LOCAL_ZONE = ZoneInfo("Asia/Shanghai")

VISITS_PER_DAY = 600

HOURLY_WEIGHTS = (
    *(2.5,) * 10,  # 0 to 10
    *(4.0, 11.0, 11.0, 8.0, 5.0, 5.0, 6.0, 5.0),  # 10 to 18
    *(2.5, 2.5, 2.5, 3.0, 6.0, 5.5),  # 18 to 24
)
"""Share of the day's visits in each local hour, before normalisation."""

VALLEY_STARTS = {11: 0.0, 22: 0.5}
"""Hours in which a cheap period begins, and after which part of the hour: drivers wait for it."""


class DriverKind(StrEnum):
    TAXI = "TAXI"
    RIDE = "RIDE"
    PRIVATE = "PRIV"


SHARES = {DriverKind.TAXI: 0.60, DriverKind.RIDE: 0.25, DriverKind.PRIVATE: 0.15}
POOLS = {DriverKind.TAXI: 400, DriverKind.RIDE: 200, DriverKind.PRIVATE: 100}
"""How many idTokens of each kind the hub knows: TAXI-0001 .. TAXI-0400, and so on."""


class Mishap(StrEnum):
    NONE = auto()
    UNKNOWN_TOKEN = auto()
    CAR_FAILS = auto()
    WALKS_AWAY = auto()
    ABORTED = auto()
    OFFLINE = auto()


START_FAILURES = (Mishap.UNKNOWN_TOKEN, Mishap.CAR_FAILS, Mishap.WALKS_AWAY)
START_FAILURE_SHARE = 0.03
ABORTED_SHARE = 0.015
OFFLINE_SHARE = 0.005
OVERSTAYER_SHARE = 0.08
STOPPED_BY_HAND_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Visit:
    at: float
    kind: DriverKind
    token: str
    car: Car
    """As it arrives: whoever plugs it in takes a copy."""
    mishap: Mishap
    choice: float
    """0 to 1: which of the free guns the driver takes."""
    patience_s: float
    to_the_reader_s: float
    """From the cable to the token."""
    lingers_s: float
    """From the end of the charging to unplugging."""
    interrupted_after_s: float
    """When a mishap or the driver's own hand interrupts, from the start of the charging."""
    stopped_by_hand: bool
    leaves_by_the_cable: bool
    """An aborting driver pulls the cable instead of stopping first."""


def visits_of_day(seed: int, day: date, per_day: float = VISITS_PER_DAY) -> list[Visit]:
    """Return the day's visits in the order of their arrival."""
    midnight = datetime.combine(day, time(), LOCAL_ZONE)
    rng = random.Random(f"{seed}:{day.isoformat()}")
    times: list[float] = []
    total = sum(HOURLY_WEIGHTS)
    for hour, weight in enumerate(HOURLY_WEIGHTS):
        for _ in range(_poisson(rng, per_day * weight / total)):
            start = midnight + timedelta(hours=hour)
            times.append(start.timestamp() + 3600 * _within_hour(rng, hour))
    tokens = {kind: _tokens(seed, day, kind) for kind in DriverKind}
    return [_draw_visit(rng, at, tokens) for at in sorted(times)]


def visits_from(seed: int, start: float, per_day: float = VISITS_PER_DAY) -> Iterator[Visit]:
    """Yield all visits after `start`, without end."""
    day = datetime.fromtimestamp(start, UTC).astimezone(LOCAL_ZONE).date()
    while True:
        yield from (visit for visit in visits_of_day(seed, day, per_day) if visit.at > start)
        day += timedelta(days=1)


def visits_before(seed: int, start: float, per_day: float = VISITS_PER_DAY) -> Iterator[Visit]:
    """Yield the visits before `start`, the latest first, without end."""
    day = datetime.fromtimestamp(start, UTC).astimezone(LOCAL_ZONE).date()
    while True:
        visits = visits_of_day(seed, day, per_day)
        yield from (visit for visit in reversed(visits) if visit.at <= start)
        day -= timedelta(days=1)


def _draw_visit(rng: random.Random, at: float, tokens: dict[DriverKind, Iterator[str]]) -> Visit:
    kind = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
    mishap = _draw_mishap(rng)
    token = next(tokens[kind])
    overstays = rng.random() < OVERSTAYER_SHARE
    lingers_s = rng.uniform(15, 60) * 60 if overstays else min(20 + rng.expovariate(1 / 90), 600)
    by_hand = rng.random() < STOPPED_BY_HAND_SHARE
    early_min = (1, 5) if mishap is Mishap.ABORTED else (3, 10)
    return Visit(
        at=at,
        kind=kind,
        token=f"LOST-{rng.randrange(10_000):04d}" if mishap is Mishap.UNKNOWN_TOKEN else token,
        car=draw_car(rng),
        mishap=mishap,
        choice=rng.random(),
        patience_s=rng.uniform(5, 25) * 60,
        to_the_reader_s=rng.uniform(8, 45),
        lingers_s=lingers_s,
        interrupted_after_s=60
        * rng.uniform(*((14, 25) if by_hand and mishap is Mishap.NONE else early_min)),
        stopped_by_hand=by_hand,
        leaves_by_the_cable=rng.random() < 0.3,
    )


def _draw_mishap(rng: random.Random) -> Mishap:
    drawn = rng.random()
    if drawn < START_FAILURE_SHARE:
        return rng.choice(START_FAILURES)
    if drawn < START_FAILURE_SHARE + ABORTED_SHARE:
        return Mishap.ABORTED
    if drawn < START_FAILURE_SHARE + ABORTED_SHARE + OFFLINE_SHARE:
        return Mishap.OFFLINE
    return Mishap.NONE


def _tokens(seed: int, day: date, kind: DriverKind) -> Iterator[str]:
    """Yield tokens without end; none comes back within hours, as a driver has one car.

    The order is the seed's. Each day starts a little further on, so that the first tokens of a
    day are not the last ones of the evening before.
    """
    pool = POOLS[kind]
    order = list(range(1, pool + 1))
    random.Random(f"{seed}:{kind}").shuffle(order)
    place = day.toordinal() * 7
    while True:
        yield f"{kind.value}-{order[place % pool]:04d}"
        place += 1


def _within_hour(rng: random.Random, hour: int) -> float:
    start = VALLEY_STARTS.get(hour)
    if start is None:
        return rng.random()
    # Most come soon after the price has dropped.
    if rng.random() < start * 0.4:
        return rng.uniform(0.0, start)
    return start + (1.0 - start) * float(rng.random() ** 1.5)


def _poisson(rng: random.Random, mean: float) -> int:
    count, passed = -1, 0.0
    while passed < mean:
        passed += rng.expovariate(1.0)
        count += 1
    return count
