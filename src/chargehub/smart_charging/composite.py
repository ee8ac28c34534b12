"""Our own composite schedule: what installed profiles come to, moment by moment. Pure.

It is the minimum over the purposes of the highest stack level that says something at that moment
(16 3.13.2/3, K01.FR.17, K08.FR.04). Why as it is: docs/decisions, "One composite schedule".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
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
    spread: bool = False
    """The station's TxDefaultProfile, as it counts at this EVSE (K01.FR.14)."""


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
        found: CompositePeriod | None = None
        for period in self.periods:
            if period.start_s <= offset_s:
                found = period
        return None if found is None else found.limit


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


def composite_of_evse(
    profiles: Sequence[InForce], evse_no: int, question: Question
) -> CompositeSchedule:
    """Return what one EVSE may draw, whether or not a transaction goes on there (K08.FR.06)."""
    spread = _spread(profiles, [evse_no])

    def limit(at: int) -> _Limit | None:
        own = _own_limit(spread, evse_no, at, question)
        return _least([_whole_limit(spread, at, question), own])

    return _composite(spread, question, limit)


def composite_of_station(
    profiles: Sequence[InForce], evse_nos: Sequence[int], question: Question
) -> CompositeSchedule:
    """Return what all EVSEs together may draw (K08.FR.03): no more than each for itself."""
    spread = _spread(profiles, evse_nos)

    def limit(at: int) -> _Limit | None:
        whole = _whole_limit(spread, at, question)
        each = [_own_limit(spread, number, at, question) for number in evse_nos]
        known = [one for one in each if one is not None]
        if not known or len(known) < len(each):
            return whole
        ids = tuple(dict.fromkeys(number for one in known for number in one.by))
        return _least([whole, _Limit(sum(one.power_w for one in known), ids)])

    return _composite(spread, question, limit)


def _spread(profiles: Sequence[InForce], evse_nos: Sequence[int]) -> list[InForce]:
    found: list[InForce] = []
    for held in profiles:
        if held.evse_no == 0 and held.profile.purpose is ProfilePurpose.TX_DEFAULT:
            found.extend(InForce(number, held.profile, spread=True) for number in evse_nos)
        else:
            found.append(held)
    return found


def _composite(
    profiles: Sequence[InForce], question: Question, limit: _LimitAt
) -> CompositeSchedule:
    begin = _seconds(question.starts_at)
    end = begin + question.duration_s
    turns = {begin}
    for held in profiles:
        turns.update(turn for turn in _turns(held, question, begin, end) if begin < turn < end)
    periods: list[CompositePeriod] = []
    for turn in sorted(turns):
        found = limit(turn)
        rate = None if found is None else question.supply.rate(found.power_w, question.unit)
        period = CompositePeriod(turn - begin, rate, () if found is None else found.by)
        if not periods or (periods[-1].limit, periods[-1].limited_by) != (rate, period.limited_by):
            periods.append(period)
    return CompositeSchedule(question.starts_at, question.duration_s, question.unit, tuple(periods))


def _own_limit(
    profiles: Sequence[InForce], evse_no: int, at: int, question: Question
) -> _Limit | None:
    """Return an EVSE's own limit; TxProfile replaces TxDefaultProfile while it says one."""
    transaction = _highest(profiles, ProfilePurpose.TX, evse_no, at, question) or _highest(
        profiles, ProfilePurpose.TX_DEFAULT, evse_no, at, question
    )
    return _least([transaction, _highest(profiles, ProfilePurpose.EXTERNAL, evse_no, at, question)])


def _whole_limit(profiles: Sequence[InForce], at: int, question: Question) -> _Limit | None:
    """Return the limit of the whole station, which binds each EVSE too."""
    return _least(
        [
            _highest(profiles, ProfilePurpose.STATION_MAX, 0, at, question),
            _highest(profiles, ProfilePurpose.EXTERNAL, 0, at, question),
        ]
    )


