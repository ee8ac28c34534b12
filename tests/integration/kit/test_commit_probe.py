"""The commit probe: true while reports become durable, silent or an error when they do not."""

from __future__ import annotations

import asyncio

import pytest

from chargehub.kit.commit_probe import CommitProbe
from chargehub.kit.db import Database
from chargehub.kit.group_commit import CommitOutcomeUnknown, GroupCommitter
from tests.fakes.fences import ListFence


async def test_it_says_yes_while_reports_are_committed(database: Database) -> None:
    committer = GroupCommitter(database, ListFence())
    committer.start()
    probe = CommitProbe(committer)
    assert [await probe.commits() for _ in range(3)] == [True] * 3
    await committer.stop()


async def test_it_waits_while_nothing_is_committed_and_never_asks_twice(
    database: Database,
) -> None:
    committer = GroupCommitter(database, ListFence())
    probe = CommitProbe(committer)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await probe.commits()
    assert committer.waiting == 1
    committer.start()
    assert await probe.commits()
    await committer.stop()


async def test_a_database_that_is_gone_is_an_error(database: Database) -> None:
    nowhere = Database(str(database.url.set(database="there_is_none")))
    committer = GroupCommitter(nowhere, ListFence())
    committer.start()
    with pytest.raises(CommitOutcomeUnknown):
        await CommitProbe(committer).commits()
    await committer.stop()
    await nowhere.close()
