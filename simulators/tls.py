"""What a station needs to speak TLS: whom it trusts, and who it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


def client_context(
    ca_file: Path, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Trust this authority only, and own this certificate, if any (security profile 3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


@dataclass(frozen=True, slots=True)
class FleetTls:
    """Where the fleet's stations of security profiles 2 and 3 connect, and with what."""

    url: str
    ca_file: Path
    certificates: Path | None = None
    """A directory of {identity}.pem and {identity}-key.pem."""

    def context(self, identity: str, profile: int) -> ssl.SSLContext:
        if profile < 3:
            return client_context(self.ca_file)
        if self.certificates is None:
            raise ValueError(f"{identity} has security profile 3, and there are no certificates")
        certificate = self.certificates / f"{identity}.pem"
        return client_context(self.ca_file, certificate, self.certificates / f"{identity}-key.pem")
