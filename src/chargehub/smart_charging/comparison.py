"""Composite schedules, ours and the station's own, and what their comparison teaches.

Owns also the profile that answers a car's needs: our composite schedule, as many periods as the
car takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.smart_charging.capabilities import Seen, compare
from chargehub.smart_charging.composite import (
    Bound,
    CompositePeriod,
    CompositeSchedule,
    Question,
    Supply,
    composite_of_evse,
    composite_of_station,
)
from chargehub.smart_charging.ledger import FOR_CAR, observe
from chargehub.smart_charging.queries import (
    counting,
    external_profiles,
    read_external_limits,
    read_held,
    read_limits_of,
    read_needs,
)
from chargehub.smart_charging.rules import Held, StationLimits
from chargehub.smart_charging.service import ProfileWanted, SmartCharging
from chargehub.smart_charging.store import INSTALLED, whole_second
from chargehub.stations.commands import CommandAnswer, GetCompositeSchedule
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    ReportedSchedule,
    SchedulePeriod,
)
from chargehub.stations.queries import find_evse, find_station_in_service
from chargehub.stations.store import charging_stations, evses

log = structlog.get_logger(__name__)

NEEDS_SPAN_S = 86_400
"""For how long a profile that answers a car's needs stands."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A station's own composite schedule beside ours, both in W."""

    command_id: UUID
    answer: CommandAnswer
    ours: CompositeSchedule
    theirs: CompositeSchedule | None
    """None where the station's answer says nothing usable."""
    seen: Seen | None
    """Whether it keeps to ours; None where nothing could be compared."""


@dataclass(frozen=True, slots=True)
class _Ground:
    station: Row[Any]
    rating_w: int
    held: Sequence[Held]
    ours: CompositeSchedule


