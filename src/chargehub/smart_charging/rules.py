"""What a charging profile must be before it is sent, and which installed ones it meets. Pure.

Every broken rule is named by its requirement: K.. of OCPP 2.x part 2, "16 .." a section of 1.6,
"E16 .." its errata. What a model of station was seen to obey is judged in `capabilities`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from chargehub.kit.errors import Conflict, InvalidInput
from chargehub.stations.commands import ClearChargingProfile
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
)

MAX_SCHEDULES = 3  # K15.FR.07
TOLERANCE_WIRE = 1e-9


class InvalidChargingProfile(InvalidInput):
    """The charging profile breaks a rule; `broken_rules` names each."""

    code = "invalid-charging-profile"


class ChargingProfileClash(Conflict):
    """Another profile has this purpose and stack level, or this id; `clashes_with` names it."""

    code = "charging-profile-clash"


@dataclass(frozen=True, slots=True)
class BrokenRule:
    rule: str
    """The requirement's id."""
    detail: str


@dataclass(frozen=True, slots=True)
class StationLimits:
    """What a station reported that it can take; None or empty where it said nothing."""

    max_stack_level: int | None = None
    max_periods: int | None = None
    max_profiles: int | None = None
    units: frozenset[RateUnit] = frozenset()
    max_external_id: int | None = None
    """Ids up to this one are the station's own, for limits set by others."""
    keeps_tx_profiles: bool = False
    """TxProfiles survive a reset of the station (B13.FR.31)."""
    none_taken: bool = False
    """Smart charging is not there, or is switched off."""


@dataclass(frozen=True, slots=True)
class Held:
    """A profile that a station holds, as we believe."""

    row_id: int
    evse_no: int
    profile: ChargingProfile
    state: str
    transaction_id: int | None = None
    set_by: str | None = None
    """None where it was only ever reported."""


@dataclass(frozen=True, slots=True)
class ToldNeeds:
    max_schedule_tuples: int | None
    """How many periods the car takes in a schedule."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a profile's rules ask of its surroundings."""

    limits: StationLimits
    held: Sequence[Held] = ()
    needs: ToldNeeds | None = None
    """What the car of this transaction has told of its needs; None before (K01.FR.34)."""
    at_start: bool = False
    """The profile goes with a remote start, before there is a transaction (E16 3.41)."""


def broken_rules(
    profile: ChargingProfile, evse_no: int, situation: Situation
) -> tuple[BrokenRule, ...]:
    """Return every rule that the profile breaks at this EVSE."""
    return tuple(_broken(profile, evse_no, situation))


def never_holding(profile: ChargingProfile, now: datetime) -> Iterator[str]:
    """Say what of the profile can never hold, though no rule forbids it."""
    if profile.valid_to is not None and profile.valid_to <= now:
        yield "The profile is over: its valid_to is past."
    if any(
        schedule.duration_s is not None and schedule.periods[-1].start_s >= schedule.duration_s
        for schedule in profile.schedules
    ):
        yield "A period begins when its schedule's duration is over."


def _broken(profile: ChargingProfile, evse_no: int, situation: Situation) -> Iterator[BrokenRule]:
    yield from _broken_by_purpose(profile, evse_no, at_start=situation.at_start)
    yield from _broken_by_kind(profile)
    for schedule in profile.schedules:
        yield from _broken_by_schedule(schedule, profile.kind)
    yield from _broken_by_number_of_schedules(profile, situation)
    yield from _beyond_limits(profile, situation)


def _broken_by_purpose(
    profile: ChargingProfile, evse_no: int, *, at_start: bool
) -> Iterator[BrokenRule]:
    match profile.purpose:
        case ProfilePurpose.EXTERNAL:
            yield BrokenRule("K01.FR.22", "External constraints are not ours to set.")
        case ProfilePurpose.STATION_MAX if evse_no != 0:
            yield BrokenRule("16 3.13.1", "The station's maximum is set on EVSE 0 only.")
        case ProfilePurpose.TX if evse_no == 0 and not at_start:
            yield BrokenRule("K01.FR.16", "A TxProfile is for one EVSE, not for EVSE 0.")
        case _:
            pass
    has_transaction = profile.transaction_ref is not None
    if profile.purpose is not ProfilePurpose.TX:
        if at_start:
            yield BrokenRule("K05.FR.02", "A remote start takes a TxProfile only.")
        if has_transaction:
            yield BrokenRule("K01.FR.03", "Only a TxProfile belongs to a transaction.")
    elif at_start and has_transaction:
        yield BrokenRule("E16 3.41", "A remote start's profile names no transaction.")
    elif not at_start and not has_transaction:
        yield BrokenRule("K01.FR.03", "A TxProfile needs the transaction it is for.")


