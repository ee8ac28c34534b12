"""Reservations as REST reads them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import NotFound
from chargehub.reservations.store import OPEN, reservations
from chargehub.stations.guns import GUN_POWER
from chargehub.stations.store import charging_stations, evses

R = reservations.c


def _described() -> Select[Any]:
    return (
        select(
            *R,
            evses.c.gun_code,
            GUN_POWER.label("max_power_w"),
            charging_stations.c.identity.label("station_identity"),
        )
        .select_from(
            reservations.join(
                evses, (evses.c.station_id == R.station_id) & (evses.c.evse_no == R.evse_no)
            ).join(charging_stations, charging_stations.c.id == R.station_id)
        )
        .order_by(R.id.desc())
    )


async def read_own(
    connection: AsyncConnection,
    driver_id: UUID,
    *,
    before: int | None,
    limit: int,
    only_open: bool,
) -> list[Row[Any]]:
    """Return a driver's reservations, the newest first."""
    query = _described().where(R.driver_id == driver_id)
    return await _page(connection, query, before=before, limit=limit, only_open=only_open)


async def read_of_location(
    connection: AsyncConnection,
    location_id: str,
    *,
    before: int | None,
    limit: int,
    only_open: bool,
) -> list[Row[Any]]:
    """Return a Location's reservations, the newest first."""
    query = _described().where(R.location_id == location_id)
    return await _page(connection, query, before=before, limit=limit, only_open=only_open)


async def _page(
    connection: AsyncConnection,
    query: Select[Any],
    *,
    before: int | None,
    limit: int,
    only_open: bool,
) -> list[Row[Any]]:
    if before is not None:
        query = query.where(R.id < before)
    if only_open:
        query = query.where(R.status.in_(OPEN))
    return list(await connection.execute(query.limit(limit)))


async def find_described(
    connection: AsyncConnection, number: int, *, driver_id: UUID | None = None
) -> Row[Any]:
    """Return one with its gun; of a given driver only. Raises NotFound."""
    query = _described().where(R.id == number)
    if driver_id is not None:
        query = query.where(R.driver_id == driver_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such reservation.")
    return row
