"""Group commit: decisions of many stations made durable by one COMMIT.

Owns the batch: one station's work is decided one after another, the next only after the previous
commit; different stations share a batch. Replies and memory changes happen only after COMMIT. A
batch that fails is run again item by item, so one bad row costs one error. It knows nothing of
stations or charging: a key is any hashable, a fence is checked by the statement the caller gives.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import psycopg
import structlog
from prometheus_client import Counter, Histogram
from psycopg import AsyncConnection

from chargehub.kit.arrays import BinaryUtf8, array_parameter

log = structlog.get_logger(__name__)

Row = tuple[Any, ...]
ReportT = TypeVar("ReportT")
FactsT = TypeVar("FactsT")
ReplyT = TypeVar("ReplyT")

BATCH_SIZE = Histogram(
    "chargehub_commit_batch_items",
    "Items that shared one COMMIT",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_FAILURES = Counter(
    "chargehub_commit_failures_total", "Batches or items that could not be committed", ["kind"]
)

SIDE_ROWS_AT_ONCE = 350
"""Rows of one statement: their text is copied several times, and stays in the cache meanwhile."""


class StaleConnection(Exception):
    """A newer connection of the same station has taken over; this one may write nothing."""


class CommitOutcomeUnknown(Exception):
    """The database went away during COMMIT: close the socket and let the station repeat itself."""


class CommitQueueFull(Exception):
    """More work waits for commit than the limit allows."""


class _Superseded(Exception):
    """Some of a batch's items are of superseded connections, so nothing of it may be committed."""

    def __init__(self, keys: set[Hashable]) -> None:
        super().__init__()
        self.keys = keys


@dataclass(frozen=True, slots=True, eq=False)
class BatchStatement:
    """One set statement fed by `unnest`: `sql` has one %s array placeholder per column.

    Statements of a batch run in ascending `order` (parents before children). The columns at the
    places `utf8` are text[] that come as bytes, encoded already.
    """

    name: str
    sql: str
    order: int = 50
    utf8: frozenset[int] = frozenset()


class Writes:
    """The rows that the decisions of one batch want written, collected per statement."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[BatchStatement, list[Row]] = {}

    def add(self, statement: BatchStatement, row: Row) -> None:
        rows = self._rows.get(statement)
        if rows is None:
            self._rows[statement] = [row]
        else:
            rows.append(row)

    def statements(self) -> Iterable[tuple[BatchStatement, list[Row]]]:
        return sorted(self._rows.items(), key=lambda pair: pair[0].order)


@dataclass(slots=True)
class Decision(Generic[ReplyT]):
    """What a decision answers, and what happens in memory once its rows are committed."""

    reply: ReplyT
    on_commit: Callable[[], None] | None = None


class BatchHandler(Protocol[ReportT, FactsT, ReplyT]):
    """A feature's step for one kind of report: one set read per batch, then pure decisions."""

    async def read(
        self, connection: AsyncConnection[Row], items: Sequence[Item[ReportT]]
    ) -> FactsT:
        """Read with one set query what `decide` needs (facts that REST can change)."""

    def decide(self, item: Item[ReportT], facts: FactsT, writes: Writes) -> Decision[ReplyT]:
        """Decide one item: no I/O, no clock, memory untouched until `on_commit`."""


@dataclass(slots=True, eq=False)
class Item(Generic[ReportT]):
    """One report of one station on its way to being durable."""

    key: Hashable
    fence: int | None
    handler: BatchHandler[ReportT, Any, Any]
    report: ReportT
    decided: Decided


Decided = Callable[[Any, BaseException | None], None]
"""Called once after COMMIT: with the reply, or with None and the error."""


StaleKeys = Callable[[], Awaitable[set[Hashable]]]


class Fence(Protocol):
    """Refuses items whose connection has been superseded, inside the batch's transaction."""

    async def ask(self, connection: AsyncConnection[Row], items: Sequence[Item[Any]]) -> StaleKeys:
        """Send the question which keys' fence values are out of date, before all other statements.

        The answer is waited for later; it holds until COMMIT.
        """


class SideRows(Protocol):
    """Rows that nobody waits for, such as a log's: whatever batch commits next takes them along.

    They fail no report: where a batch fails they are committed apart from it. A row may be handed
    in twice, after an unknown outcome of COMMIT: the statement must absorb it then.
    """

    @property
    def statement(self) -> BatchStatement:
        """What writes the portion that was taken last."""

    @property
    def portions(self) -> int:
        """How many portions hold all that waits now."""

    def take(self) -> list[Row]:
        """Hand over the next portion, the oldest rows first."""

    def committed(self, rows: Sequence[Row]) -> None:
        """These are durable."""

    def give_back(self, rows: Sequence[Row]) -> None:
        """These are not, or perhaps not: hand them over again."""

    def refused(self, row: Row, error: Exception) -> None:
        """The database takes this row in no company."""


