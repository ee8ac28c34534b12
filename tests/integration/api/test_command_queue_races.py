"""Waiting commands when two things happen at once, or the database fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.kit.jobs import due_actions
from chargehub.kit.worker import Worker
from chargehub.stations import dispatch
from chargehub.stations.command_queue import EXPIRE, CommandQueue
from chargehub.stations.commands import (
    RawCommand,
)
from tests.integration.api.conftest import (
    QUEUE_LIMITS,
    RunningApi,
)
from tests.integration.api.waiting_commands import (
    age,
    ask,
    due,
    outcomes,
    somebody_waits_for_a_lock,
    told_unknown,
)


async def test_what_is_cancelled_while_it_is_taken_does_not_leave_and_the_next_does(
    hub: RunningApi, cs: str
) -> None:
    first = (await ask(hub, cs, "1", key="first")).json()["command_id"]
    await ask(hub, cs, "2", key="second")
    station_id, sent = await hub.station_id(cs), len(hub.link.sent)
    async with hub.database.write() as connection:
        # As `cancel` does, before its COMMIT.
        await connection.exec_driver_sql(
            "UPDATE station_commands SET outcome = 'cancelled' WHERE id = %s", (UUID(first),)
        )
        hub.link.online.add(station_id)
        hub.queue.kick(station_id)
        async with asyncio.timeout(10):
            while not await somebody_waits_for_a_lock(hub):  # noqa: ASYNC110  The database's state.
                await asyncio.sleep(0.01)
    await hub.queue.idle()
    assert await outcomes(hub, cs) == [("1", "cancelled", None), ("2", "answered", "Accepted")]
    assert len(hub.link.sent) == sent + 1


class PausingDatabase(Database):
    """Holds whoever has committed a write, until told to go on."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.committed, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as connection:
            yield connection
        self.committed.set()
        await self.go_on.wait()


async def test_what_is_queued_when_a_delivery_has_looked_already_is_delivered(
    hub: RunningApi, cs: str
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    pausing = PausingDatabase(hub.database.url.render_as_string(hide_password=False))
    queue = CommandQueue(pausing, hub.queue.desk, hub.clock, QUEUE_LIMITS)
    sent = len(hub.link.sent)
    queue.kick(station_id)
    async with asyncio.timeout(10):
        await pausing.committed.wait()  # It found nothing.
        async with hub.database.write() as connection:
            await hub.queue.add(
                connection, station_id, RawCommand("ClearCache", {}), "test", expires_at=None
            )
        queue.kick(station_id)
        pausing.go_on.set()
        await queue.idle()
    await pausing.close()
    assert hub.link.sent[sent:] == [(station_id, RawCommand("ClearCache", {}))]


async def test_nothing_is_begun_after_the_stop(hub: RunningApi, cs: str) -> None:
    """Neither what was to follow the delivery that it ended, nor what is asked for later."""
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, asyncio.Event())
    queue = CommandQueue(hub.database, hub.queue.desk, hub.clock, QUEUE_LIMITS)
    command = RawCommand("ClearCache", {})
    async with hub.database.write() as connection:
        await queue.add(connection, station_id, command, "test", expires_at=None)

    def deliveries() -> list[str]:
        names = (task.get_name() for task in asyncio.all_tasks())
        return [name for name in names if name == f"deliver-{station_id}"]

    queue.kick(station_id)
    async with asyncio.timeout(10):
        while (station_id, command) not in hub.link.sent:  # noqa: ASYNC110  It has no event.
            await asyncio.sleep(0.01)
    queue.kick(station_id)
    assert deliveries()
    await queue.stop()
    assert not deliveries()
    queue.kick(station_id)
    assert not deliveries()


