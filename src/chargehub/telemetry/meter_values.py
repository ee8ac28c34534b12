"""MeterValue elements of OCPP 1.6 and 2.x, read as readings in hub units.

Pure. Owns timestamps, contexts and what is kept raw (OCPP 1.6 7.33, 2.x MeterValueType); units and
phases are `telemetry.measurands`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from chargehub.kit.clean import clean_json, clean_text, content_checksum
from chargehub.kit.datetimes import parse_datetime
from chargehub.telemetry.measurands import (
    CURRENT,
    ENERGY,
    MAX_CURRENT_A,
    MAX_POWER_W,
    MAX_REGISTER_WH,
    MAX_TEMPERATURE_C,
    MAX_VOLTAGE_V,
    OFFERED,
    POWER,
    SOC,
    TEMPERATURE,
    VOLTAGE,
    Sheet,
)
from chargehub.telemetry.readings import Flag, Reading

PERIODIC = "Sample.Periodic"
CONTEXTS = frozenset(
    (
        PERIODIC,
        "Sample.Clock",
        "Transaction.Begin",
        "Transaction.End",
        "Interruption.Begin",
        "Interruption.End",
        "Trigger",
        "Other",
    )
)

SUSPECT_REGISTER_WH = 10_000_000
"""A register in kWh beyond this may be Wh in disguise: its unit is kept in `extras`."""
REGISTER_UNIT = f"{ENERGY}#unit"

# Bits of Flag as plain integers: joining IntFlag members costs more than the rest of a reading.

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""Earlier timestamps come from clocks that were never set."""
FUTURE_TOLERANCE = timedelta(days=1)
_CLOCK_SKEW = Flag.CLOCK_SKEW.value


def read_timestamp(text: object, received_at: datetime) -> tuple[datetime, int]:
    """Read a station's timestamp as aware UTC, with flags.

    Without a zone UTC is assumed. An unreadable, never-set or far-future clock gives the time of
    receipt instead. Each of these is flagged.
    """
    parsed = parse_datetime(text)
    if parsed is None or not EARLIEST <= parsed.at <= received_at + FUTURE_TOLERANCE:
        return received_at, _CLOCK_SKEW
    return parsed.at, 0 if parsed.had_zone else _CLOCK_SKEW


def read_meter_values(
    elements: object, received_at: datetime, flags: int = 0
) -> tuple[Reading, ...]:
    """Read a list of MeterValue elements, of OCPP 1.6 or 2.x, as readings in hub units.

    `flags` are added to every reading. Never raises: what cannot be read is flagged and kept raw.
    An element whose values name several contexts gives one reading for each.
    """
    if not isinstance(elements, list):
        elements = [] if elements is None else [elements]
    latest = received_at + FUTURE_TOLERANCE
    readings: list[Reading] = []
    for element in elements:
        plain = None if flags else _read_plain(element, latest)
        if plain is not None:
            readings.append(plain)
        else:
            readings.extend(_read_carefully(element, received_at, flags))
    return tuple(readings)


# The common case, in one pass. It gives what `_read_carefully` would give, or nothing; a property
# test holds the two together.

_REGISTER, _REGISTER_KWH, _POWER, _OFFERED, _VOLTAGE, _CURRENT, _SOC, _TEMPERATURE = range(8)

_PLAIN: dict[tuple[str | None, str | None], tuple[int, float, float]] = {
    # (measurand, unit): (slot, factor, highest plain value in that unit)
    (ENERGY, "Wh"): (_REGISTER, 1.0, MAX_REGISTER_WH),
    (None, "Wh"): (_REGISTER, 1.0, MAX_REGISTER_WH),
    (ENERGY, "kWh"): (_REGISTER_KWH, 1000.0, MAX_REGISTER_WH / 1000),
    (None, "kWh"): (_REGISTER_KWH, 1000.0, MAX_REGISTER_WH / 1000),
    (POWER, "W"): (_POWER, 1.0, MAX_POWER_W),
    (POWER, "kW"): (_POWER, 1000.0, MAX_POWER_W / 1000),
    (OFFERED, "W"): (_OFFERED, 1.0, MAX_POWER_W),
    (OFFERED, "kW"): (_OFFERED, 1000.0, MAX_POWER_W / 1000),
    (VOLTAGE, "V"): (_VOLTAGE, 1.0, MAX_VOLTAGE_V),
    (CURRENT, "A"): (_CURRENT, 1.0, MAX_CURRENT_A),
    (SOC, "Percent"): (_SOC, 1.0, 100.0),
    (SOC, None): (_SOC, 1.0, 100.0),
    (TEMPERATURE, "Celsius"): (_TEMPERATURE, 1.0, MAX_TEMPERATURE_C),
    (TEMPERATURE, "Celcius"): (_TEMPERATURE, 1.0, MAX_TEMPERATURE_C),  # E16J 2.1
}


class _NotPlainError(Exception):
    """Something about this element is unusual."""


