"""By which security profile a station may enter, decided from what it presents. Pure.

The profiles are those of OCPP (A00). What a station has and must have is the database's; how it
came by a socket and a certificate is the gateway's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus

from chargehub.kit.errors import Conflict, InvalidInput
from chargehub.stations.credentials import verify


class SecurityProfileLowered(Conflict):
    """A station's security profile is never lowered."""

    code = "security-profile-lowered"


class SerialNumberNeeded(InvalidInput):
    """Security profile 3 needs the serial number that the station's certificate names."""

    code = "serial-number-needed"


class SecurityProfile(IntEnum):
    """How a station and the hub prove who they are; a higher one is safer."""

    OPEN = 0  # No password at all.
    BASIC = 1
    TLS_BASIC = 2
    TLS_CERTIFICATE = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the hub knows of a station that knocks."""

    station_id: int
    identity: str
    credential_hash: bytes | None
    security_profile: int = SecurityProfile.BASIC
    """The least that it may use."""
    pending_hash: bytes | None = None
    """Of the password that it may have been given, while nobody knows whether it took it."""
    bound_serial_number: str | None = None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The subject of a certificate whose chain the TLS library has verified."""

    common_names: tuple[str, ...]
    organisations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a station brought to the door."""

    password: bytes | None
    encrypted: bool = False
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """How a station came in."""

    profile: SecurityProfile
    credential_hash: bytes | None = None
    """What its password was compared with; None where no password decided."""
    certified_serial: str | None = None
    """The serial number that its certificate names."""


@dataclass(frozen=True, slots=True)
class Refusal:
    why: str
    status: HTTPStatus


def check_profile(profile: int, serial_number: str | None, *, before: int = 0) -> None:
    """Refuse what would shut the station out for ever, and every way back (A05.FR.07)."""
    if profile < before:
        raise SecurityProfileLowered(
            f"It is {before}. For a device that is reset or exchanged, replace the station."
        )
    if profile == SecurityProfile.TLS_CERTIFICATE and serial_number is None:
        raise SerialNumberNeeded


def decide_entry(
    candidate: Candidate, presented: Presented, key: bytes, organisation: str | None
) -> Entry | Refusal:
    """Decide what the station comes in by: its certificate, else its password, else nothing."""
    entry = _enter(candidate, presented, key, organisation)
    if isinstance(entry, Entry) and entry.profile < candidate.security_profile:
        # A00.FR.002, A05.FR.07 (WP A05.FR.09): no way back to a lower profile.
        why = f"security profile {int(entry.profile)}, at least {candidate.security_profile} needed"
        return Refusal(why, HTTPStatus.FORBIDDEN)
    return entry


def _enter(
    candidate: Candidate, presented: Presented, key: bytes, organisation: str | None
) -> Entry | Refusal:
    fault = None
    if presented.certificate is not None:
        fault = certificate_fault(
            presented.certificate, candidate.bound_serial_number, organisation
        )
        if fault is None:
            serial = candidate.bound_serial_number
            return Entry(SecurityProfile.TLS_CERTIFICATE, certified_serial=serial)
    if presented.password:
        return _enter_by_password(candidate, presented.password, key, presented.encrypted)
    if fault is not None:
        return Refusal(fault, HTTPStatus.FORBIDDEN)
    if candidate.security_profile == SecurityProfile.OPEN:
        return Entry(SecurityProfile.OPEN)
    return Refusal("no password, or none that can be read", HTTPStatus.UNAUTHORIZED)


def _enter_by_password(
    candidate: Candidate, password: bytes, key: bytes, encrypted: bool
) -> Entry | Refusal:
    profile = SecurityProfile.TLS_BASIC if encrypted else SecurityProfile.BASIC
    for known in (candidate.credential_hash, candidate.pending_hash):
        if known is not None and verify(key, known, password):
            return Entry(profile, credential_hash=known)
    return Refusal("wrong password", HTTPStatus.UNAUTHORIZED)


def certificate_fault(
    certificate: ClientCertificate, serial_number: str | None, organisation: str | None
) -> str | None:
    """Say why this certificate is not the station's, or None.

    Whole names are compared, and there must be one of each: A00.FR.404/405 say "contains", but
    with that the certificate of station 12 would also open station 1.
    """
    if organisation is None or certificate.organisations != (organisation,):
        return "the certificate's O is not the operator"
    if serial_number is None:
        return "no serial number is recorded to compare the certificate's CN with"
    if certificate.common_names != (serial_number,):
        return "the certificate's CN is not the station's serial number"
    return None
