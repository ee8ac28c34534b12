"""What charging profiles have in common on the wire of all OCPP versions. Pure.

Which message carries one, and the words that differ, are in `profiles_v16` and `profiles_v201`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from chargehub.gateway.fields import Fields
from chargehub.gateway.translation import Payload
from chargehub.kit.datetimes import format_datetime, parse_datetime
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    ReportedSchedule,
    SchedulePeriod,
)

HIGHEST_RATE = 1e12
"""What is higher limits nothing and is kept as this."""
NO_LIMIT = -1
"""What some stations calculate where nothing limits them."""


def encode_profile_head(
    profile: ChargingProfile, purposes: Mapping[ProfilePurpose, str]
) -> Payload:
    """Return what is the same in every version: all but the id and the schedules."""
    payload: Payload = {
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": purposes[profile.purpose],
        "chargingProfileKind": profile.kind.value,
    }
    if profile.recurrency is not None:
        payload["recurrencyKind"] = profile.recurrency.value
    if profile.valid_from is not None:
        payload["validFrom"] = format_datetime(profile.valid_from)
    if profile.valid_to is not None:
        payload["validTo"] = format_datetime(profile.valid_to)
    return payload


def encode_schedule(schedule: ChargingSchedule) -> Payload:
    """Return a schedule without its id, which the oldest version does not have."""
    payload: Payload = {
        "chargingRateUnit": schedule.unit.value,
        "chargingSchedulePeriod": [_encode_period(period) for period in schedule.periods],
    }
    if schedule.duration_s is not None:
        payload["duration"] = schedule.duration_s
    if schedule.starts_at is not None:
        payload["startSchedule"] = format_datetime(schedule.starts_at)
    if schedule.min_charging_rate is not None:
        payload["minChargingRate"] = schedule.min_charging_rate
    return payload


def _encode_period(period: SchedulePeriod) -> Payload:
    payload: Payload = {"startPeriod": period.start_s, "limit": period.limit}
    if period.phases is not None:
        payload["numberPhases"] = period.phases
    return payload


def read_schedule(fields: Fields) -> ChargingSchedule | None:
    """Read a schedule; None where it says nothing that could be used.

    Field stations answer a limit or a number of phases of -1 for none, and empty lists of periods.
    """
    unit = _UNITS.get(fields.text("chargingRateUnit", 10) or "")
    periods = []
    for item in fields.children("chargingSchedulePeriod"):
        start_s, limit = item.whole("startPeriod"), _number(item.raw("limit"))
        # 2.1 leaves the limit out where a setpoint or a curve rules (ChargingSchedulePeriodType).
        if start_s is None or (limit is None and item.has("limit")):
            return None
        phases = item.whole("numberPhases", low=1, high=3)
        at_most = None if limit is None or limit < 0 else limit
        periods.append(SchedulePeriod(start_s, at_most, phases))
    if unit is None or not periods:
        return None
    return ChargingSchedule(
        unit=unit,
        periods=tuple(sorted(periods, key=lambda period: period.start_s)),
        starts_at=read_moment(fields, "startSchedule"),
        duration_s=fields.whole("duration"),
        min_charging_rate=_number(fields.raw("minChargingRate")),
        id=fields.whole("id") or 1,
    )


def read_composite(
    head: Fields, said: Fields, place: str, asked: Payload | None
) -> ReportedSchedule | None:
    """Read the schedule that a station calculated; None where it answers no question of ours.

    `head` has its start and, under `place`, its EVSE; `said` has its periods; `asked` is our
    request. It is evidence of what a station obeys, so nonsense counts for nothing: another EVSE, a
    start that is no time, a limit that is none.
    """
    schedule = read_schedule(said)
    wanted = Fields(asked or {}).whole(place)
    if schedule is None or (head.has(place) and wanted not in {None, head.whole(place)}):
        return None
    limits = [_number(item.raw("limit")) for item in said.children("chargingSchedulePeriod")]
    if not all(limit in {None, NO_LIMIT} or 0 <= limit < HIGHEST_RATE for limit in limits):
        return None
    begin = (head, "scheduleStart") if head.has("scheduleStart") else (said, "startSchedule")
    starts_at = read_moment(*begin)
    if starts_at is None and begin[0].has(begin[1]):
        return None
    return ReportedSchedule(starts_at, schedule)


def read_profile(fields: Fields, purposes: Mapping[str, ProfilePurpose]) -> ChargingProfile | None:
    """Read a profile that a station reports; None where it cannot be one."""
    profile_id = fields.whole("id", low=-(2**31))
    stack_level = fields.whole("stackLevel")
    purpose = purposes.get(fields.text("chargingProfilePurpose", 50) or "")
    kind = _KINDS.get(fields.text("chargingProfileKind", 20) or "")
    schedules = [
        schedule
        for item in fields.children("chargingSchedule")
        if (schedule := read_schedule(item)) is not None
    ]
    if profile_id is None or stack_level is None or purpose is None or kind is None:
        return None
    if not schedules:
        return None
    return ChargingProfile(
        id=profile_id,
        stack_level=stack_level,
        purpose=purpose,
        kind=kind,
        schedules=tuple(schedules),
        recurrency=_RECURRENCIES.get(fields.text("recurrencyKind", 20) or ""),
        valid_from=read_moment(fields, "validFrom"),
        valid_to=read_moment(fields, "validTo"),
        transaction_ref=fields.filled("transactionId"),
    )


def read_moment(fields: Fields, name: str) -> datetime | None:
    """Read a time that may be years away, unlike those of events; nonsense counts as absent."""
    found = parse_datetime(fields.raw(name))
    return found.at if found is not None and 1970 <= found.at.year <= 2200 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return max(-HIGHEST_RATE, min(number, HIGHEST_RATE)) if math.isfinite(number) else None


_UNITS = {unit.value: unit for unit in RateUnit}
_KINDS = {kind.value: kind for kind in ProfileKind}
_RECURRENCIES = {recurrency.value: recurrency for recurrency in Recurrency}
