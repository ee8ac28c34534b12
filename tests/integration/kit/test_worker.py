"""Due rows and the outbox: acted on when due, at least once, never lost, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.db import Database
from chargehub.kit.worker import BATCH, CONCURRENT, RETRY_AFTER, Worker

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DEADLINE_S = 10.0
CLOCK = HubClock(ClockPair(0.0, NOW.timestamp(), 1.0), wall=lambda: 0.0)

Action = Callable[[str, dict[str, Any]], Awaitable[None]]


class Notebook:
    def __init__(self) -> None:
        self.acts: list[tuple[str, dict[str, Any]]] = []

    async def note(self, subject: str, payload: dict[str, Any]) -> None:
        self.acts.append((subject, payload))

    async def fail(self, subject: str, payload: dict[str, Any]) -> None:
        self.acts.append((subject, payload))
        raise RuntimeError("not today")


def worker(
    database: Database,
    due: dict[str, Action] | None = None,
    topics: dict[str, Action] | None = None,
) -> Worker:
    return Worker(database, CLOCK, due or {}, topics or {})


async def schedule(database: Database, kind: str, subject: str, due_at: datetime) -> None:
    async with database.write() as connection:
        await connection.execute(
            jobs.due_actions.insert().values(
                kind=kind, subject=subject, due_at=due_at, payload={"for": subject}
            )
        )


async def post(database: Database, topic: str, subject: str) -> None:
    async with database.write() as connection:
        await connection.execute(
            jobs.outbox.insert().values(at=NOW, topic=topic, subject=subject, payload={})
        )


async def due_rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        query = select(jobs.due_actions).order_by(jobs.due_actions.c.id)
        return list(await connection.execute(query))


async def outbox_rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(select(jobs.outbox).order_by(jobs.outbox.c.seq)))


async def test_what_is_due_is_done_in_order_of_time_and_gone(database: Database) -> None:
    notebook = Notebook()
    await schedule(database, "note", "second", NOW - timedelta(minutes=1))
    await schedule(database, "note", "first", NOW - timedelta(minutes=2))
    await schedule(database, "note", "later", NOW + timedelta(seconds=1))
    await worker(database, {"note": notebook.note}).run_once()
    assert notebook.acts == [("first", {"for": "first"}), ("second", {"for": "second"})]
    assert [row.subject for row in await due_rows(database)] == ["later"]


async def test_a_failing_action_stays_and_comes_later_and_later(database: Database) -> None:
    notebook = Notebook()
    await schedule(database, "fail", "x", NOW)
    for attempt, wait in enumerate((*RETRY_AFTER, RETRY_AFTER[-1]), start=1):
        await worker(database, {"fail": notebook.fail}).run_once()
        [row] = await due_rows(database)
        assert (row.attempts, row.due_at) == (attempt, NOW + wait)
        assert "not today" in row.last_error
        async with database.write() as connection:
            await connection.execute(jobs.due_actions.update().values(due_at=NOW))


async def test_the_row_that_the_database_refuses_is_not_kept_in_the_error(
    database: Database,
) -> None:
    async def post_twice(_subject: str, _payload: dict[str, Any]) -> None:
        await schedule(database, "same", "a secret of somebody", NOW)
        await schedule(database, "same", "a secret of somebody", NOW)

    await schedule(database, "clash", "x", NOW)
    await worker(database, {"clash": post_twice}).run_once()
    [clashed] = [row for row in await due_rows(database) if row.kind == "clash"]
    assert "duplicate key" in clashed.last_error
    assert "a secret of somebody" not in clashed.last_error


async def test_an_unknown_kind_is_kept_for_a_version_that_knows_it(database: Database) -> None:
    await schedule(database, "unheard of", "x", NOW)
    await worker(database).run_once()
    [row] = await due_rows(database)
    assert row.due_at > NOW


async def test_a_row_scheduled_anew_while_it_runs_stays(database: Database) -> None:
    async def move(subject: str, _payload: dict[str, Any]) -> None:
        async with database.write() as connection:
            await jobs.postpone(connection, "move", subject, NOW + timedelta(days=1))

    await schedule(database, "move", "x", NOW)
    await worker(database, {"move": move}).run_once()
    [row] = await due_rows(database)
    assert (row.due_at, row.attempts) == (NOW + timedelta(days=1), 0)


async def test_events_are_handled_once_and_those_of_no_concern_are_marked(
    database: Database,
) -> None:
    notebook = Notebook()
    await post(database, "mine", "a")
    await post(database, "not mine", "b")
    it = worker(database, topics={"mine": notebook.note})
    await it.run_once()
    await it.run_once()
    assert [subject for subject, _ in notebook.acts] == ["a"]
    assert all(row.handled_at == NOW for row in await outbox_rows(database))


async def test_an_event_that_cannot_be_acted_on_waits_for_another_try(database: Database) -> None:
    notebook = Notebook()
    await post(database, "mine", "a")
    it = worker(database, topics={"mine": notebook.fail})
    await it.run_once()
    await it.run_once()
    assert len(notebook.acts) == 1, "tried again before its time"
    [row] = await outbox_rows(database)
    assert (row.handled_at, row.retry_at) == (None, NOW + RETRY_AFTER[0])
    assert "not today" in row.last_error
    later = HubClock(ClockPair(0.0, (NOW + RETRY_AFTER[0]).timestamp(), 1.0), wall=lambda: 0.0)
    await Worker(database, later, {}, {"mine": notebook.note}).run_once()
    [row] = await outbox_rows(database)
    assert row.handled_at == NOW + RETRY_AFTER[0]


async def test_a_slow_station_holds_up_no_other_and_is_not_asked_twice(database: Database) -> None:
    """Two hundred mute stations must not close the outbox for half an hour."""
    met = asyncio.Event()
    asked: list[str] = []

    async def ask(subject: str, _payload: dict[str, Any]) -> None:
        asked.append(subject)
        if subject == "late":
            met.set()
        if subject.startswith("mute"):
            await asyncio.Event().wait()

    for number in range(CONCURRENT - 1):
        await post(database, "ask", f"mute-{number}")
    it = worker(database, topics={"ask": ask})
    it.start()
    async with asyncio.timeout(DEADLINE_S):
        while len(asked) < CONCURRENT - 1:  # noqa: ASYNC110  What the worker does shows here only.
            await asyncio.sleep(0.01)
        # Comes when all of the first batch are under way: later rounds must see only this one.
        await post(database, "ask", "late")
        await met.wait()
    await it.stop()
    assert len(asked) == len(set(asked)) == CONCURRENT


async def test_a_due_action_that_waits_for_a_station_holds_up_no_other(database: Database) -> None:
    """Two turns for slow ones: a third waits as a row, and what is quick is done meanwhile."""
    answer, notebook = asyncio.Event(), Notebook()
    asked: list[str] = []

    async def ask(subject: str, _payload: dict[str, Any]) -> None:
        asked.append(subject)
        await answer.wait()

    for minutes, subject in enumerate(("first", "second", "third")):
        await schedule(database, "ask", subject, NOW - timedelta(minutes=9 - minutes))
    await schedule(database, "note", "quick", NOW)
    it = Worker(database, CLOCK, {"note": notebook.note}, {}, slow={"ask": ask}, slow_at_once=2)
    it.patience_s = 2 * DEADLINE_S
    it.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while await left(database) != ["first", "second", "third"]:  # noqa: ASYNC110  Rows have no event.
                await asyncio.sleep(0.02)
            # Later rounds begin none of them again; a row that comes then is done all the same.
            await schedule(database, "note", "later", NOW)
            while await left(database) != ["first", "second", "third"]:  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.02)
        assert asked == ["first", "second"]
        assert [subject for subject, _ in notebook.acts] == ["quick", "later"]
        answer.set()
        async with asyncio.timeout(DEADLINE_S):
            while await left(database):  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.02)
    finally:
        await it.stop()
    assert asked == ["first", "second", "third"]


async def test_silent_stations_hold_no_turn_for_long(database: Database) -> None:
    asked: list[str] = []

    async def ask(subject: str, _payload: dict[str, Any]) -> None:
        asked.append(subject)
        if subject != "last":
            await asyncio.Event().wait()

    silent = [f"silent-{number}" for number in range(5)]
    for minutes, subject in enumerate([*silent, "last"]):
        await schedule(database, "ask", subject, NOW - timedelta(minutes=9 - minutes))
    it = Worker(database, CLOCK, {}, {}, slow={"ask": ask}, slow_at_once=2, patience_s=0.01)
    it.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while await left(database) != silent:  # noqa: ASYNC110  Rows have no event.
                await asyncio.sleep(0.02)
    finally:
        await it.stop()
    assert asked == [*silent, "last"], "each once, and in turn"


async def left(database: Database) -> list[str]:
    return [row.subject for row in await due_rows(database)]


async def test_a_slow_action_that_fails_comes_again_and_one_that_is_ended_stays_due(
    database: Database,
) -> None:
    notebook, begun = Notebook(), asyncio.Event()

    async def wait(_subject: str, _payload: dict[str, Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    await schedule(database, "fail", "x", NOW)
    it = Worker(database, CLOCK, {}, {}, slow={"fail": notebook.fail, "wait": wait})
    assert await it.run_once() == 1
    [row] = await due_rows(database)
    assert (row.attempts, row.due_at) == (1, NOW + RETRY_AFTER[0])
    await schedule(database, "wait", "y", NOW)
    it.start()
    async with asyncio.timeout(DEADLINE_S):
        await begun.wait()
        await it.stop()
    assert (await due_rows(database))[1].due_at == NOW


class ForgetfulDatabase(Database):
    """Refuses the first writes, as a database does whose connections are all taken."""

    refusals = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no connection to be had")
        async with super().write() as connection:
            yield connection


async def test_an_outcome_that_cannot_be_stored_is_stored_later(database: Database) -> None:
    notebook = Notebook()
    forgetful = ForgetfulDatabase(database.url.render_as_string(hide_password=False))
    for subject in ("a", "b", "c"):
        await post(database, "mine", subject)
    forgetful.refusals = 1
    it = worker(forgetful, topics={"mine": notebook.note})
    with pytest.raises(OSError, match="no connection"):
        await it.run_once()
    assert [row.handled_at for row in await outbox_rows(database)] == [None] * 3
    await it.run_once()
    await forgetful.close()
    assert all(row.handled_at == NOW for row in await outbox_rows(database))
    assert len(notebook.acts) == 3, "what was done is marked later, and not done again"


async def test_a_worker_that_stops_leaves_nothing_under_way(database: Database) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def ask(_subject: str, _payload: dict[str, Any]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await post(database, "ask", "mute")
    it = worker(database, topics={"ask": ask})
    it.start()
    async with asyncio.timeout(DEADLINE_S):
        await begun.wait()
        await it.stop()
    assert ended.is_set()


async def test_an_orderly_stop_marks_what_was_acted_on(database: Database) -> None:
    acted = asyncio.Event()

    async def act(_subject: str, _payload: dict[str, Any]) -> None:
        acted.set()

    await post(database, "mine", "a")
    it = worker(database, topics={"mine": act})
    it.start()
    async with asyncio.timeout(DEADLINE_S):
        await acted.wait()
        await it.stop()
    [row] = await outbox_rows(database)
    assert row.handled_at == NOW


@pytest.mark.parametrize("age_days", [29, 31])
async def test_handled_events_are_pruned_by_age(database: Database, age_days: int) -> None:
    await post(database, "old", "handled")
    await post(database, "old", "open")
    async with database.write() as connection:
        await connection.execute(
            jobs.outbox.update()
            .where(jobs.outbox.c.subject == "handled")
            .values(handled_at=NOW - timedelta(days=age_days))
        )
    await jobs.prune(database, jobs.outbox.c.handled_at, NOW - timedelta(days=30))
    left = [row.subject for row in await outbox_rows(database)]
    assert left == (["handled", "open"] if age_days == 29 else ["open"])


async def test_much_is_pruned_in_chunks(database: Database) -> None:
    async with database.write() as connection:
        row = {"topic": "old", "subject": "x", "payload": {}}
        handled = {**row, "at": NOW, "handled_at": NOW - timedelta(days=31)}
        await connection.execute(jobs.outbox.insert(), [handled] * 25)
    before = NOW - timedelta(days=30)
    assert await jobs.prune(database, jobs.outbox.c.handled_at, before, chunk=10) == 25
    assert await jobs.prune(database, jobs.outbox.c.handled_at, before, chunk=10) == 0


async def test_daily_actions_have_one_row_each(database: Database) -> None:
    for later in (0, 1):
        async with database.write() as connection:
            due_at = NOW + timedelta(hours=later)
            await jobs.schedule_daily(connection, ("sweep", "mop"), due_at)
    rows = await due_rows(database)
    assert [(row.kind, row.due_at) for row in rows] == [("sweep", NOW), ("mop", NOW)]


async def test_what_waits_already_keeps_its_time_or_moves(database: Database) -> None:
    hour = timedelta(hours=1)
    async with database.write() as connection:
        await jobs.schedule_once(connection, "ask", [], NOW)
        await jobs.schedule_once(connection, "ask", [1, 2], NOW)
        await connection.execute(jobs.due_actions.update().values(attempts=3))
        await jobs.schedule_once(connection, "ask", [2, 3], NOW + hour)
        await jobs.schedule(connection, "ask", "1", NOW - hour)
        await jobs.schedule(connection, "other", "1", NOW)
    rows = sorted((row.kind, row.subject, row.due_at) for row in await due_rows(database))
    assert rows == [
        ("ask", "1", NOW - hour),
        ("ask", "2", NOW),
        ("ask", "3", NOW + hour),
        ("other", "1", NOW),
    ]
    # What moves starts anew; what waits does not.
    assert {row.subject: row.attempts for row in await due_rows(database) if row.kind == "ask"} == {
        "1": 0,
        "2": 3,
        "3": 0,
    }


async def test_what_is_done_is_marked_while_others_wait_for_a_turn(database: Database) -> None:
    free = asyncio.Event()

    async def wait(_subject: str, _payload: dict[str, Any]) -> None:
        await free.wait()

    await post(database, "quick", "first")
    for number in range(CONCURRENT + 1):
        await post(database, "slow", str(number))
    started = worker(database, topics={"quick": Notebook().note, "slow": wait})
    started.start()
    marked = select(jobs.outbox.c.subject).where(jobs.outbox.c.handled_at.is_not(None))
    try:
        async with asyncio.timeout(DEADLINE_S), database.read() as connection:
            while (await connection.scalars(marked)).all() != ["first"]:  # noqa: ASYNC110  Rows have no event.
                await asyncio.sleep(0.02)
    finally:
        free.set()
        await started.stop()


async def test_the_metric_counts_all_that_is_overdue(database: Database) -> None:
    rows = [{"kind": "note", "subject": str(number), "due_at": NOW} for number in range(BATCH + 5)]
    async with database.write() as connection:
        await connection.execute(jobs.due_actions.insert(), rows)
    notebook = Notebook()
    working = worker(database, {"note": notebook.note})
    for overdue in (BATCH + 5, 5, 0):
        await working.run_once()
        assert REGISTRY.get_sample_value("chargehub_worker_overdue") == overdue
    assert len(notebook.acts) == BATCH + 5
