"""What the hub promised on the day, what each driver found, and what that comes to. Pure.

Knows nothing of how reservations are made: promises are the answers of the API, and kept is what
a driver found at the guns. A promise is lost when its driver, there within the window, has no gun
of equal power after two minutes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.days.queue_notes import QueueNotes

IN_TIME_S = 120.0
CALL_S = 300.0
"""So long the gun is held for who is called from the queue."""
TERMINAL = frozenset({"used", "cancelled", "expired", "no_show", "failed"})


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass(slots=True)
class Promise:
    """One reservation as its driver was told of it."""

    driver: int
    id: int
    power_w: int
    starts_at: float
    until: float
    gun_codes: list[str]
    """The guns it was for, one after another."""
    from_queue: bool = False
    """A call: its driver waited in the queue."""
    withdrawn: bool = False
    """Its driver cancelled it."""
    arrived_at: float | None = None
    served_at: float | None = None
    served_with_w: int = 0
    status: str = ""
    """What the hub says in the end."""
    end_reason: str | None = None

    @property
    def came_in_window(self) -> bool:
        """Whether the driver was there before it ran out; who comes early waits for the window."""
        return not self.withdrawn and self.arrived_at is not None and self.arrived_at < self.until

    @property
    def waited_s(self) -> float | None:
        """How long the driver stood there within the window without a gun."""
        if self.arrived_at is None or self.served_at is None:
            return None
        return max(0.0, self.served_at - max(self.arrived_at, self.starts_at))

    @property
    def kept(self) -> bool:
        waited = self.waited_s
        return waited is not None and waited <= IN_TIME_S and self.served_with_w >= self.power_w

    @property
    def taken_back(self) -> bool:
        """Whether the gun of a call was not to be had: its driver keeps the place in the queue."""
        return self.from_queue and self.status == "failed"

    @property
    def lost(self) -> bool:
        return self.came_in_window and not self.kept and not self.taken_back

    @property
    def wronged(self) -> bool:
        """Whether the hub says something else than what happened."""
        if self.kept and self.came_in_window:
            return self.status != "used"
        return self.status not in TERMINAL or (self.withdrawn and self.status != "cancelled")


@dataclass(frozen=True, slots=True)
class Glance:
    """The hub at one minute, in guns."""

    at: float
    cars: int
    waiting: int
    """Held for somebody, without a car."""
    guns: int
    free: int
    """For anybody."""

    @property
    def taken(self) -> float:
        return (self.cars + self.waiting) / self.guns


@dataclass(slots=True)
class Ledger:
    promises: list[Promise] = field(default_factory=list)
    """Bookings, and calls from the queue."""
    queue: QueueNotes = field(default_factory=QueueNotes)
    joined: int = 0
    """How often somebody joined the queue."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Of bookings and extensions, by the rule that was named."""
    unexplained: list[Any] = field(default_factory=list)
    """Refusals that named no rule, and any other answer nobody expects."""
    doubles: set[tuple[int, int]] = field(default_factory=set)
    """Pairs of reservations that had the same gun at the same time."""
    moved: set[int] = field(default_factory=set)
    extended: int = 0
    turned_away: int = 0
    """Walk-ins who lost their patience."""
    refused_at_held_gun: int = 0
    """Walk-ins who were kept off a gun that is somebody else's."""
    repeated: int = 0
    """Requests that a phone sent twice, which had one effect."""
    walk_in_waits_s: list[float] = field(default_factory=list)
    queue_waits_s: list[float] = field(default_factory=list)
    occupancy: list[Glance] = field(default_factory=list)
    """Minute by minute, while anybody charges."""

    def promised(self, driver: int, told: Mapping[str, Any]) -> Promise:
        promise = Promise(
            driver,
            told["id"],
            told["wanted_power_w"] if told["any_gun"] else told["power_w"],
            seconds(told["starts_at"]),
            seconds(told["hold_until"]),
            [told["gun_code"]],
        )
        self.promises.append(promise)
        return promise

    def called(self, driver: int, call: Mapping[str, Any], wanted_power_w: int) -> Promise:
        """Note that a driver read of a call; the same one may be read again."""
        for promise in self.promises:
            if promise.id == call["reservation_id"]:
                return promise
        until = seconds(call["hold_until"])
        promise = Promise(
            driver,
            call["reservation_id"],
            wanted_power_w,
            until - CALL_S,
            until,
            [call["gun_code"]],
            from_queue=True,
        )
        self.promises.append(promise)
        return promise

    def refused(self, problem: Mapping[str, Any]) -> str:
        """Note a refusal and return its rule."""
        rule = str(problem.get("rule", ""))
        if not rule or "passes_at" not in problem or not problem.get("detail"):
            self.unexplained.append(problem)
        self.refusals[rule] += 1
        return rule

    def saw(self, promise: Promise, told: Mapping[str, Any]) -> None:
        """Take what the app says of the reservation now."""
        if told["gun_code"] != promise.gun_codes[-1]:
            promise.gun_codes.append(told["gun_code"])
            self.moved.add(promise.id)
        promise.status, promise.end_reason = told["status"], told["end_reason"]

    def saw_all(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Look for guns that two have at once, in what the hub says is open now."""
        by_gun: dict[str, list[Mapping[str, Any]]] = {}
        for told in listed:
            by_gun.setdefault(told["gun_code"], []).append(told)
        for same_gun in by_gun.values():
            for one, other in itertools.combinations(same_gun, 2):
                if _overlap(one, other):
                    self.doubles.add((min(one["id"], other["id"]), max(one["id"], other["id"])))

    @property
    def lost(self) -> list[Promise]:
        return [promise for promise in self.promises if promise.lost]

    @property
    def wronged(self) -> list[Promise]:
        return [promise for promise in self.promises if promise.wronged]

    @property
    def full_minutes(self) -> int:
        return sum(glance.free == 0 for glance in self.occupancy)

    @property
    def fullest(self) -> Glance:
        return max(self.occupancy, key=lambda glance: (glance.taken, glance.cars))

    @property
    def bookings(self) -> list[Promise]:
        return [promise for promise in self.promises if not promise.from_queue]

    @property
    def calls(self) -> list[Promise]:
        return [promise for promise in self.promises if promise.from_queue]

    @property
    def faults(self) -> list[Any]:
        """All that must not have been."""
        wrong = {promise.id: promise for promise in [*self.lost, *self.wronged]}
        doubles = [f"{one} and {other} had one gun" for one, other in sorted(self.doubles)]
        return [*wrong.values(), *doubles, *self.queue.faults, *self.unexplained]

    def outcomes(self) -> Counter[str]:
        return Counter(promise.status for promise in self.bookings)

    def table(self) -> list[tuple[str, str]]:
        """Return what there is to print: a name and a figure a row."""
        came = [promise for promise in self.bookings if promise.came_in_window]
        kept = [promise for promise in came if promise.kept]
        full = self.fullest
        reasons = Counter(
            f"{promise.status}: {promise.end_reason}"
            for promise in self.bookings
            if promise.status in {"failed", "expired", "cancelled"}
        )
        return [
            ("bookings", str(len(self.bookings))),
            *((f"  {status}", str(n)) for status, n in sorted(self.outcomes().items())),
            *((f"    {reason}", str(n)) for reason, n in sorted(reasons.items())),
            ("refusals", str(sum(self.refusals.values()))),
            *((f"  {rule}", str(n)) for rule, n in sorted(self.refusals.items())),
            ("bookings that were moved", str(len(self.moved & {one.id for one in self.bookings}))),
            ("bookings that were extended", str(self.extended)),
            ("requests repeated by phones", str(self.repeated)),
            (
                f"fullest, at {clock_text(full.at)}",
                f"{full.cars} cars, {full.waiting} held, {full.guns} guns",
            ),
            ("minutes without a gun for anybody", str(self.full_minutes)),
            ("walk-ins kept off a held gun", str(self.refused_at_held_gun)),
            ("walk-ins served", str(len(self.walk_in_waits_s))),
            ("  their waits, min p50 / p95 / max", waits_text(self.walk_in_waits_s)),
            ("walk-ins who gave up", str(self.turned_away)),
            *self._queue_table(),
            ("drivers who came in their window", str(len(came))),
            ("  their waits, min p50 / p95 / max", waits_text(_waits(came))),
            ("promises kept", str(len(kept))),
            ("promises lost", str(sum(one.lost for one in self.bookings))),
            ("reservations told otherwise than it was", str(len(self.wronged))),
            ("double bookings", str(len(self.doubles))),
        ]

    def _queue_table(self) -> list[tuple[str, str]]:
        ends = Counter(promise.status for promise in self.calls)
        came = [promise for promise in self.calls if promise.came_in_window]
        return [
            ("joined the queue", str(self.joined)),
            ("most who waited there at once", str(self.queue.longest)),
            ("calls that were read", str(len(self.calls))),
            *((f"  {status}", str(n)) for status, n in sorted(ends.items())),
            ("served out of the queue", str(len(self.queue_waits_s))),
            ("  their waits, min p50 / p95 / max", waits_text(self.queue_waits_s)),
            ("  from there to the gun, min", waits_text(_waits(came))),
            ("called who came and got no gun", str(sum(one.lost for one in self.calls))),
            ("passed over in the queue", str(len(self.queue.passed_over))),
            ("guns idle while somebody waited", str(len(self.queue.idle))),
            (
                "two guns held for one, or held too long",
                str(len(self.queue.held_twice) + len(self.queue.held_too_long)),
            ),
        ]


def _waits(promises: Iterable[Promise]) -> list[float]:
    return [promise.waited_s for promise in promises if promise.waited_s is not None]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return seconds(one["held_from"]) < seconds(other["hold_until"]) and seconds(
        other["held_from"]
    ) < seconds(one["hold_until"])


def waits_text(waits_s: Sequence[float]) -> str:
    if not waits_s:
        return "-"
    ordered = sorted(waits_s)
    cuts = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95)]
    return " / ".join(f"{wait / 60:.1f}" for wait in (*cuts, ordered[-1]))


def clock_text(at: float) -> str:
    """Render as the clock of the hub shows it, in Quzhou."""
    minutes = int(at // 60) + 8 * 60
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
