"""A driver's mail in a test: what is told, how it is delivered, and a reader of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import delete

from chargehub.drivers.inbox import notify
from chargehub.drivers.inbox_delivery import InboxDelivery, Notice
from chargehub.drivers.inbox_feed import InboxFeed
from chargehub.drivers.store import inbox_messages
from chargehub.kit.jobs import outbox
from chargehub.kit.worker import Worker
from tests.hub_fixtures import eventually
from tests.integration.api.conftest import RunningApi
from tests.live_client import EventReader, StreamEvent

DEADLINE_S = 25.0
TURN = {"until": "2026-11-23T11:45:00+00:00", "gun_code": "A12"}


class Post:
    """A channel that a test can let fail."""

    name = "post"

    def __init__(self) -> None:
        self.sent: list[Notice] = []
        self.failures = 0

    async def send(self, notice: Notice) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no network")
        self.sent.append(notice)


class Mail:
    """One server's delivery of messages, and a driver who waits for them."""

    def __init__(self, api: RunningApi) -> None:
        self.api = api
        self.feed: InboxFeed = api.app.state.parts[InboxFeed]
        self.post = Post()
        self.delivery = InboxDelivery(api.database, api.clock, self.feed, [self.post])
        self.worker = Worker(api.database, api.clock, {}, self.delivery.topics())

    async def tell(
        self, driver_id: UUID, kind: str = "your_turn", key: str | None = None, **facts: Any
    ) -> None:
        async with self.api.database.write() as connection:
            at = self.api.clock.now()
            await notify(connection, driver_id, kind, TURN | facts, at, key=key)

    async def deliver(self) -> None:
        """Do what the worker does, until nothing is open."""
        while await self.worker.run_once():
            pass


@asynccontextmanager
async def mail_of(api: RunningApi) -> AsyncIterator[Mail]:
    """Yield the mail, and leave the tables as they were."""
    mail = Mail(api)
    yield mail
    await eventually(lambda: mail.feed.limit.streams == 0)
    async with api.database.write() as connection:
        await connection.execute(delete(inbox_messages))
        await connection.execute(delete(outbox))


@asynccontextmanager
async def stream(
    client: httpx.AsyncClient, last_event_id: str | None = None, **headers: str
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    async with client.stream("GET", "/inbox/stream", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield events(response)


async def events(response: httpx.Response) -> AsyncIterator[StreamEvent]:
    reader = EventReader()
    async for chunk in response.aiter_bytes():
        for event in reader.feed(chunk):
            yield event


async def take(stream: AsyncIterator[StreamEvent], count: int) -> list[StreamEvent]:
    async with asyncio.timeout(DEADLINE_S):
        return [await anext(stream) for _ in range(count)]
