"""Which configuration writes are let out to a station."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.gateway.configuration_rules import refused_downgrade, refused_write


def change(key: str, value: str) -> tuple[str, dict[str, Any]]:
    return "ChangeConfiguration", {"key": key, "value": value}


def variables(*items: tuple[str, str, str]) -> tuple[str, dict[str, Any]]:
    data = [
        {"attributeValue": value, "component": {"name": component}, "variable": {"name": variable}}
        for component, variable, value in items
    ]
    return "SetVariables", {"setVariableData": data}


def attribute(kind: str, variable: str, value: object) -> tuple[str, dict[str, Any]]:
    component = "SecurityCtrlr" if variable == "SecurityProfile" else "OCPPCommCtrlr"
    action, payload = variables((component, variable, str(value)))
    payload["setVariableData"][0] |= {"attributeType": kind, "attributeValue": value}
    return action, payload


@pytest.mark.parametrize(
    "request_",
    [
        attribute("MinSet", "HeartbeatInterval", "1"),
        change("HeartbeatInterval", "10"),
        change("MeterValueSampleInterval", "0"),
        change("WebSocketPingInterval", "2147483647"),
        change("MeterValuesSampledData", "Energy.Active.Import.Register"),
        change("VendorOwnKey", "abc"),
        variables(("OCPPCommCtrlr", "HeartbeatInterval", "60"), ("Vendor", "Interval", "abc")),
        variables(("SampledDataCtrlr", "TxUpdatedMeasurands", "SoC")),
        ("Reset", {"type": "Hard"}),
        ("ChangeConfiguration", {}),
        ("ChangeConfiguration", {"key": 5, "value": None}),
        ("SetVariables", {"setVariableData": "all"}),
        ("SetVariables", {"setVariableData": [None, {"component": 7, "variable": []}]}),
    ],
)
def test_a_sensible_write_and_all_that_the_standard_does_not_number_pass(
    request_: tuple[str, dict[str, Any]],
) -> None:
    assert refused_write(*request_) is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (
            change("HeartbeatInterval", "abc"),
            "HeartbeatInterval takes a whole number from 10 to 2147483647",
        ),
        (change("heartbeatinterval", "9"), "heartbeatinterval takes a whole number from 10"),
        (change("MeterValueSampleInterval", "-1"), "MeterValueSampleInterval takes"),
        (change("MeterValueSampleInterval", "1.5"), "MeterValueSampleInterval takes"),
        (change("ResetRetries", ""), "ResetRetries takes"),
        (change("ResetRetries", "\u0663"), "ResetRetries takes"),
        (change("ConnectionTimeOut", "2147483648"), "ConnectionTimeOut takes"),
        (
            variables(
                ("Vendor", "Own", "abc"), ("ocppcommctrlr", "HeartbeatInterval", "every minute")
            ),
            "ocppcommctrlr.HeartbeatInterval takes a whole number from 10",
        ),
        (variables(("TxCtrlr", "EVConnectionTimeOut", " 5")), "TxCtrlr.EVConnectionTimeOut takes"),
        (attribute("Target", "HeartbeatInterval", "1"), "OCPPCommCtrlr.HeartbeatInterval takes"),
    ],
)
def test_the_dangerous_write_is_refused_with_a_reason(
    request_: tuple[str, dict[str, Any]], reason: str
) -> None:
    refused = refused_write(*request_)
    assert refused is not None
    assert refused.startswith(reason)


def _variable(component: str, value: object) -> dict[str, Any]:
    name = {"component": {"name": component}, "variable": {"name": "securityProfile"}}
    return {"setVariableData": [name | {"attributeValue": value}]}


@pytest.mark.parametrize("profile", [0, 1, 2, 3])
@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_no_request_lowers_the_security_profile(profile: int, wanted: int) -> None:
    text = str(wanted)
    for action, payload in (
        ("ChangeConfiguration", {"key": "securityprofile", "value": text}),
        ("SetNetworkProfile", {"connectionData": {"securityProfile": wanted}}),
        ("SetVariables", _variable("SecurityCtrlr", text)),
        ("SetVariables", _variable("NetworkConfiguration", text)),
    ):
        refused = refused_downgrade(action, payload, profile)
        assert (refused is not None) == (wanted < profile)


@pytest.mark.parametrize("value", [" 1", "+1", "1.0", "1e0", "", "one", "\u0661", None, True])
def test_what_a_station_may_read_as_a_lower_profile_is_refused(value: object) -> None:
    for action, payload in (
        ("ChangeConfiguration", {"key": "SecurityProfile", "value": value}),
        ("SetNetworkProfile", {"connectionData": {"securityProfile": value}}),
        ("SetVariables", _variable("SecurityCtrlr", value)),
        ("SetVariables", _variable("NetworkConfiguration", value)),
    ):
        assert refused_downgrade(action, payload, 2) is not None


@pytest.mark.parametrize("kind", ["Actual", "Target", "MinSet", "MaxSet"])
def test_no_attribute_lowers_the_security_profile(kind: str) -> None:
    assert refused_downgrade(*attribute(kind, "SecurityProfile", "1"), 2) is not None
    assert refused_downgrade(*attribute(kind, "SecurityProfile", "2"), 2) is None


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "1"}),
        ("ChangeConfiguration", {"key": ["SecurityProfile"], "value": "1"}),
        ("SetNetworkProfile", {"connectionData": [1]}),
        ("SetNetworkProfile", {}),
        ("SetVariables", {"setVariableData": [7, {}, None]}),
        ("SetVariables", {"setVariableData": 7}),
        ("Reset", {"securityProfile": 1}),
    ],
)
def test_what_sets_no_profile_is_none_of_this_rule(action: str, payload: dict[str, Any]) -> None:
    assert refused_downgrade(action, payload, 3) is None
