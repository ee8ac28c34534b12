"""What a request as somebody wrote it must not say, and how its times are worded. Pure.

The encoders keep these rules by themselves. Which values variables may take is a matter of
`configuration_rules`; shapes are the schema's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from chargehub.gateway.fields import Fields
from chargehub.gateway.translation import Payload
from chargehub.kit.datetimes import format_datetime, parse_datetime
from chargehub.ocpp import OcppVersion
from chargehub.ocpp.frames import VENDOR_FIELDS

_EXTERNAL = "ChargingStationExternalConstraints"
# RFC 3339 with a fraction too fine or with an offset: what Python, Java and others write.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_WORDED = re.compile(r"[^tz]{19}(\.\d{1,3})?Z", re.ASCII)
_DEPTH_MAX = 16
"""Deeper than any message of ours; the schema refuses what goes on."""

_Rule = Callable[[Fields], str | None]


def refused_request(version: OcppVersion, action: str, payload: Payload) -> str | None:
    """Return why no CSMS may send this request, whoever words it."""
    rule = (_RULES_1_6 if version is OcppVersion.V16 else _RULES_2_X).get(action)
    return None if rule is None else rule(Fields(payload))


def with_wire_times(payload: Payload) -> Payload:
    """Word date-times as we send all of them: at most three digits of a fraction, and Z (2.x 3.1).

    What vendors put into their fields stays as it is.
    """
    worded: Payload = _with_wire_times(payload, _DEPTH_MAX)
    return worded


def _with_wire_times(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        if _MOMENT.fullmatch(value) is None or _WORDED.fullmatch(value) is not None:
            return value
        read = parse_datetime(value)
        return value if read is None else format_datetime(read.at)
    if depth and isinstance(value, dict):
        return {
            key: item if key in VENDOR_FIELDS else _with_wire_times(item, depth - 1)
            for key, item in value.items()
        }
    if depth and isinstance(value, list):
        return [_with_wire_times(item, depth - 1) for item in value]
    return value


def _start(rule: str) -> _Rule:
    def refused(request: Fields) -> str | None:
        profile = request.child("chargingProfile")
        if not request.has("chargingProfile"):
            return None
        if profile.raw("chargingProfilePurpose") != "TxProfile" or profile.has("transactionId"):
            return f"a start takes a TxProfile without transactionId ({rule})"
        return None

    return refused


def _set_profile(request: Fields) -> str | None:
    profile = request.child("chargingProfile")
    purpose = profile.raw("chargingProfilePurpose")
    if purpose == _EXTERNAL:
        return f"{_EXTERNAL} is not ours to set (K01.FR.22)"
    if purpose == "TxProfile" and not profile.has("transactionId"):
        return "a TxProfile names its transaction (K01.FR.03)"
    return _misplaced(purpose, request.raw("evseId"), "ChargingStationMaxProfile")


def _misplaced(purpose: Any, place: Any, station_max: str) -> str | None:
    if purpose == station_max and place != 0:
        return f"{station_max} is for the station as a whole (16 3.13.1)"
    if purpose == "TxProfile" and place == 0:
        return "a TxProfile is for one EVSE (16 3.13.1, K01.FR.16)"
    return None


def _set_profile_1_6(request: Fields) -> str | None:
    profile = request.child("csChargingProfiles")
    purpose = profile.raw("chargingProfilePurpose")
    return _misplaced(purpose, request.raw("connectorId"), "ChargePointMaxProfile")


def _clear_profiles(request: Fields) -> str | None:
    criteria = request.child("chargingProfileCriteria")
    if criteria.raw("chargingProfilePurpose") == _EXTERNAL:
        return f"{_EXTERNAL} is not ours to clear (K10.FR.06)"
    names = ("stackLevel", "evseId", "chargingProfilePurpose")
    if request.has("chargingProfileId") or any(criteria.has(name) for name in names):
        return None
    return "a clear needs an id or a criterion (K10.FR.02)"


def _get_profiles(request: Fields) -> str | None:
    criteria = request.child("chargingProfile")
    names = ("stackLevel", "chargingProfilePurpose")
    lists = ("chargingProfileId", "chargingLimitSource")
    if any(criteria.has(name) for name in names) or any(criteria.raw(name) for name in lists):
        return None
    return "a question for profiles needs an id or a criterion (K09.FR.03)"


def _trigger(request: Fields) -> str | None:
    if request.raw("requestedMessage") != "StatusNotification":
        return None
    if request.child("evse").has("connectorId"):
        return None
    return "a status is that of one connector (F06.FR.13)"


_RULES_1_6: Mapping[str, _Rule] = {
    "RemoteStartTransaction": _start("E16 3.41"),
    "SetChargingProfile": _set_profile_1_6,
}
_RULES_2_X: Mapping[str, _Rule] = {
    "ClearChargingProfile": _clear_profiles,
    "GetChargingProfiles": _get_profiles,
    "RequestStartTransaction": _start("F01.FR.09/11"),
    "SetChargingProfile": _set_profile,
    "TriggerMessage": _trigger,
}