class ConnectionSource(Protocol):
    async def open(self) -> AsyncConnection[Row]:
        """Open a psycopg connection (autocommit off) for the committer alone."""


@dataclass(slots=True)
class GroupCommitter:
    """Takes items, forms batches, commits them, resolves their futures."""

    source: ConnectionSource
    fence: Fence
    max_batch: int = 1000
    max_waiting: int = 20_000
    side_rows: SideRows | None = None
    _waiting: deque[Item[Any]] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _connection: AsyncConnection[Row] | None = None
    _task: asyncio.Task[None] | None = None
    _stopping: bool = False
    _flushing: bool = False

    def submit(
        self,
        key: Hashable,
        fence: int | None,
        handler: BatchHandler[ReportT, Any, ReplyT],
        report: ReportT,
    ) -> asyncio.Future[ReplyT]:
        """Hand in a report; the future resolves with the reply after COMMIT.

        Raises CommitQueueFull; the future raises StaleConnection, CommitOutcomeUnknown, or the
        error of this item alone.
        """
        done: asyncio.Future[ReplyT] = asyncio.get_running_loop().create_future()

        def resolve(reply: ReplyT, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(reply)
            else:
                done.set_exception(error)

        self.hand_in(key, fence, handler, report, resolve)
        return done

    def hand_in(
        self,
        key: Hashable,
        fence: int | None,
        handler: BatchHandler[ReportT, Any, Any],
        report: ReportT,
        decided: Decided,
    ) -> None:
        """Queue a report; `decided` is called after COMMIT and must neither raise nor block.

        Raises CommitQueueFull.
        """
        if self._stopping or len(self._waiting) >= self.max_waiting:
            COMMIT_FAILURES.labels("queue-full").inc()
            raise CommitQueueFull
        self._waiting.append(Item(key, fence, handler, report, decided))
        self._wake.set()

    def flush(self) -> None:
        """Commit the side rows that wait, though no report asks for a batch."""
        self._flushing = True
        self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group-commit")

    async def stop(self) -> None:
        """Commit what waits, then stop."""
        if self._task is not None:
            self._stopping = self._flushing = True
            self._wake.set()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            # One turn of the loop lets every socket that is ready add its message to this batch.
            await asyncio.sleep(0)
            batch = self._take_batch()
            if not batch and not self._flushing:
                if self._stopping:
                    return
                self._wake.clear()
                continue
            self._flushing = False
            await self._commit_or_split(batch, await self._last_portion())

    async def _last_portion(self) -> list[Row]:
        """Commit all that waits of the side rows but the last portion, which the batch takes along.

        So what tells of the batch is durable no later than the batch.
        """
        if self.side_rows is None:
            return []
        for _ in range(self.side_rows.portions - 1):
            await self._commit_or_split([], self.side_rows.take())
            if self._connection is None or self._connection.closed:
                break  # They were given back; the batch need not wait for each of them to fail.
        return self.side_rows.take()

    def _take_batch(self) -> list[Item[Any]]:
        """Take items in arrival order, at most one a key: a station's next waits for its last."""
        batch: list[Item[Any]] = []
        held: list[Item[Any]] = []
        keys: set[Hashable] = set()
        while self._waiting and len(batch) < self.max_batch:
            item = self._waiting.popleft()
            if item.key in keys:
                held.append(item)
                continue
            keys.add(item.key)
            batch.append(item)
        self._waiting.extendleft(reversed(held))
        return batch

    async def _commit_or_split(self, batch: list[Item[Any]], rows: list[Row]) -> None:
        """Commit a batch and the side rows; where they fail together, each of them by itself."""
        if batch:
            BATCH_SIZE.observe(len(batch))
        try:
            if batch or rows:
                await self._commit(batch, rows)
        except _Superseded as found:
            _fail((item for item in batch if item.key in found.keys), StaleConnection())
            batch = [item for item in batch if item.key not in found.keys]
            await self._commit_or_split(batch, rows)
        except CommitOutcomeUnknown:
            COMMIT_FAILURES.labels("outcome-unknown").inc()
            await self._drop_connection()
            self._give_up(batch, rows, CommitOutcomeUnknown())
        except Exception as error:
            if self._connection is None or self._connection.closed:
                COMMIT_FAILURES.labels("database-unavailable").inc()
                log.exception("commit_database_unavailable")
                self._give_up(batch, rows, CommitOutcomeUnknown())
            elif rows:
                await self._part_side_rows(batch, rows, error)
            else:
                await self._split(batch, error)

    async def _split(self, batch: list[Item[Any]], error: Exception) -> None:
        """Find out which of a batch's items was refused."""
        if len(batch) > 1:
            COMMIT_FAILURES.labels("batch-split").inc()
            for item in batch:
                await self._commit_or_split([item], [])
        elif await self._is_superseded(batch[0]):
            _fail(batch, StaleConnection())
        else:
            COMMIT_FAILURES.labels("item").inc()
            log.error("commit_item_failed", key=str(batch[0].key), exc_info=error)
            _fail(batch, error)

    async def _part_side_rows(
        self, batch: list[Item[Any]], rows: list[Row], error: Exception
    ) -> None:
        """Find out whether the batch or the side rows were refused, and which of them."""
        assert self.side_rows is not None
        COMMIT_FAILURES.labels("side-rows").inc()
        if batch:
            # First, so that they are still durable no later than what they tell of.
            await self._commit_or_split([], rows)
            await self._commit_or_split(batch, [])
        elif not isinstance(error, psycopg.DataError | psycopg.IntegrityError):
            # Not for what is in them: a lock that was held too long, say.
            log.error("commit_side_rows_failed", rows=len(rows), why=repr(error))
            self.side_rows.give_back(rows)
        elif len(rows) == 1:
            self.side_rows.refused(rows[0], error)
        else:
            half = len(rows) // 2
            await self._commit_or_split([], rows[:half])
            await self._commit_or_split([], rows[half:])

    def _give_up(self, batch: list[Item[Any]], rows: list[Row], error: Exception) -> None:
        if rows and self.side_rows is not None:
            self.side_rows.give_back(rows)
        _fail(batch, error)

    async def _commit(self, batch: list[Item[Any]], rows: list[Row]) -> None:
        connection = await self._open()
        try:
            decided = await self._decide_and_write(connection, batch, rows)
        except BaseException:
            if not connection.closed:
                await connection.rollback()
            raise
        try:
            await connection.commit()
        except (psycopg.IntegrityError, psycopg.errors.SerializationFailure):
            raise  # The server itself says that nothing took place.
        except BaseException as error:
            raise CommitOutcomeUnknown from error
        if rows and self.side_rows is not None:
            self.side_rows.committed(rows)
        _finish(decided)

    async def _decide_and_write(
        self, connection: AsyncConnection[Row], batch: list[Item[Any]], rows: list[Row]
    ) -> list[tuple[Item[Any], Decision[Any]]]:
        """Do it in one exchange with the database, where no handler has to read.

        The fence is asked first and heard last: it is nearly always open, and where it is not, all
        of this is rolled back.
        """
        decided: list[tuple[Item[Any], Decision[Any]]] = []
        writes = Writes()
        async with connection.pipeline():
            stale_keys = await self.fence.ask(connection, batch) if batch else None
            for handler, items in _by_handler(batch).items():
                facts = await handler.read(connection, items)
                decide = handler.decide
                decided += [(item, decide(item, facts, writes)) for item in items]
            for statement, written in writes.statements():
                await _write(connection, statement, written)
            if self.side_rows is not None:
                for begin in range(0, len(rows), SIDE_ROWS_AT_ONCE):
                    some = rows[begin : begin + SIDE_ROWS_AT_ONCE]
                    await _write(connection, self.side_rows.statement, some)
        if stale_keys is not None and (stale := await stale_keys()):
            raise _Superseded(stale)
        return decided

    async def _is_superseded(self, item: Item[Any]) -> bool:
        """Ask the fence alone, where the rest has failed."""
        try:
            connection = await self._open()
            stale_keys = await self.fence.ask(connection, [item])
            superseded = item.key in await stale_keys()
            await connection.rollback()
        except Exception:
            log.exception("fence_not_heard", key=str(item.key))
            return False
        return superseded

    async def _open(self) -> AsyncConnection[Row]:
        if self._connection is None or self._connection.closed:
            self._connection = await self.source.open()
        return self._connection

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _write(
    connection: AsyncConnection[Row], statement: BatchStatement, rows: list[Row]
) -> None:
    columns = [
        BinaryUtf8(column) if place in statement.utf8 else array_parameter(column)
        for place, column in enumerate(zip(*rows, strict=True))
    ]
    await connection.execute(statement.sql.encode(), columns)


def _by_handler(
    batch: list[Item[Any]],
) -> dict[BatchHandler[Any, Any, Any], list[Item[Any]]]:
    by_handler: dict[BatchHandler[Any, Any, Any], list[Item[Any]]] = {}
    for item in batch:
        by_handler.setdefault(item.handler, []).append(item)
    return by_handler


def _fail(items: Iterable[Item[Any]], error: Exception) -> None:
    for item in items:
        _tell(item, None, error)


def _finish(decided: Iterable[tuple[Item[Any], Decision[Any]]]) -> None:
    """Change memory and answer. What fails here is a fault of ours; the rows are committed."""
    for item, decision in decided:
        try:
            if decision.on_commit is not None:
                decision.on_commit()
        except Exception:
            log.exception("commit_effect_failed", key=str(item.key))
        _tell(item, decision.reply, None)


def _tell(item: Item[Any], reply: Any, error: Exception | None) -> None:
    try:
        item.decided(reply, error)
    except Exception:
        # One listener's fault must not cost the others of the batch their answers.
        log.exception("commit_listener_failed", key=str(item.key))
