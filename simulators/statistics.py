"""What a simulation counts, and how it says so. Shared by all stations of a fleet."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field


class ReplyTimes:
    """Reply times in buckets of 5 %, so that any number of them costs a few hundred counters."""

    _GROWTH = math.log(1.05)
    _SMALLEST_S = 1e-5

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float) -> None:
        ratio = max(seconds, self._SMALLEST_S) / self._SMALLEST_S
        self._buckets[math.ceil(math.log(ratio) / self._GROWTH)] += 1
        self.count += 1

    def percentile_ms(self, percent: float) -> float | None:
        """Return the upper edge of the bucket that holds this percentile."""
        rank = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return self._SMALLEST_S * math.exp(bucket * self._GROWTH) * 1000
        return None


@dataclass(slots=True)
class Statistics:
    messages_sent: int = 0
    calls_received: int = 0
    transactions_started: int = 0
    transactions_completed: int = 0
    connections_lost: int = 0
    connects_failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    reply_times: ReplyTimes = field(default_factory=ReplyTimes)

    def count_error(self, kind: str) -> None:
        self.errors[kind] += 1

    @property
    def error_count(self) -> int:
        return self.errors.total()
