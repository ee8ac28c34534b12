"""Phones, plates and VINs as they may be written and as staff see them; one-time codes. Pure.

A plate has 7 characters, that of a new-energy vehicle 8 (GA 36-2018); a VIN has 17 without I, O
and Q (GB 16735, ISO 3779). Masks are those of the hub's staff lists: who looks at one learns enough
to tell two drivers apart, and no more.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from chargehub.kit.addresses import network_of

PHONE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
PHONE_SAID = "A mobile number of mainland China is needed: 11 digits, with +86 before them or not."
_SPACING = re.compile(r"[ \u00a0-]")

PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]"
    r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[A-HJ-NP-Z0-9]{6})"
)
PLATE_SAID = "A plate is the province, a letter and 5 characters, or 6 of a new-energy vehicle."
VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
VIN_SAID = "A VIN has 17 letters and digits, none of them I, O or Q."


def normalise_phone(text: str) -> str:
    """Return a mainland mobile number as +86 and 11 digits. ValueError for anything else."""
    found = PHONE.fullmatch(_SPACING.sub("", text))
    if found is None:
        raise ValueError(PHONE_SAID)
    return f"+86{found[1]}"


def normalise_plate(text: str) -> str:
    """Return a plate in capitals, without spaces and dots. ValueError where it is none."""
    plate = re.sub(r"[\s·•.-]", "", text).upper()
    if PLATE.fullmatch(plate) is None:
        raise ValueError(PLATE_SAID)
    return plate


def normalise_vin(text: str) -> str:
    """Return a VIN in capitals. ValueError where it is none."""
    vin = text.strip().upper()
    if VIN.fullmatch(vin) is None:
        raise ValueError(VIN_SAID)
    return vin


def mask_phone(phone: str) -> str:
    """138****1234."""
    digits = phone.removeprefix("+86")
    return f"{digits[:3]}****{digits[-4:]}"


PHONES_WITHIN = re.compile(
    r"(?<![0-9])(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9])"
)


def mask_phones_within(text: str) -> str:
    """Mask whatever looks like a phone in what somebody wrote."""
    return PHONES_WITHIN.sub(lambda found: mask_phone(normalise_phone(found[0])), text)


PLATES_WITHIN = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领]\s*[A-Za-z][\s·•.-]*"
    r"(?:[A-Za-z0-9]{5,6}|[A-Za-z0-9]{4}[挂学警港澳])"
)
IDS_WITHIN = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")


def mask_personal_within(text: str) -> str:
    """Mask whatever looks like a phone, a plate or an ID number in what somebody wrote."""
    plain = unicodedata.normalize("NFKC", text)
    told = IDS_WITHIN.sub(lambda found: f"****{found[0][-4:]}", plain)
    told = PLATES_WITHIN.sub(lambda found: f"{found[0][:2]}·****{found[0][-2:]}", told)
    told = mask_phones_within(told)
    return text if told == plain else told


def says_personal(text: str) -> bool:
    """Tell whether a phone, a plate or an ID number seems to stand in it."""
    return mask_personal_within(text) != text


def mask_name(name: str) -> str:
    """李**: the first character, and two stars however long the rest is."""
    return f"{name[:1]}**" if name else ""


def mask_plate(plate: str) -> str:
    """浙H·D**88: the ends of the number stay."""
    place, number = plate[:2], plate[2:]
    return f"{place}·{number[:1]}{'*' * max(1, len(number) - 3)}{number[-2:]}"


def mask_vin(vin: str) -> str:
    """The last six characters, which tell the vehicles of one make apart."""
    return f"{'*' * (len(vin) - 6)}{vin[-6:]}"


@dataclass(frozen=True, slots=True)
class CodeRules:
    """How often a code is sent to a phone, how long it is good, how often it may be guessed.

    All of it counts for a phone and, apart from that, for each device that has proved the phone
    before. So who only knows a number keeps its driver's devices from nothing; the driver's new
    device waits for `longest_lock` at most where somebody guesses. Of a million codes a stranger
    tries a hundred a day, and the phone gets `sends_per_day` messages for it.
    """

    lifetime: timedelta = timedelta(minutes=5)
    resend_after: timedelta = timedelta(seconds=60)
    window: timedelta = timedelta(hours=1)
    sends_per_window: int = 5
    day: timedelta = timedelta(hours=24)
    sends_per_day: int = 20
    tries_per_code: int = 5
    first_lock: timedelta = timedelta(minutes=5)
    longest_lock: timedelta = timedelta(hours=1)
    forgiven_after: timedelta = timedelta(hours=24)
    """Without a code wrong tries are forgotten."""


@dataclass(frozen=True, slots=True)
class CodeState:
    """What is known of the codes of one phone. Times are wall times."""

    sent_at: datetime
    expires_at: datetime
    window_began_at: datetime
    day_began_at: datetime
    code_hash: bytes | None = None
    """None when it was used, or guessed at too often."""
    sends: int = 0
    """In the window."""
    day_sends: int = 0
    """In the day."""
    failures: int = 0
    """Wrong tries since the last right one, over all codes."""
    locked_until: datetime | None = None


class Redemption(Enum):
    RIGHT = auto()
    WRONG = auto()
    EXPIRED = auto()
    LOCKED = auto()


def seconds_until(until: datetime | None, now: datetime) -> int:
    """Return whole seconds to wait; 0 when it is past."""
    return 0 if until is None else max(0, math.ceil((until - now).total_seconds()))


def wait_for_send(state: CodeState | None, now: datetime, rules: CodeRules) -> int:
    """Return the seconds until another code may be sent to this phone; 0: now."""
    if state is None:
        return 0
    waits = [seconds_until(state.locked_until, now)]
    if state.sends:
        waits.append(seconds_until(state.sent_at + rules.resend_after, now))
    if state.sends >= rules.sends_per_window:
        waits.append(seconds_until(state.window_began_at + rules.window, now))
    if state.day_sends >= rules.sends_per_day:
        waits.append(seconds_until(state.day_began_at + rules.day, now))
    return max(waits)


def sent(state: CodeState | None, code_hash: bytes, now: datetime, rules: CodeRules) -> CodeState:
    """Return the state after a code was sent; the one before is good no more."""
    fresh = CodeState(
        sent_at=now,
        expires_at=now + rules.lifetime,
        window_began_at=now,
        day_began_at=now,
        code_hash=code_hash,
        sends=1,
        day_sends=1,
    )
    if state is None:
        return fresh
    in_window = now < state.window_began_at + rules.window
    in_day = now < state.day_began_at + rules.day
    return replace(
        fresh,
        window_began_at=state.window_began_at if in_window else now,
        sends=state.sends + 1 if in_window else 1,
        day_began_at=state.day_began_at if in_day else now,
        day_sends=state.day_sends + 1 if in_day else 1,
        failures=state.failures if now < state.sent_at + rules.forgiven_after else 0,
        locked_until=state.locked_until,
    )


def redeem(
    state: CodeState | None, matches: bool, now: datetime, rules: CodeRules
) -> tuple[Redemption, CodeState | None]:
    """Judge a presented code; return the state to keep. A right one is good once."""
    if state is None:
        return Redemption.WRONG, None
    if seconds_until(state.locked_until, now) > 0:
        return Redemption.LOCKED, state
    if state.code_hash is None or now >= state.expires_at:
        # Guesses at a dead code gain nothing and cost nothing.
        told = matches and state.code_hash is not None
        return (Redemption.EXPIRED if told else Redemption.WRONG), state
    if matches:
        return Redemption.RIGHT, replace(state, code_hash=None, failures=0, locked_until=None)
    return Redemption.WRONG, _after_wrong(state, now, rules)


def _after_wrong(state: CodeState, now: datetime, rules: CodeRules) -> CodeState:
    failures = state.failures + 1
    if failures % rules.tries_per_code:
        return replace(state, failures=failures)
    times = min(failures // rules.tries_per_code - 1, 20)
    lock = min(rules.first_lock * 2**times, rules.longest_lock)
    return replace(state, code_hash=None, failures=failures, locked_until=now + lock)


class AddressBudget:
    """How many things one address may have done for it in a window, in a bounded table.

    Many phones share an address of their network, so the limit is wide: it is for floods. Of IPv6
    a whole /64 counts as one address.
    """

    def __init__(self, limit: int, window_s: float = 3_600.0, *, max_keys: int = 10_000) -> None:
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._table: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def take(self, address: str, now_s: float) -> int:
        """Count one; return the seconds it must wait, 0 when it may go on."""
        network = network_of(address)
        began, count = self._table.get(network, (now_s, 0))
        if now_s >= began + self._window_s:
            began, count = now_s, 0
        if count >= self._limit:
            return max(1, math.ceil(began + self._window_s - now_s))
        self._table[network] = (began, count + 1)
        self._table.move_to_end(network)
        while len(self._table) > self._max_keys:
            self._table.popitem(last=False)
        return 0
