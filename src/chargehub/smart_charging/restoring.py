"""Finds out which profiles a station holds when that is in doubt, and sets again what it forgot.

Due rows bring both about: after a boot, and where no answer came (`ledger.ask_soon`). Taking a
report over is the business of `reconciling`; why it is as it is: docs/decisions, "One composite
schedule".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.worker import DueAction
from chargehub.smart_charging.ledger import (
    ASK_PROFILES,
    LOST,
    SET_AGAIN,
    SET_AGAIN_WITHIN,
    UNKNOWN,
    UNSENT,
)
from chargehub.smart_charging.queries import in_force, select_profiles
from chargehub.smart_charging.reconciling import Reconciling
from chargehub.smart_charging.rules import is_set_again
from chargehub.smart_charging.service import ProfileWanted, SmartCharging
from chargehub.smart_charging.store import (
    INSTALLED,
    charging_profiles,
    profile_of,
    profile_requests,
)
from chargehub.stations.commands import (
    StationBusy,
    StationNotAccepted,
    StationOffline,
    UnsupportedByStation,
)
from chargehub.stations.store import charging_stations

log = structlog.get_logger(__name__)

REQUESTED_BY = "profiles in doubt"
TRY_AGAIN = timedelta(minutes=10)
"""A station that is away is looked for so often."""
NOT_ANSWERED = timedelta(days=1)
"""For so long a station is not asked again that did not answer: it may break down over it."""
NEVER_LEFT = (StationBusy, StationNotAccepted, StationOffline)
"""Unless the error says that it was sent."""

_PROFILES = charging_profiles.c


@dataclass(slots=True)
class Restoring:
    database: Database
    clock: HubClock
    smart: SmartCharging
    reconciling: Reconciling

    @property
    def slow(self) -> dict[str, DueAction]:
        """Return the due actions, all of which wait for stations."""
        return {ASK_PROFILES: self.ask, SET_AGAIN: self.set_again}

    async def ask(self, subject: str, payload: dict[str, Any]) -> None:
        """Ask the station `subject` which profiles it holds, if that is in doubt. Repeatable.

        After a boot everything is that we believe it to hold; where it cannot be asked, it is told
        again. Otherwise only what was not answered is.
        """
        station_id, booted = int(subject), bool(payload.get("booted"))
        now = self.clock.now()
        async with self.database.read() as connection:
            identity = await _identity_in_service(connection, station_id)
            held = await _newest_held(connection, station_id, now)
            unanswered = await _asked_in_vain(connection, station_id, now)
        doubted = held if booted else [row for row in held if row.state == UNKNOWN]
        if identity is None or not doubted:
            return
        if station_id not in self.smart.desk.online_ids():
            await self._later(ASK_PROFILES, subject, now)
            return
        asked = not unanswered and await self._ask(identity, subject, now)
        if asked or not booted:
            return
        for row in held:
            if row.state == INSTALLED and is_set_again(profile_of(row.document), now):
                await self._set(identity, row)

    async def _ask(self, identity: str, subject: str, now: datetime) -> bool:
        """Ask a station, later if it cannot take a question now; False: it knows none such."""
        try:
            await self.reconciling.ask(identity, None, actor=REQUESTED_BY)
        except UnsupportedByStation:
            return False
        except ChargeHubError as error:
            if _never_left(error):
                await self._later(ASK_PROFILES, subject, now)
            log.info("profiles_not_known", station_id=identity, why=error.code)
        return True

    async def set_again(self, subject: str, _payload: dict[str, Any]) -> None:
        """Set the profile of the lost row `subject` again, unless others decided since. Repeatable.

        One that was cleared or set meanwhile is left alone, and one that the station does not
        answer is in doubt from then on.
        """
        row_id, now = int(subject), self.clock.now()
        async with self.database.read() as connection:
            query = select(charging_profiles).where(_PROFILES.id == row_id, _PROFILES.state == LOST)
            row = (await connection.execute(query)).one_or_none()
            if row is None or row.closed_at < now - SET_AGAIN_WITHIN:
                return
            newer = select(_PROFILES.id).where(
                _PROFILES.station_id == row.station_id,
                _PROFILES.profile_id == row.profile_id,
                or_(_PROFILES.set_at >= row.closed_at, _PROFILES.closed_at.is_(None)),
                _PROFILES.state != UNSENT,
            )
            identity = await _identity_in_service(connection, row.station_id)
            if identity is None or await connection.scalar(newer.limit(1)) is not None:
                return
        away = row.station_id not in self.smart.desk.online_ids()
        if away or not await self._set(identity, row):
            await self._later(SET_AGAIN, subject, now)

    async def _set(self, identity: str, row: Row[Any]) -> bool:
        """Set a row's profile again for whoever set it; False: it did not leave."""
        profile = profile_of(row.document)
        wanted = ProfileWanted(row.evse_no, profile, force=True, set_by=row.set_by)
        try:
            await self.smart.set_profile(identity, wanted, actor=REQUESTED_BY)
        except ChargeHubError as error:
            log.warning(
                "charging_profile_not_set_again",
                station_id=identity,
                profile_id=profile.id,
                why=error.code,
            )
            return not _never_left(error)
        return True

    async def _later(self, kind: str, subject: str, now: datetime) -> None:
        # What was scheduled meanwhile keeps its time.
        due = jobs.due_actions.c
        async with self.database.write() as connection:
            await connection.execute(
                update(jobs.due_actions)
                .where(due.kind == kind, due.subject == subject, due.due_at <= now)
                .values(due_at=now + TRY_AGAIN, attempts=0)
            )


def _never_left(error: ChargeHubError) -> bool:
    return isinstance(error, NEVER_LEFT) and not error.facts.get("sent", False)


async def _identity_in_service(connection: AsyncConnection, station_id: int) -> str | None:
    identity: str | None = await connection.scalar(
        select(charging_stations.c.identity).where(
            charging_stations.c.id == station_id, charging_stations.c.decommissioned_at.is_(None)
        )
    )
    return identity


async def _newest_held(
    connection: AsyncConnection, station_id: int, now: datetime
) -> list[Row[Any]]:
    """Return what we have set and believe in, of each id the newest."""
    query = select_profiles().where(
        _PROFILES.station_id == station_id, _PROFILES.set_by.is_not(None), in_force(now)
    )
    rows = await connection.execute(query.order_by(_PROFILES.id))
    return list({row.profile_id: row for row in rows}.values())


async def _asked_in_vain(connection: AsyncConnection, station_id: int, now: datetime) -> bool:
    """Say whether the last question is open; pages that come close it within moments."""
    requests = profile_requests.c
    query = (
        select(requests.done_at, requests.asked_at)
        .where(requests.station_id == station_id)
        .order_by(requests.asked_at.desc(), requests.request_id.desc())
        .limit(1)
    )
    last = (await connection.execute(query)).one_or_none()
    return last is not None and last.done_at is None and last.asked_at > now - NOT_ANSWERED
