"""Our own composite schedule: what installed profiles come to, moment by moment. Pure.

It is the minimum over the purposes of the highest stack level that says something at that moment
(16 3.13.2/3, K01.FR.17, K08.FR.04). Why as it is: docs/decisions, "One composite schedule".
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from chargehub.stations.profiles import (
    ChargingProfile,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
)

RECURS_EVERY_S = {Recurrency.DAILY: 86_400, Recurrency.WEEKLY: 7 * 86_400}


@dataclass(frozen=True, slots=True)
class Supply:
    """What turns amperes into watts: a station's connection to the grid (K01.FR.49-51).

    A direct-current EVSE is limited at its supply too, so the same holds for it.
    """

    voltage_v: int = 220
    phases: int = 3

    def watts(self, limit: float, unit: RateUnit, phases: int | None) -> float:
        if unit is RateUnit.W:
            return limit
        # E16 3.34: more phases than there are count as those there are.
        return limit * self.voltage_v * min(phases or self.phases, self.phases)

    def rate(self, power_w: float, unit: RateUnit) -> float:
        """Return the power in this unit with one decimal, never more than it was."""
        rate = power_w if unit is RateUnit.W else power_w / (self.voltage_v * self.phases)
        return math.floor(rate * 10 + 1e-6) / 10


@dataclass(frozen=True, slots=True)
class InForce:
    """A profile at its EVSE; a TxProfile counts only while its transaction lasts."""

    evse_no: int
    profile: ChargingProfile


@dataclass(frozen=True, slots=True)
class CompositePeriod:
    start_s: int
    limit: float | None
    """None: no profile limits."""
    limited_by: tuple[int, ...] = ()
    """Ids of the profiles whose limit it is."""


@dataclass(frozen=True, slots=True)
class CompositeSchedule:
    starts_at: datetime
    duration_s: int
    unit: RateUnit
    periods: tuple[CompositePeriod, ...]

    def limit_at(self, offset_s: int) -> float | None:
        found = bisect_right(self.periods, offset_s, key=lambda period: period.start_s)
        return None if found == 0 else self.periods[found - 1].limit


@dataclass(frozen=True, slots=True)
class Question:
    """From when, for how long, in which unit."""

    starts_at: datetime
    duration_s: int
    unit: RateUnit
    supply: Supply
    began_at: Mapping[int, datetime]
    """By EVSE with a transaction: when it began. Relative schedules begin then (K01.FR.42)."""


@dataclass(frozen=True, slots=True)
class _Limit:
    power_w: float
    by: tuple[int, ...]


_LimitAt = Callable[[int], _Limit | None]


@dataclass(frozen=True, slots=True)
class _Voice:
    """A profile made ready to be asked at many moments: all times in whole seconds."""

    id: int
    rank: tuple[int, bool]
    """Stack level; on a tie the EVSE's own profile outranks the station's (16 3.13.1)."""
    valid_from: float
    valid_to: float
    begin: int
    every: int | None
    length: float
    starts: tuple[int, ...]
    powers_w: tuple[float | None, ...]

    def power_at(self, at: int) -> float | None:
        if not self.valid_from <= at < self.valid_to or at < self.begin:  # K01.FR.30/36/37
            return None
        offset = at - self.begin
        if self.every is not None:
            offset %= self.every
        if offset >= self.length:
            return None
        found = bisect_right(self.starts, offset)  # K01.FR.12
        return self.powers_w[found - 1] if found else None

    def turns(self, begin: int, end: int) -> Iterator[int]:
        """Yield every moment at which it may begin to say something else."""
        yield from (int(at) for at in (self.valid_from, self.valid_to) if math.isfinite(at))
        offsets = [start for start in self.starts if start < self.length]
        if self.length != math.inf:
            offsets.append(int(self.length))
        at = self.begin
        if self.every is not None:
            at += max(0, (begin - at) // self.every) * self.every
        while at < end:
            yield at
            yield from (at + offset for offset in offsets)
            if self.every is None:
                return
            at += self.every


_Place = tuple[ProfilePurpose, int]
_Voices = dict[_Place, list[_Voice]]


def composite_of_evse(
    profiles: Sequence[InForce], evse_no: int, question: Question
) -> CompositeSchedule:
    """Return what one EVSE may draw, whether or not a transaction goes on there (K08.FR.06)."""
    voices = _voices(profiles, [evse_no], question)

    def limit(at: int) -> _Limit | None:
        return _least([_whole_limit(voices, at), _own_limit(voices, evse_no, at)])

    return _composite(voices, question, limit)


def composite_of_station(
    profiles: Sequence[InForce], evse_nos: Sequence[int], question: Question
) -> CompositeSchedule:
    """Return what all EVSEs together may draw (K08.FR.03): no more than each for itself."""
    voices = _voices(profiles, evse_nos, question)

    def limit(at: int) -> _Limit | None:
        whole = _whole_limit(voices, at)
        each = [_own_limit(voices, number, at) for number in evse_nos]
        known = [one for one in each if one is not None]
        if not known or len(known) < len(each):
            return whole
        ids = tuple(dict.fromkeys(number for one in known for number in one.by))
        return _least([whole, _Limit(sum(one.power_w for one in known), ids)])

    return _composite(voices, question, limit)


def _composite(voices: _Voices, question: Question, limit: _LimitAt) -> CompositeSchedule:
    begin = _seconds(question.starts_at)
    end = begin + question.duration_s
    turns = {begin}
    for voice in chain.from_iterable(voices.values()):
        turns.update(turn for turn in voice.turns(begin, end) if begin < turn < end)
    periods: list[CompositePeriod] = []
    for turn in sorted(turns):
        found = limit(turn)
        rate = None if found is None else question.supply.rate(found.power_w, question.unit)
        by = () if found is None else found.by
        if not periods or (periods[-1].limit, periods[-1].limited_by) != (rate, by):
            periods.append(CompositePeriod(turn - begin, rate, by))
    return CompositeSchedule(question.starts_at, question.duration_s, question.unit, tuple(periods))


def _own_limit(voices: _Voices, evse_no: int, at: int) -> _Limit | None:
    """Return an EVSE's own limit; TxProfile replaces TxDefaultProfile while it says one."""
    transaction = _highest(voices, (ProfilePurpose.TX, evse_no), at) or _highest(
        voices, (ProfilePurpose.TX_DEFAULT, evse_no), at
    )
    return _least([transaction, _highest(voices, (ProfilePurpose.EXTERNAL, evse_no), at)])


