"""Starting and stopping a driver's charge, through the same remote control that staff use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID

import structlog
from prometheus_client import Gauge
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.authorization import AuthorizationStatus
from chargehub.charging import ledger
from chargehub.charging.queries import read_connector_statuses
from chargehub.charging.rules import ChargeState, EndReason, Limits, is_plugged_in
from chargehub.charging.store import charges
from chargehub.charging.watch import ChargeWatch
from chargehub.drivers.accounts import find_app_token
from chargehub.drivers.sightings import SIGHTING_FORGET, Forgetting
from chargehub.drivers.vehicles import battery_of
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict, NotFound
from chargehub.kit.event_stream import StreamLimit
from chargehub.kit.events import EventBus
from chargehub.kit.worker import DueAction
from chargehub.reservations.guard import EvseHeld
from chargehub.stations.commands import (
    CommandAnswer,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.dispatch import End, WithEnd
from chargehub.stations.reports import ConnectorStatus
from chargehub.transactions.orphans import TransactionNotActive
from chargehub.transactions.remote import IdTokenNotAccepted, RemoteControl

log = structlog.get_logger(__name__)

STREAMS = Gauge("chargehub_charge_streams", "Streams of drivers' charges open")

ASK_AGAIN = (
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=10),
)
"""A station that was asked to stop and has not: how long until it is asked again."""
HELD_SAID = "The gun is reserved for another driver; try another gun, or wait until it is let go."
GIVE_UP_MARGIN = timedelta(seconds=5)
"""After the remote control's own time for a start."""


class StartUnderWay(Conflict):
    """You are already waiting for a charge to begin; stop that one first."""

    code = "start-under-way"


class ChargeUnderWay(Conflict):
    """You are charging already; end that charge first, then start this one."""

    code = "charge-under-way"


class GunTaken(Conflict):
    """Another driver is about to charge with this gun."""

    code = "gun-taken"


class ChargeOver(Conflict):
    """The charge is over."""

    code = "charge-over"


