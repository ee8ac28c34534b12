"""Group commit on a real PostgreSQL: nothing is answered or remembered before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from chargehub.kit.arrays import array_parameter
from chargehub.kit.db import Database
from chargehub.kit.group_commit import (
    BatchStatement,
    CommitOutcomeUnknown,
    CommitQueueFull,
    Decision,
    GroupCommitter,
    Item,
    StaleConnection,
    Writes,
)
from chargehub.telemetry.readings import Flag
from tests.fakes.fences import ListFence

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

INSERT = BatchStatement(
    "notes.insert",
    "INSERT INTO notes (id, body) SELECT * FROM unnest(%s::bigint[], %s::text[])",
)


@dataclass(eq=False)
class NoteHandler:
    """Writes each report as a row; remembers in memory only what was committed."""

    batches: list[list[str]] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)
    before_write: str = ""

    async def read(self, connection: Connection, items: Sequence[Item[tuple[int, str]]]) -> None:
        self.batches.append([item.report[1] for item in items])
        if self.before_write:
            await connection.execute(self.before_write.encode())

    def decide(self, item: Item[tuple[int, str]], _facts: None, writes: Writes) -> Decision[str]:
        number, body = item.report
        if body == "undecidable":
            raise ValueError(body)
        writes.add(INSERT, (number, body))
        return Decision(f"ok {body}", lambda: self.remembered.append(body))


@pytest_asyncio.fixture
async def notes(database: Database) -> Database:
    async with await database.open() as connection:
        await connection.execute(
            "CREATE TABLE notes (id bigint PRIMARY KEY, body text CHECK (body <> 'refused'))"
        )
    return database


@pytest_asyncio.fixture
async def committer(notes: Database) -> AsyncIterator[GroupCommitter]:
    made = GroupCommitter(notes, ListFence(), max_waiting=50)
    made.start()
    yield made
    await made.stop()


async def stored(database: Database) -> list[str]:
    async with await database.open() as connection:
        cursor = await connection.execute("SELECT body FROM notes ORDER BY id")
        return [row[0] for row in await cursor.fetchall()]


async def test_reports_of_many_stations_share_a_commit(
    committer: GroupCommitter, notes: Database
) -> None:
    handler = NoteHandler()
    futures = [committer.submit(key, 1, handler, (key, f"n{key}")) for key in range(10)]
    assert await asyncio.gather(*futures) == [f"ok n{key}" for key in range(10)]
    assert len(handler.batches) == 1
    assert await stored(notes) == [f"n{key}" for key in range(10)]


async def test_one_station_is_decided_one_after_another(
    committer: GroupCommitter, notes: Database
) -> None:
    handler = NoteHandler()
    futures = [committer.submit("one", 1, handler, (number, f"n{number}")) for number in range(5)]
    await asyncio.gather(*futures)
    assert handler.batches == [[f"n{number}"] for number in range(5)]
    assert await stored(notes) == [f"n{number}" for number in range(5)]


@pytest.mark.parametrize("bad", ["refused", "undecidable"])
async def test_a_bad_row_costs_one_error_and_nothing_else(
    committer: GroupCommitter, notes: Database, bad: str
) -> None:
    handler = NoteHandler()
    bodies = ["a", bad, "c"]
    futures = [committer.submit(key, 1, handler, (key, body)) for key, body in enumerate(bodies)]
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert answers[0] == "ok a"
    assert isinstance(answers[1], psycopg.Error | ValueError)
    assert answers[2] == "ok c"
    assert await stored(notes) == ["a", "c"]
    assert handler.remembered == ["a", "c"]


async def test_a_superseded_connection_writes_nothing(
    committer: GroupCommitter, notes: Database
) -> None:
    handler = NoteHandler()
    committer.fence = ListFence({"old"})
    old = committer.submit("old", 1, handler, (1, "old"))
    new = committer.submit("new", 1, handler, (2, "new"))
    with pytest.raises(StaleConnection):
        await old
    assert await new == "ok new"
    assert await stored(notes) == ["new"]
    assert handler.remembered == ["new"]


@pytest.mark.parametrize("bad", ["refused", "undecidable"])
async def test_what_a_superseded_connection_sent_is_stale_though_it_also_fails(
    committer: GroupCommitter, notes: Database, bad: str
) -> None:
    handler = NoteHandler()
    committer.fence = ListFence({"old"})
    old = committer.submit("old", 1, handler, (1, bad))
    new = committer.submit("new", 1, handler, (2, "new"))
    with pytest.raises(StaleConnection):
        await old
    assert await new == "ok new"
    assert await stored(notes) == ["new"]


async def test_a_lost_database_acknowledges_nothing_and_the_next_batch_goes_on(
    committer: GroupCommitter, notes: Database
) -> None:
    dying = NoteHandler(before_write="SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommitOutcomeUnknown):
        await committer.submit("one", 1, dying, (1, "lost"))
    assert dying.remembered == []
    assert await committer.submit("one", 1, NoteHandler(), (2, "kept")) == "ok kept"
    assert await stored(notes) == ["kept"]


async def test_a_commit_that_fails_remembers_nothing(notes: Database) -> None:
    async with await notes.open() as connection:
        await connection.execute(
            "ALTER TABLE notes ADD UNIQUE (body) DEFERRABLE INITIALLY DEFERRED"
        )
    committer = GroupCommitter(notes, ListFence())
    committer.start()
    handler = NoteHandler()
    await committer.submit(1, None, handler, (1, "same"))
    # The constraint speaks at COMMIT itself.
    with pytest.raises(psycopg.IntegrityError):
        await committer.submit(2, None, handler, (2, "same"))
    assert handler.remembered == ["same"]
    await committer.stop()


async def test_the_queue_has_a_limit(committer: GroupCommitter) -> None:
    handler = NoteHandler()
    futures = [committer.submit(number, 1, handler, (number, "x")) for number in range(50)]
    with pytest.raises(CommitQueueFull):
        committer.submit(99, 1, handler, (99, "too many"))
    await asyncio.gather(*futures)


async def test_stopping_commits_what_waits(notes: Database) -> None:
    committer = GroupCommitter(notes, ListFence())
    committer.start()
    handler = NoteHandler()
    waiting = [committer.submit("one", 1, handler, (number, f"n{number}")) for number in range(5)]
    await committer.stop()
    assert [future.result() for future in waiting] == [f"ok n{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("bigint", [1, None, -(2**63)]),
        ("bigint", [Flag.BEGIN_MISSING, 0, None]),
        ("real", [1.5, None, -0.25]),
        ("text", ["often", None, 'a"b', "NULL", ""] * 9),
        ("text", ["plain", None, "", "NULL", 'a"b', "a\\b", "{x,y}", "两 words", "a\nb", "'"]),
        ("text", ["long" * 2_000, "短" * 9]),
        ("bytea", [b"", b"\0\xff", b"long" * 2_000]),
        ("bytea", [b"short", b"", None]),
        ("timestamptz", [datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC), None]),
        ("boolean", [True, None, False]),
    ],
)
async def test_a_column_arrives_as_it_was(
    database: Database, kind: str, column: list[object]
) -> None:
    async with await database.open() as connection:
        cursor = await connection.execute(
            f"SELECT * FROM unnest(%s::{kind}[])".encode(),  # noqa: S608  The kinds above.
            (array_parameter(column),),
        )
        assert [row[0] for row in await cursor.fetchall()] == column
