"""Orphans: transactions a station has gone on from without ending them.

They are noticed when the station says so indirectly, checked later, and closed once they have been
silent; those of stations that say nothing any more are swept up. Neither a status nor a boot ends
a transaction by itself (16 4.9, B01.FR.13). Closing goes through the group commit like a station's
own message, because the book in memory must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from chargehub.access.audit import AUDIT
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import BatchStatement, Decision, GroupCommitter, Item, Writes
from chargehub.reservations.queue.triggers import look_at
from chargehub.stations.commands import StationLink
from chargehub.stations.reports import BootReported, ConnectorStatus, StatusReported
from chargehub.stations.store import charging_stations, station_commands
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.events import TransactionEnded
from chargehub.transactions.facts import Connection
from chargehub.transactions.recall import read_open
from chargehub.transactions.rows import schedule_settlement
from chargehub.transactions.store import transactions

log = structlog.get_logger(__name__)

ORPHAN_CHECK = "transaction.orphan_check"
DARK_CHECK = "transaction.dark_check"

ORPHAN_DELAY = timedelta(minutes=15)
SILENCE = timedelta(minutes=10)
"""An orphan that still sends samples is alive; one that has been silent so long is closed."""
DARK_CHECK_EVERY = timedelta(hours=1)
DARK = timedelta(hours=6)
"""A station that has said nothing of its transaction for so long has gone dark."""


def schedule_orphan_check(writes: Writes, transaction_id: int, now: datetime) -> None:
    # A check that waits already stays: a station that repeats itself must not put it off for ever.
    writes.add(jobs.SCHEDULE_ONCE, (ORPHAN_CHECK, str(transaction_id), now + ORPHAN_DELAY, "{}"))


class TransactionNotActive(Conflict):
    """The transaction is not active."""

    code = "transaction-not-active"


class StationStillOnline(Conflict):
    """The transaction's station is online: ask it to stop; if it refuses, ask for this again."""

    code = "station-online"


@dataclass(slots=True, eq=False)
class OrphanWatch:
    """Notices that a station has gone on without ending a transaction; a check falls due later."""

    book: Book

    def status_reported(self, report: StatusReported, writes: Writes) -> None:
        if report.status is not ConnectorStatus.AVAILABLE or report.evse_no == 0:
            return
        found = self.book.at_evse(report.station_id, report.evse_no)
        at = report.at or report.received_at
        if found is not None and at > found.started_at:
            schedule_orphan_check(writes, found.id, report.received_at)

    def station_booted(self, report: BootReported, writes: Writes) -> None:
        for found in self.book.all_at_station(report.station_id):
            schedule_orphan_check(writes, found.id, report.received_at)


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """Close a transaction its station has forgotten, as of when it last told a register."""

    station_id: int
    received_at: datetime
    transaction_id: int
    silent_for: timedelta | None = None
    """Only if its station has said nothing of it for so long; None: whatever it says."""
    actor: str | None = None
    """The operator who asked for it; None: nobody but the policy."""


CLOSE_BY_POLICY = BatchStatement(
    "transactions.close_by_policy",
    # end_received_at stays empty: the station's own late word on the end will replace this one.
    """
    UPDATE transactions t SET state = 'Ended', charging_state = NULL,
        ended_at = greatest(u.ended_at, t.started_at),
        energy_wh = coalesce(u.energy_wh, t.energy_wh), stopped_reason = 'Other',
        flags = t.flags | u.flags, settled_at = NULL
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::integer[])
         AS u(id, ended_at, energy_wh, flags)
    WHERE t.id = u.id AND t.state = 'Active'
    """,
    order=30,
)


@dataclass(slots=True, eq=False)
class CloseHandler:
    book: Book
    bus: EventBus

    async def read(
        self, connection: Connection, items: Sequence[Item[CloseRequested]]
    ) -> dict[int, OpenTransaction]:
        numbers = {item.report.transaction_id for item in items}
        lost = {number for number in numbers if self.book.by_id(number) is None}
        return await read_open(connection, lost) if lost else {}

    def decide(
        self,
        item: Item[CloseRequested],
        facts: dict[int, OpenTransaction],
        writes: Writes,
    ) -> Decision[bool]:
        report = item.report
        found = self.book.by_id(report.transaction_id) or facts.get(report.transaction_id)
        if found is None:
            return Decision(reply=False)
        silence = report.received_at - found.heard_at
        if report.silent_for is not None and silence < report.silent_for:
            return Decision(reply=False)  # It spoke since whoever asks has looked.
        ended_at = max(found.track.last_at or found.started_at, found.started_at)
        energy = found.track.energy_wh
        flags = int(Flag.CLOSED_BY_POLICY | Flag.SUSPECT)
        writes.add(CLOSE_BY_POLICY, (found.id, ended_at, energy, flags))
        schedule_settlement(writes, found.id, report.received_at)
        look_at(writes, found.station_id, report.received_at)
        if report.actor is not None:
            act = (report.received_at, report.actor, "transaction.closed", str(found.id), "{}")
            writes.add(AUDIT, act)
        ended = TransactionEnded(found.id, found.station_id, found.evse_no, ended_at, energy)
        return Decision(reply=True, on_commit=lambda: self._closed(ended))

    def _closed(self, ended: TransactionEnded) -> None:
        self.book.remove(ended.transaction_id)
        self.bus.publish(ended)


