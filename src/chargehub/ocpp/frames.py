"""One frame of OCPP-J: text to a typed frame and back. Knows JSON and the array, no rule of order.

Whatever arrives, `parse` returns a frame: strings are free of NUL and lone surrogates but for the
message id of what we answer, which is as it came; numbers are finite, nesting is bounded. Whatever
leaves is compact, without null, [] or {} for absent fields.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from chargehub.kit.datetimes import format_datetime
from chargehub.ocpp.errors import ErrorCode, InvalidPayload, Violation

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4
CALL_RESULT_ERROR: Final = 5
SEND: Final = 6

RPC_TYPES: Final = frozenset({CALL, CALL_RESULT, CALL_ERROR})
"""The message types of 1.6 and 2.0.1."""

RPC_TYPES_OF_2_1: Final = RPC_TYPES | {CALL_RESULT_ERROR, SEND}
"""2.1 P4 4.1.3 adds an error that answers a CALLRESULT, and a message that nothing answers."""

MESSAGE_ID_MAX = 255
"""The standard says 36; longer ones are echoed all the same, so that billing data gets through."""

DESCRIPTION_MAX = 255
"""P4 4.2.3: errorDescription is a string[255]."""

DEPTH_MAX = 64
"""No OCPP message nests this deep; beyond it every consumer of the payload would be at risk."""

CUT: Final = "nested too deep"
"""Stands in a station's frame for what would be deeper: its call is answered all the same."""

UNREADABLE_ID: Final = "-1"
"""P4 4.2.3: the message id of an answer to a frame whose own id cannot be read."""


class Call(NamedTuple):
    message_id: str
    action: str
    payload: dict[str, Any]


class CallResult(NamedTuple):
    message_id: str
    payload: Any
    """An object if the station keeps to the standard."""


class CallError(NamedTuple):
    message_id: str
    code: str
    description: str
    details: Any
    """An object if the station keeps to the standard; some send a string."""


class CallResultError(NamedTuple):
    """The sender could not process our CALLRESULT of this id (2.1 P4 4.2.3)."""

    message_id: str
    code: str
    description: str
    details: Any


class Send(NamedTuple):
    """A message that is never answered (2.1 P4 4.2.4)."""

    message_id: str
    action: str
    payload: dict[str, Any]


class UnknownType(NamedTuple):
    message_type: int
    message_id: str | None


class Malformed(NamedTuple):
    reason: str
    message_id: str | None = None
    """None when not even that could be read."""
    fault: Violation | None = None
    """How to answer; None when it was an answer itself or a SEND, which are never answered."""


class OutboundFrame(NamedTuple):
    """What is to be sent, and what it is."""

    text: str
    message_type: int
    message_id: str
    action: str
    """Of an answer: the action that it answers; empty where that could not be read."""


Frame = Call | CallResult | CallError | CallResultError | Send | UnknownType | Malformed


def parse(text: str | bytes, message_types: Container[int] = RPC_TYPES) -> Frame:
    """Read one message of the socket. Bytes are a binary frame, which OCPP-J does not have.

    `message_types` are those of the version; any other is an `UnknownType`.
    """
    if not isinstance(text, str):
        return _malformed("binary frame")
    try:
        message, unclean = _load(text, cuts=True)
    except ValueError:
        return _malformed("not acceptable JSON")
    if type(message) is not list or not message or type(message[0]) is not int:
        return _malformed("not an OCPP message")
    message_id = message[1] if len(message) > 1 else None
    if unclean:
        message = _clean(message)
        if message[0] in {CALL_RESULT, CALL_ERROR}:
            # These repeat an id of ours, which firmware pads; what we answer is answered under
            # exactly the id it came with (16J 4.2.2, P4 4.2.2).
            message_id = message[1] if len(message) > 1 else None
    if type(message_id) is not str or not 0 < len(message_id) <= MESSAGE_ID_MAX:
        message_id = None
    if message[0] not in message_types:
        return UnknownType(message[0], message_id)
    return _READERS[message[0]](message, message_id)


