"""When a ground lock goes up or down, and when a car blocks a gun. Pure.

The one rule above all: a lock is never raised where a car may stand. What is not known is not free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from chargehub.reservations.rules import PLUGGING_IN
from chargehub.stations.reports import PLUGGED_IN

SETTLE = timedelta(seconds=30)
"""So long a bay has to be free before its lock goes up for a hold: a car may be turning round."""
TRY_AGAIN = timedelta(minutes=5)
"""After a command that failed; a bay that became free since is tried at once."""
SILENT_AFTER = timedelta(minutes=15)
"""A device that was not heard for so long is asked; without an answer its state is not known."""
BLOCKED_AFTER = timedelta(minutes=5)
"""Staff are told of a car that only stands there after so long; at a promised gun at once."""
LET_IN = timedelta(minutes=5)
"""So long a car is its driver's whom the lock was lowered for; without that, PLUGGING_IN."""
LOW_BATTERY_PERCENT = 20


class LockState(StrEnum):
    RAISED = "raised"
    LOWERED = "lowered"
    MOVING = "moving"
    OBSTRUCTED = "obstructed"
    FAULT = "fault"
    UNKNOWN = "unknown"


class SensorState(StrEnum):
    OCCUPIED = "occupied"
    FREE = "free"
    UNKNOWN = "unknown"


class LockAction(StrEnum):
    RAISE = "raise"
    LOWER = "lower"

    @property
    def reaches(self) -> LockState:
        return LockState.RAISED if self is LockAction.RAISE else LockState.LOWERED


class Cause(StrEnum):
    """Why a lock is told to move."""

    DRIVER = "driver"
    OPERATOR = "operator"
    HOLD = "hold"
    HOLD_OVER = "hold_over"
    FREE = "free"
    SAFETY = "safety"


class Outcome(StrEnum):
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"


class Why(StrEnum):
    """What became of a command, in a word; WHY_TEXTS has the sentence."""

    MOVED = "moved"
    ALREADY = "already"
    ASKED = "asked"
    OCCUPIED = "occupied"
    SENSOR_UNKNOWN = "sensor_unknown"
    CHARGING = "charging"
    PLUGGED_IN = "plugged_in"
    OBSTRUCTED = "obstructed"
    FAULT = "fault"
    BATTERY_DEAD = "battery_dead"
    UNKNOWN_DEVICE = "unknown_device"
    DEVICE_REFUSED = "device_refused"
    NO_GATEWAY = "no_gateway"
    GATEWAY_SILENT = "gateway_silent"
    NOT_REPORTED = "not_reported"
    TOO_LATE = "too_late"
    REMOVED = "removed"
    OTHER_COMMAND = "other_command"


WHY_TEXTS = {
    Why.MOVED: "The lock reported that it is there.",
    Why.ALREADY: "The lock was there already.",
    Why.ASKED: "The lock did not report; asked, it said that it is there.",
    Why.OCCUPIED: "The sensor says that a car stands in the bay.",
    Why.SENSOR_UNKNOWN: "The sensor does not say whether a car stands in the bay.",
    Why.CHARGING: "A transaction is open at the gun.",
    Why.PLUGGED_IN: "The gun is plugged into a car.",
    Why.OBSTRUCTED: "Something is in the way of the lock.",
    Why.FAULT: "The lock reports a fault.",
    Why.BATTERY_DEAD: "The lock's battery is empty.",
    Why.UNKNOWN_DEVICE: "The gateway does not know the device.",
    Why.DEVICE_REFUSED: "The gateway refused the command.",
    Why.NO_GATEWAY: "The location has no gateway for ground locks.",
    Why.GATEWAY_SILENT: "The gateway did not answer.",
    Why.NOT_REPORTED: "The lock did not report that it moved, and does not say that it is there.",
    Why.TOO_LATE: "The command waited too long to be sent.",
    Why.REMOVED: "The bay was taken out of service.",
    Why.OTHER_COMMAND: "Another command came in its place.",
}


