"""Charging profiles in OCPP 1.6: rows for its translator's tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chargehub.gateway.charging_profiles import (
    encode_profile_head,
    encode_schedule,
    read_composite,
)
from chargehub.gateway.fields import MAX_INT31, Fields
from chargehub.gateway.translation import Context, Encoder, Payload, Request
from chargehub.stations.commands import (
    ClearChargingProfile,
    GetCompositeSchedule,
    InvalidCommand,
    SetChargingProfile,
)
from chargehub.stations.profiles import ChargingProfile, ProfilePurpose, ReportedSchedule

PURPOSES = {
    ProfilePurpose.STATION_MAX: "ChargePointMaxProfile",
    ProfilePurpose.TX_DEFAULT: "TxDefaultProfile",
    ProfilePurpose.TX: "TxProfile",
}


def encode_profile(profile: ChargingProfile) -> Payload:
    if profile.purpose not in PURPOSES:
        raise InvalidCommand(f"Nobody may set a {profile.purpose.value} on this station")
    if len(profile.schedules) != 1:
        raise InvalidCommand("This station's protocol takes one schedule in a profile")
    payload = {
        "chargingProfileId": profile.id,
        **encode_profile_head(profile, PURPOSES),
        "chargingSchedule": encode_schedule(profile.schedules[0]),
    }
    if profile.transaction_ref is not None:
        payload["transactionId"] = _transaction_id(profile.transaction_ref)
    return payload


def _transaction_id(ref: str) -> int:
    if not ref.isdecimal() or len(ref) > 10 or int(ref) > MAX_INT31:
        raise InvalidCommand("This station knows its transactions by positive 31-bit numbers")
    return int(ref)


def _encode_set(command: SetChargingProfile) -> Request:
    return Request(
        "SetChargingProfile",
        {
            "connectorId": command.evse_no,
            "csChargingProfiles": encode_profile(command.profile),
        },
    )


def _encode_clear(command: ClearChargingProfile) -> Request:
    # E16 3.25/26: an id names one profile; all criteria must match; none clears all.
    if command.profile_id is not None:
        return Request("ClearChargingProfile", {"id": command.profile_id})
    payload: Payload = {}
    if command.evse_no is not None:
        payload["connectorId"] = command.evse_no
    if command.purpose is not None:
        if command.purpose not in PURPOSES:
            raise InvalidCommand(f"This station knows no {command.purpose.value}")
        payload["chargingProfilePurpose"] = PURPOSES[command.purpose]
    if command.stack_level is not None:
        payload["stackLevel"] = command.stack_level
    return Request("ClearChargingProfile", payload)


def _encode_composite(command: GetCompositeSchedule) -> Request:
    payload: Payload = {"connectorId": command.evse_no, "duration": command.duration_s}
    if command.unit is not None:
        payload["chargingRateUnit"] = command.unit.value
    return Request("GetCompositeSchedule", payload)


def _read_composite(payload: Payload, context: Context) -> ReportedSchedule | None:
    fields = Fields(payload)
    return read_composite(fields, fields.child("chargingSchedule"), "connectorId", context.asked)


ENCODERS: Mapping[type, Encoder] = {
    SetChargingProfile: _encode_set,
    ClearChargingProfile: _encode_clear,
    GetCompositeSchedule: _encode_composite,
}
TOLD: Mapping[type, Callable[[Payload, Context], Any]] = {GetCompositeSchedule: _read_composite}
