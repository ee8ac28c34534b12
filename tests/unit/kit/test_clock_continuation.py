"""A clock goes on over restarts: never backwards, never far ahead of what it showed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.kit.clock import ClockPair, HubClock

HOUR = 3600.0
seconds = st.floats(0, 1e9)
rates = st.sampled_from([0.5, 1.0, 10.0, 60.0, 1000.0])


def test_ten_hours_switched_off_at_60_are_ten_hours() -> None:
    ran = ClockPair(wall_epoch=0, hub_epoch=1000, rate=60)
    again = ran.continued(HOUR + 10 * HOUR, rate=60, reached_wall=HOUR)
    assert again.hub_at(11 * HOUR) == 1000 + 60 * HOUR + 10 * HOUR


def test_a_clock_of_rate_1_keeps_its_lead_and_nothing_else() -> None:
    fast = ClockPair(0, 0, 60)
    slow = fast.continued(HOUR, 1, reached_wall=HOUR)
    lead = slow.hub_at(HOUR) - HOUR
    assert lead == 59 * HOUR
    later = slow.continued(5 * HOUR, 1, reached_wall=HOUR + 20)
    assert later.hub_at(5 * HOUR) - 5 * HOUR == lead


def test_a_killed_server_of_rate_1_gains_no_lead() -> None:
    pair = ClockPair(100, 100, 1)
    assert pair.continued(101, 1, reached_wall=120).hub_at(101) == 101


@given(ran=seconds, reserved=st.floats(0, 20), off=seconds, old=rates, new=rates)
def test_never_backwards(ran: float, reserved: float, off: float, old: float, new: float) -> None:
    pair = ClockPair(0, 0, old)
    shown = pair.hub_at(ran)
    start = ran + off
    again = pair.continued(start, new, reached_wall=ran + reserved)
    assert again.hub_at(start) >= shown
    ahead = again.hub_at(start) - shown
    assert ahead <= max(off, 0) + reserved * max(old, 1) + 1e-3


@given(back=seconds, rate=rates)
def test_a_wall_clock_set_back_does_not_turn_the_hub_back(back: float, rate: float) -> None:
    pair = ClockPair(0, 500, rate)
    assert pair.continued(-back, rate, reached_wall=0).hub_at(-back) >= 500


def test_the_time_about_is_never_a_millisecond_old() -> None:
    wall = [100.0]
    clock = HubClock(ClockPair(0, 0, 2), wall=lambda: wall[0])
    for now, told in ((100.0, 100.0), (100.0004, 100.0), (100.0006, 100.0006), (99.0, 99.0)):
        wall[0] = now
        assert clock.now_about().timestamp() == pytest.approx(2 * told, abs=1e-6)
