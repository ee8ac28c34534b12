"""A Location with a queue: its worker, its clock by hand, and what tests do there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.inbox_texts import check as check_message
from chargehub.kit.db import Database
from chargehub.kit.worker import Worker
from chargehub.reservations.queue.line import newest_of, read_line
from chargehub.reservations.queue.outlook import Outlook, Place
from chargehub.reservations.queue.service import Joining, Queue
from chargehub.reservations.queue.triggers import look_soon
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.reservations.store import OPEN, reservations
from tests.integration.reservations.hub import Occupied, nobody_is_verified
from tests.integration.reservations.test_life import World

Key = tuple[int, int]


class Unhurried:
    """Every gun in use is free in half an hour; a charge usually takes 40 minutes."""

    def __init__(self, occupied: Occupied) -> None:
        self.occupied = occupied

    async def free_in(
        self, _connection: AsyncConnection, _location_id: str, _now: datetime
    ) -> tuple[Mapping[Key, float | None], float | None]:
        return dict.fromkeys(self.occupied.guns, 30.0), 40.0


class QueueWorld(World):
    """Guns 1 and 2 of 60 kW, the other eight of 120 kW; all of them in use at first."""

    def __init__(self, database: Database, terms: Terms | None = None) -> None:
        self.mail: list[tuple[UUID, str]] = []
        super().__init__(database, terms or Terms(held_share_percent=100))

    def build(self) -> None:
        super().build()
        clock = self.wall.hub_clock()
        outlook = Outlook(self.occupied, Unhurried(self.occupied))
        self.queue = Queue(
            self.database, clock, self.occupied, self._notify, outlook, nobody_is_verified
        )
        due = {**self.life.due(), **self.queue.due()}
        self.worker = Worker(self.database, clock, due, {}, self.life.slow())

    async def _notify(
        self,
        connection: AsyncConnection,
        driver: UUID,
        kind: str,
        facts: Mapping[str, Any],
        at: datetime,
        *,
        key: str | None = None,
    ) -> bool:
        check_message(kind, facts)
        if key not in self.keys:
            self.mail.append((driver, kind))
        return await super()._notify(connection, driver, kind, facts, at, key=key)

    @property
    def guns(self) -> list[Key]:
        return [(station, evse) for station in self.stations for evse in (1, 2)]

    async def fill(self) -> None:
        self.occupied.guns |= set(self.guns)

    async def join(self, driver: UUID | None = None, power_w: int = 120_000) -> UUID:
        driver = driver or (await self.drivers(1))[0]
        async with self.database.write() as connection:
            await self.queue.join(connection, Joining(driver, "L1", power_w))
        return driver

    async def not_joined(self, driver: UUID | None = None, power_w: int = 120_000) -> str:
        with pytest.raises(ReservationRefused) as refused:
            await self.join(driver, power_w)
        return str(refused.value.facts["rule"])

    async def leave(self, driver: UUID) -> None:
        async with self.database.write() as connection:
            await self.queue.leave(connection, driver)

    async def skip(self, driver: UUID) -> None:
        async with self.database.write() as connection:
            await self.queue.skip(connection, driver)

    async def free(self, *guns: Key) -> None:
        """Let cars leave, as a station tells it, and the worker act."""
        self.occupied.guns -= set(guns)
        await self.look()

    async def look(self) -> None:
        async with self.database.write() as connection:
            await look_soon(connection, "L1", self.wall.at)
        await self.settle()

    async def arrive(self, driver: UUID) -> Key:
        """Let who is called begin to charge, as the batch that begins a charge does."""
        call = await self.call_of(driver)
        assert call is not None
        key = call.station_id, call.evse_no
        over = {"status": "used", "ended_at": self.wall.at, "end_reason": "charged"}
        async with self.database.write() as connection:
            mine = reservations.c.id == call.id
            await connection.execute(update(reservations).where(mine).values(over))
        self.occupied.guns.add(key)
        await self.look()
        return key

    async def call_of(self, driver: UUID) -> Row[Any] | None:
        """Return the call that holds a gun for the driver."""
        async with self.database.read() as connection:
            query = select(reservations).where(
                reservations.c.driver_id == driver,
                reservations.c.queue_entry_id.is_not(None),
                reservations.c.status.in_(OPEN),
            )
            return (await connection.execute(query)).one_or_none()

    async def called(self) -> list[tuple[UUID, Key]]:
        async with self.database.read() as connection:
            query = (
                select(reservations)
                .where(reservations.c.queue_entry_id.is_not(None))
                .where(reservations.c.status.in_(OPEN))
                .order_by(reservations.c.id)
            )
            rows = await connection.execute(query)
            return [(row.driver_id, (row.station_id, row.evse_no)) for row in rows]

    async def line(self) -> list[Row[Any]]:
        async with self.database.read() as connection:
            return await read_line(connection, "L1")

    async def waiting(self) -> list[UUID]:
        return [row.driver_id for row in await self.line() if row.status == "waiting"]

    async def entry(self, driver: UUID) -> Row[Any]:
        async with self.database.read() as connection:
            row = await newest_of(connection, driver)
        assert row is not None
        return row

    async def places(self) -> list[Place]:
        async with self.database.read() as connection:
            return await self.queue.outlook.of_location(connection, "L1", self.wall.at)
