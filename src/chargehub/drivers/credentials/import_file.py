"""Reads a taxi company's file of credentials: every usable row, and what is wrong in each other.

CSV in UTF-8 (with or without its mark) or GB18030, which spreadsheets in China write; headers in
Chinese or English. Pure: who has which phone is not known here.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from chargehub.drivers.account_rules import mask_name
from chargehub.drivers.credentials.rules import (
    CredentialKind,
    UnusableDates,
    UnusableNumber,
    Validity,
    check_dates,
    number_tail,
    read_number,
)
from chargehub.kit.clean import clean_text
from chargehub.kit.errors import InvalidInput

MAX_ROWS = 5_000
MAX_TEXT = 200
REQUIRED = ("phone", "kind", "number", "valid_to")
_HEADERS = {
    "phone": ("phone", "mobile", "手机号", "手机号码", "手机", "电话", "联系电话"),
    "kind": ("kind", "type", "证件类型", "证件种类", "证件名称", "类型", "种类"),
    "number": ("number", "证件号", "证件号码", "证件编号", "证号", "编号", "号码"),
    "valid_to": ("valid_to", "有效期至", "有效期止", "有效期", "有效期截止", "到期日期", "到期日"),
    "name": ("name", "姓名", "驾驶员", "驾驶员姓名", "司机", "司机姓名"),
    "issuer": ("issuer", "发证机关", "发证单位", "签发机关"),
    "issued_on": ("issued_on", "发证日期", "签发日期"),
    "valid_from": ("valid_from", "有效期起", "有效期自", "起始日期"),
}
_COLUMN_OF = {word: column for column, words in _HEADERS.items() for word in words}
_KINDS = {
    CredentialKind.TAXI_QUALIFICATION: (
        *("从业资格证", "出租车从业资格证", "出租汽车从业资格证", "巡游出租汽车驾驶员证"),
        *("巡游出租车从业资格证", "出租汽车驾驶员从业资格证", "巡游出租汽车驾驶员从业资格证"),
    ),
    CredentialKind.RIDE_HAILING_LICENCE: (
        *("网约车驾驶员证", "网络预约出租汽车驾驶员证", "网约车证", "网约车从业资格证"),
        "网络预约出租汽车驾驶员从业资格证",
    ),
    CredentialKind.SERVICE_CARD: ("服务证", "服务监督卡", "服务资格证"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in (kind.value, *words)}
_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|([-/.年])(\d{1,2})(?:[-/.月])(\d{1,2})日?)")
_TIME_OF_DAY = re.compile(r"[ T]0{1,2}:00(:00)?$")
_ROUNDED = re.compile(r"\d(\.\d+)?E\+?\d+", re.IGNORECASE)


class ImportUnreadable(InvalidInput):
    """The file as a whole cannot be read; nothing of it was taken."""

    code = "import-unreadable"


@dataclass(frozen=True, slots=True)
class CredentialLine:
    """A usable row. `number` is in its one spelling, `holder` masked."""

    line: int
    phone: str
    kind: CredentialKind
    number: str
    dates: Validity
    holder: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A row that is not taken: column and sentence of everything that is wrong with it."""

    line: int
    faults: tuple[tuple[str, str], ...]
    kind: CredentialKind | None = None
    tail: str = field(default="", kw_only=True)


class _Unusable(Exception):
    """Why a field will not do."""


def read_file(
    data: bytes, today: date, read_phone: Callable[[str], str]
) -> list[CredentialLine | BadLine]:
    """Return the rows in the file's order. Raises ImportUnreadable.

    `read_phone` brings a phone into its one spelling, or raises ValueError.
    """
    text = _decoded(data)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
    try:
        header = next(reader, [])
        columns = _columns(header)
        rows = [(reader.line_num, [_cell(item) for item in row]) for row in reader]
    except csv.Error as error:
        raise ImportUnreadable(f"Line {reader.line_num} is no CSV: {error}.") from None
    rows = [(line, row) for line, row in rows if any(row)]
    if not rows:
        raise ImportUnreadable("There are no credentials in the file.")
    if len(rows) > MAX_ROWS:
        raise ImportUnreadable(f"{len(rows)} credentials; at most {MAX_ROWS} in one file.")
    read = [_read_row(line, row, columns, today, read_phone) for line, row in rows]
    return list(_without_contradictions(read))


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Two bytes a character, without its mark: every second one is NUL.
        if "\x00" not in text:
            return text
    raise ImportUnreadable("Neither UTF-8 nor GB18030: save the file as CSV UTF-8.")


def _separator(text: str) -> str:
    first, _, _ = text.partition("\n")
    return next((sign for sign in (",", "\t", ";", "，") if sign in first), ",")


def _cell(text: str) -> str:
    """Return a field without what spreadsheets wrap numbers in to keep them text."""
    text = text.strip().lstrip("'").strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1].strip()
    return clean_text(text)


