"""Metrics that no single feature owns: a histogram for hot paths, and limits that were hit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY, Counter
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

_LIMITS_HIT = Counter(
    "chargehub_limits_hit_total", "Requests that a limit of the settings refused", ["limit"]
)


def limit_counter(setting: str) -> Counter:
    """Return the counter of one limit, by its name in the settings; from now on it shows, as 0."""
    return _LIMITS_HIT.labels(setting)


class HotHistogram(Collector):
    """A list and a sum, told to Prometheus only when it asks.

    The client library's own takes a lock twice and costs five times as much for each observation.
    Observed from one thread only, the event loop's.
    """

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        REGISTRY.register(self)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[HistogramMetricFamily]:
        buckets: list[tuple[str, float]] = []
        cumulated = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            cumulated += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(cumulated)))
        yield HistogramMetricFamily(self._name, self._documentation, buckets, sum_value=self._sum)
