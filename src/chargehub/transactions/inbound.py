"""What stations report about charging, decided and stored in the group commit's batches.

Every version's messages arrive here as the same reports and are decided by the same rules. Owns the
life of a transaction as far as stations tell it; settling it is `settlement`, closing what a
station forgot is `orphans`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from chargehub.authorization import Authorization, AuthorizationStatus
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Decision, Item, Writes
from chargehub.reservations.queue.triggers import look_at
from chargehub.telemetry.readings import Flag, Reading
from chargehub.telemetry.store import INSERT_SAMPLES
from chargehub.transactions.answers import answer_latecomer, answer_token
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.cars import tell_refusal, with_car
from chargehub.transactions.changes import (
    amends,
    begins_anew,
    event_flags,
    evse_flags,
    fill,
    placed,
    tells_values_only,
    with_remote_token,
)
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
    has_undated,
    read_event_facts,
    read_kept,
    unknown_name,
)
from chargehub.transactions.meter import MeterTrack, advance_to_end, begin_track
from chargehub.transactions.orphans import schedule_orphan_check
from chargehub.transactions.recall import recall_lost
from chargehub.transactions.reports import (
    EventKind,
    TransactionReply,
    TransactionReported,
)
from chargehub.transactions.reserved import held_flag, use_reservation
from chargehub.transactions.rows import (
    END,
    amendment,
    begin_register,
    end_register,
    ending,
    fold,
    insertion,
    is_kept,
    late_amendment,
    link_remote_start,
    newest_shown,
    post_resumption,
    sample_row,
    schedule_settlement,
    suspicion,
    write_bound,
    write_event,
    write_samples,
)
from chargehub.transactions.statements import (
    AMEND_TRANSACTION,
    END_TRANSACTION,
    INSERT_TRANSACTION,
    LINK_REMOTE_START,
    RELEASE_BEGIN,
    RELEASE_REF,
)

UNRATED_POWER_W = 500_000
"""Plausibility bound where an EVSE was never commissioned."""


@dataclass(slots=True, eq=False)
class TransactionHandler:
    """Start, update and end of a transaction, live or replayed, in any order."""

    book: Book
    bus: EventBus
    names: CarNames | None = None

    async def read(
        self, connection: Connection, items: Sequence[Item[TransactionReported]]
    ) -> EventFacts:
        reports = [item.report for item in items]
        strangers = [report for report in reports if not self._knows(report)]
        reserved_at = {report.station_id for report in reports if self._tells_reservation(report)}
        facts = await read_event_facts(connection, reports, strangers, reserved_at, self.names)
        stored = chain(facts.stored.values(), facts.begun.values(), facts.booked.values())
        facts.recalled = await recall_lost(connection, stored, self.book)
        undated = [report for report in reports if has_undated(report)]
        if undated:
            facts.kept = await read_kept(
                connection, [self._place(report, facts) for report in undated]
            )
        return facts

    def _tells_reservation(self, report: TransactionReported) -> bool:
        if report.reservation_id is None:
            return False
        found = self.book.by_ref(report.station_id, report.transaction_ref or "")
        return found is None or found.reservation_id is None

    def _place(
        self, report: TransactionReported, facts: EventFacts
    ) -> tuple[TransactionReported, int, tuple[int | None, ...]]:
        """Return where the readings of a repeated report would be stored."""
        found: OpenTransaction | StoredTransaction | None = None
        if report.transaction_ref is not None:
            name = report.transaction_ref
            found = self.book.by_ref(report.station_id, name)
            found = found or facts.stored.get((report.station_id, name))
        found = found or facts.stored.get((report.station_id, unknown_name(report)))
        found = found or facts.booked.get((report.station_id, report.content_hash))
        if found is None:
            return report, 0, (report.evse_no,)
        return report, found.id, (report.evse_no, found.evse_no, 0)

    def _knows(self, report: TransactionReported) -> bool:
        """Tell whether the book alone says enough: the facts of its EVSE too."""
        if report.transaction_ref is None:
            return False
        found = self.book.by_ref(report.station_id, report.transaction_ref)
        return found is not None and (found.evse_no is not None or report.evse_no is None)

    def decide(
        self, item: Item[TransactionReported], facts: EventFacts, writes: Writes
    ) -> Decision[TransactionReply]:
        told = with_remote_token(item.report, facts)
        report, car = with_car(told, facts.cars, facts.authorization.tokens)
        decision = self._decide(report, facts, writes)
        if car is not None:
            known = facts.authorization.tokens
            tell_refusal(report, car, decision, facts.cars, known, writes, self.names)
        if item.report.id_token is None and decision.reply.authorization is not None:
            # E01.FR.11/12: no token, no answer to it, even where we know whose it is.
            decision.reply = replace(decision.reply, authorization=None)
        return decision

    def _decide(
        self, report: TransactionReported, facts: EventFacts, writes: Writes
    ) -> Decision[TransactionReply]:
        if report.assigns_ref:
            return self._decide_begin(report, facts, writes)
        ref = report.transaction_ref
        found = stored = None
        if ref is not None:
            found = self.book.by_ref(report.station_id, ref)
            stored = facts.stored.get((report.station_id, ref))
        elif report.ref_is_ours:
            stored = facts.booked.get((report.station_id, report.content_hash))
        if found is None and stored is not None and self.book.by_id(stored.id) is None:
            found = facts.recalled.get(stored.id)
            if found is None and begins_anew(report, stored):
                writes.add(RELEASE_REF, (stored.id,))
                return self._decide_stranger(report, facts, writes)
            if found is None:
                return self._decide_late(report, stored, facts, writes)
        if found is None and ref is None and report.ref_is_ours:
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
        if stored is not None and stored.ended_by_station and report.flags & Flag.CLOCK_SKEW:
            # Without a clock two charges can begin with the very same words.
            writes.add(RELEASE_BEGIN, (stored.id,))
            stored = None
        if stored is not None:
            status = AuthorizationStatus(stored.authorization_status or "Invalid")
            reply = TransactionReply(stored.id, Authorization(status, stored.group_id_token))
            recalled = facts.recalled.get(stored.id)
            if recalled is None:
                return Decision(reply)
            return Decision(reply, lambda: self._opened(recalled, report))
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
            name = unknown_name(report)
            report = replace(report, transaction_ref=name)
            stub |= Flag.UNKNOWN_TRANSACTION
            stored = facts.stored.get((report.station_id, name))
            if stored is not None:
                return Decision(TransactionReply(stored.id, answer_latecomer(report, facts)))
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
        if found.id not in facts.recalled and tells_values_only(report, found):
            track, rows = fold(found.track, report.readings)
            if not track.flags or track.flags in found.flags:
                return self._decide_progress(report, found, track, rows, facts, writes)
        changed = replace(found, heard_at=report.received_at)
        authorization = answer_token(report, found, facts, self.book)
        fill(changed, report, authorization, facts)
        evse = None
        if found.evse_no is None and changed.evse_no is not None:
            evse = facts.evses.get((report.station_id, changed.evse_no))
            changed.track = placed(changed.track, evse)
            self._suspect_predecessor(report, changed, writes)
        track, rows = fold(changed.track, report.readings)
        changed.track = track
        changed.flags |= event_flags(report) | track.flags
        if found.evse_no is None:
            changed.flags |= evse_flags(report, facts)
        if changed.authorized and not found.authorized:
            changed.flags |= held_flag(report, changed, facts, writes)
            use_reservation(report, changed, facts, writes)
        elif changed.reservation_id is not None and found.reservation_id is None:
            use_reservation(report, changed, facts, writes)
        if amends(report, found, changed):
            writes.add(AMEND_TRANSACTION, amendment(report, changed, authorization, evse))
        if report.remote_start_id is not None and found.remote_start_id is None:
            writes.add(LINK_REMOTE_START, (found.station_id, report.remote_start_id, found.id))
        write_event(writes, report, found.id)
        post_resumption(writes, report, changed)
        write_samples(writes, report, changed, rows, facts.kept)
        reply = TransactionReply(found.id, authorization)
        if report.kind is EventKind.ENDED:
            ended = self._end(report, changed, writes)
            return Decision(reply, lambda: self._closed(ended))
        return Decision(reply, lambda: self._opened(changed, report))

    def _decide_progress(  # noqa: PLR0917 - what its caller has at hand
        self,
        report: TransactionReported,
        found: OpenTransaction,
        track: MeterTrack,
        rows: list[tuple[Reading, int | None]],
        facts: EventFacts,
        writes: Writes,
    ) -> Decision[TransactionReply]:
        """The common event, at a third of the cost: as `_decide_known`, where only values came."""
        write_event(writes, report, found.id)
        write_samples(writes, report, found, rows, facts.kept)
        effect = partial(self._advanced, found, track, report)
        return Decision(TransactionReply(found.id), effect)

    def _advanced(
        self, found: OpenTransaction, track: MeterTrack, report: TransactionReported
    ) -> None:
        found.track = track
        found.heard_at = report.received_at
        if found.told_at is None or report.at >= found.told_at:
            found.told_at = report.at
        self._progressed(found, report)

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
            writes.add(END_TRANSACTION, ending(report, stored.id, end_register(report), None, 0))
            write_bound(writes, report, stored.id, stored.evse_no, None)
        authorization = answer_latecomer(report, facts)
        evse = facts.evses.get((report.station_id, report.evse_no or 0))
        writes.add(AMEND_TRANSACTION, late_amendment(report, stored, authorization, evse))
        if report.remote_start_id is not None:
            link = (report.station_id, report.remote_start_id, stored.id)
            writes.add(LINK_REMOTE_START, link)
        write_event(writes, late, stored.id)
        evse_no = report.evse_no or stored.evse_no or 0
        for reading in report.readings:
            if not is_kept(report, stored.id, reading, facts.kept):
                writes.add(INSERT_SAMPLES, sample_row(reading, evse_no, stored.id, None, report))
        schedule_settlement(writes, stored.id, report.received_at)
        return Decision(TransactionReply(stored.id, authorization))

    def _begin(
        self, report: TransactionReported, facts: EventFacts, writes: Writes, *, flags: Flag
    ) -> tuple[OpenTransaction, Authorization | None]:
        number = facts.new_ids.pop()
        evse = facts.evses.get((report.station_id, report.evse_no or 0))
        evse = evse or EvseFact(UNRATED_POWER_W, None)
        authorization = answer_token(report, None, facts, self.book)
        register = begin_register(report)
        flags |= event_flags(report) | evse_flags(report, facts)
        refused = authorization is not None and not authorization.accepted
        if refused:
            flags |= Flag.REFUSED_TOKEN
        # A start that must be answered is refused when it names no token.
        refused = refused or (authorization is None and report.assigns_ref)
        token = report.id_token
        if report.kind is EventKind.ENDED:
            token = None  # Who stops need not be who started.
        begun = OpenTransaction(
            id=number,
            station_id=report.station_id,
            ref=report.transaction_ref or str(number),
            evse_no=report.evse_no,
            connector_no=report.connector_no,
            id_token=token.text.lower() if token else None,
            group_id_token=authorization.group_id_token if authorization and token else None,
            authorized=authorization is not None and authorization.accepted,
            started_at=report.at,
            track=begin_track(register, report.at, evse.max_power_w, evse.previous_register_wh),
            heard_at=report.received_at,
            told_at=report.at,
            flags=flags,
            charging_state=report.charging_state,
            remote_start_id=report.remote_start_id,
            reservation_id=report.reservation_id,
        )
        track, rows = fold(begun.track, report.readings)
        begun.track = track
        begun.flags |= track.flags | held_flag(report, begun, facts, writes)
        if report.kind is not EventKind.ENDED:
            use_reservation(report, begun, facts, writes)
        writes.add(
            INSERT_TRANSACTION,
            insertion(report, begun, authorization if token else None, register, evse),
        )
        write_event(writes, report, number)
        write_samples(writes, report, begun, rows, facts.kept)
        if report.kind is EventKind.STARTED:
            write_bound(writes, report, number, begun.evse_no, begun.track.energy_wh)
        link_remote_start(writes, report, begun)
        if refused or not begun.evse_no or begun.flags & Flag.UNKNOWN_EVSE:
            # Nothing else may ever tell of its end: no status, no later start at its EVSE.
            schedule_orphan_check(writes, number, report.received_at)
        return begun, authorization

    def _end(
        self, report: TransactionReported, ended: OpenTransaction, writes: Writes
    ) -> TransactionEnded:
        register = end_register(report)
        if register is not None:
            final = Reading(report.at, END, register_wh=register)
            ended.track = advance_to_end(ended.track, final)
        energy = ended.track.energy_wh
        flags = ended.flags | ended.track.flags
        writes.add(END_TRANSACTION, ending(report, ended.id, register, energy, int(flags)))
        write_bound(writes, report, ended.id, ended.evse_no, energy)
        schedule_settlement(writes, ended.id, report.received_at)
        look_at(writes, ended.station_id, report.received_at)
        ended_at = max(report.at, ended.started_at)
        return TransactionEnded(ended.id, ended.station_id, ended.evse_no, ended_at, energy)

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
        if before is None or before.id == begun.id or before.started_at > begun.started_at:
            return
        writes.add(AMEND_TRANSACTION, suspicion(before.id))
        schedule_orphan_check(writes, before.id, report.received_at)

    def _opened(self, opened: OpenTransaction, report: TransactionReported) -> None:
        listed = self.book.by_id(opened.id)
        if opened.evse_no is not None and (listed is None or listed.evse_no is None):
            before = self.book.at_evse(opened.station_id, opened.evse_no)
            if before is not None and before.started_at <= opened.started_at:
                before.flags |= Flag.SUSPECT
                self.book.put(before)
        self.book.put(opened)
        if listed is None or listed.evse_no != opened.evse_no:
            self.bus.publish(
                TransactionStarted(opened.id, opened.station_id, opened.evse_no, opened.started_at)
            )
        self._progressed(opened, report)

    def _progressed(self, opened: OpenTransaction, report: TransactionReported) -> None:
        """Publish what is newest: an event may come late, its readings in any order."""
        newest = newest_shown(opened, report.readings)
        if newest is not None:
            opened.shown_at = newest.sampled_at
        self.bus.publish(
            TransactionProgressed(
                opened.id,
                opened.station_id,
                opened.evse_no,
                report.at,
                power_w=newest.power_w if newest else None,
                energy_wh=opened.track.energy_wh,
                soc_percent=newest.soc_percent if newest else None,
                charging_state=opened.charging_state,
            )
        )

    def _closed(self, ended: TransactionEnded) -> None:
        self.book.remove(ended.transaction_id)
        self.bus.publish(ended)