def _broken_by_kind(profile: ChargingProfile) -> Iterator[BrokenRule]:
    recurring = profile.kind is ProfileKind.RECURRING
    if profile.purpose is ProfilePurpose.STATION_MAX and profile.kind is ProfileKind.RELATIVE:
        yield BrokenRule("K01.FR.38", "The station's maximum has no begin to be Relative to.")
    if recurring and profile.recurrency is None:
        yield BrokenRule("16 7.8", "A Recurring profile says whether Daily or Weekly.")
    if not recurring and profile.recurrency is not None:
        yield BrokenRule("16 7.8", "Only a Recurring profile has a recurrency.")
    if profile.valid_from and profile.valid_to and profile.valid_from >= profile.valid_to:
        yield BrokenRule("K01.FR.37", "valid_to must come after valid_from.")


def _broken_by_schedule(schedule: ChargingSchedule, kind: ProfileKind) -> Iterator[BrokenRule]:
    if kind is ProfileKind.RELATIVE:
        if schedule.starts_at is not None:
            yield BrokenRule("K01.FR.41", "A Relative schedule has no start of its own.")
    elif schedule.starts_at is None:
        yield BrokenRule("K01.FR.40", f"An {kind.value} schedule needs its start.")
    if not schedule.periods:
        yield BrokenRule("K01.FR.31", "A schedule needs a period.")
        return
    starts = [period.start_s for period in schedule.periods]
    if starts[0] != 0:
        yield BrokenRule("K01.FR.31", "The first period starts at 0.")
    if any(later <= earlier for earlier, later in pairwise(starts)):
        yield BrokenRule("K01.FR.35", "Periods are ordered by their start.")
    if schedule.duration_s is not None and schedule.duration_s <= 0:
        yield BrokenRule("K01.FR.11", "A duration is longer than 0.")
    yield from _broken_by_rates(schedule)


def _broken_by_rates(schedule: ChargingSchedule) -> Iterator[BrokenRule]:
    limits = [period.limit for period in schedule.periods]
    if any(limit is None or limit < 0 for limit in limits):
        yield BrokenRule("16 7.14", "A limit is 0 or more.")
    rates = [rate for rate in (*limits, schedule.min_charging_rate) if rate is not None]
    if any(abs(rate * 10 - round(rate * 10)) > TOLERANCE_WIRE * max(1.0, rate) for rate in rates):
        yield BrokenRule("16 7.14", "A limit has one decimal at most.")
    if any(
        period.phases is not None and not 1 <= period.phases <= 3 for period in schedule.periods
    ):
        yield BrokenRule("16 7.14", "There are 1 to 3 phases.")


def _broken_by_number_of_schedules(
    profile: ChargingProfile, situation: Situation
) -> Iterator[BrokenRule]:
    count = len(profile.schedules)
    if count == 0:
        yield BrokenRule("K01.FR.34", "A profile has a schedule.")
    if count > 1 and situation.needs is None:
        yield BrokenRule("K01.FR.34", "One schedule only, until the car has told its needs.")
    if count > MAX_SCHEDULES:
        yield BrokenRule("K15.FR.07", f"At most {MAX_SCHEDULES} schedules.")
    if len({schedule.id for schedule in profile.schedules}) < count:
        yield BrokenRule("K15.FR.07", "Each schedule has an id of its own.")
    tuples = None if situation.needs is None else situation.needs.max_schedule_tuples
    if profile.purpose is ProfilePurpose.TX and tuples is not None:
        longest = max((len(schedule.periods) for schedule in profile.schedules), default=0)
        if longest > tuples:
            yield BrokenRule("K15.FR.07", f"The car takes {tuples} periods in a schedule.")


def _beyond_limits(profile: ChargingProfile, situation: Situation) -> Iterator[BrokenRule]:
    limits = situation.limits
    if profile.stack_level < 0:
        yield BrokenRule("16 7.8", "A stack level is 0 or more.")
    if limits.max_stack_level is not None and profile.stack_level > limits.max_stack_level:
        yield BrokenRule("16 9.4.1", f"The station has stack levels 0 to {limits.max_stack_level}.")
    longest = max((len(schedule.periods) for schedule in profile.schedules), default=0)
    if limits.max_periods is not None and longest > limits.max_periods:
        yield BrokenRule("16 9.4.3", f"The station takes {limits.max_periods} periods.")
    for unit in sorted({schedule.unit for schedule in profile.schedules}):
        if limits.units and unit not in limits.units:
            known = ", ".join(sorted(limits.units))
            yield BrokenRule("K01.FR.26", f"The station takes limits in {known}, not in {unit}.")
    others = {held.profile.id for held in situation.held} - {profile.id}
    if limits.max_profiles is not None and len(others) >= limits.max_profiles:
        yield BrokenRule("16 9.4.5", f"The station holds {limits.max_profiles} profiles.")
    if limits.max_external_id is not None and profile.id <= limits.max_external_id:
        yield BrokenRule("K01.FR.80", f"Ids up to {limits.max_external_id} are the station's own.")


def clashes(
    profile: ChargingProfile,
    evse_no: int,
    transaction_id: int | None,
    held: Collection[Held],
) -> tuple[Held, ...]:
    """Return the held profiles that may not stand beside this one (K01.FR.06/39/52/53).

    Some stations would silently replace them (16 3.13.2), others refuse. Validity does not matter:
    what overlaps in no moment today may do so after the next change. A profile of the same id would
    be replaced (K01.FR.05), so it is in the way unless it stands at this very place.
    """

    def in_the_way(other: Held) -> bool:
        if other.profile.id == profile.id:
            return not can_replace(profile, evse_no, transaction_id, other)
        return _same_level(profile, other) and _meets(profile, evse_no, transaction_id, other)

    return tuple(other for other in held if in_the_way(other))


