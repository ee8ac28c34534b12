"""Statements 80 to 83 and 85: every rule of a profile, broken alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.smart_charging.rules import (
    Held,
    Situation,
    StationLimits,
    ToldNeeds,
    broken_rules,
    clashes,
    is_cleared_by,
    is_set_again,
    read_limits,
)
from chargehub.stations.commands import ClearChargingProfile
from chargehub.stations.profiles import (
    ChargingProfile,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from tests.unit.smart_charging.profiles import DEFAULT, EXTERNAL, MAX, NOON, TX, profile, schedule

FREE = Situation(StationLimits())
LIMITS = StationLimits(
    max_stack_level=3,
    max_periods=2,
    max_profiles=2,
    units=frozenset({RateUnit.W}),
    max_external_id=100,
)


RELATIVE = schedule(1_000.0, starts_at=None, duration_s=60)


def rules(given: ChargingProfile, evse_no: int = 1, situation: Situation = FREE) -> list[str]:
    return [broken.rule for broken in broken_rules(given, evse_no, situation)]


def with_schedule(**fields: Any) -> ChargingProfile:
    return profile(DEFAULT, schedules=(schedule(1_000.0, 2_000.0, **fields),))


def held(given: ChargingProfile, evse_no: int = 1, transaction_id: int | None = None) -> Held:
    return Held(given.id, evse_no, given, "installed", transaction_id)


@pytest.mark.parametrize(
    ("given", "evse_no"),
    [
        (profile(MAX), 0),
        (profile(DEFAULT), 0),
        (profile(DEFAULT), 2),
        (profile(TX), 1),
        (profile(DEFAULT, 0.0, 0.1, 59_999.9), 1),
        (
            profile(
                DEFAULT,
                kind=ProfileKind.RELATIVE,
                schedules=(schedule(6.0, unit=RateUnit.A, starts_at=None),),
            ),
            1,
        ),
        (profile(DEFAULT, kind=ProfileKind.RECURRING, recurrency=Recurrency.DAILY), 1),
    ],
)
def test_what_is_right_breaks_nothing(given: ChargingProfile, evse_no: int) -> None:
    assert rules(given, evse_no) == []


@pytest.mark.parametrize(
    ("rule", "given", "evse_no"),
    [
        ("16 3.13.1", profile(MAX), 1),
        ("K01.FR.16", profile(TX), 0),
        ("K01.FR.03", profile(TX, transaction_ref=None), 1),
        ("K01.FR.03", profile(DEFAULT, transaction_ref="T1"), 1),
        ("K01.FR.22", profile(EXTERNAL), 0),
    ],
)
def test_statement_80_purpose_place_and_transaction(
    rule: str, given: ChargingProfile, evse_no: int
) -> None:
    assert rules(given, evse_no) == [rule]


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("E16 3.41", profile(TX)),
        ("K05.FR.02", profile(DEFAULT)),
    ],
)
def test_statement_74_what_may_go_with_a_remote_start(rule: str, given: ChargingProfile) -> None:
    at_start = replace(FREE, at_start=True)
    assert rules(given, 1, at_start) == [rule]
    assert rules(profile(TX, transaction_ref=None), 0, at_start) == []


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("K01.FR.31", with_schedule(periods=(SchedulePeriod(1, 5.0),))),
        ("K01.FR.31", with_schedule(periods=())),
        ("K01.FR.35", with_schedule(periods=(SchedulePeriod(0, 5.0), SchedulePeriod(0, 6.0)))),
        (
            "K01.FR.35",
            with_schedule(
                periods=(SchedulePeriod(0, 5.0), SchedulePeriod(9, 6.0), SchedulePeriod(8, 6.0))
            ),
        ),
        ("K01.FR.40", with_schedule(starts_at=None)),
        ("K01.FR.41", replace(with_schedule(), kind=ProfileKind.RELATIVE)),
        ("K01.FR.11", with_schedule(duration_s=0)),
        ("16 7.14", with_schedule(periods=(SchedulePeriod(0, 5.05),))),
        ("16 7.14", with_schedule(periods=(SchedulePeriod(0, -1.0),))),
        ("16 7.14", with_schedule(periods=(SchedulePeriod(0, None),))),
        ("16 7.14", with_schedule(periods=(SchedulePeriod(0, 5.0, 4),))),
        ("16 7.14", with_schedule(min_charging_rate=0.25)),
        ("16 7.8", profile(DEFAULT, kind=ProfileKind.RECURRING)),
        ("16 7.8", profile(DEFAULT, recurrency=Recurrency.WEEKLY)),
        ("K01.FR.37", profile(DEFAULT, valid_from=NOON, valid_to=NOON)),
        ("16 7.8", profile(DEFAULT, level=-1)),
    ],
)
def test_statement_83_kinds_and_schedules(rule: str, given: ChargingProfile) -> None:
    assert rules(given) == [rule]


def test_statement_83_the_stations_maximum_is_not_relative() -> None:
    relative = profile(MAX, kind=ProfileKind.RELATIVE, schedules=(schedule(5.0, starts_at=None),))
    assert rules(relative, 0) == ["K01.FR.38"]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("16 9.4.1", {"stack_level": 4}),
        ("16 9.4.3", {"schedules": (schedule(1.0, 2.0, 3.0),)}),
        ("K01.FR.26", {"schedules": (schedule(6.0, unit=RateUnit.A),)}),
        ("K01.FR.80", {"id": 100}),
    ],
)
def test_statement_82_what_the_station_reported(rule: str, change: dict[str, Any]) -> None:
    fitting = profile(DEFAULT, 1.0, 2.0, level=3, number=101)
    assert rules(fitting, 1, Situation(LIMITS)) == []
    assert rules(replace(fitting, **change), 1, Situation(LIMITS)) == [rule]
    assert rules(replace(fitting, **change), 1) == []


def test_statement_82_how_many_profiles_a_station_holds() -> None:
    full = Situation(LIMITS, [held(profile(DEFAULT, number=101)), held(profile(MAX, number=102))])
    assert rules(profile(DEFAULT, number=103), 1, full) == ["16 9.4.5"]
    # One that takes the place of another needs no room.
    assert rules(profile(DEFAULT, number=102), 1, full) == []


def test_statement_86_several_schedules_only_for_a_car_that_told_its_needs() -> None:
    two = profile(TX, schedules=(schedule(5.0), schedule(6.0, id=2)))
    assert rules(two) == ["K01.FR.34"]
    told = replace(FREE, needs=ToldNeeds(2))
    assert rules(two, 1, told) == []
    four = profile(TX, schedules=tuple(schedule(5.0, id=number) for number in range(1, 5)))
    assert rules(four, 1, told) == ["K15.FR.07"]
    same_ids = profile(TX, schedules=(schedule(5.0), schedule(6.0)))
    assert rules(same_ids, 1, told) == ["K15.FR.07"]
    assert rules(profile(TX, 1.0, 2.0, 3.0), 1, told) == ["K15.FR.07"]
    assert rules(profile(DEFAULT, 1.0, 2.0, 3.0), 1, told) == []
    assert rules(profile(TX, 1.0, 2.0, 3.0), 1, replace(FREE, needs=ToldNeeds(None))) == []


def test_several_broken_rules_are_all_told() -> None:
    wrong = profile(MAX, schedules=(schedule(5.05, starts_at=None),))
    assert rules(wrong, 1) == ["16 3.13.1", "K01.FR.40", "16 7.14"]


# --- Clashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "evse_no", "old", "old_evse_no", "clash"),
    [
        (profile(DEFAULT), 1, profile(DEFAULT, number=2), 1, True),  # K01.FR.06
        (profile(DEFAULT), 1, profile(DEFAULT, number=2), 2, False),
        (profile(DEFAULT), 0, profile(DEFAULT, number=2), 2, True),  # K01.FR.52
        (profile(DEFAULT), 2, profile(DEFAULT, number=2), 0, True),  # K01.FR.53
        (profile(DEFAULT), 1, profile(DEFAULT, number=2, level=1), 1, False),
        (profile(DEFAULT), 1, profile(DEFAULT, number=1), 1, False),  # K01.FR.05
        # Under its id it would silently take away what is another limit.
        (profile(DEFAULT), 0, profile(MAX, number=1), 0, True),
        (profile(DEFAULT), 1, profile(DEFAULT, number=1), 0, True),
        (profile(DEFAULT), 0, profile(DEFAULT, number=1), 1, True),
        (profile(DEFAULT), 1, profile(DEFAULT, number=1, level=1), 1, True),
        (profile(DEFAULT), 1, profile(EXTERNAL, number=1), 1, True),
        (profile(MAX), 0, profile(DEFAULT, number=2), 0, False),
        (profile(MAX), 0, profile(MAX, number=2), 0, True),
    ],
)
def test_statement_81_what_clashes(
    new: ChargingProfile, evse_no: int, old: ChargingProfile, old_evse_no: int, clash: bool
) -> None:
    assert bool(clashes(new, evse_no, None, [held(old, old_evse_no)])) is clash


def test_statement_81_profiles_of_transactions_clash_within_one_only() -> None:
    other = profile(TX, number=2)
    assert clashes(profile(TX), 1, 7, [held(other, 1, 7)])  # K01.FR.39
    assert not clashes(profile(TX), 1, 8, [held(other, 1, 7)])
    assert not clashes(other, 1, 7, [held(other, 1, 7)])  # K01.FR.05
    assert clashes(other, 1, 8, [held(other, 1, 7)])


# --- Clears ---------------------------------------------------------------------------------------


PURPOSES = st.sampled_from([MAX, DEFAULT, TX])


@given(
    st.none() | st.integers(1, 3),
    st.none() | st.integers(0, 2),
    st.none() | PURPOSES,
    st.none() | st.integers(0, 2),
    st.integers(1, 3),
    st.integers(0, 2),
    PURPOSES,
    st.integers(0, 2),
)
def test_statement_85_an_id_overrides_and_criteria_must_all_match(
    number: int | None,
    evse_no: int | None,
    purpose: ProfilePurpose | None,
    level: int | None,
    its_number: int,
    its_evse_no: int,
    its_purpose: ProfilePurpose,
    its_level: int,
) -> None:
    command = ClearChargingProfile(number, evse_no, purpose, level)
    its = held(profile(its_purpose, number=its_number, level=its_level), its_evse_no)
    if number is not None:
        expected = number == its_number
    else:
        pairs = [(evse_no, its_evse_no), (purpose, its_purpose), (level, its_level)]
        expected = all(wanted is None or wanted == its_own for wanted, its_own in pairs)
    assert is_cleared_by(command, its) is expected


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (profile(MAX), True),
        (profile(DEFAULT), True),
        (profile(TX), False),  # B13.FR.31: when its transaction resumes.
        (profile(EXTERNAL), False),
        (profile(MAX, valid_to=NOON), False),
        (profile(MAX, valid_to=NOON + timedelta(seconds=1)), True),
        (with_schedule(starts_at=NOON - timedelta(hours=1), duration_s=3600), False),
        (with_schedule(starts_at=NOON - timedelta(hours=1), duration_s=3601), True),
        (profile(DEFAULT, kind=ProfileKind.RELATIVE, schedules=(RELATIVE,)), True),
    ],
)
def test_statement_85_what_still_says_something_is_set_again(
    given: ChargingProfile, *, again: bool
) -> None:
    assert is_set_again(given, NOON) is again


def test_statement_85_what_others_have_set_is_not_ours_to_clear() -> None:
    its = held(profile(EXTERNAL), 0)
    assert not is_cleared_by(ClearChargingProfile(), its)
    assert not is_cleared_by(ClearChargingProfile(its.profile.id), its)


# --- What stations report -------------------------------------------------------------------------


def test_statement_82_both_families_name_the_same_limits() -> None:
    keys = {
        "smartchargingctrlr.profilestacklevel": "8",
        "smartchargingctrlr.periodsperschedule": " 24 ",
        "maxchargingprofilesinstalled": "10",
        "chargingscheduleallowedchargingrateunit": "Current,Power",
    }
    both = frozenset(RateUnit)
    assert read_limits(keys) == StationLimits(8, 24, 10, both)
    variables = {
        "smartchargingctrlr.profilestacklevel": "8",
        "smartchargingctrlr.periodsperschedule": "24",
        "smartchargingctrlr.rateunit": "A, W",
        "smartchargingctrlr.maxexternalconstraintsid": "99",
    }
    assert read_limits(variables) == StationLimits(8, 24, None, both, 99)
    assert read_limits(variables, 10.0) == StationLimits(8, 24, 10, both, 99)


def test_how_many_profiles_are_installed_is_no_limit_of_them() -> None:
    """The count that 2.x stations tell; one that has none said 0, and would take none."""
    assert read_limits({"smartchargingctrlr.entries/chargingprofiles": "0"}) == StationLimits()


@pytest.mark.parametrize("name", ["available", "enabled"])
@pytest.mark.parametrize(
    ("value", "none_taken"), [("False ", True), ("true", False), (None, False), ("no", False)]
)
def test_what_a_station_says_of_smart_charging_itself(
    name: str, value: str | None, *, none_taken: bool
) -> None:
    assert read_limits({f"smartchargingctrlr.{name}": value}).none_taken is none_taken


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Current", {RateUnit.A}),
        ("power", {RateUnit.W}),
        ("A", {RateUnit.A}),
        ("", set()),
        ("Volt", set()),
        (None, set()),
    ],
)
def test_statement_82_words_for_units(text: str | None, units: set[RateUnit]) -> None:
    key = "chargingscheduleallowedchargingrateunit"
    assert read_limits({key: text}).units == units


def test_statement_82_a_limit_that_is_no_number_is_none() -> None:
    keys: dict[str, str | None] = {"smartchargingctrlr.profilestacklevel": "many"}
    assert read_limits(keys) == StationLimits()
    assert read_limits({}) == StationLimits()


def test_a_second_is_the_least_that_validity_lasts() -> None:
    short = profile(DEFAULT, valid_from=NOON, valid_to=NOON + timedelta(seconds=1))
    assert rules(short) == []
