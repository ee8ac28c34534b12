"""What a test suite's request means, and who may send one. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Container

from chargehub.stations.commands import RawCommand
from chargehub.stations.credentials import CREDENTIAL

FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""Headers that a proxy adds: whoever sent such a request is not who opened the connection."""


def action_of(name: str) -> str:
    """Turn a suite's `remote-start-transaction` into the action `RemoteStartTransaction`."""
    return "".join(part.capitalize() for part in name.split("-"))


def credential_in(command: RawCommand) -> str | None:
    """Return the password that a ChangeConfiguration gives the station, if it does and may."""
    key, value = command.payload.get("key"), command.payload.get("value")
    if command.action != "ChangeConfiguration" or key != "AuthorizationKey":
        return None
    return value if isinstance(value, str) and CREDENTIAL.fullmatch(value) else None


def is_from_here(host: str | None, headers: Container[str]) -> bool:
    """Say whether a request was sent on this machine, by its peer's address and its headers."""
    if host is None or any(name in headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