@dataclass(slots=True)
class Charging:
    """The parts of drivers' charging; wired by features.py."""

    database: Database
    clock: HubClock
    remote: RemoteControl
    watch: ChargeWatch
    streams: StreamLimit

    @classmethod
    def listening(
        cls,
        database: Database,
        clock: HubClock,
        remote: RemoteControl,
        bus: EventBus,
        streams: tuple[int, int] = (2_000, 5),
    ) -> Charging:
        """Build the parts; the watch hears of transactions from now on.

        `streams`: open at once at most, in all and of one driver.
        """
        watch = ChargeWatch(database, clock, remote.book)
        watch.listen(bus)
        limit = StreamLimit("charge_streams", STREAMS, most=streams[0], most_of_driver=streams[1])
        return cls(database, clock, remote, watch, limit)

    def online_ids(self) -> Collection[int]:
        return self.remote.desk.online_ids()

    @property
    def due(self) -> dict[str, DueAction]:
        return {
            ledger.START_DUE: self.give_up,
            ledger.MINUTES_DUE: self.end_minutes,
            SIGHTING_FORGET: Forgetting(self.database, self.clock).forget,
        }

    @property
    def slow(self) -> dict[str, DueAction]:
        return {ledger.STOP_DUE: self.stop_again}

    async def start(
        self,
        driver_id: UUID,
        station_id: int,
        evse_no: int,
        limits: Limits,
        vehicle_id: UUID | None = None,
    ) -> UUID:
        """Ask a station to begin for a driver; return the charge, whatever the station said.

        Of the vehicle (None: the driver's default one) only the battery is noted. What is refused
        before the station is asked leaves no charge. Raises StartUnderWay, ChargeUnderWay,
        GunTaken, IdTokenNotAccepted, EvseHeld, and NotFound for a vehicle that is not theirs.
        """
        now = self.clock.now()
        wait = self.clock.hub_time(self.remote.call_timeout_s) + self.remote.start_within
        async with self.database.write() as connection:
            token = await find_app_token(connection, driver_id)
            battery_wh = await battery_of(connection, driver_id, vehicle_id)
            place = {"driver_id": driver_id, "station_id": station_id, "evse_no": evse_no}
            charge_id = await ledger.insert_wish(
                connection,
                now,
                {**place, "id_token": token.token, "battery_wh": battery_wh},
                limits,
                now + wait + GIVE_UP_MARGIN,
            )
            if charge_id is None:
                await _refuse_second(connection, driver_id)
        try:
            await self._ask_start(charge_id, station_id, evse_no, token.display)
        except IdTokenNotAccepted as refused:
            await self._take_back(charge_id)
            running = await self._charge_with(driver_id, token.token)
            raise _why_not_accepted(refused, running) from None
        except EvseHeld as held:
            await self._take_back(charge_id)
            raise EvseHeld(HELD_SAID, **held.facts) from None
        self.watch.changed(charge_id)
        return charge_id

    async def _take_back(self, charge_id: UUID) -> None:
        """Forget a wish that was refused before any command was made: it was no charge."""
        async with self.database.write() as connection:
            await ledger.take_back(connection, charge_id)

    async def _charge_with(self, driver_id: UUID, id_token: str) -> UUID | None:
        """Return the charge that the driver has going with this idToken."""
        async with self.database.read() as connection:
            charge_id: UUID | None = await connection.scalar(
                select(charges.c.id).where(
                    charges.c.driver_id == driver_id,
                    charges.c.id_token == id_token,
                    charges.c.transaction_id.is_not(None),
                    charges.c.ended_at.is_(None),
                )
            )
        return charge_id

    async def _ask_start(
        self, charge_id: UUID, station_id: int, evse_no: int, id_token: str
    ) -> None:
        async def with_end(end: End, connection: AsyncConnection) -> None:
            await self._record_answer(connection, charge_id, end)

        async def with_pending(
            connection: AsyncConnection, command_id: UUID, remote_start_id: int
        ) -> WithEnd:
            await ledger.link_command(connection, charge_id, command_id, remote_start_id)
            return with_end

        try:
            await self.remote.request_start(
                station_id,
                evse_no,
                id_token,
                f"driver {charge_id}",
                record=with_pending,
            )
        except (IdTokenNotAccepted, EvseHeld) as error:
            # Before any command was made.
            log.info("charge_not_accepted", charge_id=str(charge_id), why=error.detail)
            raise
        except ChargeHubError as error:
            # What it means for the charge was recorded with the command's end.
            log.info("charge_start_failed", charge_id=str(charge_id), why=error.code)

    async def _record_answer(self, connection: AsyncConnection, charge_id: UUID, end: End) -> None:
        reason = refusal_of(end)
        if reason is None:
            await ledger.mark_starting(connection, charge_id)
        else:
            await ledger.fail(connection, self.clock.now(), charge_id, reason)

    async def stop(self, driver_id: UUID, charge_id: UUID) -> None:
        """Ask the station to stop a driver's own charge; it goes on until the station says so.

        Asked again it asks again. Raises NotFound (another's too), ChargeOver.
        """
        now = self.clock.now()
        async with self.database.write() as connection:
            charge = await _lock(connection, charge_id, driver_id)
            if charge.ended_at is not None:
                raise ChargeOver(state=charge.state, reason=charge.end_reason)
            if charge.state != ChargeState.STOPPING:
                await connection.execute(
                    update(charges)
                    .where(charges.c.id == charge_id)
                    .values(
                        state=ChargeState.STOPPING,
                        stop_reason=EndReason.DRIVER,
                        stop_requested_at=now,
                    )
                )
            if charge.transaction_id is not None:
                await jobs.schedule(connection, ledger.STOP_DUE, str(charge_id), now + ASK_AGAIN[0])
        if charge.transaction_id is not None:
            self.watch.note(charge.transaction_id)
            await self._ask_stop(charge_id, charge.transaction_id)
        self.watch.changed(charge_id)

    async def _ask_stop(self, charge_id: UUID, transaction_id: int) -> None:
        try:
            _, answer = await self.remote.request_stop(transaction_id, f"driver {charge_id}")
        except TransactionNotActive:
            self.watch.note(transaction_id)
            return
        except ChargeHubError as error:
            said = error.code
        else:
            said = answer.status or "unknown"
        async with self.database.write() as connection:
            await connection.execute(
                update(charges)
                .where(charges.c.id == charge_id)
                .values(stop_answer=said, stop_attempts=charges.c.stop_attempts + 1)
            )

    # Due actions; repeatable.

    async def stop_again(self, subject: str, _payload: dict[str, Any]) -> None:
        """Ask the station to stop what is still going on, and look again later."""
        charge_id = UUID(subject)
        async with self.database.write() as connection:
            charge = await _lock(connection, charge_id)
            if charge.state != ChargeState.STOPPING or charge.transaction_id is None:
                return
            again = ASK_AGAIN[min(charge.stop_attempts, len(ASK_AGAIN) - 1)]
            await jobs.postpone(connection, ledger.STOP_DUE, subject, self.clock.now() + again)
        await self._ask_stop(charge_id, charge.transaction_id)
        self.watch.changed(charge_id)

    async def end_minutes(self, subject: str, _payload: dict[str, Any]) -> None:
        charge_id = UUID(subject)
        async with self.database.write() as connection:
            charge = await _lock(connection, charge_id)
            if charge.transaction_id is None or charge.state != ChargeState.CHARGING:
                return
            now = self.clock.now()
            await ledger.ask_stop(connection, now, charge.transaction_id, EndReason.MINUTES)
        self.watch.note(charge.transaction_id)
        self.watch.changed(charge_id)

    async def give_up(self, subject: str, _payload: dict[str, Any]) -> None:
        """Close a start that was accepted, or may have been, and never began."""
        charge_id = UUID(subject)
        async with self.database.write() as connection:
            charge = await _lock(connection, charge_id)
            if charge.transaction_id is not None or charge.ended_at is not None:
                return
            words = await read_connector_statuses(connection, charge.station_id, charge.evse_no)
            plugged = is_plugged_in(_statuses(words))
            reason = EndReason.NOT_PLUGGED_IN if plugged is False else EndReason.NOT_STARTED
            if charge.station_id not in self.online_ids():
                reason = EndReason.OFFLINE
            await ledger.fail(connection, self.clock.now(), charge_id, reason)
        self.watch.changed(charge_id)


