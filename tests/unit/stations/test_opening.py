"""Opening hours: open now, and when that changes next, by the wall clock of the place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.stations.opening import (
    DAY_MINUTES,
    DatedException,
    Hours,
    Opening,
    RegularPeriod,
    minutes_of,
    next_open,
    opening_at,
    overlap,
    read_hours,
    read_periods,
)

MONDAY = datetime(2026, 11, 23)  # noqa: DTZ001  A wall time has no zone.
SHOP = tuple(RegularPeriod(day, 8 * 60, 22 * 60 + 30) for day in range(1, 7))
NIGHT = (RegularPeriod(5, 20 * 60, DAY_MINUTES), RegularPeriod(6, 0, 4 * 60))


def at(
    wall: datetime, periods: Sequence[RegularPeriod] | None, *exceptions: DatedException
) -> Opening:
    return opening_at(wall, Hours(periods, exceptions))


def closed(begin: datetime, end: datetime) -> DatedException:
    return DatedException(closed=True, begin=begin, end=end)


def opened(begin: datetime, end: datetime) -> DatedException:
    return DatedException(closed=False, begin=begin, end=end)


def on(weekday: int, clock: str) -> datetime:
    return MONDAY + timedelta(days=weekday - 1, minutes=minutes_of(clock))


@pytest.mark.parametrize(
    ("weekday", "clock", "open_now", "changes_on", "changes"),
    [
        (1, "07:59", False, 1, "08:00"),
        (1, "08:00", True, 1, "22:30"),
        (1, "22:29", True, 1, "22:30"),
        (1, "22:30", False, 2, "08:00"),
        (6, "23:00", False, 8, "08:00"),  # Closed on Sunday.
        (7, "12:00", False, 8, "08:00"),
    ],
)
def test_a_shop(weekday: int, clock: str, open_now: bool, changes_on: int, changes: str) -> None:
    assert at(on(weekday, clock), SHOP) == Opening(open_now, on(changes_on, changes))


def test_a_period_through_midnight_is_one() -> None:
    assert at(on(5, "23:00"), NIGHT) == Opening(open_now=True, changes_at=on(6, "04:00"))
    assert at(on(6, "03:59"), NIGHT) == Opening(open_now=True, changes_at=on(6, "04:00"))
    assert at(on(6, "04:00"), NIGHT) == Opening(open_now=False, changes_at=on(12, "20:00"))


def test_sunday_night_goes_on_into_monday() -> None:
    periods = (RegularPeriod(7, 22 * 60, DAY_MINUTES), RegularPeriod(1, 0, 60))
    assert at(on(7, "23:30"), periods) == Opening(open_now=True, changes_at=on(8, "01:00"))
    assert at(on(1, "00:30"), periods) == Opening(open_now=True, changes_at=on(1, "01:00"))


def test_round_the_clock_never_changes_however_it_is_said() -> None:
    always = Opening(open_now=True, changes_at=None)
    week = tuple(RegularPeriod(day, 0, DAY_MINUTES) for day in range(1, 8))
    assert at(on(3, "12:00"), None) == always
    assert at(on(3, "12:00"), week) == always
    assert at(on(3, "12:00"), ()) == Opening(open_now=False, changes_at=None)


PERIODS = st.lists(
    st.builds(
        lambda day, begin, length: RegularPeriod(day, begin, min(begin + length, DAY_MINUTES)),
        st.integers(1, 7),
        st.integers(0, DAY_MINUTES - 1),
        st.integers(1, DAY_MINUTES),
    ),
    max_size=6,
)
EXCEPTIONS = st.lists(
    st.builds(
        lambda closed, begin, length: DatedException(
            closed,
            MONDAY + timedelta(minutes=begin),
            MONDAY + timedelta(minutes=begin + length),
        ),
        st.booleans(),
        st.integers(-DAY_MINUTES, 9 * DAY_MINUTES),
        st.integers(1, 3 * DAY_MINUTES),
    ),
    max_size=4,
)


def is_open(
    wall: datetime, periods: Sequence[RegularPeriod] | None, exceptions: Sequence[DatedException]
) -> bool:
    """Say it for one moment as the words do."""
    holding = {one.closed for one in exceptions if one.begin <= wall < one.end}
    if holding:
        return True not in holding
    of_day = wall.hour * 60 + wall.minute
    return periods is None or any(
        one.weekday == wall.isoweekday() and one.begin <= of_day < one.end for one in periods
    )


@given(st.none() | PERIODS, EXCEPTIONS, st.integers(0, 7 * DAY_MINUTES - 1))
def test_it_is_as_it_is_until_it_changes_and_not_longer(
    periods: list[RegularPeriod] | None, exceptions: list[DatedException], minute: int
) -> None:
    now = MONDAY + timedelta(minutes=minute)
    said = at(now, periods, *exceptions)
    assert said.open_now is is_open(now, periods, exceptions)
    last = said.changes_at or now + timedelta(days=20)
    probes = range(0, int((last - now) / timedelta(minutes=1)), 17)
    for step in probes:
        assert is_open(now + timedelta(minutes=step), periods, exceptions) is said.open_now
    assert is_open(last - timedelta(minutes=1), periods, exceptions) is said.open_now
    if said.changes_at is not None:
        assert is_open(said.changes_at, periods, exceptions) is not said.open_now


@given(
    st.none() | PERIODS,
    EXCEPTIONS,
    st.integers(0, 7 * DAY_MINUTES - 1),
    st.integers(1, DAY_MINUTES),
)
def test_it_is_open_for_so_long_from_the_moment_that_is_found(
    periods: list[RegularPeriod] | None,
    exceptions: list[DatedException],
    minute: int,
    length: int,
) -> None:
    now = MONDAY + timedelta(minutes=minute)
    found = next_open(now, timedelta(minutes=length), Hours(periods, exceptions))

    def fits(begin: datetime) -> bool:
        # Every moment would take too long; what changes at all changes at one of these.
        ends = {begin + timedelta(minutes=length - 1)}
        ends |= {edge for one in exceptions for edge in (one.begin, one.end)}
        for day in range(-1, length // DAY_MINUTES + 2):
            midnight = datetime(begin.year, begin.month, begin.day) + timedelta(days=day)  # noqa: DTZ001  As above.
            ends |= {
                midnight + timedelta(minutes=m) for p in periods or () for m in (p.begin, p.end)
            }
        until = begin + timedelta(minutes=length)
        moments = {begin, *(edge for edge in ends if begin <= edge < until)}
        return all(is_open(moment, periods, exceptions) for moment in moments)

    if found is None:
        assert not any(fits(now + timedelta(minutes=step)) for step in range(0, 14 * 1440, 397))
        return
    assert fits(found)
    between = int((found - now) / timedelta(minutes=1))
    assert not any(fits(now + timedelta(minutes=step)) for step in range(0, between, 397))


def test_a_holiday_closes_and_a_festival_opens() -> None:
    holiday = closed(on(3, "00:00"), on(5, "12:00"))
    assert at(on(2, "23:00"), SHOP, holiday) == Opening(False, on(5, "12:00"))
    assert at(on(3, "10:00"), SHOP, holiday) == Opening(False, on(5, "12:00"))
    assert at(on(2, "21:00"), SHOP, holiday) == Opening(True, on(2, "22:30"))
    night = opened(on(1, "20:00"), on(2, "02:00"))
    assert at(on(1, "21:00"), SHOP, night) == Opening(True, on(2, "02:00"))
    # A closing goes before an opening, and ends what it is in.
    break_in_it = closed(on(1, "23:00"), on(1, "23:30"))
    assert at(on(1, "21:00"), SHOP, night, break_in_it) == Opening(True, on(1, "23:00"))
    assert at(on(1, "23:00"), SHOP, night, break_in_it) == Opening(False, on(1, "23:30"))


def test_round_the_clock_has_holidays_too() -> None:
    holiday = closed(on(40, "00:00"), on(41, "00:00"))
    assert at(on(1, "12:00"), None, holiday) == Opening(True, on(40, "00:00"))
    assert at(on(40, "12:00"), None, holiday) == Opening(False, on(41, "00:00"))
    assert at(on(41, "00:00"), None, holiday) == Opening(True, None)


def test_when_it_is_next_open_for_so_long() -> None:
    quarter = timedelta(minutes=15)
    hours = Hours(SHOP, (closed(on(2, "00:00"), on(30, "22:20")),))
    assert next_open(on(1, "22:15"), quarter, hours) == on(1, "22:15")
    # Ten minutes are left on the day on which the closing ends: too few.
    assert next_open(on(1, "22:16"), quarter, hours) == on(31, "08:00")
    assert next_open(on(1, "22:16"), timedelta(days=1), hours) is None
    assert next_open(on(1, "22:16"), timedelta(days=99), Hours()) == on(1, "22:16")
    assert next_open(on(1, "22:16"), quarter, Hours(())) is None


def test_what_overlaps_and_what_only_touches() -> None:
    assert overlap((RegularPeriod(1, 0, 61), RegularPeriod(1, 60, 120)))
    assert not overlap((RegularPeriod(1, 60, 120), RegularPeriod(1, 0, 60), RegularPeriod(2, 0, 9)))


def test_periods_are_read_as_stored() -> None:
    stored = [{"weekday": 2, "period_begin": "06:30", "period_end": "24:00"}]
    assert read_periods(stored) == (RegularPeriod(2, 390, DAY_MINUTES),)
    assert read_periods(None) is None


def test_exceptions_are_read_as_they_are_selected() -> None:
    stored = [{"closed": True, "begin": "2026-11-24T00:00:00", "end": "2026-11-25T00:00:00.5"}]
    end = on(3, "00:00") + timedelta(seconds=0.5)
    assert read_hours(None, stored) == Hours(None, (closed(on(2, "00:00"), end),))
    assert read_hours(None, None) == Hours()