def _columns(header: list[str]) -> list[str]:
    found = [_COLUMN_OF.get(_word(name), "") for name in header]
    for name, column in zip(header, found, strict=True):
        if not column and name.strip():
            raise ImportUnreadable(
                f"Column {name.strip()[:40]!r} is unknown; known are {_known_columns()}.",
                column=name.strip()[:40],
            )
        if column and found.count(column) > 1:
            raise ImportUnreadable(f"Two columns are the {column}.", column=column)
    for column in REQUIRED:
        if column not in found:
            words = " or ".join(_HEADERS[column][:3])
            raise ImportUnreadable(f"The column {words} is missing.", column=column)
    return found


def _known_columns() -> str:
    chinese = {name: next(w for w in words if not w.isascii()) for name, words in _HEADERS.items()}
    return ", ".join(f"{column} ({word})" for column, word in chinese.items())


def _word(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip().strip("*").lower()
    return re.sub(r"\(.*\)$", "", plain).strip().replace(" ", "_")


def _read_row(
    line: int,
    row: list[str],
    columns: list[str],
    today: date,
    read_phone: Callable[[str], str],
) -> CredentialLine | BadLine:
    told = {column: value for column, value in zip(columns, row, strict=False) if column}
    faults: list[tuple[str, str]] = []
    if any(row[len(columns) :]):
        faults.append(("", "The line has more fields than the header."))
    found: dict[str, Any] = {}
    readers: dict[str, Callable[[str], Any]] = {
        "phone": read_phone,
        "kind": _read_kind,
        "number": _read_number,
        "valid_to": _read_date,
        "issued_on": _read_optional_date,
        "valid_from": _read_optional_date,
        "name": mask_name,
        "issuer": _read_issuer,
    }
    for column, read in readers.items():
        value = told.get(column, "")
        if column in REQUIRED and not value:
            faults.append((column, "Is missing."))
            continue
        try:
            found[column] = read(value)
        except (_Unusable, ValueError) as error:
            faults.append((column, str(error)))
    dates = Validity(*(found.get(name) for name in ("issued_on", "valid_from", "valid_to")))
    try:
        check_dates(dates, today)
    except UnusableDates as error:
        faults.append(("valid_to", error.detail))
    if faults:
        number = found.get("number", "")
        tail = number_tail(number) if number else ""
        return BadLine(line, tuple(faults), found.get("kind"), tail=tail)
    return CredentialLine(
        line=line,
        phone=found["phone"],
        kind=found["kind"],
        number=found["number"],
        dates=dates,
        holder=found["name"],
        issuer=found["issuer"],
    )


def _without_contradictions(
    rows: list[CredentialLine | BadLine],
) -> Iterator[CredentialLine | BadLine]:
    """Refuse each row whose number another row gives to another phone: neither is to be guessed."""
    lines_of: dict[tuple[CredentialKind, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        if isinstance(row, CredentialLine):
            lines_of[row.kind, row.number].setdefault(row.phone, row.line)
    for row in rows:
        if isinstance(row, CredentialLine) and len(lines_of[row.kind, row.number]) > 1:
            phones = lines_of[row.kind, row.number]
            other = next(line for phone, line in phones.items() if phone != row.phone)
            fault = ("number", f"Line {other} gives the same number to another phone.")
            yield BadLine(row.line, (fault,), row.kind, tail=number_tail(row.number))
        else:
            yield row


def _read_kind(text: str) -> CredentialKind:
    kind = _KIND_OF.get(_word(text))
    if kind is None:
        known = ", ".join(f"{kind.value} ({words[0]})" for kind, words in _KINDS.items())
        raise _Unusable(f"Unknown kind; known are {known}.")
    return kind


def _read_number(text: str) -> str:
    if _ROUNDED.fullmatch(text):
        raise _Unusable("A spreadsheet has rounded it: format the column as text, enter it anew.")
    try:
        return read_number(text)
    except UnusableNumber as error:
        raise _Unusable(error.detail) from None


def _read_date(text: str) -> date:
    """Read 2027-01-31, 2027/1/31, 2027.1.31, 20270131 or 2027年1月31日."""
    found = _DATE.fullmatch(_TIME_OF_DAY.sub("", text.replace(" 0:00", " 00:00")).strip())
    if found is None:
        raise _Unusable("Write the date as 2027-01-31.")
    year, month, day, _, month_apart, day_apart = found.groups()
    try:
        read = date(int(year), int(month or month_apart), int(day or day_apart))
    except ValueError:
        raise _Unusable("There is no such day.") from None
    if not 1970 <= read.year <= 2200:
        raise _Unusable("The year is out of range (1970 to 2200).")
    return read


def _read_optional_date(text: str) -> date | None:
    return _read_date(text) if text else None


def _read_issuer(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise _Unusable(f"At most {MAX_TEXT} characters.")
    return text
