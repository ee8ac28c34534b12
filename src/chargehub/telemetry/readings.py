"""A reading: one moment's measured values in hub units, read from any station's spelling.

Pure. Owns the meaning of measurands, units, multipliers, phases and contexts (reference: OCPP 1.6
7.x, 2.x MeterValueType; field quirks in docs/decisions). Whether a register makes sense within a
transaction is `transactions.meter`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntFlag
from math import isfinite
from typing import Any, NamedTuple

from chargehub.kit.clean import clean_json, clean_text, content_hash


class Flag(IntFlag):
    """Why a reading or a transaction deserves a second look. Stored as an integer bit set."""

    NONE = 0
    UNIT_MISSING = 1
    """No unit: Wh assumed (16 7.37)."""
    PHASE_SUMMED = 2
    """Only per-phase values: their sum is used."""
    UNIT_SUSPECT = 4
    """The unit cannot be true (Wh numbers labelled kWh): rescaled."""
    SIGNED = 8
    """The value is signed meter data, kept opaque."""
    UNREADABLE = 16
    """A value that is no finite number: kept raw, not used."""
    NEGATIVE = 32
    """Negative where impossible: kept raw, not used."""
    IMPLAUSIBLE = 64
    """Beyond physical limits: kept raw, not used."""
    CLOCK_SKEW = 128
    """The station's timestamp is far from ours (1970, no zone, next year)."""
    REGISTER_RESET = 256
    """The register fell: energy continues from before the fall."""
    ZERO_BEGIN = 512
    """The begin register was 0 while the meter was not: the first real register is the begin."""
    GAP = 1024
    """Events are missing between the first and the last (seqNo)."""
    UNKNOWN_TRANSACTION = 2048
    """Refers to a transaction we do not know, or a closed one."""
    STUB = 4096
    """The transaction was first seen by an Updated or Ended event, or by samples."""
    SUSPECT = 8192
    """A new start came while this one was open, or it was closed by policy."""
    INVALID_PAYLOAD = 16384
    """The message failed its schema and was read field by field."""
    OFFLINE = 32768
    """Happened while the station was offline; reported later."""
    REFUSED_TOKEN = 65536
    """Started with a token we refused."""
    BEGIN_MISSING = 131072
    """No begin register at all: the first reading is the begin."""
    CLOSED_BY_POLICY = 262144
    """Never stopped by the station; closed by us."""
    END_BEFORE_BEGIN = 524288
    """The end register is below the begin register and no reset explains it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one moment. Energy in Wh, power in W, current in A, voltage in V."""

    sampled_at: datetime
    context: str = "Sample.Periodic"
    register_wh: int | None = None
    power_w: int | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    soc_percent: float | None = None
    temperature_c: float | None = None
    offered_power_w: int | None = None
    extras: dict[str, Any] | None = None
    """Other measurands, phases and locations: {"Measurand[@phase][/location]": value}."""
    flags: int = 0
    raw: Any = None
    """The station's own element, kept when a flag is set."""
    content_hash: int = 0
    """Signed 64-bit hash of the station's element: replays are recognised by content."""


ENERGY = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
OFFERED = "Power.Offered"
VOLTAGE = "Voltage"
CURRENT = "Current.Import"
SOC = "SoC"
TEMPERATURE = "Temperature"
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

MAX_REGISTER_WH = 10**11
"""100 GWh: no meter of a charging station has counted more."""
MAX_POWER_W = 2_000_000
MAX_VOLTAGE_V = 2000.0
MAX_CURRENT_A = 5000.0
MAX_TEMPERATURE_C = 200.0
SUSPECT_REGISTER_WH = 10_000_000
"""A register in kWh beyond this may be Wh in disguise: its unit is kept in `extras`."""
REGISTER_UNIT = f"{ENERGY}#unit"

