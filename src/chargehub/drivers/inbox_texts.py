"""How the messages of `inbox_kinds` are written out: which language, which zone, what is left out.

Pure. The texts are made when they are read: in the language of then, with the Location's name of
then.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chargehub.drivers.inbox_kinds import CHINESE, ENGLISH, KINDS, WORDS

Facts = Mapping[str, Any]

LANGUAGES = (CHINESE, ENGLISH)
LOCALES = {CHINESE: "zh-CN", ENGLISH: "en"}
MADE_AT_READING = frozenset({"location", "time_zone"})
"""Of the Location in `location_id`, where that is a fact."""
CHINA_TIME = timezone(timedelta(hours=8))
"""Where no Location says otherwise, or the machine knows no zones."""


class UnknownMessage(ValueError):
    """Nobody could render it: an unknown kind, or one without a fact it needs."""


class _Missing(Exception):
    """A sentence cannot be said."""


class _Writer(string.Formatter):
    """Fills in facts. How: `time`, `date`, `kwh`, `days`, or a table of WORDS; else as it is."""

    def __init__(self, language: str, zone: tzinfo) -> None:
        self._chinese = language == CHINESE
        self._zone = zone

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        del args
        value = kwargs.get(str(key))
        if value is None or value == "":
            raise _Missing
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        try:
            return self._write(value, format_spec)
        except (TypeError, ValueError):
            raise _Missing from None

    def _write(self, value: Any, how: str) -> str:
        if how == "kwh":
            return f"{value / 1000:.2f}"
        if how == "days":
            return self._days(int(value))
        if how == "date":
            day = date.fromisoformat(value[:10])
            return f"{day.year}年{day.month}月{day.day}日" if self._chinese else f"{day:%-d %B %Y}"
        if how == "time":
            moment = datetime.fromisoformat(value).astimezone(self._zone)
            shown = f"{moment:%H:%M}"
            on = f"{moment.month}月{moment.day}日" if self._chinese else f"{moment:%-d %b} "
            return on + shown
        if how in WORDS:
            known = WORDS[how].get(str(value).lower())
            if known is None:
                raise _Missing
            return known[0 if self._chinese else 1]
        return str(value)

    def _days(self, days: int) -> str:
        if days <= 0:
            return "今天到期" if self._chinese else "expires today"
        if self._chinese:
            return f"还有{days}天到期"
        return f"expires in {days} day{'s' if days > 1 else ''}"


def check(kind: str, facts: Facts) -> None:
    """Raise UnknownMessage where a driver could not be told what happened."""
    known = KINDS.get(kind)
    if known is None:
        raise UnknownMessage(f"there is no kind {kind!r} of message")
    lacking = sorted(name for name in known.needed if facts.get(name) is None)
    if lacking:
        raise UnknownMessage(f"{kind} needs {', '.join(lacking)}")


def render(kind: str, facts: Facts, language: str) -> tuple[str, str]:
    """Return title and text. What cannot be said is left out; a kind that has gone is its name."""
    known = KINDS.get(kind)
    if known is None:
        return kind.replace("_", " "), ""
    words = known.texts.get(language, known.texts[CHINESE])
    writer = _Writer(language, _zone(facts))
    said = []
    for sentence in words.sentences:
        try:
            said.append(writer.vformat(sentence, (), facts))
        except _Missing:
            continue
    return words.title, ("" if language == CHINESE else " ").join(said)


def _zone(facts: Facts) -> tzinfo:
    try:
        return ZoneInfo(facts["time_zone"])
    except (KeyError, TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        return CHINA_TIME


def choose_language(accepted: str | None, own: str) -> str:
    """Return what the request accepts most of what we have (RFC 9110 12.5.4), else the own."""
    best, best_weight = own, 0.0
    for item in (accepted or "").split(","):
        tag, _, weight = item.partition(";")
        language = tag.strip().lower().partition("-")[0]
        value = _weight(weight)
        if language in LANGUAGES and value > best_weight:
            best, best_weight = language, value
    return best


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        return min(float(value), 1.0) if name.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0


def is_useful(kind: str, at: datetime, now: datetime) -> bool:
    """Tell whether a text message of it would still help."""
    known = KINDS.get(kind)
    return known is not None and now - at <= known.useful_for
