"""Certificates for a test's own TLS world, and the contexts of clients that live in it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from chargehub.demo.certificates import HOSTS, CertificateAuthority, Pem
from chargehub.kit.clock import wall_now
from chargehub.settings import TlsSettings

OPERATOR = "Quzhou Taxi Charging"
ANCIENT = timedelta(days=5_000)


@dataclass
class TlsWorld:
    place: Path
    authority: CertificateAuthority
    stranger: CertificateAuthority
    """An authority of the same name that nobody trusts."""

    @classmethod
    def create(cls, place: Path) -> TlsWorld:
        authority = CertificateAuthority.create("Test CA", wall_now())
        world = cls(place, authority, CertificateAuthority.create("Test CA", wall_now()))
        authority.pem.write(place, "ca")
        for use_rsa, name in ((True, "rsa"), (False, "ecdsa")):
            authority.issue_server(HOSTS, wall_now(), use_rsa=use_rsa).write(place, name)
        return world

    def settings(self) -> TlsSettings:
        return TlsSettings(
            port=0,
            rsa_chain=self.place / "rsa.pem",
            rsa_key=self.place / "rsa-key.pem",
            ecdsa_chain=self.place / "ecdsa.pem",
            ecdsa_key=self.place / "ecdsa-key.pem",
            client_ca=self.place / "ca.pem",
            organisation=OPERATOR,
        )

    def client(
        self,
        pem: Pem | None = None,
        *,
        ciphers: str | None = None,
        version: ssl.TLSVersion | None = None,
        trust: CertificateAuthority | None = None,
    ) -> ssl.SSLContext:
        """Return a station's context: it trusts the CA, and has this certificate if any."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=(trust or self.authority).pem.certificate)
        if ciphers is not None:
            context.set_ciphers(ciphers)
        if version is not None:
            allow_version(context, version)
        if pem is not None:
            pem.write(self.place, "client")
            context.load_cert_chain(self.place / "client.pem", self.place / "client-key.pem")
        return context

    def station(
        self,
        serial_number: str,
        *,
        organisation: str = OPERATOR,
        use_rsa: bool = False,
        issuer: CertificateAuthority | None = None,
    ) -> Pem:
        authority = issuer or self.authority
        return authority.issue_station(serial_number, organisation, wall_now(), use_rsa=use_rsa)

    def expired_station(self, serial_number: str) -> Pem:
        return self.authority.issue_station(serial_number, OPERATOR, wall_now() - ANCIENT)


def allow_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """Let the context speak this version only."""
    # From below: the lowest may not pass the highest, nor the other way round.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.minimum_version = version


ClientOf = Callable[[TlsWorld], ssl.SSLContext]
