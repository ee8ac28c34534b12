"""Taking over what a station reports of its profiles: the station's word outranks our belief.

A report is asked for under a request id; its pages wait in `profile_reports` until the last one
has come (K09.FR.02). What was decided at or after the question outranks the report, which may have
been put together before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.smart_charging.ledger import (
    LOST,
    PENDING,
    REJECTED,
    REPLACED,
    SET_AGAIN,
    UNSENT,
    lock_station,
    settle_rows,
)
from chargehub.smart_charging.rules import is_set_again
from chargehub.smart_charging.store import (
    INSTALLED,
    REPORTED_MAX,
    charging_profiles,
    profile_of,
    profile_reports,
    profile_request_ids,
    profile_requests,
)
from chargehub.stations.commands import CommandAnswer, GetChargingProfiles
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.profiles import LimitSource
from chargehub.stations.queries import find_station_in_service
from chargehub.transactions.store import transactions

log = structlog.get_logger(__name__)

NO_PROFILES = "NoProfiles"
REPORTS_CUT = Counter(
    "chargehub_profile_reports_cut_total", "Reports of charging profiles not kept whole"
)


@dataclass(slots=True)
class Reconciling:
    database: Database
    clock: HubClock
    desk: CommandDesk

    async def ask(
        self, identity: str, evse_no: int | None, *, actor: str
    ) -> tuple[UUID, CommandAnswer, int]:
        """Ask a station for all its profiles, or those of one EVSE; return the request's id too.

        Raises NotFound and what CommandDesk.send raises; UnsupportedByStation where the protocol
        has no such question.
        """
        async with self.database.write() as connection:
            station = await find_station_in_service(connection, identity)
            number: int = (await connection.execute(profile_request_ids.next_value())).scalar_one()

        async def with_pending(connection: AsyncConnection, _command_id: UUID) -> None:
            await connection.execute(
                insert(profile_requests).values(
                    station_id=station.id,
                    request_id=number,
                    criteria={"evse_no": evse_no},
                    asked_at=self.clock.now(),
                )
            )

        command_id, answer = await self.desk.send(
            station.id,
            GetChargingProfiles(number, evse_no),
            actor,
            evse_no=evse_no,
            with_pending=with_pending,
        )
        if answer.status == NO_PROFILES:
            await self.take_over(station.id, number)
        return command_id, answer, number

    async def act(self, _subject: str, payload: dict[str, Any]) -> None:
        """Take over the report whose last page has come. Repeatable."""
        await self.take_over(payload["station_id"], payload["request_id"])

    async def take_over(self, station_id: int, request_id: int) -> None:
        """Believe what was reported, and no longer in what was not."""
        now = self.clock.now()
        mine = (
            profile_requests.c.station_id == station_id,
            profile_requests.c.request_id == request_id,
        )
        async with self.database.write() as connection:
            await lock_station(connection, station_id)
            closed = await connection.execute(
                update(profile_requests)
                .where(*mine, profile_requests.c.done_at.is_(None))
                .values(done_at=now)
                .returning(profile_requests.c.asked_at, profile_requests.c.criteria)
            )
            request = closed.one_or_none()
            if request is None:
                return
            pages = (
                profile_reports.c.station_id == station_id,
                profile_reports.c.request_id == request_id,
            )
            reported = (await connection.execute(select(profile_reports).where(*pages))).all()
            await connection.execute(delete(profile_reports).where(*pages))
            lost = await _believe(connection, station_id, request, reported, now)
        if len(reported) >= REPORTED_MAX:
            REPORTS_CUT.inc()
        log.info("charging_profiles_reported", station=station_id, held=len(reported), lost=lost)


async def _believe(
    connection: AsyncConnection,
    station_id: int,
    request: Row[Any],
    reported: Sequence[Row[Any]],
    now: datetime,
) -> int:
    """Bring our rows into step with the report; return how many profiles were lost."""
    profiles = charging_profiles.c
    query = select(charging_profiles).where(
        profiles.station_id == station_id,
        or_(profiles.closed_at.is_(None), profiles.settled_at >= request.asked_at),
    )
    rows = list(await connection.execute(query.order_by(profiles.id.desc())))
    decided = {one.profile_id for one in rows if _is_newer(one, request.asked_at)}
    held: dict[int, list[Row[Any]]] = {}
    for one in rows:
        if one.closed_at is None:
            held.setdefault(one.profile_id, []).append(one)
    believed = [row for row in reported if row.profile_id not in decided]
    await _confirm(connection, believed, held, now)
    unknown = [row for row in believed if row.profile_id not in held]
    await _insert_reported(connection, station_id, unknown, now)
    told, asked_evse = {row.profile_id for row in reported}, request.criteria.get("evse_no")
    lost = [
        one
        for one in rows
        if one.closed_at is None
        and one.profile_id not in told
        and one.profile_id not in decided
        and asked_evse in {None, one.evse_no}
        # Of a report that was cut what is missing may be what we have set.
        and (len(reported) < REPORTED_MAX or one.set_by is None)
    ]
    await settle_rows(connection, [one.id for one in lost], LOST, now)
    await _set_again(lost, connection, now)
    return len(lost)


def _is_newer(one: Row[Any], asked_at: datetime) -> bool:
    """Say whether a row outranks a report that was asked for then; if in doubt, it asks again.

    What never reached the station, or was refused, says nothing of what it holds.
    """
    if one.state == PENDING:
        return True
    return one.state not in {UNSENT, REJECTED} and (one.settled_at or one.set_at) >= asked_at


async def _confirm(
    connection: AsyncConnection,
    reported: Sequence[Row[Any]],
    held: Mapping[int, list[Row[Any]]],
    now: datetime,
) -> None:
    """Keep what we hold of each reported id: the row that says the same, else the newest."""
    profiles = charging_profiles.c
    kept, others = [], []
    for row in reported:
        known = held.get(row.profile_id, [])
        same = next((one for one in known if one.document == row.document), None)
        keep = same or next(iter(known), None)
        if keep is not None:
            kept.append({"row_id": keep.id, "told": row.document})
            others += [one.id for one in known if one is not keep]
    if kept:
        await connection.execute(
            update(charging_profiles)
            .where(profiles.id == bindparam("row_id"), profiles.closed_at.is_(None))
            .values(state=INSTALLED, reported=bindparam("told"), reported_at=now, settled_at=now),
            kept,
        )
    await settle_rows(connection, others, REPLACED, now)


async def _set_again(lost: list[Row[Any]], connection: AsyncConnection, now: datetime) -> None:
    """Have that of the lost set again which we had set, the station had taken and still counts.

    Whoever set what was never answered was told so.
    """
    again = [
        one.id
        for one in lost
        if one.state == INSTALLED
        and one.set_by is not None
        and is_set_again(profile_of(one.document), now)
    ]
    await jobs.schedule_once(connection, SET_AGAIN, again, now)


async def _insert_reported(
    connection: AsyncConnection, station_id: int, reported: Sequence[Row[Any]], now: datetime
) -> None:
    """Write down what somebody else has set."""
    if not reported:
        return
    refs = {row.document["transaction_ref"] for row in reported}
    query = select(transactions.c.ref, transactions.c.id).where(
        transactions.c.station_id == station_id, transactions.c.ref.in_(refs - {None})
    )
    numbers = {row.ref: row.id for row in await connection.execute(query)}
    rows = [
        {
            "station_id": station_id,
            "profile_id": row.profile_id,
            "evse_no": row.evse_no,
            "purpose": row.document["purpose"],
            "stack_level": row.document["stack_level"],
            "document": row.document,
            "reported": row.document,
            "reported_at": now,
            "state": INSTALLED,
            "source": row.source or LimitSource.OTHER.value,
            "transaction_id": numbers.get(row.document["transaction_ref"]),
            "set_at": now,
            "settled_at": now,
        }
        for row in reported
    ]
    await connection.execute(insert(charging_profiles), rows)
