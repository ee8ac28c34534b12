"""The CALLERROR codes in one spelling, the versions' own spellings, and what the host is told.

Owns the vocabulary of failures; deciding which failure it is belongs to `session` and `schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class ErrorCode(StrEnum):
    """The codes of OCPP 2.x (P4 4.3); `Dialect.spell` gives a version's own spelling."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"


V16_SPELLINGS: Mapping[ErrorCode, str] = MappingProxyType(
    {
        # 16J table 7: other words, one of them misspelt in the standard itself.
        ErrorCode.FORMAT_VIOLATION: "FormationViolation",
        ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
        # 1.6 does not know these two, so it never emits them.
        ErrorCode.RPC_FRAMEWORK_ERROR: "FormationViolation",
        ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "ProtocolError",
    }
)

_READINGS: Mapping[str, ErrorCode] = MappingProxyType(
    {
        **{str(code): code for code in ErrorCode},
        # Stations use either version's spelling whatever they speak.
        "FormationViolation": ErrorCode.FORMAT_VIOLATION,
        "OccurenceConstraintViolation": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    }
)


def read_error_code(text: str) -> ErrorCode | str:
    """Return the code whatever its spelling, or the text itself when no standard knows it."""
    return _READINGS.get(text, text)


class Violation(NamedTuple):
    """Why a payload is not acceptable, fit to be sent back: it never echoes the payload."""

    code: ErrorCode
    description: str


class OcppError(Exception):
    """The host asked the session for something it cannot do; never caused by a station."""


class SessionClosed(OcppError):
    """The connection of this session is gone."""


class CallQueueFull(OcppError):
    """Too many calls wait for this station already."""


class NoSuchCall(OcppError):
    """There is no CALL of the station with this message id that waits for an answer."""


class InvalidPayload(OcppError):
    """The payload does not match the version's schema, or is not JSON at all."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.description)
        self.violation = violation
