"""A development CA: the certificates with which the demo and the tests speak TLS.

Made up in the data directory and kept there, keys readable by their owner alone. Making keys takes
a second: never call it on an event loop. For real stations use an authority of your own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chargehub.demo.files import write_private

ORGANISATION = "ChargeHub Demo"
RSA_BITS = 2_048  # A00.FR.502
CA_LIFE = timedelta(days=3_650)
LEAF_LIFE = timedelta(days=730)
RENEWED_BEFORE = timedelta(days=30)
# Station clocks lag.
BACKDATED = timedelta(days=1)
HOSTS = ("localhost", "127.0.0.1", "::1")

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate and its key, as text."""

    certificate: str
    key: str

    def write(self, place: Path, name: str) -> None:
        """Write `name`.pem and `name`-key.pem; the key first, so no certificate is without one."""
        write_private(place / f"{name}-key.pem", self.key)
        write_private(place / f"{name}.pem", self.certificate)


class CertificateAuthority:
    """Issues certificates under one self-signed root."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str, now: datetime) -> CertificateAuthority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, pem: Pem) -> CertificateAuthority:
        key = serialization.load_pem_private_key(pem.key.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("The development CA has a key of another kind.")
        return cls(x509.load_pem_x509_certificate(pem.certificate.encode()), key)

    @property
    def pem(self) -> Pem:
        return Pem(_pem_of(self.certificate), _key_pem(self._key))

    def issue_server(self, hosts: Sequence[str], now: datetime, *, use_rsa: bool) -> Pem:
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]
        purpose = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(subject, purpose, now, use_rsa=use_rsa, alternatives=names)

    def issue_station(
        self, serial_number: str, organisation: str, now: datetime, *, use_rsa: bool = False
    ) -> Pem:
        """Issue a station's certificate: CN is its serial number, O the operator (A00.FR.404/5)."""
        subject = [
            x509.NameAttribute(NameOID.COMMON_NAME, serial_number),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH, now, use_rsa=use_rsa)

    def _issue(
        self,
        subject: list[x509.NameAttribute[str]],
        purpose: x509.ObjectIdentifier,
        now: datetime,
        *,
        use_rsa: bool,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> Pem:
        key: Key = (
            rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS)
            if use_rsa
            else ec.generate_private_key(ec.SECP256R1())
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            # TLS_RSA encrypts with the certificate's own key.
            .add_extension(_usage(encrypts_keys=use_rsa), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return Pem(_pem_of(builder.sign(self._key, hashes.SHA256())), _key_pem(key))


class DemoCertificates:
    """The demo's certificates in a directory of its own; what is there and good stays."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def path(self, name: str) -> Path:
        return self.place / f"{name}.pem"

    def key_path(self, name: str) -> Path:
        return self.place / f"{name}-key.pem"

    @property
    def stations_dir(self) -> Path:
        return self.place / "stations"

    def prepare(self, stations: Mapping[str, str], now: datetime) -> None:
        """Make what is missing or soon over; `stations` are serial numbers by identity."""
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stations_dir.mkdir(mode=0o700, exist_ok=True)
        if self._is_good("ca", None, now):
            authority = CertificateAuthority.load(self._read("ca"))
        else:
            authority = CertificateAuthority.create(f"{ORGANISATION} CA", now)
            authority.pem.write(self.place, "ca")
        root = authority.certificate
        for name, use_rsa in (("server-rsa", True), ("server-ecdsa", False)):
            if not self._is_good(name, root, now):
                authority.issue_server(HOSTS, now, use_rsa=use_rsa).write(self.place, name)
        for identity, serial_number in stations.items():
            if not self._is_good(f"stations/{identity}", root, now):
                pem = authority.issue_station(serial_number, ORGANISATION, now)
                pem.write(self.stations_dir, identity)

    def _is_good(self, name: str, issuer: x509.Certificate | None, now: datetime) -> bool:
        if not (self.path(name).exists() and self.key_path(name).exists()):
            return False
        certificate = x509.load_pem_x509_certificate(self.path(name).read_bytes())
        if certificate.not_valid_after_utc < now + RENEWED_BEFORE:
            return False
        if issuer is None:
            return True
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _read(self, name: str) -> Pem:
        return Pem(self.path(name).read_text(), self.key_path(name).read_text())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool = False, encrypts_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=encrypts_keys,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
