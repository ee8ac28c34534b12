"""Who is called to which gun, what the end of a call means, how long others wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.reservations.queue.rules import (
    Outcome,
    Supply,
    assign,
    expected_waits,
    free_rank,
    next_behind,
    outcome_of,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
POWERS = st.sampled_from([60_000, 120_000, 180_000])


@dataclass(frozen=True)
class One:
    number: int
    wanted_power_w: int


@dataclass(frozen=True)
class Gun:
    number: int
    power_w: int

    @property
    def key(self) -> tuple[int, int]:
        return self.number, 1


def given_to(wanted: list[int], powers: list[int]) -> list[tuple[int, int]]:
    waiting = [One(number, power) for number, power in enumerate(wanted)]
    guns = [Gun(number, power) for number, power in enumerate(powers)]
    return [(one.number, gun.number) for one, gun in assign(waiting, guns)]


def test_the_first_of_equal_wishes_is_called() -> None:
    assert given_to([120, 120, 120], [120, 120]) == [(0, 0), (1, 1)]


def test_a_weaker_wish_takes_a_gun_that_the_one_before_it_cannot_use() -> None:
    assert given_to([120, 60], [60]) == [(1, 0)]


def test_a_weaker_wish_behind_does_not_take_the_strong_gun() -> None:
    assert given_to([120, 60], [120]) == [(0, 0)]


def test_a_weaker_wish_before_leaves_the_strong_gun_where_a_weak_one_will_do() -> None:
    assert given_to([60, 120], [120, 60]) == [(0, 1), (1, 0)]


@given(st.lists(POWERS, max_size=6), st.lists(POWERS, max_size=6))
def test_no_gun_is_left_that_somebody_could_use_and_nobody_is_passed_over(
    wanted: list[int], powers: list[int]
) -> None:
    pairs = given_to(wanted, powers)
    served, used = dict(pairs), {gun for _, gun in pairs}
    assert len(used) == len(served) == len(pairs)
    for number, want in enumerate(wanted):
        if number in served:
            assert powers[served[number]] >= want
            continue
        assert all(power < want for gun, power in enumerate(powers) if gun not in used)
        # What those behind got was of no use to them.
        assert all(powers[gun] < want for other, gun in pairs if other > number)


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        ("used", "charged", Outcome.SERVED),
        ("cancelled", "cancelled", Outcome.LEFT),
        ("cancelled", "cancelled_late", Outcome.LEFT),
        ("cancelled", "cancelled_by_staff", Outcome.AGAIN),
        ("expired", "turn_missed", Outcome.MISSED),
        ("expired", "hub_was_down", Outcome.AGAIN),
        ("expired", "no_transaction", Outcome.AGAIN),
        ("failed", "no_gun_free", Outcome.AGAIN),
    ],
)
def test_what_the_end_of_a_call_means(status: str, reason: str, outcome: Outcome) -> None:
    assert outcome_of(status, reason) is outcome


def test_no_two_have_one_rank() -> None:
    tick = timedelta(microseconds=1)
    assert free_rank(set(), NOON) == NOON
    assert free_rank({NOON, NOON + tick}, NOON) == NOON + 2 * tick


def test_each_who_waits_takes_the_gun_that_is_free_first_for_as_long_as_is_usual() -> None:
    guns = [Supply(120, 10.0), Supply(120, 25.2), Supply(60, 1.0)]
    assert expected_waits([120, 120, 120], guns, 40.0) == [10, 26, 50]
    assert expected_waits([0, 120, 0], guns, 40.0) == [1, 10, 26]


def test_where_nothing_tells_no_wait_is_told() -> None:
    assert expected_waits([120], [Supply(120, None), Supply(60, 3.0)], 40.0) == [None]
    # Without a usual length of a charge a gun counts once.
    assert expected_waits([0, 0], [Supply(60, 0.0)], None) == [1, None]


def test_the_next_behind_is_the_first_that_fits() -> None:
    line = [One(1, 60), One(2, 180), One(3, 60)]
    found = next_behind(line, line[0], lambda one: one.wanted_power_w <= 120)
    assert found == line[2]
    assert next_behind(line, line[2], lambda _one: True) is None
