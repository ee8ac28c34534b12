"""What may be written to a variable, how requests are split, pages joined, drift told. Pure.

Stations often accept nonsense: one told to send a Heartbeat every "abc" seconds floods us until it
is visited. `SMALLEST` is the one list of what is dangerous; raw commands are held to it as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from chargehub.kit.secrets import REDACTED, hide_in_text, is_secret_name
from chargehub.stations.commands import (
    Command,
    CommandOutcome,
    SetVariables,
    VariableName,
    VariableWrite,
)

MAX_INT31 = 2**31 - 1
HEARTBEAT_MIN_S = 10

# Names are compared without case, as stations do (CiString, identifierString).
SMALLEST: Mapping[tuple[str, str], int] = {
    ("", "blinkrepeat"): 0,
    ("", "lightintensity"): 0,
    ("", "minimumstatusduration"): 0,
    ("aligneddatactrlr", "interval"): 0,
    ("aligneddatactrlr", "txendedinterval"): 0,
    ("authcachectrlr", "lifetime"): 0,
    ("ocppcommctrlr", "heartbeatinterval"): HEARTBEAT_MIN_S,
    ("ocppcommctrlr", "messageattemptinterval"): 0,
    ("ocppcommctrlr", "messageattempts"): 0,
    ("ocppcommctrlr", "messagetimeout"): 1,
    ("ocppcommctrlr", "networkprofileconnectionattempts"): 0,
    ("ocppcommctrlr", "offlinethreshold"): 0,
    ("ocppcommctrlr", "resetretries"): 0,
    ("ocppcommctrlr", "retrybackoffrandomrange"): 0,
    ("ocppcommctrlr", "retrybackoffrepeattimes"): 0,
    ("ocppcommctrlr", "retrybackoffwaitminimum"): 0,
    ("ocppcommctrlr", "websocketpinginterval"): 0,
    ("sampleddatactrlr", "txendedinterval"): 0,
    ("sampleddatactrlr", "txupdatedinterval"): 0,
    ("securityctrlr", "certsigningrepeattimes"): 0,
    ("securityctrlr", "certsigningwaitminimum"): 0,
    ("securityctrlr", "securityprofile"): 0,
    ("txctrlr", "evconnectiontimeout"): 0,
    ("txctrlr", "maxenergyoninvalidid"): 0,
}
"""Component and variable to the smallest whole number it may be set to (2.x appendix, 16 9)."""

_WHOLE = re.compile(r"-?[0-9]{1,10}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_VALUES = frozenset(("Actual", "Target"))
_TRUTHS = frozenset(("true", "false"))


@dataclass(frozen=True, slots=True)
class Variable:
    """A station's variable as it was last told."""

    name: VariableName
    value: str | None = None
    mutability: str | None = None
    data_type: str | None = None
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    own_key: str | None = None
    read_at: datetime | None = None
    supported: bool = True
    pending_value: str | None = None
    pending_at: datetime | None = None


# --- Writing --------------------------------------------------------------------------------------


