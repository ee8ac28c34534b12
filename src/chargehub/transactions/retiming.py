"""Single wrong timestamps in an honest series: which times fit, and when the others must have been.

Pure. The order of receipt is believed, its times are not: a queue that is replayed arrives within
a second. Whether this is asked at all is `skew`'s decision, what a register is worth `meter`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions.meter import ROUNDING_WH, MeterTrack, MeterTruth, find_truth

LOOK_BACK = 30
"""So many readings in a row may be wrong; more is a clock that was changed, not a slip."""
BEGIN, END = -1, -2


class _Point(NamedTuple):
    heard_at: datetime
    register_wh: int
    told_at: datetime
    place: int
    """Among the readings, or BEGIN or END."""


def fit_times(
    begin: MeterTrack,
    readings: Sequence[Reading],
    stamped: Sequence[Reading],
    end: Reading | None,
    end_heard_at: datetime | None,
) -> MeterTruth | None:
    """Fold with the times that fit and without those that do not; None where that changes nothing.

    `stamped` are the readings at their times of receipt, without a register where they came after
    the end. Registers must not fall in the order of receipt.
    """
    points = _in_order(begin, readings, stamped, end, end_heard_at)
    falls = any(b.register_wh < a.register_wh - ROUNDING_WH for a, b in pairwise(points))
    if falls or len(points) < 2:
        return None
    times = _fitted(begin, points)
    if all(times[point.place] == point.told_at for point in points):
        return None
    moved = [
        reading._replace(
            sampled_at=times.get(place, reading.sampled_at), register_wh=heard.register_wh
        )
        for place, (reading, heard) in enumerate(zip(readings, stamped, strict=True))
    ]
    assert begin.last_at is not None
    begun_at = times.get(BEGIN, min(begin.last_at, *times.values()))
    last = end._replace(sampled_at=times.get(END, end.sampled_at)) if end is not None else None
    truth = find_truth(begin._replace(last_at=begun_at), moved, last)
    return replace(truth, flags=truth.flags | Flag.CLOCK_SKEW)


def _in_order(
    begin: MeterTrack,
    readings: Sequence[Reading],
    stamped: Sequence[Reading],
    end: Reading | None,
    end_heard_at: datetime | None,
) -> list[_Point]:
    """Return what told a register, in the order of receipt; of one message the lower came first."""
    points = sorted(
        _Point(heard.sampled_at, heard.register_wh, reading.sampled_at, place)
        for place, (reading, heard) in enumerate(zip(readings, stamped, strict=True))
        if heard.register_wh is not None
    )
    if begin.base_wh is not None:
        assert begin.last_at is not None
        points.insert(0, _Point(begin.last_at, begin.base_wh, begin.last_at, BEGIN))
    if end is not None and end.register_wh is not None and end_heard_at is not None:
        points.append(_Point(end_heard_at, end.register_wh, end.sampled_at, END))
    return points


def _fitted(begin: MeterTrack, points: Sequence[_Point]) -> dict[int, datetime]:
    """Return a time for each place: its own where it fits, else one that the others allow."""
    chain = _longest_chain(begin, points)
    good = [points[index] for index in chain]
    # Before its first and after its last good time a station was silent no longer than between.
    silence = max((b.told_at - a.told_at for a, b in pairwise(good)), default=timedelta())
    times = {point.place: point.told_at for point in good}
    following = good[0].told_at
    for point in reversed(points[: chain[0]]):
        fits = point.told_at <= following
        following = times[point.place] = point.told_at if fits else following - silence
    before = good[-1].told_at
    for point in points[chain[-1] + 1 :]:
        fits = point.told_at >= before
        before = times[point.place] = point.told_at if fits else before + silence
    for first, second in pairwise(chain):
        a, b = points[first], points[second]
        rise = b.register_wh - a.register_wh
        for point in points[first + 1 : second]:
            share = (point.register_wh - a.register_wh) / rise if rise > 0 else 0.0
            times[point.place] = a.told_at + (b.told_at - a.told_at) * min(1.0, max(0.0, share))
    return times


def _longest_chain(begin: MeterTrack, points: Sequence[_Point]) -> list[int]:
    """Return the most points whose times rise and allow their registers to rise as they do."""
    length = [1] * len(points)
    before: list[int | None] = [None] * len(points)
    for j, later in enumerate(points):
        for i in range(max(0, j - LOOK_BACK), j):
            earlier = points[i]
            rise = later.register_wh - earlier.register_wh
            if (
                length[i] >= length[j]
                and earlier.told_at <= later.told_at
                and begin.can_rise(rise, later.told_at, earlier.told_at)
            ):
                length[j], before[j] = length[i] + 1, i
    at: int | None = max(range(len(points)), key=length.__getitem__)
    chain: list[int] = []
    while at is not None:
        chain.append(at)
        at = before[at]
    return chain[::-1]
