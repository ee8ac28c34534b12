"""Which gun is free, what it counts as, and how long a full place will be full. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import asin, ceil, cos, radians, sin

from chargehub.stations.reports import ConnectorStatus, RegistrationStatus
from chargehub.stations.states import Charge, EvseState, evse_state, most_telling, out_of_use

EARTH_M = 6_371_008.8
"""Mean radius of WGS-84. On a ball of it a distance is wrong by half a percent at most."""
HALF_WAY_ROUND_M = 20_015_000
LONGEST_MINUTES = 12 * 60
"""An estimate beyond this says that something is odd, not when a gun will be free."""
_FULL_POWER_UNTIL = 55
_LOWEST_FROM = 90
_LOWEST_SHARE = 0.3

Vector = tuple[float, float, float]


class PowerClass(StrEnum):
    SLOW = "slow"
    FAST = "fast"
    SUPER = "super"


@dataclass(frozen=True, slots=True)
class PowerClasses:
    """慢充 below `fast_from_w`, 快充 from there, 超充 from `super_from_w`."""

    fast_from_w: int = 30_000
    super_from_w: int = 120_000

    def of(self, power_w: int) -> PowerClass:
        if power_w >= self.super_from_w:
            return PowerClass.SUPER
        return PowerClass.FAST if power_w >= self.fast_from_w else PowerClass.SLOW


@dataclass(frozen=True, slots=True)
class GunFacts:
    """What is known of an EVSE; `statuses` are those of its connectors."""

    online: bool
    registration: RegistrationStatus
    operative: bool
    """As the operator wants the gun and its station."""
    station_status: ConnectorStatus
    statuses: Collection[ConnectorStatus]
    running: bool
    """A transaction is open at it, whatever its connector says."""
    held: bool
    """A reservation holds it now."""
    starting: bool = False
    """Somebody was told to plug in there."""
    bay_occupied: bool = False
    """A car stands at it, charging or not."""
    charge: Charge | None = None

    @property
    def out_of_use(self) -> EvseState | None:
        return out_of_use(
            most_telling(self.statuses),
            self.station_status,
            online=self.online,
            registration=self.registration,
            operative=self.operative,
        )


def gun_state(facts: GunFacts) -> EvseState:
    """Return what a driver finds; only what is Available is free for anybody."""
    state = evse_state(most_telling(facts.statuses), facts.charge, online=facts.online)
    if state not in {EvseState.AVAILABLE, EvseState.RESERVED}:
        return state
    out = facts.out_of_use
    if out is not None:
        return out
    if facts.running or facts.bay_occupied or facts.starting:
        return EvseState.OCCUPIED
    return EvseState.RESERVED if facts.held else state


@dataclass(frozen=True, slots=True)
class TypicalCar:
    """What is assumed of a car of which only its state of charge is told."""

    battery_wh: int = 60_000
    leaves_at_percent: int = 95


@dataclass(frozen=True, slots=True)
class Running:
    """A transaction under way; None: not known."""

    elapsed_minutes: float
    soc_percent: float | None = None
    power_w: int | None = None


def minutes_left(running: Running, car: TypicalCar, usual_minutes: float | None) -> float | None:
    """Estimate when a transaction ends: from state of charge and power, else from others' length.

    Past its usual length a transaction is given a tenth of it more, over and over.
    """
    if running.soc_percent is not None and (running.power_w or 0) > 0:
        told = _minutes_to_charge(running.soc_percent, running.power_w or 0, car)
        if told <= LONGEST_MINUTES:
            return told
    if usual_minutes is None:
        return None
    return max(usual_minutes - running.elapsed_minutes, usual_minutes / 10)


def _minutes_to_charge(soc_percent: float, power_w: int, car: TypicalCar) -> float:
    """Charge percent by percent, at a power that falls as a battery fills."""
    here = _share(soc_percent)
    minutes, percent = 0.0, soc_percent
    while percent < car.leaves_at_percent:
        step = min(1.0, car.leaves_at_percent - percent)
        power = power_w * min(1.0, _share(percent) / here)
        minutes += car.battery_wh * step / 100 / power * 60
        percent += step
    return minutes


def _share(soc_percent: float) -> float:
    """Return what share of its full power a battery takes."""
    fallen = (soc_percent - _FULL_POWER_UNTIL) / (_LOWEST_FROM - _FULL_POWER_UNTIL)
    return 1 - (1 - _LOWEST_SHARE) * min(1.0, max(0.0, fallen))


def predicted_wait(
    running: Iterable[Running], car: TypicalCar, usual_minutes: float | None
) -> int | None:
    """Return whole minutes until the first of these guns is free; None: nothing tells."""
    known = [minutes_left(one, car, usual_minutes) for one in running]
    return min((max(1, ceil(minutes)) for minutes in known if minutes is not None), default=None)


def unit_vector(latitude: float, longitude: float) -> Vector:
    """Return where a point is on a ball of radius 1, as `stations.store.UNIT_VECTOR` does."""
    north, east = radians(latitude), radians(longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)


def metres_of(chord: float) -> float:
    """Return the way over the ground that is this straight line through a ball of radius 1."""
    return 2 * EARTH_M * asin(min(1.0, chord / 2))


def chord_of(metres: float) -> float:
    return 2 * sin(min(metres / EARTH_M / 2, radians(90)))
