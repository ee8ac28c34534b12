"""Taking over what a station reports of its profiles: the station's word outranks our belief.

A report is asked for under a request id; its pages wait in `profile_reports` until the last one
has come (K09.FR.02).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.smart_charging.ledger import (
    LOST,
    REPLACED,
    SET_AGAIN,
    lock_station,
    settle_rows,
)
from chargehub.smart_charging.rules import is_set_again
from chargehub.smart_charging.store import (
    INSTALLED,
    charging_profiles,
    profile_document,
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
        log.info("charging_profiles_reported", station=station_id, held=len(reported), lost=lost)


async def _believe(
    connection: AsyncConnection,
    station_id: int,
    request: Row[Any],
    reported: Any,
    now: datetime,
) -> int:
    """Bring our rows into step with the report; return how many profiles were lost."""
    profiles = charging_profiles.c
    query = select(charging_profiles).where(
        profiles.station_id == station_id, profiles.closed_at.is_(None)
    )
    held = list(await connection.execute(query.order_by(profiles.id.desc())))
    told = {row.profile_id: row for row in reported}
    for number, row in told.items():
        known = [one for one in held if one.profile_id == number]
        # An attempt whose answer is still awaited settles itself.
        known = [one for one in known if one.state != "pending"]
        if not known:
            await _insert_reported(connection, station_id, row, now)
            continue
        kept = next((one for one in known if one.document == row.document), known[0])
        await connection.execute(
            update(charging_profiles)
            .where(profiles.id == kept.id)
            .values(state=INSTALLED, reported=row.document, reported_at=now, settled_at=now)
        )
        others = [one.id for one in known if one.id != kept.id]
        await settle_rows(connection, others, REPLACED, now)
    asked_evse = request.criteria.get("evse_no")
    lost = [
        one.id
        for one in held
        if one.profile_id not in told
        and one.state != "pending"
        and (one.settled_at or one.set_at) < request.asked_at
        and asked_evse in {None, one.evse_no}
    ]
    await settle_rows(connection, lost, LOST, now)
    await _set_again([one for one in held if one.id in lost], connection, now)
    return len(lost)


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
    connection: AsyncConnection, station_id: int, row: Row[Any], now: datetime
) -> None:
    profile = profile_of(row.document)
    transaction_id = None
    if profile.transaction_ref is not None:
        transaction_id = await connection.scalar(
            select(transactions.c.id).where(
                transactions.c.station_id == station_id,
                transactions.c.ref == profile.transaction_ref,
            )
        )
    await connection.execute(
        insert(charging_profiles).values(
            station_id=station_id,
            profile_id=profile.id,
            evse_no=row.evse_no,
            purpose=profile.purpose.value,
            stack_level=profile.stack_level,
            document=profile_document(profile),
            reported=row.document,
            reported_at=now,
            state=INSTALLED,
            source=row.source or LimitSource.OTHER.value,
            transaction_id=transaction_id,
            set_at=now,
            settled_at=now,
        )
    )
