"""Tables partitioned by time: makes their partitions ahead of time, and drops those out of date.

The migration makes each such table one for rows of any other time too, `<table>_default`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.tables import metadata

LOCK_TIMEOUT = "4s"
"""What waits for a table's lock makes everybody behind it wait: give up and be tried again."""


def day_start(at: datetime, days_later: int = 0) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=days_later)


def month_start(at: datetime, months_later: int = 0) -> datetime:
    month = at.astimezone(UTC)
    years, index = divmod(month.month - 1 + months_later, 12)
    return datetime(month.year + years, index + 1, 1, tzinfo=UTC)


def partitioned_tables() -> list[Table]:
    """Return the tables that are partitioned, of those that are imported."""
    return [
        table
        for table in metadata.sorted_tables
        if table.dialect_options["postgresql"]["partition_by"]
    ]


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partitions of one table, one for each step of UTC time."""

    table: str
    column: str
    start: Callable[[datetime, int], datetime]
    """Where the step that holds a time begins, or so many steps later."""
    suffix: str
    """How a step is named, for strftime; names sort as their times do."""

    def name(self, begin: datetime) -> str:
        return f"{self.table}_{begin:{self.suffix}}"

    async def ensure(self, connection: AsyncConnection, now: datetime, ahead: int) -> list[str]:
        """Make the partitions of this step and of `ahead` more; return those made.

        Rows of such a step that already landed in the default partition move into it.
        """
        await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        made: list[str] = []
        for later in range(ahead + 1):
            begin, end = self.start(now, later), self.start(now, later + 1)
            name = self.name(begin)
            exists = await connection.scalar(text("SELECT to_regclass(:name)"), {"name": name})
            if exists is None:
                await self._make(connection, name, begin, end)
                made.append(name)
        return made

    async def drop_before(self, connection: AsyncConnection, before: datetime) -> list[str]:
        """Drop the partitions that end before this time; return them.

        Rows of the default partition are deleted: they are few, of a clock that was wrong.
        """
        await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        found = await connection.scalars(
            text(
                "SELECT inhrelid::regclass::text FROM pg_inherits"
                " WHERE inhparent = to_regclass(:table) ORDER BY 1"
            ),
            {"table": self.table},
        )
        # The step that holds `before` still has rows that are kept.
        oldest, default = self.name(self.start(before, 0)), f"{self.table}_default"
        dropped = [name for name in found.all() if name != default and name < oldest]
        for name in dropped:
            await connection.execute(text(f"DROP TABLE {name}"))
        await connection.execute(
            text(f"DELETE FROM {default} WHERE {self.column} < :before"),  # noqa: S608  Our names.
            {"before": before},
        )
        return dropped

    async def _make(
        self, connection: AsyncConnection, name: str, begin: datetime, end: datetime
    ) -> None:
        """Attach a filled table: PostgreSQL refuses a partition whose rows the default one has."""
        table, default = self.table, f"{self.table}_default"
        # Only names made of digits and dates reach the statements that cannot take parameters.
        bounds = f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
        # Nobody adds rows of this step to the default partition between the move and the attach.
        await connection.execute(text(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE"))
        await connection.execute(text(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"))
        await connection.execute(
            text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS)")
        )
        await connection.execute(
            text(
                f"""
                WITH moved AS (
                    DELETE FROM {default}
                    WHERE {self.column} >= :begin AND {self.column} < :end RETURNING *)
                INSERT INTO {name} SELECT * FROM moved
                """  # noqa: S608  The names are our own.
            ),
            {"begin": begin, "end": end},
        )
        await connection.execute(
            text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")
        )
