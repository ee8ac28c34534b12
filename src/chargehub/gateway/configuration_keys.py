"""OCPP 1.6 configuration keys on the wire: reading and writing them as variables. Pure.

Which variable a key stands for is told by `devices.names`. The station's own key stays visible
beside the name.
"""

from __future__ import annotations

from collections.abc import Sequence

from chargehub.devices.names import name_of_key, standard_key, type_of_key
from chargehub.devices.reports import (
    VariableReported,
    VariablesReported,
    VariablesWritten,
    VariableWritten,
    WriteEffect,
)
from chargehub.gateway.fields import Fields
from chargehub.gateway.translation import Context, Payload, Report, Request
from chargehub.stations.commands import (
    GetVariables,
    InvalidCommand,
    SetVariables,
    UnsupportedByStation,
    VariableName,
)

VALUE_LENGTH = 500

_EFFECTS = {
    "Accepted": WriteEffect.APPLIED,
    "RebootRequired": WriteEffect.AFTER_REBOOT,
    "Rejected": WriteEffect.REFUSED,
    "NotSupported": WriteEffect.UNSUPPORTED,
}


def key_of_name(name: VariableName) -> str:
    """Return the key of a variable. Raises UnsupportedByStation: not every variable has one."""
    known = standard_key(name)
    if known is not None:
        return known
    bare = VariableName("", name.variable)
    if name.component or name.key != bare.key:
        raise UnsupportedByStation(f"This station has no configuration key for {name.path}.")
    return name.variable


def read_configuration(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to GetConfiguration."""
    fields = Fields(payload)
    told = []
    for item in fields.children("configurationKey"):
        key = item.filled("key", 50)
        if key is None:
            continue
        told.append(
            VariableReported(
                name_of_key(key),
                item.text("value", VALUE_LENGTH),
                mutability="ReadOnly" if item.truth("readonly") else "ReadWrite",
                data_type=type_of_key(key),
                own_key=key,
            )
        )
    unknown = fields.raw("unknownKey")
    keys = [key for key in unknown if isinstance(key, str)] if isinstance(unknown, list) else []
    answer = VariablesReported(
        context.station_id,
        context.received_at,
        None,
        tuple(told),
        unsupported=tuple(name_of_key(key[:50]) for key in keys if key),
    )
    return (answer,)


def read_change(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to ChangeConfiguration; key and value are those of our request."""
    asked, status = Fields(context.asked or {}), Fields(payload).filled("status", 50)
    key, value = asked.filled("key", 50), asked.text("value", VALUE_LENGTH)
    if key is None or value is None or status is None:
        return ()
    effect = _EFFECTS.get(status, WriteEffect.REFUSED)
    outcome = VariableWritten(name_of_key(key), value, status, effect)
    return (VariablesWritten(context.station_id, context.received_at, (outcome,)),)


def encode_change(command: SetVariables) -> Request:
    if len(command.writes) != 1:
        raise InvalidCommand("This station takes one value in a request")
    (write,) = command.writes
    payload = {"key": key_of_name(write.name), "value": write.value}
    return Request("ChangeConfiguration", payload)


def encode_read(command: GetVariables) -> Request:
    return Request("GetConfiguration", {"key": [key_of_name(name) for name in command.names]})
