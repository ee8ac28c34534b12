"""MeterValues: the hot path. A known open transaction needs no read at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain

from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Decision, Item, Writes
from chargehub.telemetry.readings import Flag, Reading
from chargehub.telemetry.store import INSERT_SAMPLES
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.events import TransactionProgressed, TransactionStarted
from chargehub.transactions.facts import (
    Connection,
    KeptSample,
    StoredTransaction,
    has_undated,
    read_kept,
    read_stored,
    read_transaction_at,
)
from chargehub.transactions.meter import MeterTrack
from chargehub.transactions.recall import recall_lost
from chargehub.transactions.reports import SamplesReported
from chargehub.transactions.rows import (
    fold,
    is_kept,
    newest_shown,
    sample_row,
    schedule_settlement,
)


@dataclass(slots=True)
class SampleFacts:
    by_ref: dict[tuple[int, str], StoredTransaction]
    by_place: dict[tuple[int, int, datetime], StoredTransaction]
    recalled: dict[int, OpenTransaction]
    """Open in the database and missing in the book: the answer to their COMMIT was lost."""

    kept: set[KeptSample]
    """Readings without a usable time that are stored already."""

    def stored(self, report: SamplesReported) -> StoredTransaction | None:
        if report.transaction_ref is not None:
            return self.by_ref.get((report.station_id, report.transaction_ref))
        if not report.readings:
            return None
        place = (report.station_id, report.evse_no, report.readings[0].sampled_at)
        return self.by_place.get(place)


@dataclass(slots=True, eq=False)
class SamplesHandler:
    book: Book
    bus: EventBus

    def _find(self, report: SamplesReported) -> OpenTransaction | None:
        if report.transaction_ref is not None:
            return self.book.by_ref(report.station_id, report.transaction_ref)
        if report.evse_no == 0:
            return None
        found = self.book.at_evse(report.station_id, report.evse_no)
        if found is None or not report.readings:
            return None
        return found if report.readings[0].sampled_at >= found.started_at else None

    async def read(
        self, connection: Connection, items: Sequence[Item[SamplesReported]]
    ) -> SampleFacts | None:
        lost = [item.report for item in items if self._find(item.report) is None]
        undated = [item.report for item in items if has_undated(item.report)]
        if not lost and not undated:
            return None
        refs = [
            (report.station_id, report.transaction_ref)
            for report in lost
            if report.transaction_ref is not None
        ]
        places = [
            (report.station_id, report.evse_no, report.readings[0].sampled_at)
            for report in lost
            if report.transaction_ref is None and report.evse_no and report.readings
        ]
        by_ref = await read_stored(connection, refs)
        by_place = await read_transaction_at(connection, places)
        stored = chain(by_ref.values(), by_place.values())
        recalled = await recall_lost(connection, stored, self.book)
        facts = SampleFacts(by_ref, by_place, recalled, set())
        if undated:
            asked = [self._place(report, facts) for report in undated]
            facts.kept = await read_kept(connection, asked)
        return facts

    def _place(
        self, report: SamplesReported, facts: SampleFacts
    ) -> tuple[SamplesReported, int, tuple[int | None, ...]]:
        """Return where the readings of a repeated report would be stored."""
        found = self._find(report) or facts.stored(report)
        if found is None:
            return report, 0, (report.evse_no,)
        return report, found.id, (report.evse_no, found.evse_no, 0)

    def decide(
        self, item: Item[SamplesReported], facts: SampleFacts | None, writes: Writes
    ) -> Decision[None]:
        report = item.report
        found = self._find(report)
        stored = None
        if found is None and facts is not None:
            stored = facts.stored(report)
            found = facts.recalled.get(stored.id) if stored is not None else None
        if found is None:
            self._store_late(report, stored, facts, writes)
            return Decision(None)
        evse_no = report.evse_no or found.evse_no or 0
        track, rows = fold(found.track, report.readings)
        newest = newest_shown(found, report.readings)
        if facts is not None and facts.kept:
            rows = [row for row in rows if not is_kept(report, found.id, row[0], facts.kept)]
        for reading, energy in rows:
            writes.add(
                INSERT_SAMPLES,
                sample_row(reading, evse_no, found.id, energy, report),
            )
        heard_at = report.received_at
        if stored is not None:
            return Decision(None, lambda: self._recalled(found, track, heard_at, newest))
        effect = partial(self._advanced, found, track, heard_at, newest)
        return Decision(None, effect)

    def _recalled(
        self,
        found: OpenTransaction,
        track: MeterTrack,
        heard_at: datetime,
        newest: Reading | None,
    ) -> None:
        """Enter what the book never heard of, then go on as with any."""
        self.book.put(found)
        self.bus.publish(
            TransactionStarted(found.id, found.station_id, found.evse_no, found.started_at)
        )
        self._advanced(found, track, heard_at, newest)

    def _advanced(
        self,
        found: OpenTransaction,
        track: MeterTrack,
        heard_at: datetime,
        newest: Reading | None,
    ) -> None:
        found.track = track
        found.heard_at = heard_at
        if newest is not None:
            found.shown_at = newest.sampled_at
            self.bus.publish(
                TransactionProgressed(
                    found.id,
                    found.station_id,
                    found.evse_no,
                    newest.sampled_at,
                    newest.power_w,
                    track.energy_wh,
                    newest.soc_percent,
                )
            )

    def _store_late(
        self,
        report: SamplesReported,
        stored: StoredTransaction | None,
        facts: SampleFacts | None,
        writes: Writes,
    ) -> None:
        """Keep samples of an ended, unknown or absent transaction; they close and open nothing."""
        unknown = stored is None and report.transaction_ref is not None
        for reading in report.readings:
            kept = reading
            if unknown:
                kept = reading._replace(flags=reading.flags | Flag.UNKNOWN_TRANSACTION)
            number = stored.id if stored else 0
            if facts is not None and is_kept(report, number, reading, facts.kept):
                continue
            writes.add(
                INSERT_SAMPLES,
                sample_row(kept, report.evse_no, number, None, report),
            )
        if stored is not None:
            schedule_settlement(writes, stored.id, report.received_at)
