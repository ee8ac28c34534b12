"""The device model of OCPP 2.x on the wire: names, reports, reading and writing variables. Pure.

The words are the house's own, so little is translated; what is missing or odd is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from chargehub.devices.reports import (
    VariableReported,
    VariablesReported,
    VariablesWritten,
    VariableWritten,
    WriteEffect,
)
from chargehub.gateway.fields import MAX_INT16, Fields
from chargehub.gateway.translation import Context, Payload, Report, Request
from chargehub.stations.commands import (
    GetVariables,
    SetVariables,
    UnsupportedByStation,
    VariableName,
)

ACTUAL = "Actual"
VALUE_LENGTH = 2500

_EFFECTS = {
    "Accepted": WriteEffect.APPLIED,
    "RebootRequired": WriteEffect.AFTER_REBOOT,
    "Rejected": WriteEffect.REFUSED,
    "UnknownComponent": WriteEffect.UNSUPPORTED,
    "UnknownVariable": WriteEffect.UNSUPPORTED,
    "NotSupportedAttributeType": WriteEffect.UNSUPPORTED,
}


def read_name(item: Fields) -> VariableName | None:
    """Read component, variable and attribute type; None where a name is missing."""
    component, variable = item.child("component"), item.child("variable")
    evse = component.child("evse")
    name, variable_name = component.filled("name", 50), variable.filled("name", 50)
    if name is None or variable_name is None:
        return None
    evse_no = evse.whole("id", high=MAX_INT16)
    return VariableName(
        component=name,
        variable=variable_name,
        component_instance=component.filled("instance", 50),
        evse_no=evse_no,
        connector_no=None if evse_no is None else evse.whole("connectorId", high=MAX_INT16),
        variable_instance=variable.filled("instance", 50),
        attribute=item.filled("attributeType", 50) or ACTUAL,  # B05.FR.12: omitted means Actual.
    )


def read_report(payload: Payload, context: Context) -> Sequence[Report]:
    """Read NotifyReport: a page, by its own number; `tbc` left out means that it is the last."""
    fields = Fields(payload)
    page = VariablesReported(
        station_id=context.station_id,
        received_at=context.received_at,
        request_id=fields.whole("requestId"),
        variables=tuple(
            reported for item in fields.children("reportData") for reported in _reported(item)
        ),
        seq_no=fields.whole("seqNo"),
        last=not fields.truth("tbc"),
    )
    return (page,)


def _reported(item: Fields) -> list[VariableReported]:
    name = read_name(item)
    if name is None:
        return []
    characteristics = item.child("variableCharacteristics")
    return [
        VariableReported(
            replace(name, attribute=attribute.filled("type", 50) or ACTUAL),  # A omits the type.
            attribute.text("value", VALUE_LENGTH),
            mutability=attribute.filled("mutability", 50) or "ReadWrite",
            data_type=characteristics.filled("dataType", 50),
            unit=characteristics.filled("unit", 50),
            min_limit=_number(characteristics, "minLimit"),
            max_limit=_number(characteristics, "maxLimit"),
            values_list=characteristics.filled("valuesList", 1000),
        )
        for attribute in item.children("variableAttribute")
    ]


def _number(fields: Fields, name: str) -> float | None:
    value = fields.raw(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_variable_results(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to GetVariables. What is refused (it is write-only) is left out."""
    told, unsupported = [], []
    for item in Fields(payload).children("getVariableResult"):
        name, status = read_name(item), item.text("attributeStatus", 50)
        if name is None:
            continue
        if status == "Accepted":
            told.append(VariableReported(name, item.text("attributeValue", VALUE_LENGTH)))
        elif _EFFECTS.get(status or "") is WriteEffect.UNSUPPORTED:
            unsupported.append(name)
    answer = VariablesReported(
        context.station_id,
        context.received_at,
        None,
        tuple(told),
        unsupported=tuple(unsupported),
    )
    return (answer,)


def read_write_results(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to SetVariables; the values are those of our request."""
    outcomes = tuple(_written(payload, _values(context.asked)))
    return (VariablesWritten(context.station_id, context.received_at, outcomes),)


def written_status(payload: Payload, asked: Payload | None) -> str | None:
    """Return all words of an answer to SetVariables; None unless every variable has one."""
    values = _values(asked)
    words = {outcome.name.key: outcome.status for outcome in _written(payload, values)}
    complete = words.keys() == values.keys()
    return ", ".join(sorted(set(words.values()))) or None if complete else None


def _values(asked: Payload | None) -> dict[str, str]:
    return {
        name.key: item.text("attributeValue", VALUE_LENGTH) or ""
        for item in Fields(asked or {}).children("setVariableData")
        if (name := read_name(item)) is not None
    }


def _written(payload: Payload, values: Mapping[str, str]) -> Iterator[VariableWritten]:
    for item in Fields(payload).children("setVariableResult"):
        name, status = read_name(item), item.filled("attributeStatus", 50)
        if name is not None and status is not None and name.key in values:
            effect = _EFFECTS.get(status, WriteEffect.REFUSED)
            yield VariableWritten(name, values[name.key], status, effect)


def encode_set_variables(command: SetVariables) -> Request:
    items = [{**encode_name(write.name), "attributeValue": write.value} for write in command.writes]
    return Request("SetVariables", {"setVariableData": items})


def encode_get_variables(command: GetVariables) -> Request:
    return Request(
        "GetVariables", {"getVariableData": [encode_name(name) for name in command.names]}
    )


def encode_name(name: VariableName) -> Payload:
    """Raises UnsupportedByStation for a configuration key: each variable here has a component."""
    if not name.component:
        raise UnsupportedByStation(f"This station has no configuration keys such as {name.path}.")
    component: Payload = {"name": name.component}
    if name.component_instance:
        component["instance"] = name.component_instance
    if name.evse_no is not None:
        component["evse"] = {"id": name.evse_no}
        if name.connector_no is not None:
            component["evse"]["connectorId"] = name.connector_no
    variable: Payload = {"name": name.variable}
    if name.variable_instance:
        variable["instance"] = name.variable_instance
    item: Payload = {"component": component, "variable": variable}
    if name.attribute != ACTUAL:
        item["attributeType"] = name.attribute
    return item