# Bits of Flag as plain integers: joining IntFlag members costs more than the rest of a reading.
_CLOCK_SKEW = Flag.CLOCK_SKEW.value
_IMPLAUSIBLE = Flag.IMPLAUSIBLE.value
_NEGATIVE = Flag.NEGATIVE.value
_PHASE_SUMMED = Flag.PHASE_SUMMED.value
_SIGNED = Flag.SIGNED.value
_UNIT_MISSING = Flag.UNIT_MISSING.value
_UNREADABLE = Flag.UNREADABLE.value

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""Earlier timestamps come from clocks that were never set."""
FUTURE_TOLERANCE = timedelta(days=1)


def read_timestamp(text: object, received_at: datetime) -> tuple[datetime, int]:
    """Read a station's timestamp (any offset, 0 to 9 fractional digits) as aware UTC.

    Without a zone UTC is assumed. An unreadable, never-set or far-future clock gives the time of
    receipt instead. Each of these is flagged.
    """
    if not isinstance(text, str):
        return received_at, _CLOCK_SKEW
    flag = 0
    try:
        at = datetime.fromisoformat(text.strip().upper())
        if at.tzinfo is None:
            at, flag = at.replace(tzinfo=UTC), _CLOCK_SKEW
        elif at.tzinfo is not UTC:
            at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        return received_at, _CLOCK_SKEW
    if not EARLIEST <= at <= received_at + FUTURE_TOLERANCE:
        return received_at, _CLOCK_SKEW
    return at, flag


def read_register_wh(value: object) -> tuple[int | None, int]:
    """Read a register that is Wh by definition (meterStart and meterStop of 1.6)."""
    number, flag = _read_number(value)
    if number is not None:
        number, flag = _check(_RULES[ENERGY], number)
    return (None if number is None else round(number)), flag


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
        content_hash(element),
    )


def _shift_to_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise _NotPlainError
    return at.astimezone(UTC)


def _fill_slots(samples: Any, slots: list[float | None]) -> str | None:
    """Put every sample's value into its slot and return the context; None for no samples at all."""
    context = None
    for sample in samples:
        if "phase" in sample or "signedMeterValue" in sample:
            raise _NotPlainError
        if sample.get("location", "Outlet") != "Outlet" or sample.get("format", "Raw") != "Raw":
            raise _NotPlainError
        unit = sample.get("unit")
        if "unitOfMeasure" in sample:
            if sample["unitOfMeasure"].get("multiplier"):
                raise _NotPlainError
            unit = sample["unitOfMeasure"]["unit"]
        slot, factor, high = _PLAIN[sample.get("measurand"), unit]
        value = sample["value"]
        kind = type(value)
        if kind is str:
            value = float(value)
        if kind is bool or slots[slot] is not None or not 0 <= value <= high:
            raise _NotPlainError
        slots[slot] = value * factor
        stated = sample.get("context")
        if stated is not None and stated != context:
            if context is not None or stated not in CONTEXTS:
                raise _NotPlainError
            context = stated
    return context or (PERIODIC if samples else None)


# Everything else, value by value.


class _Rule(NamedTuple):
    """What a measurand's value may be. `units`: spelling without case -> (factor, offset)."""

    units: dict[str, tuple[float, float]]
    low: float
    high: float
    below: int = _NEGATIVE
    join_phases: Callable[[list[float]], float] = sum
    joined: int = _PHASE_SUMMED


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


_WATT = {"": (1.0, 0.0), "w": (1.0, 0.0), "kw": (1000.0, 0.0), "mw": (1e6, 0.0)}
_RULES = {
    # No unit is Wh (16 7.37, 2.x UnitOfMeasureType).
    ENERGY: _Rule(
        {"": (1.0, 0.0), "wh": (1.0, 0.0), "kwh": (1000.0, 0.0), "mwh": (1e6, 0.0)},
        0.0,
        MAX_REGISTER_WH,
    ),
    POWER: _Rule(_WATT, 0.0, MAX_POWER_W),
    OFFERED: _Rule(_WATT, 0.0, MAX_POWER_W),
    VOLTAGE: _Rule(
        {"": (1.0, 0.0), "v": (1.0, 0.0), "kv": (1000.0, 0.0)},
        0.0,
        MAX_VOLTAGE_V,
        join_phases=_mean,
        joined=0,
    ),
    CURRENT: _Rule(
        {"": (1.0, 0.0), "a": (1.0, 0.0), "ma": (0.001, 0.0)},
        0.0,
        MAX_CURRENT_A,
        join_phases=max,
        joined=0,
    ),
    SOC: _Rule({"": (1.0, 0.0), "percent": (1.0, 0.0), "%": (1.0, 0.0)}, 0.0, 100.0, _IMPLAUSIBLE),
    TEMPERATURE: _Rule(
        {
            "": (1.0, 0.0),
            "celsius": (1.0, 0.0),
            "celcius": (1.0, 0.0),  # E16J 2.1
            "k": (1.0, -273.15),
            "fahrenheit": (5 / 9, -160 / 9),
        },
        -100.0,
        MAX_TEMPERATURE_C,
        _IMPLAUSIBLE,
        join_phases=max,
        joined=0,
    ),
}
_KILO = frozenset(("kwh", "kvarh", "kw", "kvar", "kva", "kvah"))
_MAX_OTHER = 1e15
_MAX_MULTIPLIER = 12
_NOISE = -0.5
"""A meter at rest may show a hair below zero."""
_PHASE_FAMILIES = (("L1", "L2", "L3"), ("L1-N", "L2-N", "L3-N"))


