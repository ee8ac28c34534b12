"""The hub of the day: the real server on its database, real sockets, simulated stations, one clock.

Time goes from one thing that happens to the next; each is over, at stations and server alike,
before the clock goes on. What the people do is `drivers`, what goes wrong is `mishaps`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from argon2 import PasswordHasher

from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role
from chargehub.access.service import AccessService
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.http import API_PREFIX
from simulators.client import SocketWire, WireOptions
from simulators.dialects import DIALECTS
from simulators.fleet import version_of
from simulators.gun import Gun, GunState
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.outbox import OutboxOptions
from simulators.station import SimulatedStation, StationOptions
from simulators.uplink import UplinkOptions
from tests.days.ledger import Glance, Ledger
from tests.days.people import MIDNIGHT, MINUTE
from tests.days.queue_notes import FreeGun
from tests.scenarios.drivers import NO_TLS
from tests.scenarios.stage import PASSWORD, PATIENCE_S, Stage, open_stage

Steps = AsyncIterator[float]
"""What somebody does: each value is when they go on."""
LOCATION = "hub"
SAMPLE_S = 300
SETTLES_FOR_S = 3 * 3_600.0
"""After the last driver has left, until all that is due of the day has been done."""
WEAK_EVERY = 6
"""Every sixth station has guns of 60 kW."""
CHARACTERS: Sequence[Quirks] = (
    frozenset(),
    frozenset({Misbehaviour.FORGETS_RESERVATIONS}),
    frozenset({Misbehaviour.NO_RESERVATIONS}),
    frozenset(),
    frozenset({Misbehaviour.BOOT_ON_RECONNECT}),
)
"""Of stations, by turns: some keep no reservations, some lose them."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A gun as a driver stands before it."""

    station: SimulatedStation
    gun: Gun
    code: str
    power_w: int

    @property
    def blocked(self) -> bool:
        return self.gun.plugged_in or self.gun.fault is not None or self.gun.transaction is not None

    @property
    def looks_free(self) -> bool:
        """Whether its light says that anybody may use it."""
        return self.gun.state is GunState.AVAILABLE


