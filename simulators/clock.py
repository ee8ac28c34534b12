"""The hub's time as the world outside sees it: one (wall epoch, hub epoch, rate) pair.

Everything with a date runs on it. Network waits do not: they run on wall time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Return the hub's time in Unix seconds."""

    def wall_delay(self, until: float) -> float:
        """Return the wall seconds until the hub's time is `until` (0 when it is past)."""


@dataclass(frozen=True, slots=True)
class ClockPair:
    """At wall time `wall_epoch` the hub's time was `hub_epoch`; both are Unix seconds."""

    wall_epoch: float
    hub_epoch: float
    rate: float

    @classmethod
    def parse(cls, text: str) -> ClockPair:
        """Read `wall,hub,rate`, the form `--clock` takes."""
        try:
            wall, hub, rate = (float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(f"a clock is wall,hub,rate in numbers, not {text!r}") from None
        if not (math.isfinite(wall) and math.isfinite(hub) and 0 < rate < math.inf):
            raise ValueError(f"a clock's rate is above 0 and its epochs are finite, not {text!r}")
        return cls(wall, hub, rate)

    @classmethod
    def from_now(cls, rate: float = 1.0) -> ClockPair:
        wall = time.time()
        return cls(wall, wall, rate)


class HubClock:
    def __init__(self, pair: ClockPair, wall: Callable[[], float] = time.time) -> None:
        self.pair = pair
        self._wall = wall

    def now(self) -> float:
        pair = self.pair
        return pair.hub_epoch + (self._wall() - pair.wall_epoch) * pair.rate

    def wall_delay(self, until: float) -> float:
        return max(0.0, (until - self.now()) / self.pair.rate)


class ManualClock:
    """A clock that stands still until it is moved, so that a test need not sleep."""

    def __init__(self, hub: float) -> None:
        self._hub = hub

    def now(self) -> float:
        return self._hub

    def wall_delay(self, until: float) -> float:
        return 0.0 if until <= self._hub else math.inf

    def set(self, hub: float) -> None:
        if hub < self._hub:
            raise ValueError("the hub's clock never runs backwards")
        self._hub = hub


async def sleep_until(clock: Clock, hub: float) -> None:
    await asyncio.sleep(clock.wall_delay(hub))


def rfc3339(hub: float) -> str:
    """Render with milliseconds and `Z`, as OCPP 2.x section 3.1 limits it."""
    at = datetime.fromtimestamp(hub, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
