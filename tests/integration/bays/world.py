"""A Location whose first guns have bays, with a simulated gateway behind real sockets.

Time is the test's: whatever is due is done when it lets time pass. Locks move at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.api import build_api
from chargehub.bays.service import Bays
from chargehub.bays.store import bay_commands, bay_rules, bays
from chargehub.drivers.inbox_texts import check as check_message
from chargehub.kit.db import Database
from chargehub.kit.http import provide
from chargehub.kit.jobs import outbox
from chargehub.kit.worker import Worker
from chargehub.reservations.booking import Bookings
from chargehub.reservations.life import LifeCycle
from chargehub.reservations.queue.line import read_line
from chargehub.reservations.queue.outlook import Outlook
from chargehub.reservations.queue.service import Joining, Queue
from chargehub.reservations.rules import Terms
from chargehub.reservations.store import OPEN, reservations
from chargehub.transactions.store import transactions
from simulators.bays import BayGateway, Device
from simulators.parking import serving as serving_gateway
from tests.integration.api.conftest import serving as serving_api
from tests.integration.reservations.hub import Desk, nobody_is_verified
from tests.integration.reservations.queueing import Unhurried
from tests.integration.reservations.test_life import Stations

KEY = "the gateway and the hub sign with this"
BAYS = 3
"""At the second station's guns and the first of the third; the first is a weak one."""
ROUNDS = 12


