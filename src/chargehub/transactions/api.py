"""REST of transactions: lists, one with its series and events, remote start and stop."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chargehub.access.principal import GUARDS, Operator, viewer
from chargehub.drivers.api import ID_TEXT_PATTERN
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import MAX_INT64, CleanText, UtcTime
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.reservations.guard import EvseHeld
from chargehub.stations.api import COMMAND_PROBLEMS, EvseNo, command_result
from chargehub.stations.queries import find_evse, find_station_in_service
from chargehub.stations.rules import IDENTITY_PATTERN, MAX_EVSES
from chargehub.stations.views import CommandResult
from chargehub.telemetry.queries import read_latest_values, read_series
from chargehub.telemetry.views import SamplePage, SeriesQuery, sample_view
from chargehub.transactions import views
from chargehub.transactions.orphans import (
    OrphanPolicy,
    StationStillOnline,
    TransactionNotActive,
)
from chargehub.transactions.queries import find_transaction, read_events, read_transactions
from chargehub.transactions.remote import IdTokenNotAccepted, RemoteControl

router = APIRouter(prefix=API_PREFIX, tags=["Transactions"])

Db = Annotated[Database, Depends(provided(Database))]
Remote = Annotated[RemoteControl, Depends(provided(RemoteControl))]
Orphans = Annotated[OrphanPolicy, Depends(provided(OrphanPolicy))]
TransactionId = Annotated[int, Path(ge=1, le=MAX_INT64, examples=[1042])]
IdTokenText = Annotated[
    str, StringConstraints(pattern=ID_TEXT_PATTERN), Field(examples=["0476AB12"])
]


class TransactionQuery(PageQuery):
    state: Literal["Active", "Ended"] | None = None
    location: CleanText | None = Field(None, max_length=36, examples=["QZ-HUB"])
    station: CleanText | None = Field(
        None, max_length=48, description="Identity.", examples=["CS001"]
    )
    evse_no: int | None = Field(None, ge=1, le=MAX_EVSES)
    id_token: CleanText | None = Field(None, max_length=255, examples=["0476AB12"])
    begin: UtcTime | None = Field(None, description="Started from this time on.", alias="from")
    end: UtcTime | None = Field(None, description="Started before this time.", alias="to")
    flagged: bool | None = Field(None, description="True: only those with a flag.")


class StartRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    station: Annotated[str, StringConstraints(pattern=IDENTITY_PATTERN)] = Field(examples=["CS001"])
    evse_no: EvseNo | None = Field(
        None, description="Left out: the station chooses; not every station can."
    )
    id_token: IdTokenText


@router.get(
    "/transactions",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_transactions(
    database: Db, query: Annotated[TransactionQuery, Query()]
) -> views.TransactionPage:
    """List transactions, newest start first."""
    after = decode_cursor("transactions", query.cursor, datetime, int)
    async with database.read() as connection:
        rows = await read_transactions(
            connection,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            filters=query.model_dump(exclude={"cursor", "limit"}),
        )
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("transactions", row.started_at, row.id)
        )
        latest = await read_latest_values(
            connection, [(row.station_id, row.id) for row in page if row.state == "Active"]
        )
    items = [views.transaction_view(row, latest.get(row.id)) for row in page]
    return views.TransactionPage(items=items, next_cursor=following)


@router.get(
    "/transactions/{transaction_id}",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_transaction(transaction_id: TransactionId, database: Db) -> views.TransactionDetail:
    """Return a transaction with reported registers, corrected energy and flags."""
    async with database.read() as connection:
        row = await find_transaction(connection, transaction_id)
        latest = await read_latest_values(connection, [(row.station_id, row.id)])
    return views.transaction_detail(row, latest.get(row.id))


@router.get(
    "/transactions/{transaction_id}/samples",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_transaction_samples(
    transaction_id: TransactionId, database: Db, query: Annotated[SeriesQuery, Query()]
) -> SamplePage:
    """Return a transaction's sample series, oldest first."""
    after = decode_cursor("samples", query.cursor, datetime, str, int)
    async with database.read() as connection:
        row = await find_transaction(connection, transaction_id)
        rows = await read_series(
            connection,
            station_id=row.station_id,
            transaction_id=transaction_id,
            after=None if after is None else (after[0], after[1], after[2]),
            limit=query.limit + 1,
            begin=query.begin,
            end=query.end,
        )
    page, following = cut_page(
        rows,
        query.limit,
        lambda row: encode_cursor("samples", row.sampled_at, row.context, row.content_hash),
    )
    return SamplePage(items=[sample_view(row) for row in page], next_cursor=following)


@router.get(
    "/transactions/{transaction_id}/events",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_transaction_events(
    transaction_id: TransactionId, database: Db, query: Annotated[PageQuery, Query()]
) -> views.TransactionEventPage:
    """Return what the station reported about a transaction, oldest first."""
    after = decode_cursor("events", query.cursor, datetime, int)
    async with database.read() as connection:
        await find_transaction(connection, transaction_id)
        rows = await read_events(
            connection,
            transaction_id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("events", row.at, row.id)
    )
    items = [views.event_view(row) for row in page]
    return views.TransactionEventPage(items=items, next_cursor=following)


@router.post(
    "/transactions/start",
    responses=problems(*GUARDS, IdTokenNotAccepted, EvseHeld, *COMMAND_PROBLEMS),
)
async def start_transaction(
    body: StartRequest, principal: Operator, database: Db, remote: Remote
) -> views.StartResult:
    """Ask a station to start charging for an idToken."""
    async with database.read() as connection:
        station = await find_station_in_service(connection, body.station)
        if body.evse_no is not None:
            await find_evse(connection, station.id, body.evse_no)
    asked = await remote.request_start(station.id, body.evse_no, body.id_token, principal.login)
    return views.StartResult(
        command_id=asked.command_id,
        remote_start_id=asked.remote_start_id,
        status=asked.answer.status,
        payload=asked.answer.payload,
    )


@router.post(
    "/transactions/{transaction_id}/stop",
    responses=problems(*GUARDS, TransactionNotActive, *COMMAND_PROBLEMS),
)
async def stop_transaction(
    transaction_id: TransactionId, principal: Operator, database: Db, remote: Remote
) -> CommandResult:
    """Ask the station to end a transaction; it is active until the station says it ended."""
    async with database.read() as connection:
        await find_transaction(connection, transaction_id)
    return command_result(await remote.request_stop(transaction_id, principal.login))


@router.post(
    "/transactions/{transaction_id}/close",
    responses=problems(*GUARDS, NotFound, TransactionNotActive, StationStillOnline),
)
async def close_transaction(
    transaction_id: TransactionId, principal: Operator, database: Db, orphans: Orphans
) -> views.TransactionDetail:
    """Close a transaction whose station is offline or gone, or has refused to stop it.

    The station's own later word still wins.
    """
    async with database.read() as connection:
        row = await find_transaction(connection, transaction_id)
    await orphans.close_by_operator(row.station_id, transaction_id, principal.login)
    return await get_transaction(transaction_id, database)
