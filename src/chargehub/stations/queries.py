"""What REST reads of the hub: locations, stations, EVSEs with their live status, commands.

Reads only. `online` is not in the database: whoever holds the sockets says which ids are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import NotFound
from chargehub.stations.commands import CommandOutcome
from chargehub.stations.store import (
    charging_stations,
    connectors,
    credential_changes,
    evses,
    locations,
    station_commands,
    station_connections,
    station_notices,
)

Rows = Sequence[Row[Any]]
STATION_SORT = func.lower(charging_stations.c.identity)

# The credential's hash stays out of every read.
STATION_COLUMNS = tuple(
    column for column in charging_stations.c if column.name != "credential_hash"
)


async def read_locations(connection: AsyncConnection, *, after: str | None, limit: int) -> Rows:
    query = _locations_with_counts().order_by(locations.c.id).limit(limit)
    if after is not None:
        query = query.where(locations.c.id > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_location(connection: AsyncConnection, location_id: str) -> Row[Any]:
    query = _locations_with_counts().where(locations.c.id == location_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such location.")
    return row


def _locations_with_counts() -> Select[Any]:
    live = and_(
        charging_stations.c.location_id == locations.c.id,
        charging_stations.c.decommissioned_at.is_(None),
    )
    stations = select(func.count()).where(live).scalar_subquery()
    guns = (
        select(func.count())
        .select_from(charging_stations.join(evses))
        .where(live)
        .scalar_subquery()
    )
    return select(locations, stations.label("station_count"), guns.label("evse_count"))


def _stations() -> Select[Any]:
    return select(
        *STATION_COLUMNS,
        station_connections.c.protocol,
        station_connections.c.connected_at,
        station_connections.c.disconnected_at,
        station_connections.c.security_profile.label("connection_profile"),
        station_connections.c.tls,
        select(credential_changes.c.requested_at)
        .where(credential_changes.c.station_id == charging_stations.c.id)
        .scalar_subquery()
        .label("credential_change_requested_at"),
    ).join(
        station_connections,
        station_connections.c.station_id == charging_stations.c.id,
        isouter=True,
    )


async def find_station(connection: AsyncConnection, identity: str) -> Row[Any]:
    """Return the station in service under this identity, else the last one that was."""
    row: Row[Any] | None = (
        await connection.execute(
            _stations()
            .where(func.lower(charging_stations.c.identity) == identity.lower())
            .order_by(charging_stations.c.decommissioned_at.desc().nulls_first())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such charging station.")
    return row


async def find_station_in_service(connection: AsyncConnection, identity: str) -> Row[Any]:
    row = await find_station(connection, identity)
    if row.decommissioned_at is not None:
        raise NotFound("This charging station is decommissioned.")
    return row


async def read_stations(
    connection: AsyncConnection,
    *,
    after: tuple[str, int] | None,
    limit: int,
    location: str | None = None,
    status: str | None = None,
    online: tuple[bool, Collection[int]] | None = None,
    text: str | None = None,
    decommissioned: bool = False,
) -> Rows:
    """Return stations by identity; `online` is (wanted, ids that are online)."""
    removed = charging_stations.c.decommissioned_at
    query = _stations().where(removed.is_not(None) if decommissioned else removed.is_(None))
    if location is not None:
        query = query.where(charging_stations.c.location_id == location)
    if status is not None:
        query = query.where(_has_status(status))
    if online is not None:
        query = query.where(_is_online(*online))
    if text is not None:
        query = query.where(
            or_(
                charging_stations.c.identity.icontains(text, autoescape=True),
                charging_stations.c.name.icontains(text, autoescape=True),
            )
        )
    if after is not None:
        query = query.where(tuple_(STATION_SORT, charging_stations.c.id) > after)
    query = query.order_by(STATION_SORT, charging_stations.c.id).limit(limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


def _is_online(wanted: bool, ids: Collection[int]) -> ColumnElement[bool]:
    is_online = charging_stations.c.id.in_(ids) if ids else false()
    return is_online if wanted else ~is_online


def _has_status(status: str) -> ColumnElement[bool]:
    of_connector = select(connectors.c.station_id).where(
        connectors.c.station_id == charging_stations.c.id, connectors.c.status == status
    )
    return or_(charging_stations.c.status == status, of_connector.exists())


async def read_evses_of(
    connection: AsyncConnection, station_ids: Collection[int]
) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    query = (
        select(evses)
        .where(evses.c.station_id.in_(station_ids))
        .order_by(evses.c.station_id, evses.c.evse_no)
    )
    for row in await connection.execute(query):
        found[row.station_id].append(row)
    return found


async def read_connectors_of(
    connection: AsyncConnection, station_ids: Collection[int]
) -> dict[tuple[int, int], list[Row[Any]]]:
    """Return connectors by (station id, evse_no)."""
    found: dict[tuple[int, int], list[Row[Any]]] = defaultdict(list)
    query = (
        select(connectors)
        .where(connectors.c.station_id.in_(station_ids))
        .order_by(connectors.c.station_id, connectors.c.evse_no, connectors.c.connector_no)
    )
    for row in await connection.execute(query):
        found[row.station_id, row.evse_no].append(row)
    return found


async def read_evses(
    connection: AsyncConnection,
    *,
    after: tuple[str, int] | None,
    limit: int,
    location: str | None = None,
    status: str | None = None,
    online: tuple[bool, Collection[int]] | None = None,
) -> Rows:
    """Return EVSEs of stations in service, by station identity and number; `online` as above."""
    query = (
        select(
            evses,
            charging_stations.c.identity,
            charging_stations.c.location_id,
            charging_stations.c.name.label("station_name"),
            charging_stations.c.wanted_operative.label("station_wanted_operative"),
        )
        .join(charging_stations, charging_stations.c.id == evses.c.station_id)
        .where(charging_stations.c.decommissioned_at.is_(None))
        .order_by(STATION_SORT, evses.c.evse_no)
        .limit(limit)
    )
    if location is not None:
        query = query.where(charging_stations.c.location_id == location)
    if status is not None:
        of_connector = select(connectors.c.station_id).where(
            connectors.c.station_id == evses.c.station_id,
            connectors.c.evse_no == evses.c.evse_no,
            connectors.c.status == status,
        )
        query = query.where(of_connector.exists())
    if online is not None:
        query = query.where(_is_online(*online))
    if after is not None:
        query = query.where(tuple_(STATION_SORT, evses.c.evse_no) > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_evse(connection: AsyncConnection, station_id: int, evse_no: int) -> Row[Any]:
    query = select(evses).where(evses.c.station_id == station_id, evses.c.evse_no == evse_no)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("The charging station has no such EVSE.")
    return row


async def read_commands(
    connection: AsyncConnection,
    station_id: int,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
    outcome: CommandOutcome | None = None,
) -> Rows:
    """Return a station's commands, newest first."""
    order = (station_commands.c.requested_at, station_commands.c.id)
    query = (
        select(station_commands)
        .where(station_commands.c.station_id == station_id)
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    if outcome is not None:
        query = query.where(station_commands.c.outcome == outcome)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_notices(
    connection: AsyncConnection,
    station_id: int,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    kind: str | None = None,
    flagged: bool | None = None,
) -> Rows:
    """Return what a station told that no other resource shows, newest first."""
    order = (station_notices.c.received_at, station_notices.c.id)
    query = (
        select(station_notices)
        .where(station_notices.c.station_id == station_id)
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    if kind is not None:
        query = query.where(station_notices.c.kind == kind)
    if flagged is not None:
        query = query.where(station_notices.c.flagged == flagged)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    rows: Rows = (await connection.execute(query)).all()
    return rows