def _read_number(value: object) -> tuple[float | None, int]:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None, _UNREADABLE
    try:
        number = float(value)
    except OverflowError:
        return None, _IMPLAUSIBLE
    except ValueError:
        return None, _UNREADABLE
    return (number, 0) if isfinite(number) else (None, _UNREADABLE)


def _check(rule: _Rule, value: float) -> tuple[float | None, int]:
    if value > rule.high:
        return None, _IMPLAUSIBLE
    if value >= rule.low:
        return value, 0
    if rule.low == 0 and value > _NOISE:
        return 0.0, 0
    return None, rule.below


def _stated_unit(sample: dict[str, Any]) -> tuple[str, int] | None:
    """Return the unit's spelling and the power of ten, or None where they cannot be read."""
    measure: Any = sample.get("unitOfMeasure")
    unit: Any
    multiplier: Any
    if measure is None:
        unit, multiplier = sample.get("unit"), 0
    elif isinstance(measure, dict):
        unit, multiplier = measure.get("unit"), measure.get("multiplier", 0)
    else:
        return None
    if unit is None:
        unit = ""
    if not isinstance(unit, str) or isinstance(multiplier, bool):
        return None
    if not isinstance(multiplier, int | float) or multiplier != multiplier // 1:
        return None
    if abs(multiplier) > _MAX_MULTIPLIER:
        return None
    return unit.strip(), int(multiplier)


@dataclass(slots=True)
class _Sheet:
    """What an element says under one context, before totals are chosen among phases."""

    values: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """By measurand, phase, location; empty text for a phase-less value and for the outlet."""
    repeated: dict[str, float] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    """Measurands with an unusable value: a sum of their phases would be too low."""
    flags: int = 0
    register_unit: str = ""

    def take(self, sample: Any) -> None:
        measurand = ENERGY
        if isinstance(sample, dict):
            measurand = sample.get("measurand") or ENERGY
        if not isinstance(sample, dict) or not isinstance(measurand, str):
            self.flags |= _UNREADABLE
            return
        if sample.get("format") == "SignedData":
            self.flags |= _SIGNED
            return
        if sample.get("signedMeterValue") is not None:
            self.flags |= _SIGNED
        value, flag = self._value(sample, measurand)
        self.flags |= flag
        measurand = clean_text(measurand)[:50]
        if value is None:
            self.spoilt.add(measurand)
        else:
            self._put(measurand, sample, value)

    def _value(self, sample: dict[str, Any], measurand: str) -> tuple[float | None, int]:
        number, flag = _read_number(sample.get("value"))
        stated = _stated_unit(sample)
        if number is None or stated is None:
            return None, flag | (_UNREADABLE if stated is None else 0)
        unit, multiplier = stated
        if multiplier:
            number *= 10.0**multiplier
        rule = _RULES.get(measurand)
        if rule is None:
            number *= 1000.0 if unit.lower() in _KILO else 1.0
            return (number, flag) if abs(number) <= _MAX_OTHER else (None, _IMPLAUSIBLE)
        scale = rule.units.get(unit.lower())
        if scale is None:
            return None, _UNREADABLE
        if measurand == ENERGY:
            self.register_unit = clean_text(unit)
            flag = 0 if unit else _UNIT_MISSING
        value, wrong = _check(rule, number * scale[0] + scale[1])
        return value, flag | wrong

    def _put(self, measurand: str, sample: dict[str, Any], value: float) -> None:
        phase = _word(sample.get("phase"))
        location = _word(sample.get("location"))
        key = (measurand, phase, "" if location == "Outlet" else location)
        if key in self.values:
            self.repeated[f"{_name(key)}#{len(self.repeated) + 2}"] = value
        else:
            self.values[key] = value

    def total(self, measurand: str) -> float | None:
        """Take a measurand's one value: the phase-less one, else one made of its phases.

        A total beside phases wins and the phases stay extras. A value from another location than
        the outlet serves where there is no other, and stays an extra too.
        """
        total = self.values.pop((measurand, "", ""), None)
        if total is not None or measurand in self.spoilt:
            return total
        rule = _RULES[measurand]
        for family in _PHASE_FAMILIES:
            keys = [(measurand, phase, "") for phase in family]
            parts = [self.values[key] for key in keys if key in self.values]
            if parts:
                joined, wrong = _check(rule, rule.join_phases(parts))
                self.flags |= rule.joined | wrong
                return joined
        elsewhere = (v for (m, phase, _), v in self.values.items() if m == measurand and not phase)
        return next(elsewhere, None)

    def whole_total(self, measurand: str) -> int | None:
        total = self.total(measurand)
        return None if total is None else round(total)

    def extras(self) -> dict[str, Any] | None:
        """Return what no total was made of, once all totals are taken."""
        extras: dict[str, Any] = {_name(key): value for key, value in self.values.items()}
        extras.update(self.repeated)
        return extras or None


