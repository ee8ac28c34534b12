"""What drivers are shown: guns as they scan them, their own charges. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.charging.rules import BEGINNING, UNDER_WAY
from chargehub.charging.store import charges
from chargehub.kit.errors import NotFound
from chargehub.stations.store import charging_stations, connectors, evses, locations
from chargehub.telemetry.store import samples
from chargehub.transactions.store import transactions

Rows = Sequence[Row[Any]]


class GunNotFound(NotFound):
    """No gun of this hub has this code."""

    code = "gun-not-found"


async def find_gun(connection: AsyncConnection, code: str) -> Row[Any]:
    """Return a gun in service by its code in any case, with its station and Location.

    Raises GunNotFound.
    """
    query = (
        select(
            evses,
            charging_stations.c.identity,
            charging_stations.c.name.label("station_name"),
            charging_stations.c.max_power_w.label("station_max_power_w"),
            charging_stations.c.location_id,
            locations.c.name.label("location_name"),
            locations.c.address.label("location_address"),
        )
        .join(charging_stations, charging_stations.c.id == evses.c.station_id)
        .join(locations, locations.c.id == charging_stations.c.location_id)
        .where(
            func.lower(evses.c.gun_code) == code.lower(),
            charging_stations.c.decommissioned_at.is_(None),
        )
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise GunNotFound("No gun of this hub has this code.", gun_code=code)
    return row


async def read_guns_of(connection: AsyncConnection, station_id: int) -> Rows:
    """Return the guns of a station, by number."""
    query = select(evses).where(evses.c.station_id == station_id).order_by(evses.c.evse_no)
    return (await connection.execute(query)).all()


async def read_starting_guns(
    connection: AsyncConnection, station_id: int
) -> dict[int | None, UUID]:
    """Return whom the station's guns are about to begin for, by EVSE number."""
    query = select(charges.c.evse_no, charges.c.driver_id).where(
        charges.c.station_id == station_id, charges.c.state.in_(BEGINNING)
    )
    return {row.evse_no: row.driver_id for row in await connection.execute(query)}


async def read_connector_statuses(
    connection: AsyncConnection, station_id: int, evse_no: int
) -> Sequence[str]:
    query = select(connectors.c.status).where(
        connectors.c.station_id == station_id, connectors.c.evse_no == evse_no
    )
    return (await connection.scalars(query)).all()


def charges_query() -> Select[Any]:
    """Select charges with where they are and what their transactions say."""
    return (
        select(
            charges,
            charging_stations.c.identity,
            charging_stations.c.name.label("station_name"),
            charging_stations.c.location_id,
            locations.c.name.label("location_name"),
            evses.c.gun_code,
            transactions.c.energy_wh,
            transactions.c.stopped_reason,
        )
        .join(charging_stations, charging_stations.c.id == charges.c.station_id)
        .join(locations, locations.c.id == charging_stations.c.location_id)
        .outerjoin(
            evses,
            (evses.c.station_id == charges.c.station_id) & (evses.c.evse_no == charges.c.evse_no),
        )
        .outerjoin(transactions, transactions.c.id == charges.c.transaction_id)
    )


async def read_charges_of(
    connection: AsyncConnection,
    driver_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
    under_way: bool | None = None,
) -> Rows:
    """Return a driver's charges, newest first."""
    order = (charges.c.requested_at, charges.c.id)
    query = (
        charges_query()
        .where(charges.c.driver_id == driver_id)
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    if under_way is not None:
        states = charges.c.state.in_(UNDER_WAY)
        query = query.where(states if under_way else ~states)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_charge(connection: AsyncConnection, driver_id: UUID, charge_id: UUID) -> Row[Any]:
    """Return a driver's own charge; NotFound for another's too."""
    query = charges_query().where(charges.c.id == charge_id, charges.c.driver_id == driver_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such charge.")
    return row


async def read_first_soc(
    connection: AsyncConnection, station_id: int, evse_no: int | None, transaction_id: int
) -> float | None:
    """Return the first state of charge that was told of a transaction."""
    query = (
        select(samples.c.soc_percent)
        .where(
            samples.c.station_id == station_id,
            samples.c.evse_no.in_((0, evse_no or 0)),
            samples.c.transaction_id == transaction_id,
            samples.c.soc_percent.is_not(None),
        )
        .order_by(samples.c.sampled_at)
        .limit(1)
    )
    found: float | None = await connection.scalar(query)
    return found
