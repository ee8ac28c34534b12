"""What a new charging station must look like, and the CSV that lists many of them. Pure."""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from chargehub.stations.credentials import CREDENTIAL

# At most 48 printable characters, as the listener takes them, with spaces inside (16J 3.1.1); `:`
# would end the user name in Basic auth (statement 4) and `/` the path segment. Left out as well:
# what is invisible or turns the direction of a line. No look-around: Rust and browsers read it too.
_UNPRINTABLE = (
    r"\x00-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
    r"\ufff0-\uffff"
)
IDENTITY_NEEDS = "1 to 48 printable characters without / and : are needed."
IDENTITY_PATTERN = rf"^[^ /:{_UNPRINTABLE}]([^/:{_UNPRINTABLE}]{{0,46}}[^ /:{_UNPRINTABLE}])?$"
GUN_CODE_PATTERN = r"^[A-Za-z0-9-]{4,32}$"
GUN_CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # nothing that is misread on a worn label
GUN_CODE_LENGTH = 8
DEFAULT_STANDARD = "GBT_DC"
MAX_POWER_W = 10_000_000
MAX_EVSES = 32
MAX_NAME_LENGTH = 200
MAX_IMPORT_ROWS = 2_000

REQUIRED_COLUMNS = ("identity", "location", "max_power_kw")
OPTIONAL_COLUMNS = (
    "name",
    "evses",
    "gun_codes",
    "credential",
    "security_profile",
    "serial_number",
)
SERIAL_NUMBER_PATTERN = r"^[!-~]([ -~]{0,23}[!-~])?$"  # CiString25Type, string[0..25] of 2.x


@dataclass(frozen=True, slots=True)
class NewEvse:
    evse_no: int
    max_power_w: int
    gun_code: str
    standards: tuple[str, ...] = (DEFAULT_STANDARD,)
    """One per connector, in order."""


@dataclass(frozen=True, slots=True)
class NewStation:
    identity: str
    location_id: str
    max_power_w: int
    evses: tuple[NewEvse, ...]
    name: str = ""
    credential: str | None = None
    """None: one is generated."""
    registration: str = "Accepted"
    security_profile: int = 1
    bound_serial_number: str | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong in one line of an import; line 1 is the header."""

    line: int
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportLine:
    line: int
    station: NewStation


class UnusableValue(Exception):
    """A CSV field that cannot be used; the text says why."""


def is_identity(text: str) -> bool:
    """Say whether a station may be called so, and can be found under it in any case."""
    if re.fullmatch(IDENTITY_PATTERN, text) is None or text.strip(".") == "":
        return False  # A name of dots only is a path of its own.
    # Beyond ASCII, Python and PostgreSQL differ about lower case; Chinese has none.
    return all(char.isascii() or char.lower() == char.upper() == char for char in text)


def new_gun_code() -> str:
    return "".join(secrets.choice(GUN_CODE_ALPHABET) for _ in range(GUN_CODE_LENGTH))


def parse_import(data: bytes) -> tuple[list[ImportLine], list[LineError]]:
    """Read a CSV of stations: every usable line, and everything that is wrong."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return [], [LineError(line, "", "Not UTF-8; save the file as CSV UTF-8.")]
    # Spreadsheets separate by semicolons where the comma is the decimal point.
    first, _, _ = text.partition("\n")
    separator = ";" if ";" in first and "," not in first else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error as error:
        return [], [LineError(1, "", f"Not CSV: {error}.")]
    problems = [LineError(1, name, message) for name, message in _check_header(header)]
    if problems:
        return [], problems
    reader.fieldnames = header
    return _read_lines(reader)


def _check_header(header: list[str]) -> Iterator[tuple[str, str]]:
    known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    for name in REQUIRED_COLUMNS:
        if name not in header:
            yield name, "The column is missing."
    for name, count in Counter(header).items():
        if name not in known:
            yield name[:80], f"Unknown column; known are {', '.join(known)}."
        elif count > 1:
            yield name, "The column is there more than once."


def _read_lines(reader: csv.DictReader[str]) -> tuple[list[ImportLine], list[LineError]]:
    lines: list[ImportLine] = []
    errors: list[LineError] = []
    try:
        for row in reader:
            number = reader.line_num
            if len(lines) + len(errors) >= MAX_IMPORT_ROWS:
                errors.append(LineError(number, "", f"More than {MAX_IMPORT_ROWS} stations."))
                break
            if None in row or None in row.values():
                errors.append(LineError(number, "", "The line has another number of fields."))
                continue
            station, wrong = _read_station({key: value.strip() for key, value in row.items()})
            errors.extend(LineError(number, column, message) for column, message in wrong)
            if station is not None:
                lines.append(ImportLine(number, station))
    except csv.Error as error:
        errors.append(LineError(reader.line_num, "", f"Not CSV: {error}."))
    errors.extend(_repeated(lines))
    if not lines and not errors:
        errors.append(LineError(1, "", "There are no stations in the file."))
    return lines, errors


