"""What a driver's charge may be and become: limits, estimates, states, reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from uuid import UUID

from chargehub.stations.reports import PLUGGED_IN, UNPLUGGED, ConnectorStatus
from chargehub.stations.states import EvseState

FULL_PERCENT = 100.0
TAPER_FROM_PERCENT = 80.0
"""Above this a battery takes about half the power it took before."""
TAPER = 0.5
LEAST_SOC_RISE = 3.0
"""Of so many percent at least the size of a battery is inferred; stations round."""
MOST_MINUTES_LEFT = 24 * 60


class ChargeState(StrEnum):
    REQUESTED = "requested"
    STARTING = "starting"
    CHARGING = "charging"
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"


BEGINNING = (ChargeState.REQUESTED, ChargeState.STARTING)
UNDER_WAY = (
    *BEGINNING,
    ChargeState.CHARGING,
    ChargeState.STOPPING,
)


class StartedBy(StrEnum):
    APP = "app"
    CARD = "card"
    VIN = "vin"
    MAC = "mac"


class EndReason(StrEnum):
    """Why a charge ended, or never began."""

    DRIVER = "stopped_by_driver"
    ENERGY = "energy_limit"
    MINUTES = "minutes_limit"
    SOC = "soc_limit"
    FULL = "full"
    AT_STATION = "stopped_at_station"
    UNPLUGGED = "unplugged"
    EMERGENCY = "emergency_stop"
    STAFF = "stopped_by_staff"
    STATION = "ended_by_station"
    LOST = "station_lost"
    REFUSED = "refused_by_station"
    # Of charges from before such a start was refused at once.
    NOT_ACCEPTED = "not_allowed"
    RESERVED = "reserved_for_another"
    OFFLINE = "station_offline"
    UNSUPPORTED = "not_supported_by_station"
    STATION_ERROR = "station_error"
    NOT_PLUGGED_IN = "not_plugged_in"
    NOT_STARTED = "not_started"


REASON_TEXTS = {
    EndReason.DRIVER: "You stopped it.",
    EndReason.ENERGY: "The energy you asked for was reached.",
    EndReason.MINUTES: "The time you asked for was reached.",
    EndReason.SOC: "The state of charge you asked for was reached.",
    EndReason.FULL: "The battery is full.",
    EndReason.AT_STATION: "It was stopped at the charging station.",
    EndReason.UNPLUGGED: "The gun was unplugged.",
    EndReason.EMERGENCY: "The emergency stop was pressed.",
    EndReason.STAFF: "It was stopped from afar, not by you.",
    EndReason.STATION: "The charging station or the car ended it.",
    EndReason.LOST: "The charging station was not heard of any more, so we closed it.",
    EndReason.REFUSED: "The charging station refused to start.",
    EndReason.NOT_ACCEPTED: "You may not charge here now.",
    EndReason.RESERVED: "The gun is reserved for another driver; try another gun.",
    EndReason.OFFLINE: "The charging station is not connected; nothing was started.",
    EndReason.UNSUPPORTED: "The charging station cannot be started from afar; use a card.",
    EndReason.STATION_ERROR: "The charging station did not understand; try another gun.",
    EndReason.NOT_PLUGGED_IN: "The gun was not plugged into the car in time.",
    EndReason.NOT_STARTED: "The charging station accepted, but never began; try another gun.",
}

# OCPP's ReasonEnumType (and 1.6's Reason) where nobody asked us to stop.
_STATION_REASONS = {
    "Local": EndReason.AT_STATION,
    "StoppedByEV": EndReason.STATION,
    "EVDisconnected": EndReason.UNPLUGGED,
    "EmergencyStop": EndReason.EMERGENCY,
    "Remote": EndReason.STAFF,
    "SOCLimitReached": EndReason.FULL,
    "EnergyLimitReached": EndReason.ENERGY,
    "TimeLimitReached": EndReason.MINUTES,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop by ourselves; None and False: not for this."""

    energy_wh: int | None = None
    minutes: int | None = None
    soc_percent: int | None = None
    when_full: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest values of a transaction; None: not told yet."""

    at: datetime
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None
    charging_state: str | None = None


def reached(
    limits: Limits, progress: Progress | None, started_at: datetime, now: datetime
) -> EndReason | None:
    """Return the limit that is reached, the driver's own before `full`."""
    if limits.minutes is not None and now >= started_at + timedelta(minutes=limits.minutes):
        return EndReason.MINUTES
    if progress is None:
        return None
    energy, soc = progress.energy_wh, progress.soc_percent
    if limits.energy_wh is not None and energy is not None and energy >= limits.energy_wh:
        return EndReason.ENERGY
    if limits.soc_percent is not None and soc is not None and soc >= limits.soc_percent:
        return EndReason.SOC
    if limits.when_full and soc is not None and soc >= FULL_PERCENT:
        return EndReason.FULL
    return None


