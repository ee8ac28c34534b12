"""Two runs of tests side by side end with one honest exit code."""

from __future__ import annotations

import pytest

from tests.side_by_side import verdict


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, 1),
        (0, 2, 2),
        (5, 0, 0),  # 5: none of the tests that were asked for is there.
        (1, 5, 1),
        (5, 5, 5),
        (0, -9, -9),  # Killed by a signal.
        (-9, 5, -9),
    ],
)
def test_the_worse_end_counts(first: int, second: int, both: int) -> None:
    assert verdict(first, second) == both