@dataclass(slots=True)
class Comparison:
    database: Database
    clock: HubClock
    supply: Supply
    smart: SmartCharging

    async def our_schedule(
        self, identity: str, evse_no: int, duration_s: int, unit: RateUnit
    ) -> CompositeSchedule:
        """Return what the profiles we believe installed come to from now on. Raises NotFound."""
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
            return (await self._ground(connection, station, evse_no, duration_s, unit)).ours

    async def compare(
        self, identity: str, evse_no: int, duration_s: int, unit: RateUnit | None, *, actor: str
    ) -> Compared:
        """Ask the station for its own schedule, and learn whether it obeys.

        Raises NotFound and what CommandDesk.send raises.
        """
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
            if evse_no:
                await find_evse(connection, station.id, evse_no)
        command_id, answer = await self.smart.desk.send(
            station.id, GetCompositeSchedule(evse_no, duration_s, unit), actor, evse_no=evse_no
        )
        async with self.database.read() as connection:
            ground = await self._ground(connection, station, evse_no, duration_s, RateUnit.W)
        theirs = None
        if answer.status == "Accepted" and isinstance(answer.told, ReportedSchedule):
            theirs = self._theirs(answer.told, ground.ours)
        seen = None if theirs is None else compare(ground.ours, theirs, ground.rating_w)
        if seen is not None:
            await self._learn(ground, seen)
        return Compared(command_id, answer, ground.ours, theirs, seen)

    def _theirs(self, told: ReportedSchedule, ours: CompositeSchedule) -> CompositeSchedule:
        """Lay the station's answer beside ours: in W, counted from the same second."""
        begin = told.starts_at or ours.starts_at
        ahead = int((whole_second(begin) - whole_second(ours.starts_at)).total_seconds())
        schedule = told.schedule
        # What it says ends with its duration; before its begin it says nothing either.
        end = ours.duration_s
        if schedule.duration_s is not None:
            end = min(end, ahead + schedule.duration_s)
        periods: dict[int, CompositePeriod] = {}
        for period in schedule.periods:
            limit = period.limit
            power_w = (
                None if limit is None else self.supply.watts(limit, schedule.unit, period.phases)
            )
            start_s = max(0, period.start_s + ahead)
            if start_s < end:
                periods[start_s] = CompositePeriod(start_s, power_w)
        return CompositeSchedule(ours.starts_at, max(0, end), RateUnit.W, tuple(periods.values()))

    async def _learn(self, ground: _Ground, seen: Seen) -> None:
        """Count it for the profiles that limit now; those later may still change.

        Nothing is learned from a profile of which it is not certain that the station holds it.
        """
        by = ground.ours.periods[0].limited_by
        in_doubt = {held.profile.id for held in ground.held if held.state != INSTALLED}
        now = self.clock.now()
        async with self.database.write() as connection:
            for held in ground.held:
                known = held.profile.id in by and held.profile.id not in in_doubt
                if known and held.profile.purpose is not ProfilePurpose.EXTERNAL:
                    await observe(connection, ground.station, held.profile, seen, now)

    async def _ground(
        self,
        connection: AsyncConnection,
        station: Row[Any],
        evse_no: int,
        duration_s: int,
        unit: RateUnit,
        *,
        bound: Bound = Bound.MOST,
        leaving_out: str | None = None,
    ) -> _Ground:
        """Lay out what holds at a place; `leaving_out` whatever this actor has set."""
        now = whole_second(self.clock.now())
        if evse_no:
            rating_w = (await find_evse(connection, station.id, evse_no)).max_power_w
        else:
            rating_w = station.max_power_w
        query = select(evses.c.evse_no).where(evses.c.station_id == station.id)
        numbers = tuple(sorted(await connection.scalars(query)))
        held = await read_held(connection, station.id, now)
        in_force = counting(one for one in held if not one.set_by or one.set_by != leaving_out)
        in_force += external_profiles(await read_external_limits(connection, station.id))
        book = self.smart.book
        began_at = {
            opened.evse_no: opened.started_at
            for opened in book.all_at_station(station.id)
            if opened.evse_no is not None
        }
        question = Question(now, duration_s, unit, self.supply, began_at, bound)
        # Away from the loop: a thousand periods recurring daily for a week take half a second.
        ours = await asyncio.to_thread(
            lambda: (
                composite_of_evse(in_force, evse_no, question)
                if evse_no
                else composite_of_station(in_force, numbers, question)
            )
        )
        return _Ground(station, rating_w, held, ours)

    async def answer_needs(self, subject: str, _payload: dict[str, Any]) -> None:
        """Send the TxProfile that was promised to a car (K15.FR.07, K16). Repeatable."""
        station_id, evse_no = map(int, subject.split(":"))
        opened = self.smart.book.at_evse(station_id, evse_no)
        async with self.database.read() as connection:
            identity = await connection.scalar(
                select(charging_stations.c.identity).where(
                    charging_stations.c.id == station_id,
                    charging_stations.c.decommissioned_at.is_(None),
                )
            )
            rows = await read_needs(connection, station_id)
            told = next((row for row in rows if row.evse_no == evse_no), None)
            if identity is None or opened is None or told is None:
                return
            if told.transaction_id != opened.id:
                return
            station = await find_station_in_service(connection, identity)
            limits = await read_limits_of(connection, station_id)
            ground = await self._ground(
                connection,
                station,
                evse_no,
                NEEDS_SPAN_S,
                unit_for(limits),
                bound=Bound.LEAST,
                leaving_out=FOR_CAR,
            )
        level = _level_for_needs(
            [held for held in ground.held if held.transaction_id == opened.id],
            limits.max_stack_level,
        )
        if level is None:
            log.warning("ev_needs_not_served", station_id=identity, evse_no=evse_no, why="level")
            return
        wanted = ProfileWanted(
            evse_no,
            self._profile_for(ground, told.max_schedule_tuples, limits, level),
            transaction_id=opened.id,
            replace=True,
        )
        try:
            await self.smart.set_profile(identity, wanted, actor=FOR_CAR)
        except ChargeHubError as error:
            # The car charges on within the default; it will tell its needs again.
            log.warning("ev_needs_not_served", station_id=identity, evse_no=evse_no, why=error.code)

    def _profile_for(
        self, ground: _Ground, tuples: int | None, limits: StationLimits, level: int
    ) -> ChargingProfile:
        ours = ground.ours
        most = self.supply.rate(ground.rating_w, ours.unit)
        rates = [
            SchedulePeriod(p.start_s, most if p.limit is None else min(p.limit, most))
            for p in ours.periods
        ]
        schedule = ChargingSchedule(
            ours.unit,
            fewer_periods(rates, min(tuples or 1024, limits.max_periods or 1024)),
            starts_at=ours.starts_at,
            duration_s=ours.duration_s,
        )
        return ChargingProfile(0, level, ProfilePurpose.TX, ProfileKind.ABSOLUTE, (schedule,))


def _level_for_needs(own: Sequence[Held], highest: int | None) -> int | None:
    """Return the stack level at which a car's needs are answered, above what others have set.

    Theirs stay beneath as limits that the next answer keeps to. None: there is no level left.
    """
    others = [held.profile.stack_level for held in own if held.set_by != FOR_CAR]
    before = [held.profile.stack_level for held in own if held.set_by == FOR_CAR]
    level = max([0, *before, *(other + 1 for other in others)])
    return level if highest is None or level <= highest else None


def unit_for(limits: StationLimits) -> RateUnit:
    """Return the unit to speak to a station in: W where it has a choice."""
    return RateUnit.A if limits.units == {RateUnit.A} else RateUnit.W


def fewer_periods(periods: Sequence[SchedulePeriod], most: int) -> tuple[SchedulePeriod, ...]:
    """Return at most so many periods; what is left over shares the lowest of its limits."""
    if len(periods) <= most:
        return tuple(periods)
    rest = periods[most - 1 :]
    lowest = min(period.limit for period in rest if period.limit is not None)
    return (*periods[: most - 1], replace(rest[0], limit=lowest))
