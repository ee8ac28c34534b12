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
REPEATED = 4
"""Where a text stands so often in a column, quoting it once is cheaper than sending it as it is."""


_TEXT_OID, _TEXT_ARRAY_OID = 25, 1009
_NULL = (-1).to_bytes(4, "big", signed=True)


class BinaryTexts:
    """A text[] as PostgreSQL takes it in binary (array_recv)."""

    __slots__ = ("data",)

    def __init__(self, texts: Sequence[str | None]) -> None:
        # Dimensions, whether NULL may come, the elements' type; size and lower bound.
        parts = [struct.pack("!5i", 1, 1, _TEXT_OID, len(texts), 1)]
        for text in texts:
            if text is None:
                parts.append(_NULL)
            else:
                data = text.encode()
                parts += len(data).to_bytes(4, "big"), data
        self.data = b"".join(parts)


class _BinaryTextsDumper(Dumper):
    format = Format.BINARY
    oid = _TEXT_ARRAY_OID

    def dump(self, obj: BinaryTexts) -> bytes:
        return obj.data


psycopg.adapters.register_dumper(BinaryTexts, _BinaryTextsDumper)


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
    if all(issubclass(kind, int) and kind is not bool for kind in kinds - {type(None)}):
        # Flags among plain numbers: the driver takes a list of one type only.
        return [None if number is None else int(number) for number in column]
    return list(column)


def _quoted(text: str | None) -> str:
    """Quote an element of an array literal (PostgreSQL manual, 8.15.6)."""
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
