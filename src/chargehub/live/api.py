"""The live stream and the board's snapshot over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from chargehub.access.principal import SESSION_COOKIE, Viewer
from chargehub.access.service import AccessService
from chargehub.kit.errors import Forbidden, InvalidInput, Unauthenticated
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.live.board import TOPICS
from chargehub.live.feed import LiveFeed, TooManyViewers
from chargehub.live.frames import Topics
from chargehub.live.stream import LiveResponse, LoginCheck, frames

router = APIRouter(prefix=API_PREFIX, tags=["Live"])

Feed = Annotated[LiveFeed, Depends(provided(LiveFeed))]

STREAM_EXAMPLE = """\
retry: 2000

id: 18c2f5a1-41
event: snapshot
data: {"at":"2026-11-23T06:10:00Z","rate":1.0,"layout":{},"board":{},"power":{}}

id: 18c2f5a1-42
data: {"at":"2026-11-23T06:10:01Z","power":{"evses":[{"id":"17-1","power_w":98000}]}}

: beat
id: 18c2f5a1-42
event: beat
data: {"at":"2026-11-23T06:10:03Z"}
"""


class UnknownTopic(InvalidInput):
    """The live stream has no such topic."""

    code = "unknown-topic"


class LiveLocation(BaseModel):
    id: str = Field(examples=["quzhou-hub"])
    name: str
    time_zone: str = Field(examples=["Asia/Shanghai"])


class LiveEvseLayout(BaseModel):
    id: str = Field(description="`<station id>-<evse_no>`", examples=["17-1"])
    evse_no: int
    gun_code: str = Field(description="Printed on the gun's label.")
    max_power_w: int


class LiveStationLayout(BaseModel):
    id: int
    identity: str = Field(examples=["QZ-017"])
    name: str
    location_id: str
    max_power_w: int
    evses: list[LiveEvseLayout]


class LiveLayout(BaseModel):
    locations: list[LiveLocation]
    stations: list[LiveStationLayout]


class LiveStation(BaseModel):
    id: int
    online: bool
    since: datetime | None = Field(description="When it came online or went offline.")
    status: str = Field(description="What it said of itself as a whole.", examples=["Available"])
    error: str | None


class LiveEvse(BaseModel):
    id: str = Field(examples=["17-1"])
    status: str = Field(
        description="The last status told, also while the station is offline.",
        examples=["Charging"],
    )
    since: datetime | None
    error: str | None
    transaction_id: int | None
    started_at: datetime | None


class LiveHub(BaseModel):
    stations: int
    stations_online: int
    evses_by_state: dict[str, int] = Field(
        description="By status, with `Offline` for EVSEs of offline stations.",
        examples=[{"Available": 80, "Charging": 100, "Offline": 2}],
    )
    transactions_active: int
    transactions_today: dict[str, int] = Field(
        description="Started in the hub's local day, by Location.", examples=[{"quzhou-hub": 412}]
    )


class LiveBoard(BaseModel):
    stations: list[LiveStation]
    evses: list[LiveEvse]
    hub: LiveHub


class LiveEvsePower(BaseModel):
    id: str = Field(examples=["17-1"])
    power_w: int | None
    energy_wh: int | None
    soc_percent: float | None


class LiveHubPower(BaseModel):
    power_w: int = Field(description="Sum over EVSEs of online stations.")
    energy_today_wh: dict[str, int] = Field(
        description="Of the transactions that started today, by Location.",
        examples=[{"quzhou-hub": 9_876_543}],
    )


class LivePower(BaseModel):
    evses: list[LiveEvsePower]
    hub: LiveHubPower


class LiveSnapshot(BaseModel):
    """The board whole. A stream's frame has the same `board` and `power` with changed items."""

    id: str = Field(description="The frame this includes.", examples=["18c2f5a1-41"])
    at: datetime = Field(description="The hub's time.")
    rate: float = Field(description="Hub seconds per wall second.")
    layout: LiveLayout
    board: LiveBoard
    power: LivePower


async def login_check(
    connection: HTTPConnection,
    _principal: Viewer,
    service: Annotated[AccessService, Depends(provided(AccessService))],
) -> LoginCheck:
    """Demand a login and return the question whether it still holds."""
    scheme, bearer = get_authorization_scheme_param(connection.headers.get("authorization"))
    token = bearer if scheme.lower() == "bearer" else connection.cookies.get(SESSION_COOKIE, "")

    async def login_good() -> bool:
        return await service.authenticate(token) is not None

    return login_good


def _read_topics(text: str) -> Topics:
    topics = frozenset(topic for topic in text.split(",") if topic)
    unknown = topics - TOPICS
    if unknown or not topics:
        raise UnknownTopic(f"Topics are {', '.join(sorted(TOPICS))}.", topics=sorted(TOPICS))
    return topics


@router.get(
    "/live",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `snapshot`, then changes, and a `beat` when quiet.",
            "content": {"text/event-stream": {"example": STREAM_EXAMPLE}},
        },
        **problems(Unauthenticated, Forbidden, UnknownTopic, TooManyViewers),
    },
)
async def stream_live(
    feed: Feed,
    login_good: Annotated[LoginCheck, Depends(login_check)],
    topics: Annotated[str, Query(max_length=200, examples=["board,power"])] = "board,power",
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    after: Annotated[
        str | None,
        Query(max_length=64, description="Last-Event-ID, for clients that cannot set a header."),
    ] = None,
) -> Response:
    """Stream the board: a snapshot, then only what changes; resumes after `Last-Event-ID`."""
    chosen = _read_topics(topics)
    feed.check_room()
    return LiveResponse(frames(feed, chosen, last_event_id or after, login_good), feed)


@router.get(
    "/live/snapshot",
    response_model=LiveSnapshot,
    responses=problems(Unauthenticated, Forbidden),
)
async def read_live_snapshot(_principal: Viewer, feed: Feed) -> Response:
    """Return the board as it is now."""
    return Response(feed.board.snapshot(), media_type="application/json")
