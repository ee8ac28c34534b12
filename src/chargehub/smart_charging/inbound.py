"""What stations report about profiles and limits, decided and stored in the group commit's batches.

Pages of a report are only kept here; the last one posts the event on which `reconciling` takes all
of them over at once. A car's needs are answered here and served by `comparison`; how it then means
to charge is in `ev_schedules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from prometheus_client import Counter
from psycopg import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.group_commit import BatchHandler, BatchStatement, Decision, Item, Row, Writes
from chargehub.kit.metrics import limit_counter
from chargehub.kit.report_handler import ReportHandler
from chargehub.smart_charging.composite import Supply
from chargehub.smart_charging.ev_schedules import EvScheduleHandler, post_needs
from chargehub.smart_charging.ledger import ASK_AFTER, ASK_PROFILES, CLEARED, REPLACED
from chargehub.smart_charging.reports import (
    EvNeedsReported,
    EvScheduleReported,
    LimitCleared,
    LimitReported,
    NeedsStatus,
    ProfilesReported,
)
from chargehub.smart_charging.store import REPORTED_MAX, profile_document, schedule_document
from chargehub.stations.profiles import ChargingSchedule
from chargehub.stations.reports import BootReported
from chargehub.transactions.book import Book

Connection = AsyncConnection[Row]

_FULL = limit_counter("limit_sources")
PROFILES_REPORTED = "charging_profiles.reported"
SCHEDULES_MAX, PERIODS_MAX = 3, 100
"""Of one limit: a day by the quarter of an hour. What goes beyond is not kept."""
LIMITS_CUT = Counter("chargehub_charging_limits_cut_total", "Limits of others not kept whole")

# Only what answers a request that is still open is kept.
INSERT_REPORTED = BatchStatement(
    "profile_reports.insert",
    """
    WITH told AS (
        SELECT u.*, row_number() OVER (PARTITION BY station_id, request_id) AS place
        FROM unnest(%s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::text[],
                    %s::text[], %s::timestamptz[], %s::integer[])
             AS u(station_id, request_id, profile_id, evse_no, source, document, at, reported_max)
    ), kept AS (
        SELECT station_id, request_id, count(*) AS profiles FROM profile_reports
        WHERE (station_id, request_id) IN (SELECT station_id, request_id FROM told)
        GROUP BY station_id, request_id
    )
    INSERT INTO profile_reports (station_id, request_id, profile_id, evse_no, source, document)
    SELECT u.station_id, u.request_id, u.profile_id, u.evse_no, u.source, u.document::jsonb
    FROM told u
    JOIN profile_requests r ON r.station_id = u.station_id AND r.request_id = u.request_id
        AND r.done_at IS NULL AND r.asked_at > u.at - interval '1 hour'
    LEFT JOIN kept k ON k.station_id = u.station_id AND k.request_id = u.request_id
    WHERE coalesce(k.profiles, 0) + u.place <= u.reported_max
    ON CONFLICT DO NOTHING
    """,
)


class ProfilesHandler(ReportHandler[ProfilesReported, None]):
    """Keeps a page of profiles; the last one has them taken over (K09.FR.01/02)."""

    def decide_report(self, report: ProfilesReported, writes: Writes) -> Decision[None]:
        if report.request_id is None:
            return Decision(None)
        for profile in report.profiles[:REPORTED_MAX]:
            document = _json(profile_document(profile))
            place = (report.station_id, report.request_id, profile.id, report.evse_no)
            kept = (*place, report.source, document, report.received_at, REPORTED_MAX)
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
                %s::timestamptz[])
         AS u(station_id, evse_no, source, grid_critical, schedules, told_at)
    WHERE u.evse_no = 0
        OR EXISTS (SELECT FROM evses e
                   WHERE (e.station_id, e.evse_no) = (u.station_id, u.evse_no))
    ON CONFLICT (station_id, evse_no, source) DO UPDATE SET
        grid_critical = EXCLUDED.grid_critical, schedules = EXCLUDED.schedules,
        told_at = EXCLUDED.told_at
    """,
)
"""Not of an EVSE that is not there."""

