"""The life of a reservation by our clock: pending, called, asked about, moved, over.

Everything is a due action on the row as it is then, so it survives a restart and may be done twice.
What waits for a station (`ask`, `release`) holds no transaction meanwhile and decides anew
afterwards. That a charge uses a reservation up is told in the batch that begins it (`guard.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    finish,
    lock_reservation,
)
from chargehub.reservations.choice import Choice, change
from chargehub.reservations.guns import Gun, Occupancy, Running, car_came_at, car_was_there
from chargehub.reservations.prospects import GUN_REFUSED, Prospect, is_of, prospect_of
from chargehub.reservations.queue.rules import TURN_MISSED
from chargehub.reservations.queue.triggers import look_soon
from chargehub.reservations.rules import PLUGGING_IN, Window
from chargehub.reservations.station import ACCEPTED, UNSUPPORTED, HeldGun, StationHold
from chargehub.reservations.store import ASK, OPEN, RELEASE, STEP, reservations

CHECK_EVERY = timedelta(minutes=1)
"""While a gun is held: so soon is noticed that it broke, or that its last car does not leave."""
AWAY_AFTER = timedelta(minutes=2)
"""A gun whose line is down for less is the gun to go to still. A restart of ours ends all lines."""
NOTICE_BEFORE = timedelta(minutes=5)
MOVES_MAX = 3
"""After so many moves because stations said no, we guard the gun alone."""
ASK_AFTER = timedelta(milliseconds=1)
"""A row that is scheduled anew while it is acted on stays only with another time."""
R = reservations.c


class Notify(Protocol):
    """Writes to a driver's inbox, once for each key, in the caller's transaction.

    False: they were told before.
    """

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
    ) -> bool: ...


@dataclass(slots=True, eq=False)
class LifeCycle:
    database: Database
    clock: HubClock
    occupancy: Occupancy
    stations: StationHold
    notify: Notify
    began_at: datetime = field(init=False)
    """No line is counted as down since before: whoever was connected needs time to come back."""

    def __post_init__(self) -> None:
        self.began_at = self.clock.now()

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
                return
            choice = await self._choice(connection, row, now)
            charge = _own_charge(choice, row)
            if charge is not None:
                await _use(connection, row, charge, now)
            elif now >= row.hold_until:
                await self._run_out(connection, row, now)
            elif await self._hold(connection, row, choice, now):
                notice_at = row.hold_until - NOTICE_BEFORE
                following = [now + CHECK_EVERY, row.hold_until]
                following += [notice_at] if notice_at > now else []
                await jobs.schedule(connection, STEP, subject, min(following))

    async def _hold(
        self, connection: AsyncConnection, row: Row[Any], choice: Choice, now: datetime
    ) -> bool:
        """Hold the gun or another; False where the reservation is over for want of one."""
        if row.status == "requested":
            row = await _changed(connection, row, {"status": "pending"})
            await jobs.schedule(connection, ASK, str(row.id), now)
        gun = _held_gun(choice, row)
        prospect = await self._prospect(connection, row, gun, now)
        if prospect is Prospect.LOST:
            moved = await self._move(connection, row, choice, now)
            if moved is None and row.queue_entry_id is not None:
                # Who was called from the queue waits there for the next.
                await finish(connection, row, "failed", "no_gun_free", now)
                return False
            if moved is None:
                await self._put_off(connection, row, gun, now)
                return True
            row, gun = moved, _held_gun(choice, moved)
        if gun is not None and prospect is Prospect.FREE and row.called_at is None:
            row = await self._call(connection, row, gun, now)
        soon = row.called_at is not None and now >= row.hold_until - NOTICE_BEFORE
        if soon and row.queue_entry_id is None:
            facts = _facts(row) | {"until": row.hold_until}
            if gun is not None:
                facts["gun_code"] = gun.gun_code
            key = f"reservation {row.id} expires {row.hold_until.isoformat()}"
            await self.notify(
                connection, row.driver_id, "reservation_about_to_expire", facts, now, key=key
            )
        return True

    async def _prospect(
        self, connection: AsyncConnection, row: Row[Any], gun: Gun | None, now: datetime
    ) -> Prospect:
        """Judge the gun by how long what is in doubt has been so."""
        prospect = prospect_of(gun, row)
        if gun is None or prospect in {Prospect.FREE, Prospect.LOST}:
            return prospect
        if not gun.online:
            down_since = max(gun.offline_since or self.began_at, self.began_at)
            return Prospect.LOST if now - down_since >= AWAY_AFTER else prospect
        if gun.starting is not None:
            return prospect
        # It was free as its driver was called: the car may be theirs.
        came_at = await car_came_at(connection, gun.key, row.called_at)
        if gun.running is not None:
            came_at = max(came_at, gun.running.started_at)
        return prospect if now - came_at < PLUGGING_IN else Prospect.LOST

    async def _call(
        self, connection: AsyncConnection, row: Row[Any], gun: Gun, now: datetime
    ) -> Row[Any]:
        """Tell the driver that this is the gun to go to."""
        facts = _facts(row) | {"gun_code": gun.gun_code, "until": row.hold_until}
        key = f"reservation {row.id} called {now.isoformat()}"
        await self.notify(connection, row.driver_id, "reservation_called", facts, now, key=key)
        return await _changed(connection, row, {"called_at": now})

    async def _put_off(
        self, connection: AsyncConnection, row: Row[Any], gun: Gun | None, now: datetime
    ) -> None:
        """Call nobody to a gun that cannot be had, and say so once. It may yet become free."""
        facts, key = _facts(row) | _why_lost(gun, row), f"reservation {row.id} waits"

        async def tell(key: str) -> bool:
            kind = "reservation_waiting"
            return await self.notify(connection, row.driver_id, kind, facts, now, key=key)

        if not await tell(key) and row.called_at is not None:
            await tell(f"{key} since {now.isoformat()}")
        await _changed(connection, row, {"called_at": None})
        if gun is not None and gun.free_now:
            # Its station says so of the gun, and refused it: it may have changed its mind.
            await jobs.schedule(connection, ASK, str(row.id), now)

    async def _run_out(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
        """End what was not used.

        Who was never called did not fail to come, nor did who may have stood before the car of
        another in the end.
        """
        was_down = row.status == "requested" or now - row.hold_until > CHECK_EVERY
        if row.queue_entry_id is not None:
            # What follows is the queue's. While the hub was down nobody could have charged.
            reason = "hub_was_down" if was_down else TURN_MISSED
            if not was_down and await _car_was_in_the_way(connection, row):
                reason = "gun_was_taken"
            await finish(connection, row, "expired", reason, now)
        elif was_down:
            # Nobody looked at the clock as it ended: the hub was down, and who came was not seen.
            await finish(connection, row, "expired", "hub_was_down", now)
            await self._tell_failed(connection, row, "hub_was_down", now)
        elif row.called_at is not None and await _car_was_in_the_way(connection, row):
            await finish(connection, row, "expired", "gun_was_taken", now)
            await self._tell_failed(connection, row, "gun_was_taken", now)
        elif row.called_at is not None:
            await finish(connection, row, "no_show", "not_come", now)
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
        refused_before = row.station_answer in GUN_REFUSED
        row = await _changed(connection, row, {"station_answer": answer})
        if answer not in {ACCEPTED, UNSUPPORTED}:
            moved = None
            if row.moves < MOVES_MAX:
                choice = await self._choice(connection, row, now)
                moved = await self._move(connection, row, choice, now)
            if moved is not None:
                return
            if answer in GUN_REFUSED and row.queue_entry_id is not None:
                # The step ends the call, and the queue calls again.
                await jobs.schedule(connection, STEP, str(row.id), now + ASK_AFTER)
                return
            if answer in GUN_REFUSED:
                row = await _changed(connection, row, {"status": "pending"})
                await jobs.schedule(connection, ASK, str(row.id), now + CHECK_EVERY)
                await self._put_off(connection, row, None, now)
                return
        # Accepted; or the station does not reserve, and we guard the gun alone and say so.
        await _changed(connection, row, {"status": "active"})
        if refused_before:
            await jobs.schedule(connection, STEP, str(row.id), now + ASK_AFTER)

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
        window = Window(now, row.starts_at, row.hold_until)
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
            if not await choice.may_take(connection, gun):
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
            left = _held_gun(choice, row)
            facts = _facts(row) | {"gun_code": gun.gun_code} | _why_lost(left, row)
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


async def _car_was_in_the_way(connection: AsyncConnection, row: Row[Any]) -> bool:
    """Tell whether a car was at the gun as the hold ended, or a moment before."""
    key, end = (row.station_id, row.evse_no), row.hold_until
    return await car_was_there(connection, key, end - PLUGGING_IN, end)


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


def _why_lost(gun: Gun | None, row: Row[Any]) -> dict[str, str]:
    """Return why a gun cannot be gone to, as a word of the inbox."""
    if gun is not None and gun.blocked:
        return {"reason": "bay_blocked"}
    if row.station_answer not in {None, ACCEPTED, UNSUPPORTED}:
        return {"reason": row.station_answer.lower()}
    if gun is None:
        return {"reason": "unavailable"}
    broken = gun.out_of_use({gun.station_id})
    if broken is not None:
        return {"reason": broken.lower()}
    if not gun.online:
        return {"reason": "station_offline"}
    return {"reason": "occupied"} if gun.has_car or gun.starting is not None else {}


def _own_charge(choice: Choice, row: Row[Any]) -> Running | None:
    """Return the charge of the driver or the group that has the reservation already.

    Who came before the lead charges at a gun that was free then. A charge that ran as the gun was
    booked is another.
    """
    for gun in choice.guns:
        charge = gun.running
        here = gun.key == (row.station_id, row.evse_no)
        if charge is None or not charge.authorized:
            continue
        if not (here or (row.binds_any and gun.power_w >= row.wanted_power_w)):
            continue
        if row.created_at <= charge.started_at < row.hold_until and is_of(charge, row):
            return charge
    return None


async def _use(connection: AsyncConnection, row: Row[Any], charge: Running, now: datetime) -> None:
    row = await _changed(connection, row, {"transaction_id": charge.id})
    await finish(connection, row, "used", "charged", now)


def _facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "reservation_id": row.id,
        "location_id": row.location_id,
        "starts_at": row.starts_at,
    }