def whole_number(value: object) -> int | None:
    """Return the number that a text is, as every station reads it: digits, perhaps a minus."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else None


def unsafe_value(name: VariableName, value: object) -> str | None:
    """Say what a dangerous variable takes, where this value is not of it; None for all others.

    The limits that a variable is told (MinSet, MaxSet) are no values of it.
    """
    minimum = SMALLEST.get((name.component.lower(), name.variable.lower()))
    if minimum is None or name.attribute not in _VALUES:
        return None
    number = whole_number(value)
    if number is not None and minimum <= number <= MAX_INT31:
        return None
    return f"takes a whole number from {minimum} to {MAX_INT31}"


def refused_write(write: VariableWrite, known: Variable | None) -> str | None:
    """Say why this value must not be sent, or None. What was never told is left to the station."""
    name, value = write.name, write.value
    if is_secret_name(name.component, name.variable):
        return "is a secret; rotate the station's credential instead"
    unsafe = unsafe_value(name, value)
    if unsafe is not None:
        return unsafe
    if known is None:
        return None
    if known.mutability == "ReadOnly":
        return "is read-only"
    return _wrong_type(known, value) or _out_of_limits(known, value)


def _wrong_type(known: Variable, value: str) -> str | None:
    problem: str | None = None
    match (known.data_type or "").lower():
        case "integer" if whole_number(value) is None:
            problem = "takes a whole number"
        case "decimal" if not _NUMBER.fullmatch(value):
            problem = "takes a number"
        case "boolean" if value.lower() not in _TRUTHS:
            problem = "takes true or false"
        case "datetime" if not _is_moment(value):
            problem = "takes an RFC 3339 time with a zone"
        case "optionlist" if not _are_listed(known, [value]):
            problem = f"takes one of {known.values_list}"
        case "memberlist" | "sequencelist":
            members = _members(value)
            if not _are_listed(known, members):
                problem = f"takes a list of {known.values_list}"
            elif len({member.lower() for member in members}) < len(members):
                problem = "takes each member once"
        case _:
            pass
    return problem


def _out_of_limits(known: Variable, value: str) -> str | None:
    if (known.data_type or "").lower() not in {"integer", "decimal"}:
        # For text and lists the maximum is a length (2.x VariableCharacteristicsType).
        if known.max_limit is not None and len(value) > known.max_limit:
            return f"takes at most {known.max_limit:g} characters"
        return None
    number = Decimal(value)
    if known.min_limit is not None and number < Decimal(str(known.min_limit)):
        return f"takes at least {known.min_limit:g}"
    if known.max_limit is not None and number > Decimal(str(known.max_limit)):
        return f"takes at most {known.max_limit:g}"
    return None


def _are_listed(known: Variable, values: Iterable[str]) -> bool:
    if not known.values_list:
        return True
    listed = {item.lower() for item in _members(known.values_list)}
    return all(value.strip().lower() in listed for value in values)


def _members(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def shown_value(name: VariableName, value: str | None) -> str | None:
    """Return what may be kept and shown: some stations report their passwords (A01.FR.08)."""
    if not value:
        return value
    if is_secret_name(name.component, name.variable):
        return REDACTED
    return hide_in_text(value)


# --- Limits of one request ------------------------------------------------------------------------

ItemT = TypeVar("ItemT", VariableWrite, VariableName)

ITEM_OVERHEAD_BYTES = 160
"""Of an item's field names and brackets on the wire, at most."""
FRAME_OVERHEAD_BYTES = 100


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """What a station takes in one request: its own report, or one item until it is known."""

    items: int = 1
    size_bytes: int | None = None


def request_limit(known: Mapping[str, Variable], kind: str) -> RequestLimit:
    """Read the limit of SetVariables, GetVariables (B05.FR.11, B06.FR.05, 16 9.1.13).

    `known` is by key. Nonsense counts as unknown: one item fits everywhere.
    """
    items = _limit(known, "ItemsPerMessage", kind)
    return RequestLimit(items or 1, _limit(known, "BytesPerMessage", kind))


def limit_names() -> list[VariableName]:
    """Return the variables that `request_limit` looks for."""
    return [
        VariableName("DeviceDataCtrlr", variable, variable_instance=kind)
        for variable in ("ItemsPerMessage", "BytesPerMessage")
        for kind in ("SetVariables", "GetVariables")
    ]


def _limit(known: Mapping[str, Variable], variable: str, kind: str) -> int | None:
    found = known.get(VariableName("DeviceDataCtrlr", variable, variable_instance=kind).key)
    number = None if found is None else whole_number(found.value)
    return number if number is not None and 0 < number <= MAX_INT31 else None


