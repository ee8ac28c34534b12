"""Sending at once what may set the same as a command that waits: the last word wins.

A write that overtook an older waiting one would be undone by it later. So what waits leaves first.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from chargehub.stations.command_queue import CommandQueue
from chargehub.stations.commands import Command, CommandAnswer, StationBusy
from chargehub.stations.dispatch import action_of
from chargehub.stations.waiting_commands import read_queue

_WRITES = frozenset(("ChangeConfiguration", "SetVariables"))
"""All of them, whatever they name: one variable has a name in each of several wordings."""


async def send_at_once(
    queue: CommandQueue, station_id: int, command: Command, requested_by: str
) -> tuple[UUID, CommandAnswer]:
    """Send a command that does not wait; a write only after those that do.

    Raises as CommandDesk.send, and StationBusy where they do not leave in time.
    """
    if action_of(command) in _WRITES and station_id in queue.desk.online_ids():
        await _let_older_writes_leave(queue, station_id)
    return await queue.desk.send(station_id, command, requested_by)


async def _let_older_writes_leave(queue: CommandQueue, station_id: int) -> None:
    if not await _older_write(queue, station_id):
        return
    await asyncio.wait(
        [delivering := asyncio.create_task(queue.deliver(station_id))],
        timeout=queue.limits.answer_within_s,
    )
    delivering.cancel()  # What is under way goes on without us.
    if await _older_write(queue, station_id):
        raise StationBusy(
            "An older write still waits for the station. Cancel it, or let this one wait too."
        )


async def _older_write(queue: CommandQueue, station_id: int) -> bool:
    now = queue.clock.now()
    async with queue.database.read() as connection:
        rows = await read_queue(connection, station_id)
    return any(
        row.action in _WRITES and (row.expires_at is None or row.expires_at > now) for row in rows
    )
