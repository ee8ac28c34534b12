"""A credential's number, its dates, its masks, and on which days it counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.drivers.credentials.rules import (
    MAX_NUMBER,
    MIN_NUMBER,
    NOTICES_DAYS,
    CredentialKind,
    CredentialStatus,
    HeldCredential,
    UnusableDates,
    UnusableNumber,
    Validity,
    check_dates,
    due_notice,
    has_id_check,
    kinds_verified,
    local_day,
    masked_number,
    next_local_day,
    number_tail,
    read_number,
    without_number,
)

ID_NUMBER = "33080219900307718X"
TODAY = date(2026, 11, 23)
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))
ID_BODIES = st.text("0123456789", min_size=17, max_size=17)


def id_number(body: str) -> str:
    """Return the ID number of these 17 digits, by the rule of GB 11643 (ISO 7064 MOD 11-2)."""
    found = [digit for digit in "0123456789X" if remainder(body + digit) == 1]
    assert len(found) == 1
    return body + found[0]


def remainder(number: str) -> int:
    values = [10 if digit == "X" else int(digit) for digit in number]
    return sum(value * (1 << place) for place, value in enumerate(reversed(values))) % 11


@given(ID_BODIES)
def test_an_id_number_has_its_check_digit_by_the_standard(body: str) -> None:
    assert has_id_check(id_number(body))


@given(ID_BODIES, st.integers(0, 17), st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_found(body: str, place: int, digit: str) -> None:
    number = id_number(body)
    wrong = number[:place] + digit + number[place + 1 :]
    assert has_id_check(wrong) == (wrong == number)


@given(ID_BODIES, st.integers(0, 15))
def test_two_neighbours_swapped_are_always_found(body: str, place: int) -> None:
    number = id_number(body)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert has_id_check(swapped) == (swapped == number)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (ID_NUMBER, ID_NUMBER),
        ("33080219900307718x", ID_NUMBER),
        (" 330802 19900307 718x ", ID_NUMBER),
        ("330802-19900307-718X", ID_NUMBER),
        ("330802199003077180"[:17] + "X", ID_NUMBER),
        ("33080219900307718Ｘ", ID_NUMBER),
        ("浙H字第20260123号", "浙H字第20260123号"),
        ("zj-20260123", "ZJ20260123"),
        ("浙交运管（衢）字第20260123号", "浙交运管衢字第20260123号"),
        ("A1B2C3D4E5F6G7H8J", "A1B2C3D4E5F6G7H8J"),
        ("证" * 14 + "2026", "证" * 14 + "2026"),
        ("1234567890" * 2, "1234567890" * 2),
    ],
)
def test_spellings_of_one_number_are_one(written: str, read: str) -> None:
    assert read_number(written) == read


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("", "number_length"),
        ("12345", "number_length"),
        ("1" * (MAX_NUMBER + 1), "number_length"),
        ("-- --", "number_length"),
        ("2026\x000123", "number_characters"),
        ("20260123<b>", "number_characters"),
        ("ABCDEFGH", "number_placeholder"),
        ("11111111", "number_placeholder"),
        ("12121212", "number_placeholder"),
        ("330802199003077181", "id_check_digit"),
        ("33O80219900307718X", "id_check_digit"),
        ("X30802199003077183", "id_check_digit"),
        ("ABCD20260123456789", "id_check_digit"),
    ],
)
def test_what_is_no_number_is_refused_without_being_repeated(number: str, rule: str) -> None:
    with pytest.raises(UnusableNumber) as refused:
        read_number(number)
    assert refused.value.facts["rule"] == rule
    assert not number or number not in refused.value.detail


@given(st.text(max_size=140))
def test_a_number_is_read_or_refused_and_reading_it_again_changes_nothing(text: str) -> None:
    try:
        number = read_number(text)
    except UnusableNumber:
        return
    assert MIN_NUMBER <= len(number) <= MAX_NUMBER
    assert number.isalnum()
    assert read_number(number) == number


@given(st.text("0123456789ABC", min_size=MIN_NUMBER, max_size=30))
def test_no_more_than_the_last_four_stays(number: str) -> None:
    tail = number_tail(number)
    assert number.endswith(tail)
    assert len(tail) <= 4
    assert len(tail) * 2 <= len(number)
    assert number not in masked_number(tail)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"the number {ID_NUMBER} is not legible", "the number ****718X is not legible"),
        (f"{ID_NUMBER.lower()}？", "****718x？"),
        ("ZJ20260123 belongs to another", "****0123 belongs to another"),
        ("of somebody else: 110105194912310021.", "of somebody else: ****0021."),
        ("ends 20270131, see form 1234", "ends 20270131, see form 1234"),
        ("", ""),
    ],
)
def test_free_text_keeps_no_number(text: str, masked: str) -> None:
    assert without_number(text, lambda run: run in {ID_NUMBER, "ZJ20260123"}) == masked


@pytest.mark.parametrize(
    ("dates", "rule"),
    [
        (Validity(valid_to=date(2026, 11, 22)), "not_ended"),
        (Validity(issued_on=date(2026, 11, 24)), "issued_in_the_past"),
        (Validity(date(2026, 1, 2), None, date(2026, 1, 1)), "dates_in_order"),
        (Validity(None, date(2027, 1, 2), date(2027, 1, 1)), "dates_in_order"),
    ],
)
def test_dates_that_cannot_be_are_refused(dates: Validity, rule: str) -> None:
    with pytest.raises(UnusableDates) as refused:
        check_dates(dates, TODAY)
    assert refused.value.facts["rule"] == rule


@pytest.mark.parametrize(
    "dates",
    [
        Validity(),
        Validity(valid_to=TODAY),
        Validity(TODAY, TODAY, TODAY),
        Validity(None, date(2027, 1, 1), date(2029, 1, 1)),
    ],
)
def test_dates_that_can_be_are_taken(dates: Validity) -> None:
    check_dates(dates, TODAY)


def test_an_approval_needs_an_end() -> None:
    with pytest.raises(UnusableDates):
        check_dates(Validity(), TODAY, end_needed=True)


def held(status: CredentialStatus, begin: date | None, end: date | None) -> HeldCredential:
    return HeldCredential(CredentialKind.TAXI_QUALIFICATION, status, begin, end)


@given(st.sampled_from(CredentialStatus), st.none() | DAYS, st.none() | DAYS, DAYS)
def test_a_credential_counts_on_the_days_of_its_approval(
    status: CredentialStatus, begin: date | None, end: date | None, on: date
) -> None:
    counts = (
        status.value in {"approved", "expired"}
        and end is not None
        and (begin or date.min) <= on <= end
    )
    found = kinds_verified([held(status, begin, end)], on)
    assert found == ({CredentialKind.TAXI_QUALIFICATION} if counts else frozenset())


def test_each_kind_counts_by_itself() -> None:
    good = held(CredentialStatus.APPROVED, None, TODAY)
    card = HeldCredential(CredentialKind.SERVICE_CARD, CredentialStatus.PENDING, None, TODAY)
    assert kinds_verified([good, card], TODAY) == {CredentialKind.TAXI_QUALIFICATION}
    assert kinds_verified([good, card], TODAY + timedelta(days=1)) == frozenset()


def test_a_day_ends_at_the_hubs_midnight() -> None:
    last_minute = datetime(2026, 11, 23, 15, 59, tzinfo=UTC)
    assert local_day(last_minute, SHANGHAI) == date(2026, 11, 23)
    assert local_day(last_minute + timedelta(minutes=1), SHANGHAI) == date(2026, 11, 24)
    assert local_day(last_minute, ZoneInfo("UTC")) == date(2026, 11, 23)


@given(st.integers(1_577_836_800, 2_051_222_400).map(lambda s: datetime.fromtimestamp(s, UTC)))
def test_the_daily_action_comes_once_a_day(at: datetime) -> None:
    following = next_local_day(at, SHANGHAI)
    assert following > at
    assert local_day(following, SHANGHAI) == local_day(at, SHANGHAI) + timedelta(days=1)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 60))
def test_notices_come_once_each_and_only_downwards(gaps: list[int], left: int) -> None:
    """However often the action runs or misses a day, nobody is told twice of one stage."""
    end, noticed, given_stages = TODAY + timedelta(days=left), None, []
    day = TODAY
    for gap in gaps:
        day += timedelta(days=gap)
        stage = due_notice(end, day, noticed)
        remaining = (end - day).days
        if stage is not None:
            assert 0 <= remaining <= stage
            noticed = stage
            given_stages.append(stage)
        elif 0 <= remaining <= max(NOTICES_DAYS):
            assert noticed is not None
            assert noticed <= min(days for days in NOTICES_DAYS if remaining <= days)
    assert given_stages == sorted(set(given_stages), reverse=True)


def test_a_hub_that_runs_every_day_tells_at_30_7_and_0_days() -> None:
    told, noticed = [], None
    for left in range(40, -3, -1):
        stage = due_notice(TODAY + timedelta(days=left), TODAY, noticed)
        if stage is not None:
            told.append(left)
            noticed = stage
    assert told == [30, 7, 0]
