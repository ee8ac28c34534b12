"""What stations report about profiles and limits, decided and stored in the group commit's batches.

Pages of a report are only kept here; the last one posts the event on which `reconciling` takes all
of them over at once. A car's needs are answered here and served by `comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from sqlalchemy import ARRAY, URL, BigInteger, DateTime, bindparam

from chargehub.kit import jobs
from chargehub.kit.group_commit import BatchHandler, BatchStatement, Decision, Item, Row, Writes
from chargehub.kit.report_handler import ReportHandler
from chargehub.smart_charging.capabilities import exceeds
from chargehub.smart_charging.composite import (
    Bound,
    InForce,
    Question,
    Supply,
    composite_of_evse,
)
from chargehub.smart_charging.ledger import ASK_AFTER, ASK_PROFILES, NEEDS_TOLD
from chargehub.smart_charging.queries import (
    all_held,
    counting,
    external_profiles,
    held_of,
)
from chargehub.smart_charging.reports import (
    EvNeedsReported,
    EvScheduleReported,
    LimitCleared,
    LimitReported,
    NeedsStatus,
    ProfilesReported,
)
from chargehub.smart_charging.store import profile_document, schedule_document
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
)
from chargehub.stations.reports import BootReported
from chargehub.transactions.book import Book

Connection = AsyncConnection[Row]

PROFILES_REPORTED = "charging_profiles.reported"
EV_SCHEDULE_SPAN = timedelta(days=1)
"""How much of a car's schedule is compared with our limits."""
RENEW_EVERY = timedelta(minutes=5)
"""A car whose schedule stays above our limits is sent another profile no more often."""
SOURCES_MAX = 8
"""Who may limit one EVSE beside us; what further sources say is answered and not kept."""

# Only what answers a request that is still open is kept.
INSERT_REPORTED = BatchStatement(
    "profile_reports.insert",
    """
    INSERT INTO profile_reports (station_id, request_id, profile_id, evse_no, source, document)
    SELECT u.station_id, u.request_id, u.profile_id, u.evse_no, u.source, u.document::jsonb
    FROM unnest(%s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::text[], %s::text[],
                %s::timestamptz[])
         AS u(station_id, request_id, profile_id, evse_no, source, document, at)
    JOIN profile_requests r ON r.station_id = u.station_id AND r.request_id = u.request_id
        AND r.done_at IS NULL AND r.asked_at > u.at - interval '1 hour'
    ON CONFLICT DO NOTHING
    """,
)


class ProfilesHandler(ReportHandler[ProfilesReported, None]):
    """Keeps a page of profiles; the last one has them taken over (K09.FR.01/02)."""

    def decide_report(self, report: ProfilesReported, writes: Writes) -> Decision[None]:
        if report.request_id is None:
            return Decision(None)
        for profile in report.profiles:
            document = _json(profile_document(profile))
            place = (report.station_id, report.request_id, profile.id, report.evse_no)
            kept = (*place, report.source, document, report.received_at)
            writes.add(INSERT_REPORTED, kept)
        if not report.more:
            payload = {"station_id": report.station_id, "request_id": report.request_id}
            subject = f"{report.station_id}:{report.request_id}"
            writes.add(jobs.POST, (report.received_at, PROFILES_REPORTED, subject, _json(payload)))
        return Decision(None)


UPSERT_LIMIT = BatchStatement(
    "external_limits.upsert",
    """
    INSERT INTO external_limits (station_id, evse_no, source, grid_critical, schedules, told_at)
    SELECT u.station_id, u.evse_no, u.source, u.grid_critical, u.schedules::jsonb, u.told_at
    FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::boolean[], %s::text[],
                %s::timestamptz[], %s::integer[])
         AS u(station_id, evse_no, source, grid_critical, schedules, told_at, sources_max)
    WHERE (u.evse_no = 0
            OR EXISTS (SELECT FROM evses e
                       WHERE (e.station_id, e.evse_no) = (u.station_id, u.evse_no)))
        AND (SELECT count(*) FROM external_limits l
             WHERE (l.station_id, l.evse_no) = (u.station_id, u.evse_no)
                AND l.source <> u.source) < u.sources_max
    ON CONFLICT (station_id, evse_no, source) DO UPDATE SET
        grid_critical = EXCLUDED.grid_critical, schedules = EXCLUDED.schedules,
        told_at = EXCLUDED.told_at
    """,
)
"""Not of an EVSE that is not there, nor of ever more sources: a station names them as it likes."""

CLEAR_LIMIT = BatchStatement(
    "external_limits.clear",
    """
    DELETE FROM external_limits l
    USING unnest(%s::bigint[], %s::smallint[], %s::text[]) AS u(station_id, evse_no, source)
    WHERE (l.station_id, l.evse_no, l.source) = (u.station_id, u.evse_no, u.source)
    """,
)


