"""Makes values from outside fit to be stored, and names their content by a stable hash. Pure.

PostgreSQL stores no NUL and no lone surrogate; JSON columns take no NaN; JSON libraries refuse
integers beyond 64 bit and deep nesting. What is replaced here is replaced visibly.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any
from zlib import crc32

import orjson

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 32
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates, which no text column takes."""
    if text.isascii():
        return text.replace("\x00", REPLACEMENT) if "\x00" in text else text
    return "".join(
        REPLACEMENT if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in text
    )


def clean_json(value: Any, depth: int = 0) -> Any:
    """Return a copy that any JSON column takes; what it cannot take becomes text."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict | list):
        return _clean_container(value, depth)
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        # str() of an integer is quadratic in its digits, and refused beyond a limit.
        return str(value) if value.bit_length() < 4096 else f"integer of {value.bit_length()} bits"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _clean_container(value: dict[Any, Any] | list[Any], depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return "nested too deep"
    if isinstance(value, list):
        return [clean_json(item, depth + 1) for item in value]
    return {clean_text(str(key)): clean_json(item, depth + 1) for key, item in value.items()}


def content_hash(value: Any) -> int:
    """Return a signed 64-bit hash of JSON content: equal content, equal hash, in every process."""
    return int.from_bytes(blake2b(_content(value), digest_size=8).digest(), "big", signed=True)


def content_checksum(value: Any) -> int:
    """Return a 32-bit checksum of JSON content, a third of the hash's cost.

    Enough where it only tells apart what agrees in place and time already.
    """
    return crc32(_content(value))


def _content(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(clean_json(value), option=orjson.OPT_SORT_KEYS)