class Order(StrEnum):
    NEWER = "newer"
    OLDER = "older"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a report stands among those of its device: by its clock and by its count."""

    at: datetime
    sequence: int


def order(told: Position, known: Position | None) -> Order:
    """Say whether a report is newer than what is known.

    UNCLEAR: clock and count disagree. The device began to count anew, or its clock was set, or a
    report comes late: nobody can tell, so what it says is not taken for what is.
    """
    if known is None:
        return Order.NEWER
    if told.at <= known.at and told.sequence <= known.sequence:
        return Order.OLDER
    if told.at >= known.at and told.sequence > known.sequence:
        return Order.NEWER
    return Order.UNCLEAR


@dataclass(frozen=True, slots=True)
class BayRules:
    """What a Location wants of its locks."""

    raised_when_free: bool = False
    """Locks are up whenever nobody stands there; else only for a hold."""
    free_for: timedelta = timedelta(minutes=2)
    """So long a bay is free before its lock goes up again after a car, or after it was lowered."""


@dataclass(frozen=True, slots=True)
class Hold:
    """For whom the gun is held now."""

    reservation_id: int
    driver_id: UUID
    since: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """A command of the past, or the one that is open."""

    action: LockAction
    cause: Cause
    outcome: Outcome
    requested_at: datetime
    ended_at: datetime | None = None
    driver_id: UUID | None = None
    forced: bool = False
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a bay now. None as a lock: it has none."""

    lock: LockState | None
    sensor: SensorState
    sensor_since: datetime | None
    charging: bool
    """A transaction is open at the gun, or at the station at a gun that nobody told."""
    plugged_in: bool
    unplugged_at: datetime | None = None
    """When the cable was last taken out of a car, where that was during the hold."""
    hold: Hold | None = None
    open: Tried | None = None
    last: Tried | None = None
    """The newest that had its effect."""
    lowered: Tried | None = None
    """The newest lowering that had its effect."""
    failed: Tried | None = None
    """The newest that had none, if newer than `last`."""
    rules: BayRules = BayRules()


@dataclass(frozen=True, slots=True)
class Wanted:
    action: LockAction
    cause: Cause


def is_plugged_in(statuses: Iterable[str]) -> bool:
    return not PLUGGED_IN.isdisjoint(statuses)


def why_not_raise(facts: Facts, *, forced: bool = False) -> Why | None:
    """Return why the lock may not go up now; None: it may.

    Forced by somebody who looks at the bay, only a sensor that says nothing does not count.
    """
    if facts.charging:
        return Why.CHARGING
    if facts.plugged_in:
        return Why.PLUGGED_IN
    if facts.sensor is SensorState.OCCUPIED:
        return Why.OCCUPIED
    if facts.sensor is not SensorState.FREE and not forced:
        return Why.SENSOR_UNKNOWN
    return None


def wanted(facts: Facts, now: datetime) -> Wanted | None:
    """Return what the lock is to be told now by itself."""
    if facts.lock is None:
        return None
    if facts.open is not None:
        return _stop_rising(facts, facts.open)
    if _wants_up(facts, now) and why_not_raise(facts) is None:
        return None if _failed_lately(facts, now) else Wanted(LockAction.RAISE, _cause(facts))
    if _hold_is_over(facts) and not _failed_lately(facts, now):
        return Wanted(LockAction.LOWER, Cause.HOLD_OVER)
    return None


def _stop_rising(facts: Facts, open_command: Tried) -> Wanted | None:
    """A lock that is going up goes down again as soon as a car may be in its way."""
    if open_command.action is not LockAction.RAISE or not open_command.sent:
        return None
    if why_not_raise(facts, forced=open_command.forced) is None:
        return None
    return Wanted(LockAction.LOWER, Cause.SAFETY)


