"""How fast one station may go on at us."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chargehub.gateway.rate_limit import LogQuota, RateLimit


def test_a_burst_passes_and_what_follows_comes_at_the_rate() -> None:
    limit = RateLimit(per_s=10.0, burst=3)
    assert [limit.delay(100.0) for _ in range(3)] == [0, 0, 0]
    now, waits = 100.0, []
    for _ in range(4):
        wait = limit.delay(now)
        waits.append(round(wait, 6))
        now += wait
    assert waits == [0.1] * 4
    # After a rest there is a burst again, and no more than that.
    assert [limit.delay(now + 60) for _ in range(3)] == [0, 0, 0]
    assert limit.delay(now + 60) > 0


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_nobody_ever_gets_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    limit, now, began = RateLimit(per_s=5.0, burst=4), 0.0, 0.0
    for taken, pause in enumerate(pauses, start=1):
        now += pause
        now += limit.delay(now)
        assert taken <= 4 + 5.0 * (now - began) + 1.000001


def test_log_lines_beyond_the_quota_are_counted_and_told_with_the_next() -> None:
    quota = LogQuota(per_minute=2)
    assert [quota.take(now) for now in (0, 1, 2, 3, 59.9)] == [0, 0, None, None, None]
    assert [quota.take(now) for now in (60, 61, 62)] == [3, 0, None]
