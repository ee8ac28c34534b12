"""The rows of commands that wait for their station: replaced, cancelled, claimed, expired, read.

Each step is a part of its caller's transaction and goes by the row alone: of two who want the same
command the second finds that it no longer waits. Who delivers them is `command_queue`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.errors import NotFound
from chargehub.stations.commands import Command, CommandNotQueued, CommandOutcome
from chargehub.stations.dispatch import action_of, payload_of
from chargehub.stations.store import station_commands

_commands = station_commands.c
_waits = _commands.outcome == CommandOutcome.QUEUED
_has_left = _commands.outcome == CommandOutcome.PENDING
_WITHOUT_LEAVING = frozenset(
    (
        CommandOutcome.QUEUED,
        CommandOutcome.REPLACED,
        CommandOutcome.CANCELLED,
        CommandOutcome.EXPIRED,
    )
)


async def count_waiting(connection: AsyncConnection, station_id: int) -> int:
    query = select(func.count()).where(_commands.station_id == station_id, _waits)
    return await connection.scalar(query) or 0


async def replace_waiting(
    connection: AsyncConnection, station_id: int, targets: list[str], by: UUID, at: datetime
) -> int:
    """End what waits for the station and is for nothing but these targets; return how many."""
    replaced = await connection.execute(
        update(station_commands)
        .where(
            _commands.station_id == station_id,
            _waits,
            _commands.targets.contained_by(targets),
        )
        .values(outcome=CommandOutcome.REPLACED, completed_at=at, answer={"replaced_by": str(by)})
    )
    return replaced.rowcount


async def cancel_waiting(
    connection: AsyncConnection, station_id: int, command_id: UUID, at: datetime
) -> Row[Any]:
    """End a command that still waits. Raises NotFound, CommandNotQueued."""
    mine = (_commands.id == command_id) & (_commands.station_id == station_id)
    found = await connection.execute(select(_commands.outcome).where(mine))
    outcome = found.scalar_one_or_none()
    if outcome is None:
        raise NotFound("There is no such command.")
    cancelled = await connection.execute(
        update(station_commands)
        .where(mine, _waits)
        .values(outcome=CommandOutcome.CANCELLED, completed_at=at)
        .returning(station_commands)
    )
    row: Row[Any] | None = cancelled.one_or_none()
    if row is None:
        raise CommandNotQueued(outcome=outcome)
    return row


async def claim_oldest(
    connection: AsyncConnection, station_id: int, at: datetime
) -> Row[Any] | None:
    """Mark the next command of the station as about to leave; None where nothing waits."""
    oldest = (
        select(_commands.id)
        .where(
            _commands.station_id == station_id,
            _waits,
            func.coalesce(_commands.expires_at > at, true()),
        )
        .order_by(_commands.seq)
        .limit(1)
        # One that is being cancelled or replaced is waited for, and passed over then.
        .with_for_update()
        .scalar_subquery()
    )
    claimed = await connection.execute(
        update(station_commands)
        .where(_commands.id == oldest)
        .values(outcome=CommandOutcome.PENDING)
        .returning(station_commands)
    )
    row: Row[Any] | None = claimed.one_or_none()
    return row


async def expire_waiting(connection: AsyncConnection, station_id: int, at: datetime) -> int:
    """End what nobody came for in time; return how many."""
    expired = await connection.execute(
        update(station_commands)
        .where(_commands.station_id == station_id, _waits, _commands.expires_at <= at)
        .values(outcome=CommandOutcome.EXPIRED, completed_at=at)
    )
    return expired.rowcount


async def read_next_expiry(connection: AsyncConnection, station_id: int) -> datetime | None:
    """Return when the next command expires that waits, or may come back unsent."""
    query = select(func.min(_commands.expires_at)).where(
        _commands.station_id == station_id, or_(_waits, _has_left)
    )
    expires_at: datetime | None = await connection.scalar(query)
    return expires_at


async def read_unsent(connection: AsyncConnection, command_id: UUID) -> CommandOutcome | None:
    """Return what has become of a command that has not left; None where it has."""
    outcome = await connection.scalar(select(_commands.outcome).where(_commands.id == command_id))
    return CommandOutcome(outcome) if outcome in _WITHOUT_LEAVING else None


async def read_queue(connection: AsyncConnection, station_id: int) -> list[Row[Any]]:
    """Return what waits for a station or is under way, in the order of delivery."""
    rows = await connection.execute(
        select(station_commands)
        .where(
            _commands.station_id == station_id,
            _commands.durable,
            or_(_waits, _has_left),
        )
        .order_by(_commands.seq)
    )
    return list(rows)


async def waits_already(connection: AsyncConnection, station_id: int, command: Command) -> bool:
    """Say whether this very command waits for the station, whoever asked for it."""
    query = select(_commands.id).where(
        _commands.station_id == station_id,
        _waits,
        _commands.action == action_of(command),
        _commands.payload == payload_of(command),
    )
    return await connection.scalar(query.limit(1)) is not None


async def drop_queue(connection: AsyncConnection, station_id: int, at: datetime) -> None:
    """Cancel all that waits for a station which will never come back."""
    await connection.execute(
        update(station_commands)
        .where(_commands.station_id == station_id, _waits)
        .values(outcome=CommandOutcome.CANCELLED, completed_at=at)
    )
