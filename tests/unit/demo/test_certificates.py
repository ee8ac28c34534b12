"""The demo's certificates: made once, kept, and made again only where they would not do."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from chargehub.demo.certificates import LEAF_LIFE, RENEWED_BEFORE, DemoCertificates
from chargehub.gateway.tls import CertificatesUnusable, Chain, TlsOptions, build_context
from chargehub.kit.clock import wall_now

STATIONS = {"QZ-006": "SN-QZ-006", "QZ-007": "SN-QZ-007"}


def contents(made: DemoCertificates) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in made.place.rglob("*.pem")}


@pytest.fixture
def made(tmp_path: Path) -> DemoCertificates:
    certificates = DemoCertificates(tmp_path / "certificates")
    certificates.prepare(STATIONS, wall_now())
    return certificates


def test_only_the_owner_reads_them_and_a_second_start_changes_nothing(
    made: DemoCertificates,
) -> None:
    first = contents(made)
    assert len(first) == 2 * (1 + 2 + len(STATIONS))
    assert {path.stat().st_mode & 0o777 for path in first} == {0o600}
    made.prepare(STATIONS, wall_now())
    assert contents(made) == first


def test_what_is_missing_or_soon_over_is_made_again(made: DemoCertificates) -> None:
    first = contents(made)
    made.key_path("stations/QZ-006").unlink()
    made.prepare(STATIONS, wall_now())
    renewed = {path.name for path, content in contents(made).items() if content != first[path]}
    assert renewed == {"QZ-006.pem", "QZ-006-key.pem"}
    later = wall_now() + LEAF_LIFE - RENEWED_BEFORE + timedelta(days=1)
    before = contents(made)
    made.prepare(STATIONS, later)
    kept = {path.name for path, content in contents(made).items() if content == before[path]}
    assert kept == {"ca.pem", "ca-key.pem"}


def test_a_lost_authority_makes_everything_new(made: DemoCertificates) -> None:
    first = contents(made)
    made.path("ca").unlink()
    made.prepare(STATIONS, wall_now())
    assert not [path for path, content in contents(made).items() if content == first[path]]


def test_a_station_is_named_by_its_serial_number_and_operator(made: DemoCertificates) -> None:
    pem = made.path("stations/QZ-006").read_bytes()
    subject = x509.load_pem_x509_certificate(pem).subject
    assert subject.rfc4514_string() == "O=ChargeHub Demo,CN=SN-QZ-006"


def options(made: DemoCertificates, **files: Path) -> TlsOptions:
    chain = files.get("chain", made.path("server-rsa"))
    key = files.get("key", made.key_path("server-rsa"))
    client_ca = files.get("client_ca", made.path("ca"))
    return TlsOptions("127.0.0.1", 0, (Chain(chain, key),), client_ca)


def test_the_listener_takes_them(made: DemoCertificates) -> None:
    context = build_context(options(made))
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize("name", ["chain", "key", "client_ca"])
def test_files_that_do_not_fit_are_named(made: DemoCertificates, tmp_path: Path, name: str) -> None:
    for wrong in ("missing.pem", "empty.pem", "words.pem"):
        path = tmp_path / wrong
        if wrong != "missing.pem":
            path.write_text("no certificate" if wrong == "words.pem" else "")
        with pytest.raises(CertificatesUnusable, match=wrong):
            build_context(options(made, **{name: path}))


def test_anothers_key_and_a_locked_one_are_refused(made: DemoCertificates, tmp_path: Path) -> None:
    with pytest.raises(CertificatesUnusable):
        build_context(options(made, key=made.key_path("server-ecdsa")))
    locked = tmp_path / "locked-key.pem"
    key = serialization.load_pem_private_key(made.key_path("server-rsa").read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a pass phrase"),
        )
    )
    with pytest.raises(CertificatesUnusable, match="encrypted"):
        build_context(options(made, key=locked))
