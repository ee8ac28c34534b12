"""How fast one station may go on at us."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chargehub.gateway.rate_limit import LogQuota, RateLimit


def waits(limit: RateLimit, sizes: Sequence[int], now: float) -> list[float]:
    """Send each as soon as it may be; return what each made the next one wait."""
    waited = []
    for size in sizes:
        free = limit.take(size, now)
        waited.append(0.0 if free else round(limit.resume_at - now, 6))
        now = max(now, limit.resume_at)
    return waited


def test_a_burst_passes_and_what_follows_comes_at_the_rate() -> None:
    limit = RateLimit(per_s=10.0, burst=3, characters=100)
    assert waits(limit, [1] * 7, 100.0) == [0, 0, 0, 0.1, 0.1, 0.1, 0.1]
    # After a rest there is a burst again, and no more than that.
    assert waits(limit, [1] * 4, 160.0) == [0, 0, 0, 0.1]


def test_a_message_counts_once_for_every_started_so_many_characters() -> None:
    limit = RateLimit(per_s=10.0, burst=5, characters=100)
    assert waits(limit, [0, 100, 101, 1, 1], 100.0) == [0, 0, 0, 0, 0.1]
    # More than ever fits into the bucket is waited for all the same, before and after a rest.
    assert waits(limit, [1_000, 250], 160.0) == [0.5, 0.3]
    assert waits(RateLimit(10.0, 5, 100), [1_000, 1], 100.0) == [0.5, 0.1]


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 900)), min_size=1, max_size=200))
def test_nobody_ever_gets_more_than_the_burst_and_the_rate(sent: list[tuple[float, int]]) -> None:
    limit, now, taken = RateLimit(per_s=5.0, burst=4, characters=100), 0.0, 0
    for pause, size in sent:
        now += pause
        limit.take(size, now)
        now = max(now, limit.resume_at)
        taken += max(1, -(-size // 100))
        assert taken <= 4 + 5.0 * now + 1e-6


def test_log_lines_beyond_the_quota_are_counted_and_told_with_the_next() -> None:
    quota = LogQuota(per_minute=2)
    assert [quota.take(now) for now in (0, 1, 2, 3, 59.9)] == [0, 0, None, None, None]
    assert [quota.take(now) for now in (60, 61, 62)] == [3, 0, None]
