"""What is read of the frame log. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import LateralFromClause

from chargehub.frame_log.store import INBOUND, frames
from chargehub.stations.store import charging_stations

Rows = Sequence[Row[Any]]
FramePlace = tuple[datetime, int, int]
"""(at, epoch, number): unique within a station, and in the order of its frames."""

CALL, CALL_RESULT, CALL_ERROR, SEND = 2, 3, 4, 6
ANSWERED_WITHIN = timedelta(hours=1)
"""Bounds the search of an answer to a partition or two; no call waits so long."""

_ORDER = (frames.c.at, frames.c.epoch, frames.c.number)


class FrameFilter(NamedTuple):
    """Which frames; what is None filters nothing."""

    begin: datetime | None = None
    end: datetime | None = None
    direction: str | None = None
    action: str | None = None
    message_id: str | None = None


_answer = frames.alias("answer")


def _answers_to(calls: FromClause) -> LateralFromClause:
    """Return what answered each of the calls.

    Ids need not be unique: of the answers with this one, that of a call comes next after it.
    """
    call = calls.c
    return (
        select(
            _answer.c.at.label("answered_at"),
            _answer.c.message_type.label("answer_type"),
            _answer.c.text.label("answer_text"),
        )
        .where(
            call.message_type == CALL,
            _answer.c.station_id == call.station_id,
            _answer.c.message_id == call.message_id,
            _answer.c.epoch == call.epoch,
            _answer.c.number > call.number,
            _answer.c.direction != call.direction,
            _answer.c.message_type.in_((CALL_RESULT, CALL_ERROR)),
            _answer.c.at >= call.at,
            _answer.c.at < call.at + ANSWERED_WITHIN,
        )
        .order_by(_answer.c.number)
        .limit(1)
        .lateral("answers")
    )


_answers = _answers_to(frames)


def _conditions(wanted: FrameFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.begin is not None:
        conditions.append(frames.c.at >= wanted.begin)
    if wanted.end is not None:
        conditions.append(frames.c.at < wanted.end)
    for name in ("direction", "action", "message_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(frames.c[name] == value)
    return conditions


def frames_query(station_id: int, wanted: FrameFilter) -> Select[Any]:
    """Select a station's frames, each call with the answer to it, in no order yet."""
    return (
        select(frames, _answers.c.answered_at, _answers.c.answer_type)
        .join(_answers, true(), isouter=True)
        .where(frames.c.station_id == station_id, *_conditions(wanted))
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


HubFramePlace = tuple[datetime, int, int, int]
"""(at, station_id, epoch, number): the order in which the frames of all stations came."""

_HUB_ORDER = (frames.c.at, frames.c.station_id, frames.c.epoch, frames.c.number)


def hub_frames_query(
    wanted: FrameFilter, *, identity: str | None, after: HubFramePlace | None, limit: int
) -> Select[Any]:
    """Select frames of all stations, newest first; `wanted` bounds the time.

    Stations that are out of service are among them, so one identity may be that of several.
    """
    page = select(frames).where(*_conditions(wanted))
    if identity is not None:
        named = func.lower(charging_stations.c.identity) == identity.lower()
        page = page.where(frames.c.station_id.in_(select(charging_stations.c.id).where(named)))
    if after is not None:
        page = page.where(frames.c.at <= after[0], tuple_(*_HUB_ORDER) < after)
    # Answers are looked for once the page is cut, not for each frame of the time.
    cut = page.order_by(*(column.desc() for column in _HUB_ORDER)).limit(limit).subquery("page")
    answers = _answers_to(cut)
    order = (cut.c.at, cut.c.station_id, cut.c.epoch, cut.c.number)
    return (
        select(
            cut,
            answers.c.answered_at,
            answers.c.answer_type,
            charging_stations.c.identity,
            charging_stations.c.decommissioned_at,
        )
        .join(charging_stations, charging_stations.c.id == cut.c.station_id)
        .join(answers, true(), isouter=True)
        .order_by(*(column.desc() for column in order))
    )


async def read_hub_frames(
    connection: AsyncConnection,
    wanted: FrameFilter,
    *,
    identity: str | None,
    after: HubFramePlace | None,
    limit: int,
) -> Rows:
    query = hub_frames_query(wanted, identity=identity, after=after, limit=limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_calls(
    connection: AsyncConnection,
    station_ids: Collection[int],
    begin: datetime,
    end: datetime,
    *,
    after: HubFramePlace | None = None,
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
        query = query.where(frames.c.at >= after[0], tuple_(*_HUB_ORDER) > after)
    rows: Rows = (await connection.execute(query.order_by(*_HUB_ORDER).limit(limit))).all()
    return rows
