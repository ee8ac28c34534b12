"""What no request may say, whoever words it, and how its times leave."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.gateway.raw_requests import refused_request, with_wire_times
from chargehub.ocpp import OcppVersion, schemas_for

V16 = OcppVersion.V16
V2X = (OcppVersion.V201, OcppVersion.V21)
EXTERNAL = "ChargingStationExternalConstraints"

Payload = dict[str, Any]


def profile(version: OcppVersion, purpose: str = "TxProfile", **more: Any) -> Payload:
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1}]}
    of_1_6 = version is V16
    return {
        "chargingProfileId" if of_1_6 else "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule if of_1_6 else [{"id": 1, **schedule}],
        **more,
    }


def start(version: OcppVersion, *purpose: str, **more: Any) -> tuple[str, Payload]:
    with_profile = {"chargingProfile": profile(version, *purpose, **more)} if purpose else {}
    if version is V16:
        return "RemoteStartTransaction", {"idTag": "TAXI", "connectorId": 1, **with_profile}
    token = {"idToken": "TAXI", "type": "ISO14443"}
    payload = {"idToken": token, "evseId": 1, "remoteStartId": 1, **with_profile}
    return "RequestStartTransaction", payload


def refusal(version: OcppVersion, action: str, payload: Payload) -> str | None:
    # The schema has nothing against it, or the rule would not be needed.
    assert schemas_for(version).check_outbound(action, payload) is None
    return refused_request(version, action, payload)


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize(
    ("purpose", "more", "allowed"),
    [
        ((), {}, True),
        (("TxProfile",), {}, True),
        (("TxDefaultProfile",), {}, False),
        (("TxProfile",), {"transactionId": "1"}, False),
    ],
)
def test_statement_74_what_may_go_with_a_start(
    version: OcppVersion, purpose: tuple[str, ...], more: Payload, allowed: bool
) -> None:
    if version is V16 and more:
        more = {"transactionId": 1}
    assert (refusal(version, *start(version, *purpose, **more)) is None) is allowed


SETS: list[tuple[int, str, Payload, str | None]] = [
    (1, "TxProfile", {"transactionId": "T"}, None),
    (0, "TxDefaultProfile", {}, None),
    (0, "ChargingStationMaxProfile", {}, None),
    (1, "ChargingStationMaxProfile", {}, "16 3.13.1"),
    (0, EXTERNAL, {}, "K01.FR.22"),
    (1, "TxProfile", {}, "K01.FR.03"),
    (0, "TxProfile", {"transactionId": "T"}, "K01.FR.16"),
]
SETS_1_6: list[tuple[int, str, Payload, str | None]] = [
    (1, "TxProfile", {}, None),
    (0, "TxDefaultProfile", {}, None),
    (0, "ChargePointMaxProfile", {}, None),
    (2, "ChargePointMaxProfile", {}, "16 3.13.1"),
    (0, "TxProfile", {"transactionId": 1}, "16 3.13.1"),
]


@pytest.mark.parametrize(
    ("version", "place", "purpose", "more", "rule"),
    [(V16, *row) for row in SETS_1_6] + [(version, *row) for version in V2X for row in SETS],
)
def test_statement_80_what_is_never_set(
    version: OcppVersion, place: int, purpose: str, more: Payload, rule: str | None
) -> None:
    told = profile(version, purpose, **more)
    payload = {"evseId": place, "chargingProfile": told}
    if version is V16:
        payload = {"connectorId": place, "csChargingProfiles": told}
    refused = refusal(version, "SetChargingProfile", payload)
    assert refused is None if rule is None else rule in str(refused)


CLEAR, GET = "ClearChargingProfile", "GetChargingProfiles"


@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize(
    ("action", "payload", "rule"),
    [
        (CLEAR, {"chargingProfileId": 0}, None),
        (CLEAR, {"chargingProfileCriteria": {"evseId": 0}}, None),
        (CLEAR, {}, "K10.FR.02"),
        (CLEAR, {"chargingProfileCriteria": {}}, "K10.FR.02"),
        (CLEAR, {"chargingProfileCriteria": {"chargingProfilePurpose": EXTERNAL}}, "K10.FR.06"),
        (GET, {"requestId": 1, "chargingProfile": {"stackLevel": 0}}, None),
        (GET, {"requestId": 1, "chargingProfile": {"chargingProfileId": [1]}}, None),
        (GET, {"requestId": 1, "evseId": 1, "chargingProfile": {}}, "K09.FR.03"),
    ],
)
def test_statement_85_criteria_are_needed(
    version: OcppVersion, action: str, payload: Payload, rule: str | None
) -> None:
    refused = refusal(version, action, payload)
    assert refused is None if rule is None else rule in str(refused)


def test_statement_85_an_empty_clear_clears_all_where_the_version_says_so() -> None:
    assert refusal(V16, CLEAR, {}) is None


@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize(
    ("payload", "allowed"),
    [
        ({"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}, True),
        ({"requestedMessage": "StatusNotification", "evse": {"id": 1}}, False),
        ({"requestedMessage": "StatusNotification"}, False),
        ({"requestedMessage": "Heartbeat"}, True),
    ],
)
def test_statement_77_a_status_is_asked_for_by_connector(
    version: OcppVersion, payload: Payload, allowed: bool
) -> None:
    assert (refusal(version, "TriggerMessage", payload) is None) is allowed


@pytest.mark.parametrize(
    ("text", "worded"),
    [
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z"),
        ("2026-11-23T08:00:00.12Z", "2026-11-23T08:00:00.12Z"),
        ("2026-11-23T08:00:00.123456Z", "2026-11-23T08:00:00.123Z"),
        ("2026-11-23T08:00:00.123456+00:00", "2026-11-23T08:00:00.123Z"),
        ("2026-11-23T16:00:00+08:00", "2026-11-23T08:00:00.000Z"),
        ("2026-11-23t08:00:00z", "2026-11-23T08:00:00.000Z"),
        # What is no date-time at all is the schema's to refuse.
        ("2026-13-23T08:00:00.123456Z", "2026-13-23T08:00:00.123456Z"),
        ("2026-11-23", "2026-11-23"),
    ],
)
def test_statement_39_times_are_worded_as_we_word_them(text: str, worded: str) -> None:
    payload = {"at": text, "deep": [{"at": text}], "data": text, "customData": {"at": text}, "n": 1}
    assert with_wire_times(payload) == payload | {"at": worded, "deep": [{"at": worded}]}


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(
    st.sampled_from(OcppVersion),
    st.sampled_from(sorted({CLEAR, GET, "SetChargingProfile", "TriggerMessage"})),
    st.dictionaries(st.sampled_from(["chargingProfile", "evse", "requestedMessage"]), JSON),
)
def test_any_payload_can_be_judged(version: OcppVersion, action: str, payload: Payload) -> None:
    refused = refused_request(version, action, payload)
    assert refused is None or refused
    assert with_wire_times(payload) == payload
