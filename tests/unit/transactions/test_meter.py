"""Meter truth: each rule with the quirk that made it, and what holds whatever a meter says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions.meter import (
    MeterTrack,
    _advance_carefully,
    advance,
    begin_track,
    find_truth,
)

BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
POWER_W = 120_000


def reading(seconds: float, register_wh: int | None) -> Reading:
    return Reading(BEGIN + timedelta(seconds=seconds), register_wh=register_wh)


def track(register_wh: int | None, previous_wh: int | None = None) -> MeterTrack:
    return begin_track(register_wh, BEGIN, POWER_W, previous_wh)


def truth_of(
    begin_wh: int | None,
    points: Sequence[tuple[float, int | None]],
    *,
    previous_wh: int | None = None,
) -> tuple[int | None, Flag]:
    truth = find_truth(track(begin_wh, previous_wh), [reading(*point) for point in points])
    return truth.energy_wh, truth.flags


@pytest.mark.parametrize(
    ("name", "begin_wh", "previous_wh", "points", "energy_wh", "flags"),
    [
        ("plain", 5_000, None, [(10, 5_300), (20, 5_600)], 600, Flag.NONE),
        ("nothing taken", 5_000, None, [(10, 5_000)], 0, Flag.NONE),
        ("begin missing", None, None, [(10, 5_300), (20, 5_600)], 300, Flag.BEGIN_MISSING),
        (
            "zero begin: the 910 kWh case bills 80 Wh",
            0,
            910_000,
            [(10, 910_040), (20, 910_080)],
            80,
            Flag.ZERO_BEGIN,
        ),
        (
            "zero begin without history counts from the first register",
            0,
            None,
            [(10, 910_040), (20, 910_080)],
            40,
            Flag.ZERO_BEGIN,
        ),
        (
            "zero begin, only begin and end told",
            0,
            910_000,
            [(1_500, 940_000)],
            30_000,
            Flag.ZERO_BEGIN,
        ),
        ("a register that restarts each session is no zero begin", 0, None, [(10, 300)], 300, 0),
        (
            "register per session, after a longer one",
            0,
            30_000,
            [(10, 300), (20, 600)],
            600,
            Flag.NONE,
        ),
        (
            "reset in mid-session",
            5_000,
            None,
            [(10, 5_300), (20, 10), (30, 310)],
            610,
            Flag.REGISTER_RESET,
        ),
        (
            "a zero between good readings is no reset",
            500_000,
            None,
            [(10, 500_300), (20, 0), (30, 500_900)],
            900,
            Flag.REGISTER_RESET,
        ),
        (
            "a single peak within what the gun can give is left out: the register of another EVSE",
            500_000,
            None,
            [(10, 500_300), (11, 500_700), (20, 500_600), (30, 500_900)],
            900,
            Flag.REGISTER_RESET,
        ),
        (
            "a peak at the first reading, back at the end",
            500_000,
            None,
            [(10, 500_300), (20, 500_100)],
            100,
            Flag.REGISTER_RESET,
        ),
        (
            "a fall behind the reading before the last is a reset",
            500_000,
            None,
            [(10, 500_300), (20, 500_600), (30, 500_200), (40, 500_500)],
            900,
            Flag.REGISTER_RESET,
        ),
        (
            "a restart at 0 that explains a fall is no peak",
            10,
            None,
            [(10, 100), (20, 300), (30, 200), (40, 300)],
            590,
            Flag.REGISTER_RESET,
        ),
        (
            "a fall within the session that returns too fast was the bad reading",
            500_000,
            None,
            [(10, 500_300), (3_600, 600_000), (3_610, 501_000), (3_620, 600_300)],
            100_300,
            Flag.REGISTER_RESET,
        ),
        (
            "no energy below 0 when the register falls behind a corrected begin",
            0,
            None,
            [(10, 910_040), (20, 905_000), (30, 905_300)],
            300,
            Flag.ZERO_BEGIN | Flag.REGISTER_RESET,
        ),
        (
            "Wh labelled kWh since the begin",
            0,
            None,
            [(10, 150_050), (20, 300_100)],
            300,
            Flag.UNIT_SUSPECT,
        ),
        (
            "one reading in kWh without saying so",
            150_000,
            None,
            [(10, 150_300), (20, 151), (40, 151_200)],
            1_200,
            Flag.UNIT_SUSPECT,
        ),
        (
            "an absurd jump is left out",
            5_000,
            None,
            [(10, 5_300), (20, 9_000_000), (30, 5_900)],
            900,
            Flag.IMPLAUSIBLE,
        ),
        (
            "a jump that stays is not billed, what follows is",
            5_000,
            None,
            [(10, 5_300), (20, 9_000_000), (30, 9_000_300), (40, 9_000_600)],
            900,
            Flag.IMPLAUSIBLE,
        ),
        ("rounding back by 1 Wh", 5_000, None, [(10, 5_300), (11, 5_299), (20, 5_600)], 600, 0),
        ("no register in between", 5_000, None, [(10, None), (20, 5_600)], 600, Flag.NONE),
    ],
)
def test_rule(
    name: str,
    begin_wh: int | None,
    previous_wh: int | None,
    points: list[tuple[float, int | None]],
    energy_wh: int,
    flags: Flag,
) -> None:
    assert truth_of(begin_wh, points, previous_wh=previous_wh) == (energy_wh, Flag(flags)), name


def test_an_end_below_the_begin_is_flagged_and_bills_at_most_what_the_register_shows() -> None:
    end = Reading(BEGIN + timedelta(minutes=10), "Transaction.End", register_wh=100)
    truth = find_truth(track(50_000), [], end)
    assert truth.energy_wh == 100
    assert truth.flags == Flag.REGISTER_RESET | Flag.END_BEFORE_BEGIN


def test_readings_count_in_time_order_whatever_order_they_came_in() -> None:
    points = [(30, 5_900), (10, 5_300), (20, 5_600)]
    truth = find_truth(track(5_000), [reading(*point) for point in points])
    assert truth.energy_wh == 900
    assert truth.reading_energy_wh == (900, 300, 600)


def test_an_older_reading_moves_nothing() -> None:
    begun, _ = advance(track(5_000), reading(20, 5_600))
    assert advance(begun, reading(10, 5_300)) == (begun, Flag.NONE)


steps = st.lists(
    st.tuples(st.integers(min_value=1, max_value=600), st.floats(min_value=0, max_value=1)),
    min_size=1,
    max_size=40,
)
registers = st.one_of(st.none(), st.integers(min_value=0, max_value=10**11))


def walk(begin_wh: int, pairs: list[tuple[int, float]]) -> list[tuple[float, int]]:
    points: list[tuple[float, int]] = []
    at, register = 0, begin_wh
    for seconds, share in pairs:
        at += seconds
        register += int(POWER_W * share * seconds / 3600)
        points.append((at, register))
    return points


@given(st.integers(min_value=1, max_value=10**9), steps)
def test_an_honest_meter_is_believed_to_the_watt_hour(
    begin_wh: int, pairs: list[tuple[int, float]]
) -> None:
    points = walk(begin_wh, pairs)
    energy_wh, flags = truth_of(begin_wh, list(points))
    assert (energy_wh, flags) == (points[-1][1] - begin_wh, Flag.NONE)


@given(st.integers(min_value=1, max_value=10**9), steps, st.data())
def test_leaving_readings_out_changes_no_honest_energy(
    begin_wh: int, pairs: list[tuple[int, float]], data: st.DataObject
) -> None:
    points = walk(begin_wh, pairs)
    kept = [point for point in points[:-1] if data.draw(st.booleans())] + points[-1:]
    assert truth_of(begin_wh, list(kept)) == truth_of(begin_wh, list(points))


@given(
    registers,
    registers,
    st.lists(st.tuples(st.integers(0, 100_000), registers), max_size=30),
)
def test_whatever_a_meter_says_energy_is_never_negative_nor_more_than_the_gun_can_give(
    begin_wh: int | None, previous_wh: int | None, points: list[tuple[int, int | None]]
) -> None:
    energy_wh, _ = truth_of(begin_wh, list(points), previous_wh=previous_wh)
    if energy_wh is None:
        return
    assert energy_wh >= 0
    seconds = max(seconds for seconds, _ in points) if points else 0
    # Per reading the tolerance of clocks and coarse registers comes on top.
    bound = POWER_W * 1.25 * seconds / 3600 + (len(points) + 1) * (POWER_W + 1_000)
    assert energy_wh <= bound


@given(
    registers,
    st.lists(
        st.tuples(st.integers(0, 100_000), registers), max_size=20, unique_by=lambda point: point[0]
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_decides_nothing(
    begin_wh: int | None, points: list[tuple[int, int | None]], random: Random
) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)
    assert truth_of(begin_wh, list(points)) == truth_of(begin_wh, shuffled)


@given(
    registers,
    registers,
    st.lists(
        st.tuples(
            st.integers(-600, 100_000),
            st.one_of(registers, st.integers(min_value=990, max_value=60_000)),
        ),
        max_size=30,
    ),
)
def test_the_short_way_gives_what_the_careful_way_gives(
    begin_wh: int | None, previous_wh: int | None, points: list[tuple[int, int | None]]
) -> None:
    folded = track(begin_wh, previous_wh)
    for seconds, register_wh in points:
        at = BEGIN + timedelta(seconds=seconds)
        careful = _advance_carefully(folded, register_wh, at)
        assert advance(folded, reading(seconds, register_wh)) == careful
        folded = careful[0]
