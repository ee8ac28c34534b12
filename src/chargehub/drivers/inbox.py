"""The inbox: what a driver is told, written in the transaction that made it true.

Owns the writing and the reading of messages; how they reach a phone is `inbox_delivery`, their
words are `inbox_texts`. Times are hub time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.inbox_texts import check
from chargehub.drivers.store import inbox_messages
from chargehub.kit import jobs
from chargehub.kit.errors import NotFound
from chargehub.stations.store import locations

POSTED = "inbox.posted"
"""Topic of the outbox: a message is there to be delivered; the subject is its id."""

Rows = Sequence[Row[Any]]


async def notify(
    connection: AsyncConnection,
    driver_id: UUID,
    kind: str,
    facts: Mapping[str, Any],
    at: datetime,
    *,
    key: str | None = None,
) -> bool:
    """Tell a driver, once for each key, in the caller's transaction; False: they were told before.

    `kind` and the facts it needs are those of `inbox_kinds.KINDS`; a `location_id` among them
    gives the texts the Location's name and time zone. Times and UUIDs are taken as they are.
    Raises UnknownMessage where nobody could word it.
    """
    check(kind, facts)
    plain = json.loads(json.dumps(dict(facts), default=_plain))
    posted = await connection.execute(
        insert(inbox_messages)
        .values(driver_id=driver_id, kind=kind, facts=plain, at=at, key=key)
        .on_conflict_do_nothing()
        .returning(inbox_messages.c.id)
    )
    message_id = posted.scalar_one_or_none()
    if message_id is not None:
        await jobs.post(connection, POSTED, str(message_id), at)
    return message_id is not None


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no fact can be a {type(value).__name__}")


def _messages() -> Select[Any]:
    place = inbox_messages.c.facts["location_id"].astext
    return select(
        inbox_messages, locations.c.name.label("location"), locations.c.time_zone
    ).outerjoin(locations, locations.c.id == place)


def facts_of(row: Row[Any]) -> dict[str, Any]:
    """Return what the texts are made of: the message's facts, and its Location's of now."""
    named = {"location": row.location, "time_zone": row.time_zone}
    return {**row.facts, **{name: value for name, value in named.items() if value is not None}}


async def read_messages(
    connection: AsyncConnection,
    driver_id: UUID,
    *,
    after: int | None,
    limit: int | None,
    unread: bool = False,
) -> Rows:
    """Return a driver's messages, the newest first."""
    query = _messages().where(inbox_messages.c.driver_id == driver_id)
    if after is not None:
        query = query.where(inbox_messages.c.id < after)
    if unread:
        query = query.where(inbox_messages.c.read_at.is_(None))
    query = query.order_by(inbox_messages.c.id.desc()).limit(limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_message(connection: AsyncConnection, message_id: int) -> Row[Any] | None:
    query = _messages().where(inbox_messages.c.id == message_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


async def count_unread(connection: AsyncConnection, driver_id: UUID) -> int:
    query = select(func.count()).where(
        inbox_messages.c.driver_id == driver_id, inbox_messages.c.read_at.is_(None)
    )
    return await connection.scalar(query) or 0


async def read_delivered(
    connection: AsyncConnection, driver_id: UUID, after: int, limit: int
) -> Rows:
    """Return what the stream says after its number `after`, the oldest first."""
    query = _messages().where(inbox_messages.c.driver_id == driver_id, inbox_messages.c.seq > after)
    query = query.order_by(inbox_messages.c.seq).limit(limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_newest_seq(connection: AsyncConnection, driver_id: UUID) -> int:
    query = select(func.max(inbox_messages.c.seq)).where(inbox_messages.c.driver_id == driver_id)
    return await connection.scalar(query) or 0


async def mark_read(
    connection: AsyncConnection, driver_id: UUID, message_id: int, at: datetime
) -> None:
    """Mark a message as read; it stays read from the first time. NotFound where it is not hers."""
    marked = await connection.execute(
        update(inbox_messages)
        .where(inbox_messages.c.id == message_id, inbox_messages.c.driver_id == driver_id)
        .values(read_at=func.coalesce(inbox_messages.c.read_at, at))
    )
    if not marked.rowcount:
        raise NotFound("There is no such message.")


async def mark_all_read(
    connection: AsyncConnection, driver_id: UUID, at: datetime, up_to: int | None = None
) -> None:
    """Mark all messages as read, or those up to one: what came after it was not seen yet."""
    query = update(inbox_messages).where(
        inbox_messages.c.driver_id == driver_id, inbox_messages.c.read_at.is_(None)
    )
    if up_to is not None:
        query = query.where(inbox_messages.c.id <= up_to)
    await connection.execute(query.values(read_at=at))


async def forget_inbox(connection: AsyncConnection, driver_id: UUID) -> None:
    """Delete a driver's messages, whose account is closed."""
    await connection.execute(delete(inbox_messages).where(inbox_messages.c.driver_id == driver_id))


async def hand_over_inbox(connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
    """Give a guest's messages to the account they have; what it was told under the key stays."""
    told = inbox_messages.alias("told")
    known = select(told.c.key).where(told.c.driver_id == driver_id, told.c.key.is_not(None))
    of_guest = inbox_messages.c.driver_id == guest_id
    await connection.execute(
        delete(inbox_messages).where(of_guest, inbox_messages.c.key.in_(known))
    )
    await connection.execute(update(inbox_messages).where(of_guest).values(driver_id=driver_id))
