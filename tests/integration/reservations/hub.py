"""A Location with guns and drivers, written straight into the database, and a clock by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import drivers, id_tokens
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.db import Database
from chargehub.reservations.booking import Bookings
from chargehub.reservations.choice import Wish
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.reservations.store import reservations
from chargehub.reservations.terms import add_version
from chargehub.stations.store import (
    charging_stations,
    connector_status_events,
    connectors,
    evses,
    locations,
    station_connections,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
POWER_W = 120_000


@dataclass
class HandClock:
    """Wall seconds since 1970 that a test moves."""

    at: datetime = NOON

    def __call__(self) -> float:
        return self.at.timestamp()

    def hub_clock(self) -> HubClock:
        return HubClock(ClockPair(0, 0, 1), self)

    def go(self, **much: float) -> datetime:
        self.at += timedelta(**much)
        return self.at


@dataclass
class Charge:
    """An open transaction; a stranger's unless told otherwise."""

    id: int = 1
    id_token: str | None = "stranger"
    group_id_token: str | None = None
    authorized: bool = True
    started_at: datetime = NOON


@dataclass
class Occupied:
    """The guns at which a transaction runs, and those that something blocks."""

    guns: set[tuple[int, int]] = field(default_factory=set)
    """Strangers'."""
    charges: dict[tuple[int, int], Charge] = field(default_factory=dict)
    blocked: set[tuple[int, int]] = field(default_factory=set)

    def is_blocked(self, station_id: int, evse_no: int) -> bool:
        return (station_id, evse_no) in self.blocked

    def at_evse(self, station_id: int, evse_no: int) -> Charge | None:
        key = (station_id, evse_no)
        return self.charges.get(key) or (Charge() if key in self.guns else None)


async def nobody_is_verified(_connection: AsyncConnection, _driver: UUID, _at: datetime) -> bool:
    """Implements `booking.Verified`."""
    return False


async def add_location(connection: AsyncConnection, location_id: str = "L1") -> None:
    await connection.execute(
        locations.insert().values(id=location_id, name="hub", latitude=28.97, longitude=118.87)
    )


async def add_station(
    connection: AsyncConnection,
    identity: str,
    location_id: str = "L1",
    *,
    powers_w: Sequence[int] = (POWER_W, POWER_W),
    online: bool = True,
) -> int:
    """Add a station whose guns `<identity>-1`, ... are Available."""
    values = {
        "identity": identity,
        "location_id": location_id,
        "max_power_w": max(powers_w),
        "commissioned_at": NOON,
    }
    statement = charging_stations.insert().values(values).returning(charging_stations.c.id)
    station_id: int = (await connection.execute(statement)).scalar_one()
    for evse_no, power_w in enumerate(powers_w, 1):
        key = {"station_id": station_id, "evse_no": evse_no}
        code = f"{identity}-{evse_no}"
        await connection.execute(
            evses.insert().values(key | {"gun_code": code, "max_power_w": power_w})
        )
        await connection.execute(
            connectors.insert().values(key | {"connector_no": 1, "status": "Available"})
        )
    await connection.execute(
        station_connections.insert().values(
            station_id=station_id,
            epoch=1,
            protocol="ocpp1.6",
            remote="here",
            connected_at=NOON,
            disconnected_at=None if online else NOON,
        )
    )
    return station_id


async def add_driver(connection: AsyncConnection) -> UUID:
    driver_id = uuid4()
    group = f"DRV-{driver_id.hex[:12]}"
    await connection.execute(
        drivers.insert().values(id=driver_id, group_token=group, created_at=NOON)
    )
    token = f"APP-{driver_id.hex[:12]}"
    await connection.execute(
        id_tokens.insert().values(
            token=token.lower(),
            display=token,
            kind="Central",
            group_token=group,
            driver_id=driver_id,
            driver_since=NOON,
        )
    )
    return driver_id


async def set_status(
    database: Database, key: tuple[int, int], status: str, at: datetime = NOON
) -> None:
    async with database.write() as connection:
        await connection.execute(
            insert(connector_status_events)
            .values(
                station_id=key[0],
                evse_no=key[1],
                connector_no=1,
                status=status,
                at=at,
                received_at=at,
            )
            .on_conflict_do_nothing()
        )
        await connection.execute(
            update(connectors)
            .where(connectors.c.station_id == key[0], connectors.c.evse_no == key[1])
            .values(status=status)
        )


async def set_station_status(database: Database, station_id: int, status: str) -> None:
    """Let a station say so of itself as a whole, and nothing of its guns."""
    async with database.write() as connection:
        await connection.execute(
            update(charging_stations)
            .where(charging_stations.c.id == station_id)
            .values(status=status)
        )


async def set_online(
    database: Database, station_id: int, *, online: bool, at: datetime = NOON
) -> None:
    async with database.write() as connection:
        await connection.execute(
            update(station_connections)
            .where(station_connections.c.station_id == station_id)
            .values(disconnected_at=None if online else at)
        )


async def stored(database: Database, number: int) -> Row[Any]:
    async with database.read() as connection:
        query = select(reservations).where(reservations.c.id == number)
        return (await connection.execute(query)).one()


class Desk:
    """A Location of 5 dual-gun stations, of which the rules let all guns be held."""

    def __init__(self, database: Database, terms: Terms) -> None:
        self.database = database
        self.wall = HandClock()
        self.occupied = Occupied()
        self.bookings = Bookings(self.wall.hub_clock(), self.occupied, nobody_is_verified)
        self.stations: list[int] = []
        self.terms = terms

    async def open(self) -> None:
        async with self.database.write() as connection:
            await add_location(connection)
            for number in range(5):
                power = 60_000 if number == 0 else 120_000
                station_id = await add_station(connection, f"CS{number}", powers_w=(power, power))
                self.stations.append(station_id)
        await self.set_terms(self.terms)

    async def set_terms(self, terms: Terms) -> None:
        async with self.database.write() as connection:
            at = self.wall.at
            await add_version(
                connection,
                terms,
                location_id="L1",
                valid_from=at,
                created_by="test",
                created_at=at,
            )

    async def drivers(self, count: int) -> list[UUID]:
        async with self.database.write() as connection:
            return [await add_driver(connection) for _ in range(count)]

    async def book(self, driver_id: UUID | None = None, **wish: Any) -> Row[Any]:
        driver_id = driver_id or (await self.drivers(1))[0]
        if "gun_code" not in wish:
            wish.setdefault("location_id", "L1")
        async with self.bookings.turns, self.database.write() as connection:
            return await self.bookings.book(connection, Wish(driver_id, **wish))

    async def refused(self, driver_id: UUID | None = None, **wish: Any) -> dict[str, Any]:
        with pytest.raises(ReservationRefused) as refused:
            await self.book(driver_id, **wish)
        return refused.value.facts