def can_replace(
    profile: ChargingProfile, evse_no: int, transaction_id: int | None, other: Held
) -> bool:
    """Say whether this profile may take the other's id: what the other limits, it limits too."""
    if not _same_level(profile, other):
        return False
    if profile.purpose is ProfilePurpose.TX:
        return _meets(profile, evse_no, transaction_id, other)
    # Only at the same EVSE: a default moved from EVSE 0 to one would leave the rest unlimited.
    return other.evse_no == evse_no


def _same_level(profile: ChargingProfile, other: Held) -> bool:
    its = other.profile
    return its.purpose is profile.purpose and its.stack_level == profile.stack_level


def _meets(profile: ChargingProfile, evse_no: int, transaction_id: int | None, other: Held) -> bool:
    match profile.purpose:
        case ProfilePurpose.TX:
            return transaction_id is not None and other.transaction_id == transaction_id
        case ProfilePurpose.TX_DEFAULT:
            # On EVSE 0 it stands for every EVSE (K01.FR.52/53).
            return other.evse_no == evse_no or 0 in {other.evse_no, evse_no}
        case _:
            return other.evse_no == evse_no


def is_set_again(profile: ChargingProfile, now: datetime) -> bool:
    """Say whether a profile that its station has forgotten is still wanted there.

    That of a transaction is set again when the transaction is resumed (B13.FR.31).
    """
    if profile.purpose not in {ProfilePurpose.STATION_MAX, ProfilePurpose.TX_DEFAULT}:
        return False
    if profile.valid_to is not None and profile.valid_to <= now:
        return False
    return profile.kind is not ProfileKind.ABSOLUTE or any(
        schedule.starts_at is None
        or schedule.duration_s is None
        or schedule.starts_at + timedelta(seconds=schedule.duration_s) > now
        for schedule in profile.schedules
    )


def is_cleared_by(command: ClearChargingProfile, held: Held) -> bool:
    """Say whether a clear means this profile: an id alone counts, else all criteria (E16 3.25)."""
    profile = held.profile
    if profile.purpose is ProfilePurpose.EXTERNAL:
        return False  # K10.FR.03/04: never by us.
    if command.profile_id is not None:
        return profile.id == command.profile_id
    return (
        command.evse_no in {None, held.evse_no}
        and command.purpose in {None, profile.purpose}
        and command.stack_level in {None, profile.stack_level}
    )


_UNITS = {
    "A": RateUnit.A,
    "CURRENT": RateUnit.A,  # 16 9.4.2
    "W": RateUnit.W,
    "POWER": RateUnit.W,
}

LIMIT_PATHS = {
    "max_stack_level": "SmartChargingCtrlr.ProfileStackLevel",
    "max_periods": "SmartChargingCtrlr.PeriodsPerSchedule",
    "max_profiles": "MaxChargingProfilesInstalled",
    "max_external_id": "SmartChargingCtrlr.MaxExternalConstraintsId",
}
ENTRIES_PATH = "SmartChargingCtrlr.Entries/ChargingProfiles"
"""Its value is how many profiles are installed; what it can be at most is the station's limit."""
SWITCH_PATHS = ("SmartChargingCtrlr.Available", "SmartChargingCtrlr.Enabled")
PERSISTENCE_PATH = "SmartChargingCtrlr.ChargingProfilePersistence/TxProfile"
UNIT_PATHS = ("ChargingScheduleAllowedChargingRateUnit", "SmartChargingCtrlr.RateUnit")
"""As `station_variables.path` names them; the first is a configuration key with its own words."""


def read_limits(
    variables: Mapping[str, str | None], entries_max: float | None = None
) -> StationLimits:
    """Read a station's limits from its variables: Component.Variable in lower case to value.

    `entries_max` is the most that its count of profiles can be.
    """
    numbers = {name: _whole(variables.get(path.lower())) for name, path in LIMIT_PATHS.items()}
    words = ",".join(variables.get(path.lower()) or "" for path in UNIT_PATHS).split(",")
    units = {_UNITS[word.strip().upper()] for word in words if word.strip().upper() in _UNITS}
    if entries_max is not None and numbers["max_profiles"] is None:
        numbers["max_profiles"] = _whole(f"{entries_max:.0f}")
    return StationLimits(
        units=frozenset(units),
        keeps_tx_profiles=_word(variables, PERSISTENCE_PATH) == "true",
        none_taken=any(_word(variables, path) == "false" for path in SWITCH_PATHS),
        **numbers,
    )


def _word(variables: Mapping[str, str | None], path: str) -> str:
    return (variables.get(path.lower()) or "").strip().lower()


def _whole(text: str | None) -> int | None:
    cleaned = (text or "").strip()
    return int(cleaned) if cleaned.isdecimal() and len(cleaned) < 10 else None