def _read_station(row: dict[str, str]) -> tuple[NewStation | None, list[tuple[str, str]]]:
    wrong: list[tuple[str, str]] = []
    found: dict[str, object] = {}
    for column, read in _READERS.items():
        try:
            found[column] = read(row.get(column, ""))
        except UnusableValue as error:
            wrong.append((column, str(error)))
    codes, count = found.get("gun_codes"), found.get("evses")
    if isinstance(codes, list) and isinstance(count, int) and codes and len(codes) != count:
        wrong.append(("gun_codes", f"{len(codes)} gun codes for {count} EVSEs."))
    if found.get("security_profile") == 3 and found.get("serial_number") == "":
        wrong.append(("serial_number", "Security profile 3 needs it."))
    if wrong:
        return None, wrong
    power_w, profile = found["max_power_kw"], found["security_profile"]
    assert isinstance(power_w, int)
    assert isinstance(profile, int)
    assert isinstance(count, int)
    assert isinstance(codes, list)
    numbered = enumerate(codes or [new_gun_code() for _ in range(count)], start=1)
    return (
        NewStation(
            identity=str(found["identity"]),
            location_id=str(found["location"]),
            name=str(found["name"]),
            max_power_w=power_w,
            evses=tuple(NewEvse(number, power_w, code) for number, code in numbered),
            credential=row.get("credential") or None,
            security_profile=profile,
            bound_serial_number=str(found["serial_number"]) or None,
        ),
        [],
    )


def _identity(text: str) -> str:
    if not is_identity(text):
        raise UnusableValue(IDENTITY_NEEDS)
    return text


def _location(text: str) -> str:
    if not 1 <= len(text) <= 36 or "\x00" in text:
        raise UnusableValue("1 to 36 characters are needed.")
    return text


def _name(text: str) -> str:
    if len(text) > MAX_NAME_LENGTH or "\x00" in text:
        raise UnusableValue(f"At most {MAX_NAME_LENGTH} characters, without NUL.")
    return text


def _power_w(text: str) -> int:
    try:
        power_w = Decimal(text) * 1000
    except InvalidOperation as error:
        raise UnusableValue("A number of kW is needed.") from error
    if not power_w.is_finite() or not 1 <= power_w <= MAX_POWER_W:
        raise UnusableValue(f"More than 0 and at most {MAX_POWER_W // 1000} kW.")
    return int(power_w)


def _evse_count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if text and not 1 <= count <= MAX_EVSES:
        raise UnusableValue(f"A number from 1 to {MAX_EVSES} is needed.")
    return count or 2


def _gun_codes(text: str) -> list[str]:
    codes = text.replace(";", " ").replace("|", " ").split()
    for code in codes:
        if re.fullmatch(GUN_CODE_PATTERN, code) is None:
            raise UnusableValue("A gun code has 4 to 32 characters of A-Z a-z 0-9 and -.")
    return codes


def _credential(text: str) -> str:
    if text and CREDENTIAL.fullmatch(text) is None:
        raise UnusableValue("A credential has 16 to 64 printable ASCII characters.")
    return text


def _security_profile(text: str) -> int:
    if text not in {"", "0", "1", "2", "3"}:
        raise UnusableValue("A number from 0 to 3 is needed.")
    return int(text or 1)


def _serial_number(text: str) -> str:
    if text and re.fullmatch(SERIAL_NUMBER_PATTERN, text) is None:
        raise UnusableValue("A serial number has 1 to 25 printable ASCII characters.")
    return text


_READERS = {
    "identity": _identity,
    "location": _location,
    "name": _name,
    "max_power_kw": _power_w,
    "evses": _evse_count,
    "gun_codes": _gun_codes,
    "credential": _credential,
    "security_profile": _security_profile,
    "serial_number": _serial_number,
}


def _repeated(lines: list[ImportLine]) -> Iterator[LineError]:
    identities: set[str] = set()
    codes: set[str] = set()
    serials: set[str] = set()
    for item in lines:
        # cs1 and CS1 are one station (statement 4).
        identity = item.station.identity.lower()
        if identity in identities:
            yield LineError(item.line, "identity", "The identity is in the file already.")
        identities.add(identity)
        serial = item.station.bound_serial_number
        if serial is not None:
            if serial in serials:
                yield LineError(item.line, "serial_number", f"{serial} is there already.")
            serials.add(serial)
        for evse in item.station.evses:
            code = evse.gun_code.lower()
            if code in codes:
                yield LineError(item.line, "gun_codes", f"{evse.gun_code} is there already.")
            codes.add(code)
