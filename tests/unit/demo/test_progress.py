"""The figures a smoke run is judged by: read from metrics, compared with the goal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chargehub.demo.processes import DemoFailed
from chargehub.demo.progress import Progress, Traffic, parse_metrics, quantile
from chargehub.demo.smoke import Goal, judge, summary

METRICS = """\
# TYPE chargehub_ocpp_messages counter
chargehub_ocpp_messages_total{kind="call_sent"} 5.0
chargehub_ocpp_messages_total{kind="call_refused"} 2.0
chargehub_ocpp_messages_total{kind="ignored"} 0.0
# TYPE chargehub_commit_failures counter
chargehub_commit_failures_total{kind="item"} 1.0
chargehub_commit_failures_total{kind="batch-split"} 3.0
# TYPE chargehub_ocpp_reply_seconds histogram
chargehub_ocpp_reply_seconds_bucket{le="0.01"} 90.0
chargehub_ocpp_reply_seconds_bucket{le="0.02"} 98.0
chargehub_ocpp_reply_seconds_bucket{le="0.05"} 100.0
chargehub_ocpp_reply_seconds_bucket{le="+Inf"} 100.0
chargehub_ocpp_reply_seconds_count 100.0
chargehub_ocpp_reply_seconds_sum 0.9
"""


def progress(
    online: int = 91, reported: int = 182, completed: int = 50, energy_wh: int = 1
) -> Progress:
    at = datetime(2026, 11, 23, 6, tzinfo=UTC)
    return Progress(at, online, reported, {"Available": 182}, 3, completed, energy_wh, 0)


def test_metrics_become_messages_errors_and_p99() -> None:
    traffic = parse_metrics(METRICS)
    assert traffic.messages == 107
    assert traffic.errors == {"calls refused": 2, "commit failures": 4}
    assert traffic.p99_reply_s == pytest.approx(0.035)


def test_quantile_without_observations_is_none() -> None:
    assert quantile([], 0.99) is None
    assert quantile([(0.1, 0), (float("inf"), 0)], 0.99) is None


def test_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile([(0.1, 10), (float("inf"), 100)], 0.99) == 0.1


def test_the_goal_names_what_is_missing() -> None:
    assert Goal().missing(progress()) == []
    assert Goal().missing(progress(online=90, completed=7)) == [
        "stations online: 90 of 91",
        "transactions completed: 7 of 50",
    ]


@pytest.mark.parametrize(
    ("reached", "traffic", "reason"),
    [
        (progress(), Traffic(100, {"commit failures": 4}, 0.01), "4 commit failures"),
        (progress(energy_wh=0), Traffic(100, {}, 0.01), "no energy"),
        (progress(), Traffic(0, {}, None), "no reply"),
    ],
)
def test_a_run_that_is_not_clean_fails(reached: Progress, traffic: Traffic, reason: str) -> None:
    with pytest.raises(DemoFailed, match=reason):
        judge(reached, traffic)


def test_a_clean_run_passes_and_is_summed_up() -> None:
    traffic = Traffic(1234, {}, 0.0123)
    judge(progress(), traffic)
    table = summary(progress(), traffic, 79.4)
    cells = list(table.columns[1].cells)
    assert "91 of 91" in cells
    assert "1,234" in cells
    assert "12.3 ms" in cells
