"""Columns of a batch's rows as query parameters: what `unnest` takes, made in one stroke.

The driver quotes element by element, which costs more than all else we do for a row.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_NUMBERS = frozenset({int, float, type(None)})
_TIMES = frozenset({datetime, type(None)})
_TEXTS = frozenset({str, type(None)})
_BYTES = frozenset({bytes, type(None)})
REPEATED = 4
"""Where a text stands so often in a column, quoting it once is cheaper than sending it as it is."""

_NULL = (-1).to_bytes(4, "big", signed=True)
_SIZES = [size.to_bytes(4, "big") for size in range(4096)]


class _BinaryArray:
    """An array as PostgreSQL takes it in binary (array_recv)."""

    __slots__ = ("data",)
    element_oid: int

    def __init__(self, elements: Sequence[Any]) -> None:
        """Take bytes and None."""
        count = len(elements)
        parts = [b""] * (2 * count + 1)
        # Dimensions, whether NULL may come, the elements' type; size and lower bound.
        parts[0] = struct.pack("!5i", 1, 1, self.element_oid, count, 1)
        try:
            # A loop of ours would cost more than all that is done for an element.
            parts[1::2] = map(_SIZES.__getitem__, map(len, elements))
            parts[2::2] = elements
        except (TypeError, IndexError):
            for place, element in enumerate(elements):
                parts[2 * place + 1] = _NULL if element is None else len(element).to_bytes(4, "big")
                parts[2 * place + 2] = element or b""
        self.data = b"".join(parts)


class BinaryUtf8(_BinaryArray):
    """A text[] of what is encoded already."""

    __slots__ = ()
    element_oid = 25


class BinaryTexts(BinaryUtf8):
    """A text[]."""

    __slots__ = ()

    def __init__(self, texts: Sequence[Any]) -> None:
        """Take texts and None."""
        try:
            encoded: list[bytes | None] = list(map(str.encode, texts))
        except TypeError:
            encoded = [None if text is None else text.encode() for text in texts]
        super().__init__(encoded)


class BinaryBytes(_BinaryArray):
    """A bytea[]."""

    __slots__ = ()
    element_oid = 17


class _BinaryArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _BinaryArray) -> bytes:
        return obj.data


class _BinaryTextsDumper(_BinaryArrayDumper):
    oid = 1009


class _BinaryBytesDumper(_BinaryArrayDumper):
    oid = 1001


psycopg.adapters.register_dumper(BinaryUtf8, _BinaryTextsDumper)
psycopg.adapters.register_dumper(BinaryTexts, _BinaryTextsDumper)
psycopg.adapters.register_dumper(BinaryBytes, _BinaryBytesDumper)


def array_parameter(column: Sequence[Any]) -> Any:
    """Return a column as a query parameter: an array literal where that is cheap and safe.

    The driver quotes element by element, which costs more than all else we do for a row. What is
    no finite number becomes NULL.
    """
    kinds = set(map(type, column))
    if kinds <= _NUMBERS or kinds <= _TIMES:
        # JSON spells these as PostgreSQL reads them, but for the name of nothing.
        return "{" + orjson.dumps(column).decode()[1:-1].replace("null", "NULL") + "}"
    if kinds <= _TEXTS:
        distinct = set(column)
        if len(distinct) * REPEATED > len(column):
            return BinaryTexts(column)
        quoted = {text: _quoted(text) for text in distinct}
        return "{" + ",".join([quoted[text] for text in column]) + "}"
    if kinds <= _BYTES:
        return BinaryBytes(column)
    if all(issubclass(kind, int) and kind is not bool for kind in kinds - {type(None)}):
        # Flags among plain numbers: the driver takes a list of one type only.
        return [None if number is None else int(number) for number in column]
    return list(column)


def _quoted(text: str | None) -> str:
    """Quote an element of an array literal (PostgreSQL manual, 8.15.6)."""
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