def split(items: Sequence[ItemT], limit: RequestLimit) -> Iterator[tuple[ItemT, ...]]:
    """Cut into requests within the limit; an item that is too large alone goes alone.

    So does the value of a configuration key: a station without keys refuses that request, no other.
    """
    chunk: list[ItemT] = []
    size = FRAME_OVERHEAD_BYTES
    for item in items:
        more = _size_bytes(item)
        full = len(chunk) >= limit.items
        if limit.size_bytes is not None and size + more > limit.size_bytes:
            full = True
        if chunk and (full or _is_key(item) or _is_key(chunk[-1])):
            yield tuple(chunk)
            chunk, size = [], FRAME_OVERHEAD_BYTES
        chunk.append(item)
        size += more
    if chunk:
        yield tuple(chunk)


def _is_key(item: VariableWrite | VariableName) -> bool:
    return isinstance(item, VariableWrite) and not item.name.component


def _size_bytes(item: VariableWrite | VariableName) -> int:
    name, value = (item.name, item.value) if isinstance(item, VariableWrite) else (item, "")
    # A character that JSON escapes takes six bytes.
    return ITEM_OVERHEAD_BYTES + len(name.path.encode()) + 6 * len(value)


def duplicates(names: Iterable[VariableName]) -> list[VariableName]:
    """Return the names that occur again: one request may name each once (B05.FR.13)."""
    seen: set[str] = set()
    again = []
    for name in names:
        if name.key in seen:
            again.append(name)
        seen.add(name.key)
    return again


def room_for(keys: Iterable[str], known: Collection[str], count: int, most: int) -> set[str]:
    """Return which keys may be stored where `count` of `most` are; those that are `known` always.

    A station may make names up.
    """
    distinct = dict.fromkeys(keys)
    room = max(0, most - count)
    new = [key for key in distinct if key not in known]
    return {key for key in distinct if key in known} | set(new[:room])


# --- Reports in pages -----------------------------------------------------------------------------

MAX_PAGES = 5_000


class ReportState(StrEnum):
    ASKED = "asked"
    RECEIVING = "receiving"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    REJECTED = "rejected"
    FAILED = "failed"

    @property
    def open(self) -> bool:
        return self in {ReportState.ASKED, ReportState.RECEIVING}


@dataclass(frozen=True, slots=True)
class ReportJob:
    state: ReportState
    pages: frozenset[int] = frozenset()
    last_page: int | None = None


def join_page(job: ReportJob, seq_no: int, *, last: bool) -> ReportJob:
    """Take a page of any number, in any order, again or late (B07.FR.10: they count from 0)."""
    if not 0 <= seq_no < MAX_PAGES:
        return job
    pages = job.pages | {seq_no}
    last_page = seq_no if last else job.last_page
    complete = last_page is not None and len(missing_pages(pages, last_page)) == 0
    state = ReportState.COMPLETE if complete else ReportState.RECEIVING
    if not job.state.open and state is not ReportState.COMPLETE:
        state = job.state  # A straggler of a report that was given up.
    return replace(job, state=state, pages=pages, last_page=last_page)


def missing_pages(pages: Iterable[int], last_page: int | None) -> list[int]:
    """Return the gaps; where the end is not known, the next page is one of them."""
    have = set(pages)
    end = last_page if last_page is not None else max(have, default=-1) + 1
    return [number for number in range(end + 1) if number not in have]


def ended_by_answer(status: str | None) -> ReportState | None:
    """Return the end that the answer to our question brings; None while pages follow.

    An answer without a status word was the report itself.
    """
    return {
        None: ReportState.COMPLETE,
        "EmptyResultSet": ReportState.EMPTY,
        "NotSupported": ReportState.UNSUPPORTED,
        "Rejected": ReportState.REJECTED,
    }.get(status)


# --- Drift ----------------------------------------------------------------------------------------


class DriftState(StrEnum):
    IN_SYNC = "in_sync"
    DRIFT = "drift"
    UNKNOWN = "unknown"
    UNSUPPORTED = "unsupported"
    PENDING_REBOOT = "pending_reboot"


