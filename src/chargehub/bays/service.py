"""The parts of bays, wired: gateways by Location, the desk, the look, what drivers may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.desk import LockDesk
from chargehub.bays.facts import read_one
from chargehub.bays.gateway import HttpGateway, new_client
from chargehub.bays.orders import Ask, NoLock, command_lock, lock_bay
from chargehub.bays.ports import BayDevices
from chargehub.bays.queries import find_bay_of_gun
from chargehub.bays.rules import Cause, LockAction, Outcome
from chargehub.bays.store import bay_commands
from chargehub.bays.watch import BayWatch, TakenGuns, Transactions
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.kit.worker import DueAction
from chargehub.stations.store import charging_stations, evses


class LockRefused(Conflict):
    """You may not have this lock lowered now."""

    code = "lock-refused"


@dataclass(slots=True)
class Bays:
    """Wired by features.py; `start` before the worker runs, `stop` after it."""

    database: Database
    clock: HubClock
    keys: Mapping[str, bytes]
    """Of the gateways by Location, which they sign with."""
    gateways: Mapping[str, BayDevices]
    desk: LockDesk
    watch: BayWatch
    client: httpx.AsyncClient | None

    @classmethod
    def build(
        cls, database: Database, clock: HubClock, gateways: Mapping[str, tuple[str, str]]
    ) -> Bays:
        """Build the parts; `gateways`: URL and key by Location."""
        client = new_client() if gateways else None
        keys = {place: key.encode() for place, (_, key) in gateways.items()}
        made: dict[str, BayDevices] = {}
        if client is not None:
            made = {
                place: HttpGateway(client, url, keys[place]) for place, (url, _) in gateways.items()
            }
        desk, watch = LockDesk(database, clock, made), BayWatch(database, clock)
        return cls(database, clock, keys, made, desk, watch, client)

    async def start(self) -> None:
        await self.watch.start()

    async def stop(self) -> None:
        if self.client is not None:
            await self.client.aclose()

    @property
    def due(self) -> dict[str, DueAction]:
        return self.watch.due()

    @property
    def slow(self) -> dict[str, DueAction]:
        return self.desk.slow()

    def taken_guns(self, transactions: Transactions) -> TakenGuns:
        """Return who tells reservations of guns that cannot be come to."""
        return TakenGuns(transactions, self.watch.blocked)

    async def lower_for_driver(
        self, connection: AsyncConnection, driver_id: UUID, gun: tuple[int, int], now: datetime
    ) -> Row[Any]:
        """Have the lock of a gun lowered for a driver; return the command.

        Only the driver for whom it is held now, or anybody where it is held for nobody. Raises
        NoLock, LockRefused.
        """
        station_id, evse_no = gun
        found = await find_bay_of_gun(connection, station_id, evse_no)
        if found is None:
            raise NoLock("The gun has no ground lock.")
        bay = await lock_bay(connection, found.id)
        row = await read_one(connection, bay.id, now)
        assert row is not None
        if row.hold_id is not None and row.hold_driver_id != driver_id:
            raise _refused("promised", "The gun is held for another driver.", row.hold_until)
        if row.hold_id is None and not await _in_service(connection, station_id, evse_no):
            raise _refused("in_service", "The gun is out of service.")
        await _one_at_a_time(connection, driver_id, bay.id)
        ask = Ask(LockAction.LOWER, Cause.DRIVER, f"driver {driver_id}", driver_id)
        return await command_lock(connection, bay, ask, now)


def _refused(rule: str, why: str, passes_at: datetime | None = None) -> LockRefused:
    told = None if passes_at is None else passes_at.isoformat().replace("+00:00", "Z")
    return LockRefused(why, rule=rule, passes_at=told)


async def _in_service(connection: AsyncConnection, station_id: int, evse_no: int) -> bool:
    query = (
        select(evses.c.wanted_operative & charging_stations.c.wanted_operative)
        .select_from(evses.join(charging_stations))
        .where(evses.c.station_id == station_id, evses.c.evse_no == evse_no)
    )
    return bool(await connection.scalar(query))


async def _one_at_a_time(connection: AsyncConnection, driver_id: UUID, bay_id: int) -> None:
    """Refuse who has another bay's lock going down: a driver stands at one gun."""
    commands = bay_commands.c
    query = select(commands.id).where(
        commands.driver_id == driver_id,
        commands.outcome == Outcome.PENDING,
        commands.bay_id != bay_id,
    )
    if (await connection.execute(query.limit(1))).one_or_none() is not None:
        raise _refused("one_at_a_time", "Another lock is being lowered for you.")
