"""Guns as their stations and operators have them, for all who give guns to drivers. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.stations.reports import ConnectorStatus, RegistrationStatus
from chargehub.stations.states import EvseState, most_telling, out_of_use
from chargehub.stations.store import (
    charging_stations,
    connectors,
    evses,
    station_connections,
)
from chargehub.stations.views import read_status

S = charging_stations.c
GUN_POWER = func.least(evses.c.max_power_w, S.max_power_w)
GUN_POWER_SQL = "least(e.max_power_w, s.max_power_w)"
"""The same as text: of EVSE `e` at station `s`."""


@dataclass(frozen=True, slots=True)
class StationGun:
    """A gun that is not decommissioned."""

    station_id: int
    evse_no: int
    gun_code: str
    power_w: int
    """Never more than its cabinet has."""
    online: bool
    offline_since: datetime | None
    """None: online. One that has never connected is silent since it was commissioned."""
    registration: RegistrationStatus
    operative: bool
    """As the operator wants the gun and its station."""
    station_status: ConnectorStatus
    """What the station says of itself."""
    status: ConnectorStatus
    """Of its most telling connector."""

    @property
    def in_service(self) -> bool:
        return self.operative and self.registration is RegistrationStatus.ACCEPTED

    def out_of_use(self, online_ids: Collection[int] | None = None) -> EvseState | None:
        """As `states.out_of_use`; `online_ids`: who is connected, where memory knows it."""
        return out_of_use(
            self.status,
            self.station_status,
            online=self.online if online_ids is None else self.station_id in online_ids,
            registration=self.registration,
            operative=self.operative,
        )


async def read_guns(connection: AsyncConnection, where: ColumnElement[bool]) -> list[StationGun]:
    """Return guns, the least powerful first; `where` is of their stations and EVSEs."""
    online = and_(
        station_connections.c.station_id.is_not(None),
        station_connections.c.disconnected_at.is_(None),
    )
    silent_since = func.coalesce(station_connections.c.disconnected_at, S.commissioned_at)
    statuses = (
        select(func.array_agg(connectors.c.status))
        .where(
            connectors.c.station_id == evses.c.station_id, connectors.c.evse_no == evses.c.evse_no
        )
        .scalar_subquery()
    )
    query = (
        select(
            evses.c.station_id,
            evses.c.evse_no,
            evses.c.gun_code,
            GUN_POWER.label("power_w"),
            online.label("online"),
            case((~online, silent_since)).label("offline_since"),
            S.registration,
            (S.wanted_operative & evses.c.wanted_operative).label("operative"),
            S.status.label("station_status"),
            statuses.label("statuses"),
        )
        .select_from(evses.join(charging_stations).outerjoin(station_connections))
        .where(S.decommissioned_at.is_(None), where)
        .order_by(GUN_POWER, evses.c.station_id, evses.c.evse_no)
    )
    return [
        StationGun(
            row.station_id,
            row.evse_no,
            row.gun_code,
            row.power_w,
            row.online,
            row.offline_since,
            RegistrationStatus(row.registration),
            row.operative,
            read_status(row.station_status),
            most_telling(read_status(word) for word in row.statuses or ()),
        )
        for row in await connection.execute(query)
    ]