class World(Desk):
    bays: Bays
    gateway: BayGateway
    gateway_url: str
    worker: Worker
    life: LifeCycle
    queue: Queue
    events_url: str

    def __init__(self, database: Database) -> None:
        super().__init__(database, Terms(held_share_percent=100, hold_lead_min=20))
        self.inbox: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.bay_ids: list[int] = []

    # Both ends are of the test's clock.

    def now(self) -> float:
        return self.wall.at.timestamp()

    def wall_delay(self, _until: float) -> float:
        return 0.0

    async def start_hub(self, url: str | None = None) -> None:
        """Build the hub's parts, with nothing in memory."""
        clock = self.wall.hub_clock()
        gateways = {"L1": (url or self.gateway_url, KEY)}
        self.bays = Bays.build(self.database, clock, gateways)
        self.bays.desk.again_s, self.bays.desk.moves_within_s = 1.0, 10.0
        taken = self.bays.taken_guns(self.occupied)
        self.bookings = Bookings(clock, taken, nobody_is_verified)
        self.life = LifeCycle(self.database, clock, taken, Stations(), self._notify)
        outlook = Outlook(taken, Unhurried(self.occupied))
        self.queue = Queue(self.database, clock, taken, self._notify, outlook, nobody_is_verified)
        due = {**self.life.due(), **self.queue.due(), **self.bays.due}
        slow = {**self.life.slow(), **self.bays.slow}
        self.worker = Worker(self.database, clock, due, {}, slow)
        await self.bays.start()

    async def restart(self, url: str | None = None) -> None:
        await self.bays.stop()
        await self.start_hub(url)

    async def _notify(
        self,
        _connection: AsyncConnection,
        _driver: UUID,
        kind: str,
        facts: Mapping[str, Any],
        _at: datetime,
        *,
        key: str | None = None,
    ) -> bool:
        check_message(kind, facts)
        if key in self.keys:
            return False
        self.keys.add(key)
        self.inbox.append((kind, dict(facts)))
        return True

    async def register(self) -> None:
        places = [(self.stations[1], 1), (self.stations[1], 2), (self.stations[2], 1)]
        async with self.database.write() as connection:
            for number, (station_id, evse_no) in enumerate(places, 1):
                row = {
                    "location_id": "L1",
                    "station_id": station_id,
                    "evse_no": evse_no,
                    "lock_device": f"BAY-{number}",
                    "sensor_device": f"BAY-{number}",
                    "created_by": "test",
                    "created_at": self.wall.at,
                }
                made = await connection.execute(insert(bays).values(row).returning(bays.c.id))
                self.bay_ids.append(made.scalar_one())

    async def settle(self) -> None:
        """Do what is due and what follows from it, until nothing does."""
        for _ in range(ROUNDS):
            worked = False
            await self.gateway.quiet()
            self.wall.go(milliseconds=1)
            while await self.worker.run_once():
                worked = True
                self.wall.go(milliseconds=1)
            if not worked:
                return

    async def go(self, seconds: float = 0, minutes: float = 0) -> None:
        """Let time pass in steps of twenty seconds, as the worker sees it."""
        left = seconds + 60 * minutes
        while left > 0:
            self.wall.go(seconds=min(20, left))
            left -= 20
            await self.settle()

    # What there is

    @property
    def device(self) -> Device:
        return self.gateway.devices["BAY-1"]

    async def bay(self, number: int = 1) -> Row[Any]:
        async with self.database.read() as connection:
            query = select(bays).where(bays.c.id == self.bay_ids[number - 1])
            return (await connection.execute(query)).one()

    async def commands(self, number: int = 1) -> list[Row[Any]]:
        async with self.database.read() as connection:
            mine = bay_commands.c.bay_id == self.bay_ids[number - 1]
            query = select(bay_commands).where(mine).order_by(bay_commands.c.seq)
            return list(await connection.execute(query))

    async def ends(self, number: int = 1) -> list[tuple[str, str, str, str | None]]:
        return [
            (row.action, row.cause, row.outcome, row.why) for row in await self.commands(number)
        ]

    async def held_guns(self) -> list[tuple[UUID, tuple[int, int]]]:
        """Return who has which gun held for them."""
        async with self.database.read() as connection:
            mine = reservations.c.status.in_(OPEN)
            rows = await connection.execute(select(reservations).where(mine))
            return [(row.driver_id, (row.station_id, row.evse_no)) for row in rows]

    async def waiting(self) -> list[tuple[UUID, int]]:
        """Return who waits in the queue, and how often each did not come."""
        async with self.database.read() as connection:
            line = await read_line(connection, "L1")
        return [(row.driver_id, row.missed) for row in line if row.status == "waiting"]

    async def told_staff(self) -> int:
        async with self.database.read() as connection:
            query = select(outbox.c.subject).where(outbox.c.topic == "bay.blocked")
            return len(list(await connection.scalars(query)))

    async def hold(self, driver_id: UUID | None = None) -> Row[Any]:
        """Book the gun of the first bay for now."""
        return await self.book(driver_id, gun_code="CS1-1")

    async def join(self) -> UUID:
        """Have a new driver wait for a strong gun."""
        (driver,) = await self.drivers(1)
        async with self.database.write() as connection:
            await self.queue.join(connection, Joining(driver, "L1", 120_000))
        return driver

    async def lower(self, driver_id: UUID, gun: int = 1) -> Row[Any]:
        return await self.lower_at(driver_id, (self.stations[1], gun))

    async def lower_at(self, driver_id: UUID, place: tuple[int, int]) -> Row[Any]:
        async with self.database.write() as connection:
            return await self.bays.lower_for_driver(connection, driver_id, place, self.wall.at)

    async def charge(self, gun: int | None) -> None:
        """Let a transaction run at the second station; None: it does not say at which gun."""
        values = {
            "id": 1,
            "station_id": self.stations[1],
            "evse_no": gun,
            "ref": "1",
            "state": "Active",
            "started_at": self.wall.at,
            "received_at": self.wall.at,
            "max_power_w": 120_000,
        }
        async with self.database.write() as connection:
            await connection.execute(insert(transactions).values(values))

    async def set_rules(self, *, raised_when_free: bool, free_for_s: int = 120) -> None:
        values = {"raised_when_free": raised_when_free, "free_for_s": free_for_s}
        more = {"location_id": "L1", "changed_by": "test", "changed_at": self.wall.at}
        async with self.database.write() as connection:
            await connection.execute(insert(bay_rules).values(values | more))

    async def set_bay(self, **values: Any) -> None:
        async with self.database.write() as connection:
            mine = bays.c.id == self.bay_ids[0]
            await connection.execute(update(bays).where(mine).values(values))


@asynccontextmanager
async def bay_world(database: Database) -> AsyncIterator[World]:
    world = World(database)
    await world.open()
    app = build_api({}, 262_144)
    names = [f"BAY-{number}" for number in range(1, BAYS + 1)]
    async with serving_api(app) as api_url:
        world.events_url = f"{api_url}/api/v1/bay-gateways/L1/events"
        gateway = world.gateway = BayGateway(
            world, KEY.encode(), names, lambda: world.events_url, move_s=0
        )
        async with serving_gateway(gateway, 0) as url:
            world.gateway_url = url
            await world.start_hub()
            provide(app, database, world.wall.hub_clock(), world.bays)
            await world.register()
            await world.go(seconds=40)
            yield world
            await world.bays.stop()
