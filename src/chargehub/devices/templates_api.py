"""REST of configuration templates: the templates, drift from them, and applying them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.principal import GUARDS, Admin, Operator, viewer
from chargehub.access.rules import Role
from chargehub.devices import views
from chargehub.devices.queries import (
    count_application_stations,
    count_drifting,
    find_application,
    find_template,
    read_application_stations,
    read_applications,
    read_meant,
    read_order,
    read_templates,
)
from chargehub.devices.rules import StationOutcome, station_outcome
from chargehub.devices.service import Devices
from chargehub.devices.templates import NewTemplate, TemplateNameTaken, compare, wanted_of
from chargehub.devices.variables import InvalidWrite
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import RowId
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor

router = APIRouter(prefix=API_PREFIX, tags=["Configuration templates"])

Parts = Annotated[Devices, Depends(provided(Devices))]
TemplatePath = Annotated[RowId, Path(examples=[1])]
TEMPLATES = "/configuration-templates"
APPLICATIONS = "/template-applications"


class ApplicationQuery(PageQuery):
    limit: int = Field(20, ge=1, le=50, description="Rows a page.")
    template_id: RowId | None = Field(None, examples=[1])


class DriftQuery(PageQuery):
    limit: int = Field(100, ge=1, le=200, description="Stations a page.")


def _new(body: views.TemplateInput) -> NewTemplate:
    return NewTemplate(
        name=body.name,
        wanted=tuple(item.write() for item in body.wanted),
        description=body.description,
        vendor=body.vendor,
        model=body.model,
        firmware_version=body.firmware_version,
        identities=None if body.identities is None else tuple(body.identities),
    )


@router.get(TEMPLATES, dependencies=[Depends(viewer)], responses=problems(*GUARDS, InvalidCursor))
async def list_templates(parts: Parts, query: Annotated[PageQuery, Query()]) -> views.TemplatePage:
    """List the configuration templates."""
    after = decode_cursor("templates", query.cursor, int)
    async with parts.database.read() as connection:
        rows = await read_templates(
            connection, after=after[0] if after else None, limit=query.limit + 1
        )
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("templates", row.id)
        )
        items = await _templates(connection, page)
    return views.TemplatePage(items=items, next_cursor=following)


@router.post(
    TEMPLATES,
    status_code=201,
    responses=problems(*GUARDS, InvalidWrite, TemplateNameTaken),
)
async def create_template(
    body: views.TemplateInput, principal: Admin, parts: Parts
) -> views.TemplateView:
    """Create a template for the stations of a vendor, model and firmware, or for those named.

    All given conditions hold together; with none it is for every station in service.
    """
    row = await parts.templates.create(_new(body), principal.login)
    return views.template_view(row, drifting=0)


@router.get(
    TEMPLATES + "/{template_id}",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_template(template_id: TemplatePath, parts: Parts) -> views.TemplateView:
    """Return one template."""
    async with parts.database.read() as connection:
        return (await _templates(connection, [await find_template(connection, template_id)]))[0]


@router.put(
    TEMPLATES + "/{template_id}",
    responses=problems(*GUARDS, NotFound, InvalidWrite, TemplateNameTaken),
)
async def change_template(
    template_id: TemplatePath, body: views.TemplateInput, principal: Admin, parts: Parts
) -> views.TemplateView:
    """Replace a template; applications of its former revision go on as they were."""
    row = await parts.templates.change(template_id, _new(body), principal.login)
    async with parts.database.read() as connection:
        return (await _templates(connection, [row]))[0]


@router.delete(TEMPLATES + "/{template_id}", status_code=204, responses=problems(*GUARDS, NotFound))
async def delete_template(template_id: TemplatePath, principal: Admin, parts: Parts) -> None:
    """Forget a template; stations keep their settings, its applications stay on record."""
    await parts.templates.remove(template_id, principal.login)


@router.get(
    TEMPLATES + "/{template_id}/drift",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def get_drift(
    template_id: TemplatePath, parts: Parts, query: Annotated[DriftQuery, Query()]
) -> views.DriftPage:
    """Compare what the template's stations told last with what is wanted, by station.

    in_sync, drift, unknown (never told, or write-only), unsupported (the station has no such
    variable) or pending_reboot (accepted, in force after its next boot).
    """
    after = decode_cursor("drift", query.cursor, str, int)
    async with parts.database.read() as connection:
        template = await find_template(connection, template_id)
        rows = await read_meant(
            connection,
            template,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
        )
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("drift", row.identity.lower(), row.id)
        )
        compared = await compare(connection, [row.id for row in page], wanted_of(template))
    items = []
    for row in page:
        variables = [views.drift_item(item) for item in compared[row.id]]
        counts = Counter(item.state for item in variables)
        items.append(
            views.StationDrift(identity=row.identity, counts=dict(counts), variables=variables)
        )
    return views.DriftPage(items=items, next_cursor=following)


@router.post(
    TEMPLATES + "/{template_id}/applications",
    status_code=202,
    responses=problems(*GUARDS, NotFound),
)
async def apply_template(
    template_id: TemplatePath, body: views.ApplicationInput, principal: Operator, parts: Parts
) -> views.ApplicationView:
    """Write a template's values to its stations, a limited number at once.

    It goes on by itself, over restarts too; stations that are away are waited for. See its stations
    for what each of them answered. A template with a value that only an admin may write is for an
    admin to apply.
    """
    application_id = await parts.templates.apply(
        template_id,
        principal.login,
        identities=body.identities,
        only_drift=body.only_drift,
        wait=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
        as_admin=principal.role.includes(Role.ADMIN),
    )
    async with parts.database.read() as connection:
        row = await find_application(connection, application_id)
        return (await _applications(connection, [row]))[0]


@router.get(
    APPLICATIONS, dependencies=[Depends(viewer)], responses=problems(*GUARDS, InvalidCursor)
)
async def list_applications(
    parts: Parts, query: Annotated[ApplicationQuery, Query()]
) -> views.ApplicationPage:
    """List applications of templates, newest first."""
    after = decode_cursor("applications", query.cursor, datetime, UUID)
    async with parts.database.read() as connection:
        rows = await read_applications(
            connection,
            template_id=query.template_id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
        )
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("applications", row.requested_at, row.id)
        )
        items = await _applications(connection, page)
    return views.ApplicationPage(items=items, next_cursor=following)


@router.get(
    APPLICATIONS + "/{application_id}",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_application(application_id: UUID, parts: Parts) -> views.ApplicationView:
    """Return one application with its stations counted by outcome."""
    async with parts.database.read() as connection:
        row = await find_application(connection, application_id)
        return (await _applications(connection, [row]))[0]


@router.get(
    APPLICATIONS + "/{application_id}/stations",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_application_stations(
    application_id: UUID, parts: Parts, query: Annotated[PageQuery, Query()]
) -> views.ApplicationStationPage:
    """List what an application came to at each of its stations."""
    after = decode_cursor("application-stations", query.cursor, str, int)
    async with parts.database.read() as connection:
        await find_application(connection, application_id)
        rows = await read_application_stations(
            connection,
            application_id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
        )
        page, following = cut_page(
            rows,
            query.limit,
            lambda row: encode_cursor("application-stations", row.identity.lower(), row.station_id),
        )
        items = await _stations(connection, application_id, page)
    return views.ApplicationStationPage(items=items, next_cursor=following)


@router.post(APPLICATIONS + "/{application_id}/cancel", responses=problems(*GUARDS, NotFound))
async def cancel_application(
    application_id: UUID, principal: Operator, parts: Parts
) -> views.ApplicationView:
    """Send no more of it; what is under way ends as it will."""
    await parts.templates.cancel(application_id, principal.login)
    return await get_application(application_id, parts)


async def _templates(
    connection: AsyncConnection, rows: Sequence[Row[Any]]
) -> list[views.TemplateView]:
    drifting = await count_drifting(connection, [row.id for row in rows])
    return [views.template_view(row, drifting.get(row.id, 0)) for row in rows]


async def _applications(
    connection: AsyncConnection, rows: Sequence[Row[Any]]
) -> list[views.ApplicationView]:
    """Count the stations of applications by outcome; the database sums up those that are alike."""
    counts: dict[UUID, Counter[StationOutcome]] = {row.id: Counter() for row in rows}
    for alike in await count_application_stations(connection, list(counts)):
        commands = [(outcome, status) for outcome, status in alike.commands or ()]
        outcome = station_outcome(alike.state, commands, refused=alike.refused)
        counts[alike.application_id][outcome] += alike.stations
    return [
        views.ApplicationView(
            id=row.id,
            template_id=row.template_id,
            template_name=row.template_name,
            revision=row.revision,
            only_drift=row.only_drift,
            requested_by=row.requested_by,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            cancelled_at=row.cancelled_at,
            station_count=counts[row.id].total(),
            counts=dict(counts[row.id]),
        )
        for row in rows
    ]


async def _stations(
    connection: AsyncConnection, application_id: UUID, rows: Sequence[Row[Any]]
) -> list[views.ApplicationStation]:
    orders = await read_order(connection, application_id, [row.station_id for row in rows])
    items = []
    for row in rows:
        commands = orders[row.station_id]
        items.append(
            views.ApplicationStation(
                identity=row.identity,
                outcome=station_outcome(row.state, commands, refused=bool(row.refused)),
                commands=dict(Counter(outcome for outcome, _ in commands)),
                statuses=dict(Counter(status for _, status in commands if status)),
                refused=[views.Refused(**item) for item in row.refused],
            )
        )
    return items
