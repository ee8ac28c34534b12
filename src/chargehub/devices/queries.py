"""What is read of stations' variables, of reports, and of templates and their applications."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, distinct, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.rules import ReportState, Variable, limit_names
from chargehub.devices.store import (
    configuration_templates,
    station_variables,
    template_application_stations,
    template_applications,
    template_drift,
    variable_reports,
)
from chargehub.kit.errors import NotFound
from chargehub.stations.commands import Command, CommandOutcome, VariableName
from chargehub.stations.durable import WRITES, restore
from chargehub.stations.store import charging_stations, station_commands

Rows = Sequence[Row[Any]]
Known = Mapping[str, Variable]
"""By key."""

_variables = station_variables.c
_STATION_SORT = func.lower(charging_stations.c.identity)
LIMIT_KEYS = [name.key for name in limit_names()]


def name_of(row: Any) -> VariableName:
    """Build a name from a row, or from anything with the same attributes."""
    return VariableName(
        component=row.component,
        variable=row.variable,
        component_instance=row.component_instance or None,
        evse_no=row.evse_no,
        connector_no=row.connector_no,
        variable_instance=row.variable_instance or None,
        attribute=row.attribute,
    )


def variable_of(row: Row[Any]) -> Variable:
    return Variable(
        name=name_of(row),
        value=row.value,
        mutability=row.mutability,
        data_type=row.data_type,
        unit=row.unit,
        min_limit=row.min_limit,
        max_limit=row.max_limit,
        values_list=row.values_list,
        own_key=row.own_key,
        read_at=row.read_at,
        supported=row.supported,
        pending_value=row.pending_value,
        pending_at=row.pending_at,
    )


async def read_variables(
    connection: AsyncConnection,
    station_id: int,
    *,
    after: str | None,
    limit: int,
    component: str | None = None,
    text: str | None = None,
    pending: bool | None = None,
) -> Rows:
    """Return a station's variables by key."""
    query = (
        select(station_variables)
        .where(_variables.station_id == station_id)
        .order_by(_variables.key)
        .limit(limit)
    )
    if component is not None:
        query = query.where(func.lower(_variables.component) == component.lower())
    if text is not None:
        found = (
            _variables.key.icontains(text, autoescape=True),
            _variables.own_key.icontains(text, autoescape=True),
        )
        query = query.where(or_(*found))
    if pending is not None:
        waits = _variables.pending_value.is_not(None)
        query = query.where(waits if pending else ~waits)
    if after is not None:
        query = query.where(_variables.key > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_known(
    connection: AsyncConnection, station_ids: Collection[int], keys: Collection[str]
) -> dict[int, dict[str, Variable]]:
    """Return what is known of these variables and of the limits of a request, by station."""
    found: dict[int, dict[str, Variable]] = defaultdict(dict)
    query = select(station_variables).where(
        _variables.station_id.in_(station_ids), _variables.key.in_([*keys, *LIMIT_KEYS])
    )
    for row in await connection.execute(query):
        found[row.station_id][row.key] = variable_of(row)
    return found


async def read_inventoried(
    connection: AsyncConnection, station_ids: Collection[int]
) -> frozenset[int]:
    """Return the stations of which a whole report in pages was received last."""
    newest = (
        select(variable_reports)
        .where(variable_reports.c.station_id.in_(station_ids))
        .ext(distinct_on(variable_reports.c.station_id))
        .order_by(variable_reports.c.station_id, variable_reports.c.asked_at.desc())
        .subquery()
    )
    query = select(newest.c.station_id).where(
        newest.c.state == ReportState.COMPLETE.value, newest.c.last_page.is_not(None)
    )
    return frozenset((await connection.execute(query)).scalars())


async def read_open_writes(
    connection: AsyncConnection, station_ids: Collection[int]
) -> dict[int, list[Command | None]]:
    """Return the writes that wait or are under way, by station; None where one is not readable."""
    commands = station_commands.c
    found: dict[int, list[Command | None]] = defaultdict(list)
    query = select(commands.station_id, commands.action, commands.payload, commands.raw).where(
        commands.station_id.in_(station_ids),
        commands.outcome.in_((CommandOutcome.QUEUED, CommandOutcome.PENDING)),
        commands.action.in_(WRITES),
    )
    for row in await connection.execute(query):
        found[row.station_id].append(restore(row.action, row.payload, raw=row.raw))
    return found


async def read_newest_report(connection: AsyncConnection, station_id: int) -> Row[Any] | None:
    query = (
        select(variable_reports)
        .where(variable_reports.c.station_id == station_id)
        .order_by(variable_reports.c.asked_at.desc(), variable_reports.c.request_id.desc())
        .limit(1)
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


# --- Templates ------------------------------------------------------------------------------------


async def read_templates(connection: AsyncConnection, *, after: int | None, limit: int) -> Rows:
    query = select(configuration_templates).order_by(configuration_templates.c.id).limit(limit)
    if after is not None:
        query = query.where(configuration_templates.c.id > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_template(
    connection: AsyncConnection, template_id: int, *, lock: bool = False
) -> Row[Any]:
    query = select(configuration_templates).where(configuration_templates.c.id == template_id)
    found = await connection.execute(query.with_for_update() if lock else query)
    row: Row[Any] | None = found.one_or_none()
    if row is None:
        raise NotFound("There is no such configuration template.")
    return row


async def count_drifting(
    connection: AsyncConnection, template_ids: Collection[int]
) -> dict[int, int]:
    """Count the stations in service that differ from these templates, by template."""
    drift = template_drift.c
    query = (
        select(drift.template_id, func.count())
        .join(charging_stations, charging_stations.c.id == drift.station_id)
        .where(drift.template_id.in_(template_ids), charging_stations.c.decommissioned_at.is_(None))
        .group_by(drift.template_id)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


_OF_STATION = ("vendor", "model", "firmware_version")


def is_meant(template: Row[Any], station: Row[Any]) -> bool:
    """Say whether a template is for a station, as `meant_by` does."""
    if station.decommissioned_at is not None:
        return False
    named = template.identities
    if named is not None and station.identity.lower() not in {name.lower() for name in named}:
        return False
    return all(
        (wanted := getattr(template, column)) is None
        or ((its := getattr(station, column)) is not None and its.lower() == wanted.lower())
        for column in _OF_STATION
    )


def meant_by(template: Row[Any]) -> ColumnElement[bool]:
    """Return the condition for the stations in service that a template is for."""
    conditions = [charging_stations.c.decommissioned_at.is_(None)]
    if template.identities is not None:
        named = [identity.lower() for identity in template.identities]
        conditions.append(_STATION_SORT.in_(named))
    for column in _OF_STATION:
        wanted = getattr(template, column)
        if wanted is not None:
            conditions.append(func.lower(charging_stations.c[column]) == wanted.lower())
    return and_(*conditions)


def _identities() -> Select[Any]:
    return select(charging_stations.c.id, charging_stations.c.identity)


async def read_meant(
    connection: AsyncConnection,
    template: Row[Any],
    *,
    after: tuple[str, int] | None,
    limit: int,
    identities: Collection[str] | None = None,
) -> Rows:
    """Return the stations that a template is for, by identity; `identities` narrows them."""
    query = (
        _identities()
        .where(meant_by(template))
        .order_by(_STATION_SORT, charging_stations.c.id)
        .limit(limit)
    )
    if identities is not None:
        query = query.where(_STATION_SORT.in_([identity.lower() for identity in identities]))
    if after is not None:
        query = query.where(tuple_(_STATION_SORT, charging_stations.c.id) > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


# --- Applications ---------------------------------------------------------------------------------


async def find_application(
    connection: AsyncConnection, application_id: UUID, *, lock: bool = False
) -> Row[Any]:
    query = select(template_applications).where(template_applications.c.id == application_id)
    found = await connection.execute(query.with_for_update() if lock else query)
    row: Row[Any] | None = found.one_or_none()
    if row is None:
        raise NotFound("There is no such application of a template.")
    return row


async def read_applications(
    connection: AsyncConnection,
    *,
    template_id: int | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Rows:
    order = (template_applications.c.requested_at, template_applications.c.id)
    query: Select[Any] = (
        select(template_applications).order_by(*(column.desc() for column in order)).limit(limit)
    )
    if template_id is not None:
        query = query.where(template_applications.c.template_id == template_id)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_application_stations(
    connection: AsyncConnection,
    application_id: UUID,
    *,
    after: tuple[str, int] | None = None,
    limit: int | None = None,
) -> Rows:
    """Return the stations of an application by identity."""
    stations = template_application_stations
    query = (
        select(stations, charging_stations.c.identity)
        .join(charging_stations, charging_stations.c.id == stations.c.station_id)
        .where(stations.c.application_id == application_id)
        .order_by(_STATION_SORT, charging_stations.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(_STATION_SORT, charging_stations.c.id) > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def count_application_stations(
    connection: AsyncConnection, application_ids: Collection[UUID]
) -> Rows:
    """Count the stations of applications that are alike.

    Alike are those with the same state, with or without refused values, and the same set of
    outcomes and statuses of their commands.
    """
    stations, commands = template_application_stations.c, station_commands.c
    ordered = (
        select(
            commands.order_id,
            commands.station_id,
            func.jsonb_agg(
                distinct(func.jsonb_build_array(commands.outcome, commands.status))
            ).label("commands"),
        )
        .where(commands.order_id.in_(application_ids))
        .group_by(commands.order_id, commands.station_id)
        .subquery()
    )
    refused = func.jsonb_array_length(stations.refused) > 0
    of_station = and_(
        ordered.c.order_id == stations.application_id, ordered.c.station_id == stations.station_id
    )
    query = (
        select(
            stations.application_id,
            stations.state,
            refused.label("refused"),
            ordered.c.commands,
            func.count().label("stations"),
        )
        .select_from(template_application_stations)
        .join(ordered, of_station, isouter=True)
        .where(stations.application_id.in_(application_ids))
        .group_by(stations.application_id, stations.state, refused, ordered.c.commands)
    )
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_order(
    connection: AsyncConnection, order_id: UUID, station_ids: Collection[int]
) -> dict[int, list[tuple[str, str | None]]]:
    """Return outcome and status of the commands of an order, by station, oldest first."""
    commands = station_commands.c
    found: dict[int, list[tuple[str, str | None]]] = defaultdict(list)
    query = (
        select(commands.station_id, commands.outcome, commands.status)
        .where(commands.order_id == order_id, commands.station_id.in_(station_ids))
        .order_by(commands.seq)
    )
    for row in await connection.execute(query):
        found[row.station_id].append((row.outcome, row.status))
    return found
