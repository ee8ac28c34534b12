"""Which reservation a charge uses up, as far as holds alone decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chargehub.reservations.guard import Hold, Holds

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOLD = Hold(1, 10, 1, "app-1", "drv-1", NOON, NOON + timedelta(minutes=15))


@pytest.mark.parametrize(
    ("place", "fits", "token", "used"),
    [
        ((10, 1), (), None, True),
        ((10, None), (), None, True),
        ((10, 1), (), "app-1", True),
        ((10, 1), (), "stranger", False),
        ((10, 2), (), None, False),
        ((10, 2), ((10, 2),), None, True),
        # Its number is its own station's word only.
        ((20, 1), ((20, 1),), None, False),
        ((20, 1), ((20, 1),), "app-1", True),
        ((20, 1), (), "app-1", False),
    ],
)
def test_a_charge_uses_the_reservation_that_it_is_told_to_have_where_that_is(
    place: tuple[int, int | None], fits: tuple[tuple[int, int], ...], token: str | None, used: bool
) -> None:
    hold = replace(HOLD, fits=frozenset(fits))
    found = Holds({1: hold}).used_by(1, place, token, None, NOON)
    assert found is (hold if used else None)