def _highest(
    profiles: Sequence[InForce],
    purpose: ProfilePurpose,
    evse_no: int,
    at: int,
    question: Question,
) -> _Limit | None:
    """Return the limit of the highest stack level that has one at this moment."""
    best: tuple[tuple[int, bool, float], _Limit] | None = None
    for held in profiles:
        if held.profile.purpose is not purpose or held.evse_no != evse_no:
            continue
        power_w = _power_at(held, at, question)
        if power_w is None:
            continue
        # On a tie the EVSE's own profile outranks the station's (16 3.13.1), then the lower limit.
        rank = (held.profile.stack_level, not held.spread, -power_w)
        if best is None or rank > best[0]:
            best = (rank, _Limit(power_w, (held.profile.id,)))
    return None if best is None else best[1]


def _power_at(held: InForce, at: int, question: Question) -> float | None:
    profile = held.profile
    if profile.valid_from is not None and at < _seconds(profile.valid_from):  # K01.FR.36
        return None
    if profile.valid_to is not None and at >= _seconds(profile.valid_to):  # K01.FR.37
        return None
    # Which of several schedules a car chose is not known; the first is what we prefer.
    schedule = profile.schedules[0]
    offset = _offset(held, schedule, at, question)
    if offset is None or offset >= _length(profile, schedule):
        return None
    period = _period_at(schedule, offset)
    if period is None or period.limit is None:
        return None
    return question.supply.watts(period.limit, schedule.unit, period.phases)


def _offset(held: InForce, schedule: ChargingSchedule, at: int, question: Question) -> int | None:
    """Return the seconds since the schedule's (last) begin; None before its first."""
    begin = _begin(held, schedule, question)
    if begin is None or at < begin:  # K01.FR.30
        return None
    recurrency = held.profile.recurrency
    if held.profile.kind is ProfileKind.RECURRING and recurrency is not None:
        return (at - begin) % RECURS_EVERY_S[recurrency]
    return at - begin


def _begin(held: InForce, schedule: ChargingSchedule, question: Question) -> int | None:
    if held.profile.kind is ProfileKind.RELATIVE:
        return _seconds(question.began_at.get(held.evse_no, question.starts_at))
    return None if schedule.starts_at is None else _seconds(schedule.starts_at)


def _length(profile: ChargingProfile, schedule: ChargingSchedule) -> float:
    """Return how long the schedule says something from its begin; what is longer is cut."""
    length = math.inf if schedule.duration_s is None else schedule.duration_s  # K01.FR.11
    if profile.kind is ProfileKind.RECURRING and profile.recurrency is not None:
        return min(length, RECURS_EVERY_S[profile.recurrency])  # E16 3.43/3.44
    return length


def _period_at(schedule: ChargingSchedule, offset: int) -> SchedulePeriod | None:
    found: SchedulePeriod | None = None
    for period in schedule.periods:  # K01.FR.12
        if period.start_s <= offset:
            found = period
    return found


def _turns(held: InForce, question: Question, begin: int, end: int) -> Iterator[int]:
    """Yield every moment at which the profile may begin to say something else."""
    profile = held.profile
    if profile.valid_from is not None:
        yield _seconds(profile.valid_from)
    if profile.valid_to is not None:
        yield _seconds(profile.valid_to)
    schedule = profile.schedules[0]
    first = _begin(held, schedule, question)
    if first is None:
        return
    length = _length(profile, schedule)
    offsets = [period.start_s for period in schedule.periods if period.start_s < length]
    if length != math.inf:
        offsets.append(int(length))
    every: int | None = None
    if profile.kind is ProfileKind.RECURRING and profile.recurrency is not None:
        every = RECURS_EVERY_S[profile.recurrency]
    at = first if every is None else first + max(0, (begin - first) // every) * every
    while at < end:
        yield from (at + offset for offset in (0, *offsets))
        if every is None:
            return
        at += every


def _least(limits: Sequence[_Limit | None]) -> _Limit | None:
    known = [limit for limit in limits if limit is not None]
    return min(known, key=lambda limit: limit.power_w, default=None)


def _seconds(at: datetime) -> int:
    return math.floor(at.timestamp())
