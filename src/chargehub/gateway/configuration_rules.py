"""What a value must look like before it is written to a station's configuration. Pure.

Stations often accept nonsense: one told to send a Heartbeat every "abc" seconds floods us until it
is visited. So whole numbers of the standard are checked here; keys that it does not know pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chargehub.gateway.fields import MAX_INT31
from chargehub.gateway.translation import Payload

HEARTBEAT_MIN_S = 10

# Names are compared without case, as stations do (CiString, identifierString).
_KEYS = {
    "blinkrepeat": 0,
    "certsigningrepeattimes": 0,
    "certsigningwaitminimum": 0,
    "clockaligneddatainterval": 0,
    "connectiontimeout": 0,
    "heartbeatinterval": HEARTBEAT_MIN_S,
    "lightintensity": 0,
    "maxenergyoninvalidid": 0,
    "metervaluesampleinterval": 0,
    "minimumstatusduration": 0,
    "resetretries": 0,
    "securityprofile": 0,
    "transactionmessageattempts": 0,
    "transactionmessageretryinterval": 0,
    "websocketpinginterval": 0,
}
"""1.6: key to its smallest value (16 9, E16J, security whitepaper)."""

_VARIABLES = {
    ("aligneddatactrlr", "interval"): 0,
    ("aligneddatactrlr", "txendedinterval"): 0,
    ("authcachectrlr", "lifetime"): 0,
    ("ocppcommctrlr", "heartbeatinterval"): HEARTBEAT_MIN_S,
    ("ocppcommctrlr", "messageattemptinterval"): 0,
    ("ocppcommctrlr", "messageattempts"): 0,
    ("ocppcommctrlr", "messagetimeout"): 1,
    ("ocppcommctrlr", "networkprofileconnectionattempts"): 0,
    ("ocppcommctrlr", "offlinethreshold"): 0,
    ("ocppcommctrlr", "resetretries"): 0,
    ("ocppcommctrlr", "retrybackoffrandomrange"): 0,
    ("ocppcommctrlr", "retrybackoffrepeattimes"): 0,
    ("ocppcommctrlr", "retrybackoffwaitminimum"): 0,
    ("ocppcommctrlr", "websocketpinginterval"): 0,
    ("sampleddatactrlr", "txendedinterval"): 0,
    ("sampleddatactrlr", "txupdatedinterval"): 0,
    ("securityctrlr", "certsigningrepeattimes"): 0,
    ("securityctrlr", "certsigningwaitminimum"): 0,
    ("txctrlr", "evconnectiontimeout"): 0,
    ("txctrlr", "maxenergyoninvalidid"): 0,
}
"""2.x: component and variable to its smallest value (referenced components and variables)."""

_WHOLE = re.compile(r"-?[0-9]{1,10}")


def refused_write(action: str, payload: Payload) -> str | None:
    """Return why this request must not be sent; shapes are the schema's matter."""
    for name, minimum, value in _checked_writes(action, payload):
        whole = isinstance(value, str) and _WHOLE.fullmatch(value) is not None
        if not whole or not minimum <= int(value) <= MAX_INT31:
            return f"{name} takes a whole number from {minimum} to {MAX_INT31}"
    return None


def refused_downgrade(action: str, payload: Payload, profile: int) -> str | None:
    """Return why this request must not go to a station that uses this security profile.

    No way back over OCPP (A00.FR.005, A05): and the hub would not let it in again.
    """
    for name, value in _profile_writes(action, payload):
        text = str(value)
        if _WHOLE.fullmatch(text) and int(text) < profile:
            return f"{name} may not fall below {profile}, which the station uses"
    return None


def _profile_writes(action: str, payload: Payload) -> Iterator[tuple[str, Any]]:
    if action == "ChangeConfiguration":
        key = payload.get("key")
        if isinstance(key, str) and key.lower() == "securityprofile":
            yield key, payload.get("value")
    elif action == "SetNetworkProfile":
        data = payload.get("connectionData")
        yield "securityProfile", data.get("securityProfile") if isinstance(data, dict) else None
    elif action == "SetVariables":
        # SecurityCtrlr.SecurityProfile, NetworkConfiguration[slot].SecurityProfile (2.1).
        items = payload.get("setVariableData")
        for item in items if isinstance(items, list) else []:
            if _name(item, "variable").lower() == "securityprofile":
                yield f"{_name(item, 'component')}.SecurityProfile", item.get("attributeValue")


def _checked_writes(action: str, payload: Payload) -> Iterator[tuple[str, int, Any]]:
    if action == "ChangeConfiguration":
        key = payload.get("key")
        if isinstance(key, str) and key.lower() in _KEYS:
            yield key, _KEYS[key.lower()], payload.get("value")
    elif action == "SetVariables":
        items = payload.get("setVariableData")
        for item in items if isinstance(items, list) else []:
            component, variable = _name(item, "component"), _name(item, "variable")
            minimum = _VARIABLES.get((component.lower(), variable.lower()))
            if minimum is not None:
                yield f"{component}.{variable}", minimum, item.get("attributeValue")


def _name(item: object, field: str) -> str:
    named = item.get(field) if isinstance(item, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    return name if isinstance(name, str) else ""
