"""Which requests to stations need more than an operator's rights, or a road of their own. Pure.

An operator runs the hub. What a station connects to and as whom, what it trusts and what it
executes is for an admin, as in commissioning, whatever the road: a request as it is, a write of
variables, a template. What a vendor hides behind a name and value that tell nothing of it cannot
be known here.

What the hub keeps books of (charging profiles, the wished availability) nobody sends as it is: the
books would go on telling what holds no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from chargehub.kit.secrets import is_secret_name
from chargehub.stations.commands import VariableWrite

_OF_ADMINS = frozenset(
    {
        "certificatesigned",
        "datatransfer",  # What a vendor's message does, nobody knows here.
        "deletecertificate",
        "getdiagnostics",  # These two send what the station knows to any address.
        "getlog",
        "installcertificate",
        "publishfirmware",
        "setnetworkprofile",
        "signedupdatefirmware",
        "updatefirmware",
    }
)

_WITH_BOOKS = {
    "ChangeAvailability": "POST availability",
    "ClearChargingProfile": "DELETE charging-profiles",
    "SetChargingProfile": "POST charging-profiles",
}
_STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
"""Their profile is kept on record too; without one they may be sent as they are."""

# Whole components of 2.x: the door, and the network profiles of 2.1.
_COMPONENTS = frozenset({"networkconfiguration", "securityctrlr"})
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# Variables of 2.x, keys of 1.6 and what vendors call theirs, in one word of small letters: whom a
# station talks to, by which network, as whom, and what it trusts.
_NAMES = re.compile(
    r"centralsystem|csms|backend|backoffice|network|server|endpoint|hostname|address|proxy|vpn"
    r"|wifi|wlan|ssid|identity|cponame|chargepointid|chargeboxid|certificate|securityprofile"
    r"|centralcontractvalidation|(ocpp|server|ws|websocket)(host|port|path)"
    r"|^(apn|dns|ntp|host|gateway)|(apn|dns|ftp|host|gateway)$"
)
# The same as words of a name with capitals: `HourlyRate` speaks of no URL.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS = frozenset({"apn", "dns", "ftp", "gateway", "host", "ip", "uri", "url", "urls"})
_ENDINGS = ("url", "uri")
# An address, whatever the name: with a scheme, or of four numbers.
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])", re.IGNORECASE
)


def needs_admin(action: str, payload: Mapping[str, Any]) -> bool:
    """Say whether only an admin may send this request: for its action, or for what it writes."""
    name = action.lower()
    if name in _OF_ADMINS:
        return True
    if name == "changeconfiguration":
        return _write_needs_admin("", payload.get("key"), payload.get("value"))
    if name == "setvariables":
        data = payload.get("setVariableData")
        return any(_item_needs_admin(item) for item in (data if isinstance(data, list) else ()))
    return False


def endpoint_with_books(action: str, payload: Mapping[str, Any]) -> str | None:
    """Return which endpoint of a station sends this request and records what it changes.

    As method and last part of the path; None where the request may be sent as it is.
    """
    if action in _STARTS and "chargingProfile" in payload:
        return "POST start-under-profile"
    return _WITH_BOOKS.get(action)


def writes_need_admin(writes: Iterable[VariableWrite]) -> bool:
    """Say whether only an admin may write all of these."""
    return any(
        _write_needs_admin(write.name.component, write.name.variable, write.value)
        for write in writes
    )


def _item_needs_admin(item: Any) -> bool:
    if not isinstance(item, Mapping):
        return False
    component, variable = (
        part.get("name") if isinstance(part := item.get(place), Mapping) else None
        for place in ("component", "variable")
    )
    return _write_needs_admin(component, variable, item.get("attributeValue"))


def _write_needs_admin(component: Any, variable: Any, value: Any) -> bool:
    if not isinstance(variable, str):
        return False  # The schema refuses it.
    place = component if isinstance(component, str) else ""
    if is_secret_name(place, variable) or _plain(place) in _COMPONENTS:
        return True
    plain = _plain(variable)
    if _NAMES.search(plain) or plain.endswith(_ENDINGS):
        return True
    if any(word.lower() in _WORDS for word in _WORD.findall(variable)):
        return True
    return isinstance(value, str) and _ADDRESS.search(value) is not None


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())