@dataclass(slots=True)
class OrphanPolicy:
    """Closes transactions that their stations have left open and fallen silent about."""

    database: Database
    clock: HubClock
    book: Book
    committer: GroupCommitter
    handler: CloseHandler
    link: StationLink

    async def check(self, subject: str, _payload: dict[str, Any]) -> None:
        found = self.book.by_id(int(subject))
        if found is None:
            return
        now = self.clock.now()
        # By our clock: the station's may be an hour slow.
        silent = now - found.heard_at >= SILENCE
        if silent and await self._close(found.station_id, found.id, SILENCE):
            return
        async with self.database.write() as connection:
            await jobs.postpone(connection, ORPHAN_CHECK, subject, now + ORPHAN_DELAY)

    async def check_dark(self, subject: str, _payload: dict[str, Any]) -> None:
        """Look at every open transaction: its station may be gone, and no sign will ever come."""
        now = self.clock.now()
        async with self.database.read() as connection:
            rows = await connection.execute(
                select(
                    transactions.c.id,
                    transactions.c.station_id,
                    transactions.c.received_at,
                    charging_stations.c.decommissioned_at,
                )
                .join(charging_stations, charging_stations.c.id == transactions.c.station_id)
                .where(transactions.c.state == "Active")
            )
        silent: list[int] = []
        for row in rows.all():
            found = self.book.by_id(row.id)
            heard_at = row.received_at if found is None else found.heard_at
            if row.decommissioned_at is not None:
                await self._close(row.station_id, row.id)
            elif now - heard_at > DARK:
                # One the book never heard of cannot be checked: nobody goes on with it.
                if found is None:
                    await self._close(row.station_id, row.id, DARK)
                else:
                    silent.append(row.id)
        async with self.database.write() as connection:
            await jobs.schedule_once(connection, ORPHAN_CHECK, silent, now)
            await jobs.postpone(connection, DARK_CHECK, subject, now + DARK_CHECK_EVERY)

    async def station_retired(self, subject: str, _payload: dict[str, Any]) -> None:
        """Close what is open at a station that was decommissioned or replaced. Repeatable."""
        async with self.database.read() as connection:
            numbers = await connection.scalars(
                select(transactions.c.id).where(
                    transactions.c.station_id == int(subject), transactions.c.state == "Active"
                )
            )
        for number in numbers.all():
            await self._close(int(subject), number)

    async def close_by_operator(self, station_id: int, transaction_id: int, actor: str) -> None:
        """Close a transaction whose station cannot be asked to, or was asked and refused.

        Raises StationStillOnline, and TransactionNotActive.
        """
        online = station_id in self.link.online_ids()
        if online and not await self._was_denied(station_id, transaction_id):
            raise StationStillOnline
        if not await self._close(station_id, transaction_id, actor=actor):
            raise TransactionNotActive

    async def _was_denied(self, station_id: int, transaction_id: int) -> bool:
        """Tell whether the station refused to end it: some do not know it any more."""
        refusal = select(station_commands.c.id).where(
            station_commands.c.station_id == station_id,
            station_commands.c.transaction_id == transaction_id,
            station_commands.c.remote_start_id.is_(None),
            station_commands.c.status == "Rejected",
        )
        async with self.database.read() as connection:
            return (await connection.execute(refusal.limit(1))).first() is not None

    async def _close(
        self,
        station_id: int,
        transaction_id: int,
        silent_for: timedelta | None = None,
        actor: str | None = None,
    ) -> bool:
        request = CloseRequested(station_id, self.clock.now(), transaction_id, silent_for, actor)
        closed: bool = await self.committer.submit(station_id, None, self.handler, request)
        if closed:
            log.info("transaction_closed_by_policy", transaction_id=transaction_id)
        return closed
