"""Which raw requests about variables must not leave. Pure.

The list of dangerous values is `devices.rules.SMALLEST`; this reads the names and values from a
request as somebody wrote it. Keys that the list does not know pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chargehub.devices.names import name_of_key
from chargehub.devices.rules import duplicates, unsafe_value, whole_number
from chargehub.gateway.device_model import read_name
from chargehub.gateway.fields import Fields
from chargehub.gateway.translation import Payload
from chargehub.stations.commands import VariableName

_ITEMS = {
    "GetVariables": "getVariableData",
    "SetVariables": "setVariableData",
}


def refused_write(action: str, payload: Payload) -> str | None:
    """Return why this request must not be sent; shapes are the schema's matter."""
    for shown, name, value in _writes(action, payload):
        unsafe = unsafe_value(name, value)
        if unsafe is not None:
            return f"{shown} {unsafe}"
    names = [read_name(item) for item in _items(action, payload)]
    again = duplicates(found for found in names if found is not None)  # B05.FR.13
    return f"{again[0].path} is named twice" if again else None


def refused_downgrade(action: str, payload: Payload, profile: int) -> str | None:
    """Return why this request must not go to a station that uses this security profile.

    No way back over OCPP (A00.FR.005, A05): and the hub would not let it in again. A value that is
    no plain number is refused too: who knows what a station reads in " 1" or "1.0".
    """
    for name, value in _profile_writes(action, payload):
        number = value if type(value) is int else whole_number(value)
        if number is None or number < profile:
            return f"{name} may not fall below {profile}, which the station uses"
    return None


def _profile_writes(action: str, payload: Payload) -> Iterator[tuple[str, Any]]:
    if action == "SetNetworkProfile":
        data = payload.get("connectionData")
        if isinstance(data, dict) and "securityProfile" in data:
            yield "securityProfile", data["securityProfile"]
    for shown, name, value in _writes(action, payload):
        # SecurityCtrlr.SecurityProfile, NetworkConfiguration[slot].SecurityProfile (2.1).
        if name.variable.lower() == "securityprofile":
            yield shown, value


def _writes(action: str, payload: Payload) -> Iterator[tuple[str, VariableName, Any]]:
    if action == "ChangeConfiguration":
        key = payload.get("key")
        if isinstance(key, str):
            yield key, name_of_key(key), payload.get("value")
    elif action == "SetVariables":
        for item in _items(action, payload):
            name = read_name(item)
            if name is not None:
                yield f"{name.component}.{name.variable}", name, item.raw("attributeValue")


def _items(action: str, payload: Payload) -> list[Fields]:
    return Fields(payload).children(_ITEMS.get(action, ""))
