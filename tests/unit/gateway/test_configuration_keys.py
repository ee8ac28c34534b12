"""1.6 configuration keys under the names of the device model, and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chargehub.devices.names import name_of_key
from chargehub.devices.reports import VariablesWritten, WriteEffect
from chargehub.devices.rules import SMALLEST
from chargehub.gateway.configuration_keys import (
    encode_change,
    key_of_name,
    read_change,
)
from chargehub.gateway.translation import Context
from chargehub.stations.commands import (
    InvalidCommand,
    SetVariables,
    UnsupportedByStation,
    VariableName,
    VariableWrite,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval#Actual"),
        ("heartbeatINTERVAL", "OCPPCommCtrlr.HeartbeatInterval#Actual"),
        ("GetConfigurationMaxKeys", "DeviceDataCtrlr.ItemsPerMessage/GetVariables#Actual"),
        ("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut#Actual"),
        ("AuthorizationKey", "SecurityCtrlr.BasicAuthPassword#Actual"),
        ("VendorKey", "VendorKey#Actual"),
        ("Vendor.Key", "Vendor.Key#Actual"),
    ],
)
def test_a_key_has_a_name_and_the_name_its_key(key: str, path: str) -> None:
    name = name_of_key(key)
    assert name.path == path
    assert key_of_name(name).lower() == key.lower()


@pytest.mark.parametrize(
    "name",
    [
        VariableName("EVSE", "Power", evse_no=1),
        VariableName("OCPPCommCtrlr", "HeartbeatInterval", attribute="MaxSet"),
        VariableName("", "VendorKey", variable_instance="x"),
        VariableName("Own", "Setting"),
    ],
)
def test_what_has_no_key_is_unsupported(name: VariableName) -> None:
    with pytest.raises(UnsupportedByStation):
        key_of_name(name)


def test_every_dangerous_key_is_known_by_the_name_that_the_list_uses() -> None:
    """A key under another name would pass the list unseen."""
    keys = [
        "BlinkRepeat",
        "CertSigningRepeatTimes",
        "CertSigningWaitMinimum",
        "ClockAlignedDataInterval",
        "ConnectionTimeOut",
        "HeartbeatInterval",
        "LightIntensity",
        "MaxEnergyOnInvalidId",
        "MeterValueSampleInterval",
        "MinimumStatusDuration",
        "ResetRetries",
        "SecurityProfile",
        "TransactionMessageAttempts",
        "TransactionMessageRetryInterval",
        "WebSocketPingInterval",
    ]
    for key in keys:
        name = name_of_key(key)
        assert (name.component.lower(), name.variable.lower()) in SMALLEST, key


def test_two_values_do_not_fit_one_request() -> None:
    writes = tuple(VariableWrite(VariableName("", key), "1") for key in "AB")
    with pytest.raises(InvalidCommand):
        encode_change(SetVariables(writes))


@pytest.mark.parametrize(
    ("status", "effect"),
    [
        ("Accepted", WriteEffect.APPLIED),
        ("RebootRequired", WriteEffect.AFTER_REBOOT),
        ("Rejected", WriteEffect.REFUSED),
        ("NotSupported", WriteEffect.UNSUPPORTED),
        ("Sure", WriteEffect.REFUSED),
    ],
)
def test_the_answer_to_a_change_tells_of_the_value_that_was_asked(
    status: str, effect: WriteEffect
) -> None:
    asked = {"key": "HeartbeatInterval", "value": "60"}
    (report,) = read_change({"status": status}, Context(7, NOW, asked=asked))
    assert isinstance(report, VariablesWritten)
    (told,) = report.outcomes
    assert (told.name.variable, told.value) == ("HeartbeatInterval", "60")
    assert (told.status, told.effect) == (status, effect)


def test_an_answer_to_nothing_known_tells_nothing() -> None:
    assert read_change({"status": "Accepted"}, Context(7, NOW)) == ()
    assert read_change({}, Context(7, NOW, asked={"key": "A", "value": "1"})) == ()
