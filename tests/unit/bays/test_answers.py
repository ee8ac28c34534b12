"""What a device answers counts over all that was told before it was asked, and over no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chargehub.bays.ports import DeviceReport
from chargehub.bays.reports import judge
from chargehub.bays.rules import Order, Position

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


def known(at: datetime | None, sequence: int | None, part: str = "lock") -> Any:
    other = "sensor" if part == "lock" else "lock"
    told = {f"{part}_told_at": at, f"{part}_sequence": sequence, f"{part}_device": "D"}
    return SimpleNamespace(
        **told,
        **{f"{other}_told_at": LATER, f"{other}_sequence": 99, f"{other}_device": "another"},
    )


@pytest.mark.parametrize("part", ["lock", "sensor"])
@pytest.mark.parametrize(
    ("at", "sequence", "meanwhile", "expected"),
    [
        pytest.param(NOON, 1, known(NOON, 10), Order.NEWER, id="counts anew"),
        pytest.param(NOON, 11, known(LATER, 12), Order.OLDER, id="overtaken"),
        pytest.param(LATER, 1, known(NOON, 11), Order.UNCLEAR, id="told, and counts anew"),
    ],
)
def test_an_answer(at: datetime, sequence: int, meanwhile: Any, expected: Order, part: str) -> None:
    report = DeviceReport("D", Position(at, sequence))
    now = known(meanwhile.lock_told_at, meanwhile.lock_sequence, part)
    assert judge(report, now, LATER, asked=known(NOON, 10, part)) is expected


def test_of_a_device_that_is_both_the_newest_counts() -> None:
    both = SimpleNamespace(
        lock_device="D",
        sensor_device="D",
        lock_told_at=NOON,
        lock_sequence=10,
        sensor_told_at=LATER,
        sensor_sequence=11,
    )
    row: Any = both
    assert judge(DeviceReport("D", Position(LATER, 11)), row, LATER) is Order.OLDER
    assert judge(DeviceReport("D", Position(LATER, 12)), row, LATER) is Order.NEWER
