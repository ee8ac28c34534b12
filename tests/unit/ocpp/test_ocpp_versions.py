"""Statement 3: which version a connection speaks."""

from __future__ import annotations

import pytest

from chargehub.ocpp import (
    DIALECTS,
    ErrorCode,
    OcppVersion,
    choose_version,
    read_error_code,
    schemas_for,
)


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        (["ocpp1.6"], OcppVersion.V16),
        (["ocpp2.0.1"], OcppVersion.V201),
        # The client's order decides, whatever ours is.
        (["ocpp1.6", "ocpp2.0.1"], OcppVersion.V16),
        (["ocpp2.0.1", "ocpp1.6"], OcppVersion.V201),
        (["ocpp1.5", "ocpp2.0.1", "ocpp1.6"], OcppVersion.V201),
        (["ocpp2.1"], OcppVersion.V21),
        (["ocpp2.2", "ocpp2.1", "ocpp2.0.1"], OcppVersion.V21),
        (["ocpp2.0.1", "ocpp2.1", "ocpp1.6"], OcppVersion.V201),
        (["ocpp2.1.0", "ocpp1.6", "ocpp2.1"], OcppVersion.V16),
        ([" ocpp1.6 "], OcppVersion.V16),
        # Names are exact: 2.0 is another protocol than 2.0.1, and case matters (RFC 6455).
        (["ocpp2.0"], None),
        (["OCPP1.6"], None),
        (["ocpp1.6j", "", "soap"], None),
        ([], None),
    ],
)
def test_statement_3_the_first_mutually_supported_offer_wins(
    offers: list[str], chosen: OcppVersion | None
) -> None:
    assert choose_version(offers) is chosen


def test_every_version_has_its_dialect() -> None:
    assert set(DIALECTS) == set(OcppVersion)
    assert all(dialect.version is version for version, dialect in DIALECTS.items())


@pytest.mark.parametrize(
    ("version", "code", "spelling"),
    [
        (OcppVersion.V16, ErrorCode.FORMAT_VIOLATION, "FormationViolation"),
        (
            OcppVersion.V16,
            ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "OccurenceConstraintViolation",
        ),
        (OcppVersion.V16, ErrorCode.SECURITY_ERROR, "SecurityError"),
        (OcppVersion.V201, ErrorCode.FORMAT_VIOLATION, "FormatViolation"),
        (
            OcppVersion.V201,
            ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "OccurrenceConstraintViolation",
        ),
        (OcppVersion.V201, ErrorCode.RPC_FRAMEWORK_ERROR, "RpcFrameworkError"),
        (OcppVersion.V21, ErrorCode.FORMAT_VIOLATION, "FormatViolation"),
        (
            OcppVersion.V21,
            ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "OccurrenceConstraintViolation",
        ),
        (OcppVersion.V21, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "MessageTypeNotSupported"),
        # The host may hand over either version's spelling.
        (OcppVersion.V16, "FormatViolation", "FormationViolation"),
        (OcppVersion.V201, "FormationViolation", "FormatViolation"),
        (OcppVersion.V16, "VendorError", "VendorError"),
    ],
)
def test_statement_26_each_version_has_its_own_spelling(
    version: OcppVersion, code: ErrorCode | str, spelling: str
) -> None:
    assert DIALECTS[version].spell(code) == spelling


def test_what_only_a_station_may_ask_exists_in_its_version() -> None:
    for version, dialect in DIALECTS.items():
        assert dialect.station_requests <= schemas_for(version).actions
        assert not dialect.sends & schemas_for(version).actions


def test_statement_26_ocpp_1_6_emits_only_codes_of_1_6() -> None:
    table_7 = {
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
    assert {DIALECTS[OcppVersion.V16].spell(code) for code in ErrorCode} == table_7


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FormationViolation", ErrorCode.FORMAT_VIOLATION),
        ("FormatViolation", ErrorCode.FORMAT_VIOLATION),
        ("OccurenceConstraintViolation", ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("OccurrenceConstraintViolation", ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("NotSupported", ErrorCode.NOT_SUPPORTED),
        ("SomethingElse", "SomethingElse"),
    ],
)
def test_statement_26_either_spelling_is_understood(text: str, code: ErrorCode | str) -> None:
    assert read_error_code(text) == code