def _read_plain(element: Any, latest: datetime) -> Reading | None:
    try:
        at = datetime.fromisoformat(element["timestamp"])
        if at.tzinfo is not UTC:
            at = _shift_to_utc(at)
        slots: list[float | None] = [None] * 8
        context = _fill_slots(element["sampledValue"], slots)
    except (_NotPlainError, LookupError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    register, kwh, power, offered, voltage, current, soc, temperature = slots
    if not EARLIEST <= at <= latest or context is None:
        return None
    extras = None
    if kwh is not None:
        if register is not None:
            return None
        register = kwh
        if kwh > SUSPECT_REGISTER_WH:
            extras = {REGISTER_UNIT: "kWh"}
    return Reading(
        at,
        context,
        None if register is None else round(register),
        None if power is None else round(power),
        voltage,
        current,
        soc,
        temperature,
        None if offered is None else round(offered),
        extras,
        0,
        None,
        content_checksum(element),
    )


def _shift_to_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise _NotPlainError
    return at.astimezone(UTC)


class _Plan(NamedTuple):
    """What to do with a value that is described like this."""

    slot: int
    factor: float
    high: float
    context: str | None
    fields: int
    """So many fields such a sample has; one more makes it special (a phase, a signature)."""


_Described = tuple[str | None, str | None, str | None, str | None, str | None]
_plans: dict[_Described, _Plan] = {}
"""Filled as descriptions are met: there are only as many as words we know."""


def _fill_slots(samples: Any, slots: list[float | None]) -> str | None:
    """Put every sample's value into its slot and return the context; None for no samples at all."""
    context = None
    for sample in samples:
        described = _describe_fully(sample) if len(sample) == _ALL_FIELDS else _describe(sample)
        plan = _plans.get(described) or _make_plan(described)
        slot, factor, high, stated, fields = plan
        value = sample["value"]
        if type(value) is str:
            value = float(value)
        elif type(value) is bool:
            raise _NotPlainError
        if len(sample) != fields or slots[slot] is not None or not 0 <= value <= high:
            raise _NotPlainError
        slots[slot] = value * factor
        if stated is not None:
            if context is not None and stated != context:
                raise _NotPlainError
            context = stated
    return context or (PERIODIC if samples else None)


_ALL_FIELDS = 6
"""So many a plain sample of 1.6 can have; most stations tell them all."""
_describe_fully: Callable[[Any], _Described] = itemgetter(
    "measurand", "unit", "context", "location", "format"
)


def _describe(sample: Any) -> _Described:
    get = sample.get
    unit = get("unit")
    if unit is None and "unitOfMeasure" in sample:
        measure = sample["unitOfMeasure"]
        if measure.get("multiplier"):
            raise _NotPlainError
        unit = measure["unit"]
    return get("measurand"), unit, get("context"), get("location"), get("format")


def _make_plan(described: _Described) -> _Plan:
    """Say what a description means; only the value of an outlet, or a car's SoC, is plain."""
    measurand, unit, context, location, form = described
    at_home = location in {None, "Outlet"} or (location == "EV" and measurand == SOC)
    if (
        not at_home
        or form not in {None, "Raw"}
        or (context is not None and context not in CONTEXTS)
    ):
        raise _NotPlainError
    slot, factor, high = _PLAIN[measurand, unit]
    fields = 1 + sum(word is not None for word in described)
    plan = _Plan(slot, factor, high, context, fields)
    _plans[described] = plan
    return plan


# Everything else, value by value.


def _read_carefully(element: Any, received_at: datetime, flags: int) -> list[Reading]:
    fields = element if isinstance(element, dict) else {}
    at, clock_flag = read_timestamp(fields.get("timestamp"), received_at)
    samples = fields.get("sampledValue")
    if not isinstance(samples, list):
        samples = [samples]
    return [
        _reading_of(sheet, at, context, flags | clock_flag, element)
        for context, sheet in _sheets(samples).items()
    ]


def _sheets(samples: list[Any]) -> dict[str, Sheet]:
    """Sort samples by context. One context stated anywhere in the element holds for all of it."""
    contexts = [_stated_context(sample) for sample in samples]
    stated = {context for context in contexts if context}
    unstated = stated.pop() if len(stated) == 1 else PERIODIC
    sheets: dict[str, Sheet] = {}
    for sample, context in zip(samples, contexts, strict=True):
        sheets.setdefault(context or unstated, Sheet()).take(sample)
    return sheets


def _stated_context(sample: Any) -> str:
    context = sample.get("context") if isinstance(sample, dict) else None
    return clean_text(context)[:50] if isinstance(context, str) else ""


def _reading_of(sheet: Sheet, at: datetime, context: str, flags: int, element: Any) -> Reading:
    register_wh = sheet.whole_total(ENERGY)
    power_w = sheet.whole_total(POWER)
    offered_power_w = sheet.whole_total(OFFERED)
    voltage_v, current_a = sheet.total(VOLTAGE), sheet.total(CURRENT)
    soc_percent, temperature_c = sheet.total(SOC), sheet.total(TEMPERATURE)
    extras = sheet.extras()
    suspect = register_wh is not None and register_wh > SUSPECT_REGISTER_WH
    if suspect and sheet.register_unit.lower() == "kwh":
        extras = {REGISTER_UNIT: sheet.register_unit, **(extras or {})}
    flags |= sheet.flags
    return Reading(
        at,
        context,
        register_wh,
        power_w,
        voltage_v,
        current_a,
        soc_percent,
        temperature_c,
        offered_power_w,
        extras,
        flags,
        clean_json(element) if flags else None,
        content_checksum(element),
    )
