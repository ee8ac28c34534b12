"""How cars mean to charge, held against our limits in the group commit's batches (K15, K16).

Owns the comparison and its limits: a batch has messages of other stations in it, so it is made away
from the loop, and only where it is little work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from sqlalchemy import ARRAY, URL, BigInteger, DateTime, bindparam

from chargehub.kit import jobs
from chargehub.kit.group_commit import BatchStatement, Decision, Item, Row, Writes
from chargehub.smart_charging.capabilities import exceeds
from chargehub.smart_charging.composite import (
    Bound,
    InForce,
    Question,
    Supply,
    composite_of_evse,
)
from chargehub.smart_charging.ledger import NEEDS_TOLD
from chargehub.smart_charging.queries import all_held, counting, external_profiles, held_of
from chargehub.smart_charging.reports import EvScheduleReported
from chargehub.smart_charging.store import schedule_document
from chargehub.stations.profiles import ChargingProfile, ProfileKind, ProfilePurpose, RateUnit
from chargehub.transactions.book import Book

Key = tuple[int, int]
"""Station and EVSE."""

SPAN = timedelta(days=1)
"""How much of a car's schedule is compared with our limits."""
RENEW_EVERY = timedelta(minutes=5)
"""A car whose schedule stays above our limits is sent another profile no more often."""
LOOKS_MAX = 5_000
"""Periods times profiles that a comparison may look at; beyond, nothing is compared."""

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


def post_needs(writes: Writes, station_id: int, evse_no: int, at: datetime) -> None:
    """Have a car sent a profile for its needs."""
    writes.add(jobs.SCHEDULE, (NEEDS_TOLD, f"{station_id}:{evse_no}", at, "{}"))


@dataclass(slots=True)
class ScheduleFacts:
    within: Mapping[Key, bool | None]
    """None where it was too much to compare."""
    renewed_at: Mapping[Key, datetime]


@dataclass(slots=True, eq=False)
class EvScheduleHandler:
    """Says whether a car's schedule is within our limits; if not, a new profile follows (K16)."""

    book: Book
    supply: Supply

    async def read(
        self, connection: AsyncConnection[Row], items: Sequence[Item[EvScheduleReported]]
    ) -> ScheduleFacts:
        reports = [item.report for item in items]
        values = {
            "station_ids": [report.station_id for report in reports],
            "now": max(report.received_at for report in reports),
        }
        async with connection.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(HELD, HELD_VALUES | values)
            held: list[Any] = await cursor.fetchall()
            await cursor.execute(LIMITS_OF_OTHERS, values)
            others: list[Any] = await cursor.fetchall()
            await cursor.execute(RENEWED, values)
            renewed: list[Any] = await cursor.fetchall()
        opened = {_key(report): self.book.at_evse(*_key(report)) for report in reports}
        began_at = {key: one.started_at for key, one in opened.items() if one is not None}
        within = await asyncio.to_thread(self._judge, reports, held, others, began_at)
        return ScheduleFacts(within, {_key(row): row.renewed_at for row in renewed})

    def _judge(
        self,
        reports: Sequence[EvScheduleReported],
        held: Sequence[Any],
        others: Sequence[Any],
        began_at: Mapping[Key, datetime],
    ) -> dict[Key, bool | None]:
        limits: dict[int, list[InForce]] = {report.station_id: [] for report in reports}
        for row in held:
            limits[row.station_id] += counting([held_of(row)])
        for row in others:
            limits[row.station_id] += external_profiles([row])
        return {
            _key(report): is_within(
                report, limits[report.station_id], began_at.get(_key(report)), self.supply
            )
            for report in reports
        }

    def decide(
        self,
        item: Item[EvScheduleReported],
        facts: ScheduleFacts,
        writes: Writes,
    ) -> Decision[bool]:
        report = item.report
        key = _key(report)
        within = facts.within[key]
        before = facts.renewed_at.get(key)
        renewed = (
            within is False
            and self.book.at_evse(*key) is not None
            and (before is None or report.received_at - before >= RENEW_EVERY)
        )
        document = orjson.dumps(schedule_document(report.schedule)).decode()
        renewed_at = report.received_at if renewed else None
        told = (document, report.received_at, within, renewed_at)
        writes.add(UPDATE_EV_SCHEDULE, (*key, *told))
        if renewed:
            post_needs(writes, *key, report.received_at)  # K15.FR.13
        # The station has compared too (K15.FR.09): what we have not is not refused.
        return Decision(within is not False)


def is_within(
    report: EvScheduleReported, held: Sequence[InForce], began_at: datetime | None, supply: Supply
) -> bool | None:
    """Compare where either changes (K15.FR.11/12): what we do not limit is within.

    None: it is too much to compare.
    """
    if len(held) * sum(len(one.profile.schedules[0].periods) for one in held) > LOOKS_MAX:
        return None
    begin = report.schedule.starts_at or report.time_base
    began = {} if began_at is None else {report.evse_no: began_at}
    span_s = int(SPAN.total_seconds())
    question = Question(begin, span_s, RateUnit.W, supply, began, Bound.LEAST)
    ours = composite_of_evse(held, report.evse_no, question)
    schedule = replace(report.schedule, starts_at=begin)
    car = ChargingProfile(0, 0, ProfilePurpose.TX, ProfileKind.ABSOLUTE, (schedule,))
    cars = composite_of_evse([InForce(report.evse_no, car)], report.evse_no, question)
    turns = {period.start_s for composite in (ours, cars) for period in composite.periods}
    for turn in turns:
        limit, wanted = ours.limit_at(turn), cars.limit_at(turn)
        if limit is not None and wanted is not None and exceeds(wanted, limit):
            return False
    return True


def _key(of: Any) -> Key:
    return of.station_id, of.evse_no
