"""Commands to locks as rows: made, replaced, ended. Each in the caller's transaction.

Whoever changes a bay's commands holds the bay's row; so a lock has one open command at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.rules import Cause, LockAction, LockState, Outcome, Why
from chargehub.bays.store import bay_commands, bays
from chargehub.kit import jobs
from chargehub.kit.errors import Conflict, NotFound

LOOK = "bays.look"
"""Judges all bays; subject: ALL."""
ALL = "all"
READ = "bays.read"
"""Asks a bay's devices how they are; subject: the bay's id."""
SEND = "bays.send"
"""Sends a command; subject: its id."""
ANSWER_DUE = "bays.answer_due"
"""Asks about a command whose lock told nothing; subject: its id."""
SEND_WITHIN = timedelta(minutes=1)
"""Later than this a command is not sent any more: whoever asked for it has gone on."""
C = bay_commands.c


class LockBusy(Conflict):
    """The lock is doing something else; wait until it has ended."""

    code = "lock-busy"


class NoLock(Conflict):
    """The bay has no ground lock."""

    code = "no-lock"


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants a lock to do what."""

    action: LockAction
    cause: Cause
    requested_by: str
    driver_id: UUID | None = None
    reason: str | None = None
    forced: bool = False


async def lock_bay(connection: AsyncConnection, bay_id: int) -> Row[Any]:
    """Return a bay in service, locked. Raises NotFound."""
    query = select(bays).where(bays.c.id == bay_id, bays.c.removed_at.is_(None))
    row: Row[Any] | None = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound("There is no such bay.")
    return row


async def command_lock(
    connection: AsyncConnection, bay: Row[Any], ask: Ask, now: datetime
) -> Row[Any]:
    """Make the command, or return the open one that does the same. `bay` is locked.

    Lowering takes the place of raising; raising waits (LockBusy). Raises NoLock.
    """
    if bay.lock_device is None:
        raise NoLock
    found = await find_open(connection, bay.id)
    if found is not None:
        if found.action == ask.action and found.driver_id == ask.driver_id:
            return found
        if ask.action is LockAction.RAISE:
            raise LockBusy(command_id=str(found.id))
        await finish(connection, found.id, Outcome.SUPERSEDED, Why.OTHER_COMMAND, now)
    rising = found is not None and found.action == LockAction.RAISE
    there = ask.action is LockAction.LOWER and bay.lock_state == LockState.LOWERED and not rising
    row = await _insert(connection, bay.id, ask, now)
    if there:
        return await finish(connection, row.id, Outcome.DONE, Why.ALREADY, now)
    await jobs.schedule(connection, SEND, str(row.id), now)
    return row


async def _insert(connection: AsyncConnection, bay_id: int, ask: Ask, now: datetime) -> Row[Any]:
    values = {
        "id": uuid4(),
        "bay_id": bay_id,
        "action": ask.action,
        "cause": ask.cause,
        "forced": ask.forced,
        "reason": ask.reason,
        "requested_by": ask.requested_by,
        "driver_id": ask.driver_id,
        "requested_at": now,
    }
    statement = bay_commands.insert().values(values).returning(bay_commands)
    made: Row[Any] = (await connection.execute(statement)).one()
    return made


async def find_open(connection: AsyncConnection, bay_id: int) -> Row[Any] | None:
    query = select(bay_commands).where(C.bay_id == bay_id, C.outcome == Outcome.PENDING)
    return (await connection.execute(query)).one_or_none()


async def find_pending(connection: AsyncConnection, command_id: UUID) -> Row[Any] | None:
    """Return a command that is not over."""
    query = select(bay_commands).where(C.id == command_id, C.outcome == Outcome.PENDING)
    return (await connection.execute(query)).one_or_none()


async def finish(
    connection: AsyncConnection, command_id: UUID, outcome: Outcome, why: Why, now: datetime
) -> Row[Any]:
    """End a command that is open; what still waits for it finds that it is over."""
    ended = await connection.execute(
        update(bay_commands)
        .where(C.id == command_id)
        .values(outcome=outcome, why=why, ended_at=now)
        .returning(bay_commands)
    )
    await jobs.schedule(connection, LOOK, ALL, now)
    row: Row[Any] = ended.one()
    return row
