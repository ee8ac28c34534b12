"""REST of the hub as it stands: locations, stations, EVSEs live, and orders to stations.

What changes the hub's layout (create, import, rotate, replace) is in `commissioning_api`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.principal import GUARDS, Operator, operator, viewer
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.kit.secrets import redacted
from chargehub.stations import views
from chargehub.stations.command_queue import Delivery
from chargehub.stations.commands import (
    CommandAnswer,
    CommandOutcome,
    InvalidCommand,
    ResetKind,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.control import StationControl
from chargehub.stations.credential_change import CredentialChange
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.labels import Label, render_labels
from chargehub.stations.queries import (
    find_station,
    find_station_in_service,
    read_connectors_of,
    read_evses,
    read_evses_of,
    read_location,
    read_locations,
    read_notices,
    read_stations,
)
from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.rules import IDENTITY_PATTERN, MAX_EVSES
from chargehub.stations.states import Charge, EvseState

ReadCharges = Callable[
    [AsyncConnection, Collection[int]], Awaitable[Mapping[tuple[int, int], Charge]]
]
ReadHeld = Callable[[AsyncConnection, Collection[int]], Awaitable[Collection[tuple[int, int]]]]
SCAN = 500
"""EVSEs read at once while looking for those in a state, which no column holds."""


@dataclass(frozen=True, slots=True)
class StationParts:
    """What features.py has for this router."""

    database: Database
    desk: CommandDesk
    control: StationControl
    commissioning: Commissioning
    credential_change: CredentialChange
    public_url: str
    """Where drivers reach the hub; printed on labels."""
    read_charges: ReadCharges
    """What transactions say of the EVSEs of some stations."""
    read_held: ReadHeld
    """Which of them are reserved for somebody now."""


router = APIRouter(prefix=API_PREFIX)

Parts = Annotated[StationParts, Depends(provided(StationParts))]
IdentityPath = Annotated[
    str, Path(pattern=IDENTITY_PATTERN, max_length=48, examples=["CS001"], description="Any case.")
]
LocationPath = Annotated[CleanText, Path(min_length=1, max_length=36, examples=["QZ-HUB"])]
EvseNo = Annotated[StrictInt, Field(ge=1, le=MAX_EVSES, examples=[1])]

COMMAND_PROBLEMS = (
    NotFound,
    StationOffline,
    UnsupportedByStation,
    StationNotAccepted,
    InvalidCommand,
    StationAnswerError,
    StationBusy,
    StationTimeout,
)
"""What an order to a station can come to."""


class StationQuery(PageQuery):
    location: CleanText | None = Field(None, max_length=36, examples=["QZ-HUB"])
    status: ConnectorStatus | None = Field(
        None, description="Stations that have this status themselves or on a connector."
    )
    online: bool | None = None
    q: CleanText | None = Field(
        None, min_length=1, max_length=100, description="Part of identity or name, any case."
    )
    decommissioned: bool = Field(False, description="The removed ones instead.")


class EvseQuery(PageQuery):
    location: CleanText | None = Field(None, max_length=36, examples=["QZ-HUB"])
    state: EvseState | None = Field(None, description="What it is doing now, as the board shows.")
    status: ConnectorStatus | None = Field(
        None, description="EVSEs with a connector that last said this itself."
    )
    online: bool | None = None


class NoticeQuery(PageQuery):
    kind: CleanText | None = Field(None, max_length=50, examples=["SecurityEventNotification"])
    flagged: bool | None = None


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResetRequest(Input):
    kind: ResetKind = Field(
        ResetKind.ON_IDLE, description="OnIdle waits for running transactions to end."
    )


class AvailabilityRequest(Input):
    operative: StrictBool = Field(examples=[False])
    evse_no: EvseNo | None = Field(None, description="Left out: the whole station.")


class UnlockRequest(Input):
    evse_no: EvseNo
    connector_no: StrictInt = Field(1, ge=1, le=100)


def command_result(sent: tuple[UUID, CommandAnswer]) -> views.CommandResult:
    command_id, answer = sent
    return views.CommandResult(
        command_id=command_id,
        outcome=CommandOutcome.ANSWERED,
        status=answer.status,
        payload=redacted(answer.payload),
    )


NOT_YET: dict[int | str, dict[str, Any]] = {
    202: {"model": views.CommandResult, "description": "It waits for the station, or its answer"}
}


def delivery_result(delivery: Delivery, response: Response) -> views.CommandResult:
    """Tell of a durable command: 202 while it waits or is under way, else 200 with its end."""
    command_id, answer, outcome = delivery
    if answer is not None:
        return command_result((command_id, answer))
    if outcome in {CommandOutcome.QUEUED, CommandOutcome.PENDING}:
        response.status_code = 202
    return views.CommandResult(command_id=command_id, outcome=outcome, status=None, payload={})


@router.get(
    "/locations",
    tags=["Locations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_locations(parts: Parts, query: Annotated[PageQuery, Query()]) -> views.LocationPage:
    """List the hubs and sites."""
    after = decode_cursor("locations", query.cursor, str)
    async with parts.database.read() as connection:
        rows = await read_locations(
            connection, after=after[0] if after else None, limit=query.limit + 1
        )
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("locations", row.id))
    return views.LocationPage(
        items=[views.location_view(row) for row in page], next_cursor=following
    )


@router.get(
    "/locations/{location_id}",
    tags=["Locations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_location(location_id: LocationPath, parts: Parts) -> views.LocationView:
    """Return one location."""
    async with parts.database.read() as connection:
        return views.location_view(await read_location(connection, location_id))


@router.get(
    "/locations/{location_id}/evses",
    tags=["Locations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_evses_of_location(
    location_id: LocationPath, parts: Parts, query: Annotated[PageQuery, Query()]
) -> views.EvsePage:
    """List a location's EVSEs with their live status."""
    filters = EvseQuery(cursor=query.cursor, limit=query.limit, location=location_id)
    async with parts.database.read() as connection:
        await read_location(connection, location_id)
        return await _evse_page(connection, parts, filters)


