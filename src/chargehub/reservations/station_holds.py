"""Asks stations to hold guns, and to forget it: ReserveNow and CancelReservation.

Who is asked when, and what follows from the answer, is decided with the reservation; what became
of the station's round trip is here. Asking again under the same id amends (H01.FR.02).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Integer, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import id_tokens
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.reservations.guns import Occupancy
from chargehub.reservations.life import LifeCycle, Notify
from chargehub.reservations.station import ACCEPTED, UNSUPPORTED, HeldGun
from chargehub.reservations.store import reservations
from chargehub.reservations.support import learn, takes_reservations
from chargehub.stations.commands import (
    CancelReservation,
    CommandAnswer,
    CommandOutcome,
    ReserveNow,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.dispatch import CommandDesk, End, WithEnd
from chargehub.stations.guns import StationGun, read_guns
from chargehub.stations.reports import PLUGGED_IN
from chargehub.stations.store import evses, station_commands

log = structlog.get_logger(__name__)

REQUESTED_BY = "reservation"
WORDS = frozenset((ACCEPTED, "Occupied", "Faulted", "Unavailable", "Rejected"))
TAKEN = frozenset((ACCEPTED, UNSUPPORTED))
"""Answers after which the gun was held."""
NOT_REACHED = (StationBusy, StationNotAccepted, StationOffline, StationTimeout)
PERHAPS_TOLD = (CommandOutcome.PENDING, CommandOutcome.TIMEOUT, CommandOutcome.UNKNOWN)


@dataclass(slots=True)
class StationHolds:
    """Implements `station.StationHold`."""

    database: Database
    clock: HubClock
    desk: CommandDesk

    async def ask_station(self, held: HeldGun) -> str | None:
        """As the protocol says. No database transaction is open while the station is asked."""
        async with self.database.read() as connection:
            token = await _token(connection, held.id_token)
            supported = await takes_reservations(connection, held.station_id)
            gun = await _gun(connection, held)
            before = await _answered_before(connection, held)
        if not supported:
            # Nobody but us can notice that the gun, or its station, is of no use.
            broken = None if gun is None else gun.out_of_use({gun.station_id})
            if broken is not None:
                return broken.value
            # One that we held already is watched: the car may be this driver's.
            parked = gun is not None and gun.status in PLUGGED_IN and before not in TAKEN
            return "Occupied" if parked else UNSUPPORTED
        command = ReserveNow(
            held.reservation_id,
            held.hold_until,
            token.display if token else held.id_token,
            token.kind if token else None,
            held.group_token,
            held.evse_no,
        )
        try:
            _, answer = await self.desk.send(
                held.station_id,
                command,
                REQUESTED_BY,
                evse_no=held.evse_no,
                id_token=held.id_token,
                with_pending=lambda connection, _id: self._with_pending(connection, held),
            )
        except NOT_REACHED:
            return None
        except ChargeHubError as error:
            # It cannot be told, whatever is the matter: then we guard the gun alone.
            log.info("reservation_not_taken", reservation_id=held.reservation_id, why=error.code)
            return UNSUPPORTED
        word = answer.status if answer.status in WORDS else "Rejected"
        if word == "Occupied" and before == ACCEPTED:
            # It held the gun for this driver, who may be plugging in: it cannot be amended now.
            return ACCEPTED
        return word

    async def _with_pending(self, _connection: AsyncConnection, held: HeldGun) -> WithEnd:
        async def with_end(end: End, connection: AsyncConnection) -> None:
            at = self.clock.now()
            if isinstance(end, UnsupportedByStation):
                await learn(connection, held.station_id, at, supported=False)
            elif isinstance(end, CommandAnswer) and end.status in WORDS - {"Rejected"}:
                await learn(connection, held.station_id, at, supported=True)

        return with_end

    async def release(self, reservation_id: int, station_id: int) -> bool:
        """As the protocol says. Rejected means that the station holds nothing (H02.FR.01)."""
        async with self.database.read() as connection:
            if not await _was_told(connection, reservation_id, station_id):
                return True
        try:
            await self.desk.send(station_id, CancelReservation(reservation_id), REQUESTED_BY)
        except NOT_REACHED:
            return False
        except ChargeHubError as error:
            log.info("reservation_not_cancelled", reservation_id=reservation_id, why=error.code)
        return True


def life_cycle(
    database: Database, clock: HubClock, desk: CommandDesk, occupancy: Occupancy, notify: Notify
) -> LifeCycle:
    """Return the life of reservations whose stations are told."""
    return LifeCycle(database, clock, occupancy, StationHolds(database, clock, desk), notify)


async def _token(connection: AsyncConnection, token: str) -> Row[Any] | None:
    query = select(id_tokens).where(id_tokens.c.token == token)
    return (await connection.execute(query)).one_or_none()


async def _gun(connection: AsyncConnection, held: HeldGun) -> StationGun | None:
    here = (evses.c.station_id == held.station_id) & (evses.c.evse_no == held.evse_no)
    return next(iter(await read_guns(connection, here)), None)


async def _answered_before(connection: AsyncConnection, held: HeldGun) -> str | None:
    """Return the station's last word on this very gun for this reservation."""
    query = select(reservations.c.station_answer).where(
        reservations.c.id == held.reservation_id,
        reservations.c.station_id == held.station_id,
        reservations.c.evse_no == held.evse_no,
    )
    word: str | None = await connection.scalar(query)
    return word


async def _was_told(connection: AsyncConnection, reservation_id: int, station_id: int) -> bool:
    """Tell whether the station has, or may have, taken the reservation."""
    commands = station_commands.c
    query = (
        select(commands.id)
        .where(
            commands.station_id == station_id,
            commands.action == ReserveNow.__name__,
            commands.payload["reservation_id"].astext.cast(Integer) == reservation_id,
            (commands.status == ACCEPTED) | commands.outcome.in_(PERHAPS_TOLD),
        )
        .limit(1)
    )
    return await connection.scalar(query) is not None