def _malformed(
    reason: str, message_id: str | None = None, code: ErrorCode = ErrorCode.RPC_FRAMEWORK_ERROR
) -> Malformed:
    return Malformed(reason, message_id, Violation(code, reason))


def _read_call(message: list[Any], message_id: str | None) -> Call | Malformed:
    if message_id is None:
        return _malformed("a CALL without usable message id")
    if len(message) != 4:
        return _malformed("a CALL has four elements", message_id)
    _, _, action, payload = message
    if type(action) is not str:
        return _malformed("the action is not a string", message_id)
    if type(payload) is not dict:
        if payload is not None:
            return _malformed("the payload is no object", message_id, ErrorCode.FORMAT_VIOLATION)
        payload = {}  # P4 4.1.5 allows null for "no payload".
    return Call(message_id, action, payload)


def _read_call_result(message: list[Any], message_id: str | None) -> Frame:
    if message_id is None:
        return Malformed("a CALLRESULT without usable message id")
    return CallResult(message_id, message[2] if len(message) > 2 else None)


def _read_call_error(message: list[Any], message_id: str | None) -> Frame:
    if message_id is None:
        return Malformed("a CALLERROR without usable message id")
    return CallError(message_id, *_read_error(message))


def _read_call_result_error(message: list[Any], message_id: str | None) -> Frame:
    if message_id is None:
        return Malformed("a CALLRESULTERROR without usable message id")
    return CallResultError(message_id, *_read_error(message))


def _read_error(message: list[Any]) -> tuple[str, str, Any]:
    code, description, details = (*message[2:5], None, None, None)[:3]
    return (
        code if isinstance(code, str) else "",
        description if isinstance(description, str) else "",
        {} if details is None else details,
    )


def _read_send(message: list[Any], message_id: str | None) -> Frame:
    # P4 4.2.4: it has the elements of a CALL, and no answer whatever they are.
    read = _read_call(message, message_id)
    return Send(*read) if isinstance(read, Call) else Malformed("an unreadable SEND", message_id)


_READERS: Mapping[int, Callable[[list[Any], str | None], Frame]] = {
    CALL: _read_call,
    CALL_RESULT: _read_call_result,
    CALL_ERROR: _read_call_error,
    CALL_RESULT_ERROR: _read_call_result_error,
    SEND: _read_send,
}


# JSON in ---------------------------------------------------------------------------------------

_UNCLEAN_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER_DIGITS_MAX = 20
_NUMBER_SHOWN_MAX = 40


def load_json(text: str, *, cuts: bool = False) -> Any:
    """Read JSON that is safe to keep; ValueError when it is not JSON or nested too deeply.

    With `cuts`, what is nested too deeply becomes a text that says so, which fails the schema as
    any value that makes no sense; only what no reader can take is still a ValueError.
    """
    value, unclean = _load(text, cuts=cuts)
    return _clean(value) if unclean else value


def _load(text: str, *, cuts: bool) -> tuple[Any, bool]:
    """Read JSON as `load_json` does, but clean nothing: tell whether that is needed."""
    try:
        value = orjson.loads(text)
    except ValueError:
        value = _load_slowly(text)
        unclean = True
    else:
        # Raw NUL and raw surrogates never pass orjson, so only escapes can hide them.
        unclean = "\\" in text and _UNCLEAN_ESCAPE.search(text) is not None
    if text.count("[") + text.count("{") > DEPTH_MAX and (deepest := _at_the_limit(value)):
        if not cuts:
            raise ValueError("nested too deeply")
        for node in deepest:
            _cut(node)
    return value, unclean


