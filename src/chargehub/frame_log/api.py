"""REST of the frame log: what a station and the hub said to each other, word by word."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from chargehub.access.principal import GUARDS, operator
from chargehub.frame_log.queries import FrameFilter, read_frames
from chargehub.frame_log.views import FramePage, FrameQuery, frame_view
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, cut_page, decode_cursor, encode_cursor
from chargehub.stations.api import IdentityPath
from chargehub.stations.queries import find_station

router = APIRouter(prefix=API_PREFIX, tags=["Frames"])


@router.get(
    "/charging-stations/{identity}/frames",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_station_frames(
    identity: IdentityPath,
    database: Annotated[Database, Depends(provided(Database))],
    query: Annotated[FrameQuery, Query()],
) -> FramePage:
    """List the frames to and from a station, newest first, without their secrets.

    A call tells when and with what it was answered; `message_id` returns both. For operators and
    not for viewers: frames name drivers' cards and carry whatever a vendor puts into them. A frame
    is found here half a second after it came, at the latest.
    """
    after = decode_cursor("frames", query.cursor, datetime, int, int)
    async with database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_frames(
            connection,
            station.id,
            FrameFilter(query.begin, query.end, query.direction, query.action, query.message_id),
            after=None if after is None else (after[0], after[1], after[2]),
            limit=query.limit + 1,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("frames", row.at, row.epoch, row.number)
    )
    return FramePage(items=[frame_view(row) for row in page], next_cursor=following)
