"""The OCPP RPC layer, pure: text in, typed events and text out, the time passed in.

It knows frames, calls, schemas and how the versions differ; what a message means is the gateway's.
"""

from chargehub.ocpp.errors import (
    CallQueueFull,
    ErrorCode,
    InvalidPayload,
    NoSuchCall,
    OcppError,
    SessionClosed,
    Violation,
    read_error_code,
)
from chargehub.ocpp.events import (
    CallAnswered,
    CallFailed,
    CallReceived,
    CallRefused,
    CallRepeated,
    Event,
    FailureReason,
    Ignored,
    IgnoredReason,
    ResultRefused,
    SendReceived,
)
from chargehub.ocpp.frames import (
    CALL,
    CALL_ERROR,
    CALL_RESULT,
    OutboundFrame,
    drop_absent,
    load_json,
)
from chargehub.ocpp.schemas import Schemas, schemas_for
from chargehub.ocpp.session import OcppSession
from chargehub.ocpp.versions import DIALECTS, Dialect, OcppVersion, choose_version

__all__ = [
    "CALL",
    "CALL_ERROR",
    "CALL_RESULT",
    "DIALECTS",
    "CallAnswered",
    "CallFailed",
    "CallQueueFull",
    "CallReceived",
    "CallRefused",
    "CallRepeated",
    "Dialect",
    "ErrorCode",
    "Event",
    "FailureReason",
    "Ignored",
    "IgnoredReason",
    "InvalidPayload",
    "NoSuchCall",
    "OcppError",
    "OcppSession",
    "OcppVersion",
    "OutboundFrame",
    "ResultRefused",
    "Schemas",
    "SendReceived",
    "SessionClosed",
    "Violation",
    "choose_version",
    "drop_absent",
    "load_json",
    "read_error_code",
    "schemas_for",
]
