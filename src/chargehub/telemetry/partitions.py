"""The months of the sample table: makes partitions ahead of time, and only that."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 2


def month_start(at: datetime, months_later: int = 0) -> datetime:
    month = at.astimezone(UTC)
    years, index = divmod(month.month - 1 + months_later, 12)
    return datetime(month.year + years, index + 1, 1, tzinfo=UTC)


def partition_name(month: datetime) -> str:
    return f"samples_{month:%Y_%m}"


async def ensure_partitions(
    connection: AsyncConnection, now: datetime, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Make the partitions of this month and of `months_ahead` more; return those made.

    Samples of such a month that already landed in the default partition move into it.
    """
    await connection.execute(text("SET LOCAL lock_timeout = '4s'"))
    made: list[str] = []
    for later in range(months_ahead + 1):
        begin, end = month_start(now, later), month_start(now, later + 1)
        name = partition_name(begin)
        exists = await connection.scalar(text("SELECT to_regclass(:name)"), {"name": name})
        if exists is None:
            await _make(connection, name, begin, end)
            made.append(name)
    return made


async def _make(connection: AsyncConnection, name: str, begin: datetime, end: datetime) -> None:
    """Attach a filled table: PostgreSQL refuses a partition whose rows the default one holds."""
    span = {"begin": begin, "end": end}
    # Only names made of digits and dates reach the statements that cannot take parameters.
    bounds = f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
    # Nobody adds rows of this month to the default partition between the move and the attach.
    await connection.execute(text("LOCK TABLE samples IN SHARE UPDATE EXCLUSIVE MODE"))
    await connection.execute(text("LOCK TABLE samples_default IN ACCESS EXCLUSIVE MODE"))
    await connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE samples INCLUDING DEFAULTS)")
    )
    await connection.execute(
        text(
            f"""
            WITH moved AS (
                DELETE FROM samples_default
                WHERE sampled_at >= :begin AND sampled_at < :end RETURNING *)
            INSERT INTO {name} SELECT * FROM moved
            """  # noqa: S608  The name is made above, of digits.
        ),
        span,
    )
    await connection.execute(
        text(f"ALTER TABLE samples ATTACH PARTITION {name} FOR VALUES {bounds}")
    )