CLEAR_LIMIT = BatchStatement(
    "external_limits.clear",
    """
    DELETE FROM external_limits l
    USING unnest(%s::bigint[], %s::smallint[], %s::text[]) AS u(station_id, evse_no, source)
    WHERE (l.station_id, l.evse_no, l.source) = (u.station_id, u.evse_no, u.source)
    """,
)

# Such a limit may also have been told in a report of the station's profiles (K11.FR.06).
CLOSE_REPORTED_LIMIT = BatchStatement(
    "charging_profiles.limit_over",
    """
    UPDATE charging_profiles p SET state = u.state, settled_at = u.at, closed_at = u.at
    FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::timestamptz[])
         AS u(station_id, evse_no, source, state, at)
    WHERE (p.station_id, p.evse_no, p.source) = (u.station_id, u.evse_no, u.source)
        AND p.purpose = 'ChargingStationExternalConstraints' AND p.closed_at IS NULL
    """,
)


@dataclass(slots=True, eq=False)
class LimitHandler:
    """Keeps the newest limit that each source has set (K11.FR.02, K12.FR.02)."""

    sources: int
    """Who may limit one EVSE beside us: a station names them as it likes."""

    async def read(
        self, connection: Connection, items: Sequence[Item[LimitReported]]
    ) -> set[tuple[int, int, str]]:
        cursor = await connection.execute(
            "SELECT station_id, evse_no, source FROM external_limits WHERE station_id = ANY(%s)",
            ([item.report.station_id for item in items],),
        )
        return {(row[0], row[1], row[2]) for row in await cursor.fetchall()}

    def decide(
        self, item: Item[LimitReported], facts: set[tuple[int, int, str]], writes: Writes
    ) -> Decision[None]:
        report = item.report
        place = (report.station_id, report.evse_no)
        others = {known[2] for known in facts if known[:2] == place} - {report.source}
        if len(others) >= self.sources:
            _FULL.inc()
            return Decision(None)
        kept = kept_schedules(report)
        told_periods = sum(len(one.periods) for one in report.schedules)
        if sum(len(one.periods) for one in kept) < told_periods:
            LIMITS_CUT.inc()
        schedules = [schedule_document(one) for one in kept]
        key = (report.station_id, report.evse_no, report.source)
        told = (report.grid_critical, orjson.dumps(schedules).decode(), report.received_at)
        writes.add(UPSERT_LIMIT, (*key, *told))
        writes.add(CLOSE_REPORTED_LIMIT, (*key, REPLACED, report.received_at))
        return Decision(None)


def kept_schedules(report: LimitReported) -> list[ChargingSchedule]:
    """Return what is kept of a limit; what is cut ends where its first lost period begins.

    A schedule that names no start stands from now on.
    """
    kept: list[ChargingSchedule] = []
    room = PERIODS_MAX
    for told in report.schedules[:SCHEDULES_MAX]:
        one = replace(told, starts_at=told.starts_at or report.received_at)
        if len(one.periods) > room:
            end_s = one.periods[room].start_s
            end_s = end_s if one.duration_s is None else min(end_s, one.duration_s)
            one = replace(one, periods=one.periods[:room], duration_s=end_s)
        if one.periods:
            kept.append(one)
        room -= len(one.periods)
    return kept


class LimitClearedHandler(ReportHandler[LimitCleared, None]):
    """Takes back what a source had limited (K13.FR.02)."""

    def decide_report(self, report: LimitCleared, writes: Writes) -> Decision[None]:
        key = (report.station_id, report.evse_no, report.source)
        writes.add(CLEAR_LIMIT, key)
        writes.add(CLOSE_REPORTED_LIMIT, (*key, CLEARED, report.received_at))
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
            post_needs(writes, report.station_id, report.evse_no, report.received_at)
        return Decision(answer)


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


def handlers(
    book: Book, supply: Supply, limit_sources: int
) -> dict[type, BatchHandler[Any, Any, Any]]:
    """Return who handles what, by report."""
    return {
        ProfilesReported: ProfilesHandler(),
        LimitReported: LimitHandler(limit_sources),
        LimitCleared: LimitClearedHandler(),
        EvNeedsReported: NeedsHandler(book),
        EvScheduleReported: EvScheduleHandler(book, supply),
    }


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
