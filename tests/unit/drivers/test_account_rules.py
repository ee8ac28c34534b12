"""Phones, plates, VINs, masks and one-time codes, as tables and as properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.drivers.account_rules import (
    AddressBudget,
    CodeRules,
    CodeState,
    Redemption,
    mask_name,
    mask_personal_within,
    mask_phone,
    mask_plate,
    mask_vin,
    normalise_phone,
    normalise_plate,
    normalise_vin,
    redeem,
    says_personal,
    sent,
    wait_for_send,
)

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
RULES = CodeRules()
HASH = b"h"


@pytest.mark.parametrize(
    "written",
    [
        "13900001234",
        "+8613900001234",
        "+86 139 0000 1234",
        "+86-139-0000-1234",
        "8613900001234",
        "008613900001234",
        " 139 0000 1234 ",
    ],
)
def test_a_phone_has_one_spelling(written: str) -> None:
    assert normalise_phone(written) == "+8613900001234"


@pytest.mark.parametrize(
    "written",
    [
        *("", "1390000123", "139000012345", "12900001234", "23900001234", "+4913900001234"),
        *(
            "1390000123a",
            "１３９００００１２３４",
            "+86+8613900001234",
            "13900001234;",
            "13900001234\n",
        ),
    ],
)
def test_what_is_no_mainland_mobile_number_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="mobile number"):
        normalise_phone(written)


@pytest.mark.parametrize(
    ("written", "plate"),
    [
        ("浙H·D1288", "浙HD1288"),
        ("浙hd1288", "浙HD1288"),
        ("浙H D12345", "浙HD12345"),
        ("京AF0236", "京AF0236"),
        ("粤Z1234港", "粤Z1234港"),
        ("浙H1234挂", "浙H1234挂"),
    ],
)
def test_plates_of_7_and_8_characters(written: str, plate: str) -> None:
    assert normalise_plate(written) == plate


@pytest.mark.parametrize(
    "written",
    [
        "",
        "浙HD128",
        "浙HD123456",
        "HHD1288",
        "浙1D1288",
        "浙HO1288",
        "浙HDI288",
        "浙H挂1288",
        "浙H1234挂1",
    ],
)
def test_what_is_no_plate_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="plate"):
        normalise_plate(written)


def test_a_vin_has_17_characters_without_i_o_and_q() -> None:
    assert normalise_vin(" lsvaa4187c2184841 ") == "LSVAA4187C2184841"
    for wrong in (
        "LSVAA4187C218484",
        "LSVAA4187C21848411",
        *("LSVAA4187C218484" + c for c in "IOQ中"),
    ):
        with pytest.raises(ValueError, match="VIN"):
            normalise_vin(wrong)


def test_masks() -> None:
    assert mask_phone("+8613900001234") == "139****1234"
    assert mask_name("李") == mask_name("李小明") == "李**"
    assert mask_name("") == ""
    assert mask_plate("浙HD1288") == "浙H·D**88"
    assert mask_plate("浙HD12388") == "浙H·D***88"
    assert mask_vin("LSVAA4187C2184841") == "***********184841"


def first(at: datetime = NOW) -> CodeState:
    return sent(None, HASH, at, RULES)


def after(**delay: float) -> datetime:
    return NOW + timedelta(**delay)


def test_a_right_code_is_good_once_and_for_five_minutes() -> None:
    for moment, verdict in (
        (NOW, Redemption.RIGHT),
        (after(seconds=299.9), Redemption.RIGHT),
        (after(seconds=300), Redemption.EXPIRED),
    ):
        assert redeem(first(), True, moment, RULES)[0] is verdict
    assert redeem(first(), False, after(seconds=300), RULES)[0] is Redemption.WRONG
    _, used = redeem(first(), True, NOW, RULES)
    assert redeem(used, True, NOW, RULES)[0] is Redemption.WRONG
    assert redeem(None, False, NOW, RULES) == (Redemption.WRONG, None)


def test_five_wrong_tries_void_the_code_and_lock_for_ever_longer() -> None:
    state: CodeState | None = first()
    for _ in range(4):
        verdict, state = redeem(state, False, NOW, RULES)
        assert verdict is Redemption.WRONG
    assert redeem(state, True, NOW, RULES)[0] is Redemption.RIGHT
    _, state = redeem(state, False, NOW, RULES)
    assert state is not None
    assert (state.code_hash, state.locked_until) == (None, after(minutes=5))
    assert redeem(state, True, after(minutes=4), RULES)[0] is Redemption.LOCKED
    assert wait_for_send(state, NOW, RULES) == 300
    # The lock is over, the code stays void; five wrong tries more lock twice as long.
    assert redeem(state, True, after(minutes=5), RULES)[0] is Redemption.WRONG
    again = sent(state, HASH, after(minutes=5), RULES)
    for _ in range(5):
        _, again = redeem(again, False, after(minutes=5), RULES)  # type: ignore[assignment]  # There is one.
    assert again.locked_until == after(minutes=15)


def test_a_right_code_forgives_the_wrong_ones() -> None:
    _, state = redeem(first(), False, NOW, RULES)
    _, state = redeem(state, True, NOW, RULES)
    assert state is not None
    assert state.failures == 0


def test_the_longest_lock_is_an_hour_and_wrong_tries_are_forgotten_after_a_day() -> None:
    state, now, locks = first(), NOW, []
    for _ in range(7):
        for _ in range(RULES.tries_per_code):
            _, state = redeem(state, False, now, RULES)  # type: ignore[assignment]  # There is one.
        assert state.locked_until is not None
        locks.append((state.locked_until - now) // timedelta(minutes=1))
        now = state.locked_until
        state = sent(state, HASH, now, RULES)
    assert locks == [5, 10, 20, 40, 60, 60, 60]
    assert sent(state, HASH, now + timedelta(hours=23.9), RULES).failures == 35
    assert sent(state, HASH, now + timedelta(hours=24), RULES).failures == 0


def test_a_phone_gets_twenty_codes_a_day() -> None:
    state = first()
    for number in range(1, 20):
        moment = after(minutes=13 * number)
        assert wait_for_send(state, moment, RULES) == 0
        state = sent(state, HASH, moment, RULES)
    moment = after(hours=5.5)
    assert wait_for_send(state, moment, RULES) == 18.5 * 3600
    assert wait_for_send(state, after(hours=24), RULES) == 0
    assert sent(state, HASH, after(hours=24), RULES).day_sends == 1


def test_a_phone_gets_one_code_a_minute_and_five_an_hour() -> None:
    assert wait_for_send(None, NOW, RULES) == 0
    state = first()
    assert wait_for_send(state, after(seconds=1), RULES) == 59
    for number in range(1, 5):
        moment = after(minutes=number)
        assert wait_for_send(state, moment, RULES) == 0
        state = sent(state, HASH, moment, RULES)
    assert wait_for_send(state, after(minutes=10), RULES) == 3_000
    assert wait_for_send(state, after(minutes=60), RULES) == 0
    assert sent(state, HASH, after(minutes=60), RULES).sends == 1


@given(st.lists(st.tuples(st.floats(0, 600), st.booleans()), max_size=60))
def test_no_sequence_of_wrong_tries_guesses_more_than_five_times_a_code(
    tries: list[tuple[float, bool]],
) -> None:
    """Whatever comes in which order: between two codes only so many guesses are looked at."""
    state, now, looked_at = first(), NOW, 0
    for delay, asks_again in tries:
        now += timedelta(seconds=delay)
        if asks_again and wait_for_send(state, now, RULES) == 0:
            state, looked_at = sent(state, HASH, now, RULES), 0
            continue
        live = state.code_hash is not None and now < state.expires_at
        verdict, kept = redeem(state, False, now, RULES)
        assert verdict in {Redemption.WRONG, Redemption.LOCKED}
        assert kept is not None
        looked_at += live and kept.failures != state.failures
        state = kept
        assert looked_at <= RULES.tries_per_code


def test_an_address_has_a_budget_an_hour_in_a_bounded_table() -> None:
    budget = AddressBudget(2, 60, max_keys=3)
    assert [budget.take("a", 0), budget.take("a", 1)] == [0, 0]
    assert budget.take("a", 2) == 58
    assert budget.take("b", 2) == 0
    assert budget.take("a", 60) == 0
    for address in "cdefg":
        budget.take(address, 61)
    assert len(budget) == 3


def test_a_site_of_ipv6_has_one_budget() -> None:
    budget = AddressBudget(1)
    assert budget.take("2001:db8:0:1::1", 0) == 0
    assert budget.take("2001:db8:0:1:ffff::2", 0) == 3_600
    assert budget.take("2001:db8:0:2::1", 0) == 0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("call 138 0000 1234 back", "call 138****1234 back"),
        ("plate 浙H·D12388, at gate 2", "plate 浙H·****88, at gate 2"),
        ("浙ＨＤ１２３８８", "浙H·****88"),
        ("his ID is 33080219900307718x", "his ID is ****718x"),
        ("工单 1234：回访", "工单 1234：回访"),
    ],
)
def test_what_staff_write_keeps_no_phone_plate_or_id(said: str, kept: str) -> None:
    assert mask_personal_within(said) == kept
    assert says_personal(said) == (said != kept)