class LimitHandler(ReportHandler[LimitReported, None]):
    """Keeps the newest limit that each source has set (K11.FR.02, K12.FR.02)."""

    def decide_report(self, report: LimitReported, writes: Writes) -> Decision[None]:
        # A schedule that names no start stands from now on.
        schedules = [
            schedule_document(replace(one, starts_at=one.starts_at or report.received_at))
            for one in report.schedules
        ]
        key = (report.station_id, report.evse_no, report.source)
        told = (report.grid_critical, orjson.dumps(schedules).decode(), report.received_at)
        writes.add(UPSERT_LIMIT, (*key, *told, SOURCES_MAX))
        return Decision(None)


class LimitClearedHandler(ReportHandler[LimitCleared, None]):
    """Takes back what a source had limited (K13.FR.02)."""

    def decide_report(self, report: LimitCleared, writes: Writes) -> Decision[None]:
        writes.add(CLEAR_LIMIT, (report.station_id, report.evse_no, report.source))
        return Decision(None)


UPSERT_NEEDS = BatchStatement(
    "ev_needs.upsert",
    """
    INSERT INTO ev_needs (station_id, evse_no, transaction_id, needs, max_schedule_tuples,
        departs_at, told_at, answer)
    SELECT u.station_id, u.evse_no, u.transaction_id, u.needs::jsonb, u.max_schedule_tuples,
        u.departs_at, u.told_at, u.answer
    FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::text[], %s::integer[],
                %s::timestamptz[], %s::timestamptz[], %s::text[])
         AS u(station_id, evse_no, transaction_id, needs, max_schedule_tuples, departs_at, told_at,
              answer)
    JOIN evses e ON (e.station_id, e.evse_no) = (u.station_id, u.evse_no)
    ON CONFLICT (station_id, evse_no) DO UPDATE SET
        transaction_id = EXCLUDED.transaction_id, needs = EXCLUDED.needs,
        max_schedule_tuples = EXCLUDED.max_schedule_tuples, departs_at = EXCLUDED.departs_at,
        told_at = EXCLUDED.told_at, answer = EXCLUDED.answer, schedule = NULL,
        schedule_told_at = NULL, within_limits = NULL
    """,
)


@dataclass(slots=True, eq=False)
class NeedsHandler(ReportHandler[EvNeedsReported, NeedsStatus]):
    """Keeps what a car needs; Processing promises the profile that follows (K15.FR.05/07)."""

    book: Book

    def decide_report(self, report: EvNeedsReported, writes: Writes) -> Decision[NeedsStatus]:
        opened = self.book.at_evse(report.station_id, report.evse_no)
        # K15.FR.04: without a transaction there is nothing that a TxProfile could be for.
        answer = NeedsStatus.REJECTED if opened is None else NeedsStatus.PROCESSING
        writes.add(
            UPSERT_NEEDS,
            (
                report.station_id,
                report.evse_no,
                None if opened is None else opened.id,
                _json(report.needs),
                report.max_schedule_tuples,
                report.departs_at,
                report.received_at,
                answer.value,
            ),
        )
        if opened is not None:
            _post_needs(writes, report)
        return Decision(answer)


def _post_needs(writes: Writes, report: EvNeedsReported | EvScheduleReported) -> None:
    subject = f"{report.station_id}:{report.evse_no}"
    writes.add(jobs.SCHEDULE, (NEEDS_TOLD, subject, report.received_at, "{}"))


UPDATE_EV_SCHEDULE = BatchStatement(
    "ev_needs.schedule",
    """
    UPDATE ev_needs n SET schedule = u.schedule::jsonb, schedule_told_at = u.at,
        within_limits = u.within_limits, renewed_at = coalesce(u.renewed_at, n.renewed_at)
    FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::timestamptz[], %s::boolean[],
                %s::timestamptz[])
         AS u(station_id, evse_no, schedule, at, within_limits, renewed_at)
    WHERE (n.station_id, n.evse_no) = (u.station_id, u.evse_no)
    """,
)

# Written out for the batch's bare connection, so that what is in force is said in one place.
_HELD = all_held(
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("station_ids", type_=ARRAY(BigInteger)),
).compile(dialect=URL.create("postgresql+psycopg").get_dialect()())
HELD, HELD_VALUES = str(_HELD).encode(), _HELD.params
LIMITS_OF_OTHERS = "SELECT * FROM external_limits WHERE station_id = ANY(%(station_ids)s)"
RENEWED = """
    SELECT station_id, evse_no, renewed_at FROM ev_needs
    WHERE station_id = ANY(%(station_ids)s) AND renewed_at IS NOT NULL
"""


