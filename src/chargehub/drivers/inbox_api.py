"""REST of the inbox: a driver's messages, marking them read, and the stream of new ones."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Row, select

from chargehub.drivers.inbox import (
    count_unread,
    facts_of,
    mark_all_read,
    mark_read,
    read_messages,
)
from chargehub.drivers.inbox_feed import InboxFeed, InboxReader
from chargehub.drivers.inbox_kinds import CHINESE
from chargehub.drivers.inbox_texts import LOCALES, choose_language, render
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.principal import DRIVER_GUARDS, Driver
from chargehub.drivers.store import drivers
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.event_stream import EventStream, TooManyStreams
from chargehub.kit.fields import RowId
from chargehub.kit.http import API_PREFIX, TooManyRequests, problems, provided
from chargehub.kit.paging import (
    InvalidCursor,
    Page,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)

router = APIRouter(prefix=f"{API_PREFIX}/inbox", tags=["Inbox"])

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
Feed = Annotated[InboxFeed, Depends(provided(InboxFeed))]
Logins = Annotated[DriverLogins, Depends(provided(DriverLogins))]

STREAM_EXAMPLE = """\
retry: 2000

id: 41
event: state
data: {"unread":2}

id: 42
data: {"id":57,"kind":"your_turn","title":"轮到您了","text":"...","facts":{},"at":"..."}

: beat
"""


class InboxMessage(BaseModel):
    id: int
    kind: str = Field(examples=["your_turn"])
    title: str = Field(description="In the reader's language.", examples=["轮到您了"])
    text: str = Field(examples=["排队已叫到您，请在11月23日19:45前到场插枪，过号需重新排队。"])
    facts: dict[str, Any] = Field(
        description="What the text is made of; ids to open what it is about.",
        examples=[{"until": "2026-11-23T11:45:00+00:00", "gun_code": "A12"}],
    )
    at: datetime
    read_at: datetime | None


class InboxPage(Page[InboxMessage]):
    unread: int = Field(description="Of all messages, not of this page.", examples=[2])


class InboxState(BaseModel):
    unread: int = Field(examples=[1])


class InboxQuery(PageQuery):
    unread: bool = Field(default=False, description="Only what was not read.")


async def language_of(
    principal: Driver,
    database: Db,
    accept_language: Annotated[
        str | None,
        Header(
            max_length=200,
            description="zh or en; without either the driver's own.",
            examples=["zh-CN,zh;q=0.9,en;q=0.8"],
        ),
    ] = None,
) -> str:
    """Return the language that the request accepts, else the driver's own."""
    async with database.read() as connection:
        query = select(drivers.c.language).where(drivers.c.id == principal.driver_id)
        own = await connection.scalar(query)
    return choose_language(accept_language, own or CHINESE)


Language = Annotated[str, Depends(language_of)]


def _view(row: Row[Any], language: str) -> InboxMessage:
    facts = facts_of(row)
    title, text = render(row.kind, facts, language)
    return InboxMessage(
        id=row.id,
        kind=row.kind,
        title=title,
        text=text,
        facts=facts,
        at=row.at,
        read_at=row.read_at,
    )


def _line(language: str, row: Row[Any]) -> bytes:
    return _view(row, language).model_dump_json().encode()


@router.get("", responses=problems(*DRIVER_GUARDS, InvalidCursor))
async def list_inbox(
    principal: Driver,
    language: Language,
    database: Db,
    query: Annotated[InboxQuery, Query()],
    response: Response,
) -> InboxPage:
    """List one's messages, the newest first."""
    after = decode_cursor("inbox", query.cursor, int)
    async with database.read() as connection:
        rows = await read_messages(
            connection,
            principal.driver_id,
            after=after[0] if after else None,
            limit=query.limit + 1,
            unread=query.unread,
        )
        unread = await count_unread(connection, principal.driver_id)
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("inbox", row.id))
    response.headers["Content-Language"] = LOCALES[language]
    return InboxPage(
        items=[_view(row, language) for row in page], next_cursor=following, unread=unread
    )


@router.post("/{message_id}/read", responses=problems(*DRIVER_GUARDS, NotFound))
async def read_inbox_message(
    message_id: Annotated[RowId, Path()], principal: Driver, database: Db, clock: Clock
) -> InboxState:
    """Mark a message as read; doing it again changes nothing."""
    async with database.write() as connection:
        await mark_read(connection, principal.driver_id, message_id, clock.now())
        return InboxState(unread=await count_unread(connection, principal.driver_id))


@router.post("/read-all", responses=problems(*DRIVER_GUARDS))
async def read_whole_inbox(
    principal: Driver,
    database: Db,
    clock: Clock,
    up_to: Annotated[
        RowId | None,
        Query(description="The newest message shown, so that a later one stays unread."),
    ] = None,
) -> InboxState:
    """Mark all messages as read, or those up to one."""
    async with database.write() as connection:
        await mark_all_read(connection, principal.driver_id, clock.now(), up_to)
        return InboxState(unread=await count_unread(connection, principal.driver_id))


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `state`, then each new message once, and comments "
            "when quiet. After `Last-Event-ID` it goes on with what was missed.",
            "content": {"text/event-stream": {"example": STREAM_EXAMPLE}},
        },
        **problems(*DRIVER_GUARDS, TooManyRequests, TooManyStreams),
    },
)
async def stream_inbox(
    principal: Driver,
    language: Language,
    feed: Feed,
    logins: Logins,
    *,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    after: Annotated[
        str | None,
        Query(max_length=64, description="Last-Event-ID, for clients that cannot set a header."),
    ] = None,
) -> Response:
    """Stream one's messages as they come; ends with the login."""
    feed.limit.check_room(principal.driver_id)

    async def login_good() -> bool:
        return await logins.principal_of(principal.token_hash) is not None

    reader = InboxReader(feed, principal.driver_id, login_good, partial(_line, language))
    return EventStream(
        reader.events(last_event_id or after),
        attached=partial(feed.attached, principal.driver_id),
        stall_s=feed.stall_s,
        stalled=feed.stalled,
    )
