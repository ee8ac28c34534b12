"""The guns of some Locations as drivers find them now: rows of set queries read once, and counted.

Owns what makes up a gun's state for drivers; which Locations are asked about is `search`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.rules import SensorState
from chargehub.finding.queries import GunKey, read_guns
from chargehub.finding.rules import GunFacts, PowerClass, PowerClasses, gun_state
from chargehub.reservations.guard import read_held
from chargehub.reservations.store import reservations
from chargehub.stations.reports import RegistrationStatus
from chargehub.stations.starts import Starts, read_starts
from chargehub.stations.states import Charge, EvseState
from chargehub.stations.views import read_status


@dataclass(frozen=True, slots=True)
class Gun:
    """One EVSE; `row` is that of `read_guns`."""

    row: Row[Any]
    state: EvseState
    power_class: PowerClass
    of_use: bool
    """Whether it serves the next one once nothing goes on at it."""

    @property
    def free(self) -> bool:
        return self.state is EvseState.AVAILABLE

    @property
    def standards(self) -> list[str]:
        return list(self.row.standards or ())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a gun must be for a driver; None and False ask for nothing."""

    min_power_w: int | None = None
    standard: str | None = None
    free: bool = False

    def met_by(self, gun: Gun) -> bool:
        return (
            (not self.free or gun.free)
            and (self.min_power_w is None or gun.row.max_power_w >= self.min_power_w)
            and (self.standard is None or self.standard in gun.standards)
        )


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of guns beside their rows."""

    online_ids: Collection[int]
    held: Collection[GunKey]
    starts: Starts

    @classmethod
    async def read(
        cls,
        connection: AsyncConnection,
        location_ids: Collection[str],
        rows: Iterable[Row[Any]],
        now: datetime,
        online_ids: Collection[int],
    ) -> Beside:
        held = await read_held(connection, now, reservations.c.location_id.in_(location_ids))
        starts = await read_starts(connection, {row.station_id for row in rows}, now)
        return cls(online_ids, held, starts)


def gun_of(
    row: Row[Any], classes: PowerClasses, beside: Beside, charge: Charge | None = None
) -> Gun:
    facts = GunFacts(
        online=row.station_id in beside.online_ids,
        registration=RegistrationStatus(row.registration),
        operative=row.operative,
        station_status=read_status(row.station_status),
        statuses=[read_status(status) for status in row.statuses or ()],
        running=row.transaction_id is not None,
        held=(row.station_id, row.evse_no) in beside.held,
        starting=beside.starts.at(row.station_id, row.evse_no) is not None,
        bay_occupied=row.sensor_state == SensorState.OCCUPIED,
        charge=charge,
    )
    return Gun(row, gun_state(facts), classes.of(row.max_power_w), facts.out_of_use is None)


async def guns_by_location(
    connection: AsyncConnection,
    location_ids: Collection[str],
    now: datetime,
    classes: PowerClasses,
    online_ids: Collection[int],
) -> dict[str, list[Gun]]:
    found: dict[str, list[Gun]] = defaultdict(list)
    rows = await read_guns(connection, location_ids, now)
    beside = await Beside.read(connection, location_ids, rows, now, online_ids)
    for row in rows:
        found[row.location_id].append(gun_of(row, classes, beside))
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of the guns of one Location together."""

    total: dict[PowerClass, int]
    free: dict[PowerClass, int]
    standards: list[str]
    max_power_w: int
    last_charged_at: datetime | None


def summarise(guns: Iterable[Gun]) -> Summary:
    """Count guns; there is at least one."""
    total, free = dict.fromkeys(PowerClass, 0), dict.fromkeys(PowerClass, 0)
    standards: set[str] = set()
    charged: list[datetime] = []
    max_power_w = 0
    for gun in guns:
        total[gun.power_class] += 1
        free[gun.power_class] += gun.free
        standards.update(gun.standards)
        max_power_w = max(max_power_w, gun.row.max_power_w)
        if gun.row.last_charged_at is not None:
            charged.append(gun.row.last_charged_at)
    return Summary(total, free, sorted(standards), max_power_w, max(charged, default=None))