def _word(value: object) -> str:
    return clean_text(value)[:20] if isinstance(value, str) else ""


def _name(key: tuple[str, str, str]) -> str:
    measurand, phase, location = key
    return measurand + (f"@{phase}" if phase else "") + (f"/{location}" if location else "")


def _read_carefully(element: Any, received_at: datetime, flags: int) -> list[Reading]:
    fields = element if isinstance(element, dict) else {}
    at, clock = read_timestamp(fields.get("timestamp"), received_at)
    flags |= clock
    samples = fields.get("sampledValue")
    if not isinstance(samples, list):
        samples = [samples]
    raw: Any = None
    element_hash = content_hash(element)
    readings: list[Reading] = []
    for context, sheet in _sheets(samples).items():
        reading = _reading_of(sheet, at, context, flags)
        if reading.flags:
            raw = clean_json(element) if raw is None else raw
        readings.append(
            replace(reading, raw=raw if reading.flags else None, content_hash=element_hash)
        )
    return readings


def _sheets(samples: list[Any]) -> dict[str, _Sheet]:
    """Sort samples by context. One context stated anywhere in the element holds for all of it."""
    contexts = [_stated_context(sample) for sample in samples]
    stated = {context for context in contexts if context}
    unstated = stated.pop() if len(stated) == 1 else PERIODIC
    sheets: dict[str, _Sheet] = {}
    for sample, context in zip(samples, contexts, strict=True):
        sheets.setdefault(context or unstated, _Sheet()).take(sample)
    return sheets


def _stated_context(sample: Any) -> str:
    context = sample.get("context") if isinstance(sample, dict) else None
    return clean_text(context)[:50] if isinstance(context, str) else ""


def _reading_of(sheet: _Sheet, at: datetime, context: str, flags: int) -> Reading:
    register_wh = sheet.whole_total(ENERGY)
    power_w = sheet.whole_total(POWER)
    offered_power_w = sheet.whole_total(OFFERED)
    voltage_v, current_a = sheet.total(VOLTAGE), sheet.total(CURRENT)
    soc_percent, temperature_c = sheet.total(SOC), sheet.total(TEMPERATURE)
    extras = sheet.extras()
    suspect = register_wh is not None and register_wh > SUSPECT_REGISTER_WH
    if suspect and sheet.register_unit.lower() == "kwh":
        extras = {REGISTER_UNIT: sheet.register_unit, **(extras or {})}
    return Reading(
        sampled_at=at,
        context=context,
        register_wh=register_wh,
        power_w=power_w,
        voltage_v=voltage_v,
        current_a=current_a,
        soc_percent=soc_percent,
        temperature_c=temperature_c,
        offered_power_w=offered_power_w,
        extras=extras,
        flags=flags | sheet.flags,
    )
