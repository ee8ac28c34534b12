"""By what a station comes in, decided from values alone."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.stations.credentials import hash_credential
from chargehub.stations.entry import (
    Candidate,
    ClientCertificate,
    Entry,
    Presented,
    Refusal,
    SecurityProfile,
    certificate_fault,
    decide_entry,
)

KEY = b"k" * 32
OPERATOR, SERIAL = "Quzhou Taxi Charging", "DC120-0042"
PASSWORDS = {"current": b"the-current-password", "pending": b"the-pending-password"}
GOOD = ClientCertificate((SERIAL,), (OPERATOR,))
BAD = ClientCertificate(("DC120-0043",), (OPERATOR,))

candidates = st.builds(
    Candidate,
    station_id=st.just(1),
    identity=st.just("CS001"),
    credential_hash=st.sampled_from([None, hash_credential(KEY, PASSWORDS["current"])]),
    security_profile=st.integers(0, 3),
    pending_hash=st.sampled_from([None, hash_credential(KEY, PASSWORDS["pending"])]),
    bound_serial_number=st.sampled_from([None, SERIAL]),
)
certificates = st.sampled_from([None, GOOD, BAD])
passwords = st.sampled_from([None, b"", b"neither-of-them-here", *PASSWORDS.values()])


@given(candidates, passwords, st.booleans(), certificates, st.sampled_from([None, OPERATOR]))
def test_nobody_comes_in_without_what_its_profile_demands(
    candidate: Candidate,
    password: bytes | None,
    encrypted: bool,
    certificate: ClientCertificate | None,
    organisation: str | None,
) -> None:
    presented = Presented(password, encrypted, certificate if encrypted else None)
    entry = decide_entry(candidate, presented, KEY, organisation)
    if isinstance(entry, Refusal):
        assert entry.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return
    assert entry.profile >= candidate.security_profile
    match entry.profile:
        case SecurityProfile.OPEN:
            assert candidate.security_profile == 0
            assert not password
        case SecurityProfile.BASIC | SecurityProfile.TLS_BASIC:
            assert password is not None
            assert encrypted == (entry.profile is SecurityProfile.TLS_BASIC)
            assert entry.credential_hash == hash_credential(KEY, password)
            assert entry.credential_hash in {candidate.credential_hash, candidate.pending_hash}
        case SecurityProfile.TLS_CERTIFICATE:
            assert presented.certificate == GOOD
            assert organisation == OPERATOR
            assert entry.certified_serial == candidate.bound_serial_number == SERIAL


def test_both_passwords_open_while_a_change_is_open() -> None:
    current, pending = (hash_credential(KEY, PASSWORDS[name]) for name in ("current", "pending"))
    candidate = Candidate(1, "CS001", current, pending_hash=pending)
    for name, stored in (("current", current), ("pending", pending)):
        entry = decide_entry(candidate, Presented(PASSWORDS[name]), KEY, None)
        assert entry == Entry(SecurityProfile.BASIC, stored)


@pytest.mark.parametrize(
    ("certificate", "faulty"),
    [
        (GOOD, False),
        (ClientCertificate((SERIAL, SERIAL), (OPERATOR,)), True),
        (ClientCertificate((SERIAL,), (OPERATOR, OPERATOR)), True),
        (ClientCertificate((), (OPERATOR,)), True),
        (ClientCertificate((SERIAL,), ()), True),
        (ClientCertificate((SERIAL + "0",), (OPERATOR,)), True),
        (ClientCertificate((SERIAL[:-1],), (OPERATOR,)), True),
        (ClientCertificate((SERIAL.lower(),), (OPERATOR,)), True),
        (ClientCertificate((SERIAL + "\x00",), (OPERATOR,)), True),
        (ClientCertificate((SERIAL,), (OPERATOR.upper(),)), True),
    ],
)
def test_whole_names_are_compared_and_only_one_of_each(
    certificate: ClientCertificate, faulty: bool
) -> None:
    assert (certificate_fault(certificate, SERIAL, OPERATOR) is not None) == faulty
    assert certificate_fault(certificate, None, OPERATOR) is not None
    assert certificate_fault(certificate, SERIAL, None) is not None
