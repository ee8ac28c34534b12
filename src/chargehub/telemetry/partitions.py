"""The months of the sample table: makes partitions ahead of time. Samples are kept for ever."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.partitions import Partitions, month_start

MONTHS_AHEAD = 2
MONTHS = Partitions("samples", "sampled_at", month_start, "%Y_%m")


async def ensure_partitions(
    connection: AsyncConnection, now: datetime, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Make the partitions of this month and of `months_ahead` more; return those made."""
    return await MONTHS.ensure(connection, now, months_ahead)
