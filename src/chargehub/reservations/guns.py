"""The guns of a Location as reservations see them: in service, free now, by when free.

Reads, and the lock between a gun that is promised and one that is started. Whether a transaction
runs on a gun, or something stands in its way, is known above this feature: `Occupancy` is wired in
features.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import id_tokens
from chargehub.reservations.store import OPEN, reservations
from chargehub.reservations.support import read_without
from chargehub.stations import guns as stations_guns
from chargehub.stations.guns import StationGun
from chargehub.stations.reports import PLUGGED_IN, UNPLUGGED
from chargehub.stations.starts import Starts, read_starts
from chargehub.stations.store import (
    charging_stations,
    connector_status_events,
    connectors,
    evses,
    locations,
)

R = reservations.c
_TOLD = tuple(one.name for one in fields(StationGun))


class Running(Protocol):
    """A transaction that is open at a gun."""

    @property
    def id(self) -> int: ...
    @property
    def id_token(self) -> str | None:
        """Lower case."""

    @property
    def group_id_token(self) -> str | None: ...
    @property
    def authorized(self) -> bool: ...
    @property
    def started_at(self) -> datetime:
        """By its station's clock, where that can be believed."""


class Occupancy(Protocol):
    """Tells what keeps others from a gun; implemented by the bays, which ask the book too."""

    def at_evse(self, station_id: int, evse_no: int) -> Running | None: ...

    def is_blocked(self, station_id: int, evse_no: int) -> bool:
        """Tell whether the gun cannot be come to though nothing charges there.

        A car stands in the way that is not its holder's, or a lock that does not go down.
        """
        ...


@dataclass(frozen=True, slots=True)
class Starting:
    """A start from afar that may begin yet."""

    id_token: str
    group_id_token: str | None


@dataclass(frozen=True, slots=True)
class Gun(StationGun):
    running: Running | None
    blocked: bool
    """Nobody can come to it though nothing charges there, as long as it stays so."""
    starting: Starting | None = None
    looks_reserved: bool = True
    """Whether its station shows that it is held, and keeps strangers off by itself."""

    @property
    def key(self) -> tuple[int, int]:
        return self.station_id, self.evse_no

    @property
    def charging(self) -> bool:
        return self.running is not None

    @property
    def has_car(self) -> bool:
        """Whether a car stands at it, with a transaction or without."""
        return self.charging or self.status in PLUGGED_IN

    @property
    def free_now(self) -> bool:
        """Whether it is known to wait for a car: what is offline promises nothing."""
        in_use = self.charging or self.blocked or self.starting is not None
        return self.out_of_use() is None and not in_use and self.status in UNPLUGGED

    @property
    def broken(self) -> bool:
        """Whether it would be of no use on the line either."""
        return self.out_of_use({self.station_id}) is not None

    def is_silent(self, since: datetime) -> bool:
        """Tell whether its station has not been connected since then."""
        return self.offline_since is not None and self.offline_since < since


async def read_guns(
    connection: AsyncConnection, location_id: str, occupancy: Occupancy, now: datetime
) -> list[Gun]:
    """Return the Location's guns in service, the least powerful first."""
    here = charging_stations.c.location_id == location_id
    found = [gun for gun in await stations_guns.read_guns(connection, here) if gun.in_service]
    station_ids = {gun.station_id for gun in found}
    starting = await _starting(connection, station_ids, now)
    without = await read_without(connection, station_ids)
    return [
        Gun(
            **{name: getattr(gun, name) for name in _TOLD},
            running=occupancy.at_evse(gun.station_id, gun.evse_no),
            blocked=occupancy.is_blocked(gun.station_id, gun.evse_no),
            starting=starting(gun.station_id, gun.evse_no),
            looks_reserved=gun.station_id not in without,
        )
        for gun in found
    ]


