"""Meter truth where a station's clock was changed while it charged: by which time to fold.

Pure. The station's own times are believed as long as the registers agree with them. Where they do
not, and the order and time of receipt explain the registers, those are taken and CLOCK_SKEW says
so; of a replay, where receipt tells the order only, single wrong times are left out (`retiming`).
Registers are never ordered by themselves: a meter that lies stays `meter`'s matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions.meter import ROUNDING_WH, MeterTrack, MeterTruth, find_truth
from chargehub.transactions.retiming import fit_times

TROUBLE = (
    Flag.UNIT_SUSPECT
    | Flag.IMPLAUSIBLE
    | Flag.REGISTER_RESET
    | Flag.ZERO_BEGIN
    | Flag.END_BEFORE_BEGIN
)
"""What a wrong clock can make of an honest meter, among others."""


@dataclass(frozen=True, slots=True)
class Received:
    """When the begin, each reading and the end came in, by our clock."""

    begin_at: datetime
    readings_at: Sequence[datetime]
    end_at: datetime | None
    offline: bool = False
    """Kept back by the station: then the time between receipts says nothing."""


def find_truth_by_either_clock(
    begin: MeterTrack, readings: Sequence[Reading], end: Reading | None, received: Received
) -> MeterTruth:
    """Fold by the station's times, or by receipt where only that explains the registers."""
    told = find_truth(begin, _without_what_followed(readings, end), end)
    backwards = _runs_backwards(begin, readings, end)
    if not backwards and not told.flags & TROUBLE:
        return told
    stamped = _by_receipt(readings, received)
    last = None
    if end is not None:
        last = end._replace(sampled_at=received.end_at or end.sampled_at)
    heard = find_truth(begin._replace(last_at=received.begin_at), stamped, last)
    if (backwards or not received.offline) and not heard.flags & TROUBLE:
        return replace(heard, flags=heard.flags | Flag.CLOCK_SKEW)
    if heard.flags & Flag.ZERO_BEGIN:
        return told
    fitted = fit_times(begin, readings, stamped, end, received.end_at)
    if fitted is not None and not fitted.flags & TROUBLE:
        return fitted
    total = _by_total(begin, readings, stamped, last, received)
    if total is not None:
        return total
    # What is left out for one wrong time must not take well-timed energy with it.
    lost = fitted is not None and (fitted.energy_wh or 0) > (told.energy_wh or 0)
    return fitted if fitted is not None and lost else told


def _without_what_followed(readings: Sequence[Reading], end: Reading | None) -> Sequence[Reading]:
    """Kept, but not counted: what the meter shows after the station's own word on the end."""
    if end is None:
        return readings
    return [
        reading._replace(register_wh=None) if reading.sampled_at > end.sampled_at else reading
        for reading in readings
    ]


def _runs_backwards(begin: MeterTrack, readings: Sequence[Reading], end: Reading | None) -> bool:
    """Tell whether the station says that energy was taken before the begin."""
    started_at = begin.last_at
    assert started_at is not None
    base = -ROUNDING_WH if begin.base_wh is None else begin.base_wh
    told = readings if end is None else [*readings, end]
    return any(
        reading.sampled_at < started_at
        and reading.register_wh is not None
        and reading.register_wh > base + ROUNDING_WH
        for reading in told
    )


def _by_receipt(readings: Sequence[Reading], received: Received) -> list[Reading]:
    """Return the readings at their times of receipt; what came after the end does not count."""
    over = received.end_at
    return [
        reading._replace(
            sampled_at=at,
            register_wh=None if over is not None and at > over else reading.register_wh,
        )
        for reading, at in zip(readings, received.readings_at, strict=True)
    ]


def _by_total(
    begin: MeterTrack,
    readings: Sequence[Reading],
    stamped: Sequence[Reading],
    end: Reading | None,
    received: Received,
) -> MeterTruth | None:
    """Bill the last register minus the first, where no single step can be judged by any clock.

    Only for a station whose times contradict its registers, when these never fall in the order of
    receipt and the whole fits the time the transaction took.
    """
    ordered = sorted(
        (one for one in stamped if one.register_wh is not None),
        key=lambda one: (one.sampled_at, one.register_wh),
    )
    registers = [one.register_wh for one in ordered if one.register_wh is not None]
    if begin.base_wh is not None:
        registers.insert(0, begin.base_wh)
    if end is not None and end.register_wh is not None:
        registers.append(end.register_wh)
    if not registers or _falls(registers) or not _contradicts(begin, readings, stamped):
        return None
    until = max([received.begin_at, *(one.sampled_at for one in ordered)])
    if end is not None:
        until = max(until, end.sampled_at)
    if received.offline:
        told = [reading.sampled_at for reading in readings]
        until = max(until, received.begin_at + (max(told) - min(told))) if told else until
    base, last = registers[0], registers[-1]
    if not begin.can_rise(last - base, until, received.begin_at):
        return None
    missing = Flag.BEGIN_MISSING if begin.base_wh is None else Flag.NONE
    flags = begin.flags | missing | Flag.CLOCK_SKEW
    track = begin._replace(base_wh=base, last_wh=last, last_at=until, flags=flags)
    energies = tuple(
        None if one.register_wh is None else max(0, one.register_wh - base) for one in stamped
    )
    return MeterTruth(track.energy_wh, flags, energies, track)


def _contradicts(
    begin: MeterTrack, readings: Sequence[Reading], stamped: Sequence[Reading]
) -> bool:
    """Tell whether the registers fall when ordered by the station's own times."""
    started_at = begin.last_at
    assert started_at is not None
    told = [
        (reading.sampled_at, reading.register_wh)
        for reading, heard in zip(readings, stamped, strict=True)
        if reading.register_wh is not None and heard.register_wh is not None
    ]
    if begin.base_wh is not None:
        told.append((started_at, begin.base_wh))
    return _falls([register for _, register in sorted(told)])


def _falls(registers: Sequence[int]) -> bool:
    return any(after < before - ROUNDING_WH for before, after in pairwise(registers))
