"""A car's battery and the power it asks for; who drives it is the fleet's matter."""

from __future__ import annotations

import random
from dataclasses import dataclass

FLAT_UNTIL = 0.55
TAPERED_AT = 0.90
TAPERED_TO = 0.30
FULL_TO = 0.08

CHARGING_EFFICIENCY = 0.95
"""Share of the metered energy that the battery keeps."""

PACK_EMPTY_V = 340.0
PACK_SPAN_V = 80.0


def curve(soc: float) -> float:
    """Return the share of the car's full power that it asks for at this state of charge."""
    if soc <= FLAT_UNTIL:
        return 1.0
    if soc <= TAPERED_AT:
        done = (soc - FLAT_UNTIL) / (TAPERED_AT - FLAT_UNTIL)
        return 1.0 - done * (1.0 - TAPERED_TO)
    done = min((soc - TAPERED_AT) / (1.0 - TAPERED_AT), 1.0)
    return TAPERED_TO - done * (TAPERED_TO - FULL_TO)


@dataclass(slots=True)
class Car:
    capacity_wh: float = 60_000.0
    max_power_w: float = 115_000.0
    soc: float = 0.28
    """State of charge, 0 to 1."""
    target_soc: float = 0.92
    vin: str | None = None
    mac: str | None = None
    """Of its controller (EVCCID), 12 hexadecimal digits. By either it may start by itself."""

    @property
    def satisfied(self) -> bool:
        return self.soc >= self.target_soc

    @property
    def voltage_v(self) -> float:
        return PACK_EMPTY_V + PACK_SPAN_V * self.soc

    def demand_w(self) -> float:
        return 0.0 if self.satisfied else self.max_power_w * curve(self.soc)

    def missing_wh(self) -> float:
        """Return the metered energy that still fits until the target."""
        return max(0.0, self.target_soc - self.soc) * self.capacity_wh / CHARGING_EFFICIENCY

    def take(self, metered_wh: float) -> None:
        # The last step lands on the target itself, not a rounding error below it.
        if metered_wh >= self.missing_wh() - 1e-6:
            self.soc = self.target_soc
        else:
            self.soc += metered_wh * CHARGING_EFFICIENCY / self.capacity_wh


def draw_car(rng: random.Random) -> Car:
    """Draw a car of the hub's mix; the same random state gives the same car."""
    capacity_wh = rng.uniform(50_000, 70_000)
    max_power_w = min(max(rng.gauss(115_000, 8_000), 90_000), 120_000)
    soc = min(max(rng.gauss(0.28, 0.12), 0.04), 0.70)
    return Car(round(capacity_wh), round(max_power_w), soc, rng.uniform(0.85, 0.98))
