"""Identities, gun codes, and the CSV of stations."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.kit.secrets import redacted
from chargehub.stations.rules import (
    GUN_CODE_PATTERN,
    MAX_IMPORT_ROWS,
    is_identity,
    new_gun_code,
    parse_import,
)

HEADER = "identity,location,name,max_power_kw,evses,gun_codes,credential\n"


@pytest.mark.parametrize(
    "text",
    ["CS1", "RDAM|123", "RDAM 123", "a*b-c_d=e+f@g.h", "x" * 48, ".a", "a%20?#~", "衢州-01"],
)
def test_identities(text: str) -> None:
    assert is_identity(text)


@pytest.mark.parametrize(
    "text",
    ["", "a:b", "a/b", "x" * 49, " a", "a ", " ", "é", "İ", ".", "..", "a\n", "a\u202eb", "a\xa0b"],
)
def test_no_identities(text: str) -> None:
    assert not is_identity(text)


def test_gun_codes_are_readable() -> None:
    codes = {new_gun_code() for _ in range(100)}
    assert len(codes) == 100
    assert all(re.fullmatch(GUN_CODE_PATTERN, code) for code in codes)
    assert not set("".join(codes)) & set("01OIL")


def test_a_line_becomes_a_station() -> None:
    lines, errors = parse_import((HEADER + "CS1,hub,A,120.5,2,A101;A102,\n").encode())
    assert errors == []
    [item] = lines
    assert item.line == 2
    station = item.station
    assert (station.identity, station.location_id, station.max_power_w) == ("CS1", "hub", 120_500)
    assert [(evse.evse_no, evse.gun_code) for evse in station.evses] == [(1, "A101"), (2, "A102")]
    assert station.credential is None


def test_a_file_of_semicolons_is_read() -> None:
    data = b"identity;location;max_power_kw;gun_codes\r\nCS1;hub;60;A101 A102\r\n"
    lines, errors = parse_import(data)
    assert errors == []
    assert [evse.gun_code for evse in lines[0].station.evses] == ["A101", "A102"]


def test_columns_may_be_in_any_order_and_few() -> None:
    lines, errors = parse_import(b" Max_Power_kW ,LOCATION,identity\r\n60,hub,CS1\r\n")
    assert errors == []
    assert lines[0].station.max_power_w == 60_000
    assert len(lines[0].station.evses) == 2


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("a:b,hub,,1,,,", "identity"),
        ("cs,,,1,,,", "location"),
        (f"cs,hub,{'x' * 201},1,,,", "name"),
        ("cs,hub,,,,,", "max_power_kw"),
        ("cs,hub,,0,,,", "max_power_kw"),
        ("cs,hub,,Infinity,,,", "max_power_kw"),
        ("cs,hub,,1,0,,", "evses"),
        ("cs,hub,,1,33,,", "evses"),
        ("cs,hub,,1,1,a!bcd,", "gun_codes"),
        ("cs,hub,,1,1,ABCD EFGH,", "gun_codes"),
        ("cs,hub,,1,2,ABCD ABCD,", "gun_codes"),
        ("cs,hub,,1,2,ABCD abcd,", "gun_codes"),  # Drivers type it in any case.
        ("cs,hub,,1,1,,too short", "credential"),
        ("cs,hub,,1,1", ""),
        ("cs,hub,,1,1,,,more", ""),
    ],
)
def test_what_is_wrong_is_named(line: str, column: str) -> None:
    _, errors = parse_import((HEADER + line + "\n").encode())
    assert [(error.line, error.column) for error in errors] == [(2, column)]


def test_too_many_rows_stop_the_reading() -> None:
    text = HEADER + "".join(f"cs{number},hub,,1,1,,\n" for number in range(MAX_IMPORT_ROWS + 5))
    lines, errors = parse_import(text.encode())
    assert len(lines) == MAX_IMPORT_ROWS
    assert [error.line for error in errors] == [MAX_IMPORT_ROWS + 2]


@given(st.binary(max_size=400))
def test_garbage_never_raises(data: bytes) -> None:
    lines, errors = parse_import(data)
    assert lines or errors


@given(st.text(max_size=200))
def test_garbage_behind_a_header_never_raises(text: str) -> None:
    data = (HEADER + text).encode(errors="surrogatepass")
    lines, errors = parse_import(data)
    assert lines or errors
    assert all(is_identity(item.station.identity) for item in lines)


def test_secrets_are_redacted_wherever_they_are_named() -> None:
    answer: dict[str, Any] = {
        "configurationKey": [
            {"key": "AuthorizationKey", "readonly": False, "value": "s"},
            {"key": "HeartbeatInterval", "value": "300"},
        ],
        "getVariableResult": [
            {"variable": {"name": "BasicAuthPassword"}, "attributeValue": "s"},
        ],
    }
    assert redacted(answer) == {
        "configurationKey": [
            {"key": "AuthorizationKey", "readonly": False, "value": "(redacted)"},
            {"key": "HeartbeatInterval", "value": "300"},
        ],
        "getVariableResult": [
            {"variable": {"name": "BasicAuthPassword"}, "attributeValue": "(redacted)"},
        ],
    }
    assert answer["configurationKey"][0]["value"] == "s"
