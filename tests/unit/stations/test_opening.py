"""Opening hours: open now, and when that changes next, by the wall clock of the place."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.stations.opening import (
    DAY_MINUTES,
    Opening,
    RegularPeriod,
    minutes_of,
    opening_at,
    overlap,
    read_periods,
)

MONDAY = datetime(2026, 11, 23)  # noqa: DTZ001  A wall time has no zone.
SHOP = tuple(RegularPeriod(day, 8 * 60, 22 * 60 + 30) for day in range(1, 7))
NIGHT = (RegularPeriod(5, 20 * 60, DAY_MINUTES), RegularPeriod(6, 0, 4 * 60))


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
    assert opening_at(on(weekday, clock), SHOP) == Opening(open_now, on(changes_on, changes))


def test_a_period_through_midnight_is_one() -> None:
    assert opening_at(on(5, "23:00"), NIGHT) == Opening(open_now=True, changes_at=on(6, "04:00"))
    assert opening_at(on(6, "03:59"), NIGHT) == Opening(open_now=True, changes_at=on(6, "04:00"))
    assert opening_at(on(6, "04:00"), NIGHT) == Opening(open_now=False, changes_at=on(12, "20:00"))


def test_sunday_night_goes_on_into_monday() -> None:
    periods = (RegularPeriod(7, 22 * 60, DAY_MINUTES), RegularPeriod(1, 0, 60))
    assert opening_at(on(7, "23:30"), periods) == Opening(open_now=True, changes_at=on(8, "01:00"))
    assert opening_at(on(1, "00:30"), periods) == Opening(open_now=True, changes_at=on(1, "01:00"))


def test_round_the_clock_never_changes_however_it_is_said() -> None:
    always = Opening(open_now=True, changes_at=None)
    week = tuple(RegularPeriod(day, 0, DAY_MINUTES) for day in range(1, 8))
    assert opening_at(on(3, "12:00"), None) == always
    assert opening_at(on(3, "12:00"), week) == always
    assert opening_at(on(3, "12:00"), ()) == Opening(open_now=False, changes_at=None)


PERIODS = st.lists(
    st.builds(
        lambda day, begin, length: RegularPeriod(day, begin, min(begin + length, DAY_MINUTES)),
        st.integers(1, 7),
        st.integers(0, DAY_MINUTES - 1),
        st.integers(1, DAY_MINUTES),
    ),
    max_size=6,
)


@given(PERIODS, st.integers(0, 7 * DAY_MINUTES - 1))
def test_it_is_as_it_is_until_it_changes_and_not_longer(
    periods: list[RegularPeriod], minute: int
) -> None:
    now = MONDAY + timedelta(minutes=minute)
    said = opening_at(now, periods)

    def is_open(at: datetime) -> bool:
        of_day = at.hour * 60 + at.minute
        return any(p.weekday == at.isoweekday() and p.begin <= of_day < p.end for p in periods)

    assert said.open_now is is_open(now)
    last = said.changes_at or now + timedelta(days=7)
    probes = range(0, int((last - now) / timedelta(minutes=1)), 17)
    assert all(is_open(now + timedelta(minutes=step)) is said.open_now for step in probes)
    assert is_open(last - timedelta(minutes=1)) is said.open_now
    if said.changes_at is not None:
        assert is_open(said.changes_at) is not said.open_now


def test_what_overlaps_and_what_only_touches() -> None:
    assert overlap((RegularPeriod(1, 0, 61), RegularPeriod(1, 60, 120)))
    assert not overlap((RegularPeriod(1, 60, 120), RegularPeriod(1, 0, 60), RegularPeriod(2, 0, 9)))


def test_periods_are_read_as_stored() -> None:
    stored = [{"weekday": 2, "period_begin": "06:30", "period_end": "24:00"}]
    assert read_periods(stored) == (RegularPeriod(2, 390, DAY_MINUTES),)
    assert read_periods(None) is None