def _load_slowly(text: str) -> Any:
    """Accept what orjson refuses but a charging station may send in the middle of billing data.

    That is lone surrogates and raw control characters within strings, a byte order mark, and
    numbers that are none: NaN, Infinity and what no float holds become text, which fails the
    schema and is answered as any value that makes no sense.
    """
    try:
        return json.loads(
            text.lstrip("\ufeff"),
            strict=False,
            parse_constant=str,
            parse_float=_finite,
            # As orjson does: an integer beyond 64 bits becomes a float.
            parse_int=lambda digits: (
                int(digits) if len(digits) < _INTEGER_DIGITS_MAX else _finite(digits)
            ),
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text[:_NUMBER_SHOWN_MAX]


def _at_the_limit(value: Any) -> list[Any]:
    """Return the objects and arrays at the greatest depth allowed that hold further ones."""
    level = [value] if type(value) in (dict, list) else []
    for _ in range(DEPTH_MAX - 1):
        level = [child for node in level for child in _items(node) if type(child) in (dict, list)]
        if not level:
            return level
    return [node for node in level if any(type(child) in (dict, list) for child in _items(node))]


def _items(node: Any) -> Iterable[Any]:
    return node.values() if type(node) is dict else node


def _cut(node: Any) -> None:
    for key, child in list(node.items() if type(node) is dict else enumerate(node)):
        if type(child) in (dict, list):
            node[key] = CUT


def _clean(value: Any) -> Any:
    """Rid every string of what neither PostgreSQL nor UTF-8 can hold."""
    if isinstance(value, str):
        # Firmware pads its buffers with NUL, so NUL goes without trace.
        return _LONE_SURROGATE.sub("\ufffd", value.replace("\0", ""))
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


# JSON out --------------------------------------------------------------------------------------

VENDOR_FIELDS = frozenset({"data", "customData"})
"""Their content is the vendor's own JSON and travels untouched."""


def encode_call(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    return _encode([CALL, message_id, action, payload])


def encode_call_result(message_id: str, payload: Mapping[str, Any]) -> str:
    return _encode([CALL_RESULT, message_id, payload])


def encode_call_error(
    message_id: str, code: str, description: str, details: Mapping[str, Any]
) -> str:
    return _encode([CALL_ERROR, message_id, code, description[:DESCRIPTION_MAX], details])


def encode_call_result_error(message_id: str, code: str, description: str) -> str:
    return _encode([CALL_RESULT_ERROR, message_id, code, description[:DESCRIPTION_MAX], {}])


def drop_absent(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is absent: null, [] and {} are no way to say so (P4 4.1.5)."""
    kept: dict[str, Any] = {}
    for key, value in payload.items():
        item = value if key in VENDOR_FIELDS else _without_absent(value)
        if not _is_absent(item):
            kept[key] = item
    return kept


def _without_absent(value: Any) -> Any:
    if isinstance(value, Mapping):
        return drop_absent(value)
    if isinstance(value, (list, tuple)):
        items = [_without_absent(item) for item in value]
        return [item for item in items if not _is_absent(item)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple, Mapping)) and not value)


def _encode(message: list[Any]) -> str:
    payload = message[-1]
    try:
        text = _dump(message)
        # The empty payload itself is the one {} that belongs there.
        if payload and ("null" in text or "[]" in text or "{}" in text):
            message[-1] = drop_absent(payload)
            text = _dump(message)
    except (TypeError, ValueError, RecursionError) as error:
        description = f"not encodable as JSON: {type(error).__name__}"
        raise InvalidPayload(Violation(ErrorCode.FORMAT_VIOLATION, description)) from error
    return text


def _dump(message: list[Any]) -> str:
    try:
        return orjson.dumps(message, _dump_other, orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        # Integers beyond 64 bits and lone surrogates: rare, legal JSON all the same. An id that
        # holds one goes back as it came, in the only form it has: an escape.
        message = [*message[:2], *_clean(message[2:])]
        return json.dumps(message, default=_dump_other, separators=(",", ":"))


def _dump_other(value: object) -> object:
    if isinstance(value, datetime):
        return format_datetime(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
