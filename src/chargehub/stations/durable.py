"""Which commands may wait for a station's return, and what a waiting one stands for. Pure.

Waiting is for what brings a station into a wanted state and does no harm hours later. Nobody stands
at the gun any more when a start or an unlock is delivered late; a reset would cut off whoever
charges by then. What is not listed does not wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chargehub.kit.secrets import redacted
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ClearCache,
    Command,
    GetVariables,
    RawCommand,
    SetVariables,
)

_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        CancelReservation,
        ChangeAvailability,
        ClearCache,
        GetVariables,
        SetVariables,
    )
}
_RAW_ACTIONS = frozenset(
    (
        "CancelReservation",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "GetConfiguration",
        "GetVariables",
        "SetVariables",
    )
)
WRITES = frozenset(("ChangeConfiguration", "SetVariables"))
"""Actions that set variables, in our words or a station's."""
_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind) for name, kind in _KINDS.items()
}


def why_not_durable(command: Command, payload: Mapping[str, Any]) -> str | None:
    """Say why this command may not wait, or None. A row keeps no secret, so none can wait in it."""
    if isinstance(command, RawCommand):
        listed = command.action in _RAW_ACTIONS
        name = command.action
    else:
        name = type(command).__name__
        listed = name in _KINDS
    if not listed:
        return f"{name} is only sent at once."
    if redacted(payload) != payload:
        return "A command that carries a secret is only sent at once."
    return None


def restore(action: str, payload: dict[str, Any], *, raw: bool) -> Command | None:
    """Return the command that a row stands for; None where it cannot be read."""
    if raw:
        return RawCommand(action, payload)
    adapter = _ADAPTERS.get(action)
    if adapter is None:
        return None
    try:
        command: Command = adapter.validate_python(payload)
    except ValidationError:
        return None
    return command


def targets_of(command: Command) -> list[str] | None:
    """Name what a command sets. A later one that sets all that an earlier one did replaces it.

    Only what is set as a whole may be replaced: the availability of one EVSE, the value of one
    variable, a cache that is cleared. None replaces nothing.
    """
    targets: set[str] = set()
    match command:
        case ChangeAvailability():
            targets = {f"availability {command.evse_no}.{command.connector_no or 0}"}
        case SetVariables():
            targets = {f"variable {write.name.key}" for write in command.writes}
        case ClearCache():
            targets = {"cache"}
        case RawCommand("ChangeConfiguration", {"key": str(key)}):
            targets = {f"key {key.lower()}"}
        case RawCommand("SetVariables", {"setVariableData": list(items)}):
            targets = {f"item {_without_value(item)}" for item in items}
        case _:
            pass
    return sorted(targets) or None


def _without_value(item: Any) -> str:
    name = (
        {key: value for key, value in item.items() if key != "attributeValue"}
        if (isinstance(item, dict))
        else item
    )
    return json.dumps(name, sort_keys=True).lower()


def reading_back(command: Command) -> Command | None:
    """Return the question whose answer tells what became of a command with unknown outcome."""
    match command:
        case SetVariables():
            return GetVariables(tuple(write.name for write in command.writes))
        case RawCommand("ChangeConfiguration", {"key": str(key)}):
            return RawCommand("GetConfiguration", {"key": [key]})
        case RawCommand("SetVariables", {"setVariableData": list(items)}):
            asked = [
                {name: value for name, value in item.items() if name != "attributeValue"}
                for item in items
                if isinstance(item, dict)
            ]
            return RawCommand("GetVariables", {"getVariableData": asked})
        case _:
            return None
