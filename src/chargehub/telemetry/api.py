"""REST of samples that belong to an EVSE, inside transactions and between them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from chargehub.access.principal import GUARDS, viewer
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, cut_page, decode_cursor, encode_cursor
from chargehub.stations.api import IdentityPath
from chargehub.stations.queries import find_evse, find_station
from chargehub.stations.rules import MAX_EVSES
from chargehub.telemetry.queries import read_evse_series
from chargehub.telemetry.views import SamplePage, SeriesQuery, sample_view

router = APIRouter(prefix=API_PREFIX, tags=["Samples"])


@router.get(
    "/charging-stations/{identity}/evses/{evse_no}/samples",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_evse_samples(
    identity: IdentityPath,
    evse_no: Annotated[int, Path(ge=0, le=MAX_EVSES, description="0: the station as a whole.")],
    database: Annotated[Database, Depends(provided(Database))],
    query: Annotated[SeriesQuery, Query()],
) -> SamplePage:
    """Return an EVSE's sample series, oldest first."""
    after = decode_cursor("evse-samples", query.cursor, datetime, str, int)
    async with database.read() as connection:
        station = await find_station(connection, identity)
        if evse_no:
            await find_evse(connection, station.id, evse_no)
        rows = await read_evse_series(
            connection,
            station_id=station.id,
            evse_no=evse_no,
            after=None if after is None else (after[0], after[1], after[2]),
            limit=query.limit + 1,
            begin=query.begin,
            end=query.end,
        )
    page, following = cut_page(
        rows,
        query.limit,
        lambda row: encode_cursor("evse-samples", row.sampled_at, row.context, row.content_hash),
    )
    return SamplePage(items=[sample_view(row) for row in page], next_cursor=following)
