"""Our own composite schedule: what installed profiles come to, moment by moment. Pure.

It is the minimum over the purposes of the highest stack level that says something at that moment
(16 3.13.2/3, K01.FR.17, K08.FR.04). Where it is not known which profiles a station holds, it is the
most, or the least, that they may come to. Why as it is: docs/decisions, "One composite schedule".
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
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
    certain: bool = True
    """False: the station may hold it or not. Of several with one id it holds one (K01.FR.05)."""


class Bound(Enum):
    """Which limit is asked for where several are possible."""

    MOST = "most"
    """What may be drawn at most; no limit where the station may have none."""
    LEAST = "least"
    """What keeps every limit that may be in force."""


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
    bound: Bound = Bound.MOST


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


@dataclass(frozen=True, slots=True)
class _Choice:
    """The profiles of one id, of which the station holds one."""

    voices: tuple[_Voice, ...]
    sure: bool
    """False: it may hold none of them."""
    top: tuple[int, bool]


_Place = tuple[ProfilePurpose, int]
_Choices = dict[_Place, list[_Choice]]
_SILENT = (-1, False)
"""Below every rank."""


def composite_of_evse(
    profiles: Sequence[InForce], evse_no: int, question: Question
) -> CompositeSchedule:
    """Return what one EVSE may draw, whether or not a transaction goes on there (K08.FR.06)."""
    choices = _choices(profiles, [evse_no], question)

    def limit(at: int) -> _Limit | None:
        whole = _whole_limit(choices, at, question.bound)
        return _least([whole, _own_limit(choices, evse_no, at, question.bound)])

    return _composite(choices, question, limit)


def composite_of_station(
    profiles: Sequence[InForce], evse_nos: Sequence[int], question: Question
) -> CompositeSchedule:
    """Return what all EVSEs together may draw (K08.FR.03): no more than each for itself."""
    choices = _choices(profiles, evse_nos, question)

    def limit(at: int) -> _Limit | None:
        whole = _whole_limit(choices, at, question.bound)
        each = [_own_limit(choices, number, at, question.bound) for number in evse_nos]
        known = [one for one in each if one is not None]
        if not known or len(known) < len(each):
            return whole
        ids = tuple(dict.fromkeys(number for one in known for number in one.by))
        return _least([whole, _Limit(sum(one.power_w for one in known), ids)])

    return _composite(choices, question, limit)


def _composite(choices: _Choices, question: Question, limit: _LimitAt) -> CompositeSchedule:
    begin = _seconds(question.starts_at)
    end = begin + question.duration_s
    turns = {begin}
    for choice in chain.from_iterable(choices.values()):
        for voice in choice.voices:
            turns.update(turn for turn in voice.turns(begin, end) if begin < turn < end)
    periods: list[CompositePeriod] = []
    for turn in sorted(turns):
        found = limit(turn)
        rate = None if found is None else question.supply.rate(found.power_w, question.unit)
        by = () if found is None else found.by
        if not periods or (periods[-1].limit, periods[-1].limited_by) != (rate, by):
            periods.append(CompositePeriod(turn - begin, rate, by))
    return CompositeSchedule(question.starts_at, question.duration_s, question.unit, tuple(periods))


def _own_limit(choices: _Choices, evse_no: int, at: int, bound: Bound) -> _Limit | None:
    """Return an EVSE's own limit; TxProfile replaces TxDefaultProfile while it says one."""
    said, silent = _possible(choices, (ProfilePurpose.TX, evse_no), at)
    if silent:
        defaults, silent = _possible(choices, (ProfilePurpose.TX_DEFAULT, evse_no), at)
        said += defaults
    return _least([_bound(said, silent, bound), _external(choices, evse_no, at)])


def _whole_limit(choices: _Choices, at: int, bound: Bound) -> _Limit | None:
    """Return the limit of the whole station, which binds each EVSE too."""
    said, silent = _possible(choices, (ProfilePurpose.STATION_MAX, 0), at)
    return _least([_bound(said, silent, bound), _external(choices, 0, at)])


def _external(choices: _Choices, evse_no: int, at: int) -> _Limit | None:
    """Return what others allow: of the same level each of their limits holds."""
    said, _ = _possible(choices, (ProfilePurpose.EXTERNAL, evse_no), at)
    return _least(said)


def _possible(choices: _Choices, place: _Place, at: int) -> tuple[list[_Limit], bool]:
    """Return each limit that the highest rank may say now, and whether it may be that none does."""
    highest = _SILENT
    said: list[tuple[tuple[int, bool], _Limit]] = []
    for choice in choices.get(place, ()):
        if choice.top < highest:
            break
        lowest = choice.top if choice.sure else _SILENT
        for voice in choice.voices:
            power_w = voice.power_at(at)
            if power_w is not None:
                said.append((voice.rank, _Limit(power_w, (voice.id,))))
            lowest = min(lowest, _SILENT if power_w is None else voice.rank)
        highest = max(highest, lowest)
    # Whatever the station holds, something of this rank speaks: all below it is silenced. On a
    # tie any may count, as which of them the station took is not known.
    return [limit for rank, limit in said if rank >= highest], highest == _SILENT


def _bound(said: Sequence[_Limit], silent: bool, bound: Bound) -> _Limit | None:
    if bound is Bound.LEAST:
        return _least(said)
    return None if silent else max(said, key=lambda limit: limit.power_w)


def _choices(profiles: Sequence[InForce], evse_nos: Sequence[int], question: Question) -> _Choices:
    """Return what a station chooses from by purpose and EVSE, highest rank first."""
    places: dict[int, set[_Place]] = {}
    found: dict[_Place, dict[tuple[int, int], list[tuple[_Voice, bool]]]] = {}
    for number, held in enumerate(profiles):
        purpose, evse_no = held.profile.purpose, held.evse_no
        places.setdefault(held.profile.id, set()).add((purpose, evse_no))
        everywhere = evse_no == 0 and purpose is ProfilePurpose.TX_DEFAULT
        # Limits of others have no id, and all of them hold.
        key = (held.profile.id, number if purpose is ProfilePurpose.EXTERNAL else 0)
        # K01.FR.14: the station's default counts at every EVSE.
        for place in evse_nos if everywhere else [evse_no]:
            voice = _voice(held.profile, place, question, own=not everywhere)
            if voice is not None:
                same = found.setdefault((purpose, place), {}).setdefault(key, [])
                same.append((voice, held.certain))
    choices: _Choices = {}
    for at, by_id in found.items():
        choices[at] = [
            _Choice(
                tuple(voice for voice, _ in same),
                # Where one of them is at another place, the station may hold that one.
                any(certain for _, certain in same)
                and (at[0] is ProfilePurpose.EXTERNAL or len(places[profile_id]) == 1),
                max(voice.rank for voice, _ in same),
            )
            for (profile_id, _), same in by_id.items()
        ]
        choices[at].sort(key=lambda choice: choice.top, reverse=True)
    return choices


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
