"""Due rows and the outbox: what must still happen, kept in the transaction that caused it.

A due row is an action with a time on the hub's clock; an outbox row is an event somebody must act
on. One worker drains both, at least once each; actions must therefore be repeatable. Why this and
not a queue library: docs/decisions/0004-due-rows.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnClause,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.kit.group_commit import BatchStatement
from chargehub.kit.tables import metadata

due_actions = Table(
    "due_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Index("ix_due_actions_due_at", "due_at"),
    # The same action on the same subject waits once; scheduling it again moves it. A row that has
    # been acted on is deleted: what it did is its own evidence.
    UniqueConstraint("kind", "subject"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("topic", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("handled_at", DateTime(timezone=True)),
    Column("retry_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Index("ix_outbox_open", "seq", postgresql_where=text("handled_at IS NULL")),
)

SCHEDULE = BatchStatement(
    "due_actions.schedule",
    """
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT DISTINCT ON (kind, subject) kind, subject, due_at, payload::jsonb
    FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[])
         AS u(kind, subject, due_at, payload)
    ORDER BY kind, subject, due_at DESC
    ON CONFLICT (kind, subject)
    DO UPDATE SET due_at = EXCLUDED.due_at, payload = EXCLUDED.payload, attempts = 0
    """,
    order=80,
)
"""Columns: kind, subject, due_at, payload (JSON text). What waits already moves to this time."""

SCHEDULE_ONCE = BatchStatement(
    "due_actions.schedule_once",
    """
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT kind, subject, due_at, payload::jsonb
    FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[])
         AS u(kind, subject, due_at, payload)
    ON CONFLICT (kind, subject) DO NOTHING
    """,
    order=80,
)
"""As SCHEDULE, but what waits already keeps its time."""

POST = BatchStatement(
    "outbox.post",
    """
    INSERT INTO outbox (at, topic, subject, payload)
    SELECT at, topic, subject, payload::jsonb
    FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[])
         AS u(at, topic, subject, payload)
    """,
    order=90,
)
"""Columns: at, topic, subject, payload (JSON text)."""


PRUNE_CHUNK = 5_000
DAILY = "every_day"
"""The subject of actions that schedule themselves again."""


async def schedule_daily(
    connection: AsyncConnection, kinds: Iterable[str], due_at: datetime
) -> None:
    """Make sure that each kind has its one row; one that waits already keeps its time."""
    for kind in kinds:
        await schedule_once(connection, kind, [DAILY], due_at)


async def schedule_once(
    connection: AsyncConnection, kind: str, subjects: Iterable[object], due_at: datetime
) -> None:
    """Have the action due for each subject; one that waits already keeps its time."""
    rows = [{"kind": kind, "subject": str(subject), "due_at": due_at} for subject in subjects]
    if rows:
        await connection.execute(insert(due_actions).values(rows).on_conflict_do_nothing())


async def schedule_another(
    connection: AsyncConnection,
    kind: str,
    subjects: Iterable[object],
    due_at: datetime,
    now: datetime,
) -> None:
    """As `schedule_once`, but what is due by now may be under way already, and is done again."""
    rows = [{"kind": kind, "subject": str(subject), "due_at": due_at} for subject in subjects]
    if rows:
        row = insert(due_actions).values(rows)
        await connection.execute(
            row.on_conflict_do_update(
                index_elements=["kind", "subject"],
                set_={"due_at": due_at, "attempts": 0},
                where=due_actions.c.due_at <= now,
            )
        )


async def schedule(connection: AsyncConnection, kind: str, subject: str, due_at: datetime) -> None:
    """Have the action due at this time, moved where it waits already, and again where it runs."""
    row = insert(due_actions).values(kind=kind, subject=subject, due_at=due_at)
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=["kind", "subject"], set_={"due_at": due_at, "attempts": 0}
        )
    )


async def schedule_earliest(
    connection: AsyncConnection, kind: str, subject: str, due_at: datetime
) -> None:
    """Have the action due at this time at the latest: what waits for an earlier one keeps that."""
    row = insert(due_actions).values(kind=kind, subject=subject, due_at=due_at)
    earliest = func.least(due_actions.c.due_at, row.excluded.due_at)
    await connection.execute(
        row.on_conflict_do_update(index_elements=["kind", "subject"], set_={"due_at": earliest})
    )


async def post(connection: AsyncConnection, topic: str, subject: str, at: datetime) -> None:
    """Tell the worker of an event, in the transaction that caused it."""
    await connection.execute(insert(outbox).values(at=at, topic=topic, subject=subject, payload={}))


async def postpone(connection: AsyncConnection, kind: str, subject: str, due_at: datetime) -> None:
    """Give the row that is being acted on another time, so that it stays."""
    await connection.execute(
        due_actions.update()
        .where(due_actions.c.kind == kind, due_actions.c.subject == subject)
        .values(due_at=due_at, attempts=0)
    )


async def drop(connection: AsyncConnection, kind: str, subject: str) -> None:
    """Take back an action that has no sense any more."""
    await connection.execute(
        delete(due_actions).where(due_actions.c.kind == kind, due_actions.c.subject == subject)
    )


async def prune(
    database: Database, column: Column[datetime], before: datetime, chunk: int = PRUNE_CHUNK
) -> int:
    """Delete its table's rows whose `column` is before that time; return how many.

    In chunks of a transaction each: one for all would hold locks for minutes.
    """
    table, total = column.table, 0
    place: ColumnClause[str] = literal_column("ctid")
    old = select(place).select_from(table).where(column < before).limit(chunk)
    while True:
        async with database.write() as connection:
            deleted = await connection.execute(
                delete(table).where(place == func.any(func.array(old.scalar_subquery())))
            )
        total += deleted.rowcount
        if deleted.rowcount < chunk:
            return total
