"""What stations of a model and firmware were seen to do with profiles, and what follows. Pure.

Accepted is not obeyed: what a station answers and what its own composite schedule then shows are
counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chargehub.kit.errors import Conflict
from chargehub.smart_charging.composite import CompositeSchedule
from chargehub.stations.profiles import ChargingProfile, ProfilePurpose, RateUnit

REFUSALS = 3
"""A purpose, unit and level refused that often and never accepted is not tried again unasked."""
TOLERANCE = 0.02
"""A station may round: its limit counts as ours up to this share above it."""
GRACE_S = 2
"""By so much a station's limit may begin or end apart from ours: it too counts in whole seconds."""


class ProfileNotObeyed(Conflict):
    """Stations of this model and firmware do not take such a profile; `force` sends it anyway."""

    code = "charging-profile-not-obeyed"


class Seen(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SUPPORTED = "not_supported"
    OBEYED = "obeyed"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Observation:
    """How often stations of one model and firmware did what with one kind of profile."""

    purpose: ProfilePurpose
    unit: RateUnit
    stack_level: int
    accepted: int = 0
    rejected: int = 0
    not_supported: int = 0
    obeyed: int = 0
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    refusal: str | None = None
    warnings: tuple[str, ...] = ()


def judge(observations: Sequence[Observation], profile: ChargingProfile) -> Verdict:
    """Say what earlier stations of the same kind let us expect of this profile."""
    accepted = any(seen.accepted for seen in observations)
    if not accepted and any(seen.not_supported for seen in observations):
        return Verdict(refusal="These stations said that they support no charging profiles.")
    unit = profile.schedules[0].unit
    same = [
        seen
        for seen in observations
        if (seen.purpose, seen.unit, seen.stack_level)
        == (profile.purpose, unit, profile.stack_level)
    ]
    for seen in same:
        what = f"{profile.purpose} in {unit} at stack level {profile.stack_level}"
        if not seen.accepted and (seen.not_supported or seen.rejected >= REFUSALS):
            refusals = seen.rejected + seen.not_supported
            hint = _hint(observations, profile.purpose)
            return Verdict(refusal=f"{what} was refused {refusals} times, never accepted.{hint}")
        if seen.ignored and not seen.obeyed:
            return Verdict(warnings=(f"{what} was accepted and then ignored.",))
    return Verdict()


def _hint(observations: Iterable[Observation], purpose: ProfilePurpose) -> str:
    taken = [
        f"{seen.unit} at {seen.stack_level}"
        for seen in observations
        if seen.purpose is purpose and seen.accepted
    ]
    return f" Accepted were: {', '.join(taken)}." if taken else ""


def compare(ours: CompositeSchedule, theirs: CompositeSchedule, rating_w: float) -> Seen | None:
    """Say whether a station's own composite schedule keeps to ours; None: there is nothing to keep.

    Both in W. It may be lower: stations have limits of their own. `rating_w` is what the station
    can give at most, so a limit above it says nothing. Its schedule begins when its clock says so:
    what lies before its begin or after its end is not compared.
    """
    if not theirs.periods:
        return None
    begin, end = theirs.periods[0].start_s, theirs.duration_s
    turns = {period.start_s for composite in (ours, theirs) for period in composite.periods}
    moments = {turn + after for turn in turns for after in (0, GRACE_S + 1)}
    binding = []
    for at in moments:
        limits = [ours.limit_at(max(0, at + off)) for off in (-GRACE_S, 0, GRACE_S)]
        known = [limit for limit in limits if limit is not None and limit < rating_w]
        if begin <= at < end and len(known) == len(limits):
            its = theirs.limit_at(at)
            binding.append(exceeds(rating_w if its is None else its, max(known)))
    if not binding:
        return None
    return Seen.IGNORED if any(binding) else Seen.OBEYED


def exceeds(power_w: float, limit_w: float) -> bool:
    """Say whether so much is more than the limit, by more than rounding makes it."""
    return power_w > limit_w * (1 + TOLERANCE) + 1
