"""The schemas know every action, and say what is wrong without repeating it."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from chargehub.ocpp import ErrorCode, OcppVersion, schemas_for
from chargehub.ocpp.frames import DESCRIPTION_MAX
from chargehub.ocpp.schemas import read_schema

METER_VALUES: dict[str, Any] = {
    "connectorId": 1,
    "meterValue": [
        {
            "timestamp": "2026-01-01T00:00:00Z",
            "sampledValue": [{"value": "12", "unit": "Wh"}],
        }
    ],
}

STARTED: dict[str, Any] = {
    "eventType": "Started",
    "timestamp": "2026-01-01T00:00:00Z",
    "triggerReason": "Authorized",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "t-1"},
}


@pytest.mark.parametrize(
    ("version", "count"), [(OcppVersion.V16, 39), (OcppVersion.V201, 64), (OcppVersion.V21, 90)]
)
def test_every_action_of_the_version_is_known_and_compiles(
    version: OcppVersion, count: int
) -> None:
    schemas = schemas_for(version)
    assert len(schemas.actions) == count
    for action in schemas.actions:
        schemas.check_request(action, {})
        schemas.check_response(action, {})


def _changed(payload: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(payload)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    if value is KeyError:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "code", "description"),
    [
        (
            ["connectorId"],
            "1",
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "connectorId: must be of type integer",
        ),
        (
            ["connectorId"],
            True,
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "connectorId: must be of type integer",
        ),
        (
            ["connectorId"],
            KeyError,
            ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "payload: connectorId is missing",
        ),
        (
            ["meterValue"],
            [],
            ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "meterValue: must have 1 or more items",
        ),
        (
            ["meterValue", 0, "sampledValue", 0, "unit"],
            "Hz",
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            (
                "meterValue/0/sampledValue/0/unit: must be one of Wh, kWh, varh, kvarh, W, kW, VA,"
                " kVA, var, kvar, A, V, K, Celcius, Celsius, Fahrenheit, Percent, Hertz"
            ),
        ),
        (
            ["meterValue", 0, "vendor"],
            1,
            ErrorCode.FORMAT_VIOLATION,
            "meterValue/0: vendor is not a known property",
        ),
    ],
)
def test_a_violation_names_the_place_and_the_rule(
    path: list[Any], value: Any, code: ErrorCode, description: str
) -> None:
    payload = _changed(METER_VALUES, path, value)
    violation = schemas_for(OcppVersion.V16).check_request("MeterValues", payload)
    assert violation == (code, description)


def test_too_long_a_text_is_a_property_violation_that_is_not_repeated() -> None:
    payload = _changed(STARTED, ["transactionInfo", "transactionId"], "x" * 5000)
    violation = schemas_for(OcppVersion.V201).check_request("TransactionEvent", payload)
    assert violation == (
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        "transactionInfo/transactionId: violates maxLength",
    )


def test_statement_27_the_description_is_bounded_whatever_the_names() -> None:
    payload = _changed(STARTED, ["x" * 5000], 1)
    violation = schemas_for(OcppVersion.V201).check_request("TransactionEvent", payload)
    assert violation is not None
    assert len(violation.description) <= DESCRIPTION_MAX


@pytest.mark.parametrize("number", [1.0, 1e30])
def test_a_whole_float_is_an_integer_in_2_x_and_none_in_1_6(number: float) -> None:
    # Draft 4 and draft 6 of JSON schema differ here; so do the versions' schemas.
    newer = _changed(STARTED, ["seqNo"], number)
    assert schemas_for(OcppVersion.V201).check_request("TransactionEvent", newer) is None
    older = _changed(METER_VALUES, ["connectorId"], number)
    assert schemas_for(OcppVersion.V16).check_request("MeterValues", older) is not None


def test_a_timestamp_is_not_judged_here() -> None:
    payload = _changed(METER_VALUES, ["meterValue", 0, "timestamp"], "yesterday, about noon")
    assert schemas_for(OcppVersion.V16).check_request("MeterValues", payload) is None


@pytest.mark.parametrize("number", [7.4, 16.1, 0.3, 32.7, 1234567.1])
def test_one_decimal_is_a_multiple_of_a_tenth(number: float) -> None:
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": number}],
        },
    }
    payload = {"connectorId": 1, "csChargingProfiles": profile}
    assert schemas_for(OcppVersion.V16).check_request("SetChargingProfile", payload) is None


@pytest.mark.parametrize("payload", [[], "text", 1, None, {"x": "\ud800"}, {"x": object()}])
def test_what_is_no_payload_is_a_violation_and_no_crash(payload: Any) -> None:
    assert schemas_for(OcppVersion.V16).check_request("Heartbeat", payload) is not None


@pytest.mark.parametrize(
    ("payload", "path", "value"),
    [
        (METER_VALUES, ["connectorId"], 1),
        (METER_VALUES, ["connectorId"], None),
        (METER_VALUES, ["transactionId"], 2**70),
        (METER_VALUES, ["meterValue"], {}),
        (METER_VALUES, ["meterValue", 0, "sampledValue", 0, "value"], 1),
        (METER_VALUES, ["meterValue", 0, "sampledValue", 0, "phase"], "L4"),
        (METER_VALUES, ["extra"], {}),
    ],
)
def test_the_fast_engine_agrees_with_the_reference_engine(
    payload: dict[str, Any], path: list[Any], value: Any
) -> None:
    changed = _changed(payload, path, value)
    reference = jsonschema.Draft4Validator(read_schema("v16", "MeterValues"))
    verdict = schemas_for(OcppVersion.V16).check_request("MeterValues", changed)
    assert (verdict is None) == reference.is_valid(json.loads(json.dumps(changed)))


WRONG = "totalCost: has more than 6 decimals"
MULTIPLE = "csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit: violates multipleOf"


def profile(limit: float) -> dict[str, Any]:
    """Return a 1.6 charging profile, whose limit takes one decimal (16 7.14)."""
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
        },
    }


@pytest.mark.parametrize(
    ("version", "action", "payload", "description"),
    [
        (OcppVersion.V16, "Reset", {"type": "Gentle"}, "type: must be one of Hard, Soft"),
        (
            OcppVersion.V16,
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "yesterday", "idTag": "A", "reservationId": 1},
            "expiryDate: must be a date-time",
        ),
        (
            OcppVersion.V16,
            "UnlockConnector",
            {"connectorId": 2**31},
            "connectorId: is beyond 2147483647",
        ),
        (
            OcppVersion.V201,
            "GetReport",
            {
                "requestId": 1,
                "componentVariable": [{"component": {"name": "A", "evse": {"id": -(2**40)}}}],
            },
            "componentVariable/0/component/evse/id: is beyond 2147483647",
        ),
        (
            OcppVersion.V201,
            "DataTransfer",
            {"vendorId": "made-up", "data": {"serial": 2**40}},
            None,
        ),
        (OcppVersion.V16, "UnlockConnector", {"connectorId": 2**31 - 1}, None),
        (
            OcppVersion.V201,
            "SetMonitoringLevel",
            {"severity": 1.0000001},
            "severity: must be of type integer",
        ),
        (
            OcppVersion.V201,
            "CostUpdated",
            {"totalCost": 1.2345678, "transactionId": "1"},
            "totalCost: has more than 6 decimals",
        ),
        (OcppVersion.V201, "CostUpdated", {"totalCost": 0.1 + 0.2, "transactionId": "1"}, WRONG),
        (OcppVersion.V201, "CostUpdated", {"totalCost": 1.234567, "transactionId": "1"}, None),
        (
            OcppVersion.V21,
            "CostUpdated",
            {"totalCost": 1.2345678, "transactionId": "1"},
            "totalCost: has more than 6 decimals",
        ),
        (OcppVersion.V21, "CostUpdated", {"totalCost": 1.234567, "transactionId": "1"}, None),
        (
            OcppVersion.V21,
            "UnlockConnector",
            {"evseId": 2**31, "connectorId": 1},
            "evseId: is beyond 2147483647",
        ),
        (OcppVersion.V16, "SetChargingProfile", profile(16.25), MULTIPLE),
        (OcppVersion.V16, "SetChargingProfile", profile(16.1), None),
    ],
)
def test_statement_40_what_we_send_keeps_to_formats_and_ranges(
    version: OcppVersion, action: str, payload: dict[str, Any], description: str | None
) -> None:
    violation = schemas_for(version).check_outbound(action, payload)
    assert (violation and violation.description) == description


def test_a_long_list_of_allowed_values_is_cut() -> None:
    violation = schemas_for(OcppVersion.V201).check_request(
        "TransactionEvent", STARTED | {"triggerReason": "Whim"}
    )
    assert violation is not None
    assert len(violation.description) == DESCRIPTION_MAX
    assert violation.description.startswith("triggerReason: must be one of ")
