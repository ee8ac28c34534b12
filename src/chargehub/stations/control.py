"""Version-free orders to a station: reset, availability, unlock.

What the operator wants is stored before the order leaves and stays stored whatever the station
answers: `Scheduled` means that wanted and actual differ until the status changes (G03.FR.05). A
wish waits for a station that is away, and is told again to one that has booted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, Row, Select, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.events import EventBus
from chargehub.stations.at_once import send_at_once
from chargehub.stations.command_queue import CommandQueue, Delivery
from chargehub.stations.commands import (
    ChangeAvailability,
    Command,
    CommandAnswer,
    CommandOutcome,
    ResetKind,
    ResetStation,
    UnlockConnector,
)
from chargehub.stations.dispatch import payload_of
from chargehub.stations.durable import reading_back, restore, why_not_durable
from chargehub.stations.events import HubLayoutChanged
from chargehub.stations.queries import find_evse, find_station_in_service
from chargehub.stations.store import charging_stations, evses, station_commands
from chargehub.stations.waiting_commands import waits_already

REQUESTED_BY = "availability"
RECONCILED_BY = "reconciliation"

Sent = tuple[UUID, CommandAnswer]


class StationControl:
    def __init__(
        self, database: Database, queue: CommandQueue, clock: HubClock, bus: EventBus
    ) -> None:
        self._database = database
        self._queue = queue
        self._desk = queue.desk
        self._clock = clock
        self._bus = bus

    async def send(self, identity: str, command: Command, *, actor: str) -> Sent:
        station_id = await self._station_id(identity)
        return await send_at_once(self._queue, station_id, command, actor)

    async def send_durably(
        self, identity: str, command: Command, *, wait: timedelta | None, actor: str
    ) -> Delivery:
        """Send at once or when the station is back. Raises at once what could never be sent."""
        async with self._database.read() as connection:
            station = await find_station_in_service(connection, identity)
        self._desk.check(station.id, command, least_profile=station.security_profile)
        expires_at = self._queue.expiry(wait)
        return await self._queue.send(station.id, command, actor, expires_at=expires_at)

    async def reset(self, identity: str, kind: ResetKind, *, actor: str) -> Sent:
        return await self.send(identity, ResetStation(kind), actor=actor)

    async def unlock(self, identity: str, evse_no: int, connector_no: int, *, actor: str) -> Sent:
        station_id = await self._station_id(identity, evse_no)
        command = UnlockConnector(evse_no, connector_no)
        return await self._desk.send(station_id, command, actor, evse_no=evse_no)

    async def change_availability(
        self, identity: str, *, operative: bool, evse_no: int | None, actor: str
    ) -> Delivery:
        """Store the wish, then tell the station; a failure says that the wish is kept.

        One wish waits for an EVSE at most: a later one replaces it.
        """
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
            command_id = await self._queue.add(
                connection,
                station.id,
                # Connector 0, or no EVSE, is the whole station (16 5.2).
                ChangeAvailability(operative=operative, evse_no=evse_no or 0),
                actor,
                expires_at=None,
                evse_no=evse_no,
            )
        self._bus.publish(HubLayoutChanged(now))
        try:
            return await self._queue.deliver_now(station.id, command_id)
        except ChargeHubError as error:
            error.detail = f"{error.detail.rstrip('.')}. The wish is kept."
            error.facts["wanted_operative"] = operative
            raise

    async def station_booted(self, subject: str) -> None:
        """Take out of use again what the operator wants so; many forget it over a boot. Repeatable.

        G03.FR.06 wants it remembered, and the order does nothing where it is. A wish whose answer
        was lost is told again too, whichever it is.
        """
        station_id = int(subject)
        async with self._database.write() as connection:
            places = await connection.scalars(
                union_all(_out_of_use(station_id), _untold(station_id))
            )
            for evse_no in sorted(set(places)):
                await self._tell_wish(connection, station_id, evse_no, REQUESTED_BY)
        self._queue.kick(station_id)

    async def _tell_wish(
        self, connection: AsyncConnection, station_id: int, evse_no: int, requested_by: str
    ) -> None:
        """Queue what is wanted now of an EVSE (0: the station), unless that waits already."""
        wanted = await _wish(connection, station_id, evse_no)
        if wanted is None:
            return
        order = ChangeAvailability(operative=wanted, evse_no=evse_no)
        if not await waits_already(connection, station_id, order):
            await self._queue.add(
                connection, station_id, order, requested_by, expires_at=None, evse_no=evse_no
            )

    async def command_unknown(self, subject: str, _payload: dict[str, Any]) -> None:
        """Find out what became of a command, where the station can be asked. Repeatable.

        What was written is read back, a wish is told again: after a time-out at the next boot only
        (`station_booted`). Else the outcome stays on show as it is. What was asked here is not
        asked about again, or a station that breaks down over a question would be asked for ever.
        """
        async with self._database.write() as connection:
            query = select(station_commands).where(station_commands.c.id == UUID(subject))
            row = (await connection.execute(query)).one_or_none()
            if row is None or row.requested_by == RECONCILED_BY:
                return
            command = restore(row.action, row.payload, raw=row.raw)
            if isinstance(command, ChangeAvailability):
                if row.outcome == CommandOutcome.TIMEOUT:
                    return
                # As it is wanted now: the operator may have changed his mind since.
                await self._tell_wish(connection, row.station_id, command.evse_no, RECONCILED_BY)
            else:
                question = None if command is None else reading_back(command)
                if question is None or why_not_durable(question, payload_of(question)):
                    return
                await self._queue.add(
                    connection,
                    row.station_id,
                    question,
                    RECONCILED_BY,
                    expires_at=self._queue.expiry(),
                    evse_no=row.evse_no,
                )
        self._queue.kick(row.station_id)

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


def _out_of_use(station_id: int) -> CompoundSelect[Any]:
    """Find the EVSEs that the operator wants out of use; 0 is the whole station."""
    whole = select(literal(0)).where(
        charging_stations.c.id == station_id,
        charging_stations.c.decommissioned_at.is_(None),
        ~charging_stations.c.wanted_operative,
    )
    single = select(evses.c.evse_no).where(
        evses.c.station_id == station_id, ~evses.c.wanted_operative
    )
    return whole.union_all(single)


_NEVER_LEFT = (CommandOutcome.QUEUED, CommandOutcome.CANCELLED, CommandOutcome.REPLACED)


def _untold(station_id: int) -> Select[Any]:
    """Find the EVSEs (0: the station) whose last wish left, and nobody knows whether it came."""
    commands = station_commands.c
    evse_no = func.coalesce(commands.evse_no, 0).label("evse_no")
    newest = (
        select(evse_no, commands.outcome)
        .ext(distinct_on(evse_no))
        .where(
            commands.station_id == station_id,
            commands.action == ChangeAvailability.__name__,
            ~commands.raw,
            commands.outcome.not_in(_NEVER_LEFT),
        )
        .order_by(evse_no, commands.seq.desc())
        .subquery()
    )
    return select(newest.c.evse_no).where(
        newest.c.outcome.in_((CommandOutcome.UNKNOWN, CommandOutcome.TIMEOUT))
    )


async def _wish(connection: AsyncConnection, station_id: int, evse_no: int) -> bool | None:
    """Return what is wanted now; until our transaction ends nobody wants anything else.

    None for a station that is out of service. The row is locked that `_store_wish` writes: an older
    wish is never queued behind a newer one.
    """
    station = select(charging_stations.c.wanted_operative).where(
        charging_stations.c.id == station_id, charging_stations.c.decommissioned_at.is_(None)
    )
    wanted: bool | None = await connection.scalar(station.with_for_update(key_share=True))
    if wanted is not None and evse_no:
        evse = select(evses.c.wanted_operative).where(
            evses.c.station_id == station_id, evses.c.evse_no == evse_no
        )
        wanted = await connection.scalar(evse.with_for_update(key_share=True))
    return wanted
