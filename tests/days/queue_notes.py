"""What an onlooker notes of the queue, minute by minute, and what must never be seen there. Pure.

Told a second time, from what staff is shown and from the lights of the guns: whoever came first is
called first, no gun stands free while somebody waits for one of its power, nobody has two guns
held at once, and nothing is held past its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CALL_AND_CHARGE_S = 35 * 60.0
"""A gun whose window begins sooner is kept for it (five minutes to come, thirty to charge)."""
GRACE_S = 60.0
Told = Mapping[str, Any]


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True, slots=True)
class FreeGun:
    """A gun of a connected station whose light says that anybody may use it."""

    code: str
    power_w: int


@dataclass(slots=True)
class QueueNotes:
    idle: list[str] = field(default_factory=list)
    """Guns that stood free for a minute while somebody waited who could use them."""
    passed_over: set[tuple[int, int]] = field(default_factory=set)
    """Entries: who came first, and who was called before them."""
    held_twice: set[str] = field(default_factory=set)
    """Drivers for whom two guns were held at once, one of them by a call."""
    held_too_long: set[int] = field(default_factory=set)
    """Reservations still open after their end."""
    longest: int = 0
    """The most who waited at once."""
    _calls: set[int] = field(default_factory=set)
    _free_before: set[tuple[str, int]] = field(default_factory=set)

    def look(
        self, at: float, line: Sequence[Told], held: Sequence[Told], free: Sequence[FreeGun]
    ) -> None:
        """Note the queue in its order, all open reservations, and the guns that look free."""
        waiting = [entry for entry in line if entry["status"] == "waiting"]
        self.longest = max(self.longest, len(waiting))
        for entry in line:
            self._look_at_call(entry, waiting)
        self._look_for_idle_guns(at, waiting, held, free)
        now_held = [told for told in held if _at(told["held_from"]) <= at]
        guns = Counter(told["driver_id"] for told in now_held)
        called = {told["driver_id"] for told in now_held if told["queue_entry_id"] is not None}
        self.held_twice |= {driver for driver in called if guns[driver] > 1}
        self.held_too_long |= {
            told["id"] for told in held if at > _at(told["hold_until"]) + GRACE_S
        }

    def _look_at_call(self, entry: Told, waiting: Iterable[Told]) -> None:
        call = entry["call"]
        if call is None or call["reservation_id"] in self._calls:
            return
        self._calls.add(call["reservation_id"])
        for other in waiting:
            # Who was called before, or let others go first, stands elsewhere by right.
            untouched = other["called_at"] is None and not other["skipped"]
            first = _at(other["joined_at"]) < _at(entry["joined_at"])
            if untouched and first and other["wanted_power_w"] <= call["power_w"]:
                self.passed_over.add((other["id"], entry["id"]))

    def _look_for_idle_guns(
        self, at: float, waiting: Iterable[Told], held: Iterable[Told], free: Sequence[FreeGun]
    ) -> None:
        soon = {
            told["gun_code"] for told in held if _at(told["starts_at"]) < at + CALL_AND_CHARGE_S
        }
        lights = {gun.code for gun in free}
        # Whoever was promised a gun that cannot be had is given the next one first.
        before = sum(
            _at(told["held_from"]) <= at < _at(told["hold_until"])
            and told["gun_code"] not in lights
            and told["called_at"] is None
            for told in held
        )
        anybodys = [gun for gun in free if gun.code not in soon][before:]
        now_free = {
            (gun.code, entry["id"])
            for gun in anybodys
            for entry in waiting
            if entry["wanted_power_w"] <= gun.power_w
        }
        self.idle += sorted({code for code, _ in now_free & self._free_before})
        self._free_before = now_free

    @property
    def faults(self) -> list[str]:
        return [
            *(f"{code} stood free while somebody waited" for code in self.idle),
            *(f"entry {late} was called before {early}" for early, late in self.passed_over),
            *(f"driver {driver} has two guns held" for driver in self.held_twice),
            *(f"reservation {number} outlasted its end" for number in self.held_too_long),
        ]
