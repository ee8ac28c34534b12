"""Booking, extending and cancelling: the use cases, each one transaction.

A Location's bookings are decided one after another under an advisory lock, so that its share of
held guns is kept; that no gun is promised twice is the table's exclusion constraint, lock or not.
Locks are taken in one order: the driver's account, Location, row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.drivers.accounts import find_account
from chargehub.drivers.inbox import notify
from chargehub.drivers.store import id_tokens
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.reservations.choice import Choice, Wish, change, unless_taken
from chargehub.reservations.guns import Gun, Occupancy, location_exists, location_of_gun
from chargehub.reservations.history import read_history
from chargehub.reservations.queue.triggers import least_wanted, look_soon
from chargehub.reservations.rules import (
    Window,
    check_driver,
    check_extension,
    check_open,
    check_open_longer,
    check_share,
    is_free_to_cancel,
    refusal,
    window_of,
)
from chargehub.reservations.store import ASK, OPEN, RELEASE, STEP, reservations
from chargehub.reservations.terms import terms_at
from chargehub.stations.opening_hours import open_from

BOOKINGS_AT_ONCE = 4
"""Of the database's connections so many may wait for a Location's lock."""

PAST_TOLERANCE = timedelta(minutes=1)
"""A phone's clock may be behind by so much: its window is now."""

Verified = Callable[[AsyncConnection, UUID, datetime], Awaitable[bool]]
"""Tells whether a driver is a verified taxi driver at that time."""
BY_STAFF = "cancelled_by_staff"
R = reservations.c


class WindowPast(InvalidInput):
    """The window has begun already; leave `starts_at` out to reserve now."""

    code = "window-past"


