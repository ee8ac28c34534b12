"""A taxi company's file as it comes: encodings, headers, dates, and what a spreadsheet does."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.drivers.account_rules import normalise_phone
from chargehub.drivers.credentials.import_file import (
    MAX_ROWS,
    BadLine,
    CredentialLine,
    ImportUnreadable,
    read_file,
)
from chargehub.drivers.credentials.rules import CredentialKind, Validity

TODAY = date(2026, 11, 23)
NUMBER = "33080219900307718X"
ENGLISH = "phone,kind,number,valid_to,name\n"
CHINESE = "手机号,证件类型,证件号,有效期至,姓名\n"
LINE = f"13800138000,从业资格证,{NUMBER},2029-05-31,李明\n"


def read(text: str | bytes) -> list[CredentialLine | BadLine]:
    data = text.encode() if isinstance(text, str) else text
    return read_file(data, TODAY, normalise_phone)


def good(text: str | bytes) -> CredentialLine:
    (row,) = read(text)
    assert isinstance(row, CredentialLine), row
    return row


def faults(text: str) -> list[str]:
    (row,) = read(text)
    assert isinstance(row, BadLine)
    return [column for column, _ in row.faults]


EXPECTED = CredentialLine(
    line=2,
    phone="+8613800138000",
    kind=CredentialKind.TAXI_QUALIFICATION,
    number=NUMBER,
    dates=Validity(valid_to=date(2029, 5, 31)),
    holder="李**",
)


@pytest.mark.parametrize(
    "header", [ENGLISH, CHINESE, " Phone , KIND,Number,Valid To,姓名（选填）\n"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings_and_headers_read_the_same(header: str, encoding: str) -> None:
    assert good((header + LINE).encode(encoding)) == EXPECTED


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(separator: str, line_end: str) -> None:
    text = (CHINESE + LINE).replace(",", separator).replace("\n", line_end)
    assert good(text).number == NUMBER


def test_columns_come_in_any_order_and_some_may_be_missing() -> None:
    header = "有效期至,证件号,证件类型,手机号,发证机关\n"
    row = good(f"{header}2029/5/31,{NUMBER},网约车驾驶员证,138 0013 8000,衢州\n")
    assert (row.kind, row.issuer, row.holder) == (CredentialKind.RIDE_HAILING_LICENCE, "衢州", "")


@pytest.mark.parametrize(
    "written",
    ["2029-05-31", "2029/5/31", "2029.05.31", "20290531", "2029年5月31日", "2029-05-31 00:00:00"],
)
def test_dates_as_spreadsheets_write_them(written: str) -> None:
    assert good(LINE and ENGLISH + LINE.replace("2029-05-31", written)).dates == EXPECTED.dates


@pytest.mark.parametrize(
    "wrapped", [f"'{NUMBER}", f'"=""{NUMBER}"""', f"\t{NUMBER}", f" {NUMBER} "]
)
def test_numbers_that_were_kept_as_text(wrapped: str) -> None:
    assert good(ENGLISH + LINE.replace(NUMBER, wrapped)).number == NUMBER


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("13800138000", "", "phone"),
        ("13800138000", "0570-1234567", "phone"),
        ("13800138000", "1.38E+10", "phone"),
        ("从业资格证", "驾驶证", "kind"),
        ("从业资格证", "", "kind"),
        (NUMBER, "", "number"),
        (NUMBER, "330802199003077181", "number"),
        (NUMBER, "3.30802E+17", "number"),
        (NUMBER, "12\x00345678", "number"),
        ("2029-05-31", "", "valid_to"),
        ("2029-05-31", "长期", "valid_to"),
        ("2029-05-31", "2029-02-30", "valid_to"),
        ("2029-05-31", "2026-11-22", "valid_to"),
        ("2029-05-31", "9999-12-31", "valid_to"),
        ("李明", "李明,more", ""),
    ],
)
def test_what_is_wrong_in_a_line_is_named(old: str, new: str, column: str) -> None:
    if "\x00" in new:
        new = new.replace("\x00", "\ufffd")
    assert faults(ENGLISH + LINE.replace(old, new)) == [column]


def test_everything_that_is_wrong_is_named_at_once_and_no_number_is_told() -> None:
    (row,) = read(f"{ENGLISH}abc,x,330802199003077181,soon,李\n")
    assert isinstance(row, BadLine)
    assert [column for column, _ in row.faults] == ["phone", "kind", "number", "valid_to"]
    assert "3077181" not in repr(row)


def test_a_bad_line_holds_up_no_other_and_empty_lines_are_none() -> None:
    rows = read(CHINESE + LINE + "\n,,,,\n" + "1,2,3,4,5\n" + LINE.replace(NUMBER, "ZJ20260123"))
    assert [(row.line, type(row)) for row in rows] == [
        (2, CredentialLine),
        (5, BadLine),
        (6, CredentialLine),
    ]


def test_one_number_for_two_phones_is_guessed_for_neither() -> None:
    other = LINE.replace("13800138000", "13900139000")
    first, second, third = read(CHINESE + LINE + other + LINE.replace(NUMBER, "ZJ20260123"))
    assert isinstance(first, BadLine)
    assert isinstance(second, BadLine)
    assert "Line 3" in first.faults[0][1]
    assert "Line 2" in second.faults[0][1]
    assert isinstance(third, CredentialLine)


def test_the_same_line_twice_is_no_contradiction() -> None:
    assert all(isinstance(row, CredentialLine) for row in read(CHINESE + LINE + LINE))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "missing"),
        (ENGLISH.encode(), "no credentials"),
        (b"\xff\xfe" + (ENGLISH + LINE).encode("utf-16-le"), "GB18030"),
        ((ENGLISH + LINE).encode("utf-16-le"), "GB18030"),
        (b"\x89PNG\r\n\x1a\n\x00", "GB18030"),
        ((ENGLISH + '13800138000,"从业').encode(), "CSV"),
        ((ENGLISH.replace("name", "salary") + LINE).encode(), "'salary' is unknown"),
        ((ENGLISH.replace("name", "salary") + LINE).encode(), "phone (手机号), kind (证件类型)"),
        ((ENGLISH.replace("name", "手机号") + LINE).encode(), "Two columns"),
        ((ENGLISH.replace("valid_to,", "") + LINE).encode(), "valid_to"),
        ((ENGLISH + LINE * (MAX_ROWS + 1)).encode(), str(MAX_ROWS)),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(data: bytes, said: str) -> None:
    with pytest.raises(ImportUnreadable) as refused:
        read(data)
    assert said in refused.value.detail


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (CHINESE + text).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        rows = read(data)
    except ImportUnreadable:
        return
    assert rows
    assert all("\x00" not in repr(row) for row in rows)
