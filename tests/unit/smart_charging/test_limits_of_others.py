"""What is kept of limits that others set, and how much a car's schedule is compared with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chargehub.smart_charging.composite import InForce, Supply
from chargehub.smart_charging.ev_schedules import is_within
from chargehub.smart_charging.inbound import kept_schedules
from chargehub.smart_charging.reports import EvScheduleReported, LimitReported
from chargehub.stations.profiles import ChargingSchedule, RateUnit, SchedulePeriod
from tests.unit.smart_charging.profiles import DEFAULT, MAX, NOON, profile, schedule


def a_schedule(
    periods: int, *, power_w: float = 1_000.0, duration_s: int | None = None
) -> ChargingSchedule:
    """Return a schedule of so many periods of a minute each."""
    steps = tuple(SchedulePeriod(60 * number, power_w) for number in range(periods))
    return ChargingSchedule(RateUnit.W, steps, NOON, duration_s)


def kept(*schedules: ChargingSchedule) -> list[tuple[int, int | None]]:
    """Return periods and duration of each schedule that is kept."""
    told = LimitReported(1, NOON, 1, "EMS", grid_critical=False, schedules=schedules)
    return [(len(one.periods), one.duration_s) for one in kept_schedules(told)]


@pytest.mark.parametrize(
    ("schedules", "left"),
    [
        ([a_schedule(100)], [(100, None)]),
        ([a_schedule(101)], [(100, 6_000)]),
        ([a_schedule(101, duration_s=5_990)], [(100, 5_990)]),
        ([a_schedule(101, duration_s=9_000)], [(100, 6_000)]),
        ([a_schedule(60), a_schedule(60), a_schedule(1)], [(60, None), (40, 2_400)]),
        ([a_schedule(1)] * 4, [(1, None)] * 3),
        ([a_schedule(1_000)] * 24, [(100, 6_000)]),
        ([], []),
    ],
)
def test_of_a_limit_so_much_is_kept_and_what_is_cut_ends_there(
    schedules: list[ChargingSchedule], left: list[tuple[int, int | None]]
) -> None:
    assert kept(*schedules) == left


def test_a_limit_that_names_no_start_stands_from_now_on() -> None:
    told = LimitReported(
        1, NOON, 1, "EMS", grid_critical=False, schedules=(schedule(1_000.0, starts_at=None),)
    )
    assert [one.starts_at for one in kept_schedules(told)] == [NOON]


@pytest.mark.parametrize(("periods", "within"), [(1_250, False), (1_251, None)])
def test_statement_86_a_cars_schedule_is_compared_where_that_is_little_work(
    periods: int, within: bool | None
) -> None:
    held = [
        InForce(0, profile(MAX, 10_000.0, number=1)),
        InForce(1, profile(DEFAULT, number=2, schedules=(a_schedule(periods * 2 - 1),))),
    ]
    at = NOON + timedelta(hours=1)
    car = EvScheduleReported(1, at, 1, at, schedule(2_000.0, starts_at=at))
    assert is_within(car, held, None, Supply()) is within
