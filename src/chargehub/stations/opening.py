"""When a Location is open: regular hours and dated exceptions (OCPI Hours). Pure.

Weekdays are OCPI's, 1 Monday to 7 Sunday. A holiday is a dated exception: a calendar of them is not
known here. Times are wall times of the Location without a zone: PostgreSQL knows the zones (a slim
system has no time zone files for Python).
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
class DatedException:
    """Closed, or else open, from `begin` until before `end`, whatever the regular hours say."""

    closed: bool
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Hours:
    regular: Sequence[RegularPeriod] | None = None
    """None: round the clock."""
    exceptions: Sequence[DatedException] = ()
    """A closing goes before an opening."""


@dataclass(frozen=True, slots=True)
class Opening:
    open_now: bool
    changes_at: datetime | None
    """Wall time at which that changes next; None: never."""


ALWAYS = Opening(open_now=True, changes_at=None)


def opening_at(wall: datetime, hours: Hours) -> Opening:
    """Return whether it is open at this wall time, and when that changes."""
    open_now, until = _decided(wall, hours)
    while until is not None:
        is_open, following = _decided(until, hours)
        if is_open is not open_now:
            break
        until = following
    return Opening(open_now, until)


def next_open(wall: datetime, length: timedelta, hours: Hours) -> datetime | None:
    """Return the first moment from this wall time on from which it is open for so long."""
    # Beyond the last exception weeks are alike: what is not found in the first of them never is.
    horizon = max([wall, *(one.end for one in hours.exceptions)]) + timedelta(weeks=2)
    at: datetime | None = wall
    while at is not None and at < horizon:
        opening = opening_at(at, hours)
        stays = opening.changes_at is None or opening.changes_at - at >= length
        if opening.open_now and stays:
            return at
        at = opening.changes_at
    return None


def _decided(wall: datetime, hours: Hours) -> tuple[bool, datetime | None]:
    """Return whether it is open, and until when that is so at least; None: for good."""
    holding = [one for one in hours.exceptions if one.begin <= wall < one.end]
    closings = [one.end for one in holding if one.closed]
    if closings:
        return False, max(closings)
    if holding:
        ends = max(one.end for one in holding)
        closings = [one.begin for one in hours.exceptions if one.closed and one.begin > wall]
        return True, min([ends, *closings])
    regular = _regular_at(wall, hours.regular)
    changes = [one.begin for one in hours.exceptions if one.begin > wall]
    if regular.changes_at is not None:
        changes.append(regular.changes_at)
    return regular.open_now, min(changes, default=None)


def _regular_at(wall: datetime, periods: Sequence[RegularPeriod] | None) -> Opening:
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


def read_hours(
    regular: Sequence[dict[str, object]] | None, exceptions: Sequence[dict[str, object]] | None
) -> Hours:
    """Read `locations.regular_hours`, and exceptions in wall times as a query tells them."""
    return Hours(
        read_periods(regular),
        tuple(
            DatedException(
                one["closed"] is True,
                datetime.fromisoformat(str(one["begin"])),
                datetime.fromisoformat(str(one["end"])),
            )
            for one in exceptions or ()
        ),
    )


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
