"""Statement 84: our composite schedule, by examples and against an oracle, second by second."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.smart_charging.composite import (
    Bound,
    CompositeSchedule,
    InForce,
    Question,
    Supply,
    composite_of_evse,
    composite_of_station,
)
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from tests.unit.smart_charging.profiles import DEFAULT, EXTERNAL, MAX, NOON, TX, profile, schedule

DAY_S = 86_400
SUPPLY = Supply()


def question(
    duration_s: int = 3600,
    unit: RateUnit = RateUnit.W,
    *,
    starts_at: datetime = NOON,
    began_at: dict[int, datetime] | None = None,
    bound: Bound = Bound.MOST,
    supply: Supply = SUPPLY,
) -> Question:
    return Question(starts_at, duration_s, unit, supply, began_at or {}, bound)


def steps(composite: CompositeSchedule) -> list[tuple[int, float | None]]:
    return [(period.start_s, period.limit) for period in composite.periods]


# --- Examples -------------------------------------------------------------------------------------


def test_statement_84_no_profile_is_no_limit() -> None:
    assert steps(composite_of_evse([], 1, question())) == [(0, None)]


def test_statement_84_the_highest_stack_level_rules_and_its_end_falls_back() -> None:
    low = InForce(1, profile(DEFAULT, 60_000.0, number=1))
    high = InForce(
        1,
        profile(
            DEFAULT, level=3, number=2, schedules=(schedule(90_000.0, 20_000.0, duration_s=1200),)
        ),
    )
    composite = composite_of_evse([low, high], 1, question())
    assert steps(composite) == [(0, 90_000.0), (600, 20_000.0), (1200, 60_000.0)]
    assert [period.limited_by for period in composite.periods] == [(2,), (2,), (1,)]


def test_statement_84_a_tx_profile_replaces_the_default_also_when_it_allows_more() -> None:
    default = InForce(0, profile(DEFAULT, 15_000.0, level=8))
    own = InForce(1, profile(TX, number=2, schedules=(schedule(80_000.0, duration_s=180),)))
    assert steps(composite_of_evse([default, own], 1, question())) == [
        (0, 80_000.0),
        (180, 15_000.0),  # What a server that died had allowed decays by itself.
    ]


def test_statement_84_the_minimum_over_purposes() -> None:
    held = [
        InForce(0, profile(MAX, 100_000.0, 30_000.0, number=1)),
        InForce(1, profile(DEFAULT, 50_000.0, number=2)),
        InForce(0, profile(EXTERNAL, number=3, schedules=(schedule(10_000.0, duration_s=300),))),
    ]
    assert steps(composite_of_evse(held, 1, question())) == [
        (0, 10_000.0),
        (300, 50_000.0),
        (600, 30_000.0),
    ]


def test_statement_84_an_evses_own_default_outranks_the_stations_of_the_same_level() -> None:
    held = [
        InForce(0, profile(DEFAULT, 10_000.0, number=1)),
        InForce(2, profile(DEFAULT, 40_000.0, number=2)),
    ]
    assert steps(composite_of_evse(held, 1, question())) == [(0, 10_000.0)]
    assert steps(composite_of_evse(held, 2, question())) == [(0, 40_000.0)]


def test_statement_84_relative_begins_with_the_transaction_else_with_the_question() -> None:
    relative = profile(
        DEFAULT, kind=ProfileKind.RELATIVE, schedules=(schedule(9_000.0, 3_000.0, starts_at=None),)
    )
    held = [InForce(0, relative)]
    began = {1: NOON - timedelta(seconds=400)}
    assert steps(composite_of_evse(held, 1, question(began_at=began))) == [
        (0, 9_000.0),
        (200, 3_000.0),
    ]
    assert steps(composite_of_evse(held, 2, question(began_at=began))) == [
        (0, 9_000.0),
        (600, 3_000.0),
    ]  # K08.FR.06


@pytest.mark.parametrize("weeks", [0, 1, 30])
def test_statement_84_a_weekly_schedule_recurs_and_is_cut_at_its_week(weeks: int) -> None:
    weekly = profile(
        DEFAULT,
        kind=ProfileKind.RECURRING,
        recurrency=Recurrency.WEEKLY,
        schedules=(schedule(7_000.0, duration_s=60),),
    )
    starts_at = NOON + timedelta(weeks=weeks, seconds=-30 if weeks else 0)
    found = steps(composite_of_evse([InForce(1, weekly)], 1, question(300, starts_at=starts_at)))
    later = [(0, None), (30, 7_000.0), (90, None)]
    assert found == (later if weeks else [(0, 7_000.0), (60, None)])


def test_statement_84_amperes_are_per_phase_and_never_rounded_up() -> None:
    three = profile(MAX, schedules=(schedule(32.0, unit=RateUnit.A),))
    assert steps(composite_of_evse([InForce(0, three)], 1, question())) == [(0, 21_120.0)]
    one = schedule(unit=RateUnit.A, periods=(SchedulePeriod(0, 32.0, 1),))
    held = [InForce(0, profile(MAX, schedules=(one,)))]
    assert steps(composite_of_evse(held, 1, question())) == [(0, 7_040.0)]
    held = [InForce(0, profile(MAX, 10_000.0))]
    assert steps(composite_of_evse(held, 1, question(unit=RateUnit.A))) == [(0, 15.1)]


@pytest.mark.parametrize("phases", [None, 1, 3])
def test_statement_84_there_are_no_more_phases_than_those_of_the_supply(
    phases: int | None,
) -> None:
    """E16 3.34."""
    amperes = schedule(unit=RateUnit.A, periods=(SchedulePeriod(0, 32.0, phases),))
    held = [InForce(0, profile(MAX, schedules=(amperes,)))]
    asked = question(supply=Supply(phases=1))
    assert steps(composite_of_evse(held, 1, asked)) == [(0, 7_040.0)]


def test_statement_84_the_station_as_a_whole_is_its_maximum_or_the_sum_of_its_evses() -> None:
    held = [InForce(0, profile(DEFAULT, 20_000.0)), InForce(0, profile(MAX, 100_000.0, number=2))]
    assert steps(composite_of_station(held, [1, 2], question())) == [(0, 40_000.0)]
    assert steps(composite_of_station(held[1:], [1, 2], question())) == [(0, 100_000.0)]
    held.append(InForce(2, profile(TX, 90_000.0, number=3)))
    assert steps(composite_of_station(held, [1, 2], question())) == [(0, 100_000.0)]


# --- What is not certain --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "most", "least"),
    [
        # K01.FR.05: the station has the old one or the one that was to replace it.
        (
            [
                InForce(1, profile(DEFAULT, 60_000.0, number=5)),
                InForce(1, profile(DEFAULT, 10_000.0, number=5), certain=False),
            ],
            60_000.0,
            10_000.0,
        ),
        # The first of its place: perhaps it is not there at all.
        ([InForce(1, profile(DEFAULT, 10_000.0), certain=False)], None, 10_000.0),
        # A TxProfile in doubt leaves the default in doubt too.
        (
            [
                InForce(1, profile(DEFAULT, 15_000.0)),
                InForce(1, profile(TX, 80_000.0, number=2), certain=False),
            ],
            80_000.0,
            15_000.0,
        ),
        (
            [
                InForce(1, profile(DEFAULT, 15_000.0)),
                InForce(1, profile(DEFAULT, 40_000.0, number=2, level=1), certain=False),
                InForce(1, profile(DEFAULT, 70_000.0, number=3, level=2)),
                InForce(1, profile(DEFAULT, 90_000.0, number=4, level=3), certain=False),
            ],
            90_000.0,
            70_000.0,
        ),
        # Two ids of one rank: a station that replaces silently has one of them (16 3.13.2).
        (
            [
                InForce(1, profile(DEFAULT, 60_000.0, number=1)),
                InForce(1, profile(DEFAULT, 10_000.0, number=2)),
            ],
            60_000.0,
            10_000.0,
        ),
    ],
)
def test_statement_84_what_is_not_certain_counts_at_its_worst(
    held: list[InForce], most: float | None, least: float
) -> None:
    assert steps(composite_of_evse(held, 1, question())) == [(0, most)]
    assert steps(composite_of_evse(held, 1, question(bound=Bound.LEAST))) == [(0, least)]


# --- The oracle -----------------------------------------------------------------------------------

WINDOW_S = 400
NEAR = st.integers(-500, 500).map(lambda seconds: NOON + timedelta(seconds=seconds))
LIMITS = st.sampled_from([0.0, 6.0, 16.0, 1_000.0, 7_000.5, 22_000.0, 60_000.0])


@st.composite
def some_schedules(draw: st.DrawFn, kind: ProfileKind) -> ChargingSchedule:
    starts = sorted({0, *draw(st.lists(st.integers(1, 300), max_size=3))})
    periods = tuple(
        SchedulePeriod(start, draw(LIMITS), draw(st.sampled_from([None, 1, 2, 3])))
        for start in starts
    )
    starts_at = None
    if kind is not ProfileKind.RELATIVE:
        starts_at = draw(NEAR)
        if kind is ProfileKind.RECURRING:
            starts_at -= timedelta(days=draw(st.sampled_from([-1, 0, 1, 6, 7, 8])))
    duration_s = draw(st.none() | st.integers(1, 400) | st.just(2 * DAY_S))
    return ChargingSchedule(draw(st.sampled_from(RateUnit)), periods, starts_at, duration_s)


@st.composite
def some_profiles(draw: st.DrawFn) -> InForce:
    return draw(some_profiles_of(draw(st.sampled_from(ProfilePurpose))))


@st.composite
def some_profiles_of(draw: st.DrawFn, purpose: ProfilePurpose) -> InForce:
    kinds = [kind for kind in ProfileKind if purpose not in {MAX, EXTERNAL} or kind != "Relative"]
    kind = draw(st.sampled_from(kinds))
    recurring = kind is ProfileKind.RECURRING
    evse_no = {MAX: st.just(0), TX: st.integers(1, 2)}.get(purpose, st.integers(0, 2))
    return InForce(
        draw(evse_no),
        ChargingProfile(
            id=draw(st.integers(1, 99)),
            stack_level=draw(st.integers(0, 3)),
            purpose=purpose,
            kind=kind,
            schedules=(draw(some_schedules(kind)),),
            recurrency=draw(st.sampled_from(Recurrency)) if recurring else None,
            valid_from=draw(st.none() | NEAR),
            valid_to=draw(st.none() | NEAR),
        ),
    )


def oracle_says(held: InForce, asked_evse: int, now: datetime, asked: Question) -> float | None:
    """Return what one profile says in watts at one moment, by walking through its text."""
    its = held.profile
    if its.valid_from is not None and now < its.valid_from:
        return None
    if its.valid_to is not None and not now < its.valid_to:
        return None
    (plan,) = its.schedules
    begin = plan.starts_at or asked.began_at.get(asked_evse, asked.starts_at)
    if now < begin:
        return None
    if its.kind is ProfileKind.RECURRING:
        every = timedelta(days=1 if its.recurrency is Recurrency.DAILY else 7)
        while begin + every <= now:
            begin += every
    elapsed = (now - begin).total_seconds()
    if plan.duration_s is not None and elapsed >= plan.duration_s:
        return None
    said: float | None = None
    for period in plan.periods:
        if elapsed >= period.start_s:
            said = period.limit or 0.0
            if plan.unit is RateUnit.A:
                there_are = asked.supply.phases
                said *= 220 * (
                    there_are if period.phases is None else min(period.phases, there_are)
                )
    return said


def oracle_top(
    held: list[InForce], purpose: ProfilePurpose, evse_no: int, now: datetime, asked: Question
) -> float | None:
    """Return what the highest stack level of a purpose says at an EVSE (0: the station)."""
    places = {0, evse_no} if purpose is DEFAULT else {evse_no}
    speaking = [
        (one.profile.stack_level, one.evse_no > 0, said)
        for one in held
        if one.profile.purpose is purpose
        and one.evse_no in places
        and (said := oracle_says(one, evse_no, now, asked)) is not None
    ]
    if not speaking:
        return None
    best = max((level, its) for level, its, _ in speaking)
    choose = min if purpose is EXTERNAL else max
    return choose(said for level, its, said in speaking if (level, its) == best)


def oracle_own(held: list[InForce], evse_no: int, now: datetime, asked: Question) -> float | None:
    transaction = oracle_top(held, TX, evse_no, now, asked)
    if transaction is None:
        transaction = oracle_top(held, DEFAULT, evse_no, now, asked)
    external = oracle_top(held, EXTERNAL, evse_no, now, asked)
    return oracle_least([transaction, external])


def oracle_whole(held: list[InForce], now: datetime, asked: Question) -> float | None:
    return oracle_least([oracle_top(held, purpose, 0, now, asked) for purpose in (MAX, EXTERNAL)])


def oracle_least(said: list[float | None]) -> float | None:
    return min((limit for limit in said if limit is not None), default=None)


def assert_same(found: float | None, expected: float | None, second: int) -> None:
    assert (found is None) == (expected is None), second
    if found is not None and expected is not None:
        assert expected - 0.1 - 1e-6 <= found <= expected + 1e-6, second


SEVERAL = st.lists(some_profiles(), max_size=6, unique_by=lambda held: held.profile.id)


SUPPLIES = st.sampled_from([Supply(phases=phases) for phases in (3, 2, 1)])


@given(SEVERAL, st.sampled_from([1, 2]), st.none() | NEAR, SUPPLIES)
def test_statement_84_every_second_is_as_the_oracle_says(
    held: list[InForce], evse_no: int, began_at: datetime | None, supply: Supply
) -> None:
    began = {} if began_at is None else {evse_no: min(began_at, NOON)}
    asked = question(WINDOW_S, began_at=began, supply=supply)
    composite = composite_of_evse(held, evse_no, asked)
    assert composite.periods[0].start_s == 0
    limits = [period.limit for period in composite.periods]
    by = [period.limited_by for period in composite.periods]
    assert all(before != after for before, after in pairwise(zip(limits, by, strict=True)))
    for second in range(WINDOW_S):
        now = NOON + timedelta(seconds=second)
        expected = oracle_least(
            [oracle_whole(held, now, asked), oracle_own(held, evse_no, now, asked)]
        )
        assert_same(composite.limit_at(second), expected, second)


@given(SEVERAL)
def test_statement_84_the_station_too_is_as_the_oracle_says(held: list[InForce]) -> None:
    asked = question(WINDOW_S)
    composite = composite_of_station(held, [1, 2], asked)
    for second in range(WINDOW_S):
        now = NOON + timedelta(seconds=second)
        each = [oracle_own(held, number, now, asked) for number in (1, 2)]
        known = [limit for limit in each if limit is not None]
        total = sum(known) if len(known) == 2 else None
        expected = oracle_least([oracle_whole(held, now, asked), total])
        assert_same(composite.limit_at(second), expected, second)


@st.composite
def some_in_doubt(draw: st.DrawFn) -> list[InForce]:
    """Profiles of up to three ids, some in doubt, up to two with one id at its one place."""
    held: list[InForce] = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        first = draw(some_profiles())
        same = [first]
        if first.profile.purpose is not EXTERNAL and draw(st.booleans()):
            second = draw(some_profiles_of(first.profile.purpose))
            same.append(replace(second, evse_no=first.evse_no))
        for one in same:
            certain = first.profile.purpose is EXTERNAL or draw(st.booleans())
            held.append(InForce(one.evse_no, replace(one.profile, id=number), certain=certain))
    return held


def worlds(held: list[InForce]) -> list[list[InForce]]:
    """Return everything that the station may hold: of each id one, or none if none is certain."""
    options: list[list[InForce | None]] = []
    for _, group in groupby(held, key=lambda one: one.profile.id):
        same = list(group)
        some: list[InForce | None] = [replace(one, certain=True) for one in same]
        options.append(some if any(one.certain for one in same) else [*some, None])
    return [[one for one in world if one is not None] for world in product(*options)]


@given(some_in_doubt(), st.none() | NEAR)
def test_statement_84_in_doubt_it_is_the_most_and_the_least_of_all_that_may_be(
    held: list[InForce], began_at: datetime | None
) -> None:
    began = {} if began_at is None else {1: min(began_at, NOON)}
    most, least = (question(WINDOW_S, began_at=began, bound=bound) for bound in Bound)
    every = worlds(held)
    at_most = [composite_of_evse(world, 1, most) for world in every]
    at_least = [composite_of_evse(world, 1, least) for world in every]
    found_most, found_least = (composite_of_evse(held, 1, asked) for asked in (most, least))
    for second in range(0, WINDOW_S, 7):
        limits = [composite.limit_at(second) for composite in at_most]
        known = [limit for limit in limits if limit is not None]
        highest = max(known) if len(known) == len(limits) else None
        assert found_most.limit_at(second) == highest
        lowest = oracle_least([composite.limit_at(second) for composite in at_least])
        assert found_least.limit_at(second) == lowest


def test_statement_84_times_with_fractions_count_from_their_second() -> None:
    late = datetime(2026, 11, 23, 4, 0, 0, 900_000, tzinfo=UTC)
    held = [InForce(1, profile(DEFAULT, schedules=(schedule(5_000.0, starts_at=late),)))]
    assert steps(composite_of_evse(held, 1, question())) == [(0, 5_000.0)]
