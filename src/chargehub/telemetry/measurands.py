"""Measurands: which units, phases and ranges a station's value may have, and what it is in ours.

Pure. Owns every odd spelling of a sampled value; the element around it is `telemetry.meter_values`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from chargehub.kit.clean import clean_text
from chargehub.telemetry.readings import Flag

ENERGY = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
OFFERED = "Power.Offered"
_OFFERED_TOO = "Power.Import.Offered"
"""2.1 MeasurandEnumType names them synonymous."""
VOLTAGE = "Voltage"
CURRENT = "Current.Import"
SOC = "SoC"
TEMPERATURE = "Temperature"

MAX_REGISTER_WH = 10**11
"""100 GWh: no meter of a charging station has counted more."""
MAX_POWER_W = 2_000_000
MAX_VOLTAGE_V = 2000.0
MAX_CURRENT_A = 5000.0
MAX_TEMPERATURE_C = 200.0

# Bits of Flag as plain integers: joining IntFlag members costs more than the rest of a reading.
_IMPLAUSIBLE = Flag.IMPLAUSIBLE.value
_NEGATIVE = Flag.NEGATIVE.value
_PHASE_SUMMED = Flag.PHASE_SUMMED.value
_SIGNED = Flag.SIGNED.value
_UNIT_MISSING = Flag.UNIT_MISSING.value
_UNREADABLE = Flag.UNREADABLE.value


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
_MULTIPLIERS = range(-12, 13)
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
        unit, multiplier = measure.get("unit"), measure.get("multiplier") or 0
    else:
        return None
    if unit is None:
        unit = ""
    if not isinstance(unit, str) or multiplier is True or multiplier not in _MULTIPLIERS:
        return None
    return unit.strip(), int(multiplier)


@dataclass(slots=True)
class Sheet:
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
            if measurand == _OFFERED_TOO:
                measurand = OFFERED
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
        if value is not None:
            self._put(clean_text(measurand)[:50], sample, value)
        elif sample.get("phase") != "N":
            self.spoilt.add(measurand)

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
        at_home = location == "Outlet" or (measurand == SOC and location == "EV")
        key = (measurand, phase, "" if at_home else location)
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


def read_register_wh(value: object) -> tuple[int | None, int]:
    """Read a register that is Wh by definition (meterStart and meterStop of 1.6)."""
    number, flag = _read_number(value)
    if number is not None:
        number, flag = _check(_RULES[ENERGY], number)
    return (None if number is None else round(number)), flag
