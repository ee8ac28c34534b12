"""The hub's one clock: an (epoch, rate) pair kept in the database.

Everything with a date runs on it; network waits, certificates and login expiry run on wall time.
The rate is 1 outside demo mode. Simulators read the same pair. It never runs backwards over a
restart: a new pair continues from the furthest moment the old one can have reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf


@dataclass(frozen=True, slots=True)
class ClockPair:
    """At wall time `wall_epoch` (Unix seconds) the hub's time was `hub_epoch` (Unix seconds)."""

    wall_epoch: float
    hub_epoch: float
    rate: float

    def hub_at(self, wall: float) -> float:
        return self.hub_epoch + (wall - self.wall_epoch) * self.rate

    def wall_at(self, hub: float) -> float:
        return self.wall_epoch + (hub - self.hub_epoch) / self.rate

    def continued(self, wall: float, rate: float, reached_wall: float | None = None) -> ClockPair:
        """Return the pair that goes on from `wall` at another rate, never backwards.

        A fast clock may have run until `reached_wall` (ClockKeeper); the time nobody ran it since
        counts singly, so ten hours switched off at 60 x are ten hours. A clock of rate 1 is the
        wall plus its lead, running or not.
        """
        reached = wall if reached_wall is None or self.rate == 1 else reached_wall
        hub = self.hub_at(reached) + max(0.0, wall - reached)
        return ClockPair(wall, max(hub, self.hub_epoch), rate)

    def __str__(self) -> str:
        """Render as `wall,hub,rate`, the form the simulators' --clock takes."""
        return f"{self.wall_epoch:.6f},{self.hub_epoch:.6f},{self.rate:g}"


READ_AGAIN_AFTER_S = 0.001


class HubClock:
    def __init__(self, pair: ClockPair, wall: Callable[[], float] = time.time) -> None:
        self.pair = pair
        self._wall = wall
        self._read_at = -inf
        self._read = self.now()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.pair.hub_at(self._wall()), UTC)

    def now_about(self) -> datetime:
        """Return the time, read less than a millisecond of it ago.

        For what comes thousands of times a second, each with a datetime to be made.
        """
        wall = self._wall()
        if not 0 <= (wall - self._read_at) * self.pair.rate < READ_AGAIN_AFTER_S:
            self._read_at, self._read = wall, datetime.fromtimestamp(self.pair.hub_at(wall), UTC)
        return self._read

    def wall_delay(self, until: datetime) -> float:
        """Return the wall seconds until the hub's clock shows `until` (0 when it is past)."""
        return max(0.0, self.pair.wall_at(until.timestamp()) - self._wall())

    def wall_seconds(self, hub: timedelta) -> float:
        return hub.total_seconds() / self.pair.rate

    def hub_time(self, wall_seconds: float) -> timedelta:
        """Return how far the hub's clock goes in so many wall seconds."""
        return timedelta(seconds=wall_seconds * self.pair.rate)


def wall_now() -> datetime:
    """Return the wall time, for logins and certificates, which no demo clock may stretch."""
    return datetime.fromtimestamp(time.time(), UTC)
