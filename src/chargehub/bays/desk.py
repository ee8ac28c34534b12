"""Sends commands to locks and asks devices: due actions that hold no transaction while they wait.

Before a lock goes up its sensor is asked, and everything is decided again on what it says; so
nothing that changed since the command was made, in a restart or a dead gateway, raises a lock
under a car. An order is repeated under its request id, and its end is an event of the lock; where
none comes the lock is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.facts import facts_of, read_one
from chargehub.bays.orders import (
    ALL,
    ANSWER_DUE,
    LOOK,
    READ,
    SEND,
    SEND_WITHIN,
    find_pending,
    finish,
)
from chargehub.bays.ports import BayDevices, DeviceRefused, DeviceReport, GatewaySilent, LockOrder
from chargehub.bays.reports import believe
from chargehub.bays.rules import (
    SILENT_AFTER,
    TRY_AGAIN,
    LockAction,
    LockState,
    Outcome,
    SensorState,
    Why,
    why_not_raise,
)
from chargehub.bays.store import bay_commands, bays
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.worker import DueAction

log = structlog.get_logger(__name__)

ATTEMPTS = 3
AGAIN_WALL_S = 2.0
"""Until a gateway that did not answer is asked again."""
MOVES_WITHIN_WALL_S = 30.0
"""A lock takes some seconds to move; then it is asked."""
UNSENT = {Why.GATEWAY_SILENT: Outcome.FAILED, Why.TOO_LATE: Outcome.TIMEOUT}
"""How a command ends that is not sent; else it is refused."""
C = bay_commands.c


@dataclass(slots=True)
class LockDesk:
    database: Database
    clock: HubClock
    gateways: Mapping[str, BayDevices]
    """By Location."""
    moves_within_s: float = MOVES_WITHIN_WALL_S
    again_s: float = AGAIN_WALL_S

    def slow(self) -> dict[str, DueAction]:
        return {SEND: self.send, ANSWER_DUE: self.ask_outcome, READ: self.read}

    async def send(self, subject: str, _payload: object = None) -> None:
        """Send a command that is open, or end it with the reason why not."""
        command_id = UUID(subject)
        async with self.database.read() as connection:
            found = await self._find(connection, command_id)
        if found is None or found[0].accepted_at is not None:
            return
        command, bay = found
        why = self._why_not_send(command, bay)
        if why is not None:
            await self._end(command, UNSENT.get(why, Outcome.REFUSED), why)
            return
        if await self._note_attempt(command, bay):
            await self._order(command, bay)

    def _why_not_send(self, command: Row[Any], bay: Row[Any]) -> Why | None:
        """Return why a command cannot be sent, or not any more."""
        if bay.removed_at is not None:
            return Why.REMOVED
        if bay.location_id not in self.gateways:
            return Why.NO_GATEWAY
        if command.attempts >= ATTEMPTS:
            return Why.GATEWAY_SILENT
        if command.sent_at is None and self.clock.now() - command.requested_at > self._send_within:
            return Why.TOO_LATE
        return None

    @property
    def _send_within(self) -> timedelta:
        # In a fast demo a minute of the hub is no time at all for a gateway.
        return max(SEND_WITHIN, self.clock.hub_time(SEND_WITHIN.total_seconds()))

    async def _note_attempt(self, command: Row[Any], bay: Row[Any]) -> bool:
        """Count an attempt, unless the lock must not go up; False: nothing is to be sent now."""
        reports: list[DeviceReport] = []
        silent = None
        if command.action == LockAction.RAISE:
            reports, silent = await self._ask_before_raising(bay)
        async with self.database.write() as connection:
            row = await lock_bay_anyhow(connection, bay.id)
            if await find_pending(connection, command.id) is None:
                return False
            now = self.clock.now()
            for report in reports:
                await believe(connection, row, report, now, asked=bay)
            if command.action == LockAction.RAISE:
                why = await self._why_not_raise(connection, command, silent)
                if why is not None:
                    await finish(connection, command.id, Outcome.REFUSED, why, now)
                    return False
            goes = silent is None or command.forced
            values = {"attempts": C.attempts + 1}
            if goes:
                values["sent_at"] = func.coalesce(C.sent_at, now)
            mine = update(bay_commands).where(C.id == command.id)
            await connection.execute(mine.values(values))
            again = self.clock.hub_time(self.again_s) * (command.attempts + 1)
            await jobs.schedule(connection, SEND, str(command.id), now + again)
        return goes

    async def _why_not_raise(
        self, connection: AsyncConnection, command: Row[Any], silent: Why | None
    ) -> Why | None:
        """Decide again on what is known now, with the bay locked."""
        row = await read_one(connection, command.bay_id, self.clock.now())
        if row is None:
            return Why.REMOVED
        why = why_not_raise(facts_of(row), forced=command.forced)
        if why is None and silent is Why.SENSOR_UNKNOWN and not command.forced:
            return silent
        return why

    async def _ask_before_raising(self, bay: Row[Any]) -> tuple[list[DeviceReport], Why | None]:
        """Return what the devices say now, and why the sensor is not among them."""
        if bay.sensor_device is None:
            return [], Why.SENSOR_UNKNOWN
        try:
            return [await self.gateways[bay.location_id].read(bay.sensor_device)], None
        except GatewaySilent as error:
            log.info("bay_gateway_silent", bay_id=bay.id, why=str(error))
            return [], Why.GATEWAY_SILENT
        except DeviceRefused:
            return [], Why.SENSOR_UNKNOWN

    async def _order(self, command: Row[Any], bay: Row[Any]) -> None:
        gateway, now = self.gateways[bay.location_id], self.clock.now()
        within = self.clock.hub_time(self.moves_within_s)
        order = LockOrder(command.id, bay.lock_device, now + within)
        ask = gateway.raise_lock if command.action == LockAction.RAISE else gateway.lower_lock
        try:
            await ask(order)
        except DeviceRefused as refused:
            await self._end(command, Outcome.REFUSED, refused.why)
            return
        except GatewaySilent as silent:
            # Its row is due again already. What was asked may have been done: then an event comes.
            log.info(
                "bay_gateway_silent", bay_id=bay.id, command_id=str(command.id), why=str(silent)
            )
            return
        async with self.database.write() as connection:
            await lock_bay_anyhow(connection, bay.id)
            await connection.execute(
                update(bay_commands)
                .where(C.id == command.id, C.accepted_at.is_(None))
                .values(accepted_at=now)
            )
            await jobs.schedule(connection, ANSWER_DUE, str(command.id), now + within)

    async def ask_outcome(self, subject: str, _payload: object = None) -> None:
        """End a command of which the lock told nothing: by what it says when it is asked."""
        async with self.database.read() as connection:
            found = await self._find(connection, UUID(subject))
        if found is None:
            return
        command, bay = found
        await self._ask(bay)
        async with self.database.write() as connection:
            row = await lock_bay_anyhow(connection, bay.id)
            if await find_pending(connection, command.id) is None:
                return
            there = row.lock_state == LockAction(command.action).reaches
            heard = row.lock_heard_at is not None and row.lock_heard_at > command.requested_at
            outcome, why = Outcome.TIMEOUT, Why.NOT_REPORTED
            if there and heard:
                outcome, why = Outcome.DONE, Why.ASKED
            elif heard and row.lock_state == LockState.OBSTRUCTED:
                outcome, why = Outcome.FAILED, Why.OBSTRUCTED
            elif heard and row.lock_state == LockState.FAULT:
                outcome, why = Outcome.FAILED, Why.FAULT
            await finish(connection, command.id, outcome, why, self.clock.now())

    async def read(self, subject: str, _payload: object = None) -> None:
        """Ask a bay's devices how they are; one that is silent for long is not known any more."""
        async with self.database.read() as connection:
            query = select(bays).where(bays.c.id == int(subject), bays.c.removed_at.is_(None))
            bay = (await connection.execute(query)).one_or_none()
        if bay is not None and not await self._ask(bay):
            async with self.database.write() as connection:
                await jobs.schedule(connection, READ, subject, self.clock.now() + TRY_AGAIN)

    async def _ask(self, bay: Row[Any]) -> bool:
        """Ask a bay's devices, and believe what they say; False: one of them is silent."""
        gateway, heard = self.gateways.get(bay.location_id), True
        for device in dict.fromkeys((bay.sensor_device, bay.lock_device)):
            if device is None:
                continue
            report = None
            try:
                report = await gateway.read(device) if gateway is not None else None
            except (GatewaySilent, DeviceRefused) as error:
                log.info("bay_device_silent", bay_id=bay.id, device_id=device, why=str(error))
            async with self.database.write() as connection:
                row = await lock_bay_anyhow(connection, bay.id)
                now = self.clock.now()
                if report is not None:
                    await believe(connection, row, report, now, asked=bay)
                else:
                    heard = False
                    await _doubt(connection, row, device, now)
                await jobs.schedule(connection, LOOK, ALL, now)
        return heard

    async def _find(
        self, connection: AsyncConnection, command_id: UUID
    ) -> tuple[Row[Any], Row[Any]] | None:
        command = await find_pending(connection, command_id)
        if command is None:
            return None
        query = select(bays).where(bays.c.id == command.bay_id)
        return command, (await connection.execute(query)).one()

    async def _end(self, command: Row[Any], outcome: Outcome, why: Why) -> None:
        async with self.database.write() as connection:
            await lock_bay_anyhow(connection, command.bay_id)
            if await find_pending(connection, command.id) is not None:
                await finish(connection, command.id, outcome, why, self.clock.now())


async def lock_bay_anyhow(connection: AsyncConnection, bay_id: int) -> Row[Any]:
    """Return the bay locked, in service or not."""
    query = select(bays).where(bays.c.id == bay_id).with_for_update()
    return (await connection.execute(query)).one()


def is_old(heard_at: datetime | None, now: datetime) -> bool:
    return heard_at is None or now - heard_at >= SILENT_AFTER


async def _doubt(connection: AsyncConnection, row: Row[Any], device: str, now: datetime) -> None:
    """Take what a silent device told for nothing once it is old."""
    values: dict[str, Any] = {}
    if row.lock_device == device and is_old(row.lock_heard_at, now):
        values["lock_state"] = LockState.UNKNOWN
    if row.sensor_device == device and is_old(row.sensor_heard_at, now):
        values["sensor_state"] = SensorState.UNKNOWN
        if row.sensor_state != SensorState.UNKNOWN:
            values["sensor_since"] = now
    if values:
        await connection.execute(update(bays).where(bays.c.id == row.id).values(values))