@dataclass(slots=True)
class Bookings:
    """Every change is made in the caller's transaction, which holds locks until its end."""

    clock: HubClock
    occupancy: Occupancy
    is_verified: Verified
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BOOKINGS_AT_ONCE))
    """Taken around the transaction of a booking: who waits for a Location holds no connection."""

    async def book(self, connection: AsyncConnection, wish: Wish) -> Row[Any]:
        """Hold a gun for the driver. Raises NotFound and ReservationRefused."""
        token, group = await driver_tokens(connection, wish.driver_id)
        location_id = await _location_of(connection, wish)
        await lock(connection, f"location {location_id}")
        now = self.clock.now()
        if wish.starts_at is not None and wish.starts_at < now - PAST_TOLERANCE:
            raise WindowPast
        terms = await terms_at(connection, location_id, now)
        window = window_of(terms, wish.starts_at, now)
        verified = await self.is_verified(connection, wish.driver_id, now)
        history = await read_history(connection, wish.driver_id, terms, now, verified=verified)
        check_driver(terms, history, window, now)
        check_open(window, await _open_from(connection, location_id, window), now)
        choice = await Choice.read(connection, location_id, self.occupancy, window, now)
        choice.leave_out_silent(now - terms.longest_silence)
        if window.held_from <= now:
            choice.leave_to_queue(await least_wanted(connection, location_id))
        able = _able(choice, wish)
        times = partial(choice.times, wish, terms, history)
        check_share(terms, len(choice.guns), choice.held_times(), window, times)
        values = {
            "driver_id": wish.driver_id,
            "id_token": token.lower(),
            "group_token": group,
            "location_id": location_id,
            "any_evse": wish.gun_code is None,
            "binds_any": terms.early_arrival,
            "held_from": window.held_from,
            "starts_at": window.starts_at,
            "hold_until": window.hold_until,
            "status": "requested",
            "created_at": now,
        }
        row = await _insert(connection, choice, wish, able, values)
        if row is None:
            pool = wish.gun_code is None
            why = "No gun of that power is free then." if pool else "The gun is not free."
            raise refusal("gun_free", why, **times())
        await jobs.schedule(connection, STEP, str(row.id), window.held_from)
        return row

    async def extend(
        self, connection: AsyncConnection, reservation_id: int, driver_id: UUID
    ) -> Row[Any]:
        """Hold the gun longer. Raises NotFound and ReservationRefused."""
        row = await lock_reservation(connection, reservation_id, driver_id=driver_id)
        now = self.clock.now()
        if row.queue_entry_id is not None:
            raise refusal("extensions", "A turn in the queue is not extended.")
        terms = await terms_at(connection, row.location_id, now)
        check_extension(
            terms,
            extended=row.extended,
            status=row.status,
            hold_until=row.hold_until,
            now=now,
        )
        until = row.hold_until + terms.extension
        more = Window(row.hold_until, row.hold_until, until)
        check_open_longer(more, await _open_from(connection, row.location_id, more))
        choice = await Choice.read(
            connection, row.location_id, self.occupancy, more, now, besides=row.id
        )
        check_share(terms, len(choice.guns), choice.held_times(), more)
        key = (row.station_id, row.evse_no)
        await choice.make_room(connection, key)
        values = {"hold_until": until, "extended": True}
        changed = await change(connection, row.id, values)
        if changed is None:
            raise refusal("extension_free", "The gun is promised to somebody else right after.")
        # In the order in which steps and batches do, so that none waits for another in a ring.
        if row.status in {"pending", "active"}:
            await jobs.schedule(connection, ASK, str(row.id), now)
        await jobs.schedule_earliest(connection, STEP, str(row.id), max(now, row.held_from))
        return changed

    async def cancel(
        self, connection: AsyncConnection, reservation_id: int, driver_id: UUID
    ) -> Row[Any]:
        """End a driver's own reservation; one that was cancelled stays so. Raises as above."""
        row = await lock_reservation(connection, reservation_id, driver_id=driver_id)
        if row.status == "cancelled":
            return row
        now = self.clock.now()
        terms = await terms_at(connection, row.location_id, now)
        free = is_free_to_cancel(terms, row.created_at, now)
        return await _end(connection, row, "cancelled" if free else "cancelled_late", now)

    async def cancel_by_staff(
        self,
        connection: AsyncConnection,
        location_id: str,
        reservation_id: int,
        *,
        reason: str,
        actor: str,
    ) -> Row[Any]:
        """End anybody's reservation and tell its driver why; what staff ended already stays so.

        Raises NotFound and ReservationRefused.
        """
        row = await lock_reservation(connection, reservation_id, location_id=location_id)
        if row.end_reason == BY_STAFF:
            return row
        now = self.clock.now()
        ended = await _end(connection, row, BY_STAFF, now)
        facts = {
            "reservation_id": row.id,
            "location_id": row.location_id,
            "starts_at": row.starts_at,
            "reason": reason,
        }
        kind, key = "reservation_cancelled", f"reservation {row.id} cancelled"
        await notify(connection, row.driver_id, kind, facts, now, key=key)
        subject = str(reservation_id)
        await audit(connection, now, actor, "reservation.cancelled", subject, reason=reason)
        return ended


def _able(choice: Choice, wish: Wish) -> list[Gun]:
    """Return the guns that would do, free or not; raise ReservationRefused where none will."""
    able, pool = choice.able(wish), wish.gun_code is None
    if not able and pool:
        raise refusal("power", "No gun in service here has that power.")
    if not able:
        raise refusal("in_service", "The gun is not in service.")
    if all(choice.is_silent(gun) for gun in able):
        which = "All charging stations here with such a gun have"
        which = which if pool else "The gun's charging station has"
        raise refusal("offline", f"{which} been offline for a long time; choose another.")
    if all(choice.waited_for(gun) for gun in able):
        raise refusal("queue", "Others wait for such a gun; join the queue, or book a later time.")
    return able