async def _starting(
    connection: AsyncConnection, station_ids: Collection[int], now: datetime
) -> Callable[[int, int], Starting | None]:
    starts = await read_starts(connection, station_ids, now)
    groups = await _groups(connection, starts)

    def at(station_id: int, evse_no: int) -> Starting | None:
        token = starts.at(station_id, evse_no)
        return None if token is None else Starting(token, groups.get(token))

    return at


async def _groups(connection: AsyncConnection, starts: Starts) -> dict[str, str | None]:
    if not starts.tokens:
        return {}
    tokens = id_tokens.c
    query = select(tokens.token, tokens.group_token).where(
        tokens.token.in_(set(starts.tokens.values()))
    )
    return {row.token: row.group_token for row in await connection.execute(query)}


async def lock_starts(connection: AsyncConnection, station_id: int) -> None:
    """Until the end, let nobody else give a gun of the station away or have it started.

    So who holds a gun sees each start of it, and who starts sees each hold. It is taken last of all
    locks, and one at a time by who starts.
    """
    name = f"starts at station {station_id}"
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def is_left(connection: AsyncConnection, key: tuple[int, int], now: datetime) -> bool:
    """Tell whether nobody's start is under way at the gun, and let none be until the end."""
    await lock_starts(connection, key[0])
    return (await read_starts(connection, [key[0]], now)).at(*key) is None


async def car_came_at(
    connection: AsyncConnection, key: tuple[int, int], after: datetime
) -> datetime:
    """Return since when a car is at the gun (hub time), as far as its statuses tell.

    `after` where they say that it was there all the time since, or nothing.
    """
    events = connector_status_events.c
    query = (
        select(events.status, events.received_at)
        .where(events.station_id == key[0], events.evse_no == key[1], events.received_at >= after)
        .order_by(events.received_at.desc(), events.id.desc())
    )
    came_at = after
    for row in await connection.execute(query):
        if row.status not in PLUGGED_IN:
            break
        came_at = row.received_at
    return came_at


async def car_was_there(
    connection: AsyncConnection, key: tuple[int, int], begin: datetime, end: datetime
) -> bool:
    """Tell whether a car was at the gun at any time from `begin` to `end` (hub time)."""
    events = connector_status_events.c
    of_gun = (events.station_id == key[0], events.evse_no == key[1])
    since = await connection.execute(
        select(events.status, events.received_at).where(*of_gun, events.received_at >= begin)
    )
    told = list(since)
    if not told:  # Nothing has changed since: what is known now was so then.
        statuses = select(connectors.c.status).where(
            connectors.c.station_id == key[0], connectors.c.evse_no == key[1]
        )
        return not PLUGGED_IN.isdisjoint(await connection.scalars(statuses))
    before = await connection.scalar(
        select(events.status)
        .where(*of_gun, events.received_at < begin)
        .order_by(events.received_at.desc(), events.id.desc())
        .limit(1)
    )
    return before in PLUGGED_IN or any(
        row.status in PLUGGED_IN for row in told if row.received_at <= end
    )


async def location_of_gun(connection: AsyncConnection, gun_code: str) -> str | None:
    """Return where the gun stands, whether in service or not; None for an unknown code."""
    query = (
        select(charging_stations.c.location_id)
        .select_from(evses.join(charging_stations))
        .where(func.lower(evses.c.gun_code) == gun_code.lower())
        .where(charging_stations.c.decommissioned_at.is_(None))
    )
    found: str | None = await connection.scalar(query)
    return found


async def location_exists(connection: AsyncConnection, location_id: str) -> bool:
    return (
        await connection.scalar(select(locations.c.id).where(locations.c.id == location_id))
        is not None
    )


async def read_held(
    connection: AsyncConnection, location_id: str, now: datetime, *, besides: int = 0
) -> Sequence[Row[Any]]:
    """Return the Location's open reservations that are not past, without `besides`."""
    query = select(reservations).where(
        R.location_id == location_id,
        R.status.in_(OPEN),
        R.hold_until > now,
        R.id != besides,
    )
    return (await connection.execute(query)).all()
