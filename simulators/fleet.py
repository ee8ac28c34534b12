"""The hub's stations and its drivers, living by themselves in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from simulators.arrivals import (
    HOURLY_WEIGHTS,
    VISITS_PER_DAY,
    Mishap,
    Visit,
    visits_before,
    visits_from,
)
from simulators.car import Car
from simulators.chores import Chores
from simulators.clock import Clock, sleep_until
from simulators.dialects import DIALECTS, V16, V21, V201
from simulators.gun import Gun, GunState, StopCause
from simulators.misbehaviour import NO_QUIRKS, Quirks
from simulators.station import SimulatedStation, StationOptions
from simulators.statistics import Statistics
from simulators.tls import FleetTls

TYPICAL_STAY_S = 2_000.0
STALE_S = 900.0
"""A driver that much overdue, as after a suspended machine, is taken as gone elsewhere."""


def identities(count: int) -> list[str]:
    return [f"QZ-{number:03d}" for number in range(1, count + 1)]


def version_of(number: int) -> str:
    """Return what the station of this number (from 1) speaks.

    Two thirds speak 1.6; every third one speaks 2.0.1 and 2.1 by turns.
    """
    if number % 3:
        return V16
    return V201 if number % 2 else V21


@dataclass(frozen=True, slots=True)
class FleetOptions:
    url: str = "ws://127.0.0.1:9000/ocpp"
    stations: int = 91
    credentials: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, int] = field(default_factory=dict)
    """Security profiles; a station that is not in it connects in the clear."""
    tls: FleetTls | None = None
    seed: int = 1
    visits_per_day: float = VISITS_PER_DAY
    initial: int | None = None
    """Sessions under way at the start; None is what the hour is used to."""
    spread_s: float = 5.0
    """Wall time over which the stations connect."""
    quirks: Quirks = NO_QUIRKS
    quirky_every: int = 1
    """Only every n-th station misbehaves."""
    station: StationOptions = field(default_factory=StationOptions)
    farewell_s: float = 5.0
    """Wall time given to end what charges when the fleet stops."""


@dataclass(slots=True)
class Turnout:
    """What became of the drivers."""

    arrived: int = 0
    turned_away: int = 0
    served: int = 0
    failed_to_start: int = 0
    waiting: int = 0
    charging_s: float = 0.0
    energy_wh: float = 0.0
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)


class Fleet:
    def __init__(self, clock: Clock, options: FleetOptions) -> None:
        self.clock = clock
        self.options = options
        self.statistics = Statistics()
        self.turnout = Turnout()
        self.stations = [
            self._station(number, identity)
            for number, identity in enumerate(identities(options.stations), start=1)
        ]
        self._chores = Chores(self.statistics)
        self._stir = asyncio.Event()

    def _station(self, number: int, identity: str) -> SimulatedStation:
        options = self.options
        quirky = number % options.quirky_every == 0
        profile = options.profiles.get(identity, 1)
        url, wire = options.url, options.station.wire
        if profile > 1:
            if options.tls is None:
                raise ValueError(f"{identity} has security profile {profile}, and there is no TLS")
            url, wire = options.tls.url, replace(wire, tls=options.tls.context(identity, profile))
        station = SimulatedStation(
            identity,
            url,
            options.credentials.get(identity) if profile in {1, 2} else None,
            DIALECTS[version_of(number)],
            clock=self.clock,
            quirks=options.quirks if quirky else NO_QUIRKS,
            options=replace(
                options.station,
                wire=wire,
                seed=options.seed,
                on_acknowledged=lambda _acknowledged: None,
            ),
            statistics=self.statistics,
        )
        station.charging.waits = partial(self._send_car, station)
        return station

    @property
    def online(self) -> int:
        return sum(station.online for station in self.stations)

    @property
    def delivered_wh(self) -> float:
        return sum(station.charging.delivered_wh for station in self.stations)

    def count(self, state: GunState) -> int:
        return sum(gun.state is state for station in self.stations for gun in station.guns)

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop` is set, then end what charges and disconnect."""
        start = self.clock.now()
        for number, station in enumerate(self.stations):
            delay_s = self.options.spread_s * number / len(self.stations)
            self._chores.start(self._run_station(station, delay_s))
        self._chores.start(self._receive_visits(start))
        await stop.wait()
        await self._chores.cancel()
        await self._say_farewell()

    async def _run_station(self, station: SimulatedStation, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await station.run()

    async def _say_farewell(self) -> None:
        """End all transactions as a shutdown does, so that none stays open at the hub."""
        for station in self.stations:
            station.charging.end_everything(StopCause.REBOOT)
        try:
            async with asyncio.timeout(self.options.farewell_s):
                await asyncio.gather(*(station.settled() for station in self.stations))
        except TimeoutError:
            self.statistics.count_error("farewell cut short")
        await asyncio.gather(*(station.close() for station in self.stations))

    # Drivers.

    async def _receive_visits(self, start: float) -> None:
        options = self.options
        await asyncio.sleep(options.spread_s)
        for visit in self._under_way(start):
            self._chores.start(self._serve(visit))
        for visit in visits_from(options.seed, start, options.visits_per_day):
            await sleep_until(self.clock, visit.at)
            if visit.at > self.clock.now() - STALE_S:
                self._chores.start(self._serve(visit))

    def _under_way(self, start: float) -> list[Visit]:
        """Return the last drivers before the start, their cars charged as far as they would be."""
        options = self.options
        count = options.initial
        if count is None:
            hour = int((start / 3600 + 8) % 24)
            share = HOURLY_WEIGHTS[hour] / sum(HOURLY_WEIGHTS)
            count = round(options.visits_per_day * share * TYPICAL_STAY_S / 3600)
        # More than the guns would wait for ever: the generator has no end.
        count = min(count, 2 * len(self.stations))
        latest = visits_before(options.seed, start, options.visits_per_day)
        able = (visit for visit in latest if visit.mishap is Mishap.NONE)
        chosen = list(islice(able, count))
        return [
            replace(visit, car=_charged(visit.car, progress), to_the_reader_s=0.0, at=start)
            for visit, progress in zip(
                chosen, (i / max(1, len(chosen)) for i in range(len(chosen))), strict=True
            )
        ]

    async def _serve(self, visit: Visit) -> None:
        self.turnout.arrived += 1
        found = await self._find_gun(visit)
        if found is None:
            self.turnout.turned_away += 1
            return
        station, gun = found
        await station.plug_in(gun.evse_no, replace(visit.car))
        await self._sleep(visit.to_the_reader_s)
        if await self._start(station, gun, visit):
            await self._charge(station, gun, visit)
        else:
            self.turnout.failed_to_start += 1
            await self._sleep(30)
        await self._leave(station, gun)

    async def _leave(self, station: SimulatedStation, gun: Gun) -> None:
        if gun.plugged_in:
            await station.unplug(gun.evse_no)
        self._stir.set()

    async def _find_gun(self, visit: Visit) -> tuple[SimulatedStation, Gun] | None:
        until = self.clock.now() + visit.patience_s
        self.turnout.waiting += 1
        try:
            while True:
                found = self._choose_gun(visit.choice)
                if found is not None or self.clock.now() >= until:
                    return found
                self._stir.clear()
                try:
                    # Nothing stirs when a station comes online: look again within a second.
                    delay_s = min(self.clock.wall_delay(until), 1.0)
                    await asyncio.wait_for(self._stir.wait(), delay_s + 0.001)
                except TimeoutError:
                    continue
        finally:
            self.turnout.waiting -= 1

    def _choose_gun(self, choice: float) -> tuple[SimulatedStation, Gun] | None:
        """Choose a free gun, at a cabinet of its own where there is one: it charges faster."""
        free = [
            (station, gun)
            for station in self.stations
            if station.online
            for gun in station.guns
            if gun.free
        ]
        alone = [(station, gun) for station, gun in free if not _shared(station)]
        candidates = alone or free
        return candidates[int(choice * len(candidates))] if candidates else None

    async def _start(self, station: SimulatedStation, gun: Gun, visit: Visit) -> bool:
        if visit.mishap is Mishap.WALKS_AWAY:
            await self._sleep(visit.patience_s / 5)
            return False
        for _ in range(3):
            if _charges(gun):
                return True
            await station.present_token(gun.evse_no, visit.token)
            await station.settled()
            if _charges(gun):
                return True
            if visit.mishap is Mishap.UNKNOWN_TOKEN:
                return False
            await self._sleep(20)
        return False

    async def _charge(self, station: SimulatedStation, gun: Gun, visit: Visit) -> None:
        transaction = gun.transaction
        if transaction is None:
            return
        if visit.mishap is Mishap.CAR_FAILS:
            await self._sleep(visit.to_the_reader_s / 4)
            await station.stop(gun.evse_no, cause=StopCause.CAR_FAILED)
        elif visit.mishap is Mishap.OFFLINE:
            self._chores.start(self._outage(station, visit))
        elif visit.mishap is Mishap.ABORTED or visit.stopped_by_hand:
            await self._wait_for_end(transaction.over, visit.interrupted_after_s)
            if gun.transaction is transaction:
                await self._interrupt(station, gun, visit)
        await transaction.over.wait()
        self._count(transaction.began_at, gun.outlet.register_wh - transaction.begin_wh)
        await self._sleep(visit.lingers_s)

    async def _interrupt(self, station: SimulatedStation, gun: Gun, visit: Visit) -> None:
        if visit.mishap is Mishap.ABORTED and visit.leaves_by_the_cable:
            await station.unplug(gun.evse_no)
        elif not await station.present_token(gun.evse_no, visit.token):
            # The reader refuses: the red button never does.
            await station.stop(gun.evse_no, cause=StopCause.EMERGENCY)

    async def _outage(self, station: SimulatedStation, visit: Visit) -> None:
        await self._sleep(visit.interrupted_after_s)
        await station.go_offline()
        try:
            await self._sleep(visit.patience_s)
        finally:
            await station.come_back()

    async def _wait_for_end(self, over: asyncio.Event, seconds: float) -> None:
        until = self.clock.now() + seconds
        try:
            await asyncio.wait_for(over.wait(), self.clock.wall_delay(until))
        except TimeoutError:
            return

    async def _sleep(self, seconds: float) -> None:
        await sleep_until(self.clock, self.clock.now() + seconds)

    def _count(self, began_at: float, energy_wh: float) -> None:
        turnout = self.turnout
        turnout.served += 1
        turnout.charging_s += self.clock.now() - began_at
        turnout.energy_wh += energy_wh
        turnout.by_hour[int((began_at / 3600 + 8) % 24)] += 1

    def _send_car(self, station: SimulatedStation, gun: Gun) -> None:
        """Let the driver behind a remote start drive up to the gun."""
        self._chores.start(self._arrive_for(station, gun))

    async def _arrive_for(self, station: SimulatedStation, gun: Gun) -> None:
        now = self.clock.now()
        visit = next(visits_from(self.options.seed, now, self.options.visits_per_day))
        await self._sleep(visit.to_the_reader_s)
        if gun.waiting is None or gun.plugged_in:
            return
        self.turnout.arrived += 1
        await station.plug_in(gun.evse_no, replace(visit.car))
        await station.settled()
        ordinary = replace(visit, mishap=Mishap.NONE, stopped_by_hand=False)
        await self._charge(station, gun, ordinary)
        await self._leave(station, gun)


def _charges(gun: Gun) -> bool:
    return gun.transaction is not None


def _shared(station: SimulatedStation) -> bool:
    return any(gun.plugged_in for gun in station.guns)


def _charged(car: Car, progress: float) -> Car:
    """Return the car after this share of its way to the target."""
    return replace(car, soc=car.soc + (car.target_soc - car.soc) * progress * 0.9)
