"""How the API shows a frame."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.fields import CleanText, UtcTime
from chargehub.kit.paging import Page, PageQuery


class FrameQuery(PageQuery):
    begin: UtcTime | None = Field(None, description="From this time on.", alias="from")
    end: UtcTime | None = Field(None, description="Before this time.", alias="to")
    direction: Literal["in", "out"] | None = Field(None, description="in: from the station.")
    action: CleanText | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Calls of this action and the answers to them.",
        examples=["TransactionEvent"],
    )
    message_id: CleanText | None = Field(None, min_length=1, max_length=255)


class HubFrameQuery(FrameQuery):
    identity: CleanText | None = Field(
        None,
        min_length=1,
        max_length=48,
        description="Of each station that has or had this identity.",
        examples=["CS001"],
    )


class FrameView(BaseModel):
    at: datetime = Field(description="The hub's time of receipt, or when it was given to be sent.")
    connection: int = Field(description="The station's connections, counted.", examples=[17])
    number: int = Field(description="The connection's frames, counted both ways.", examples=[212])
    protocol: str = Field(description="The connection's subprotocol.")
    direction: Literal["in", "out"] = Field(description="in: from the station.")
    message_type: int | None = Field(
        description="2: call, 3: result, 4: error, 5: error to a result, 6: one-way message; "
        "null: unreadable.",
        examples=[2],
    )
    message_id: str | None = Field(examples=["5f0c1c7e-5b5a-4a55-9d3c-0c8f2f5c7f11"])
    action: str | None = Field(
        description="Of an answer: what it answers.", examples=["StatusNotification"]
    )
    text: str = Field(
        description="As it travelled, with `(redacted)` where a secret was.",
        examples=[
            (
                '[2,"5f0c1c7e-5b5a-4a55-9d3c-0c8f2f5c7f11","StatusNotification",'
                '{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
            )
        ],
    )
    cut_from: int | None = Field(
        description="Characters that it had, where `text` is only its beginning.", examples=[None]
    )
    answered_at: datetime | None = Field(description="Of a call; null: not answered.")
    answered_in_ms: float | None = Field(description="On the hub's clock.", examples=[4.2])
    answer_type: int | None = Field(description="3: result, 4: error.", examples=[3])


class FramePage(Page[FrameView]):
    pass


class HubFrameView(FrameView):
    identity: str = Field(description="The station's.", examples=["CS001"])
    station_id: int = Field(
        description="Tells stations apart that had the same identity one after another.",
        examples=[1],
    )
    decommissioned_at: datetime | None = Field(description="Of the station; null: in service.")


class HubFramePage(Page[HubFrameView]):
    pass


def hub_frame_view(row: Row[Any]) -> HubFrameView:
    return HubFrameView(
        **dict(frame_view(row)),
        identity=row.identity,
        station_id=row.station_id,
        decommissioned_at=row.decommissioned_at,
    )


def frame_view(row: Row[Any]) -> FrameView:
    took = None if row.answered_at is None else row.answered_at - row.at
    return FrameView(
        at=row.at,
        connection=row.epoch,
        number=row.number,
        protocol=row.protocol,
        direction=row.direction,
        message_type=row.message_type,
        message_id=row.message_id,
        action=row.action,
        text=row.text,
        cut_from=row.cut_from,
        answered_at=row.answered_at,
        answered_in_ms=None if took is None else took.total_seconds() * 1000,
        answer_type=row.answer_type,
    )