def drift_state(wanted: str, known: Variable | None, *, inventoried: bool) -> DriftState:
    """Compare a wanted value with the last told one.

    `inventoried`: a whole report of the station was received, so what is not in it is not there.
    """
    if known is None:
        return DriftState.UNSUPPORTED if inventoried else DriftState.UNKNOWN
    if not known.supported:
        return DriftState.UNSUPPORTED
    if known.pending_value is not None:  # That it will be, whatever it is until the boot.
        coming = same_value(known.data_type, known.pending_value, wanted)
        return DriftState.PENDING_REBOOT if coming else DriftState.DRIFT
    if known.mutability == "WriteOnly" or known.read_at is None:
        return DriftState.UNKNOWN
    if known.value is not None and same_value(known.data_type, known.value, wanted):
        return DriftState.IN_SYNC
    return DriftState.DRIFT


def may_change(name: VariableName, writes: Iterable[Command | None]) -> bool:
    """Say whether these writes may set a variable; what is worded by hand may set any."""
    return any(
        not isinstance(command, SetVariables)
        or any(write.name.key == name.key for write in command.writes)
        for command in writes
    )


def same_value(data_type: str | None, one: str, other: str) -> bool:
    """Say whether two texts are the same value of that type."""
    match (data_type or "").lower():
        case "integer" | "decimal":
            try:
                return Decimal(one) == Decimal(other)
            except InvalidOperation:
                return one == other
        case "boolean" | "optionlist":
            return one.strip().lower() == other.strip().lower()
        case "memberlist":
            return sorted(_members(one.lower())) == sorted(_members(other.lower()))
        case "sequencelist":
            return _members(one.lower()) == _members(other.lower())
        case _:
            return one == other


# --- Applying a template --------------------------------------------------------------------------


class StationOutcome(StrEnum):
    """What applying a template came to at one station, the worst first."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    REFUSED = "refused"
    PARTLY_REFUSED = "partly_refused"
    REBOOT_REQUIRED = "reboot_required"
    ACCEPTED = "accepted"
    IN_SYNC = "in_sync"


_OF_COMMANDS = {
    CommandOutcome.QUEUED: StationOutcome.UNDER_WAY,
    CommandOutcome.PENDING: StationOutcome.UNDER_WAY,
    CommandOutcome.FAILED: StationOutcome.REJECTED,
    CommandOutcome.UNSUPPORTED: StationOutcome.REJECTED,
    CommandOutcome.TIMEOUT: StationOutcome.UNKNOWN,
    CommandOutcome.UNKNOWN: StationOutcome.UNKNOWN,
    CommandOutcome.OFFLINE: StationOutcome.UNKNOWN,
    CommandOutcome.EXPIRED: StationOutcome.EXPIRED,
    CommandOutcome.CANCELLED: StationOutcome.CANCELLED,
    CommandOutcome.REPLACED: StationOutcome.REPLACED,
}
_WORST_FIRST = list(StationOutcome)


def station_outcome(
    state: str, commands: Iterable[tuple[str, str | None]], *, refused: bool
) -> StationOutcome:
    """Sum up a station of an application: its own state, and its commands' outcome and status.

    `refused`: some values were not sent to it.
    """
    if state == "released":
        found = {_of_command(outcome, status) for outcome, status in commands}
        worst = min(found, key=_WORST_FIRST.index, default=StationOutcome.UNKNOWN)
    else:
        worst = StationOutcome(state)
    return min(worst, StationOutcome.PARTLY_REFUSED, key=_WORST_FIRST.index) if refused else worst


def _of_command(outcome: str, status: str | None) -> StationOutcome:
    if outcome != CommandOutcome.ANSWERED:
        return _OF_COMMANDS[CommandOutcome(outcome)]
    words = set(_members(status or ""))
    if words == {"Accepted"}:
        return StationOutcome.ACCEPTED
    if words and words <= {"Accepted", "RebootRequired"}:
        return StationOutcome.REBOOT_REQUIRED
    return StationOutcome.REJECTED if words else StationOutcome.UNKNOWN
