"""How fast one station may go on at us: its messages, and what its messages make us log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf


@dataclass(slots=True)
class RateLimit:
    """A token bucket: so many messages a second for long, so many at once.

    A message of more than `characters` counts as several, since it holds the loop as long as they
    would. The bucket is filled up only when it is empty, which spares all but a flood the
    arithmetic.
    """

    per_s: float
    burst: float
    characters: int
    resume_at: float = 0.0
    """Until then nothing is to be read; 0 while there was never a reason to wait."""
    _tokens: float = 0.0
    _filled_at: float = -inf

    def take(self, size: int, now: float) -> bool:
        """Take a message of so many characters; return False if the next is to wait."""
        self._tokens -= 1 if size <= self.characters else ceil(size / self.characters)
        return self._tokens >= 0 or self._fill(size, now)

    def _fill(self, size: int, now: float) -> bool:
        earned = (now - self._filled_at) * self.per_s
        full = self.burst - max(1, ceil(size / self.characters))
        self._tokens, self._filled_at = min(full, self._tokens + earned), now
        if self._tokens >= 0:
            return True
        self.resume_at = self._filled_at = now - self._tokens / self.per_s
        self._tokens = 0.0
        return False


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
