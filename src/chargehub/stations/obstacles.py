"""What stands in the way of a new station: identities, gun codes and serial numbers in use.

It tells, and names what another transaction took meanwhile; commissioning.py decides what follows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.errors import UniqueViolation
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import ChargeHubError, Conflict, InvalidInput
from chargehub.stations.rules import NewStation
from chargehub.stations.store import charging_stations, evses, locations


class IdentityTaken(Conflict):
    """A charging station in service has this identity."""

    code = "identity-taken"


class GunCodeTaken(Conflict):
    """The gun code is on another gun's label."""

    code = "gun-code-taken"


class SerialNumberTaken(Conflict):
    """Another charging station in service is bound to this serial number."""

    code = "serial-number-taken"


class UnknownLocation(InvalidInput):
    """There is no such location."""

    code = "unknown-location"


def name_taken(error: IntegrityError) -> ChargeHubError:
    """Name what another transaction took in the meantime."""
    constraint = ""
    if isinstance(error.orig, UniqueViolation):
        constraint = error.orig.diag.constraint_name or ""
    if constraint == "uq_charging_stations_identity":
        return IdentityTaken()
    if constraint == "uq_evses_gun_code":
        return GunCodeTaken()
    if constraint == "uq_charging_stations_bound_serial_number":
        return SerialNumberTaken()
    if constraint == "fk_charging_stations_location_id_locations" or "location" in str(error.orig):
        return UnknownLocation()
    raise error


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why one of several new stations cannot be commissioned."""

    index: int
    column: str
    error: ChargeHubError


async def find_obstacles(
    connection: AsyncConnection, stations: Sequence[NewStation]
) -> list[Obstacle]:
    """Compare new stations with what stands here already."""
    wanted_locations = {item.location_id for item in stations}
    identities = {item.identity.lower() for item in stations}
    codes = {evse.gun_code.lower() for item in stations for evse in item.evses}
    known = set(
        await connection.scalars(select(locations.c.id).where(locations.c.id.in_(wanted_locations)))
    )
    lower = func.lower(charging_stations.c.identity)
    taken = set(
        await connection.scalars(
            select(lower).where(
                lower.in_(identities), charging_stations.c.decommissioned_at.is_(None)
            )
        )
    )
    bound = await _bound(connection, {item.bound_serial_number for item in stations} - {None})
    label = func.lower(evses.c.gun_code)
    printed = set(await connection.scalars(select(label).where(label.in_(codes))))
    found: list[Obstacle] = []
    for index, item in enumerate(stations):
        if item.location_id not in known:
            error: ChargeHubError = UnknownLocation(location_id=item.location_id)
            found.append(Obstacle(index, "location", error))
        if item.identity.lower() in taken:
            found.append(Obstacle(index, "identity", IdentityTaken(identity=item.identity)))
        if item.bound_serial_number in bound:
            found.append(Obstacle(index, "serial_number", SerialNumberTaken()))
        found.extend(
            Obstacle(index, "gun_codes", GunCodeTaken(gun_code=evse.gun_code))
            for evse in item.evses
            if evse.gun_code.lower() in printed
        )
    return found


async def _bound(connection: AsyncConnection, serials: Collection[str | None]) -> set[str | None]:
    """Return which of these serial numbers a station in service is bound to."""
    columns = charging_stations.c
    query = select(columns.bound_serial_number).where(
        columns.bound_serial_number.in_(serials), columns.decommissioned_at.is_(None)
    )
    return set(await connection.scalars(query)) if serials else set()
