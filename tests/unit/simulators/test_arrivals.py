"""Who comes when: the same for the same seed, and about 600 a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest

from simulators.arrivals import (
    HOURLY_WEIGHTS,
    LOCAL_ZONE,
    DriverKind,
    Mishap,
    visits_before,
    visits_from,
    visits_of_day,
)
from simulators.calibrate import calibrate
from simulators.clock import ClockPair, HubClock, ManualClock, rfc3339

DAY = date(2026, 11, 23)


def test_a_seed_and_a_day_decide_everything() -> None:
    assert visits_of_day(3, DAY) == visits_of_day(3, DAY)
    assert visits_of_day(3, DAY) != visits_of_day(4, DAY)
    assert visits_of_day(3, DAY) != visits_of_day(3, DAY + timedelta(days=1))


def test_a_months_visits_have_the_hubs_shape() -> None:
    visits = [v for n in range(30) for v in visits_of_day(1, DAY + timedelta(days=n))]
    assert len(visits) / 30 == pytest.approx(600, rel=0.03)
    hours = [datetime.fromtimestamp(v.at, UTC).astimezone(LOCAL_ZONE).hour for v in visits]
    for hour, weight in enumerate(HOURLY_WEIGHTS):
        expected = 600 * 30 * weight / sum(HOURLY_WEIGHTS)
        assert hours.count(hour) == pytest.approx(expected, rel=0.15)
    share = {kind: sum(v.kind is kind for v in visits) / len(visits) for kind in DriverKind}
    assert share[DriverKind.TAXI] == pytest.approx(0.60, abs=0.02)
    assert share[DriverKind.PRIVATE] == pytest.approx(0.15, abs=0.02)
    mishaps = [v.mishap for v in visits if v.mishap is not Mishap.NONE]
    failures = [m for m in mishaps if m not in {Mishap.ABORTED, Mishap.OFFLINE}]
    assert len(failures) / len(visits) == pytest.approx(0.03, abs=0.006)
    assert mishaps.count(Mishap.ABORTED) / len(visits) == pytest.approx(0.015, abs=0.005)
    assert mishaps.count(Mishap.OFFLINE) / len(visits) == pytest.approx(0.005, abs=0.003)
    overstayers = sum(v.lingers_s > 900 for v in visits)
    assert overstayers / len(visits) == pytest.approx(0.08, abs=0.01)


def test_no_driver_is_at_two_guns() -> None:
    """A token does not come back while its last visit can still be going on."""
    last: dict[str, float] = {}
    for visit in islice(visits_from(1, datetime(2026, 11, 23, tzinfo=UTC).timestamp()), 6_000):
        if visit.mishap is Mishap.UNKNOWN_TOKEN:
            continue
        assert visit.at - last.get(visit.token, 0.0) > 3 * 3600
        last[visit.token] = visit.at


def test_visits_run_on_over_midnight_both_ways() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=LOCAL_ZONE).timestamp()
    coming = [v.at for v in islice(visits_from(1, noon), 1_500)]
    assert coming == sorted(coming)
    assert coming[0] > noon
    assert coming[-1] > noon + 86_400
    gone = [v.at for v in islice(visits_before(1, noon), 1_500)]
    assert gone == sorted(gone, reverse=True)
    assert gone[0] <= noon
    assert gone[-1] < noon - 86_400


def test_a_whole_day_of_the_fleet_is_as_calibrated() -> None:
    day = calibrate(1, 2, first_day=DAY)
    assert 540 < day.sessions_per_day < 660
    assert 30_000 < day.energy_per_session_wh < 45_000
    assert 25 < day.minutes_per_session < 45
    assert 60_000 < day.average_power_w < 110_000
    assert day.turned_away == 0
    assert day.errors == 0
    noon, evening = sum(day.by_hour[11:13]), sum(day.by_hour[18:20])
    assert noon > 3 * evening
    assert "sessions a day" in day.table()


def test_the_fleet_is_reproducible() -> None:
    first, again = (calibrate(1, 5, first_day=DAY, per_day=60) for _ in range(2))
    assert first == again
    assert first != calibrate(1, 6, first_day=DAY, per_day=60)


def test_the_clock_follows_its_pair() -> None:
    pair = ClockPair.parse("1000,5000,60")
    wall = 1000.0
    clock = HubClock(pair, lambda: wall)
    wall = 1002.0
    assert clock.now() == 5120
    assert clock.wall_delay(5180) == 1.0
    assert clock.wall_delay(5000) == 0.0


@pytest.mark.parametrize("text", ["", "1,2", "1,2,x", "1,2,0", "1,2,-1", "nan,2,1", "1,2,3,4"])
def test_a_wrong_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="clock"):
        ClockPair.parse(text)


def test_a_manual_clock_never_runs_backwards() -> None:
    clock = ManualClock(100)
    with pytest.raises(ValueError, match="backwards"):
        clock.set(99)


def test_times_have_three_digits_and_a_z() -> None:
    assert rfc3339(1_795_406_400.123456) == "2026-11-23T04:00:00.123Z"
