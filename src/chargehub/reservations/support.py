"""Which stations take reservations: what they say of themselves, and what we have learned.

Learned per vendor, model and firmware, so that a station without them is not asked in vain.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.store import station_variables
from chargehub.reservations.store import reservation_support
from chargehub.stations.commands import VariableName
from chargehub.stations.store import charging_stations

_PROFILES = VariableName("", "SupportedFeatureProfiles").key
_SWITCHES = [VariableName("ReservationCtrlr", name).key for name in ("Available", "Enabled")]
_S = reservation_support.c
_STATIONS = charging_stations.c


def says_no(values: dict[str, str]) -> bool:
    """Tell whether a station's own variables, by key, rule reservations out."""
    profiles = values.get(_PROFILES)
    if profiles is not None:
        names = {name.strip().lower() for name in profiles.split(",")}
        if "reservation" not in names:
            return True
    return any(values.get(key, "true").strip().lower() == "false" for key in _SWITCHES)


async def takes_reservations(connection: AsyncConnection, station_id: int) -> bool:
    """Tell whether it is worth asking the station; what nobody knows is."""
    return not await read_without(connection, [station_id])


async def read_without(connection: AsyncConnection, station_ids: Collection[int]) -> frozenset[int]:
    """Return which of the stations take no reservations, as far as anybody knows."""
    variables = station_variables.c
    said: dict[int, dict[str, str]] = {}
    for row in await connection.execute(
        select(variables.station_id, variables.key, variables.value).where(
            variables.station_id.in_(station_ids),
            variables.key.in_([_PROFILES, *_SWITCHES]),
            variables.value.is_not(None),
        )
    ):
        said.setdefault(row.station_id, {})[row.key] = row.value
    learned = await connection.scalars(
        select(_STATIONS.id)
        .join(
            reservation_support,
            (_S.vendor == _STATIONS.vendor)
            & (_S.model == _STATIONS.model)
            & (_S.firmware == _STATIONS.firmware_version),
        )
        .where(_STATIONS.id.in_(station_ids), _S.supported.is_(False))
    )
    return frozenset(learned) | {number for number, values in said.items() if says_no(values)}


async def learn(
    connection: AsyncConnection, station_id: int, at: datetime, *, supported: bool
) -> None:
    """Remember of the station's kind whether it takes reservations. Repeatable."""
    kind = select(_STATIONS.vendor, _STATIONS.model, _STATIONS.firmware_version).where(
        _STATIONS.id == station_id
    )
    row = (await connection.execute(kind)).one()
    if None in tuple(row):
        return  # It has not booted yet, or says nothing of itself.
    values = {"supported": supported, "learned_at": at}
    new = insert(reservation_support).values(
        vendor=row.vendor, model=row.model, firmware=row.firmware_version, **values
    )
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=["vendor", "model", "firmware"],
            set_=values,
            where=_S.supported.is_distinct_from(supported),
        )
    )
