"""Frames: whatever arrives becomes one of five things, and whatever leaves is compact and clean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehub.ocpp import ErrorCode, InvalidPayload, drop_absent
from chargehub.ocpp.frames import (
    CUT,
    DEPTH_MAX,
    RPC_TYPES_OF_2_1,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Malformed,
    Send,
    UnknownType,
    encode_call,
    encode_call_error,
    encode_call_result,
    load_json,
    parse,
)

FRAMEWORK = ErrorCode.RPC_FRAMEWORK_ERROR


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        (' [ 2 , "1" , "X" , { "a" : [ 1 ] } ] ', Call("1", "X", {"a": [1]})),
        # P4 4.1.5: null is the other way to say "no payload".
        ('[2,"1","Heartbeat",null]', Call("1", "Heartbeat", {})),
        ('\ufeff[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[3,"1",{"status":"Accepted"}]', CallResult("1", {"status": "Accepted"})),
        ('[3,"1"]', CallResult("1", None)),
        ('[3,"1",[]]', CallResult("1", [])),
        ('[4,"1","NotSupported","no",{"a":1}]', CallError("1", "NotSupported", "no", {"a": 1})),
        # Real stations leave elements out, or send text for details.
        ('[4,"1","NotSupported"]', CallError("1", "NotSupported", "", {})),
        ('[4,"1"]', CallError("1", "", "", {})),
        ('[4,"1",null,7,"why\\nnot"]', CallError("1", "", "", "why\nnot")),
        ('[5,"1","X","",{}]', UnknownType(5, "1")),
        ('[6,"1","X",{}]', UnknownType(6, "1")),
        ("[7]", UnknownType(7, None)),
        ("[-1,2]", UnknownType(-1, None)),
        ("[123456789012345,{}]", UnknownType(123456789012345, None)),
    ],
)
def test_a_frame_is_read(text: str, frame: Frame) -> None:
    assert parse(text) == frame


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (
            '[5,"1","GenericError","why",{"a":1}]',
            CallResultError("1", "GenericError", "why", {"a": 1}),
        ),
        ('[5,"1"]', CallResultError("1", "", "", {})),
        ('[5,"1",7,[],"text"]', CallResultError("1", "", "", "text")),
        ('[5,7,"GenericError","",{}]', Malformed("a CALLRESULTERROR without usable message id")),
        ('[6,"1","X",{"a":1}]', Send("1", "X", {"a": 1})),
        ('[6,"1","X",null]', Send("1", "X", {})),
        ('[6,"1","X"]', Malformed("an unreadable SEND", "1")),
        ('[6,"1","X",[]]', Malformed("an unreadable SEND", "1")),
        ("[6]", Malformed("an unreadable SEND")),
        ('[7,"1"]', UnknownType(7, "1")),
    ],
)
def test_a_frame_of_2_1_is_read(text: str, frame: Frame) -> None:
    assert parse(text, RPC_TYPES_OF_2_1) == frame


def test_a_type_the_version_does_not_have_is_unknown() -> None:
    assert parse('[4,"1","X","",{}]', frozenset({2, 3})) == UnknownType(4, "1")


@pytest.mark.parametrize(
    ("text", "message_id", "code"),
    [
        ("", None, FRAMEWORK),
        ("hello", None, FRAMEWORK),
        ("{", None, FRAMEWORK),
        ("{}", None, FRAMEWORK),
        ("null", None, FRAMEWORK),
        ("2", None, FRAMEWORK),
        ('"[2]"', None, FRAMEWORK),
        ("[]", None, FRAMEWORK),
        ('["2","1","Heartbeat",{}]', None, FRAMEWORK),
        ('[true,"1","Heartbeat",{}]', None, FRAMEWORK),
        ('[2.0,"1","Heartbeat",{}]', None, FRAMEWORK),
        ('[[2],"1","Heartbeat",{}]', None, FRAMEWORK),
        ("[2]", None, FRAMEWORK),
        ('[2,1,"Heartbeat",{}]', None, FRAMEWORK),
        ('[2,"","Heartbeat",{}]', None, FRAMEWORK),
        ('[2,{},"Heartbeat",{}]', None, FRAMEWORK),
        (f'[2,"{"i" * 256}","Heartbeat",{{}}]', None, FRAMEWORK),
        ('[2,"1"]', "1", FRAMEWORK),
        ('[2,"1","Heartbeat"]', "1", FRAMEWORK),
        ('[2,"1","Heartbeat",{},1]', "1", FRAMEWORK),
        ('[2,"1",{},{}]', "1", FRAMEWORK),
        ('[2,"1",7,{}]', "1", FRAMEWORK),
        ('[2,"1","Heartbeat",[]]', "1", ErrorCode.FORMAT_VIOLATION),
        ('[2,"1","Heartbeat","x"]', "1", ErrorCode.FORMAT_VIOLATION),
        ("[" * 100_000, None, FRAMEWORK),
        ("[" * 100_000 + "]" * 100_000, None, FRAMEWORK),
        ('{"a":' * 100_000, None, FRAMEWORK),
        (b'[2,"1","Heartbeat",{}]', None, FRAMEWORK),
        (b"\xff\xfe", None, FRAMEWORK),
        # An answer is never answered, so these carry no code.
        ("[3]", None, None),
        ("[3,1,{}]", None, None),
        ("[4]", None, None),
        ('[4,null,"NotSupported","",{}]', None, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_malformed_frame_is_told_from_a_call(
    text: str | bytes, message_id: str | None, code: ErrorCode | None
) -> None:
    frame = parse(text)
    assert isinstance(frame, Malformed)
    assert frame.message_id == message_id
    assert (None if frame.fault is None else frame.fault.code) == code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'["AB\u0000\u0000"]', ["AB"]),
        ('["AB\0\0"]', ["AB"]),
        (r'["\ud800"]', ["\ufffd"]),
        (r'["x\uDFFFy"]', ["x\ufffdy"]),
        ('["x\ud800y"]', ["x\ufffdy"]),
        (r'[{"k\u0000":{"\ud800":[null,1,true,1.5]}}]', [{"k": {"\ufffd": [None, 1, True, 1.5]}}]),
        # A pair is a character, and an escaped backslash is no escape.
        (r'["\ud83d\ude00"]', ["\U0001f600"]),
        (r'["\\u0000"]', ["\\u0000"]),
        ('["a\tb"]', ["a\tb"]),
        (r'["衢州"]', ["衢州"]),
    ],
)
def test_no_string_keeps_what_the_database_cannot_hold(text: str, value: Any) -> None:
    assert load_json(text) == value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("1" + "0" * 400, "1" + "0" * 39),
        ("1" + "0" * 5000, "1" + "0" * 39),
    ],
    ids=lambda value: value[:9],
)
def test_a_number_that_is_none_costs_its_call_nothing_but_the_number(
    number: str, text: str
) -> None:
    # A dropped frame would be repeated for ever (16 4.8).
    assert parse(f'[2,"1","X",{{"a":{number}}}]') == Call("1", "X", {"a": text})


@pytest.mark.parametrize("escape", ["", r"\ud800"], ids=["fast", "slow"])
def test_integers_beyond_64_bits_are_floats_on_both_ways_of_reading(escape: str) -> None:
    value = load_json(f'["{escape}",18446744073709551616,1234567890123456789,-9223372036854775808]')
    assert value[1:] == [1.8446744073709552e19, 1234567890123456789, -9223372036854775808]
    assert isinstance(value[1], float)


@pytest.mark.parametrize("escape", ["", r"\ud800"], ids=["fast", "slow"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded(escape: str, opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + f'"{escape}"' + closing * depth

    assert load_json(nested(DEPTH_MAX)) is not None
    with pytest.raises(ValueError, match="nested"):
        load_json(nested(DEPTH_MAX + 1))


@pytest.mark.parametrize("escape", ["", r"\ud800"], ids=["fast", "slow"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("beyond", [1, 2, 500])
def test_a_call_that_is_too_deep_is_cut_and_not_lost(
    escape: str, opening: str, closing: str, beyond: int
) -> None:
    depth = DEPTH_MAX - 2 + beyond  # The frame and its payload are two.
    nested = opening * depth + f'"{escape}"' + closing * depth
    beside = opening * (DEPTH_MAX - 2) + "1" + closing * (DEPTH_MAX - 2)
    frame = parse(f'[2,"id","MeterValues",{{"deep":{nested},"fits":{beside}}}]')
    assert isinstance(frame, Call)
    deep, fits = frame.payload["deep"], frame.payload["fits"]
    for _ in range(DEPTH_MAX - 2):
        deep, fits = (node["a"] if opening != "[" else node[0] for node in (deep, fits))
    assert (deep, fits) == (CUT, 1)


def test_what_no_reader_takes_is_malformed() -> None:
    assert isinstance(parse('[2,"id","MeterValues",' + "[" * 100_000), Malformed)


def test_many_brackets_that_are_not_deep_are_fine() -> None:
    assert load_json("[" + "[],{}," * 5000 + '"[[[["]')[-1] == "[[[["


def test_statement_27_an_error_has_five_elements_and_a_bounded_description() -> None:
    assert encode_call_error("7", "GenericError", "d" * 300, {}) == (
        f'[4,"7","GenericError","{"d" * 255}",{{}}]'
    )


def test_what_leaves_is_compact() -> None:
    text = encode_call("7", "Reset", {"type": "Soft", "n": [1, {"a": 2}]})
    assert text == '[2,"7","Reset",{"type":"Soft","n":[1,{"a":2}]}]'


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({}, "{}"),
        ({"a": None}, "{}"),
        ({"a": [], "b": {}, "c": 1}, '{"c":1}'),
        ({"a": {"b": {"c": None}}, "d": [{"e": None}, {"f": 1}]}, '{"d":[{"f":1}]}'),
        ({"a": 0, "b": False, "c": ""}, '{"a":0,"b":false,"c":""}'),
        ({"a": "null [] {}"}, '{"a":"null [] {}"}'),
        ({"a": float("nan"), "b": 1}, '{"b":1}'),
        # Vendor data is none of our business, but absent is absent there too.
        ({"data": {"x": [], "y": None}}, '{"data":{"x":[],"y":null}}'),
        ({"data": None, "customData": {}}, "{}"),
        (MappingProxyType({"a": MappingProxyType({"b": 1})}), '{"a":{"b":1}}'),
    ],
)
def test_statement_28_nothing_absent_is_sent(payload: dict[str, Any], text: str) -> None:
    assert encode_call_result("7", payload) == f'[3,"7",{text}]'
    assert drop_absent(payload) == json.loads(text)


def test_statement_39_a_datetime_in_a_payload_leaves_as_text() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert encode_call_result("7", {"currentTime": at}) == (
        '[3,"7",{"currentTime":"2026-01-02T03:04:05.678Z"}]'
    )


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"a": 2**70}, '{"a":1180591620717411303424}'),
        ({"a": "x\ud800"}, '{"a":"x\\ufffd"}'),
        ({"a": Decimal("1.25")}, '{"a":1.25}'),
    ],
)
def test_rare_values_leave_all_the_same(payload: dict[str, Any], text: str) -> None:
    assert encode_call_result("7", payload) == f'[3,"7",{text}]'


@pytest.mark.parametrize(
    "payload",
    [{"a": object()}, {"a": datetime(2026, 1, 1)}, {"a": b"x"}],  # noqa: DTZ001 - the case.
)
def test_what_is_not_json_is_the_hosts_error(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        encode_call_result("7", payload)


def test_a_payload_that_contains_itself_is_the_hosts_error() -> None:
    payload: dict[str, Any] = {}
    payload["a"] = payload
    with pytest.raises(InvalidPayload):
        encode_call_result("7", payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=200)
@given(st.text() | JSON.map(json.dumps) | st.lists(JSON, max_size=6).map(json.dumps))
def test_any_text_is_some_frame(text: str) -> None:
    frame = parse(text)
    assert isinstance(frame, (Call, CallResult, CallError, UnknownType, Malformed))
    # Whatever was understood can be stored as UTF-8 without NUL, and sent again.
    stored = frame if isinstance(frame, (CallResult, CallError)) else frame._replace(message_id="")
    json.dumps(stored, ensure_ascii=False, allow_nan=False).encode()
    assert "\\u0000" not in json.dumps(stored).replace("\\\\", "")


@settings(derandomize=True, max_examples=200)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_payload_survives_the_way_out_and_in(payload: dict[str, Any]) -> None:
    frame = parse(encode_call_result("7", payload))
    assert isinstance(frame, CallResult)
    assert frame == parse(encode_call_result("7", drop_absent(payload)))
