"""What stations report about charging, decided and stored in the group commit's batches.

Every version's messages arrive here as the same reports and are decided by the same rules. Owns the
life of a transaction as far as stations tell it; what happens later (settling, closing what a
station forgot) is `service`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from chargehub.authorization import (
    Authorization,
    AuthorizationStatus,
    TokenFact,
    decide,
    read_token_facts,
)
from chargehub.kit import jobs
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Decision, Item, Writes
from chargehub.stations.reports import BootReported, ConnectorStatus, StatusReported
from chargehub.telemetry.readings import Flag, Reading
from chargehub.telemetry.store import INSERT_SAMPLES
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)
from chargehub.transactions.facts import (
    Connection,
    EventFacts,
    EvseFact,
    StoredTransaction,
    begin_key,
    read_event_facts,
    read_stored,
    read_transaction_at,
)
from chargehub.transactions.meter import advance, begin_track
from chargehub.transactions.reports import (
    AuthorizeRequested,
    EventKind,
    IdToken,
    ReservationStatusReported,
    SamplesReported,
    TransactionReply,
    TransactionReported,
)
from chargehub.transactions.statements import (
    AMEND_TRANSACTION,
    END_TRANSACTION,
    INSERT_EVENT,
    INSERT_TRANSACTION,
    LINK_REMOTE_START,
    LINK_REMOTE_START_BY_TOKEN,
)

SETTLE = "transaction.settle"
ORPHAN_CHECK = "transaction.orphan_check"

SETTLE_DELAY = timedelta(minutes=1)
"""Late samples of a queue usually follow the end within a minute; later ones settle again."""
ORPHAN_DELAY = timedelta(minutes=15)
REMOTE_START_WINDOW = timedelta(minutes=10)
UNRATED_POWER_W = 500_000
"""Plausibility bound where an EVSE was never commissioned."""


@dataclass(slots=True, eq=False)
class AuthorizeHandler:
    book: Book

    async def read(
        self, connection: Connection, items: Sequence[Item[AuthorizeRequested]]
    ) -> dict[str, TokenFact]:
        return await read_token_facts(connection, {item.report.id_token.text for item in items})

    def decide(
        self,
        item: Item[AuthorizeRequested],
        facts: dict[str, TokenFact],
        writes: Writes,  # noqa: ARG002 - a question leaves no row
    ) -> Decision[Authorization]:
        report = item.report
        token = report.id_token.text.lower()
        # The same card at the same station may be about to stop its own transaction.
        elsewhere = self.book.charging_with(token, not_at_station=report.station_id)
        return Decision(
            decide(
                token,
                report.id_token.kind,
                facts.get(token),
                now=report.received_at,
                charging_elsewhere=elsewhere is not None,
            )
        )


@dataclass(slots=True, eq=False)
class TransactionHandler:
    """Start, update and end of a transaction, live or replayed, in any order."""

    book: Book
    bus: EventBus

    async def read(
        self, connection: Connection, items: Sequence[Item[TransactionReported]]
    ) -> EventFacts:
        reports = [item.report for item in items]
        known = {
            (report.station_id, report.transaction_ref)
            for report in reports
            if report.transaction_ref is not None
            and self.book.by_ref(report.station_id, report.transaction_ref) is not None
        }
        return await read_event_facts(connection, reports, known)

    def decide(
        self, item: Item[TransactionReported], facts: EventFacts, writes: Writes
    ) -> Decision[TransactionReply]:
        report = _with_remote_token(item.report, facts)
        if report.assigns_ref:
            return self._decide_begin(report, facts, writes)
        ref = report.transaction_ref
        found = None
        if ref is not None:
            found = self.book.by_ref(report.station_id, ref)
            stored = facts.stored.get((report.station_id, ref))
            if found is None and stored is not None:
                return self._decide_late(report, stored, facts, writes)
        elif report.ref_is_ours:
            found = self._reconcile(report)
            if found is not None:
                report = replace(report, flags=report.flags | Flag.UNKNOWN_TRANSACTION)
        if found is None:
            return self._decide_stranger(report, facts, writes)
        return self._decide_known(report, found, facts, writes)

    def _decide_begin(
        self, report: TransactionReported, facts: EventFacts, writes: Writes
    ) -> Decision[TransactionReply]:
        """Begin a transaction that we number, or recognise the start we have already booked."""
        stored = facts.begun.get((report.station_id, begin_key(report)))
        if stored is not None:
            status = AuthorizationStatus(stored.authorization_status or "Invalid")
            return Decision(
                TransactionReply(stored.id, Authorization(status, stored.group_id_token))
            )
        begun, authorization = self._begin(report, facts, writes, flags=Flag.NONE)
        self._suspect_predecessor(report, begun, writes)
        return Decision(
            TransactionReply(begun.id, authorization), lambda: self._opened(begun, report)
        )

    def _decide_stranger(
        self, report: TransactionReported, facts: EventFacts, writes: Writes
    ) -> Decision[TransactionReply]:
        """A transaction first heard of: begun, or a stub when its beginning was missed."""
        stub = Flag.NONE if report.kind is EventKind.STARTED else Flag.STUB
        if report.ref_is_ours:
            # A number we never gave, or none: kept under a name that no number can collide with.
            name = f"unknown-{report.content_hash & (2**64 - 1):016x}"
            report = replace(report, transaction_ref=name)
            stub |= Flag.UNKNOWN_TRANSACTION
            stored = facts.stored.get((report.station_id, name))
            if stored is not None:
                return Decision(TransactionReply(stored.id, self._answer(report, None, facts)))
        begun, authorization = self._begin(report, facts, writes, flags=stub)
        self._suspect_predecessor(report, begun, writes)
        if report.kind is EventKind.ENDED:
            ended = self._end(report, begun, writes)
            reply = TransactionReply(begun.id, authorization)
            return Decision(reply, lambda: self.bus.publish(ended))
        return Decision(
            TransactionReply(begun.id, authorization), lambda: self._opened(begun, report)
        )

    def _decide_known(
        self,
        report: TransactionReported,
        found: OpenTransaction,
        facts: EventFacts,
        writes: Writes,
    ) -> Decision[TransactionReply]:
        changed = replace(found)
        authorization = self._answer(report, found, facts)
        _fill(changed, report, authorization)
        track, rows = _fold(changed, report)
        changed.track = track
        changed.flags |= Flag(report.flags) | track.flags
        if _amends(report, found, changed):
            writes.add(AMEND_TRANSACTION, _amendment(report, changed, authorization))
        if report.remote_start_id is not None and found.remote_start_id is None:
            writes.add(LINK_REMOTE_START, (found.station_id, report.remote_start_id, found.id))
        _write_event(writes, report, found.id)
        _write_samples(writes, report, changed, rows)
        reply = TransactionReply(found.id, authorization)
        if report.kind is EventKind.ENDED:
            ended = self._end(report, changed, writes)
            return Decision(reply, lambda: self._closed(ended))
        return Decision(reply, lambda: self._opened(changed, report, known=True))

    def _decide_late(
        self,
        report: TransactionReported,
        stored: StoredTransaction,
        facts: EventFacts,
        writes: Writes,
    ) -> Decision[TransactionReply]:
        """An event of an ended transaction: a repetition, a latecomer of a replay, a second end."""
        late = report
        if not report.offline:
            late = replace(report, flags=report.flags | Flag.UNKNOWN_TRANSACTION)
        if stored.ended_by_policy and report.kind is EventKind.ENDED:
            writes.add(END_TRANSACTION, _ending(report, stored.id, report.register_wh, None, 0))
        if report.kind is EventKind.STARTED:
            writes.add(AMEND_TRANSACTION, _late_amendment(report, stored.id))
        _write_event(writes, late, stored.id)
        evse_no = report.evse_no or stored.evse_no or 0
        for reading in report.readings:
            writes.add(
                INSERT_SAMPLES,
                sample_row(reading, report.station_id, evse_no, stored.id, None, report),
            )
        writes.add(jobs.SCHEDULE, (SETTLE, str(stored.id), report.received_at + SETTLE_DELAY, "{}"))
        return Decision(TransactionReply(stored.id, self._answer(report, None, facts)))

    def _begin(
        self, report: TransactionReported, facts: EventFacts, writes: Writes, *, flags: Flag
    ) -> tuple[OpenTransaction, Authorization | None]:
        number = facts.new_ids.pop()
        evse = facts.evses.get((report.station_id, report.evse_no or 0))
        evse = evse or EvseFact(UNRATED_POWER_W, None)
        authorization = self._answer(report, None, facts)
        register = _begin_register(report)
        flags |= Flag(report.flags) | (Flag.OFFLINE if report.offline else Flag.NONE)
        refused = authorization is not None and not authorization.accepted
        if refused:
            flags |= Flag.REFUSED_TOKEN
        begun = OpenTransaction(
            id=number,
            station_id=report.station_id,
            ref=report.transaction_ref or str(number),
            evse_no=report.evse_no,
            connector_no=report.connector_no,
            id_token=report.id_token.text.lower() if report.id_token else None,
            group_id_token=authorization.group_id_token if authorization else None,
            authorized=authorization is not None and authorization.accepted,
            started_at=report.at,
            track=begin_track(register, report.at, evse.max_power_w, evse.previous_register_wh),
            flags=flags,
            charging_state=report.charging_state,
            remote_start_id=report.remote_start_id,
            reservation_id=report.reservation_id,
        )
        track, rows = _fold(begun, report)
        begun.track = track
        begun.flags |= track.flags
        writes.add(
            INSERT_TRANSACTION,
            _insertion(report, begun, authorization, register, evse),
        )
        _write_event(writes, report, number)
        _write_samples(writes, report, begun, rows)
        _link_remote_start(writes, report, begun)
        if refused:
            _schedule_orphan_check(writes, number, report.received_at)
        _post(writes, "transaction.started", report.received_at, begun)
        return begun, authorization

    def _end(
        self, report: TransactionReported, ended: OpenTransaction, writes: Writes
    ) -> TransactionEnded:
        register = report.register_wh
        if register is None:
            register = _end_register(report)
        else:
            final = Reading(report.at, "Transaction.End", register_wh=register)
            ended.track, _ = advance(ended.track, final)
        energy = ended.track.energy_wh
        flags = ended.flags | ended.track.flags
        writes.add(END_TRANSACTION, _ending(report, ended.id, register, energy, int(flags)))
        writes.add(jobs.SCHEDULE, (SETTLE, str(ended.id), report.received_at + SETTLE_DELAY, "{}"))
        _post(writes, "transaction.ended", report.received_at, ended)
        return TransactionEnded(ended.id, ended.station_id, ended.evse_no, report.at, energy)

    def _answer(
        self, report: TransactionReported, found: OpenTransaction | None, facts: EventFacts
    ) -> Authorization | None:
        """Answer the presented token; no token, no answer (E01.FR.11/12)."""
        if report.id_token is None:
            return None
        token = report.id_token.text.lower()
        own = found.id if found is not None else None
        starts = report.kind is EventKind.STARTED or (found is not None and not found.authorized)
        elsewhere = starts and self.book.charging_with(token, besides=own) is not None
        return decide(
            token,
            report.id_token.kind,
            facts.tokens.get(token),
            now=report.received_at,
            charging_elsewhere=elsewhere,
        )

    def _reconcile(self, report: TransactionReported) -> OpenTransaction | None:
        """Find the one transaction that an event without a number can only mean (E16 3.18)."""
        candidates = [
            found
            for found in self.book.all_at_station(report.station_id)
            if found.started_at <= report.at and not found.flags & Flag.SUSPECT
        ]
        token = report.id_token.text.lower() if report.id_token else None
        if token is not None:
            candidates = [found for found in candidates if found.id_token == token]
        return candidates[0] if len(candidates) == 1 else None

    def _suspect_predecessor(
        self, report: TransactionReported, begun: OpenTransaction, writes: Writes
    ) -> None:
        """A gun charges one car: what was open there before is suspect, but may still end."""
        if report.evse_no is None:
            return
        before = self.book.at_evse(report.station_id, report.evse_no)
        if before is None or before.started_at > begun.started_at:
            return
        row = (before.id, *[None] * 8, None, False, None, None, int(Flag.SUSPECT))
        writes.add(AMEND_TRANSACTION, row)
        _schedule_orphan_check(writes, before.id, report.received_at)

    def _opened(
        self, opened: OpenTransaction, report: TransactionReported, *, known: bool = False
    ) -> None:
        if opened.evse_no is not None and not known:
            before = self.book.at_evse(opened.station_id, opened.evse_no)
            if before is not None and before.started_at <= opened.started_at:
                before.flags |= Flag.SUSPECT
                self.book.put(before)
        self.book.put(opened)
        if not known:
            self.bus.publish(
                TransactionStarted(opened.id, opened.station_id, opened.evse_no, opened.started_at)
            )
        self._progressed(opened, report)

    def _progressed(self, opened: OpenTransaction, report: TransactionReported) -> None:
        last = report.readings[-1] if report.readings else None
        self.bus.publish(
            TransactionProgressed(
                opened.id,
                opened.station_id,
                opened.evse_no,
                report.at,
                power_w=last.power_w if last else None,
                energy_wh=opened.track.energy_wh,
                soc_percent=last.soc_percent if last else None,
                charging_state=opened.charging_state,
            )
        )

    def _closed(self, ended: TransactionEnded) -> None:
        self.book.remove(ended.transaction_id)
        self.bus.publish(ended)


@dataclass(slots=True)
class SampleFacts:
    by_ref: dict[tuple[int, str], StoredTransaction]
    by_place: dict[tuple[int, int, datetime], StoredTransaction]


@dataclass(slots=True, eq=False)
class SamplesHandler:
    """MeterValues: the hot path. A known open transaction needs no read at all."""

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
        if not lost:
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
        return SampleFacts(
            await read_stored(connection, refs), await read_transaction_at(connection, places)
        )

    def decide(
        self, item: Item[SamplesReported], facts: SampleFacts | None, writes: Writes
    ) -> Decision[None]:
        report = item.report
        found = self._find(report)
        if found is None:
            self._store_late(report, facts, writes)
            return Decision(None)
        track = found.track
        newest = None
        evse_no = report.evse_no or found.evse_no or 0
        for reading in report.readings:
            newer = track.last_at is None or reading.sampled_at >= track.last_at
            track, own = advance(track, reading)
            energy = track.energy_wh if newer and not own & Flag.IMPLAUSIBLE else None
            if own:
                reading = replace(reading, flags=reading.flags | own)  # noqa: PLW2901 - same reading
            writes.add(
                INSERT_SAMPLES,
                sample_row(reading, report.station_id, evse_no, found.id, energy, report),
            )
            if newer:
                newest = reading
        return Decision(None, lambda: self._advanced(found, track, newest))

    def _advanced(self, found: OpenTransaction, track: Any, newest: Reading | None) -> None:
        found.track = track
        if newest is not None:
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
        self, report: SamplesReported, facts: SampleFacts | None, writes: Writes
    ) -> None:
        """Keep samples of an ended, unknown or absent transaction; they close and open nothing."""
        stored = None
        if facts is not None and report.transaction_ref is not None:
            stored = facts.by_ref.get((report.station_id, report.transaction_ref))
        elif facts is not None and report.readings:
            place = (report.station_id, report.evse_no, report.readings[0].sampled_at)
            stored = facts.by_place.get(place)
        unknown = stored is None and report.transaction_ref is not None
        for reading in report.readings:
            kept = reading
            if unknown:
                kept = replace(reading, flags=reading.flags | Flag.UNKNOWN_TRANSACTION)
            number = stored.id if stored else 0
            writes.add(
                INSERT_SAMPLES,
                sample_row(kept, report.station_id, report.evse_no, number, None, report),
            )
        if stored is not None:
            due = report.received_at + SETTLE_DELAY
            writes.add(jobs.SCHEDULE, (SETTLE, str(stored.id), due, "{}"))


@dataclass(slots=True, eq=False)
class ReservationStatusHandler:
    """Acknowledges ReservationStatusUpdate, known id or not, and passes it on (H04.FR.01)."""

    async def read(
        self, connection: Connection, items: Sequence[Item[ReservationStatusReported]]
    ) -> None:
        """Need nothing."""

    def decide(
        self,
        item: Item[ReservationStatusReported],
        facts: None,  # noqa: ARG002 - part of the handler's shape
        writes: Writes,
    ) -> Decision[None]:
        report = item.report
        payload = {"reservation_id": report.reservation_id, "status": report.status}
        writes.add(
            jobs.POST,
            (
                report.received_at,
                "reservation.status_reported",
                str(report.station_id),
                orjson.dumps(payload).decode(),
            ),
        )
        return Decision(None)


@dataclass(slots=True, eq=False)
class OrphanWatch:
    """Notices that a station has gone on without ending a transaction; a check falls due later.

    Neither a status nor a boot ends a transaction by itself (16 4.9, B01.FR.13).
    """

    book: Book

    def status_reported(self, report: StatusReported, writes: Writes) -> None:
        if report.status is not ConnectorStatus.AVAILABLE or report.evse_no == 0:
            return
        found = self.book.at_evse(report.station_id, report.evse_no)
        at = report.at or report.received_at
        if found is not None and at > found.started_at:
            _schedule_orphan_check(writes, found.id, report.received_at)

    def station_booted(self, report: BootReported, writes: Writes) -> None:
        for found in self.book.all_at_station(report.station_id):
            _schedule_orphan_check(writes, found.id, report.received_at)


def _schedule_orphan_check(writes: Writes, transaction_id: int, now: datetime) -> None:
    writes.add(jobs.SCHEDULE, (ORPHAN_CHECK, str(transaction_id), now + ORPHAN_DELAY, "{}"))


def _with_remote_token(report: TransactionReported, facts: EventFacts) -> TransactionReported:
    """Use the token of the remote start where the station does not repeat it."""
    if report.remote_start_id is None or report.id_token is not None:
        return report
    token = facts.remote_tokens.get((report.station_id, report.remote_start_id))
    return report if token is None else replace(report, id_token=token)


def _begin_register(report: TransactionReported) -> int | None:
    if report.kind is EventKind.STARTED and report.register_wh is not None:
        return report.register_wh
    for reading in report.readings:
        if reading.context == "Transaction.Begin" and reading.register_wh is not None:
            return reading.register_wh
    return None


def _end_register(report: TransactionReported) -> int | None:
    registers = [
        reading.register_wh
        for reading in sorted(report.readings, key=lambda reading: reading.sampled_at)
        if reading.register_wh is not None
    ]
    return registers[-1] if registers else None


def _fill(
    changed: OpenTransaction, report: TransactionReported, authorization: Authorization | None
) -> None:
    """Facts may arrive on any event; what is known already stays (E01.FR.13/16)."""
    changed.evse_no = changed.evse_no if changed.evse_no is not None else report.evse_no
    changed.connector_no = changed.connector_no or report.connector_no
    changed.charging_state = report.charging_state or changed.charging_state
    changed.remote_start_id = changed.remote_start_id or report.remote_start_id
    changed.reservation_id = changed.reservation_id or report.reservation_id
    if authorization is not None and not changed.authorized and report.id_token is not None:
        changed.id_token = report.id_token.text.lower()
        changed.authorized = authorization.accepted
        changed.group_id_token = authorization.group_id_token


def _fold(
    transaction: OpenTransaction, report: TransactionReported
) -> tuple[Any, list[tuple[Reading, int | None]]]:
    track = transaction.track
    rows: list[tuple[Reading, int | None]] = []
    for reading in report.readings:
        newer = track.last_at is None or reading.sampled_at >= track.last_at
        track, own = advance(track, reading)
        energy = track.energy_wh if newer and not own & Flag.IMPLAUSIBLE else None
        rows.append((replace(reading, flags=reading.flags | own) if own else reading, energy))
    return track, rows


def _amends(report: TransactionReported, found: OpenTransaction, changed: OpenTransaction) -> bool:
    return report.kind is EventKind.STARTED or any(
        getattr(found, name) != getattr(changed, name)
        for name in (
            "evse_no",
            "connector_no",
            "id_token",
            "authorized",
            "charging_state",
            "remote_start_id",
            "reservation_id",
            "flags",
        )
    )


def _insertion(
    report: TransactionReported,
    begun: OpenTransaction,
    authorization: Authorization | None,
    register: int | None,
    evse: EvseFact,
) -> tuple[Any, ...]:
    return (
        begun.id,
        begun.station_id,
        begun.ref,
        begin_key(report) if report.assigns_ref else None,
        begun.evse_no,
        begun.connector_no,
        begun.id_token,
        report.id_token.kind if report.id_token else None,
        begun.group_id_token,
        str(authorization.status) if authorization else None,
        begun.charging_state,
        begun.started_at,
        report.received_at,
        register,
        evse.previous_register_wh,
        evse.max_power_w,
        int(begun.flags),
        report.offline,
        begun.remote_start_id,
        begun.reservation_id,
    )


def _amendment(
    report: TransactionReported, changed: OpenTransaction, authorization: Authorization | None
) -> tuple[Any, ...]:
    token: IdToken | None = report.id_token
    owns = token is not None and changed.id_token == token.text.lower()
    return (
        changed.id,
        changed.evse_no,
        changed.connector_no,
        changed.id_token if owns else None,
        token.kind if owns and token else None,
        changed.group_id_token if owns else None,
        str(authorization.status) if owns and authorization else None,
        changed.charging_state,
        _begin_register(report),
        report.at if report.kind is EventKind.STARTED else None,
        report.offline,
        changed.remote_start_id,
        changed.reservation_id,
        int(changed.flags),
    )


def _late_amendment(report: TransactionReported, transaction_id: int) -> tuple[Any, ...]:
    """A Started that comes after its Ended: its begin counts from now on."""
    token = report.id_token
    return (
        transaction_id,
        report.evse_no,
        report.connector_no,
        token.text.lower() if token else None,
        token.kind if token else None,
        None,
        None,
        None,
        _begin_register(report),
        report.at,
        report.offline,
        report.remote_start_id,
        report.reservation_id,
        report.flags,
    )


def _ending(
    report: TransactionReported,
    transaction_id: int,
    register: int | None,
    energy: int | None,
    flags: int,
) -> tuple[Any, ...]:
    return (
        transaction_id,
        report.at,
        report.received_at,
        register,
        energy,
        report.stopped_reason or "Local",  # absent means Local (16 4.10)
        report.id_token.text if report.id_token else None,
        flags | report.flags,
    )


def _link_remote_start(writes: Writes, report: TransactionReported, begun: OpenTransaction) -> None:
    if report.remote_start_id is not None:
        writes.add(LINK_REMOTE_START, (begun.station_id, report.remote_start_id, begun.id))
    elif report.assigns_ref and begun.id_token is not None:
        since = report.received_at - REMOTE_START_WINDOW
        writes.add(
            LINK_REMOTE_START_BY_TOKEN,
            (begun.station_id, begun.id_token, begun.evse_no, since, begun.id),
        )


def _write_event(writes: Writes, report: TransactionReported, transaction_id: int) -> None:
    raw = None
    if report.flags and report.raw is not None:
        raw = orjson.dumps(report.raw).decode()
    writes.add(
        INSERT_EVENT,
        (
            transaction_id,
            str(report.kind),
            report.at,
            report.received_at,
            report.seq_no,
            report.trigger,
            report.charging_state,
            report.offline,
            report.flags,
            raw,
            report.content_hash,
        ),
    )


def _write_samples(
    writes: Writes,
    report: TransactionReported,
    transaction: OpenTransaction,
    rows: list[tuple[Reading, int | None]],
) -> None:
    evse_no = transaction.evse_no or 0
    for reading, energy in rows:
        writes.add(
            INSERT_SAMPLES,
            sample_row(reading, report.station_id, evse_no, transaction.id, energy, report),
        )


def sample_row(
    reading: Reading,
    station_id: int,
    evse_no: int,
    transaction_id: int,
    energy_wh: int | None,
    report: SamplesReported | TransactionReported,
) -> tuple[Any, ...]:
    """Return a row for INSERT_SAMPLES."""
    return (
        reading.sampled_at,
        report.received_at,
        station_id,
        evse_no,
        transaction_id,
        reading.context,
        reading.content_hash,
        reading.register_wh,
        energy_wh,
        reading.power_w,
        reading.offered_power_w,
        reading.voltage_v,
        reading.current_a,
        reading.soc_percent,
        reading.temperature_c,
        reading.flags,
        None if reading.extras is None else orjson.dumps(reading.extras).decode(),
        None if reading.raw is None else orjson.dumps(reading.raw).decode(),
    )


def _post(writes: Writes, topic: str, at: datetime, transaction: OpenTransaction) -> None:
    payload = {
        "transaction_id": transaction.id,
        "station_id": transaction.station_id,
        "evse_no": transaction.evse_no,
        "energy_wh": transaction.track.energy_wh,
        "flags": int(transaction.flags),
    }
    writes.add(jobs.POST, (at, topic, str(transaction.id), orjson.dumps(payload).decode()))
