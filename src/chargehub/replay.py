"""Replays the frame log into a scratch database, and compares the transactions that come of it.

The live database is only read. What is replayed are the stations' calls, at the times at which they
came; idTokens, stations and EVSEs are those of now. So a difference means a rule that has changed,
a fact that has changed since, or a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import Row, RowMapping, Table, Text, cast, delete, func, select, text, update
from sqlalchemy.engine import make_url

from chargehub.drivers.store import drivers, id_tokens
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.frame_log.queries import HubFramePlace, read_calls
from chargehub.frame_log.store import frames
from chargehub.gateway.connections import Connections
from chargehub.gateway.frame_replay import NUMBERING_ACTION, FrameReplay, GivenNumbers
from chargehub.gateway.handlers import report_handlers
from chargehub.gateway.intake import Intake
from chargehub.gateway.translators import TRANSLATORS
from chargehub.kit import jobs
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, NotFound
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import GroupCommitter
from chargehub.kit.secrets import is_pin
from chargehub.kit.worker import Worker
from chargehub.smart_charging.composite import Supply
from chargehub.stations.fence import ConnectionFence
from chargehub.stations.store import (
    charging_stations,
    connectors,
    evses,
    locations,
    station_commands,
)
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import Book
from chargehub.transactions.orphans import DARK_CHECK, ORPHAN_CHECK, CloseHandler, OrphanPolicy
from chargehub.transactions.rows import SETTLE
from chargehub.transactions.settlement import Settlement
from chargehub.transactions.store import transactions

PAGE = 2_000
COPIED = (locations, charging_stations, evses, connectors, drivers, id_tokens, station_commands)
"""What decisions read beside the frames, parents before children."""
ARRIVAL = timedelta(seconds=2)
"""How long after it came a frame may still wait to be logged."""

NOT_COMPARED = frozenset({"id", "messages_pending", "ref", "settled_at"})
"""Its number with us, what a command learnt, its name (which finds it), when it was settled."""


class NoFrames(ChargeHubError):
    """The frame log has no frames of these stations at that time."""

    code = "no-frames"
    status = 404


class ScratchRefused(ChargeHubError):
    """The database server lets us create no scratch database."""

    code = "scratch-refused"
    status = 403


@dataclass(frozen=True, slots=True)
class Difference:
    station: str
    ref: str
    what: str


@dataclass(slots=True)
class Outcome:
    """What a replay came to."""

    calls: int = 0
    unusable: int = 0
    """Calls that were logged only in part, or failed now."""
    compared: int = 0
    left_out: int = 0
    """Transactions that are not over and settled, begun before the log, or begun with a PIN."""
    differences: list[Difference] = field(default_factory=list)


@asynccontextmanager
async def scratch_database(live_url: str) -> AsyncIterator[str]:
    """Make an empty database beside the live one, and drop it in the end.

    What a run that was killed has left behind is dropped first.
    """
    url = make_url(live_url).set(drivername="postgresql")
    plain = url.render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as admin:
        prefix = await _drop_left_behind(admin)
        name = prefix + uuid4().hex
        await admin.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        try:
            await admin.execute(f"CREATE DATABASE {name}".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise ScratchRefused("The database user may not create databases.") from error
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def _drop_left_behind(admin: psycopg.AsyncConnection[Any]) -> str:
    """Drop our scratch databases whose runs are no more; return what the names begin with.

    A run holds the lock of its database's name in the live database as long as it is connected. The
    live database's number is in the name because such locks are of one database.
    """
    cursor = await admin.execute(
        "SELECT format('chargehub_replay_%s_', oid) FROM pg_database"
        " WHERE datname = current_database()"
    )
    [prefix] = (await cursor.fetchall())[0]
    cursor = await admin.execute(
        "SELECT datname FROM pg_database"
        " WHERE starts_with(datname, %s) AND pg_get_userbyid(datdba) = current_user",
        (prefix,),
    )
    for (name,) in await cursor.fetchall():
        cursor = await admin.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)
        )
        if (await cursor.fetchall())[0][0]:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    return str(prefix)


class _ReplayClock:
    """Stands at the time of the frame that is being worked on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.hub = HubClock(ClockPair(0.0, 0.0, 1.0), lambda: self.seconds)

    def set(self, at: datetime) -> None:
        self.seconds = at.timestamp()


