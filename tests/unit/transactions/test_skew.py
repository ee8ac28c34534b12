"""A clock that was changed while charging: whatever the times say, the registers are billed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions.meter import begin_track
from chargehub.transactions.skew import Received, find_truth_by_either_clock

BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
POWER_W = 120_000


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def bill(
    begin: tuple[float, float, int],
    samples: list[tuple[float, float, int]],
    end: tuple[float, float, int] | None,
    *,
    offline: bool = False,
) -> tuple[int | None, Flag]:
    """Each told as (told, received, register)."""
    last = None
    if end is not None:
        last = Reading(at(end[0]), "Transaction.End", register_wh=end[2])
    truth = find_truth_by_either_clock(
        begin_track(begin[2], at(begin[0]), POWER_W),
        [Reading(at(told), register_wh=register) for told, _, register in samples],
        last,
        Received(
            at(begin[1]),
            [at(received) for _, received, _ in samples],
            at(end[1]) if end is not None else None,
            offline,
        ),
    )
    return truth.energy_wh, truth.flags


AHEAD = 8 * 3600


def corrected_after(seconds: int, *, ends: bool = True) -> tuple[int | None, Flag]:
    samples = [
        (float(t + (AHEAD if t < seconds else 0)), float(t), 5_000 + t * 60_000 // 3600)
        for t in range(60, 3600, 60)
    ]
    end = (3600.0, 3600.0, 65_000) if ends else None
    return bill((AHEAD, 0, 5_000), samples, end)


def test_a_clock_set_back_in_the_first_minutes_bills_the_whole_charge() -> None:
    assert corrected_after(300) == (60_000, Flag.CLOCK_SKEW)


def test_without_the_stations_end_the_last_register_received_counts() -> None:
    assert corrected_after(300, ends=False) == (59_000, Flag.CLOCK_SKEW)


def test_a_clock_set_back_between_begin_and_end_alone() -> None:
    assert bill((AHEAD, 0, 5_000), [], (3600, 3600, 65_000)) == (60_000, Flag.CLOCK_SKEW)


def test_a_clock_that_stands_still() -> None:
    samples = [(0.0, float(t), 5_000 + t * 10) for t in range(60, 3600, 60)]
    assert bill((0, 0, 5_000), samples, (0, 3600, 41_000)) == (36_000, Flag.CLOCK_SKEW)


def test_kept_back_and_told_with_a_clock_set_back_the_total_counts() -> None:
    told = [(AHEAD + 60.0, 9_000.0, 6_000), (120.0, 9_000.0, 7_000), (1_800.0, 9_000.0, 35_000)]
    assert bill((AHEAD, 9_000, 5_000), told, (3600, 9_001, 65_000), offline=True) == (
        60_000,
        Flag.CLOCK_SKEW,
    )


def test_a_jump_of_the_meter_is_no_matter_of_the_clock() -> None:
    samples = [(10.0, 10.0, 5_300), (20.0, 20.0, 9_000_000), (30.0, 30.0, 5_900)]
    assert bill((0, 0, 5_000), samples, (40, 40, 6_200)) == (1_200, Flag.IMPLAUSIBLE)


def test_a_jump_among_what_was_kept_back_is_not_explained_by_a_late_receipt() -> None:
    samples = [(10.0, 10.0, 5_300), (20.0, 7_000.0, 95_000), (30.0, 7_001.0, 95_300)]
    energy_wh, flags = bill((0, 0, 5_000), samples, (40, 7_002, 95_600), offline=True)
    assert (energy_wh, flags) == (900, Flag.IMPLAUSIBLE)


def test_a_register_told_a_moment_before_the_begin_is_no_skew() -> None:
    samples = [(-2.0, 1.0, 5_000), (60.0, 60.0, 6_000)]
    assert bill((0, 0, 5_000), samples, (120, 120, 7_000)) == (2_000, Flag.NONE)


steps = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=600),
        st.floats(min_value=0, max_value=1),
        st.integers(min_value=-(10**6), max_value=10**6),
    ),
    min_size=1,
    max_size=30,
)


@given(st.integers(1, 10**9), st.integers(-(10**6), 10**6), steps)
def test_an_honest_meter_is_billed_under_any_timestamps(
    begin_wh: int, begin_told: int, parts: list[tuple[int, float, int]]
) -> None:
    received, register = 0, begin_wh
    said: list[tuple[float, float, int]] = []
    for seconds, share, told in parts:
        received += seconds
        register += int(POWER_W * share * seconds / 3600)
        said.append((told, received, register))
    energy_wh, flags = bill((begin_told, 0, begin_wh), said[:-1], said[-1])
    assert energy_wh == register - begin_wh
    assert flags in (Flag.NONE, Flag.CLOCK_SKEW)


def test_a_wrong_time_of_the_stop_in_a_replay_costs_no_energy() -> None:
    """All kept back and told at once, by a protocol that cannot say so."""
    samples = [(-2940.0, 1.0, 101_000), (-2880.0, 2.0, 102_000)]
    billed = bill((-3000, 0, 100_000), samples, (-3100, 3, 103_000))
    assert billed == (3_000, Flag.CLOCK_SKEW)


def test_a_wrong_time_of_the_start_in_a_replay_costs_no_energy() -> None:
    samples = [(-2940.0, 1.0, 101_000), (-2880.0, 2.0, 102_000)]
    billed = bill((600, 0, 100_000), samples, (-2820, 3, 103_000))
    assert billed == (3_000, Flag.CLOCK_SKEW)


def test_a_register_that_no_time_explains_is_not_billed() -> None:
    """The end's time is as wrong as its register: what the samples show is billed all the same."""
    samples = [(-2940.0, 1.0, 101_000), (-2880.0, 2.0, 102_000)]
    energy, flags = bill((-3000, 0, 100_000), samples, (-3100, 3, 903_000))
    assert (energy, flags) == (2_000, Flag.CLOCK_SKEW | Flag.IMPLAUSIBLE)
    # In its own time, right after the last sample, it is the register that is wrong.
    energy, flags = bill((-3000, 0, 100_000), samples, (-2870, 3, 104_000))
    assert (energy, flags) == (2_000, Flag.IMPLAUSIBLE)


