"""Rows that ride along with a batch: in its COMMIT, not at its cost, never lost, never doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from chargehub.kit.db import Database
from chargehub.kit.group_commit import (
    BatchStatement,
    CommitOutcomeUnknown,
    Decision,
    GroupCommitter,
    Item,
    Row,
    Writes,
)
from tests.fakes.fences import ListFence
from tests.fakes.lossy import LossySource

Connection = psycopg.AsyncConnection[Row]

INSERT_NOTE = BatchStatement("notes", "INSERT INTO notes SELECT * FROM unnest(%s::bigint[])")
INSERT_LINE = BatchStatement(
    "lines",
    "INSERT INTO lines SELECT * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING",
    order=95,
)


@dataclass(eq=False)
class NoteHandler:
    async def read(self, connection: Connection, items: Sequence[Item[int]]) -> None:
        """Need nothing."""

    def decide(self, item: Item[int], _facts: None, writes: Writes) -> Decision[str]:
        writes.add(INSERT_NOTE, (item.report,))
        return Decision(f"ok {item.report}")


@dataclass(eq=False)
class Lines:
    """A log of lines; those that the database refuses are remembered."""

    statement: BatchStatement = INSERT_LINE
    waiting: list[Row] = field(default_factory=list)
    durable: list[Row] = field(default_factory=list)
    thrown_away: list[int] = field(default_factory=list)
    portion: int = 1_000

    def write(self, *numbers: int, body: str = "x") -> None:
        self.waiting += [(number, body) for number in numbers]

    @property
    def portions(self) -> int:
        return -(-len(self.waiting) // self.portion)

    def take(self) -> list[Row]:
        taken, self.waiting = self.waiting[: self.portion], self.waiting[self.portion :]
        return taken

    def committed(self, rows: Sequence[Row]) -> None:
        self.durable += rows

    def give_back(self, rows: Sequence[Row]) -> None:
        self.waiting[:0] = rows

    def refused(self, row: Row, error: Exception) -> None:
        assert isinstance(error, psycopg.Error)
        self.thrown_away.append(row[0])


@dataclass
class World:
    database: Database
    committer: GroupCommitter
    lines: Lines

    async def note(self, number: int) -> Any:
        return await self.committer.submit(number, None, NoteHandler(), number)

    async def query(self, query: str) -> list[Row]:
        async with await self.database.open() as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def flushed(self, until: Callable[[], bool]) -> None:
        self.committer.flush()
        async with asyncio.timeout(10):
            while not until():  # noqa: ASYNC110  The committer tells nobody of side rows.
                await asyncio.sleep(0.005)


@asynccontextmanager
async def working(database: Database, source: Any) -> AsyncIterator[World]:
    async with await database.open() as connection:
        await connection.execute("CREATE TABLE notes (id bigint PRIMARY KEY CHECK (id <> 13))")
        await connection.execute(
            "CREATE TABLE lines (id bigint PRIMARY KEY, body text CHECK (body <> 'refused'))"
        )
    lines = Lines()
    committer = GroupCommitter(source, ListFence(), side_rows=lines)
    committer.start()
    yield World(database, committer, lines)
    await committer.stop()


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with working(database, database) as made:
        yield made


async def test_they_are_in_the_commit_of_the_batch(world: World) -> None:
    world.lines.write(1, 2)
    await world.note(1)
    rows = await world.query("SELECT l.id FROM lines l, notes n WHERE l.xmin = n.xmin ORDER BY 1")
    assert rows == [(1,), (2,)]
    assert [row[0] for row in world.lines.durable] == [1, 2]


async def test_a_flush_writes_them_without_any_batch(world: World) -> None:
    world.lines.write(1)
    await world.flushed(lambda: bool(world.lines.durable))
    assert await world.query("SELECT id FROM lines") == [(1,)]


async def test_what_waited_long_is_written_in_portions_and_before_the_batch(world: World) -> None:
    world.lines.portion = 10
    world.lines.write(*range(35))
    await world.note(1)
    assert await world.query("SELECT count(*) FROM lines GROUP BY xmin::text ORDER BY 1") == [
        (5,),
        (10,),
        (10,),
        (10,),
    ]
    rode_along = "SELECT count(*) FROM lines l, notes n WHERE l.xmin = n.xmin AND l.id >= 30"
    assert await world.query(rode_along) == [(5,)]


@dataclass
class GoneSource:
    """A database that is not there."""

    asked: int = 0

    async def open(self) -> Connection:
        self.asked += 1
        raise psycopg.OperationalError("no database")


async def test_a_batch_waits_for_one_portion_to_fail_and_not_for_all() -> None:
    source, lines = GoneSource(), Lines(portion=1)
    lines.write(*range(20))
    committer = GroupCommitter(source, ListFence(), side_rows=lines)
    committer.start()
    with pytest.raises(CommitOutcomeUnknown):
        await committer.submit(1, None, NoteHandler(), 1)
    assert (source.asked, len(lines.waiting)) == (2, 20)
    await committer.stop()


async def test_a_stop_writes_what_waits(world: World) -> None:
    world.lines.write(1)
    await world.committer.stop()
    assert await world.query("SELECT id FROM lines") == [(1,)]


async def test_a_refused_report_costs_no_side_row(world: World) -> None:
    world.lines.write(1)
    notes = [world.note(number) for number in (12, 13, 14)]
    answers = await asyncio.gather(*notes, return_exceptions=True)
    assert (answers[0], answers[2]) == ("ok 12", "ok 14")
    assert isinstance(answers[1], psycopg.Error)
    assert await world.query("SELECT id FROM lines") == [(1,)]
    assert world.lines.thrown_away == []


async def test_a_refused_side_row_costs_no_report_and_no_other_row(world: World) -> None:
    world.lines.write(*range(1, 6))
    world.lines.write(6, body="refused")
    world.lines.write(*range(7, 10))
    assert await world.note(1) == "ok 1"
    stored = await world.query("SELECT id FROM lines ORDER BY id")
    assert stored == [(number,) for number in (1, 2, 3, 4, 5, 7, 8, 9)]
    assert (world.lines.thrown_away, world.lines.waiting) == ([6], [])


async def test_they_wait_for_a_database_that_is_away(world: World) -> None:
    await world.note(1)
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> {}"
    async with await world.database.open() as connection:
        query = terminate.format("pg_backend_pid() AND datname = current_database()")
        await connection.execute(query.encode())
    world.lines.write(1)
    with pytest.raises(CommitOutcomeUnknown):
        await world.note(2)
    assert [row[0] for row in world.lines.waiting] == [1]
    await world.note(3)
    assert await world.query("SELECT id FROM lines") == [(1,)]


async def test_after_an_unknown_outcome_they_are_there_once(
    database: Database, database_url: str
) -> None:
    source = LossySource(database_url)
    async with working(database, source) as world:
        world.lines.write(1)
        source.lose_next = True
        with pytest.raises(CommitOutcomeUnknown):
            await world.note(1)
        world.lines.write(2)
        await world.note(2)
        rows = await world.query("SELECT id, count(*) FROM lines GROUP BY id ORDER BY id")
        assert rows == [(1, 1), (2, 1)]
        assert [row[0] for row in world.lines.durable] == [1, 2]


async def test_a_lock_held_too_long_loses_none(world: World) -> None:
    """No fault of theirs: they are not thrown away, and the next batch has them."""
    name = world.database.url.database
    async with await world.database.open() as holder:
        await holder.execute(f"ALTER DATABASE {name} SET lock_timeout = 50".encode())
    world.lines.write(1, 2)
    async with await world.database.open() as holder:
        await holder.execute("LOCK TABLE lines")
        assert await world.note(1) == "ok 1"
        assert (world.lines.thrown_away, len(world.lines.waiting)) == ([], 2)
    await world.note(2)
    assert await world.query("SELECT id FROM lines ORDER BY id") == [(1,), (2,)]