def _wants_up(facts: Facts, now: datetime) -> bool:
    down = facts.lock in {LockState.LOWERED, LockState.OBSTRUCTED, LockState.UNKNOWN}
    if not down or facts.sensor_since is None:
        return False
    free_for = now - facts.sensor_since
    lowered = facts.lowered
    if facts.hold is not None and (lowered is None or _ended(lowered) < facts.hold.since):
        return free_for >= SETTLE
    if facts.hold is None and not facts.rules.raised_when_free:
        return False
    # Lowered for somebody, who may be on the way from the app to the bay.
    quiet_for = free_for if lowered is None else min(free_for, now - _ended(lowered))
    return quiet_for >= facts.rules.free_for


def _cause(facts: Facts) -> Cause:
    return Cause.FREE if facts.hold is None else Cause.HOLD


def _hold_is_over(facts: Facts) -> bool:
    """A lock that was raised for a hold stands in everybody's way after it."""
    if facts.hold is not None or facts.rules.raised_when_free:
        return False
    last = facts.last
    raised_for_hold = last is not None and (last.action, last.cause) == (
        LockAction.RAISE,
        Cause.HOLD,
    )
    return raised_for_hold and facts.lock not in {LockState.LOWERED, LockState.MOVING}


def _failed_lately(facts: Facts, now: datetime) -> bool:
    failed = facts.failed
    if failed is None or now - _ended(failed) >= TRY_AGAIN:
        return False
    return facts.sensor_since is None or facts.sensor_since <= _ended(failed)


def _ended(tried: Tried) -> datetime:
    return tried.ended_at or tried.requested_at


class Blocked(StrEnum):
    """Why a gun cannot be come to though nothing charges there."""

    CAR = "car"
    LOCK = "lock"


def blocked(facts: Facts, now: datetime) -> Blocked | None:
    """Say what keeps the driver whom the gun is promised to, or the next one, from it."""
    if facts.charging or facts.plugged_in:
        return None
    if facts.sensor is SensorState.OCCUPIED and not _may_be_the_holders(facts, now):
        return Blocked.CAR
    failed = facts.failed
    stuck = failed is not None and failed.action is LockAction.LOWER
    if stuck and facts.lock is not None and facts.lock is not LockState.LOWERED:
        return Blocked.LOCK
    return None


def _may_be_the_holders(facts: Facts, now: datetime) -> bool:
    """Take the car for that of the driver whom the gun is held for, who is about to plug in.

    Who came while it was held, or after that driver had the lock lowered, is they for a while;
    who stood there before is not. Whose cable did not do has the while anew.
    """
    hold, since, lowered = facts.hold, facts.sensor_since, facts.lowered
    if hold is None or since is None:
        return False
    own = lowered is not None and lowered.driver_id == hold.driver_id
    let_in = own and lowered is not None and since >= _ended(lowered)
    if not let_in and since < hold.since:
        return False
    quiet_since = since if facts.unplugged_at is None else max(since, facts.unplugged_at)
    return now - quiet_since < (LET_IN if let_in else PLUGGING_IN)


def blocked_text(by: Blocked, reservation_id: int | None) -> str:
    """Tell staff what is the matter; with a reservation: of the promise that it broke."""
    what = {
        Blocked.CAR: "A car stands in the bay and nothing charges there.",
        Blocked.LOCK: "The lock did not go down when it was told to.",
    }[by]
    if reservation_id is None:
        return what
    return f"{what} Reservation {reservation_id} held the gun: it moves to another, or waits."


def tells_staff(why: Blocked, facts: Facts, since: datetime, now: datetime) -> bool:
    """Say whether staff are told now; `since`: from when on it was blocked."""
    return why is Blocked.LOCK or facts.hold is not None or now - since >= BLOCKED_AFTER


def clock_of(told: datetime, received_at: datetime) -> datetime:
    """Return a device's time as it counts: none is ahead of ours; what follows is new."""
    return min(told, received_at)
