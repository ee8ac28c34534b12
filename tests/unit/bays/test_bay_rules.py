"""When a lock goes up or down, when a gun is blocked, and which report is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chargehub.bays.rules import (
    BLOCKED_AFTER,
    SETTLE,
    TRY_AGAIN,
    BayRules,
    Blocked,
    Cause,
    Facts,
    Hold,
    LockAction,
    LockState,
    Order,
    Outcome,
    Position,
    SensorState,
    Tried,
    Wanted,
    Why,
    blocked,
    blocked_text,
    clock_of,
    is_plugged_in,
    order,
    tells_staff,
    wanted,
    why_not_raise,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DRIVER, OTHER = UUID(int=1), UUID(int=2)
LONG_AGO = NOON - timedelta(hours=1)
EMPTY = Facts(LockState.LOWERED, SensorState.FREE, LONG_AGO, charging=False, plugged_in=False)
HELD = replace(EMPTY, hold=Hold(7, DRIVER, NOON - timedelta(minutes=3)))
UP_WHEN_FREE = replace(EMPTY, rules=BayRules(raised_when_free=True))
RAISE_FOR_HOLD = Wanted(LockAction.RAISE, Cause.HOLD)


def ago(**much: float) -> datetime:
    return NOON - timedelta(**much)


def lowered(at: datetime, driver: UUID | None = DRIVER) -> Tried:
    return Tried(LockAction.LOWER, Cause.DRIVER, Outcome.DONE, at, at, driver)


def failed(action: LockAction, at: datetime, cause: Cause = Cause.HOLD) -> Tried:
    return Tried(action, cause, Outcome.FAILED, at, at)


def rising(*, forced: bool = False, sent: bool = True) -> Tried:
    return Tried(
        LockAction.RAISE, Cause.HOLD, Outcome.PENDING, ago(seconds=5), forced=forced, sent=sent
    )


RAISED_FOR_HOLD = Tried(LockAction.RAISE, Cause.HOLD, Outcome.DONE, ago(minutes=9), ago(minutes=9))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(EMPTY, None, id="a free gun of nobody stays open"),
        pytest.param(HELD, RAISE_FOR_HOLD, id="a held gun is closed"),
        pytest.param(
            UP_WHEN_FREE, Wanted(LockAction.RAISE, Cause.FREE), id="closed when free, by rule"
        ),
        pytest.param(replace(HELD, lock=None), None, id="no lock"),
        pytest.param(replace(HELD, lock=LockState.RAISED), None, id="up already"),
        pytest.param(replace(HELD, lock=LockState.MOVING), None, id="moving"),
        pytest.param(replace(HELD, lock=LockState.FAULT), None, id="a fault is for people"),
        pytest.param(
            replace(HELD, lock=LockState.OBSTRUCTED), RAISE_FOR_HOLD, id="obstructed before"
        ),
        pytest.param(replace(HELD, sensor=SensorState.OCCUPIED), None, id="a car"),
        pytest.param(replace(HELD, sensor=SensorState.UNKNOWN), None, id="nobody knows"),
        pytest.param(replace(HELD, charging=True), None, id="a transaction"),
        pytest.param(replace(HELD, plugged_in=True), None, id="a cable"),
        pytest.param(
            replace(HELD, sensor_since=NOON - SETTLE + timedelta(seconds=1)), None, id="just left"
        ),
        pytest.param(
            replace(HELD, sensor_since=NOON - SETTLE), RAISE_FOR_HOLD, id="left a while ago"
        ),
        pytest.param(
            replace(HELD, lowered=lowered(ago(minutes=1))), None, id="lowered, and on the way"
        ),
        pytest.param(
            replace(HELD, lowered=lowered(ago(minutes=2))), RAISE_FOR_HOLD, id="lowered in vain"
        ),
        pytest.param(
            replace(
                HELD,
                hold=Hold(7, DRIVER, ago(minutes=1)),
                lowered=lowered(ago(minutes=1)),
            ),
            None,
            id="lowered as the hold began",
        ),
        pytest.param(replace(HELD, sensor_since=None), None, id="nobody knows since when"),
        pytest.param(
            replace(
                HELD, failed=failed(LockAction.RAISE, ago(minutes=1)), sensor_since=ago(minutes=1)
            ),
            None,
            id="left as it failed",
        ),
        pytest.param(
            replace(EMPTY, lock=LockState.MOVING, last=RAISED_FOR_HOLD),
            None,
            id="goes down already",
        ),
        pytest.param(
            replace(HELD, lowered=lowered(ago(minutes=4), OTHER)),
            RAISE_FOR_HOLD,
            id="lowered for somebody before the hold",
        ),
        pytest.param(
            replace(UP_WHEN_FREE, sensor_since=ago(minutes=1)), None, id="free, but not for long"
        ),
        pytest.param(
            replace(UP_WHEN_FREE, lowered=lowered(ago(minutes=1))), None, id="lowered just now"
        ),
        pytest.param(
            replace(HELD, failed=failed(LockAction.RAISE, ago(minutes=1))), None, id="failed lately"
        ),
        pytest.param(
            replace(HELD, failed=failed(LockAction.RAISE, NOON - TRY_AGAIN)),
            RAISE_FOR_HOLD,
            id="failed a while ago",
        ),
        pytest.param(
            replace(
                HELD,
                failed=failed(LockAction.RAISE, ago(minutes=1)),
                sensor_since=ago(seconds=40),
            ),
            RAISE_FOR_HOLD,
            id="failed for a car that has left since",
        ),
        pytest.param(
            replace(EMPTY, lock=LockState.RAISED, last=RAISED_FOR_HOLD),
            Wanted(LockAction.LOWER, Cause.HOLD_OVER),
            id="open again after the hold",
        ),
        pytest.param(
            replace(UP_WHEN_FREE, lock=LockState.RAISED, last=RAISED_FOR_HOLD),
            None,
            id="stays up where the rule says so",
        ),
        pytest.param(
            replace(
                EMPTY, lock=LockState.RAISED, last=replace(RAISED_FOR_HOLD, cause=Cause.OPERATOR)
            ),
            None,
            id="what staff raised stays up",
        ),
        pytest.param(
            replace(
                EMPTY,
                lock=LockState.RAISED,
                last=RAISED_FOR_HOLD,
                failed=failed(LockAction.LOWER, ago(minutes=1), Cause.HOLD_OVER),
            ),
            None,
            id="did not go down just now",
        ),
        pytest.param(replace(HELD, open=rising()), None, id="on its way up"),
        pytest.param(
            replace(HELD, open=rising(), sensor=SensorState.OCCUPIED),
            Wanted(LockAction.LOWER, Cause.SAFETY),
            id="a car comes while it rises",
        ),
        pytest.param(
            replace(HELD, open=rising(), sensor=SensorState.UNKNOWN),
            Wanted(LockAction.LOWER, Cause.SAFETY),
            id="the sensor falls silent while it rises",
        ),
        pytest.param(
            replace(HELD, open=rising(forced=True), sensor=SensorState.UNKNOWN),
            None,
            id="somebody looks at it",
        ),
        pytest.param(
            replace(HELD, open=rising(forced=True), plugged_in=True),
            Wanted(LockAction.LOWER, Cause.SAFETY),
            id="forced, and a cable is plugged in",
        ),
        pytest.param(
            replace(HELD, open=rising(sent=False), sensor=SensorState.OCCUPIED),
            None,
            id="not sent yet: it will be refused",
        ),
        pytest.param(
            replace(
                HELD,
                open=Tried(LockAction.LOWER, Cause.DRIVER, Outcome.PENDING, NOON),
                sensor=SensorState.OCCUPIED,
            ),
            None,
            id="on its way down",
        ),
    ],
)
def test_what_a_lock_is_told(facts: Facts, expected: Wanted | None) -> None:
    assert wanted(facts, NOON) == expected


@pytest.mark.parametrize(
    ("facts", "why", "forced"),
    [
        (EMPTY, None, None),
        (replace(EMPTY, sensor=SensorState.OCCUPIED), Why.OCCUPIED, Why.OCCUPIED),
        (replace(EMPTY, sensor=SensorState.UNKNOWN), Why.SENSOR_UNKNOWN, None),
        (replace(EMPTY, charging=True), Why.CHARGING, Why.CHARGING),
        (replace(EMPTY, plugged_in=True), Why.PLUGGED_IN, Why.PLUGGED_IN),
    ],
)
def test_force_overrules_only_a_sensor_that_says_nothing(
    facts: Facts, why: Why | None, forced: Why | None
) -> None:
    assert why_not_raise(facts) == why
    assert why_not_raise(facts, forced=True) == forced


CAR = replace(HELD, sensor=SensorState.OCCUPIED)
PARKED = replace(CAR, hold=Hold(7, DRIVER, ago(minutes=30)))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (EMPTY, None),
        (HELD, None),
        (replace(EMPTY, sensor=SensorState.OCCUPIED), Blocked.CAR),
        (CAR, Blocked.CAR),
        (replace(CAR, charging=True), None),
        (replace(CAR, plugged_in=True), None),
        (replace(CAR, sensor_since=None), Blocked.CAR),
        pytest.param(
            replace(CAR, hold=Hold(7, DRIVER, ago(minutes=1)), sensor_since=ago(minutes=1)),
            None,
            id="came as the hold began",
        ),
        pytest.param(
            replace(CAR, hold=Hold(7, DRIVER, ago(minutes=1)), sensor_since=ago(seconds=61)),
            Blocked.CAR,
            id="stood there before the hold",
        ),
        pytest.param(replace(PARKED, sensor_since=ago(seconds=119)), None, id="about to plug in"),
        pytest.param(replace(PARKED, sensor_since=ago(seconds=120)), Blocked.CAR, id="a stranger"),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=4), unplugged_at=ago(seconds=119)),
            None,
            id="the cable did not do at first",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=4), unplugged_at=ago(seconds=120)),
            Blocked.CAR,
            id="went away from its cable",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(seconds=119), unplugged_at=ago(minutes=9)),
            None,
            id="the one before was unplugged",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(seconds=299), lowered=lowered(ago(seconds=299))),
            None,
            id="let in",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=5), lowered=lowered(ago(minutes=6))),
            Blocked.CAR,
            id="let in, and does not charge",
        ),
        pytest.param(
            replace(CAR, sensor_since=ago(minutes=4), lowered=lowered(ago(minutes=4))),
            None,
            id="let in before the hold began",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=4), lowered=lowered(ago(minutes=3))),
            Blocked.CAR,
            id="its lock was lowered later",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=4), lowered=lowered(ago(minutes=5), OTHER)),
            Blocked.CAR,
            id="lowered for another",
        ),
        pytest.param(
            replace(PARKED, sensor_since=ago(minutes=4), lowered=lowered(ago(minutes=5), None)),
            Blocked.CAR,
            id="lowered by staff",
        ),
        (
            replace(HELD, lock=LockState.RAISED, failed=failed(LockAction.LOWER, NOON)),
            Blocked.LOCK,
        ),
        (replace(HELD, failed=failed(LockAction.LOWER, NOON)), None),
        (replace(HELD, lock=LockState.RAISED, failed=failed(LockAction.RAISE, NOON)), None),
        (replace(HELD, lock=None, failed=failed(LockAction.LOWER, NOON)), None),
    ],
)
def test_what_keeps_drivers_from_a_gun(facts: Facts, expected: Blocked | None) -> None:
    assert blocked(facts, NOON) is expected


def test_staff_are_told_in_words_what_blocks_a_gun_and_which_promise_it_broke() -> None:
    assert blocked_text(Blocked.CAR, None) == "A car stands in the bay and nothing charges there."
    assert blocked_text(Blocked.LOCK, 7) == (
        "The lock did not go down when it was told to. "
        "Reservation 7 held the gun: it moves to another, or waits."
    )


def test_staff_hear_of_a_car_at_a_promised_gun_at_once_and_else_after_a_while() -> None:
    assert tells_staff(Blocked.CAR, HELD, NOON, NOON)
    assert not tells_staff(Blocked.CAR, EMPTY, NOON, NOON)
    assert tells_staff(Blocked.CAR, EMPTY, NOON - BLOCKED_AFTER, NOON)
    assert tells_staff(Blocked.LOCK, EMPTY, NOON, NOON)


def test_a_cable_is_what_the_station_says() -> None:
    assert is_plugged_in(["Available", "Preparing"])
    assert is_plugged_in(["Occupied"])
    assert not is_plugged_in(["Available", "Reserved", "Unknown", "Faulted"])


@pytest.mark.parametrize(
    ("seconds", "count", "expected"),
    [
        (0, 0, Order.OLDER),
        (1, 1, Order.NEWER),
        (0, 1, Order.NEWER),
        (-1, -1, Order.OLDER),
        (-1, 0, Order.OLDER),
        (1, 0, Order.UNCLEAR),
        (1, -5, Order.UNCLEAR),
        (-1, 1, Order.UNCLEAR),
    ],
)
def test_clock_and_count_have_to_agree(seconds: int, count: int, expected: Order) -> None:
    told = Position(NOON + timedelta(seconds=seconds), 10 + count)
    assert order(told, Position(NOON, 10)) is expected
    assert order(told, None) is Order.NEWER


def test_no_device_is_ahead_of_our_clock() -> None:
    assert clock_of(NOON + timedelta(days=1), NOON) == NOON
    assert clock_of(LONG_AGO, NOON) == LONG_AGO
