"""Runs the fleet through whole days on virtual time, without a network, and says how it went."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import date, datetime, time

from simulators.arrivals import LOCAL_ZONE, VISITS_PER_DAY
from simulators.clock import ClockPair, HubClock
from simulators.fleet import Fleet, FleetOptions
from simulators.in_process import AcceptingHub, InProcessWire
from simulators.station import SimulatedStation, StationOptions
from simulators.virtual import run_virtually

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Calibration:
    days: int
    arrived: int
    served: int
    turned_away: int
    failed_to_start: int
    energy_wh: float
    charging_s: float
    by_hour: tuple[int, ...]
    errors: int

    @property
    def sessions_per_day(self) -> float:
        return self.served / self.days

    @property
    def energy_per_session_wh(self) -> float:
        return self.energy_wh / max(1, self.served)

    @property
    def minutes_per_session(self) -> float:
        return self.charging_s / 60 / max(1, self.served)

    @property
    def average_power_w(self) -> float:
        return self.energy_wh / max(1.0, self.charging_s) * 3600

    def table(self) -> str:
        lines = [
            f"days                  {self.days}",
            f"arrivals a day        {self.arrived / self.days:8.1f}",
            f"sessions a day        {self.sessions_per_day:8.1f}",
            f"turned away a day     {self.turned_away / self.days:8.1f}",
            f"failed starts a day   {self.failed_to_start / self.days:8.1f}",
            f"energy a session      {self.energy_per_session_wh / 1000:8.1f} kWh",
            f"minutes a session     {self.minutes_per_session:8.1f}",
            f"average power         {self.average_power_w / 1000:8.1f} kW",
            f"energy a day          {self.energy_wh / self.days / 1e6:8.1f} MWh",
            "",
            "sessions begun a day, by local hour:",
        ]
        for hour, count in enumerate(self.by_hour):
            mean = count / self.days
            lines.append(f"  {hour:02d}  {mean:6.1f}  {'#' * round(mean)}")
        return "\n".join(lines)


def calibrate(
    days: int, seed: int, *, first_day: date, per_day: float = VISITS_PER_DAY
) -> Calibration:
    return run_virtually(_run(days, seed, first_day, per_day))


async def _run(days: int, seed: int, first_day: date, per_day: float) -> Calibration:
    start = datetime.combine(first_day, time(), LOCAL_ZONE).timestamp()
    loop = asyncio.get_running_loop()
    clock = HubClock(ClockPair(loop.time(), start, 1.0), wall=loop.time)
    hub = AcceptingHub(clock)

    def in_process(_station: SimulatedStation) -> InProcessWire:
        return InProcessWire(hub)

    station = StationOptions(sample_interval_s=600)
    options = FleetOptions(
        seed=seed,
        visits_per_day=per_day,
        initial=0,
        station=replace(station, in_process=in_process),
    )
    fleet = Fleet(clock, options)
    stop = asyncio.Event()
    loop.call_later(days * DAY_S, stop.set)
    await fleet.run(stop)
    turnout = fleet.turnout
    return Calibration(
        days=days,
        arrived=turnout.arrived,
        served=turnout.served,
        turned_away=turnout.turned_away,
        failed_to_start=turnout.failed_to_start,
        energy_wh=turnout.energy_wh,
        charging_s=turnout.charging_s,
        by_hour=tuple(turnout.by_hour),
        errors=fleet.statistics.error_count,
    )
