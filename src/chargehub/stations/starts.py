"""Starts from afar that may begin yet: the station is asked, or has accepted, and nothing followed.

Whoever gives a gun away asks here, so that nobody who is plugging in is refused a moment later.
Reads only; when a start is given up is decided with transactions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.stations.commands import CommandOutcome, RequestStartTransaction
from chargehub.stations.store import station_commands

LONGEST = timedelta(minutes=10)
"""Nothing begins later, whatever was forgotten."""
UNANSWERED = timedelta(minutes=4)
"""So long one counts to which no answer came."""


@dataclass(frozen=True, slots=True)
class Starts:
    """The idTokens (lower case) with which guns are about to begin."""

    tokens: dict[tuple[int, int | None], str] = field(default_factory=dict)
    """By station and EVSE; None: the station was left to choose one."""

    def at(self, station_id: int, evse_no: int) -> str | None:
        """Return who is about to begin there; one that names no gun may take any of its station."""
        named = self.tokens.get((station_id, evse_no))
        return named or self.tokens.get((station_id, None))


async def read_starts(
    connection: AsyncConnection, station_ids: Collection[int], now: datetime
) -> Starts:
    commands = station_commands.c
    accepted = (commands.outcome == CommandOutcome.ANSWERED) & (commands.status == "Accepted")
    perhaps = or_(
        and_(commands.outcome == CommandOutcome.UNKNOWN, commands.status.is_(None)),
        commands.outcome == CommandOutcome.TIMEOUT,
    )
    query = (
        select(commands.station_id, commands.evse_no, func.lower(commands.id_token).label("token"))
        .where(
            commands.station_id.in_(station_ids),
            commands.requested_at >= now - LONGEST,
            commands.action == RequestStartTransaction.__name__,
            commands.transaction_id.is_(None),
            or_(
                commands.outcome == CommandOutcome.PENDING,
                accepted,
                perhaps & (commands.requested_at >= now - UNANSWERED),
            ),
        )
        .order_by(commands.requested_at)
    )
    rows = await connection.execute(query)
    return Starts({(row.station_id, row.evse_no): row.token for row in rows})
