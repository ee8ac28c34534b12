"""Over any day: no lock rises under a car, whatever is told of it and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chargehub.bays.rules import (
    BayRules,
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
    order,
    wanted,
    why_not_raise,
)
from tests.unit.bays.test_bay_rules import DRIVER, EMPTY, NOON, RAISE_FOR_HOLD, UP_WHEN_FREE


@dataclass
class Bay:
    """A bay as it is, and as the hub knows it by the reports that reached it."""

    now: datetime = NOON
    car: bool = False
    cable: bool = False
    sequence: int = 0
    known: Position | None = None
    facts: Facts = EMPTY
    pending: tuple[Position, SensorState] | None = None
    """A report that is late."""

    def report(self, sensor: SensorState, *, late: bool = False) -> None:
        self.sequence += 1
        told = Position(self.now, self.sequence)
        if late and self.pending is None:
            self.pending = (told, sensor)
            # It cannot be told what one does not know of: the hub asks before it raises.
            return
        self.believe(told, sensor)

    def believe(self, told: Position, sensor: SensorState) -> None:
        judged = order(told, self.known)
        if judged is Order.OLDER:
            return
        if judged is Order.UNCLEAR:
            sensor = SensorState.UNKNOWN
        else:
            self.known = told
        if sensor is not self.facts.sensor:
            self.facts = replace(self.facts, sensor=sensor, sensor_since=told.at)

    @property
    def standing(self) -> SensorState:
        return SensorState.OCCUPIED if self.car else SensorState.FREE

    def act(self, event: str) -> None:
        getattr(self, f"_{event}")()
        self.now += timedelta(seconds=10)

    def _come(self, *, late: bool = False) -> None:
        self.car = True
        self.report(self.standing, late=late)

    def _come_unheard(self) -> None:
        self._come(late=True)

    def _go(self, *, late: bool = False) -> None:
        if not self.cable:
            self.car = False
            self.report(self.standing, late=late)

    def _go_unheard(self) -> None:
        self._go(late=True)

    def _late(self) -> None:
        if self.pending is not None:
            self.believe(*self.pending)
            self.pending = None

    def _repeat(self) -> None:
        self.believe(Position(self.now, self.sequence), self.standing)

    def _restart(self) -> None:
        self.sequence = 0

    def _plug_in(self) -> None:
        if self.car:
            self.cable = True
            self.facts = replace(self.facts, plugged_in=True, charging=True)

    def _unplug(self) -> None:
        self.cable = False
        self.facts = replace(self.facts, plugged_in=False, charging=False)

    def _hold(self) -> None:
        self.facts = replace(self.facts, hold=Hold(1, DRIVER, self.now))

    def _hold_over(self) -> None:
        self.facts = replace(self.facts, hold=None)

    def _rule(self) -> None:
        rules = BayRules(not self.facts.rules.raised_when_free)
        self.facts = replace(self.facts, rules=rules)

    def _lower(self) -> None:
        self.lower(Cause.DRIVER)

    def _wait(self) -> None:
        self.now += timedelta(minutes=1)

    def lower(self, cause: Cause) -> None:
        done = Tried(LockAction.LOWER, cause, Outcome.DONE, self.now, self.now, DRIVER)
        self.facts = replace(
            self.facts, lock=LockState.LOWERED, last=done, lowered=done, open=None, failed=None
        )

    def send(self, cause: Cause) -> None:
        """Raise the lock as the desk does: the sensor is asked, and it is decided again."""
        self.sequence += 1
        self.known = Position(self.now, self.sequence)
        if self.standing is not self.facts.sensor:
            self.facts = replace(self.facts, sensor=self.standing, sensor_since=self.now)
        at = self.now
        if why_not_raise(self.facts) is not None:
            refused = Tried(LockAction.RAISE, cause, Outcome.REFUSED, at, at)
            self.facts = replace(self.facts, failed=refused)
            return
        assert not self.car, "the lock rises under a car"
        assert not self.cable
        done = Tried(LockAction.RAISE, cause, Outcome.DONE, at, at)
        self.facts = replace(self.facts, lock=LockState.RAISED, last=done, failed=None)


EVENTS = (
    *("come", "go", "come_unheard", "go_unheard", "late", "repeat", "restart"),
    *("plug_in", "unplug", "hold", "hold_over", "rule", "lower", "wait", "wait", "wait"),
)


@given(st.lists(st.sampled_from(EVENTS), max_size=60), st.booleans())
def test_whatever_happens_no_lock_is_raised_with_a_car_above_it(
    events: list[str], raised_when_free: bool
) -> None:
    bay = Bay(facts=replace(EMPTY, rules=BayRules(raised_when_free)))
    for event in events:
        bay.act(event)
        told = wanted(bay.facts, bay.now)
        if told is None:
            continue
        # What the hub knows allows it, before it asks and after.
        if told.action is LockAction.RAISE:
            assert why_not_raise(bay.facts) is None
            bay.send(told.cause)
        else:
            bay.lower(told.cause)


@given(st.lists(st.sampled_from(["come", "go", "plug_in", "unplug", "hold", "wait"]), max_size=40))
def test_where_every_report_arrives_the_decision_alone_is_safe(events: list[str]) -> None:
    bay = Bay(facts=UP_WHEN_FREE)
    for event in events:
        bay.act(event)
        told = wanted(bay.facts, bay.now)
        if told is not None and told.action is LockAction.RAISE:
            assert not bay.car
            bay.send(told.cause)


def test_a_held_gun_that_is_free_is_closed_in_the_end() -> None:
    bay = Bay(facts=EMPTY)
    for event in ("come", "plug_in", "unplug", "hold", "go", "wait"):
        bay.act(event)
    assert wanted(bay.facts, bay.now) == RAISE_FOR_HOLD
