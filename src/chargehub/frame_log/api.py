"""REST of the frame log: what a station and the hub said to each other, word by word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from chargehub.access.principal import GUARDS, operator
from chargehub.frame_log.queries import FrameFilter, read_frames, read_hub_frames
from chargehub.frame_log.views import (
    FramePage,
    FrameQuery,
    HubFramePage,
    HubFrameQuery,
    frame_view,
    hub_frame_view,
)
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, cut_page, decode_cursor, encode_cursor
from chargehub.stations.api import IdentityPath
from chargehub.stations.queries import find_station

router = APIRouter(prefix=API_PREFIX, tags=["Frames"])

USUAL_TIME = timedelta(hours=1)
LONGEST_TIME = timedelta(days=1)
"""What is searched of all stations at once: the frames of a day are some hundred thousand."""
LONGEST_TIME_OF_ID = timedelta(days=31)
"""An index finds a message id, once for each day."""


class TimeTooLong(InvalidInput):
    """More time is asked for than one search of all stations may take."""

    code = "time-too-long"


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


@router.get(
    "/frames",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, InvalidCursor, TimeTooLong),
)
async def list_frames(
    database: Annotated[Database, Depends(provided(Database))],
    clock: Annotated[HubClock, Depends(provided(HubClock))],
    query: Annotated[HubFrameQuery, Query()],
) -> HubFramePage:
    """List the frames of all stations, newest first, those of decommissioned ones among them.

    Of a day at most; where `message_id` is given, of 31. Without `from`, of the hour (with
    `message_id`, the 31 days) before `to`, which is now where it is left out. What a frame tells
    is what it tells in the list of its station.
    """
    cursor = decode_cursor("hub-frames", query.cursor, datetime, int, int, int, datetime)
    longest, usual = LONGEST_TIME, USUAL_TIME
    if query.message_id is not None:
        longest = usual = LONGEST_TIME_OF_ID
    end = query.end or clock.now()
    # A later page begins where the first one did, though now is later.
    begin = query.begin or (end - usual if cursor is None else cursor[4])
    if (end if cursor is None else min(end, cursor[0])) - begin > longest:
        raise TimeTooLong(f"One search takes {longest} at most.")
    async with database.read() as connection:
        rows = await read_hub_frames(
            connection,
            FrameFilter(begin, end, query.direction, query.action, query.message_id),
            identity=query.identity,
            after=None if cursor is None else (cursor[0], cursor[1], cursor[2], cursor[3]),
            limit=query.limit + 1,
        )
    page, following = cut_page(
        rows,
        query.limit,
        lambda row: encode_cursor(
            "hub-frames", row.at, row.station_id, row.epoch, row.number, begin
        ),
    )
    return HubFramePage(items=[hub_frame_view(row) for row in page], next_cursor=following)