@dataclass
class Day:
    stage: Stage
    ledger: Ledger = field(default_factory=Ledger)
    places: dict[str, Place] = field(default_factory=dict)
    held: list[dict[str, Any]] = field(default_factory=list)
    """What the hub said a minute ago of all open reservations."""
    stood_at: Counter[str] = field(default_factory=Counter)
    """How many stand before a gun that was promised to them, by its code."""
    stirred: bool = False
    """Somebody did something of which work may be due."""
    _client: httpx.AsyncClient | None = None
    _staff_token: str = ""
    _agenda: list[tuple[float, int, Steps]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    # Opening.

    async def open(self, stations: int) -> None:
        for number in range(1, stations + 1):
            await self._add_station(number)
        await self.stage.work()
        self._connect_phones()
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        wall = HubClock(ClockPair(0, 0, 1))
        access = AccessService(self.stage.database, wall, passwords=cheap)
        await access.add_operator(
            login="manager", role=Role.OPERATOR, password=PASSWORD, actor="test"
        )
        self._staff_token = (await access.log_in("manager", PASSWORD, address="test")).token

    async def _add_station(self, number: int) -> None:
        power_w = 60_000 if number % WEAK_EVERY == 0 else 120_000
        identity, _ = await self.stage.new_station(power_w)
        station = SimulatedStation(
            identity,
            self.stage.addresses.ocpp_url,
            PASSWORD,
            DIALECTS[version_of(number)],
            clock=self.stage.clock,
            quirks=CHARACTERS[number % len(CHARACTERS)],
            options=StationOptions(
                wire=WireOptions(call_timeout_s=PATIENCE_S),
                outbox=OutboxOptions(retry_s=0.01),
                uplink=UplinkOptions(reboot_s=0.01, reconnect_min_s=0.01),
                register_wh=12_345_678.0,
                sample_interval_s=SAMPLE_S,
            ),
        )
        self.stage.simulated_stations.append(station)
        await station.connect()
        assert await station.boot() == "Accepted"
        for gun in station.guns:
            code = f"{identity}-{gun.evse_no}"
            self.places[code] = Place(station, gun, code, power_w)

    def _connect_phones(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=self.stage.addresses.api_url + API_PREFIX,
            verify=NO_TLS,
            trust_env=False,
            timeout=60,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # What people see and ask.

    @property
    def now(self) -> float:
        return self.stage.clock.now()

    @property
    def stations(self) -> Sequence[SimulatedStation]:
        return self.stage.simulated_stations

    async def ask(self, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        assert self._client is not None
        headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
        self.stirred |= method != "GET"
        return await self._client.request(method, path, headers=headers, **more)

    def free_places(self, power_w: int = 0) -> list[Place]:
        """Return the guns that look free, the least powerful that will do first."""
        found = [one for one in self.places.values() if one.looks_free and one.power_w >= power_w]
        return sorted(found, key=lambda one: (one.power_w, one.code))

    # Time.

    def add(self, at: float, steps: Steps) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), steps))

    async def run(self) -> None:
        """Let everything on the agenda happen, and the hub settle what is left of it."""
        while self._agenda:
            at = max(self._agenda[0][0], self.now)
            await self._pass_until(at)
            together = []
            while self._agenda and self._agenda[0][0] <= at:
                together.append(heapq.heappop(self._agenda))
            # Mostly one; those of the same moment are really at once.
            await asyncio.gather(*(self._go_on(number, steps) for _, number, steps in together))
            if self.stirred:
                self.stirred = False
                await self.work()
        await self._pass_until(self.now + SETTLES_FOR_S)

    async def _go_on(self, number: int, steps: Steps) -> None:
        try:
            at = await anext(steps)
        except StopAsyncIteration:
            return
        heapq.heappush(self._agenda, (at, number, steps))

    async def _pass_until(self, until: float) -> None:
        while self.now < until:
            mark = (math.floor(self.now / MINUTE) + 1) * MINUTE
            if not any(place.gun.transaction for place in self.places.values()):
                # Nobody charges: nothing happens but what is due.
                mark = max(mark, await self._next_due(until))
            self.stage.clock.set(min(mark, until))
            if mark <= until:
                await self._minute()

    async def _next_due(self, latest: float) -> float:
        query = "SELECT extract(epoch FROM min(due_at))::float8 AS at FROM due_actions"
        (row,) = await self.stage.rows(query)
        return latest if row.at is None else min(float(row.at), latest)

    async def _minute(self) -> None:
        now = self.now
        dues = [(station, station.charging.next_due()) for station in self.stations]
        late = [station for station, due in dues if due is not None and due <= now]
        await asyncio.gather(*(station.tick() for station in late))
        await self.work()
        await self._look_around()

    async def work(self) -> None:
        """Let the server do all that is due, and the stations what they are told."""
        await self.stage.hub.charging.watch.idle()
        await self.stage.work()
        await asyncio.gather(*(station.settled() for station in self.stations))

    async def _look_around(self) -> None:
        """Compare what the hub says of all reservations, and count the cars."""
        self.held = await self._pages("reservations", only_open=True)
        self.ledger.saw_all(self.held)
        places = list(self.places.values())
        held = {told["gun_code"] for told in self.held if told["status"] in {"pending", "active"}}
        cars = sum(place.gun.plugged_in for place in places)
        waiting = sum(place.code in held and not place.gun.plugged_in for place in places)
        lit = [place for place in places if place.looks_free and place.station.online]
        line = await self._pages("queue")
        guns = [FreeGun(place.code, place.power_w) for place in lit]
        self.ledger.queue.look(self.now, line, self.held, guns)
        free = sum(place.looks_free and place.code not in held for place in places)
        self.ledger.occupancy.append(Glance(self.now, cars, waiting, len(places), free))

    async def _pages(self, of: str, **query: Any) -> list[dict[str, Any]]:
        """Return all that staff is shown of the Location's reservations or its queue."""
        path, found = f"/locations/{LOCATION}/{of}", []
        query["limit"] = 200
        while True:
            answer = await self.ask(self._staff_token, "GET", path, params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    # The server.

    async def restart(self, away_s: float, offline: Sequence[SimulatedStation] = ()) -> None:
        """Stop the server; another goes on so much later, and the stations come back to it.

        Those that are `offline` stay so.
        """
        assert self._client is not None
        await self._client.aclose()
        await self.stage.restart(away_s)
        self._connect_phones()
        for station in self.stations:
            wire = station.uplink.wire
            assert isinstance(wire, SocketWire)
            wire.account.url = self.stage.addresses.ocpp_url
            if station not in offline:
                await station.come_back()
        await self.work()


async def open_day(database_url: str, *, stations: int) -> Day:
    stage = await open_stage(database_url, frame_log=False, start=MIDNIGHT)
    day = Day(stage)
    await day.open(stations)
    return day


async def close_day(day: Day) -> None:
    await day.close()
    await day.stage.send_home()
    await day.stage.hub.stop()
    await day.stage.database.close()
