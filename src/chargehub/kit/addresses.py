"""Whom an address stands for where addresses are rationed. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

SITE_PREFIX = 64
"""Of IPv6 a site has a /64 at least, and whoever has one has as many addresses as they like."""


def network_of(address: str) -> str:
    """Return what shares one budget with this address: an IPv4 address, or the /64 around it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, SITE_PREFIX), strict=False))
