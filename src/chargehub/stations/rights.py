"""Which OCPP requests need more than an operator's rights. Pure.

An operator runs the hub; who holds a station's door and what software it runs is for an admin, as
in commissioning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chargehub.kit.secrets import names_secret

# What a station trusts, where it connects to, what it executes.
_OF_ADMINS = frozenset(
    {
        "certificatesigned",
        "deletecertificate",
        "installcertificate",
        "publishfirmware",
        "setnetworkprofile",
        "signedupdatefirmware",
        "updatefirmware",
    }
)


def needs_admin(action: str, payload: Mapping[str, Any]) -> bool:
    """Say whether only an admin may send this: the action itself, or a secret that it sets."""
    name = action.lower()
    if name in _OF_ADMINS:
        return True
    if name == "changeconfiguration":
        return names_secret(payload)
    if name == "setvariables":
        data = payload.get("setVariableData")
        items = data if isinstance(data, list) else []
        return any(isinstance(item, Mapping) and names_secret(item) for item in items)
    return False
