"""What `OcppSession` tells its host: one event for each frame, one ending for each call of ours."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from chargehub.ocpp.errors import ErrorCode, Violation


class CallReceived(NamedTuple):
    """A CALL to be worked on; the host owes `reply` or `reply_error` for it."""

    message_id: str
    action: str
    payload: dict[str, Any]
    violation: Violation | None = None
    """Set only for tolerant actions, whose payload is handed up though it fails its schema."""
    signed: bool = False
    """It came as `X-Signed`; the signature was not verified."""

    @property
    def valid(self) -> bool:
        return self.violation is None


class CallRefused(NamedTuple):
    """A CALL that the session has answered with a CALLERROR by itself."""

    message_id: str
    action: str
    """Empty when it could not be read."""
    violation: Violation


class CallRepeated(NamedTuple):
    """A retry of an earlier CALL: answered again from memory, or its answer is still to come."""

    message_id: str
    action: str
    answered: bool


class SendReceived(NamedTuple):
    """A message to be worked on that nobody waits for an answer to (2.1 FR.07)."""

    message_id: str
    action: str
    payload: dict[str, Any]
    violation: Violation | None = None

    @property
    def valid(self) -> bool:
        return self.violation is None


class ResultRefused(NamedTuple):
    """The station could not process our answer to this CALL of its own (2.1 FR.06)."""

    message_id: str
    action: str
    code: ErrorCode | str
    """The station's error code; text when no standard knows it."""
    description: str
    details: Any


class CallAnswered(NamedTuple):
    """Our call succeeded as an RPC; what the station decided is in the payload."""

    message_id: str
    action: str
    payload: dict[str, Any]
    violation: Violation | None = None

    @property
    def valid(self) -> bool:
        return self.violation is None


class FailureReason(StrEnum):
    ANSWERED_WITH_ERROR = "answered_with_error"
    TIMED_OUT = "timed_out"
    CONNECTION_CLOSED = "connection_closed"


class CallFailed(NamedTuple):
    """Our call ended without result."""

    message_id: str
    action: str
    reason: FailureReason
    sent: bool
    """False: it never left, so the station cannot have acted on it."""
    code: ErrorCode | str = ""
    """The station's error code; text when no standard knows it."""
    description: str = ""
    details: Any = None


class IgnoredReason(StrEnum):
    MALFORMED = "malformed"
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    UNMATCHED_ANSWER = "unmatched_answer"
    UNWANTED_SEND = "unwanted_send"
    SESSION_CLOSED = "session_closed"


class Ignored(NamedTuple):
    """A frame that concerns nobody. Where the version wants it, a CALLERROR is queued."""

    reason: IgnoredReason
    detail: str = ""
    message_id: str | None = None


Event = (
    CallReceived
    | CallRefused
    | CallRepeated
    | SendReceived
    | ResultRefused
    | CallAnswered
    | CallFailed
    | Ignored
)
