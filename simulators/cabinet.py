"""The power side of a dual-gun station: modules shared between outlets, meters, cars.

Sharing is dynamic in module steps: each module goes to the outlet that has fewest among those
whose car still asks for more, so an idle gun leaves all 120 kW to the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from simulators.car import Car

CABINET_W = 120_000
MODULE_W = 20_000
STEP_S = 10.0
"""Longest stretch over which power is taken as constant."""


def share_modules(
    demands_w: Sequence[float], modules: int = CABINET_W // MODULE_W, module_w: float = MODULE_W
) -> list[int]:
    given = [0] * len(demands_w)
    for _ in range(modules):
        wanting = [i for i, demand in enumerate(demands_w) if given[i] * module_w < demand]
        if not wanting:
            break
        given[min(wanting, key=lambda i: given[i])] += 1
    return given


@dataclass(slots=True)
class Outlet:
    """One gun's contactor and meter. The register counts Wh and never resets."""

    register_wh: float = 0.0
    car: Car | None = None
    closed: bool = False
    power_w: float = 0.0
    limit_w: float | None = None
    """What charging profiles leave it."""

    def allowed_w(self) -> float:
        demand = self.demand_w()
        return demand if self.limit_w is None else min(demand, self.limit_w)

    def demand_w(self) -> float:
        return self.car.demand_w() if self.closed and self.car is not None else 0.0

    @property
    def voltage_v(self) -> float:
        return self.car.voltage_v if self.closed and self.car is not None else 0.0

    @property
    def current_a(self) -> float:
        return self.power_w / self.voltage_v if self.power_w else 0.0


@dataclass(slots=True)
class Cabinet:
    at: float
    """The hub time up to which energy has been counted."""
    outlets: tuple[Outlet, ...] = field(default_factory=lambda: (Outlet(), Outlet()))
    modules: int = CABINET_W // MODULE_W
    module_w: int = MODULE_W
    limits: Callable[[float], tuple[list[float | None], float | None]] | None = None
    """Takes a time; returns each outlet's limit and that of all together, in W."""

    def advance(self, now: float) -> None:
        while self.at < now:
            if not any(outlet.closed for outlet in self.outlets):
                self.at = now
                break
            step_s = min(STEP_S, now - self.at)
            self._step(step_s)
            self.at += step_s
            self.share()

    def share(self) -> None:
        """Divide the cabinet's power anew; call it after a contactor has moved."""
        own: list[float | None] = [None] * len(self.outlets)
        whole: float | None = None
        if self.limits is not None:
            own, whole = self.limits(self.at)
        for outlet, limit in zip(self.outlets, own, strict=True):
            known = [one for one in (limit, whole) if one is not None]
            outlet.limit_w = min(known, default=None)
        demands = [outlet.allowed_w() for outlet in self.outlets]
        given = share_modules(demands, self.modules, self.module_w)
        for outlet, demand, modules in zip(self.outlets, demands, given, strict=True):
            outlet.power_w = min(demand, modules * self.module_w)
        total_w = sum(outlet.power_w for outlet in self.outlets)
        if whole is not None and total_w > whole:
            for outlet in self.outlets:
                outlet.power_w *= whole / total_w

    def _step(self, step_s: float) -> None:
        for outlet in self.outlets:
            if outlet.car is None or not outlet.power_w:
                continue
            energy_wh = min(outlet.power_w * step_s / 3600.0, outlet.car.missing_wh())
            outlet.register_wh += energy_wh
            outlet.car.take(energy_wh)