async def _insert(
    connection: AsyncConnection,
    choice: Choice,
    wish: Wish,
    able: Sequence[Gun],
    values: dict[str, Any],
) -> Row[Any] | None:
    """Store the booking at the first gun that the database lets us have; None: none is free."""
    candidates, power_w = choice.fitting(wish.power_w), wish.power_w
    if wish.gun_code is not None:
        await choice.make_room(connection, able[0].key)
        candidates = [gun for gun in choice.fitting(0) if gun.key == able[0].key]
        power_w = able[0].power_w
    for gun in candidates:
        if not await choice.may_take(connection, gun):
            continue
        row = await _try_insert(
            connection,
            values
            | {"station_id": gun.station_id, "evse_no": gun.evse_no, "wanted_power_w": power_w},
        )
        if row is not None:
            return row
    return None


async def _try_insert(connection: AsyncConnection, values: dict[str, Any]) -> Row[Any] | None:
    statement = reservations.insert().values(values).returning(reservations)
    return await unless_taken(connection, statement)


async def lock(connection: AsyncConnection, name: str) -> None:
    """Wait until nobody else decides on this, and keep others waiting until the end."""
    await connection.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"reservations: {name}", 0)))
    )


async def lock_reservation(
    connection: AsyncConnection,
    number: int,
    *,
    driver_id: UUID | None = None,
    location_id: str | None = None,
) -> Row[Any]:
    """Return the row, with its Location and itself locked; another's or unknown: NotFound."""
    query = select(reservations).where(R.id == number)
    if driver_id is not None:
        query = query.where(R.driver_id == driver_id)
    if location_id is not None:
        query = query.where(R.location_id == location_id)
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise NotFound("There is no such reservation.")
    await lock(connection, f"location {found.location_id}")
    row: Row[Any] = (await connection.execute(query.with_for_update())).one()
    return row


async def finish(
    connection: AsyncConnection, row: Row[Any], status: str, reason: str, now: datetime
) -> Row[Any]:
    """End an open reservation, and have its station forget it where that was told of it."""
    values = {"status": status, "ended_at": now, "end_reason": reason}
    ended = await change(connection, row.id, values)
    assert ended is not None  # What is over overlaps with nothing.
    if row.status != "requested":
        await jobs.schedule(connection, RELEASE, f"{row.id}:{row.station_id}", now)
    await look_soon(connection, row.location_id, now)
    return ended


async def _end(connection: AsyncConnection, row: Row[Any], reason: str, now: datetime) -> Row[Any]:
    if row.status not in OPEN or row.hold_until <= now:
        raise refusal("open", "The reservation is over.")
    return await finish(connection, row, "cancelled", reason, now)


async def _open_from(
    connection: AsyncConnection, location_id: str, window: Window
) -> datetime | None:
    length = window.hold_until - window.starts_at
    return await open_from(connection, location_id, window.starts_at, length)


async def driver_tokens(
    connection: AsyncConnection, driver_id: UUID, *, lock_account: bool = True
) -> tuple[str, str]:
    """Return the driver's app token and group. Raises NotFound and ReservationRefused.

    The account, locked, cannot be closed before we are done. Who has a Location's lock already
    must do without: the account's comes first.
    """
    driver = await find_account(connection, driver_id, lock=lock_account)
    token = await connection.scalar(
        select(id_tokens.c.token)
        .where(id_tokens.c.driver_id == driver_id, id_tokens.c.status == "Accepted")
        .order_by(id_tokens.c.kind != "Central", id_tokens.c.token)
        .limit(1)
    )
    if token is None:
        raise refusal("id_token", "You have no token to charge with; ask the staff.")
    return token, driver.group_token


async def _location_of(connection: AsyncConnection, wish: Wish) -> str:
    if wish.gun_code is not None:
        found = await location_of_gun(connection, wish.gun_code)
        if found is None or wish.location_id not in {None, found}:
            raise NotFound("There is no such gun here.")
        return found
    assert wish.location_id is not None
    if not await location_exists(connection, wish.location_id):
        raise NotFound("There is no such location.")
    return wish.location_id