def refusal_of(end: End) -> EndReason | None:
    """Return why a start will not come; None where it may come yet.

    Who sent a command and got no answer does not know what the station does with it.
    """
    if isinstance(end, CommandAnswer):
        return EndReason.REFUSED if end.status == "Rejected" else None
    if isinstance(end, UnsupportedByStation):
        return EndReason.UNSUPPORTED
    if isinstance(end, StationOffline):
        return None if end.facts.get("sent") else EndReason.OFFLINE
    if isinstance(end, StationBusy | StationNotAccepted):
        return EndReason.OFFLINE
    if isinstance(end, StationTimeout) or not isinstance(end, ChargeHubError):
        return None
    return EndReason.STATION_ERROR


def _statuses(words: Collection[str]) -> list[ConnectorStatus]:
    known = {status.value for status in ConnectorStatus}
    return [ConnectorStatus(word) for word in words if word in known]


async def _refuse_second(connection: AsyncConnection, driver_id: UUID) -> NoReturn:
    own = await connection.scalar(
        select(charges.c.id).where(
            charges.c.driver_id == driver_id,
            charges.c.state.in_((ChargeState.REQUESTED, ChargeState.STARTING)),
        )
    )
    if own is not None:
        raise StartUnderWay(rule="one_start_a_driver", passes_at=None, charge_id=str(own))
    raise GunTaken(
        "Another driver is about to charge with this gun; try another gun, or wait some minutes.",
        rule="one_start_a_gun",
        passes_at=None,
    )


def _why_not_accepted(refused: IdTokenNotAccepted, running: UUID | None) -> Conflict:
    """Return in a driver's words why their app's idToken is not accepted."""
    word = str(refused.facts.get("authorization", ""))
    if word == AuthorizationStatus.CONCURRENT_TX.value:
        charge_id = None if running is None else str(running)
        return ChargeUnderWay(rule="one_charge_by_app", passes_at=None, charge_id=charge_id)
    said = f"You may not charge here now: your access is {word}. Ask the staff of the hub."
    return IdTokenNotAccepted(said, rule="id_token_accepted", passes_at=None, authorization=word)


async def _lock(
    connection: AsyncConnection, charge_id: UUID, driver_id: UUID | None = None
) -> Row[Any]:
    query = select(charges).where(charges.c.id == charge_id).with_for_update()
    if driver_id is not None:
        query = query.where(charges.c.driver_id == driver_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such charge.")
    return row
