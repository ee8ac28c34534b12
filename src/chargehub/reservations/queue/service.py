"""Joining, leaving, skipping; and the look that calls the next to a gun that is free.

A call is a reservation on the gun, so all that holds a booked gun holds it for who is called. What
became of a call is read off that reservation. Everything is decided under the lock under which a
Location's bookings are made; locks are taken in one order: account, Location.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.drivers.accounts import find_account
from chargehub.drivers.vehicles import find_vehicle
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.worker import DueAction
from chargehub.reservations.booking import (
    Verified,
    driver_tokens,
    finish,
    lock,
)
from chargehub.reservations.choice import Choice
from chargehub.reservations.guns import Gun, Occupancy, location_exists
from chargehub.reservations.life import Notify
from chargehub.reservations.queue.line import (
    change_entry,
    end_entry,
    newest_calls,
    newest_of,
    read_entry,
    read_line,
    waiting_of,
)
from chargehub.reservations.queue.outlook import Outlook
from chargehub.reservations.queue.rules import (
    Outcome,
    assign,
    free_rank,
    next_behind,
    outcome_of,
)
from chargehub.reservations.queue.store import OPEN, queue_entries
from chargehub.reservations.queue.supply import callable_guns
from chargehub.reservations.queue.triggers import LOOK, WATCH, look_soon
from chargehub.reservations.rules import ReservationRefused, Terms, Window, check_open, refusal
from chargehub.reservations.store import OPEN as OPEN_RESERVATION
from chargehub.reservations.store import STEP, reservations
from chargehub.reservations.terms import terms_at
from chargehub.stations.opening_hours import open_from

WATCH_EVERY = timedelta(seconds=30)
"""No free gun is overlooked for longer, whatever freed it."""
STAY_WHILE_CLOSED = timedelta(hours=1)
"""For no longer than this a queue outlasts closing; who waits for the morning is not there."""
R = reservations.c


@dataclass(frozen=True, slots=True)
class Joining:
    driver_id: UUID
    location_id: str
    power_w: int
    """At least."""
    vehicle_id: UUID | None = None


@dataclass(slots=True, eq=False)
class Queue:
    """Every change but `look` is made in the caller's transaction, which holds locks to its end."""

    database: Database
    clock: HubClock
    occupancy: Occupancy
    notify: Notify
    outlook: Outlook
    is_verified: Verified

    def due(self) -> dict[str, DueAction]:
        return {LOOK: self.look, WATCH: self.watch}

    async def join(self, connection: AsyncConnection, wish: Joining) -> Row[Any]:
        """Put the driver at the end. Raises NotFound and ReservationRefused."""
        await driver_tokens(connection, wish.driver_id)  # Who has none could never charge.
        if not await location_exists(connection, wish.location_id):
            raise NotFound("There is no such location.")
        if wish.vehicle_id is not None:
            await find_vehicle(connection, wish.driver_id, wish.vehicle_id)
        await lock(connection, f"location {wish.location_id}")
        now = self.clock.now()
        terms = await terms_at(connection, wish.location_id, now)
        window = Window(now, now, now + terms.queue_call)
        check_open(
            window, await open_from(connection, wish.location_id, now, terms.queue_call), now
        )
        await self._check_alone(connection, wish.driver_id, now)
        line = await read_line(connection, wish.location_id)
        if len(line) >= terms.queue_longest:
            raise refusal("queue_longest", f"{len(line)} wait here already; that is the most.")
        choice = await self._choice(connection, wish.location_id, terms, now)
        if all(gun.power_w < wish.power_w for gun in choice.guns):
            raise refusal("power", "No gun in service here has that power.")
        mine = _Wish(wish.power_w)
        guns, _ = callable_guns(choice, terms, now)
        if any(one is mine for one, _ in assign([*map(_wish, waiting_of(line)), mine], guns)):
            raise refusal("gun_free", "A gun of that power is free: come, or reserve it.")
        taken = {row.rank for row in line}
        rank = max([now, *taken])
        if terms.queue_head_start_min and await self.is_verified(connection, wish.driver_id, now):
            rank = now - timedelta(minutes=terms.queue_head_start_min)
        values = {
            "driver_id": wish.driver_id,
            "location_id": wish.location_id,
            "wanted_power_w": wish.power_w,
            "vehicle_id": wish.vehicle_id,
            "rank": free_rank(taken, rank),
            "joined_at": now,
            "status": "waiting",
        }
        statement = queue_entries.insert().values(values).returning(queue_entries)
        row: Row[Any] = (await connection.execute(statement)).one()
        # One that ends just now found nobody, and does not come again by itself.
        again = [wish.location_id]
        await jobs.schedule_another(connection, WATCH, again, now + WATCH_EVERY, now)
        return row

    async def _check_alone(
        self, connection: AsyncConnection, driver_id: UUID, now: datetime
    ) -> None:
        entry = await newest_of(connection, driver_id)
        if (
            entry is not None
            and entry.status in OPEN
            and not await _is_over(connection, entry, now)
        ):
            raise refusal("one_queue", "You are in a queue already; leave it first.")
        held = await connection.scalar(
            select(R.hold_until)
            .where(R.driver_id == driver_id, R.status.in_(OPEN_RESERVATION))
            .where(R.held_from <= now, R.hold_until > now)
        )
        if held is not None:
            raise refusal("gun_held", "A gun is held for you already.", held)

    async def leave(self, connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
        """Take a driver out; who is out already stays so. Raises NotFound."""
        entry = await self._own(connection, driver_id)
        if entry.status in OPEN:
            now = self.clock.now()
            await self._let_go(connection, entry, "left", now)
            await end_entry(connection, entry.id, "left", "left", now)
            await look_soon(connection, entry.location_id, now)
        return await read_entry(connection, entry.id)

    async def skip(self, connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
        """Let the next one go first, and stand behind them. Raises NotFound, ReservationRefused."""
        entry = await self._own(connection, driver_id)
        if entry.status not in OPEN:
            raise NotFound("You are in no queue.")
        now = self.clock.now()
        terms = await terms_at(connection, entry.location_id, now)
        if entry.skipped >= terms.queue_skips:
            raise refusal("queue_skips", "You have let others go first as often as is allowed.")
        line = await read_line(connection, entry.location_id)
        power_w = await self._called_to(connection, entry)
        other = next_behind(
            line,
            next(row for row in line if row.id == entry.id),
            lambda row: (
                row.status == "waiting" and (power_w is None or row.wanted_power_w <= power_w)
            ),
        )
        if other is None:
            raise refusal("queue_skips", "Nobody behind you could go first.")
        await self._let_go(connection, entry, "turn_skipped", now)
        await change_entry(connection, other.id, {"rank": entry.rank})
        values = {"rank": other.rank, "status": "waiting", "skipped": entry.skipped + 1}
        await change_entry(connection, entry.id, values)
        await look_soon(connection, entry.location_id, now)
        return await read_entry(connection, entry.id)

    async def remove(
        self,
        connection: AsyncConnection,
        location_id: str,
        entry_id: int,
        *,
        reason: str,
        actor: str,
    ) -> Row[Any]:
        """Take a driver out for staff; who is out already stays so. Raises NotFound."""
        await lock(connection, f"location {location_id}")
        query = select(queue_entries).where(
            queue_entries.c.id == entry_id, queue_entries.c.location_id == location_id
        )
        entry = (await connection.execute(query)).one_or_none()
        if entry is None:
            raise NotFound("There is no such entry in this location's queue.")
        now = self.clock.now()
        entry = await self._settled(connection, entry, now)
        if entry.status in OPEN:
            await self._let_go(connection, entry, "cancelled_by_staff", now)
            await self._put_out(connection, entry, "removed_by_staff", now, {"note": reason})
            await look_soon(connection, location_id, now)
            await audit(connection, now, actor, "queue_entry.removed", str(entry_id), reason=reason)
        return await read_entry(connection, entry_id)

    async def watch(self, location_id: str, _payload: object = None) -> None:
        """Look, and come again while somebody is in the queue."""
        await self.look(location_id)
        async with self.database.write() as connection:
            await lock(connection, f"location {location_id}")
            if await read_line(connection, location_id):
                at = self.clock.now() + WATCH_EVERY
                await jobs.schedule(connection, WATCH, location_id, at)

    async def look(self, location_id: str, _payload: object = None) -> None:
        """See what became of the calls, and call whom a free gun fits."""
        async with self.database.write() as connection:
            await lock(connection, f"location {location_id}")
            now = self.clock.now()
            terms = await terms_at(connection, location_id, now)
            line = await read_line(connection, location_id)
            await self._settle(connection, line, terms, now)
            waiting = waiting_of(await read_line(connection, location_id))
            if not waiting:
                return
            opens_at = await open_from(connection, location_id, now, terms.queue_call)
            if opens_at != now:
                # It closes before who is called could be there.
                await self._close(connection, waiting, opens_at, now)
                return
            choice = await self._choice(connection, location_id, terms, now)
            guns, without_gun = callable_guns(choice, terms, now)
            for row in without_gun:
                await jobs.schedule(connection, STEP, str(row.id), now)
            for entry, gun in assign(waiting, guns):
                if await choice.may_take(connection, gun):
                    await self._call(connection, entry, gun, terms, now)
                else:
                    await _look_again(connection, location_id, now)

    async def _close(
        self,
        connection: AsyncConnection,
        waiting: Sequence[Row[Any]],
        opens_at: datetime | None,
        now: datetime,
    ) -> None:
        """Send everybody away, where it is not for a short while only."""
        if opens_at is not None and opens_at - now <= STAY_WHILE_CLOSED:
            return
        more = {} if opens_at is None else {"opens_at": opens_at}
        for entry in waiting:
            await self._put_out(connection, entry, "closed", now, more)

    async def _put_out(
        self,
        connection: AsyncConnection,
        entry: Row[Any],
        reason: str,
        now: datetime,
        more: Mapping[str, Any],
    ) -> None:
        """End a place that its driver did not give up, and tell them why."""
        await end_entry(connection, entry.id, "out", reason, now)
        facts = {"location_id": entry.location_id, "reason": reason, **more}
        key = f"queue entry {entry.id} over"
        await self.notify(connection, entry.driver_id, "queue_ended", facts, now, key=key)

    async def _call(
        self, connection: AsyncConnection, entry: Row[Any], gun: Gun, terms: Terms, now: datetime
    ) -> None:
        try:
            token, group = await driver_tokens(connection, entry.driver_id, lock_account=False)
        except (NotFound, ReservationRefused):
            await self._put_out(connection, entry, "no_id_token", now, {})
            await _look_again(connection, entry.location_id, now)
            return
        until = now + terms.queue_call
        values = {
            "driver_id": entry.driver_id,
            "queue_entry_id": entry.id,
            "id_token": token.lower(),
            "group_token": group,
            "location_id": entry.location_id,
            "station_id": gun.station_id,
            "evse_no": gun.evse_no,
            "any_evse": True,
            "binds_any": terms.early_arrival,
            "wanted_power_w": entry.wanted_power_w,
            "held_from": now,
            "starts_at": now,
            "hold_until": until,
            "status": "requested",
            "called_at": now,
            "created_at": now,
        }
        number = await connection.scalar(reservations.insert().values(values).returning(R.id))
        await jobs.schedule(connection, STEP, str(number), now)
        await change_entry(connection, entry.id, {"status": "called", "called_at": now})
        facts = {"until": until, "gun_code": gun.gun_code, "location_id": entry.location_id}
        key = f"queue call {number}"
        await self.notify(connection, entry.driver_id, "your_turn", facts, now, key=key)

    async def _settle(
        self, connection: AsyncConnection, line: Sequence[Row[Any]], terms: Terms, now: datetime
    ) -> None:
        """Do what follows from the calls that are over."""
        calls = await newest_calls(connection, [row.id for row in line])
        for entry in line:
            call = calls.get(entry.id)
            if call is None or call.status in OPEN_RESERVATION:
                continue
            # A charge told late uses up a call that ran out: they did come.
            if entry.status == "called" or call.status == "used":
                await self._settle_one(connection, entry, call, terms, now)

    async def _settle_one(
        self,
        connection: AsyncConnection,
        entry: Row[Any],
        call: Row[Any],
        terms: Terms,
        now: datetime,
    ) -> None:
        outcome = outcome_of(call.status, call.end_reason)
        facts, kind = {"location_id": entry.location_id}, None
        if outcome is Outcome.SERVED:
            await end_entry(connection, entry.id, "served", "charged", now)
        elif outcome is Outcome.LEFT:
            await end_entry(connection, entry.id, "left", "left", now)
        elif outcome is Outcome.AGAIN:
            kind = "turn_postponed"
            await change_entry(connection, entry.id, {"status": "waiting"})
        elif entry.missed + 1 >= terms.queue_calls:
            kind = "turn_lost"
            await change_entry(connection, entry.id, {"missed": entry.missed + 1})
            await end_entry(connection, entry.id, "out", "not_come", now)
        else:
            kind = "turn_missed"
            line = await read_line(connection, entry.location_id)
            taken = {row.rank for row in line}
            rank = free_rank(taken, max(now, *taken))
            values = {"status": "waiting", "missed": entry.missed + 1, "rank": rank}
            await change_entry(connection, entry.id, values)
        if kind is not None:
            key = f"queue call {call.id} over"
            await self.notify(connection, entry.driver_id, kind, facts, now, key=key)

    async def _own(self, connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
        """Return the driver's newest entry as it is under the lock of its Location."""
        await find_account(connection, driver_id, lock=True)
        entry = await newest_of(connection, driver_id)
        if entry is None:
            raise NotFound("You are in no queue.")
        await lock(connection, f"location {entry.location_id}")
        return await self._settled(connection, entry, self.clock.now())

    async def _settled(
        self, connection: AsyncConnection, entry: Row[Any], now: datetime
    ) -> Row[Any]:
        terms = await terms_at(connection, entry.location_id, now)
        await self._settle(connection, [await read_entry(connection, entry.id)], terms, now)
        return await read_entry(connection, entry.id)

    async def _call_of(self, connection: AsyncConnection, entry: Row[Any]) -> Row[Any] | None:
        """Return the reservation by which the driver is called now, locked."""
        query = (
            select(reservations)
            .where(R.queue_entry_id == entry.id, R.status.in_(OPEN_RESERVATION))
            .with_for_update()
        )
        return (await connection.execute(query)).one_or_none()

    async def _called_to(self, connection: AsyncConnection, entry: Row[Any]) -> int | None:
        """Return the power of the gun that is held for the driver; None: none is."""
        call = await self._call_of(connection, entry)
        if call is None:
            return None
        now = self.clock.now()
        terms = await terms_at(connection, entry.location_id, now)
        choice = await self._choice(connection, entry.location_id, terms, now)
        powers = {gun.key: gun.power_w for gun in choice.guns}
        wanted: int = call.wanted_power_w
        return powers.get((call.station_id, call.evse_no), wanted)

    async def _let_go(
        self, connection: AsyncConnection, entry: Row[Any], reason: str, now: datetime
    ) -> None:
        """Give the gun back that is held for the driver, if one is."""
        call = await self._call_of(connection, entry)
        if call is not None:
            await finish(connection, call, "cancelled", reason, now)

    async def _choice(
        self, connection: AsyncConnection, location_id: str, terms: Terms, now: datetime
    ) -> Choice:
        window = Window(now, now, now + terms.queue_call)
        return await Choice.read(connection, location_id, self.occupancy, window, now)


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    wanted_power_w: int


def _wish(row: Row[Any]) -> _Wish:
    return _Wish(row.wanted_power_w)


async def _look_again(connection: AsyncConnection, location_id: str, now: datetime) -> None:
    await jobs.schedule(connection, LOOK, location_id, now + timedelta(milliseconds=1))


async def _is_over(connection: AsyncConnection, entry: Row[Any], now: datetime) -> bool:
    """End an entry whose call has ended for good, though nobody has looked since."""
    call = (await newest_calls(connection, [entry.id])).get(entry.id)
    if entry.status != "called" or call is None or call.status in OPEN_RESERVATION:
        return False
    over = {Outcome.SERVED: ("served", "charged"), Outcome.LEFT: ("left", "left")}
    how = over.get(outcome_of(call.status, call.end_reason))
    if how is None:
        return False
    await end_entry(connection, entry.id, *how, now)
    return True
