"""Bays and their commands as REST reads them, and their rows as operators change them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import Row, Select, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.orders import find_open, finish
from chargehub.bays.rules import BayRules, Outcome, Why
from chargehub.bays.store import bay_commands, bay_rules, bays
from chargehub.kit.errors import Conflict, NotFound
from chargehub.reservations.guard import is_held
from chargehub.reservations.store import reservations
from chargehub.stations.store import charging_stations, evses

Rows = Sequence[Row[Any]]
B = bays.c
C = bay_commands.c


class BayTaken(Conflict):
    """The gun has a bay already, or another bay has this device."""

    code = "bay-taken"


class UnknownGun(NotFound):
    """No gun of this hub has this code."""

    code = "gun-not-found"


def _described(now: datetime) -> Select[Any]:
    held = (
        select(reservations.c.id, reservations.c.hold_until)
        .where(
            reservations.c.station_id == B.station_id,
            reservations.c.evse_no == B.evse_no,
            is_held(now),
        )
        .limit(1)
        .lateral("held")
    )
    return (
        select(
            *B,
            evses.c.gun_code,
            charging_stations.c.identity.label("station_identity"),
            held.c.id.label("reservation_id"),
            held.c.hold_until,
        )
        .select_from(
            bays.join(evses, (evses.c.station_id == B.station_id) & (evses.c.evse_no == B.evse_no))
            .join(charging_stations, charging_stations.c.id == B.station_id)
            .outerjoin(held, true())
        )
        .where(B.removed_at.is_(None))
        .order_by(B.id)
    )


async def read_bays(
    connection: AsyncConnection,
    now: datetime,
    *,
    after: int | None,
    limit: int,
    location_id: str | None = None,
    blocked: bool | None = None,
) -> Rows:
    query = _described(now).limit(limit)
    if after is not None:
        query = query.where(B.id > after)
    if location_id is not None:
        query = query.where(B.location_id == location_id)
    if blocked is not None:
        query = query.where(B.blocked_by.is_not(None) if blocked else B.blocked_by.is_(None))
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_bay(connection: AsyncConnection, bay_id: int, now: datetime) -> Row[Any]:
    query = _described(now).where(B.id == bay_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such bay.")
    return row


async def find_bay_of_gun(
    connection: AsyncConnection, station_id: int, evse_no: int
) -> Row[Any] | None:
    query = select(bays).where(
        B.station_id == station_id, B.evse_no == evse_no, B.removed_at.is_(None)
    )
    return (await connection.execute(query)).one_or_none()


async def find_place(connection: AsyncConnection, gun_code: str) -> Row[Any]:
    """Return where a gun in service is, by its code in any case. Raises UnknownGun."""
    query: Select[Any] = (
        select(evses.c.station_id, evses.c.evse_no, charging_stations.c.location_id)
        .select_from(evses.join(charging_stations))
        .where(
            func.lower(evses.c.gun_code) == gun_code.lower(),
            charging_stations.c.decommissioned_at.is_(None),
        )
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise UnknownGun(gun_code=gun_code)
    return row


async def insert_bay(connection: AsyncConnection, values: dict[str, Any]) -> int:
    """Store a bay. Raises BayTaken."""
    statement = bays.insert().values(values).returning(B.id)
    made: int = (await _unless_taken(connection, statement)).scalar_one()
    return made


async def change_bay(connection: AsyncConnection, bay_id: int, values: dict[str, Any]) -> None:
    """Change a bay in service. Raises BayTaken."""
    if values:
        await _unless_taken(connection, update(bays).where(B.id == bay_id).values(values))


async def remove_bay(connection: AsyncConnection, bay_id: int, now: datetime) -> None:
    """Take a bay out of service, with the command that is open."""
    found = await find_open(connection, bay_id)
    if found is not None:
        await finish(connection, found.id, Outcome.SUPERSEDED, Why.REMOVED, now)
    gone = {
        "removed_at": now,
        "blocked_by": None,
        "blocked_reservation_id": None,
        "blocked_since": None,
        "blocked_told_at": None,
    }
    await connection.execute(update(bays).where(B.id == bay_id).values(gone))


async def _unless_taken(connection: AsyncConnection, statement: Any) -> Any:
    try:
        async with connection.begin_nested():
            return await connection.execute(statement)
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        gun = "station_id" in (error.orig.diag.constraint_name or "")
        what = (
            "The gun has a bay already." if gun else "Another bay of the location has the device."
        )
        raise BayTaken(what) from error


async def read_commands(
    connection: AsyncConnection, bay_id: int, *, before: int | None, limit: int
) -> Rows:
    """Return a bay's commands, the newest first."""
    query = select(bay_commands).where(C.bay_id == bay_id).order_by(C.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(C.seq < before)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_command_of_driver(
    connection: AsyncConnection, command_id: UUID, driver_id: UUID
) -> Row[Any]:
    """Return a driver's own command with its gun; another's is not there."""
    query = (
        select(bay_commands, evses.c.gun_code)
        .select_from(
            bay_commands.join(bays).join(
                evses, (evses.c.station_id == B.station_id) & (evses.c.evse_no == B.evse_no)
            )
        )
        .where(C.id == command_id, C.driver_id == driver_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such command.")
    return row


async def read_rules(connection: AsyncConnection, location_id: str) -> Row[Any] | None:
    query = select(bay_rules).where(bay_rules.c.location_id == location_id)
    return (await connection.execute(query)).one_or_none()


async def write_rules(
    connection: AsyncConnection, location_id: str, rules: BayRules, actor: str, now: datetime
) -> None:
    values = {
        "raised_when_free": rules.raised_when_free,
        "free_for_s": int(rules.free_for.total_seconds()),
        "changed_by": actor,
        "changed_at": now,
    }
    row = insert(bay_rules).values(location_id=location_id, **values)
    await connection.execute(row.on_conflict_do_update(index_elements=["location_id"], set_=values))
