"""What must come back for a frame, as the standards say it and as our decisions add to them.

Nothing here is taken from the server's tables: codes and lists are written down from 16J table 7,
P4 4.3 and the statements. Responses are held against the official schemas.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs
import orjson

from tests.fuzz.payloads import Fault, response_schema
from tests.hub_fixtures import V16, V21, V201

RESULT = "result"
UNREADABLE_ID = "-1"

_CODES_OF_ALL = {
    Fault.PROPERTY: "PropertyConstraintViolation",
    Fault.TYPE: "TypeConstraintViolation",
    Fault.UNKNOWN_ACTION: "NotImplemented",
    Fault.UNSERVED_ACTION: "NotSupported",
    Fault.NOT_ACCEPTED: "SecurityError",
}
_CODES_OF_2 = {
    **_CODES_OF_ALL,
    Fault.FORMATION: "FormatViolation",
    Fault.OCCURRENCE: "OccurrenceConstraintViolation",
    Fault.FRAMEWORK: "RpcFrameworkError",
}
CODES = {
    # 16J table 7 with its spelling; what only 2.x has, 1.6 never says (statement 26).
    V16: {
        **_CODES_OF_ALL,
        Fault.FORMATION: "FormationViolation",
        Fault.OCCURRENCE: "OccurenceConstraintViolation",
        Fault.FRAMEWORK: "FormationViolation",
    },
    V201: _CODES_OF_2,
    V21: _CODES_OF_2,
}
UNREADABLE = {V16: None, V201: "RpcFrameworkError", V21: "RpcFrameworkError"}
"""To a frame whose id cannot be read (statement 23)."""
UNKNOWN_TYPE = {V16: None, V201: "MessageTypeNotSupported", V21: None}
"""To a message type that the version does not have (statement 24)."""
REFUSES_RESULTS = {V16: False, V201: False, V21: True}
"""Whether an invalid CALLRESULT gets a CALLRESULTERROR (statement 30)."""

ALWAYS_RESULT = frozenset(
    (
        # 16 4.7, 4.8, 4.10, J01.FR.18, J02.FR.19 (statement 29).
        "MeterValues",
        "StartTransaction",
        "StopTransaction",
        "TransactionEvent",
        # Our decisions: a status is read as far as it goes, a long field keeps no station out.
        "StatusNotification",
        "BootNotification",
    )
)
SIGNED = "-Signed"
DESCRIPTION_MAX = 255


class Expected(NamedTuple):
    """What one frame of the station asks for."""

    message_id: str | None
    """Of the answer; None: nothing may answer it."""
    words: frozenset[str] = frozenset()
    """`RESULT`, or the error codes that are right."""
    action: str = ""


NOTHING = Expected(None)


def answered(message_id: str, version: str, action: str, *faults: Fault) -> Expected:
    """Say what a CALL of a served action gets from a hub that has accepted the station."""
    if not faults or (action in ALWAYS_RESULT and Fault.FRAMEWORK not in faults):
        return Expected(message_id, frozenset((RESULT,)), action)
    return refused(message_id, version, *faults, action=action)


def refused(message_id: str, version: str, *faults: Fault, action: str = "") -> Expected:
    return Expected(message_id, frozenset(CODES[version][fault] for fault in faults), action)


def before_acceptance(expected: Expected, version: str) -> Expected:
    """Say what the same frame gets before it (statement 32: B02.FR.09, B03.FR.07, E16J 3.10)."""
    if expected.message_id in {None, UNREADABLE_ID} or expected.action == "BootNotification":
        return expected
    words = {CODES[version][Fault.NOT_ACCEPTED]}
    # Nothing prescribes which comes first of two refusals.
    words |= expected.words - {RESULT}
    return expected._replace(words=frozenset(words))


def unreadable(version: str) -> Expected:
    code = UNREADABLE[version]
    return NOTHING if code is None else Expected(UNREADABLE_ID, frozenset((code,)))


def unknown_type(version: str, message_id: str | None) -> Expected:
    code = UNKNOWN_TYPE[version]
    return NOTHING if code is None else Expected(message_id or UNREADABLE_ID, frozenset((code,)))


@cache
def _response_check(version: str, action: str) -> Any:
    schema = response_schema(version, action)
    return jsonschema_rs.validator_for(schema, validate_formats=True)


class Exchange(NamedTuple):
    """What was sent in a conversation, each text with what it asks for, and what was heard."""

    version: str
    sent: Sequence[tuple[bytes, Expected]]
    heard: Sequence[str]


def judge(exchange: Exchange) -> list[str]:
    """Return complaints: none if every frame got what it must, and nothing else was said."""
    complaints: list[str] = []
    frames = []
    for text in exchange.heard:
        frame = orjson.loads(text)
        complaints += _form(frame, text)
        frames.append(frame)
    by_id: dict[str, list[tuple[bytes, Expected]]] = defaultdict(list)
    for data, expected in exchange.sent:
        if expected.message_id is not None:
            by_id[expected.message_id].append((data, expected))
    complaints += _unreadable_answers(by_id.pop(UNREADABLE_ID, []), frames)
    heard = Counter(frame[1] for frame in frames if frame[1] != UNREADABLE_ID)
    for message_id, asked in by_id.items():
        # The same text again is a retry, which one answer may serve (P4 4.1.4).
        least = len({data for data, _ in asked})
        if not least <= heard.pop(message_id, 0) <= len(asked):
            complaints.append(f"{message_id!r}: not answered once each")
    complaints += [f"{message_id!r}: answers nothing" for message_id in heard]
    for frame in frames:
        if frame[1] in by_id:
            complaints += _answer(exchange.version, frame, [e for _, e in by_id[frame[1]]])
    complaints += _order(by_id, exchange.sent, frames)
    return complaints


def _form(frame: Any, text: str) -> Iterable[str]:
    """Statements 27 and 28, and that JSON is compact."""
    if orjson.dumps(frame).decode() != text:
        yield f"not compact: {text[:200]}"
    match frame:
        case [3, str(), dict(payload)]:
            yield from _absent(payload)
        case [4, str(), str(code), str(description), dict()]:
            if code == "InternalError":
                yield f"a fault of ours: {text[:200]}"
            if len(description) > DESCRIPTION_MAX:
                yield f"description of {len(description)}: {text[:200]}"
        case _:
            yield f"not an answer: {text[:200]}"


def _absent(value: Any) -> Iterable[str]:
    for item in value.values() if isinstance(value, dict) else value:
        if item is None or item in ([], {}):
            yield f"{item} for an absent field"
        elif isinstance(item, dict | list):
            yield from _absent(item)


def _unreadable_answers(
    asked: Sequence[tuple[bytes, Expected]], frames: Sequence[Any]
) -> Iterable[str]:
    codes = [frame[2] for frame in frames if frame[1] == UNREADABLE_ID]
    if len(codes) != len(asked):
        yield f"{len(asked)} frames without id, {len(codes)} answers"
        return
    # They are answered at once, so in their order.
    for code, (text, expected) in zip(codes, asked, strict=True):
        if code not in expected.words:
            yield f"{text[:100]!r}: {code}, not {set(expected.words)}"


def _answer(version: str, frame: Any, asked: Sequence[Expected]) -> Iterable[str]:
    word = RESULT if frame[0] == 3 else frame[2]
    fitting = [expected for expected in asked if word in expected.words]
    if not fitting:
        wanted = sorted(set().union(*(expected.words for expected in asked)))
        yield f"{frame[1]!r} {asked[0].action}: {frame[2:4]} where {wanted} was due"
    elif frame[0] == 3 and not any(
        _response_check(version, expected.action).is_valid(frame[2]) for expected in fitting
    ):
        yield f"{frame[1]!r} {fitting[0].action}: result fails its schema: {frame[2]}"


def _order(
    by_id: dict[str, list[tuple[bytes, Expected]]],
    sent: Sequence[tuple[bytes, Expected]],
    frames: Sequence[Any],
) -> Iterable[str]:
    """Results come in the order of their CALLs (invariant 3)."""
    places = {
        expected.message_id: place
        for place, (_, expected) in enumerate(sent)
        if expected.message_id in by_id and len(by_id[expected.message_id]) == 1
    }
    order = [places[frame[1]] for frame in frames if frame[0] == 3 and frame[1] in places]
    if order != sorted(order):
        yield f"results out of order: {order}"
