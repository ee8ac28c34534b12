"""What a gun's meter shows, in values that both dialects render, and how meters go wrong.

Power and energy come from the cabinet; this module only words them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from simulators.clock import rfc3339
from simulators.misbehaviour import Misbehaviour, Quirks

JUMP_AFTER_SAMPLES = 3

REGISTER = "Energy.Active.Import.Register"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the meter. `context` is OCPP's word: Transaction.Begin, Sample.Periodic .."""

    at: float
    context: str
    register_wh: float
    power_w: float = 0.0
    voltage_v: float = 0.0
    current_a: float = 0.0
    soc_percent: float | None = None
    ordinal: int = 0
    """How many periodic samples of the transaction came before this one."""


@dataclass(frozen=True, slots=True)
class Value:
    number: float
    measurand: str | None
    unit: str | None
    context: str | None
    phase: str | None = None
    text: str | None = None
    """What 1.6 sends instead of the number's own text."""


@dataclass(slots=True)
class Meter:
    """What the meter shows during one transaction that began at `begin_wh`."""

    quirks: Quirks
    begin_wh: float
    _jumped_at_wh: float | None = None

    def shown_wh(self, sample: Sample) -> float:
        shown = sample.register_wh
        if Misbehaviour.REGISTER_RESETS in self.quirks:
            shown -= self.begin_wh
        if Misbehaviour.REGISTER_JUMPS_BACK in self.quirks:
            if self._jumped_at_wh is None and sample.ordinal >= JUMP_AFTER_SAMPLES:
                self._jumped_at_wh = shown
            shown -= self._jumped_at_wh or 0.0
        if Misbehaviour.ZERO_BEGIN in self.quirks and sample.context == "Transaction.Begin":
            shown = 0.0
        if Misbehaviour.NEGATIVE_METER in self.quirks:
            shown = -shown
        return shown

    def values(self, sample: Sample) -> list[Value]:
        context = None if Misbehaviour.BARE_SAMPLES in self.quirks else sample.context
        if Misbehaviour.BARE_SAMPLES in self.quirks:
            return [Value(float(round(self.shown_wh(sample))), None, None, None)]
        values = self._energy(sample, context)
        values += [
            Value(round(sample.power_w, 1), "Power.Active.Import", "W", context),
            Value(round(sample.voltage_v, 1), "Voltage", "V", context),
            Value(round(sample.current_a, 1), "Current.Import", "A", context),
        ]
        if sample.soc_percent is not None:
            values.append(Value(round(sample.soc_percent, 1), "SoC", "Percent", context))
        return values

    def _energy(self, sample: Sample, context: str | None) -> list[Value]:
        shown_wh = self.shown_wh(sample)
        if Misbehaviour.NAN_METER in self.quirks:
            return [Value(round(shown_wh), REGISTER, "Wh", context, text="NaN")]
        if Misbehaviour.PHASES_WITHOUT_TOTAL in self.quirks:
            third = shown_wh / 3000.0
            return [Value(third, REGISTER, "kWh", context, phase) for phase in ("L1", "L2", "L3")]
        if Misbehaviour.UNIT_KWH in self.quirks:
            return [Value(shown_wh / 1000.0, REGISTER, "kWh", context, text=repr(shown_wh / 1e3))]
        unit: str | None = "Wh"
        if Misbehaviour.UNIT_ABSENT in self.quirks:
            unit = None
        if Misbehaviour.UNIT_WRONG in self.quirks:
            unit = "kWh"
        digits = 3 if Misbehaviour.DECIMALS in self.quirks else 0
        return [Value(round(shown_wh, digits), REGISTER, unit, context)]


def signed_reading(sample: Sample, shown_wh: float) -> str:
    """Return an OCMF record of the reading in base64; the signature is made up."""
    record = {
        "FV": "1.0",
        "GI": "ChargeHub simulator",
        "GS": "SIM",
        "PG": f"T{sample.ordinal + 1}",
        "RD": [
            {
                "TM": rfc3339(sample.at).replace(".", ",")[:-1] + "+0000 S",
                "RV": round(shown_wh / 1000, 3),
                "RI": "1-b:1.8.0",
                "RU": "kWh",
                "ST": "G",
            }
        ],
    }
    signature = {"SD": "30" * 440}
    text = "OCMF|" + orjson.dumps(record).decode() + "|" + orjson.dumps(signature).decode()
    return base64.b64encode(text.encode()).decode()
