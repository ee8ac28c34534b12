"""A histogram for hot paths: a list and a sum, told to Prometheus only when it asks.

The client library's own takes a lock twice and costs five times as much for each observation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class HotHistogram(Collector):
    """Observed from one thread only, the event loop's."""

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
