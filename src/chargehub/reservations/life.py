"""The life of a reservation by our clock: pending, called, asked about, moved, over.

Everything is a due action on the row as it is then, so it survives a restart and may be done twice.
What waits for a station (`ask`, `release`) holds no transaction meanwhile and decides anew
afterwards. That a charge uses a reservation up is told in the batch that begins it (`guard.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.worker import DueAction
from chargehub.reservations.booking import (
    ASK,
    RELEASE,
    STEP,
    Choice,
    change,
    finish,
    lock_reservation,
)
from chargehub.reservations.guns import Gun, Occupancy
from chargehub.reservations.queue.rules import TURN_MISSED
from chargehub.reservations.queue.triggers import look_soon
from chargehub.reservations.rules import Window
from chargehub.reservations.station import ACCEPTED, UNSUPPORTED, HeldGun, StationHold
from chargehub.reservations.store import OPEN, reservations

CHECK_EVERY = timedelta(minutes=1)
"""While a gun is held: so soon is noticed that it broke, or that its last car does not leave."""
NOTICE_BEFORE = timedelta(minutes=5)
MOVES_MAX = 3
"""After so many moves because stations said no, we guard the gun alone."""
ASK_AFTER = timedelta(milliseconds=1)
"""A row that is scheduled anew while it is acted on stays only with another time."""
R = reservations.c


class Notify(Protocol):
    """Writes to a driver's inbox, once for each key, in the caller's transaction."""

    async def __call__(
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        kind: str,
        facts: Mapping[str, Any],
        at: datetime,
        /,
        *,
        key: str | None = None,
    ) -> None: ...


@dataclass(slots=True, eq=False)
class LifeCycle:
    database: Database
    clock: HubClock
    occupancy: Occupancy
    stations: StationHold
    notify: Notify

    def due(self) -> dict[str, DueAction]:
        return {STEP: self.step}

    def slow(self) -> dict[str, DueAction]:
        return {ASK: self.ask, RELEASE: self.release}

    async def step(self, subject: str, _payload: object = None) -> None:
        """Do what is due for a reservation, and come again when more will be."""
        async with self.database.write() as connection:
            row = await _find_open(connection, int(subject))
            if row is None:
                return
            now = self.clock.now()
            if now < row.held_from:
                await jobs.schedule(connection, STEP, subject, row.held_from)
            elif now >= row.hold_until:
                await self._run_out(connection, row, now)
            elif await self._hold(connection, row, now):
                notice_at = row.hold_until - NOTICE_BEFORE
                following = [now + CHECK_EVERY, row.hold_until]
                following += [notice_at] if notice_at > now else []
                await jobs.schedule(connection, STEP, subject, min(following))

    async def _hold(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> bool:
        """Hold the gun or another; False where the reservation is over for want of one."""
        if row.status == "requested":
            row = await _changed(connection, row, {"status": "pending"})
            await jobs.schedule(connection, ASK, str(row.id), now)
        choice = await self._choice(connection, row, now)
        gun = _held_gun(choice, row)
        if not can_be_had(gun, row):
            moved = await self._move(connection, row, choice, now)
            if moved is None and row.queue_entry_id is not None:
                # Who was called from the queue waits there for the next.
                await finish(connection, row, "failed", "no_gun_free", now)
                return False
            if moved is None:
                # Its gun may yet become free; while it cannot be had, nobody is called to it.
                await _changed(connection, row, {"called_at": None})
                return True
            row, gun = moved, None
        if row.called_at is None:
            row = await _changed(connection, row, {"called_at": now})
        if now >= row.hold_until - NOTICE_BEFORE and row.queue_entry_id is None:
            facts = _facts(row) | {"until": row.hold_until}
            if gun is not None:
                facts["gun_code"] = gun.gun_code
            key = f"reservation {row.id} expires {row.hold_until.isoformat()}"
            await self.notify(
                connection, row.driver_id, "reservation_about_to_expire", facts, now, key=key
            )
        return True

    async def _run_out(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
        """End what was not used. Who was never called did not fail to come."""
        if row.queue_entry_id is not None:
            # What follows is the queue's. While the hub was down nobody could have charged.
            was_down = row.status == "requested" or now - row.hold_until > CHECK_EVERY
            reason = "hub_was_down" if was_down else TURN_MISSED
            await finish(connection, row, "expired", reason, now)
        elif row.called_at is not None:
            await finish(connection, row, "no_show", "not_come", now)
        elif row.status == "requested":
            # Its whole window has passed while nobody looked at the clock: the hub was down.
            await finish(connection, row, "expired", "hub_was_down", now)
            await self._tell_failed(connection, row, "hub_was_down", now)
        else:
            await finish(connection, row, "failed", "no_gun_free", now)
            await self._tell_failed(connection, row, "no_gun_free", now)

    async def ask(self, subject: str, _payload: object = None) -> None:
        """Have the station hold the gun, and act on its word."""
        async with self.database.read() as connection:
            asked = (
                await connection.execute(select(reservations).where(R.id == int(subject)))
            ).one_or_none()
        if asked is None or asked.status not in {"pending", "active"}:
            return
        if asked.hold_until <= self.clock.now():
            return
        answer = await self.stations.ask_station(
            HeldGun(
                asked.id,
                asked.station_id,
                asked.evse_no,
                asked.id_token,
                asked.group_token,
                asked.hold_until,
            )
        )
        async with self.database.write() as connection:
            row = await _find_open(connection, asked.id)
            now = self.clock.now()
            if row is None or row.station_id != asked.station_id:
                # It was let go or moved while the station was asked.
                await _release(connection, asked, now)
            elif (row.evse_no, row.hold_until) != (asked.evse_no, asked.hold_until):
                await jobs.schedule(connection, ASK, subject, now + ASK_AFTER)
            else:
                await self._take_answer(connection, row, answer, now)

    async def _take_answer(
        self, connection: AsyncConnection, row: Row[Any], answer: str | None, now: datetime
    ) -> None:
        if answer is None:
            # Away or silent. We guard the gun meanwhile; its return is told as well.
            await _changed(connection, row, {"status": "pending", "station_answer": None})
            await jobs.schedule(connection, ASK, str(row.id), now + CHECK_EVERY)
            return
        row = await _changed(connection, row, {"station_answer": answer})
        if answer not in {ACCEPTED, UNSUPPORTED}:
            moved = None
            if row.moves < MOVES_MAX:
                choice = await self._choice(connection, row, now)
                moved = await self._move(connection, row, choice, now)
            if moved is not None:
                return
            if answer != "Rejected":
                await _changed(connection, row, {"status": "pending"})
                await jobs.schedule(connection, ASK, str(row.id), now + CHECK_EVERY)
                return
        # Accepted; or the station does not reserve, and we guard the gun alone and say so.
        await _changed(connection, row, {"status": "active"})

    async def release(self, subject: str, _payload: object = None) -> None:
        """Have a station forget a reservation, unless it is to hold it again."""
        number, station_id = (int(part) for part in subject.split(":"))
        async with self.database.read() as connection:
            row = (
                await connection.execute(select(reservations).where(R.id == number))
            ).one_or_none()
        if row is None or (row.status in OPEN and row.station_id == station_id):
            return
        done = await self.stations.release(number, station_id)
        now = self.clock.now()
        if not done and now < row.hold_until:
            # From then on the station forgets it by itself.
            async with self.database.write() as connection:
                await jobs.schedule(connection, RELEASE, subject, now + CHECK_EVERY)

    async def _choice(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> Choice:
        window = Window(now, row.starts_at, row.ends_at)
        return await Choice.read(
            connection, row.location_id, self.occupancy, window, now, besides=row.id
        )

    async def _move(
        self, connection: AsyncConnection, row: Row[Any], choice: Choice, now: datetime
    ) -> Row[Any] | None:
        """Hold another fitting gun that is free now; None where there is none."""
        for gun in choice.fitting(row.wanted_power_w):
            if gun.key == (row.station_id, row.evse_no):
                continue
            values = {
                "station_id": gun.station_id,
                "evse_no": gun.evse_no,
                "status": "pending",
                "called_at": now,
                "station_answer": None,
                "moves": row.moves + 1,
            }
            moved = await change(connection, row.id, values)
            if moved is None:
                continue
            if gun.station_id != row.station_id:
                await _release(connection, row, now)
            await look_soon(connection, row.location_id, now)
            await jobs.schedule(connection, ASK, str(row.id), now + ASK_AFTER)
            facts = _facts(row) | {"gun_code": gun.gun_code}
            left = _held_gun(choice, row)
            if left is not None:
                facts["from_gun_code"] = left.gun_code
            key = f"reservation {row.id} moved {moved.moves}"
            await self.notify(connection, row.driver_id, "reservation_moved", facts, now, key=key)
            return moved
        return None

    async def _tell_failed(
        self, connection: AsyncConnection, row: Row[Any], reason: str, now: datetime
    ) -> None:
        facts, key = _facts(row), f"reservation {row.id} failed"
        if reason == "no_gun_free":
            facts["reason"] = "no_gun"  # A word of the inbox.
        await self.notify(connection, row.driver_id, "reservation_failed", facts, now, key=key)


async def _find_open(connection: AsyncConnection, number: int) -> Row[Any] | None:
    """Return the row with its Location locked; None where it is over."""
    try:
        row = await lock_reservation(connection, number)
    except NotFound:
        return None
    return row if row.status in OPEN else None


async def _changed(connection: AsyncConnection, row: Row[Any], values: dict[str, Any]) -> Row[Any]:
    """Change what no overlap hangs on."""
    changed = await change(connection, row.id, values)
    assert changed is not None
    return changed


async def _release(connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
    """Have the station that was asked before forget it."""
    await jobs.schedule(connection, RELEASE, f"{row.id}:{row.station_id}", now)


def _held_gun(choice: Choice, row: Row[Any]) -> Gun | None:
    key = (row.station_id, row.evse_no)
    return next((gun for gun in choice.guns if gun.key == key), None)


def can_be_had(gun: Gun | None, row: Row[Any]) -> bool:
    """Tell whether the driver finds the gun free. Once they were called, the car may be theirs."""
    if gun is None or not gun.online or gun.broken or gun.charging:
        return False
    return row.called_at is not None or not gun.has_car


def _facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "reservation_id": row.id,
        "location_id": row.location_id,
        "starts_at": row.starts_at,
    }
