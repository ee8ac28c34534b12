"""What is read of the frame log. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.frame_log.store import INBOUND, frames

Rows = Sequence[Row[Any]]
FramePlace = tuple[datetime, int, int]
"""(at, epoch, number): unique within a station, and in the order of its frames."""

CALL, CALL_RESULT, CALL_ERROR, SEND = 2, 3, 4, 6
ANSWERED_WITHIN = timedelta(hours=1)
"""Bounds the search of an answer to a partition or two; no call waits so long."""

_ORDER = (frames.c.at, frames.c.epoch, frames.c.number)


class FrameFilter(NamedTuple):
    """Which frames of a station; what is None filters nothing."""

    begin: datetime | None = None
    end: datetime | None = None
    direction: str | None = None
    action: str | None = None
    message_id: str | None = None


# Ids need not be unique: of the answers with this one, that of a call comes next after it.
_answer = frames.alias("answer")
_answers = (
    select(
        _answer.c.at.label("answered_at"),
        _answer.c.message_type.label("answer_type"),
        _answer.c.text.label("answer_text"),
    )
    .where(
        frames.c.message_type == CALL,
        _answer.c.station_id == frames.c.station_id,
        _answer.c.message_id == frames.c.message_id,
        _answer.c.epoch == frames.c.epoch,
        _answer.c.number > frames.c.number,
        _answer.c.direction != frames.c.direction,
        _answer.c.message_type.in_((CALL_RESULT, CALL_ERROR)),
        _answer.c.at >= frames.c.at,
        _answer.c.at < frames.c.at + ANSWERED_WITHIN,
    )
    .order_by(_answer.c.number)
    .limit(1)
    .lateral("answers")
)


def frames_query(station_id: int, wanted: FrameFilter) -> Select[Any]:
    """Select a station's frames, each call with the answer to it, in no order yet."""
    conditions = [frames.c.station_id == station_id]
    if wanted.begin is not None:
        conditions.append(frames.c.at >= wanted.begin)
    if wanted.end is not None:
        conditions.append(frames.c.at < wanted.end)
    for name in ("direction", "action", "message_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(frames.c[name] == value)
    return (
        select(frames, _answers.c.answered_at, _answers.c.answer_type)
        .join(_answers, true(), isouter=True)
        .where(and_(*conditions))
    )


async def read_frames(
    connection: AsyncConnection,
    station_id: int,
    wanted: FrameFilter,
    *,
    after: FramePlace | None,
    limit: int,
) -> Rows:
    """Return a station's frames, newest first."""
    query = frames_query(station_id, wanted)
    if after is not None:
        # The first term alone lets the planner skip partitions.
        query = query.where(frames.c.at <= after[0], tuple_(*_ORDER) < after)
    ordered = query.order_by(*(column.desc() for column in _ORDER)).limit(limit)
    rows: Rows = (await connection.execute(ordered)).all()
    return rows


CallPlace = tuple[datetime, int, int, int]
"""(at, station_id, epoch, number): the order in which the stations' calls came."""

_CALL_ORDER = (frames.c.at, frames.c.station_id, frames.c.epoch, frames.c.number)


async def read_calls(
    connection: AsyncConnection,
    station_ids: Collection[int],
    begin: datetime,
    end: datetime,
    *,
    after: CallPlace | None = None,
    limit: int,
    action: str | None = None,
) -> Rows:
    """Return the stations' own calls as they came, each with the answer to it; SENDs have none."""
    query = (
        select(frames, _answers.c.answer_type, _answers.c.answer_text)
        .join(_answers, true(), isouter=True)
        .where(
            frames.c.station_id.in_(station_ids),
            frames.c.at >= begin,
            frames.c.at < end,
            frames.c.direction == INBOUND,
            frames.c.message_type.in_((CALL, SEND)),
        )
    )
    if action is not None:
        query = query.where(frames.c.action == action)
    if after is not None:
        query = query.where(frames.c.at >= after[0], tuple_(*_CALL_ORDER) > after)
    rows: Rows = (await connection.execute(query.order_by(*_CALL_ORDER).limit(limit))).all()
    return rows
