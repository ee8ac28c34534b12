"""Charging profiles in OCPP 2.0.1: rows for its translator's tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chargehub.gateway.charging_profiles import (
    encode_profile_head,
    encode_schedule,
    read_composite,
    read_moment,
    read_profile,
    read_schedule,
)
from chargehub.gateway.fields import MAX_INT16, Fields, flagged_notice
from chargehub.gateway.messages import answer_nothing
from chargehub.gateway.translation import (
    Context,
    Encoder,
    InboundMessage,
    Payload,
    Report,
    Request,
    Untranslatable,
)
from chargehub.kit.clean import clean_json
from chargehub.smart_charging.reports import (
    EvNeedsReported,
    EvScheduleReported,
    LimitCleared,
    LimitReported,
    NeedsStatus,
    ProfilesReported,
)
from chargehub.stations.commands import (
    ClearChargingProfile,
    GetChargingProfiles,
    GetCompositeSchedule,
    InvalidCommand,
    SetChargingProfile,
)
from chargehub.stations.profiles import (
    ChargingProfile,
    LimitSource,
    ProfilePurpose,
    ReportedSchedule,
)

PURPOSES = {purpose: purpose.value for purpose in ProfilePurpose}
_PURPOSES = {purpose.value: purpose for purpose in ProfilePurpose}


# --- What we ask ----------------------------------------------------------------------------------


def encode_profile(profile: ChargingProfile) -> Payload:
    if profile.purpose is ProfilePurpose.EXTERNAL:
        raise InvalidCommand(f"Nobody may set a {profile.purpose.value}")  # K01.FR.22
    payload = {
        "id": profile.id,
        **encode_profile_head(profile, PURPOSES),
        "chargingSchedule": [
            {"id": schedule.id, **encode_schedule(schedule)} for schedule in profile.schedules
        ],
    }
    if profile.transaction_ref is not None:
        payload["transactionId"] = profile.transaction_ref
    return payload


def _encode_set(command: SetChargingProfile) -> Request:
    profile = encode_profile(command.profile)
    return Request("SetChargingProfile", {"evseId": command.evse_no, "chargingProfile": profile})


def _encode_clear(command: ClearChargingProfile) -> Request:
    if command.profile_id is not None:
        return Request("ClearChargingProfile", {"chargingProfileId": command.profile_id})
    criteria: Payload = {}
    if command.evse_no is not None:
        criteria["evseId"] = command.evse_no
    if command.purpose is not None:
        if command.purpose is ProfilePurpose.EXTERNAL:  # K10.FR.06
            raise InvalidCommand(f"Nobody may clear a {command.purpose.value}")
        criteria["chargingProfilePurpose"] = command.purpose.value
    if command.stack_level is not None:
        criteria["stackLevel"] = command.stack_level
    if not criteria:  # K10.FR.02
        raise InvalidCommand("This station clears profiles by id or by criteria only; name one")
    return Request("ClearChargingProfile", {"chargingProfileCriteria": criteria})


def _encode_get(command: GetChargingProfiles) -> Request:
    # K09.FR.03: a criterion must be there; every source is one that leaves nothing out.
    criteria = {"chargingLimitSource": [source.value for source in LimitSource]}
    payload: Payload = {"requestId": command.request_id, "chargingProfile": criteria}
    if command.evse_no is not None:
        payload["evseId"] = command.evse_no
    return Request("GetChargingProfiles", payload)


def _encode_composite(command: GetCompositeSchedule) -> Request:
    payload: Payload = {"evseId": command.evse_no, "duration": command.duration_s}
    if command.unit is not None:
        payload["chargingRateUnit"] = command.unit.value
    return Request("GetCompositeSchedule", payload)


def _read_composite(payload: Payload, context: Context) -> ReportedSchedule | None:
    schedule = Fields(payload).child("schedule")
    return read_composite(schedule, schedule, "evseId", context.asked)


ENCODERS: Mapping[type, Encoder] = {
    SetChargingProfile: _encode_set,
    ClearChargingProfile: _encode_clear,
    GetChargingProfiles: _encode_get,
    GetCompositeSchedule: _encode_composite,
}
TOLD: Mapping[type, Callable[[Payload, Context], Any]] = {GetCompositeSchedule: _read_composite}


# --- What stations tell ---------------------------------------------------------------------------


def _read_profiles(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    evse_no = fields.whole("evseId", high=MAX_INT16)
    if evse_no is None:
        raise Untranslatable("a report of profiles needs an EVSE")
    profiles = (read_profile(item, _PURPOSES) for item in fields.children("chargingProfile"))
    return (
        ProfilesReported(
            station_id=context.station_id,
            received_at=context.received_at,
            request_id=fields.whole("requestId"),
            evse_no=evse_no,
            source=fields.filled("chargingLimitSource", 20) or LimitSource.OTHER.value,
            profiles=tuple(profile for profile in profiles if profile is not None),
            more=fields.truth("tbc"),
        ),
        *flagged_notice("ReportChargingProfiles", payload, context),
    )


def _read_limit(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    limit = fields.child("chargingLimit")
    schedules = (read_schedule(item) for item in fields.children("chargingSchedule"))
    return (
        LimitReported(
            station_id=context.station_id,
            received_at=context.received_at,
            evse_no=fields.whole("evseId", high=MAX_INT16) or 0,
            source=limit.filled("chargingLimitSource", 20) or LimitSource.OTHER.value,
            grid_critical=limit.truth("isGridCritical"),
            schedules=tuple(schedule for schedule in schedules if schedule is not None),
        ),
        *flagged_notice("NotifyChargingLimit", payload, context),
    )


def _read_cleared(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    return (
        LimitCleared(
            station_id=context.station_id,
            received_at=context.received_at,
            evse_no=fields.whole("evseId", high=MAX_INT16) or 0,
            source=fields.filled("chargingLimitSource", 20) or LimitSource.OTHER.value,
        ),
    )


def _read_needs(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    needs = fields.child("chargingNeeds")
    evse_no = fields.whole("evseId", high=MAX_INT16)
    if evse_no is None:
        raise Untranslatable("a car's needs are those at an EVSE")
    kept = clean_json(fields.raw("chargingNeeds"))
    return (
        EvNeedsReported(
            station_id=context.station_id,
            received_at=context.received_at,
            evse_no=evse_no,
            max_schedule_tuples=fields.whole("maxScheduleTuples", low=1),
            needs=kept if isinstance(kept, dict) else {},
            departs_at=read_moment(needs, "departureTime"),
        ),
    )


def _answer_needs(replies: Sequence[Any], _now: datetime) -> Payload:
    status = replies[0] if replies else NeedsStatus.REJECTED
    return {"status": status.value}


def _read_ev_schedule(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    evse_no = fields.whole("evseId", high=MAX_INT16)
    schedule = read_schedule(fields.child("chargingSchedule"))
    if evse_no is None or schedule is None:
        raise Untranslatable("a car's schedule needs an EVSE and periods")
    time_base = read_moment(fields, "timeBase") or context.received_at
    return (
        EvScheduleReported(context.station_id, context.received_at, evse_no, time_base, schedule),
    )


def _answer_ev_schedule(replies: Sequence[Any], _now: datetime) -> Payload:
    return {"status": "Accepted" if replies and replies[0] is True else "Rejected"}


INBOUND = {
    "ClearedChargingLimit": InboundMessage(_read_cleared, answer_nothing),
    "NotifyChargingLimit": InboundMessage(_read_limit, answer_nothing),
    "NotifyEVChargingNeeds": InboundMessage(_read_needs, _answer_needs),
    "NotifyEVChargingSchedule": InboundMessage(_read_ev_schedule, _answer_ev_schedule),
    "ReportChargingProfiles": InboundMessage(_read_profiles, answer_nothing),
}