def _whole_limit(voices: _Voices, at: int) -> _Limit | None:
    """Return the limit of the whole station, which binds each EVSE too."""
    return _least(
        [
            _highest(voices, (ProfilePurpose.STATION_MAX, 0), at),
            _highest(voices, (ProfilePurpose.EXTERNAL, 0), at),
        ]
    )


def _highest(voices: _Voices, place: _Place, at: int) -> _Limit | None:
    """Return the limit of the highest rank that says one at this moment."""
    best: tuple[tuple[int, bool], _Limit] | None = None
    for voice in voices.get(place, ()):
        if best is not None and voice.rank < best[0]:
            break
        power_w = voice.power_at(at)
        # Of the same rank the lower limit counts: which of them the station took is not known.
        if power_w is not None and (best is None or power_w < best[1].power_w):
            best = (voice.rank, _Limit(power_w, (voice.id,)))
    return None if best is None else best[1]


def _voices(profiles: Sequence[InForce], evse_nos: Sequence[int], question: Question) -> _Voices:
    """Return all voices by purpose and EVSE, highest rank first."""
    found: _Voices = {}
    for held in profiles:
        everywhere = held.evse_no == 0 and held.profile.purpose is ProfilePurpose.TX_DEFAULT
        # K01.FR.14: the station's default counts at every EVSE.
        for evse_no in evse_nos if everywhere else [held.evse_no]:
            voice = _voice(held.profile, evse_no, question, own=not everywhere)
            if voice is not None:
                found.setdefault((held.profile.purpose, evse_no), []).append(voice)
    for voices in found.values():
        voices.sort(key=lambda voice: voice.rank, reverse=True)
    return found


def _voice(
    profile: ChargingProfile, evse_no: int, question: Question, *, own: bool
) -> _Voice | None:
    # Which of several schedules a car chose is not known; the first is what we prefer.
    schedule = profile.schedules[0]
    begin = schedule.starts_at
    if profile.kind is ProfileKind.RELATIVE:
        begin = question.began_at.get(evse_no, question.starts_at)
    if begin is None:
        return None
    every = None
    if profile.kind is ProfileKind.RECURRING and profile.recurrency is not None:
        every = RECURS_EVERY_S[profile.recurrency]
    length = math.inf if schedule.duration_s is None else schedule.duration_s  # K01.FR.11
    return _Voice(
        id=profile.id,
        rank=(profile.stack_level, own),
        valid_from=-math.inf if profile.valid_from is None else _seconds(profile.valid_from),
        valid_to=math.inf if profile.valid_to is None else _seconds(profile.valid_to),
        begin=_seconds(begin),
        every=every,
        # E16 3.43/3.44: what is longer than its recurrence is cut.
        length=length if every is None else min(length, every),
        starts=tuple(period.start_s for period in schedule.periods),
        powers_w=tuple(
            None
            if period.limit is None
            else question.supply.watts(period.limit, schedule.unit, period.phases)
            for period in schedule.periods
        ),
    )


def _least(limits: Sequence[_Limit | None]) -> _Limit | None:
    known = [limit for limit in limits if limit is not None]
    return min(known, key=lambda limit: limit.power_w, default=None)


def _seconds(at: datetime) -> int:
    return math.floor(at.timestamp())
