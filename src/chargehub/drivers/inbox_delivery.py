"""How a message reaches a phone: its number in the stream, and the channels beside the inbox.

The worker acts on the outbox row of each message, at least once. In-app delivery comes first and
always: the message is given its number in the stream, in the order of COMMIT, so that no stream
can pass one by. In the same transaction each further channel is given an outbox row of its own,
and fails and is tried again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.inbox import POSTED, facts_of, read_message
from chargehub.drivers.inbox_feed import InboxFeed
from chargehub.drivers.inbox_texts import is_useful, render
from chargehub.drivers.store import drivers, inbox_messages, inbox_seq
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.worker import OutboxAction

log = structlog.get_logger(__name__)

SEND_TIMEOUT_S = 10.0
# Any constant will do, as long as it is always the same one.
NUMBERING = 7_204_118_655

SENT = Counter(
    "chargehub_notifications_total",
    "Messages to drivers beside the inbox: sent, or not any more (read, late, gone)",
    ["channel", "end"],
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message in the driver's words, as a channel sends it."""

    message_id: int
    driver_id: UUID
    kind: str
    title: str
    text: str
    language: str
    at: datetime


class NotificationChannel(Protocol):
    """The port to text messages and push services; the in-app inbox needs no adapter."""

    @property
    def name(self) -> str:
        """A word that no other channel has."""

    async def send(self, notice: Notice) -> None:
        """Send it, within ten seconds; raise to be asked again later.

        The same notice may come twice: `message_id` tells.
        """


class DevelopmentChannel:
    """Shows in the log what would be sent. In a demo only: a log is no place for messages."""

    name = "development"

    async def send(self, notice: Notice) -> None:
        log.info(
            "notification_not_sent",
            driver_id=str(notice.driver_id),
            kind=notice.kind,
            title=notice.title,
            text=notice.text,
        )


@dataclass(frozen=True, slots=True)
class InboxDelivery:
    database: Database
    clock: HubClock
    feed: InboxFeed
    channels: Sequence[NotificationChannel] = ()

    @classmethod
    def build(
        cls, database: Database, clock: HubClock, streams: tuple[int, int], *, demo: bool
    ) -> InboxDelivery:
        """Put it together; `streams`: open at once at most, in all and of one driver."""
        feed = InboxFeed(database, streams_max=streams[0], streams_of_driver=streams[1])
        return cls(database, clock, feed, [DevelopmentChannel()] if demo else [])

    def topics(self) -> Mapping[str, OutboxAction]:
        """Return the worker's actions."""
        return {POSTED: self._deliver, **{_topic(one): self._through(one) for one in self.channels}}

    async def _deliver(self, subject: str, _payload: dict[str, Any]) -> None:
        whose = select(inbox_messages.c.driver_id).where(inbox_messages.c.id == int(subject))
        async with self.database.write() as connection:
            driver_id = await connection.scalar(whose)
            if driver_id is None:
                return
            # Held until COMMIT: numbers become visible in their order.
            await connection.execute(select(func.pg_advisory_xact_lock(NUMBERING)))
            for message_id in await _number(connection, driver_id):
                for channel in self.channels:
                    await jobs.post(connection, _topic(channel), str(message_id), self.clock.now())
        self.feed.wake(driver_id)

    def _through(self, channel: NotificationChannel) -> OutboxAction:
        async def send(subject: str, _payload: dict[str, Any]) -> None:
            notice = await self._notice(int(subject))
            if notice is None:
                SENT.labels(channel.name, "obsolete").inc()
                return
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await channel.send(notice)
            SENT.labels(channel.name, "sent").inc()

        return send

    async def _notice(self, message_id: int) -> Notice | None:
        """Return what to send; None once it was read, came too late, or the account is closed."""
        async with self.database.read() as connection:
            row = await read_message(connection, message_id)
            if row is None or row.read_at is not None:
                return None
            account = select(drivers.c.language).where(
                drivers.c.id == row.driver_id, drivers.c.closed_at.is_(None)
            )
            language = await connection.scalar(account)
        if language is None or not is_useful(row.kind, row.at, self.clock.now()):
            return None
        title, text = render(row.kind, facts_of(row), language)
        return Notice(row.id, row.driver_id, row.kind, title, text, language, row.at)


async def _number(connection: AsyncConnection, driver_id: UUID) -> Sequence[int]:
    """Number what a driver was told and no stream has said yet, by id; return the ids.

    All of it, not one message: the worker acts on several at once, in any order.
    """
    message = inbox_messages.c
    waiting = (
        select(message.id)
        .where(message.driver_id == driver_id, message.seq.is_(None))
        .order_by(message.id)
        .subquery()
    )
    numbers = select(waiting.c.id, inbox_seq.next_value().label("seq")).subquery()
    numbered = await connection.scalars(
        update(inbox_messages)
        .where(message.id == numbers.c.id)
        .values(seq=numbers.c.seq)
        .returning(message.id)
    )
    return numbered.all()


def _topic(channel: NotificationChannel) -> str:
    return f"inbox.{channel.name}"
