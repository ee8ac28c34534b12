"""The oracle of the day can fail: it sees two at one gun, a promise that was lost, a wrong word."""

from __future__ import annotations

from typing import Any

import pytest

from tests.days.ledger import Ledger, Promise

AT_EIGHT = 1_795_435_200.0


def told(number: int, begin: str, end: str, gun_code: str = "QZ-001-1") -> dict[str, Any]:
    day = "2026-11-23T"
    return {
        "id": number,
        "gun_code": gun_code,
        "any_gun": False,
        "power_w": 120_000,
        "wanted_power_w": 120_000,
        "held_from": f"{day}{begin}:00Z",
        "starts_at": f"{day}{begin}:00Z",
        "hold_until": f"{day}{end}:00Z",
    }


@pytest.mark.parametrize(
    ("other", "doubles"),
    [
        (told(2, "12:10", "12:40"), {(1, 2)}),
        (told(2, "12:15", "12:40"), set()),
        (told(2, "12:10", "12:40", "QZ-001-2"), set()),
    ],
)
def test_two_at_one_gun_at_one_time_are_seen(
    other: dict[str, Any], doubles: set[tuple[int, int]]
) -> None:
    ledger = Ledger()
    ledger.saw_all([other, told(1, "12:00", "12:15")])
    assert ledger.doubles == doubles


def promise(**known: Any) -> Promise:
    made = Ledger().promised(7, told(1, "12:00", "12:15"))
    for name, value in known.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("arrived", "served", "power_w", "kept", "lost"),
    [
        (0, 119, 120_000, True, False),
        (0, 121, 120_000, False, True),
        (0, 60, 60_000, False, True),
        (0, None, 0, False, True),
        (-600, 110, 120_000, True, False),  # Early: the two minutes count from the window on.
        (-600, -500, 120_000, True, False),
        (16 * 60, None, 0, False, False),  # Late: nothing was promised any more.
        (None, None, 0, False, False),
    ],
)
def test_kept_is_a_gun_as_strong_within_two_minutes(
    arrived: float | None, served: float | None, power_w: int, kept: bool, lost: bool
) -> None:
    made = promise(
        arrived_at=None if arrived is None else AT_EIGHT + arrived,
        served_at=None if served is None else AT_EIGHT + served,
        served_with_w=power_w,
    )
    assert (made.kept, made.lost) == (kept, lost)


@pytest.mark.parametrize(
    ("status", "came", "withdrawn", "wronged"),
    [
        ("used", True, False, False),
        ("no_show", True, False, True),
        ("no_show", False, False, False),
        ("active", False, False, True),
        ("no_show", False, True, True),
        ("cancelled", False, True, False),
    ],
)
def test_a_word_that_is_not_what_happened_is_seen(
    status: str, came: bool, withdrawn: bool, wronged: bool
) -> None:
    here = {"arrived_at": AT_EIGHT, "served_at": AT_EIGHT, "served_with_w": 120_000}
    made = promise(status=status, withdrawn=withdrawn, **(here if came else {}))
    assert made.wronged == wronged


def test_a_refusal_without_a_rule_is_not_let_pass() -> None:
    ledger = Ledger()
    assert ledger.refused({"detail": "No.", "rule": "gun_free", "passes_at": None}) == "gun_free"
    ledger.refused({"detail": "Server error"})
    assert ledger.unexplained == [{"detail": "Server error"}]