@router.get(
    "/evses",
    tags=["Charging stations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_evses(parts: Parts, query: Annotated[EvseQuery, Query()]) -> views.EvsePage:
    """List all EVSEs with what they are doing now, by station and number."""
    async with parts.database.read() as connection:
        return await _evse_page(connection, parts, query)


async def _evse_page(
    connection: AsyncConnection, parts: StationParts, query: EvseQuery
) -> views.EvsePage:
    decoded = decode_cursor("evses", query.cursor, str, int)
    after = None if decoded is None else (decoded[0], decoded[1])
    online_ids = parts.desk.online_ids()
    at_once = query.limit + 1 if query.state is None else SCAN
    found: list[views.EvseStatus] = []
    while len(found) <= query.limit:
        rows = await read_evses(
            connection,
            after=after,
            limit=at_once,
            location=query.location,
            status=query.status.value if query.status else None,
            online=None if query.online is None else (query.online, online_ids),
        )
        seen = await _evse_statuses(connection, parts, rows, online_ids)
        found += [evse for evse in seen if query.state in {None, evse.state}]
        if len(rows) < at_once:
            break
        after = (rows[-1].identity.lower(), rows[-1].evse_no)
    page, following = cut_page(
        found,
        query.limit,
        lambda evse: encode_cursor("evses", evse.station_identity.lower(), evse.evse_no),
    )
    return views.EvsePage(items=page, next_cursor=following)


async def _evse_statuses(
    connection: AsyncConnection, parts: StationParts, rows: Any, online_ids: frozenset[int]
) -> list[views.EvseStatus]:
    ids = {row.station_id for row in rows}
    connectors = await read_connectors_of(connection, ids)
    now = await _now(connection, parts, ids, online_ids)
    return [
        views.evse_status(row, connectors.get((row.station_id, row.evse_no), ()), now)
        for row in rows
    ]


async def _now(
    connection: AsyncConnection, parts: StationParts, ids: set[int], online: frozenset[int]
) -> views.Now:
    charges = await parts.read_charges(connection, ids)
    return views.Now(online, charges, await parts.read_held(connection, ids))


@router.get(
    "/charging-stations",
    tags=["Charging stations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_charging_stations(
    parts: Parts, query: Annotated[StationQuery, Query()]
) -> views.StationPage:
    """List charging stations by identity, with their EVSEs' live status."""
    after = decode_cursor("stations", query.cursor, str, int)
    online = parts.desk.online_ids()
    async with parts.database.read() as connection:
        rows = await read_stations(
            connection,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            location=query.location,
            status=query.status.value if query.status else None,
            online=None if query.online is None else (query.online, online),
            text=query.q,
            decommissioned=query.decommissioned,
        )
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("stations", row.identity.lower(), row.id)
        )
        items = await _station_summaries(connection, parts, page, online)
    return views.StationPage(items=items, next_cursor=following)


async def _station_summaries(
    connection: AsyncConnection, parts: StationParts, rows: Any, online: frozenset[int]
) -> list[views.StationSummary]:
    ids = {row.id for row in rows}
    evses = await read_evses_of(connection, ids)
    connectors = await read_connectors_of(connection, ids)
    now = await _now(connection, parts, ids, online)
    return [views.station_summary(row, evses.get(row.id, ()), connectors, now) for row in rows]


@router.get(
    "/charging-stations/{identity}",
    tags=["Charging stations"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_charging_station(identity: IdentityPath, parts: Parts) -> views.StationDetail:
    """Return a charging station with EVSEs, connectors and live status."""
    async with parts.database.read() as connection:
        return await station_detail(connection, parts, identity)


async def station_detail(
    connection: AsyncConnection, parts: StationParts, identity: str
) -> views.StationDetail:
    row = await find_station(connection, identity)
    [summary] = await _station_summaries(connection, parts, [row], parts.desk.online_ids())
    return views.station_detail(row, summary)


@router.get(
    "/charging-stations/{identity}/notices",
    tags=["Charging stations"],
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_notices(
    identity: IdentityPath, parts: Parts, query: Annotated[NoticeQuery, Query()]
) -> views.NoticePage:
    """List what a station told that no other resource shows, newest first.

    Security events, vendors' messages, events of unknown connectors, and messages that could be
    read in part only.
    """
    after = decode_cursor("notices", query.cursor, datetime, int)
    async with parts.database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_notices(
            connection,
            station.id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            kind=query.kind,
            flagged=query.flagged,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("notices", row.received_at, row.id)
    )
    return views.NoticePage(items=[views.notice_view(row) for row in page], next_cursor=following)


@router.post(
    "/charging-stations/{identity}/reset",
    tags=["Commands"],
    responses=problems(*GUARDS, *COMMAND_PROBLEMS),
)
async def reset_charging_station(
    identity: IdentityPath, body: ResetRequest, principal: Operator, parts: Parts
) -> views.CommandResult:
    """Restart a station, at once or when it is idle."""
    return command_result(await parts.control.reset(identity, body.kind, actor=principal.login))


@router.post(
    "/charging-stations/{identity}/availability",
    tags=["Commands"],
    responses={**NOT_YET, **problems(*GUARDS, *COMMAND_PROBLEMS)},
)
async def change_availability(
    identity: IdentityPath,
    body: AvailabilityRequest,
    principal: Operator,
    parts: Parts,
    response: Response,
) -> views.CommandResult:
    """Take a station or an EVSE out of use, or back.

    The wish is kept even when the station is offline (202) or says no, and sent when it is back;
    `Scheduled` means that the station will follow when its transaction has ended. Compare
    `wanted_operative` with `status`.
    """
    delivery = await parts.control.change_availability(
        identity, operative=body.operative, evse_no=body.evse_no, actor=principal.login
    )
    return delivery_result(delivery, response)


@router.post(
    "/charging-stations/{identity}/unlock",
    tags=["Commands"],
    responses=problems(*GUARDS, *COMMAND_PROBLEMS),
)
async def unlock_connector(
    identity: IdentityPath, body: UnlockRequest, principal: Operator, parts: Parts
) -> views.CommandResult:
    """Release the cable of a connector."""
    sent = await parts.control.unlock(
        identity, body.evse_no, body.connector_no, actor=principal.login
    )
    return command_result(sent)


class LabelSheet(HTMLResponse):
    """A printable page; its policy allows nothing but its own style."""

    def __init__(self, content: str) -> None:
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        super().__init__(content, headers={"Content-Security-Policy": policy})


@router.get(
    "/charging-stations/{identity}/labels.html",
    tags=["Commissioning"],
    response_class=HTMLResponse,
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound),
)
async def get_station_labels(identity: IdentityPath, parts: Parts) -> HTMLResponse:
    """Return the QR labels of a station's guns as a page to print."""
    async with parts.database.read() as connection:
        station = await find_station_in_service(connection, identity)
        evses = (await read_evses_of(connection, {station.id})).get(station.id, [])
    labels = [_label(station, station.name, row) for row in evses]
    html = await asyncio.to_thread(render_labels, station.identity, parts.public_url, labels)
    return LabelSheet(html)


@router.get(
    "/locations/{location_id}/labels.html",
    tags=["Commissioning"],
    response_class=HTMLResponse,
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound),
)
async def get_location_labels(location_id: LocationPath, parts: Parts) -> HTMLResponse:
    """Return the QR labels of all guns of a location as a page to print (at most 1,000)."""
    async with parts.database.read() as connection:
        location = await read_location(connection, location_id)
        evses = await read_evses(connection, after=None, limit=1000, location=location_id)
    labels = [_label(row, row.station_name, row) for row in evses]
    html = await asyncio.to_thread(render_labels, location.name, parts.public_url, labels)
    return LabelSheet(html)


def _label(station: Row[Any], station_name: str, evse: Row[Any]) -> Label:
    return Label(station.identity, station_name, evse.evse_no, evse.gun_code)