@given(
    st.lists(st.tuples(st.integers(30, 300), st.integers(0, 120)), min_size=3, max_size=12),
    st.lists(st.tuples(st.integers(0, 12), st.integers(-20_000, 20_000)), min_size=1, max_size=2),
    st.booleans(),
    st.integers(0, 3_000_000),
)
def test_wrong_times_never_cost_what_well_timed_samples_show(
    steps: list[tuple[int, int]], wrong: list[tuple[int, int]], offline: bool, first: int
) -> None:
    """A replay of begin, samples and end; each step is seconds and kW, an honest meter's."""
    begin_wh = 5_000 + first
    points: list[tuple[float, int]] = [(0.0, begin_wh)]
    for seconds, kilowatt in steps:
        at_s, register = points[-1]
        points.append((at_s + seconds, register + kilowatt * 1000 * seconds // 3600))
    told = [at_s for at_s, _ in points]
    for index, off_s in wrong:
        told[index % len(points)] = points[index % len(points)][0] + off_s
    spoiled = {index % len(points) for index, _ in wrong}
    replayed_at = points[-1][0] + 3_000
    series = [
        (told[index], replayed_at + index * 0.1, register)
        for index, (_, register) in enumerate(points)
    ]
    energy, _ = bill(series[0], series[1:-1], series[-1], offline=offline)
    well = [points[index][1] for index in range(1, len(points) - 1) if index not in spoiled]
    assert energy is not None
    assert energy >= (max(well) - min(well) if well else 0)
    assert energy <= points[-1][1] - begin_wh
