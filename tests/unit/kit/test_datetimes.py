"""Statement 39: date-times out and in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehub.kit.datetimes import format_datetime, parse_datetime

CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=CHINA), "2026-01-01T19:04:05.000Z"),
    ],
)
def test_statement_39_at_most_three_fractional_digits_and_z(at: datetime, text: str) -> None:
    assert format_datetime(at) == text


def test_a_moment_without_zone_is_never_sent() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_datetime(datetime(2026, 1, 2, 3, 4, 5))  # noqa: DTZ001 - the case under test.


@pytest.mark.parametrize(
    ("text", "at", "had_zone"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2026-01-02T03:04:05.5Z", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC), True),
        ("2026-01-02T03:04:05.123Z", datetime(2026, 1, 2, 3, 4, 5, 123_000, tzinfo=UTC), True),
        (
            "2026-01-02T03:04:05.123456789Z",
            datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC),
            True,
        ),
        ("2026-01-02T11:04:05+08:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2026-01-02T11:04:05+0800", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), False),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), False),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC), True),
        (" 2026-01-02t03:04:05z ", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC), True),
    ],
)
def test_statement_39_what_stations_send_is_read(text: str, at: datetime, had_zone: bool) -> None:
    read = parse_datetime(text)
    assert read == (at, had_zone)
    assert read is not None
    assert read.at.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        "2026-01-02T03:04:05+99:00",
        1_700_000_000,
        None,
        [],
        {},
    ],
)
def test_what_is_no_date_time_is_none(text: object) -> None:
    assert parse_datetime(text) is None


@settings(derandomize=True)
@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(at: datetime) -> None:
    read = parse_datetime(format_datetime(at))
    assert read == (at.replace(microsecond=at.microsecond // 1000 * 1000), True)


@settings(derandomize=True)
@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    read = parse_datetime(text)
    assert read is None or read.at.tzinfo is UTC
