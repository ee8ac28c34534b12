"""What the names of variables and configuration keys stand for."""

from __future__ import annotations

import pytest

from chargehub.devices.names import meant
from chargehub.devices.rules import SMALLEST, duplicates, refused_write
from chargehub.devices.views import WriteInput
from chargehub.stations.commands import VariableName, VariableWrite

BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
ATTEMPTS = VariableName("OCPPCommCtrlr", "MessageAttempts", variable_instance="TransactionEvent")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        (VariableName("", "HeartbeatInterval"), BEAT),
        (VariableName("", "heartbeatINTERVAL"), BEAT),
        (VariableName("ocppcommctrlr", "heartbeatinterval"), BEAT),
        (VariableName("", "OCPPCommCtrlr.HeartbeatInterval"), BEAT),
        (VariableName("", "TransactionMessageAttempts"), ATTEMPTS),
        (VariableName("OCPPCommCtrlr", "MessageAttempts/TransactionEvent"), ATTEMPTS),
        (
            VariableName("", "HeartbeatInterval", attribute="MaxSet"),
            VariableName("OCPPCommCtrlr", "HeartbeatInterval", attribute="MaxSet"),
        ),
        (VariableName("", "AuthorizationKey"), VariableName("SecurityCtrlr", "BasicAuthPassword")),
        (VariableName("", "blinkrepeat"), VariableName("", "BlinkRepeat")),
    ],
)
def test_a_key_that_the_hub_knows_is_the_standard_variable(
    name: VariableName, variable: VariableName
) -> None:
    assert meant(name) == variable
    assert meant(variable) == variable


@pytest.mark.parametrize(
    "name",
    [
        VariableName("", "VendorKey"),
        VariableName("Own", "HeartbeatInterval"),
        VariableName("", "HeartbeatInterval", evse_no=1),
        VariableName("", "HeartbeatInterval", variable_instance="x"),
    ],
)
def test_every_other_name_is_its_own(name: VariableName) -> None:
    assert meant(name) == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HeartbeatInterval", "0"),
        ("HEARTBEATINTERVAL", "-1"),
        ("MeterValueSampleInterval", "-1"),
        ("WebSocketPingInterval", "x"),
        ("ConnectionTimeOut", "abc"),
        ("OCPPCommCtrlr.HeartbeatInterval", "0"),
        ("AuthorizationKey", "00112233445566778899"),
    ],
)
def test_what_the_api_takes_by_its_key_is_held_to_the_list(key: str, value: str) -> None:
    write = WriteInput(component="", variable=key, value=value).write()
    assert refused_write(write, None) is not None


def test_the_smallest_value_of_a_bare_key_passes() -> None:
    write = WriteInput(component="", variable="heartbeatinterval", value="10").write()
    assert write == VariableWrite(BEAT, "10")
    assert SMALLEST[write.name.component.lower(), write.name.variable.lower()] == 10
    assert refused_write(write, None) is None


def test_two_names_of_one_variable_are_one() -> None:
    names = [VariableName("", "heartbeatinterval"), BEAT, VariableName("", "VendorKey")]
    assert duplicates(map(meant, names)) == [BEAT]