async def replay(  # noqa: PLR0917 - what the command line says
    live: Database,
    scratch: Database,
    identities: Collection[str],
    begin: datetime | None,
    end: datetime,
    names: CarNames | None = None,
) -> Outcome:
    """Replay the stations' calls from `begin` to `end`, into a migrated, empty database.

    `names`: by which idTokens cars are known that start by themselves.

    No identities: all stations, as it must be where one driver's card is used at several. Raises
    NotFound, NoFrames.
    """
    stations = await _stations(live, identities)
    first = await _first_frame(live, stations, begin, end)
    for table in COPIED:
        await _copy(live, scratch, table)
    await _bring_back_the_retired(scratch)
    numbers = GivenNumbers()
    async for call in _calls(live, stations, first, end, NUMBERING_ACTION):
        numbers.learn(call)
    clock, book, bus = _ReplayClock(), Book(), EventBus()
    committer = GroupCommitter(scratch, ConnectionFence())

    async def give_number(number: int) -> None:
        async with scratch.write() as connection:
            await connection.execute(
                text("SELECT setval('transaction_ids', :number, false)"), {"number": number}
            )

    clock.set(first)
    worker = await _worker(scratch, clock.hub, book, committer, bus)
    intake = Intake(
        committer,
        report_handlers(
            *(book, bus, Supply(), 300), station_variables=20_000, limit_sources=8, names=names
        ),
    )
    feed = FrameReplay(intake, TRANSLATORS, numbers, give_number)
    committer.start()
    try:
        async for call in _calls(live, stations, first, end):
            await _work_until(scratch, worker, clock, call.at)
            await feed.feed(call)
        await _work_until(scratch, worker, clock, end)
    finally:
        await committer.stop()
    outcome = await _compare(live, scratch, stations, first, end)
    outcome.calls, outcome.unusable = feed.fed, feed.unusable
    return outcome


async def _stations(live: Database, identities: Collection[str]) -> dict[int, str]:
    """Return the stations by id; of an identity, all that ever had it."""
    columns = charging_stations.c
    query = select(columns.id, columns.identity)
    if identities:
        lowered = [identity.lower() for identity in identities]
        query = query.where(func.lower(columns.identity).in_(lowered))
    async with live.read() as connection:
        names = {row.id: row.identity for row in await connection.execute(query)}
    missing = {name.lower() for name in identities} - {name.lower() for name in names.values()}
    if missing:
        raise NotFound(f"There is no charging station {', '.join(sorted(missing))}.")
    return names


async def _first_frame(
    live: Database, names: dict[int, str], begin: datetime | None, end: datetime
) -> datetime:
    query = select(func.min(frames.c.at)).where(frames.c.station_id.in_(names), frames.c.at < end)
    if begin is not None:
        query = query.where(frames.c.at >= begin)
    async with live.read() as connection:
        first: datetime | None = await connection.scalar(query)
    if first is None:
        raise NoFrames
    return first


async def _copy(live: Database, scratch: Database, table: Table) -> None:
    """Copy a table's rows as they are, identities and all."""
    columns = ", ".join(column.name for column in table.columns)
    async with (
        await live.open() as source,
        await scratch.open() as target,
        source.cursor().copy(f"COPY {table.name} ({columns}) TO STDOUT".encode()) as rows,
        target.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN".encode()) as copied,
    ):
        async for block in rows:
            await copied.write(block)


async def _bring_back_the_retired(scratch: Database) -> None:
    """A station that is out of service now was in service when its frames came."""
    stations = charging_stations.c
    renamed = stations.identity + "~" + cast(stations.id, Text)
    async with scratch.write() as connection:
        await connection.execute(
            update(charging_stations)
            .where(stations.decommissioned_at.is_not(None))
            .values(decommissioned_at=None, identity=renamed, bound_serial_number=None)
        )


async def _calls(
    live: Database,
    names: dict[int, str],
    begin: datetime,
    end: datetime,
    action: str | None = None,
) -> AsyncIterator[Row[Any]]:
    after: HubFramePlace | None = None
    while True:
        async with live.read() as connection:
            rows = await read_calls(
                connection, names, begin, end, after=after, limit=PAGE, action=action
            )
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = (rows[-1].at, rows[-1].station_id, rows[-1].epoch, rows[-1].number)


