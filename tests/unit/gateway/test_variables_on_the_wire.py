"""Reading and writing variables as each version words it, valid by its schema."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.devices.reports import (
    VariableReported,
    VariablesReported,
    VariablesWritten,
    WriteEffect,
)
from chargehub.gateway import translate_v16, translate_v201
from chargehub.gateway.answers import answer_status
from chargehub.gateway.translation import Context, Payload, Translator
from chargehub.ocpp import OcppVersion, schemas_for
from chargehub.stations.commands import (
    Command,
    GetVariables,
    SetVariables,
    VariableName,
    VariableWrite,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
V16, V201 = OcppVersion.V16, OcppVersion.V201
TRANSLATORS: dict[OcppVersion, Translator] = {
    V16: translate_v16.TRANSLATOR,
    V201: translate_v201.TRANSLATOR,
}
BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
BEAT_ITEM = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
POWER = VariableName(
    "Connector",
    "Power",
    component_instance="left",
    evse_no=1,
    connector_no=2,
    variable_instance="total",
    attribute="MaxSet",
)
POWER_ITEM = {
    "attributeType": "MaxSet",
    "component": {"name": "Connector", "instance": "left", "evse": {"id": 1, "connectorId": 2}},
    "variable": {"name": "Power", "instance": "total"},
}


@pytest.mark.parametrize(
    ("version", "command", "action", "payload"),
    [
        (
            V16,
            SetVariables((VariableWrite(BEAT, "60"),)),
            "ChangeConfiguration",
            {"key": "HeartbeatInterval", "value": "60"},
        ),
        (
            V16,
            GetVariables((BEAT, VariableName("", "VendorKey"))),
            "GetConfiguration",
            {"key": ["HeartbeatInterval", "VendorKey"]},
        ),
        (
            V201,
            SetVariables((VariableWrite(BEAT, "60"), VariableWrite(POWER, "5"))),
            "SetVariables",
            {
                "setVariableData": [
                    {**BEAT_ITEM, "attributeValue": "60"},
                    {**POWER_ITEM, "attributeValue": "5"},
                ]
            },
        ),
        (
            V201,
            GetVariables((BEAT, POWER)),
            "GetVariables",
            {"getVariableData": [BEAT_ITEM, POWER_ITEM]},
        ),
    ],
)
def test_a_command_is_worded(
    version: OcppVersion, command: Command, action: str, payload: dict[str, Any]
) -> None:
    request = TRANSLATORS[version].encode(command)
    assert request is not None
    assert (request.action, request.payload) == (action, payload)
    assert schemas_for(version).check_request(action, payload) is None


def read(version: OcppVersion, action: str, asked: dict[str, Any], answer: dict[str, Any]) -> Any:
    assert schemas_for(version).check_response(action, answer) is None
    context = Context(7, NOW, asked=asked)
    (report,) = TRANSLATORS[version].results[action](answer, context)
    return report


@pytest.mark.parametrize(
    ("status", "effect"),
    [
        ("Accepted", WriteEffect.APPLIED),
        ("Rejected", WriteEffect.REFUSED),
        ("RebootRequired", WriteEffect.AFTER_REBOOT),
        ("UnknownComponent", WriteEffect.UNSUPPORTED),
        ("UnknownVariable", WriteEffect.UNSUPPORTED),
        ("NotSupportedAttributeType", WriteEffect.UNSUPPORTED),
    ],
)
def test_each_result_of_a_write_is_tied_to_its_value(status: str, effect: WriteEffect) -> None:
    """Whatever the order of the results, and where Actual is spelt out (B05.FR.12)."""
    asked = {
        "setVariableData": [
            {**BEAT_ITEM, "attributeValue": "60"},
            {**POWER_ITEM, "attributeValue": "5"},
        ]
    }
    answer = {
        "setVariableResult": [
            {**POWER_ITEM, "attributeStatus": status},
            {**BEAT_ITEM, "attributeType": "Actual", "attributeStatus": "Accepted"},
        ]
    }
    report = read(V201, "SetVariables", asked, answer)
    assert isinstance(report, VariablesWritten)
    assert [(one.name, one.value, one.status, one.effect) for one in report.outcomes] == [
        (POWER, "5", status, effect),
        (BEAT, "60", "Accepted", WriteEffect.APPLIED),
    ]
    assert answer_status(answer, asked) == ", ".join(sorted({status, "Accepted"}))


def test_a_result_of_what_was_not_asked_is_left_out() -> None:
    answer = {"setVariableResult": [{**BEAT_ITEM, "attributeStatus": "Accepted"}]}
    report = read(V201, "SetVariables", {"setVariableData": []}, answer)
    assert report.outcomes == ()


@pytest.mark.parametrize(
    "told", [[POWER_ITEM], [BEAT_ITEM], [POWER_ITEM, POWER_ITEM], [{**POWER_ITEM, "variable": {}}]]
)
def test_an_answer_that_leaves_a_value_out_has_no_status(told: list[Payload]) -> None:
    items = [{**BEAT_ITEM, "attributeValue": "60"}, {**POWER_ITEM, "attributeValue": "5"}]
    answer = {"setVariableResult": [{**item, "attributeStatus": "Accepted"} for item in told]}
    assert answer_status(answer, {"setVariableData": items}) is None
    both = {"setVariableResult": [{**item, "attributeStatus": "Accepted"} for item in items]}
    assert answer_status(both, {"setVariableData": items}) == "Accepted"


def test_b06_fr_09_what_is_refused_is_neither_told_nor_unsupported() -> None:
    answer = {
        "getVariableResult": [
            {**BEAT_ITEM, "attributeStatus": "Rejected"},
            {**POWER_ITEM, "attributeStatus": "Accepted", "attributeValue": "5"},
        ]
    }
    report = read(V201, "GetVariables", {}, answer)
    assert isinstance(report, VariablesReported)
    assert report.variables == (VariableReported(POWER, "5"),)
    assert report.unsupported == ()