@dataclass(slots=True)
class ScheduleFacts:
    """What a car's schedule is held against."""

    limits: dict[int, list[InForce]]
    """By station."""
    renewed_at: dict[tuple[int, int], datetime]
    """By station and EVSE."""


@dataclass(slots=True, eq=False)
class EvScheduleHandler:
    """Says whether a car's schedule is within our limits; if not, a new profile follows (K16)."""

    book: Book
    supply: Supply

    async def read(
        self, connection: Connection, items: Sequence[Item[EvScheduleReported]]
    ) -> ScheduleFacts:
        values = {
            "station_ids": [item.report.station_id for item in items],
            "now": max(item.report.received_at for item in items),
        }
        limits: dict[int, list[InForce]] = {}
        async with connection.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(HELD, HELD_VALUES | values)
            held: list[Any] = await cursor.fetchall()
            await cursor.execute(LIMITS_OF_OTHERS, values)
            others: list[Any] = await cursor.fetchall()
            await cursor.execute(RENEWED, values)
            renewed: list[Any] = await cursor.fetchall()
        for row in held:
            limits.setdefault(row.station_id, []).extend(counting([held_of(row)]))
        for row in others:
            limits.setdefault(row.station_id, []).extend(external_profiles([row]))
        renewed_at = {(row.station_id, row.evse_no): row.renewed_at for row in renewed}
        return ScheduleFacts(limits, renewed_at)

    def decide(
        self,
        item: Item[EvScheduleReported],
        facts: ScheduleFacts,
        writes: Writes,
    ) -> Decision[bool]:
        report = item.report
        key = (report.station_id, report.evse_no)
        opened = self.book.at_evse(*key)
        began_at = {} if opened is None else {report.evse_no: opened.started_at}
        within = self._within(report, facts.limits.get(report.station_id, []), began_at)
        before = facts.renewed_at.get(key)
        renewed = (
            not within
            and opened is not None
            and (before is None or report.received_at - before >= RENEW_EVERY)
        )
        document = _json(schedule_document(report.schedule))
        renewed_at = report.received_at if renewed else None
        told = (document, report.received_at, within, renewed_at)
        writes.add(UPDATE_EV_SCHEDULE, (*key, *told))
        if renewed:
            _post_needs(writes, report)  # K15.FR.13
        return Decision(within)

    def _within(
        self, report: EvScheduleReported, held: list[InForce], began_at: dict[int, Any]
    ) -> bool:
        """K15.FR.11/12: compare where either changes; what we do not limit is within."""
        duration_s = int(EV_SCHEDULE_SPAN.total_seconds())
        begin = report.schedule.starts_at or report.time_base
        question = Question(begin, duration_s, RateUnit.W, self.supply, began_at, Bound.LEAST)
        ours = composite_of_evse(held, report.evse_no, question)
        cars = composite_of_evse(
            [InForce(report.evse_no, _as_profile(replace(report.schedule, starts_at=begin)))],
            report.evse_no,
            question,
        )
        turns = {period.start_s for composite in (ours, cars) for period in composite.periods}
        for turn in turns:
            limit, wanted = ours.limit_at(turn), cars.limit_at(turn)
            if limit is not None and wanted is not None and exceeds(wanted, limit):
                return False
        return True


ASK_AFTER_BOOT = BatchStatement(
    "charging_profiles.ask_after_boot",
    # Not where we have set nothing: a thousand stations that boot are a thousand actions else.
    """
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT u.kind, u.station_id::text, u.due_at, u.payload::jsonb
    FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
         AS u(kind, station_id, due_at, payload)
    WHERE EXISTS (SELECT FROM charging_profiles p WHERE p.station_id = u.station_id
                  AND p.set_by IS NOT NULL AND p.closed_at IS NULL)
    ON CONFLICT (kind, subject)
    DO UPDATE SET due_at = EXCLUDED.due_at, payload = EXCLUDED.payload, attempts = 0
    """,
    order=80,
)


def station_booted(report: BootReported, writes: Writes) -> None:
    """Have a station asked, some time after its boot, which profiles it has kept."""
    due_at = report.received_at + ASK_AFTER
    writes.add(ASK_AFTER_BOOT, (ASK_PROFILES, report.station_id, due_at, _json({"booted": True})))


def _as_profile(schedule: ChargingSchedule) -> ChargingProfile:
    return ChargingProfile(0, 0, ProfilePurpose.TX, ProfileKind.ABSOLUTE, (schedule,))


def handlers(book: Book, supply: Supply) -> dict[type, BatchHandler[Any, Any, Any]]:
    """Return who handles what, by report."""
    return {
        ProfilesReported: ProfilesHandler(),
        LimitReported: LimitHandler(),
        LimitCleared: LimitClearedHandler(),
        EvNeedsReported: NeedsHandler(book),
        EvScheduleReported: EvScheduleHandler(book, supply),
    }


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