async def _worker(
    scratch: Database, clock: HubClock, book: Book, committer: GroupCommitter, bus: EventBus
) -> Worker:
    """Return a worker for what becomes of transactions by themselves; it runs when told."""
    nobody = Connections(call_timeout_s=0)
    orphans = OrphanPolicy(scratch, clock, book, committer, CloseHandler(book, bus), nobody)
    due = {
        SETTLE: Settlement(scratch, clock).settle,
        ORPHAN_CHECK: orphans.check,
        DARK_CHECK: orphans.check_dark,
    }
    async with scratch.write() as connection:
        await jobs.schedule_daily(connection, (DARK_CHECK,), clock.now())
    return Worker(scratch, clock, due, {})


async def _work_until(
    scratch: Database, worker: Worker, clock: _ReplayClock, until: datetime
) -> None:
    """Do what falls due before that time, each at its own time."""
    due = jobs.due_actions
    while True:
        async with scratch.write() as connection:
            # What else falls due asks stations or tells somebody, and there is nobody here.
            await connection.execute(delete(due).where(due.c.kind.not_in(worker.due)))
            due_at = await connection.scalar(select(func.min(due.c.due_at)))
        if due_at is None or due_at > until:
            break
        clock.set(max(due_at, clock.hub.now()))
        await worker.run_once()
    clock.set(until)


async def _compare(
    live: Database, scratch: Database, names: dict[int, str], first: datetime, end: datetime
) -> Outcome:
    outcome = Outcome()
    told, rebuilt = [await _transactions(database, names) for database in (live, scratch)]
    for (station_id, ref), rows in told.items():
        others = rebuilt.pop((station_id, ref), [])
        for place, row in enumerate(rows):
            if not _comparable(row, first, end):
                outcome.left_out += 1
                continue
            outcome.compared += 1
            other = others[place] if place < len(others) else None
            outcome.differences += [
                Difference(names[station_id], ref, what) for what in _differences(row, other)
            ]
    for (station_id, ref), rows in rebuilt.items():
        # Its beginning came before the first frame.
        if all(row["flags"] & (Flag.STUB | Flag.UNKNOWN_TRANSACTION) for row in rows):
            outcome.left_out += len(rows)
            continue
        outcome.differences.append(Difference(names[station_id], ref, "is only in the replay"))
    return outcome


async def _transactions(
    database: Database, station_ids: Collection[int]
) -> dict[tuple[int, str], list[RowMapping]]:
    """Return transactions by station and the name it gave them; a name can be used again."""
    query = (
        select(transactions)
        .where(transactions.c.station_id.in_(station_ids))
        .order_by(transactions.c.received_at, transactions.c.id)
    )
    found: dict[tuple[int, str], list[RowMapping]] = defaultdict(list)
    async with database.read() as connection:
        for row in (await connection.execute(query)).mappings().all():
            found[row["station_id"], row["ref"].removesuffix(f"~{row['id']}")].append(row)
    return found


def _comparable(row: RowMapping, first: datetime, end: datetime) -> bool:
    settled_at = row["settled_at"]
    over = row["state"] == "Ended" and settled_at is not None and settled_at < end
    return bool(over and row["received_at"] >= first and not is_pin(row["id_token_kind"]))


def _differences(row: RowMapping, other: RowMapping | None) -> Iterator[str]:
    if other is None:
        yield "is missing in the replay"
        return
    for name, value in row.items():
        if name not in NOT_COMPARED and other[name] != value:
            yield f"{name} was {value}, and is {other[name]} in the replay"


def report(outcome: Outcome) -> Sequence[str]:
    """Say in lines what a replay came to."""
    lines = [f"{one.station} {one.ref}: {one.what}" for one in outcome.differences]
    lines.append(
        f"{outcome.calls} calls replayed ({outcome.unusable} could not be),"
        f" {outcome.compared} transactions compared, {outcome.left_out} left out,"
        f" {len(outcome.differences)} differences."
    )
    return lines
