"""What a credential is: its number, its dates, what is shown of it, whether it counts. Pure.

Numbers have no common form: many are the holder's ID number, many are an authority's own. So there
is no one pattern: the spelling is evened out, the length is bounded, and what is as long as an ID
number must have an ID number's check digit (GB 11643).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from chargehub.kit.errors import InvalidInput

MIN_NUMBER, MAX_NUMBER = 6, 128
ID_LENGTH = 18
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
# Between the groups of a number as it is printed or typed; they tell no two numbers apart.
_SEPARATORS = re.compile(r"[\s\-_./·•()\[\]'\"\u2010-\u2015]+")
_RUN = re.compile(r"[^\W_]{6,}")
_ID_SHAPED = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
NOTICES_DAYS = (0, 7, 30)
"""So many days before its end the driver is told; 0 is the last day on which it counts."""


class CredentialKind(StrEnum):
    TAXI_QUALIFICATION = "taxi_qualification"
    """从业资格证: may drive a taxi."""
    RIDE_HAILING_LICENCE = "ride_hailing_licence"
    """网约车驾驶员证 (网络预约出租汽车驾驶员证)."""
    SERVICE_CARD = "service_card"
    """服务证 (服务监督卡): registered with a taxi company."""


class CredentialStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class UnusableNumber(InvalidInput):
    """This cannot be a credential's number."""

    code = "credential-number-unusable"


class UnusableDates(InvalidInput):
    """The credential's dates do not go together, or it has ended."""

    code = "credential-dates-unusable"


def read_number(text: str) -> str:
    """Return a number in its one spelling; UnusableNumber says what is wrong, never the number."""
    number = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    if not MIN_NUMBER <= len(number) <= MAX_NUMBER:
        raise UnusableNumber(
            f"A credential's number has {MIN_NUMBER} to {MAX_NUMBER} letters and digits.",
            rule="number_length",
            passes_at=None,
        )
    if not number.isalnum():
        raise UnusableNumber(
            "Only letters, digits and Chinese characters are in a credential's number.",
            rule="number_characters",
            passes_at=None,
        )
    if sum(char.isdecimal() for char in number) < 4 or len(set(number)) < 3:
        raise UnusableNumber(
            "This is a placeholder, not a credential's number.",
            rule="number_placeholder",
            passes_at=None,
        )
    if len(number) == ID_LENGTH and number.isascii() and not has_id_check(number):
        raise UnusableNumber(
            "A number of 18 characters is an ID number, and this one's check digit is wrong: "
            "compare it with the document.",
            rule="id_check_digit",
            passes_at=None,
        )
    return number


def has_id_check(number: str) -> bool:
    """Tell whether it has the form and the check digit of an ID number."""
    if re.fullmatch(r"[0-9]{17}[0-9X]", number) is None:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False))
    return _ID_CHECKS[total % 11] == number[-1]


def number_tail(number: str) -> str:
    """Return what is kept legible: the last four, fewer of a short number."""
    return number[-4:] if len(number) >= 2 * 4 else number[-2:]


def masked_number(tail: str) -> str:
    return f"****{tail}"


def without_number(text: str, is_number: Callable[[str], bool]) -> str:
    """Return free text with this credential's number, and whatever looks like an ID, masked."""
    for run in sorted(set(_RUN.findall(text)), key=len, reverse=True):
        if is_number(unicodedata.normalize("NFKC", run).upper()):
            text = text.replace(run, masked_number(run[-4:]))
    return _ID_SHAPED.sub(lambda found: masked_number(found.group()[-4:]), text)


@dataclass(frozen=True, slots=True)
class Validity:
    """The dates on a credential; both ends are days on which it counts."""

    issued_on: date | None = None
    valid_from: date | None = None
    valid_to: date | None = None


def check_dates(dates: Validity, today: date, *, end_needed: bool = False) -> None:
    """Refuse dates that cannot be, and a credential that has ended. Raises UnusableDates."""
    if end_needed and dates.valid_to is None:
        raise UnusableDates("Say until when it is valid.", rule="end_known", passes_at=None)
    if dates.issued_on is not None and dates.issued_on > today:
        raise UnusableDates(
            "It is issued in the future.",
            rule="issued_in_the_past",
            passes_at=dates.issued_on.isoformat(),
        )
    if dates.valid_to is None:
        return
    begins = [day for day in (dates.issued_on, dates.valid_from) if day is not None]
    if begins and dates.valid_to < max(begins):
        raise UnusableDates("It ends before it begins.", rule="dates_in_order", passes_at=None)
    if dates.valid_to < today:
        raise UnusableDates("It has ended.", rule="not_ended", passes_at=None)


def begins_after_gap(valid_from: date | None, old_end: date) -> bool:
    """Tell whether a renewal leaves a day on which neither it nor the old one counts."""
    return valid_from is not None and valid_from > old_end + timedelta(days=1)


def first_day_of_both(old: date | None, renewal: date | None) -> date | None:
    """Return from when one credential counts in the place of two that follow each other.

    A renewal that says no first day begins with the old one.
    """
    return old if old is None or renewal is None else min(old, renewal)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """Return which day it is at the hub."""
    return at.astimezone(zone).date()


def next_local_day(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the hub's next day has just begun."""
    tomorrow = local_day(at, zone) + timedelta(days=1)
    return datetime.combine(tomorrow, time(0, 5), zone)


@dataclass(frozen=True, slots=True)
class HeldCredential:
    """What decides whether a credential counts on a day."""

    kind: CredentialKind
    status: CredentialStatus
    valid_from: date | None
    valid_to: date | None


def kinds_verified(held: Iterable[HeldCredential], on: date) -> frozenset[CredentialKind]:
    """Return the kinds that count on this day: approved, begun and not ended.

    The dates decide, not whether the daily action has been there: what was approved counted until
    its last day.
    """
    return frozenset(
        item.kind
        for item in held
        if item.status in {CredentialStatus.APPROVED, CredentialStatus.EXPIRED}
        and (item.valid_from is None or item.valid_from <= on)
        and item.valid_to is not None
        and on <= item.valid_to
    )


def due_notice(valid_to: date, today: date, noticed_days: int | None) -> int | None:
    """Return which notice is due, None when it has been given: one for all that were missed."""
    left = (valid_to - today).days
    stage = next((days for days in NOTICES_DAYS if 0 <= left <= days), None)
    if stage is None or (noticed_days is not None and noticed_days <= stage):
        return None
    return stage
