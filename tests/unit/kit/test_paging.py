"""Cursors go out and come back; nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.kit.fields import storable_json
from chargehub.kit.paging import InvalidCursor, cut_page, decode_cursor, encode_cursor

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES, INT64, TEXT, st.uuids())
def test_round_trip(at: datetime, number: int, text: str, key: UUID) -> None:
    cursor = encode_cursor("things", at, number, text, key)
    assert decode_cursor("things", cursor, datetime, int, str, UUID) == (at, number, text, key)
    with pytest.raises(InvalidCursor):
        decode_cursor("others", cursor, datetime, int, str, UUID)
    with pytest.raises(InvalidCursor):
        decode_cursor("things", cursor, datetime, int, str)


@given(st.text())
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor("things", cursor, int)


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor("things", None, int) is None


def test_page_is_cut_only_when_there_is_more() -> None:
    assert cut_page([1, 2, 3], 3, str) == ([1, 2, 3], None)
    assert cut_page([1, 2, 3, 4], 3, str) == ([1, 2, 3], "3")
    assert cut_page([], 3, str) == ([], None)


@pytest.mark.parametrize(
    "value", ["\x00", "\ud800", float("nan"), float("inf"), 2**63, {"\x00": 1}]
)
def test_json_that_cannot_be_stored(value: object) -> None:
    with pytest.raises(ValueError, match="allowed"):
        storable_json({"a": [value]})


def test_json_that_can() -> None:
    value: dict[str, object] = {"a": [1, 2.5, None, True, "文", {"b": {}}]}
    assert storable_json(value) is value
