"""When a Location is open: regular hours by its own wall clock (OCPI Hours). Pure.

Weekdays are OCPI's, 1 Monday to 7 Sunday. Holidays are not known here. Times are wall times
without a zone: PostgreSQL knows the zones (a slim system has no time zone files for Python).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


@dataclass(frozen=True, slots=True, order=True)
class RegularPeriod:
    """Open on this weekday from `begin` until before `end`, both minutes since midnight."""

    weekday: int
    begin: int
    end: int
    """At most 1440, the end of the day."""


@dataclass(frozen=True, slots=True)
class Opening:
    open_now: bool
    changes_at: datetime | None
    """Wall time at which that changes next; None: never."""


ALWAYS = Opening(open_now=True, changes_at=None)


def opening_at(wall: datetime, periods: Sequence[RegularPeriod] | None) -> Opening:
    """Return whether it is open at this wall time; `periods` None: round the clock."""
    if periods is None:
        return ALWAYS
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=wall.weekday())
    now = (wall - monday) / timedelta(minutes=1)
    for begin, end in _weeks(periods):
        if now < begin:
            return Opening(open_now=False, changes_at=monday + timedelta(minutes=begin))
        if now < end:
            ends = end - begin < WEEK_MINUTES
            return Opening(
                open_now=True, changes_at=monday + timedelta(minutes=end) if ends else None
            )
    return Opening(open_now=False, changes_at=None)


def overlap(periods: Sequence[RegularPeriod]) -> bool:
    return any(
        one.weekday == other.weekday and other.begin < one.end
        for one, other in pairwise(sorted(periods))
    )


def minutes_of(text: str) -> int:
    """Return minutes since midnight of HH:MM, as far as 24:00."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def read_periods(stored: Sequence[dict[str, object]] | None) -> tuple[RegularPeriod, ...] | None:
    """Read what `locations.regular_hours` holds."""
    if stored is None:
        return None
    return tuple(
        RegularPeriod(
            int(str(item["weekday"])),
            minutes_of(str(item["period_begin"])),
            minutes_of(str(item["period_end"])),
        )
        for item in stored
    )


def _weeks(periods: Sequence[RegularPeriod]) -> Iterator[tuple[int, int]]:
    """Yield last, this and the next two weeks' open spans in minutes of this week, in order.

    Spans that touch are one: until 24:00 and from 00:00 is open through midnight.
    """
    open_from: int | None = None
    open_until = 0
    for week in (-1, 0, 1, 2):
        for period in sorted(periods):
            day = week * WEEK_MINUTES + (period.weekday - 1) * DAY_MINUTES
            begin, end = day + period.begin, day + period.end
            if open_from is not None and begin <= open_until:
                open_until = max(open_until, end)
                continue
            if open_from is not None:
                yield open_from, open_until
            open_from, open_until = begin, end
    if open_from is not None:
        yield open_from, open_until
