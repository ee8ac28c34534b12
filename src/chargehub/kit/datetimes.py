"""Date-times as text and as numbers.

RFC 3339 with milliseconds and Z in what we write, tolerant in what we read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ReadDatetime(NamedTuple):
    at: datetime
    """Aware, in UTC."""
    had_zone: bool
    """False when the station named no zone, and UTC was assumed."""


def microseconds(at: datetime) -> int:
    """Return the microseconds since 1970: what a batch's arrays hold of a time, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def format_datetime(at: datetime) -> str:
    """Write an aware moment with three fractional digits and Z (2.x 3.1)."""
    if at.tzinfo is None:
        raise ValueError("a moment without zone cannot be sent")
    moment = at if at.tzinfo is UTC else at.astimezone(UTC)
    return moment.isoformat("T", "milliseconds")[: -len("+00:00")] + "Z"


def parse_datetime(text: object) -> ReadDatetime | None:
    """Read what stations send: any offset or none, any number of fractional digits (16 3.15).

    None when it is no date-time at all.
    """
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _parse_unusual(text)
    return _in_utc(at)


def _in_utc(at: datetime) -> ReadDatetime | None:
    zone = at.tzinfo
    if zone is UTC:
        return ReadDatetime(at, had_zone=True)
    if zone is None:
        return ReadDatetime(at.replace(tzinfo=UTC), had_zone=False)
    try:
        return ReadDatetime(at.astimezone(UTC), had_zone=True)
    except OverflowError:
        # Year 1 or 9999 with an offset that leads out of the calendar.
        return None


def _parse_unusual(text: str) -> ReadDatetime | None:
    # Blanks around it, a lower-case zone, or the leap second that RFC 3339 allows.
    try:
        at = datetime.fromisoformat(text.strip().upper().replace(":60", ":59"))
    except ValueError:
        return None
    return _in_utc(at)
