"""How fast one station may go on at us: its messages, and what its messages make us log. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class RateLimit:
    """A token bucket: so many messages a second for long, so many at once.

    It is filled up only when it is empty, which spares all but a flood the arithmetic.
    """

    per_s: float
    burst: int
    _tokens: float = field(default=-1.0)
    _filled_at: float | None = None

    def delay(self, now: float) -> float:
        """Take one message; return the seconds to wait before the next is read."""
        self._tokens -= 1
        if self._tokens >= 0:
            return 0.0
        if self._filled_at is None:
            self._tokens, self._filled_at = self.burst - 1.0, now
            return 0.0
        earned = (now - self._filled_at) * self.per_s
        self._tokens = min(self.burst - 1.0, self._tokens + earned)
        self._filled_at = now
        if self._tokens >= 0:
            return 0.0
        wait = -self._tokens / self.per_s
        self._tokens, self._filled_at = 0.0, now + wait
        return wait


@dataclass(slots=True)
class LogQuota:
    """Lets so many lines a minute through and counts the rest, to be told with the next."""

    per_minute: int = 20
    _left: int = 0
    _filled_at: float | None = None
    _suppressed: int = 0

    def take(self, now: float) -> int | None:
        """Return how many lines were left out since the last one, or None to leave this one out."""
        if self._filled_at is None or now >= self._filled_at + 60:
            self._left, self._filled_at = self.per_minute, now
        if self._left == 0:
            self._suppressed += 1
            return None
        self._left -= 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
