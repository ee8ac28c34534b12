"""Every kind of message can be said in both languages, whatever of its facts is there."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargehub.drivers.inbox_kinds import KINDS, WORDS
from chargehub.drivers.inbox_texts import (
    LANGUAGES,
    MADE_AT_READING,
    UnknownMessage,
    check,
    choose_language,
    is_useful,
    render,
)

# What helpers of the domain write, said a second time: a renamed fact breaks texts silently.
FACTS: dict[str, Any] = {
    "reservation_id": 7,
    "location_id": "QZ-HUB",
    "charge_id": "6f0d6b1e-0000-4000-8000-000000000000",
    "gun_code": "A12",
    "from_gun_code": "A03",
    "until": "2026-11-23T11:45:00+00:00",
    "starts_at": "2026-11-23T16:30:00+00:00",
    "energy_wh": 34_560,
    "minutes": 41,
    "reason": "soc_limit",
    "location": "衢州北站",
    "kind": "ride_hailing_licence",
    "status": "approved",
    "days_left": 7,
    "valid_to": "2026-11-30",
    "number": "****1234",
    "car": "184841",
    "note": "测试",
    "opens_at": "2026-11-24T00:00:00+00:00",
    "at": "2026-11-23T11:45:00+00:00",
}
IN_CONTRACT = {
    *("reservation_about_to_expire", "reservation_failed", "reservation_moved", "your_turn"),
    *("reservation_called", "reservation_waiting", "reservation_cancelled"),
    *("charging_ended", "charging_failed", "credential_expiring", "credential_decided"),
    *("plug_and_charge_began", "plug_and_charge_unbound"),
    *("turn_missed", "turn_lost", "turn_postponed", "queue_ended"),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
BOTH = pytest.mark.parametrize("language", LANGUAGES)


def test_the_kinds_are_those_of_the_contract() -> None:
    assert set(KINDS) == IN_CONTRACT


def fields_of(text: str) -> list[tuple[str, str]]:
    parsed = string.Formatter().parse(text)
    return [(name, how or "") for _, name, how, _ in parsed if name is not None]


@EVERY
@BOTH
def test_every_fact_that_a_text_names_is_given(kind: str, language: str) -> None:
    known = KINDS[kind]
    text = known.texts[language]
    assert not fields_of(text.title)
    assert {name for name, _ in fields_of(text.sentences[0])} <= known.needed
    for sentence in text.sentences:
        for name, how in fields_of(sentence):
            assert name in known.needed | known.may
            assert how in {"", "time", "date", "kwh", "days"} | WORDS.keys()
    assert known.may - MADE_AT_READING <= FACTS.keys()
    assert known.needed <= FACTS.keys()


@EVERY
def test_both_languages_say_the_same(kind: str) -> None:
    said = [
        [sorted(fields_of(sentence)) for sentence in KINDS[kind].texts[language].sentences]
        for language in LANGUAGES
    ]
    assert said[0] == said[1]


@EVERY
@BOTH
def test_all_facts_are_said(kind: str, language: str) -> None:
    title, text = render(kind, FACTS, language)
    assert title
    assert not re.search(r"[{}]|None", text)
    assert len(re.findall(r"[。.](?=\s|$|\S)", text)) >= len(KINDS[kind].texts[language].sentences)
    if language == "zh":
        assert not re.search(r"[,;!?]", text), "Chinese text has its own punctuation"


@EVERY
@BOTH
def test_what_is_missing_is_left_out(kind: str, language: str) -> None:
    needed = {name: FACTS[name] for name in KINDS[kind].needed}
    nothing_more = dict.fromkeys(KINDS[kind].may) | needed
    title, text = render(kind, nothing_more, language)
    assert title
    assert len(text) > 10
    assert not re.search(r"[{}]|None", text)
    # A fact of the wrong kind costs its own sentence only.
    odd = dict.fromkeys(KINDS[kind].may, "odd") | needed
    assert len(render(kind, odd, language)[1]) >= len(text)


@EVERY
def test_a_needed_fact_is_demanded(kind: str) -> None:
    for name in KINDS[kind].needed:
        facts = {other: FACTS[other] for other in KINDS[kind].needed if other != name}
        with pytest.raises(UnknownMessage, match=name):
            check(kind, facts)
        with pytest.raises(UnknownMessage, match=name):
            check(kind, facts | {name: None})
    check(kind, {name: FACTS[name] for name in KINDS[kind].needed})


def test_an_unknown_kind_is_refused_and_an_old_one_is_still_read() -> None:
    with pytest.raises(UnknownMessage, match="something_else"):
        check("something_else", {})
    assert render("something_else", {}, "zh") == ("something else", "")


@pytest.mark.parametrize("table", WORDS)
def test_every_word_is_there_in_both_languages(table: str) -> None:
    for code, words in WORDS[table].items():
        chinese, english = words
        assert re.search(r"[\u4e00-\u9fff]", chinese), code
        assert english.isascii(), code


@pytest.mark.parametrize(
    ("kind", "language", "facts", "said"),
    [
        ("your_turn", "zh", {}, "请在11月23日19:45前到场插枪"),
        ("your_turn", "en", {}, "Please plug in by 23 Nov 19:45,"),
        ("your_turn", "en", {"time_zone": "Europe/Berlin"}, "by 23 Nov 12:45,"),
        ("your_turn", "en", {"time_zone": "No/Where"}, "by 23 Nov 19:45,"),
        ("reservation_failed", "zh", {}, "预约时间：11月24日00:30。"),
        ("charging_ended", "zh", {}, "充入电量：34.56度。用时：41分钟。"),
        ("charging_ended", "en", {"minutes": 0}, "Energy: 34.56 kWh. Time: 0 min."),
        ("charging_ended", "zh", {"reason": "unheard_of"}, "用时：41分钟。枪号：A12。"),
        ("reservation_failed", "en", {"reason": "Faulted"}, "Reason: the gun is out of order."),
        ("credential_expiring", "zh", {}, "您的网约车驾驶员证还有7天到期，"),
        ("credential_expiring", "zh", {"days_left": 0}, "您的网约车驾驶员证今天到期，"),
        ("credential_expiring", "en", {"days_left": 1}, "expires in 1 day. "),
        ("credential_expiring", "en", {}, "Valid to: 30 November 2026."),
        ("credential_decided", "zh", {"reason": "照片不清晰"}, "已通过审核。说明：照片不清晰。"),
        ("credential_decided", "en", {"status": "refused"}, "licence was refused."),
        ("charging_failed", "zh", {"gun_code": "{until}"}, "枪号：{until}。"),
    ],
)
def test_how_facts_are_said(kind: str, language: str, facts: dict[str, Any], said: str) -> None:
    assert said in render(kind, FACTS | facts, language)[1]


@pytest.mark.parametrize(
    ("accepted", "own", "chosen"),
    [
        (None, "zh", "zh"),
        (None, "en", "en"),
        ("", "en", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "en", "zh"),
        ("en-GB", "zh", "en"),
        ("zh;q=0.1, en;q=0.2", "zh", "en"),
        ("fr, de;q=0.5", "en", "en"),
        ("*", "en", "en"),
        ("en;q=0", "zh", "zh"),
        ("en;q=x, ;;;, =", "zh", "zh"),
        ("ZH-Hans-CN", "en", "zh"),
    ],
)
def test_the_language_is_what_the_request_accepts_else_the_drivers(
    accepted: str | None, own: str, chosen: str
) -> None:
    assert choose_language(accepted, own) == chosen


def test_a_text_message_is_of_use_for_a_while() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert is_useful("your_turn", at, at + timedelta(minutes=15))
    assert not is_useful("your_turn", at, at + timedelta(minutes=16))
    assert not is_useful("something_else", at, at)
