"""Version-free orders to a station: reset, availability, unlock.

What the operator wants is stored before the order leaves and stays stored whatever the station
answers: `Scheduled` means that wanted and actual differ until the status changes (G03.FR.05).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.events import EventBus
from chargehub.stations.commands import (
    ChangeAvailability,
    Command,
    CommandAnswer,
    ResetKind,
    ResetStation,
    UnlockConnector,
)
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.events import HubLayoutChanged
from chargehub.stations.queries import find_evse, find_station_in_service
from chargehub.stations.store import charging_stations, evses

Sent = tuple[UUID, CommandAnswer]


class StationControl:
    def __init__(
        self, database: Database, desk: CommandDesk, clock: HubClock, bus: EventBus
    ) -> None:
        self._database = database
        self._desk = desk
        self._clock = clock
        self._bus = bus

    async def send(self, identity: str, command: Command, *, actor: str) -> Sent:
        station_id = await self._station_id(identity)
        return await self._desk.send(station_id, command, actor)

    async def reset(self, identity: str, kind: ResetKind, *, actor: str) -> Sent:
        return await self.send(identity, ResetStation(kind), actor=actor)

    async def unlock(self, identity: str, evse_no: int, connector_no: int, *, actor: str) -> Sent:
        station_id = await self._station_id(identity, evse_no)
        command = UnlockConnector(evse_no, connector_no)
        return await self._desk.send(station_id, command, actor, evse_no=evse_no)

    async def change_availability(
        self, identity: str, *, operative: bool, evse_no: int | None, actor: str
    ) -> Sent:
        """Store the wish, then tell the station; a failure says that the wish is kept."""
        now = self._clock.now()
        async with self._database.write() as connection:
            station = await find_station_in_service(connection, identity)
            await _store_wish(connection, station, evse_no, operative=operative)
            await audit(
                connection,
                now,
                actor,
                "station.availability_wanted",
                station.identity,
                operative=operative,
                evse_no=evse_no,
            )
        self._bus.publish(HubLayoutChanged(now))
        # Connector 0, or no EVSE, is the whole station (16 5.2).
        command = ChangeAvailability(operative=operative, evse_no=evse_no or 0)
        try:
            return await self._desk.send(station.id, command, actor, evse_no=evse_no)
        except ChargeHubError as error:
            error.detail = f"{error.detail.rstrip('.')}. The wish is kept."
            error.facts["wanted_operative"] = operative
            raise

    async def _station_id(self, identity: str, evse_no: int | None = None) -> int:
        async with self._database.read() as connection:
            station = await find_station_in_service(connection, identity)
            if evse_no is not None:
                await find_evse(connection, station.id, evse_no)
        station_id: int = station.id
        return station_id


async def _store_wish(
    connection: AsyncConnection, station: Row[Any], evse_no: int | None, *, operative: bool
) -> None:
    if evse_no is None:
        await connection.execute(
            update(charging_stations)
            .where(charging_stations.c.id == station.id)
            .values(wanted_operative=operative)
        )
        return
    await find_evse(connection, station.id, evse_no)
    await connection.execute(
        update(evses)
        .where(evses.c.station_id == station.id, evses.c.evse_no == evse_no)
        .values(wanted_operative=operative)
    )
