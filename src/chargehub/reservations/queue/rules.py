"""Who is called to which gun, what follows from a call, how long others wait. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from operator import attrgetter
from typing import Protocol, TypeVar

GunKey = tuple[int, int]
"""(station id, evse_no)."""
TICK = timedelta(microseconds=1)


class Powered(Protocol):
    @property
    def key(self) -> GunKey: ...
    @property
    def power_w(self) -> int: ...


WishT = TypeVar("WishT")
"""Has `wanted_power_w`, W at least: a row too."""
GunT = TypeVar("GunT", bound=Powered)
_wanted = attrgetter("wanted_power_w")


def assign(waiting: Iterable[WishT], guns: Iterable[GunT]) -> list[tuple[WishT, GunT]]:
    """Return who gets which gun: in their order, each the weakest gun that will do.

    So nobody is passed over for a gun that they could use, a gun is left only where nobody can
    use it, and the strong guns go to the weak wishes last.
    """
    left = sorted(guns, key=lambda gun: (gun.power_w, gun.key))
    given = []
    for wish in waiting:
        gun = next((gun for gun in left if gun.power_w >= _wanted(wish)), None)
        if gun is not None:
            left.remove(gun)
            given.append((wish, gun))
    return given


def free_rank(taken: Collection[datetime], wanted: datetime) -> datetime:
    """Return the first rank from the wanted one on that nobody has."""
    while wanted in taken:
        wanted += TICK
    return wanted


class Outcome(StrEnum):
    """What becomes of who was called when the call is over."""

    SERVED = "served"
    LEFT = "left"
    MISSED = "missed"
    AGAIN = "again"
    """It was not theirs that it came to nothing: they keep their place."""


TURN_MISSED = "turn_missed"
"""`end_reason` of a call's reservation to which nobody came."""


def outcome_of(status: str, end_reason: str | None) -> Outcome:
    """Return what the end of a call's reservation means for who was called."""
    if status == "used":
        return Outcome.SERVED
    if status == "cancelled" and end_reason != "cancelled_by_staff":
        return Outcome.LEFT
    if end_reason == TURN_MISSED:
        return Outcome.MISSED
    return Outcome.AGAIN


@dataclass(frozen=True, slots=True)
class Supply:
    """A gun in service, and in how many minutes it is free for the next; None: nothing tells."""

    power_w: int
    minutes: float | None


def expected_waits(
    wanted_w: Sequence[int], guns: Iterable[Supply], usual_minutes: float | None
) -> list[int | None]:
    """Return the minutes until each of those who wait, in their order, is called.

    Each takes the fitting gun that is free first and then has it for as long as is usual here.
    """
    free_in = [[gun.minutes, gun.power_w] for gun in guns if gun.minutes is not None]
    waits: list[int | None] = []
    for wanted in wanted_w:
        fitting = [gun for gun in free_in if gun[1] >= wanted]
        if not fitting:
            waits.append(None)
            continue
        first = min(fitting, key=lambda gun: (gun[0], gun[1]))
        waits.append(max(1, ceil(first[0])))
        if usual_minutes is None:
            free_in.remove(first)
        else:
            first[0] += usual_minutes
    return waits


def next_behind(queue: Sequence[WishT], mine: WishT, fits: Callable[[WishT], bool]) -> WishT | None:
    """Return the first behind `mine` that fits."""
    return next((one for one in queue[queue.index(mine) + 1 :] if fits(one)), None)
