"""The frame log in a database: its frames are there once, whatever became of a COMMIT."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy import select

from chargehub.frame_log.log import FrameLog
from chargehub.frame_log.store import DAYS, frames
from chargehub.kit.db import Database
from chargehub.kit.group_commit import GroupCommitter
from tests.fakes.fences import ListFence
from tests.fakes.lossy import LossySource

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_after_an_unknown_outcome_a_frame_is_there_once_and_none_is_lost(
    database: Database, database_url: str
) -> None:
    async with database.write() as connection:
        await DAYS.ensure(connection, NOON, 1)
    source, log = LossySource(database_url), FrameLog(text_max=None, waiting_max_bytes=2**20)
    committer = GroupCommitter(source, ListFence(), side_rows=log)
    committer.start()

    async def flushed(*numbers: int) -> None:
        for number in numbers:
            log.add(NOON, 1, 1, number, 2, "in", "ocpp1.6", "id", "Heartbeat", f"text {number}")
        committer.flush()

    source.lose_next = True
    await flushed(1, 2)
    async with asyncio.timeout(10):
        while source.lose_next:  # noqa: ASYNC110  The committer tells nobody of side rows.
            await asyncio.sleep(0.005)
    await flushed(3)
    await committer.stop()
    async with database.read() as connection:
        rows = await connection.execute(select(frames.c.number, frames.c.text).order_by("number"))
        assert [tuple(row) for row in rows] == [(n, f"text {n}") for n in (1, 2, 3)]
