"""The benchmark's own word can fail: a lost row, a doubled one, an exchanged one."""

from __future__ import annotations

import pytest

from benchmarks.database import Counts, compare
from benchmarks.load import percentiles_ms

KEPT: dict[str, Counts] = {
    "A": {"samples": 3, "sample_ms_sum": 60, "starts": 1, "stops": 1, "statuses": 0},
    "B": {"samples": 2, "sample_ms_sum": 7, "starts": 1, "stops": 0, "statuses": 4},
}


def stored(**changed: int) -> dict[str, Counts]:
    return {**KEPT, "B": {**KEPT["B"], **changed}}


def test_all_is_stored() -> None:
    verdict = compare(KEPT, stored(), 0)
    assert (verdict.rows, verdict.lost, verdict.beyond) == (12, 0, 0)


@pytest.mark.parametrize("name", ["samples", "starts", "statuses"])
def test_a_missing_row_is_lost(name: str) -> None:
    verdict = compare(KEPT, stored(**{name: KEPT["B"][name] - 1}), 0)
    assert (verdict.lost, verdict.beyond) == (1, 0)
    assert verdict.example.startswith("B: ")


def test_a_station_without_any_row_is_lost_whole() -> None:
    assert compare(KEPT, {"A": KEPT["A"]}, 0).lost == 7


def test_a_doubled_row_is_beyond() -> None:
    verdict = compare(KEPT, stored(stops=1), 0)
    assert (verdict.lost, verdict.beyond) == (0, 1)


def test_as_many_rows_of_other_times_are_lost() -> None:
    assert compare(KEPT, stored(sample_ms_sum=8), 0).lost == 1


def test_percentiles_are_of_the_sorted_values() -> None:
    values = [i / 1000 for i in range(100, 0, -1)]
    assert percentiles_ms(values) == {
        "p50_ms": 51.0,
        "p95_ms": 96.0,
        "p99_ms": 100.0,
        "max_ms": 100.0,
    }