def end_reason(
    asked: EndReason | None, stopped_reason: str | None, *, closed_by_us: bool = False
) -> EndReason:
    """Return why a transaction ended: what was asked for explains it before the station's word."""
    if closed_by_us:
        return EndReason.LOST
    if asked is not None:
        return asked
    return _STATION_REASONS.get(stopped_reason or "", EndReason.STATION)


def begun_at(told_at: datetime, heard_at: datetime, asked_at: datetime | None = None) -> datetime:
    """Return when a charge began, whatever the station's clock says.

    Not after we heard of it, and not before the app asked for it.
    """
    at = min(told_at, heard_at)
    return at if asked_at is None else max(at, asked_at)


def minutes_charged(started_at: datetime, until: datetime) -> int:
    return max(0, int((until - started_at).total_seconds() // 60))


def minutes_left(
    limits: Limits,
    progress: Progress | None,
    started_at: datetime,
    now: datetime,
    *,
    first_soc_percent: float | None = None,
    battery_wh: int | None = None,
) -> int | None:
    """Estimate the minutes until the first limit or a full battery; None when nothing says.

    The battery's size is what the driver told of the car, else what the rise of its state of
    charge since `first_soc_percent` says.
    """
    estimates: list[float] = []
    if limits.minutes is not None:
        over_at = started_at + timedelta(minutes=limits.minutes)
        estimates.append((over_at - now).total_seconds() / 60)
    power_w = progress.power_w if progress is not None else None
    if progress is not None and power_w is not None and power_w > 0:
        energy = progress.energy_wh or 0
        if limits.energy_wh is not None:
            estimates.append((limits.energy_wh - energy) / power_w * 60)
        battery = battery_wh or _inferred_battery(progress, first_soc_percent)
        if battery is not None and progress.soc_percent is not None:
            target = float(limits.soc_percent or FULL_PERCENT)
            needed = _energy_until(progress.soc_percent, target, battery)
            estimates.append(needed / power_w * 60)
    if not estimates:
        return None
    return min(MOST_MINUTES_LEFT, max(0, ceil(min(estimates))))


def _inferred_battery(progress: Progress, first_soc_percent: float | None) -> float | None:
    soc, energy = progress.soc_percent, progress.energy_wh
    if soc is None or energy is None or first_soc_percent is None:
        return None
    rise = soc - first_soc_percent
    return energy / rise * 100 if rise >= LEAST_SOC_RISE and energy > 0 else None


def _energy_until(soc: float, target: float, battery_wh: float) -> float:
    """Return the energy until `target`; the slow end counts as more, as it takes longer."""
    fast = max(0.0, min(target, TAPER_FROM_PERCENT) - soc)
    slow = max(0.0, target - max(soc, TAPER_FROM_PERCENT))
    if soc >= TAPER_FROM_PERCENT:
        return slow / 100 * battery_wh  # The power told now is the slow one already.
    return (fast + slow / TAPER) / 100 * battery_wh


class GunState(StrEnum):
    """What a gun is to the driver who looks at it."""

    FREE = "free"
    RESERVED = "reserved"
    OCCUPIED = "occupied"
    OFFLINE = "offline"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


_OUT_OF_USE = {EvseState.OFFLINE: GunState.OFFLINE, EvseState.FAULTED: GunState.FAULTED}


def gun_state(
    state: EvseState,
    out_of_use: EvseState | None,
    *,
    in_use: bool,
    held_for: UUID | None,
    driver: UUID,
) -> GunState:
    """Return what the gun is to `driver`; `in_use`: a transaction is open or about to begin.

    `out_of_use` is what `stations.states` says of it, `held_for` whom a reservation holds it for
    now. A car that is plugged in and does not charge (Preparing; Occupied with no transaction) may
    be theirs, so that gun is free to them.
    """
    if out_of_use in _OUT_OF_USE:
        return _OUT_OF_USE[out_of_use]
    if in_use:
        return GunState.OCCUPIED
    if out_of_use is not None or state is EvseState.UNKNOWN:
        return GunState.UNAVAILABLE
    # A station that says Reserved holds it for somebody, if not for this driver.
    held = held_for is not None or state is EvseState.RESERVED
    return GunState.RESERVED if held and held_for != driver else GunState.FREE


def is_plugged_in(statuses: Iterable[ConnectorStatus]) -> bool | None:
    """Tell whether a car is plugged in, as far as the connectors say; None: they do not."""
    told = set(statuses)
    if told & PLUGGED_IN:
        return True
    return False if told & UNPLUGGED else None


def power_for_one(
    gun_max_w: int, station_max_w: int, siblings: Iterable[tuple[bool, int | None]]
) -> int:
    """Return what a gun can expect of its cabinet now.

    Siblings are (in use, power now in W or None). One that takes little leaves the rest; of one
    that takes more than its even share, or that says nothing, the even share is expected.
    """
    used = [power for in_use, power in siblings if in_use]
    share = station_max_w // (len(used) + 1)
    if any(power is None for power in used):
        return min(gun_max_w, share)
    left = station_max_w - sum(power or 0 for power in used)
    return min(gun_max_w, max(share, left))
