"""The look over all bays: what locks are told by themselves, and which guns a car blocks.

One due action of the hub's clock reads every bay by one query. What has to change is decided again
on the bay's locked row. Which guns are blocked is in memory too, changed after COMMIT: choosing a
gun for a reservation asks there, as it asks which transactions run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.desk import is_old
from chargehub.bays.facts import facts_of, read_all, read_one
from chargehub.bays.orders import ALL, LOOK, READ, Ask, command_lock, lock_bay
from chargehub.bays.rules import blocked, tells_staff, wanted
from chargehub.bays.signing import SKEW_S
from chargehub.bays.store import bay_nonces, bays
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock, wall_now
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.worker import DueAction
from chargehub.reservations.guns import Running
from chargehub.reservations.queue.triggers import look_soon
from chargehub.reservations.store import STEP

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=20)
BLOCKED = "bay.blocked"
"""Topic of the outbox: a car, or a lock that does not go down, keeps drivers from a gun."""
REQUESTED_BY = "the hub"
GunKey = tuple[int, int]
DUE = jobs.due_actions.c


class Transactions(Protocol):
    """Tells of the transaction that runs at a gun; implemented by the book of transactions."""

    def at_evse(self, station_id: int, evse_no: int) -> Running | None: ...


@dataclass(slots=True)
class BlockedGuns:
    """The guns that are blocked now; a copy of the bays' rows."""

    guns: frozenset[GunKey] = frozenset()

    async def load(self, database: Database) -> None:
        columns = bays.c
        query = select(columns.station_id, columns.evse_no).where(
            columns.removed_at.is_(None), columns.blocked_by.is_not(None)
        )
        async with database.read() as connection:
            rows = await connection.execute(query)
            self.guns = frozenset((row.station_id, row.evse_no) for row in rows)


@dataclass(frozen=True, slots=True)
class TakenGuns:
    """Implements reservations.guns.Occupancy: what charges at a gun, and what else blocks it."""

    transactions: Transactions
    blocked: BlockedGuns

    def at_evse(self, station_id: int, evse_no: int) -> Running | None:
        return self.transactions.at_evse(station_id, evse_no)

    def is_blocked(self, station_id: int, evse_no: int) -> bool:
        return (station_id, evse_no) in self.blocked.guns


@dataclass(slots=True)
class BayWatch:
    database: Database
    clock: HubClock
    blocked: BlockedGuns = field(default_factory=BlockedGuns)

    def due(self) -> dict[str, DueAction]:
        return {LOOK: self.look}

    async def start(self) -> None:
        await self.blocked.load(self.database)
        async with self.database.write() as connection:
            await jobs.schedule_earliest(connection, LOOK, ALL, self.clock.now())

    async def look(self, _subject: str = ALL, _payload: object = None) -> None:
        """Judge all bays, and come again."""
        now, before = self.clock.now(), self.blocked.guns
        mine = (DUE.kind == LOOK) & (DUE.subject == ALL)
        async with self.database.read() as connection:
            due_at = await connection.scalar(select(DUE.due_at).where(mine))
            rows = await read_all(connection, now)
        for row in rows:
            if _is_to_change(row, now):
                await self._change(row.id)
        async with self.database.write() as connection:
            silent = [row.id for row in rows if _is_silent(row, now)]
            await jobs.schedule_once(connection, READ, silent, now)
            await connection.execute(
                bay_nonces.delete().where(
                    bay_nonces.c.at < wall_now() - timedelta(seconds=2 * SKEW_S)
                )
            )
            # Where something was told meanwhile it is due again at once, and stays so.
            again = update(jobs.due_actions).where(mine, DUE.due_at == due_at)
            await connection.execute(again.values(due_at=now + LOOK_EVERY, attempts=0))
        await self.blocked.load(self.database)
        changed = before ^ self.blocked.guns
        touched = [row for row in rows if (row.station_id, row.evse_no) in changed]
        if touched:
            await self._tell_reservations(touched, now)

    async def _tell_reservations(self, touched: list[Row[Any]], now: datetime) -> None:
        """Have promises and queues looked at where a gun got free or lost.

        After what they ask is up to date.
        """
        async with self.database.write() as connection:
            for hold_id in sorted(row.hold_id for row in touched if row.hold_id is not None):
                await jobs.schedule(connection, STEP, str(hold_id), now)
            for location_id in sorted({row.location_id for row in touched}):
                await look_soon(connection, location_id, now)

    async def _change(self, bay_id: int) -> None:
        async with self.database.write() as connection:
            try:
                bay = await lock_bay(connection, bay_id)
            except NotFound:
                return
            now = self.clock.now()
            row = await read_one(connection, bay_id, now)
            assert row is not None
            await self._note_blocked(connection, row, now)
            order = wanted(facts_of(row), now)
            if order is not None:
                ask = Ask(order.action, order.cause, REQUESTED_BY)
                await command_lock(connection, bay, ask, now)

    async def _note_blocked(
        self, connection: AsyncConnection, row: Row[Any], now: datetime
    ) -> None:
        """Write down since when a gun is blocked, and tell staff of it once."""
        facts = facts_of(row)
        why = blocked(facts, now)
        values: dict[str, Any] = {"blocked_by": why}
        if why is None or why != row.blocked_by:
            values["blocked_told_at"] = None
            values["blocked_since"] = None if why is None else now
            values["blocked_reservation_id"] = None
        if why is not None and row.hold_id is not None:
            values["blocked_reservation_id"] = row.hold_id
        since = values.get("blocked_since", row.blocked_since)
        told = values.get("blocked_told_at", row.blocked_told_at)
        if why is not None and told is None and tells_staff(why, facts, since, now):
            values["blocked_told_at"] = now
            await jobs.post(connection, BLOCKED, str(row.id), now)
            log.warning("bay_blocked", bay_id=row.id, by=why, reservation_id=row.hold_id)
        await connection.execute(update(bays).where(bays.c.id == row.id).values(values))


def _is_to_change(row: Row[Any], now: datetime) -> bool:
    facts = facts_of(row)
    why = blocked(facts, now)
    if why != row.blocked_by or wanted(facts, now) is not None:
        return True
    untold = why is not None and row.blocked_told_at is None
    return untold and why is not None and tells_staff(why, facts, row.blocked_since, now)


def _is_silent(row: Row[Any], now: datetime) -> bool:
    lock = row.lock_device is not None and is_old(row.lock_heard_at, now)
    return lock or (row.sensor_device is not None and is_old(row.sensor_heard_at, now))
