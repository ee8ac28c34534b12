"""The dated rules: each version of a Location, or of the hub, holds from its time on."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation
from sqlalchemy import Row, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import Conflict, NotFound
from chargehub.reservations.rules import Terms
from chargehub.reservations.store import reservation_rules

RULES = reservation_rules.c


class VersionTaken(Conflict):
    """There is a version of these rules from that moment on already."""

    code = "version-taken"


class VersionInForce(Conflict):
    """The version is in force or was: what was promised under it stays readable."""

    code = "version-in-force"


async def terms_at(connection: AsyncConnection, location_id: str, at: datetime) -> Terms:
    """Return the Location's rules, else the hub's, else those the product comes with."""
    query = (
        select(RULES.terms)
        .where(RULES.valid_from <= at)
        .where(or_(RULES.location_id == location_id, RULES.location_id.is_(None)))
        .order_by(RULES.location_id.is_(None), RULES.valid_from.desc())
        .limit(1)
    )
    return read_terms(await connection.scalar(query) or {})


def read_terms(stored: dict[str, Any]) -> Terms:
    """Return the terms of a stored version; a rule it did not know has its usual value."""
    known = {item.name for item in fields(Terms)}
    return Terms(**{name: value for name, value in stored.items() if name in known})


async def add_version(
    connection: AsyncConnection,
    terms: Terms,
    *,
    location_id: str | None,
    valid_from: datetime,
    created_by: str,
    created_at: datetime,
) -> Row[Any]:
    """Store a version. Raises VersionTaken."""
    values = {
        "location_id": location_id,
        "valid_from": valid_from,
        "terms": asdict(terms),
        "created_by": created_by,
        "created_at": created_at,
    }
    try:
        async with connection.begin_nested():
            found = await connection.execute(
                reservation_rules.insert().values(values).returning(reservation_rules)
            )
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise VersionTaken from error
        raise
    stored: Row[Any] = found.one()
    return stored


async def read_versions(
    connection: AsyncConnection, *, after: int | None, limit: int, location_id: str | None
) -> list[Row[Any]]:
    query = reservation_rules.select().order_by(RULES.id).limit(limit)
    if after is not None:
        query = query.where(RULES.id > after)
    if location_id is not None:
        query = query.where(RULES.location_id == location_id)
    return list(await connection.execute(query))


async def remove_version(connection: AsyncConnection, number: int, now: datetime) -> Row[Any]:
    """Take back a version that is not in force yet. Raises NotFound, VersionInForce."""
    row: Row[Any] | None = (
        await connection.execute(
            reservation_rules.select().where(RULES.id == number).with_for_update()
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such version of the rules.")
    if row.valid_from <= now:
        raise VersionInForce
    await connection.execute(delete(reservation_rules).where(RULES.id == number))
    return row