async def test_whoever_asked_hears_whether_it_has_left(hub: RunningApi, cs: str) -> None:
    """What is under way does not wait, although nobody has answered."""
    station_id, silence = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, silence)
    limits = replace(QUEUE_LIMITS, answer_within_s=0.05)
    queue = CommandQueue(hub.database, hub.queue.desk, hub.clock, limits)
    commands = [
        RawCommand("ChangeConfiguration", {"key": key, "value": "1"}) for key in ("first", "second")
    ]
    try:
        async with hub.database.write() as connection:
            first = await queue.add(
                connection, station_id, commands[0], "test", expires_at=queue.expiry()
            )
        queue.kick(station_id)
        async with asyncio.timeout(10):
            while (station_id, commands[0]) not in hub.link.sent:  # noqa: ASYNC110  It has no event.
                await asyncio.sleep(0.01)
        left = await queue.deliver_now(station_id, first)
        waits = await queue.send(station_id, commands[1], "test", expires_at=queue.expiry())
        assert (left.answer, left.outcome) == (None, "pending")
        assert (waits.answer, waits.outcome) == (None, "queued")
        assert [word for _, word, _ in await outcomes(hub, cs)] == ["pending", "queued"]
    finally:
        silence.set()
        await queue.idle()


class RefusingDatabase(Database):
    """Refuses so many writes."""

    refusals = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no connection to be had")
        async with super().write() as connection:
            yield connection


async def test_what_could_not_be_put_back_into_the_queue_is_unknown(
    hub: RunningApi, cs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been put back and taken again since: nothing leaves twice."""
    monkeypatch.setattr(dispatch, "STORE_AGAIN_S", 0.01)
    command_id = (await ask(hub, cs, "1")).json()["command_id"]
    refusing = RefusingDatabase(hub.database.url.render_as_string(hide_password=False))
    desk = dispatch.CommandDesk(refusing, hub.link, hub.clock)
    command = RawCommand("ChangeConfiguration", {"key": "A", "value": "1"})
    refusing.refusals = 2
    with pytest.raises(OSError, match="no connection"):  # The station is away: it did not leave.
        await desk.carry_out(UUID(command_id), await hub.station_id(cs), command, waits=True)
    async with asyncio.timeout(10):
        while await outcomes(hub, cs) != [("1", "unknown", None)]:  # noqa: ASYNC110  Its row.
            await asyncio.sleep(0.01)
    assert await told_unknown(hub, command_id) == 1
    await refusing.close()


class LossyDatabase(Database):
    """Loses the answer to so many COMMITs, each of which took place."""

    losses = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as connection:
            yield connection
        if self.losses:
            self.losses -= 1
            raise OSError("the answer to COMMIT got lost")


async def test_what_did_not_leave_for_its_record_got_lost_is_closed(
    hub: RunningApi, cs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is there, and would tell of a command under way until the next start."""
    monkeypatch.setattr(dispatch, "STORE_AGAIN_S", 0.01)
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    lossy = LossyDatabase(hub.database.url.render_as_string(hide_password=False))
    desk = dispatch.CommandDesk(lossy, hub.link, hub.clock)
    command, sent = (
        RawCommand("ChangeConfiguration", {"key": "A", "value": "1"}),
        len(hub.link.sent),
    )
    lossy.losses = 1
    with pytest.raises(OSError, match="got lost"):
        await desk.send(station_id, command, "test")
    assert len(hub.link.sent) == sent
    async with asyncio.timeout(10):
        while await outcomes(hub, cs) != [("1", "failed", None)]:  # noqa: ASYNC110  Its row.
            await asyncio.sleep(0.01)
    await desk.stop()
    await lossy.close()


async def test_what_is_queued_while_others_expire_has_its_row(hub: RunningApi, cs: str) -> None:
    """The row that was acted on goes; the one of the newer command must not go with it."""
    await ask(hub, cs, "1", key="first")
    await age(hub, cs, "1")
    station_id = str(await hub.station_id(cs))
    async with hub.database.write() as connection:
        await connection.execute(
            update(due_actions)
            .where(due_actions.c.kind == EXPIRE, due_actions.c.subject == station_id)
            .values(due_at=hub.clock.now())
        )

    async def expire_and_ask(subject: str, payload: dict[str, Any]) -> None:
        await hub.queue.expire(subject, payload)
        if subject == station_id:
            await ask(hub, cs, "2", key="second")

    await Worker(hub.database, hub.clock, {EXPIRE: expire_and_ask}, {}).run_once()
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["expired", "queued"]
    assert await due(hub, EXPIRE, station_id) == 1
