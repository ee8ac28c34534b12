"""The audit trail: who did what to which subject, written in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.store import audit_entries
from chargehub.kit.group_commit import BatchStatement

AUDIT = BatchStatement(
    "audit_entries.insert",
    """
    INSERT INTO audit_entries (at, actor, action, subject, facts)
    SELECT at, actor, action, subject, facts::jsonb
    FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[])
         AS u(at, actor, action, subject, facts)
    """,
    order=90,
)
"""For an act that is decided in a batch. Columns: at, actor, action, subject, facts (JSON)."""


async def audit(
    connection: AsyncConnection,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    /,
    **facts: Any,
) -> None:
    """Record an act. `facts` are JSON and hold no secret."""
    await connection.execute(
        audit_entries.insert().values(
            at=at, actor=actor, action=action, subject=subject, facts=facts
        )
    )


async def read_audit(
    connection: AsyncConnection,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    actor: str | None = None,
    subject: str | None = None,
    action: str | None = None,
) -> list[Row[Any]]:
    """Return entries, newest first, after the given (at, id)."""
    query = audit_entries.select().order_by(audit_entries.c.at.desc(), audit_entries.c.id.desc())
    if after is not None:
        query = query.where(tuple_(audit_entries.c.at, audit_entries.c.id) < after)
    for column, value in (
        (audit_entries.c.actor, actor),
        (audit_entries.c.subject, subject),
        (audit_entries.c.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    return list((await connection.execute(query.limit(limit))).all())
