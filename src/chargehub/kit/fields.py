"""Field types of the API that are safe to store: clean text, 64-bit integers, zoned times.

PostgreSQL refuses NUL, lone surrogates and NaN; what would fail there is refused here as 422.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

MAX_INT64 = 2**63 - 1
MAX_JSON_DEPTH = 32


def clean_text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("NUL is not allowed in text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("Lone surrogates are not allowed in text") from error
    return value


def utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("The time needs a zone")
    try:
        moved = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("The time is out of range") from error
    if not 1970 <= moved.year <= 2200:
        raise ValueError("The time is out of range (1970 to 2200)")
    return moved


def storable_json(value: Any) -> Any:
    """Refuse what JSON can say and jsonb cannot keep."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"Nested deeper than {MAX_JSON_DEPTH} levels")
        if isinstance(item, str):
            clean_text(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and Infinity are not allowed")
        elif isinstance(item, int) and abs(item) > MAX_INT64:
            raise ValueError("Integers beyond 64 bits are not allowed")
        elif isinstance(item, dict):
            waiting.extend((key, depth) for key in item)
            waiting.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list):
            waiting.extend((child, depth + 1) for child in item)
    return value


def written_time(value: Any) -> Any:
    """Refuse a bare number, which pydantic takes for seconds since 1970."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    raise ValueError("A time is written as 2026-11-23T04:00:00Z, with a zone")


def explained(sentence: str) -> WrapValidator:
    """Say this of whatever the type refuses, where its own words would be a regular expression."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise PydanticCustomError("unusable", "{sentence}", {"sentence": sentence}) from None

    return WrapValidator(check)


def known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError("This machine knows no such time zone (tzdata)") from None
    return name


CleanText = Annotated[str, AfterValidator(clean_text)]
ShortText = Annotated[
    str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(clean_text)
]
POWER_SAID = "Power is in W: 120000 for 120 kW. From 1000 to 10000000, or leave it out for any."


def _usual_power(power_w: int) -> int:
    if 0 < power_w < LEAST_POWER_W:
        raise ValueError(POWER_SAID)
    return power_w


LEAST_POWER_W, MAX_POWER_W = 1_000, 10_000_000
"""Whoever asks for less than a kilowatt has said kilowatts."""
WantedPower = Annotated[
    StrictInt, Field(ge=0, le=MAX_POWER_W), AfterValidator(_usual_power), explained(POWER_SAID)
]
"""What a gun is to have at least, W; 0: any."""
LeastPower = Annotated[int, Field(ge=LEAST_POWER_W, le=MAX_POWER_W), explained(POWER_SAID)]
"""The same in a query."""
RowId = Annotated[int, Field(ge=1, le=MAX_INT64)]
UtcTime = Annotated[AwareDatetime, BeforeValidator(written_time), AfterValidator(utc)]
"""RFC 3339 with a zone; becomes UTC."""
TimeZoneName = Annotated[str, AfterValidator(known_zone)]
"""IANA, as Asia/Shanghai."""
JsonObject = Annotated[dict[str, Any], AfterValidator(storable_json)]
