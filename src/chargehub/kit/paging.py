"""Keyset paging: an opaque cursor names the last row seen, so pages neither skip nor repeat."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chargehub.kit.errors import InvalidInput
from chargehub.kit.fields import MAX_INT64, clean_text

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT")
CursorValue = str | int | datetime | UUID


class InvalidCursor(InvalidInput):
    """The cursor is not one of ours."""

    code = "invalid-cursor"


class Page(BaseModel, Generic[ItemT]):
    items: list[ItemT]
    next_cursor: str | None = Field(
        None,
        description="Give it back as `cursor` for the next page; null on the last page.",
        examples=["WyJzdGF0aW9ucyIsImNzMDAyIiwyXQ"],
    )


class PageQuery(BaseModel):
    """Query parameters of a list; subclasses add filters. A misspelt filter is refused."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(
        None, max_length=500, description="`next_cursor` of the page before."
    )
    limit: int = Field(100, ge=1, le=500, description="Rows a page.")


def encode_cursor(kind: str, *values: CursorValue) -> str:
    plain = [value if isinstance(value, int) else str(value) for value in values]
    packed = json.dumps([kind, *plain], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(
    kind: str, cursor: str | None, *types: type[CursorValue]
) -> tuple[Any, ...] | None:
    """Return the values of a cursor, None when there is none; InvalidCursor for anything else."""
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = json.loads(packed)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidCursor from error
    if not isinstance(found, list) or len(found) != len(types) + 1 or found[0] != kind:
        raise InvalidCursor
    return tuple(_read(value, kind) for value, kind in zip(found[1:], types, strict=True))


def _read(value: Any, kind: type[CursorValue]) -> CursorValue:
    try:
        if kind is int and type(value) is int and -MAX_INT64 - 1 <= value <= MAX_INT64:
            return value
        if kind is str and isinstance(value, str):
            return clean_text(value)
        if kind is datetime and isinstance(value, str):
            return _moment(value)
        if kind is UUID and isinstance(value, str):
            return UUID(value)
    except (ValueError, OverflowError) as error:
        raise InvalidCursor from error
    raise InvalidCursor


def _moment(text: str) -> datetime:
    # Any year: a station with a wrong clock has rows far from today, and they are paged as well.
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.astimezone(UTC)


def cut_page(
    rows: Sequence[RowT], limit: int, cursor_of: Callable[[RowT], str]
) -> tuple[Sequence[RowT], str | None]:
    """Split `limit + 1` fetched rows into the page and the cursor of the next one."""
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, cursor_of(page[-1])
