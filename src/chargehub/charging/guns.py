"""A gun as the driver in front of it needs it: free or not, how much power, who shares it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.queries import find_bay_of_gun
from chargehub.bays.views import gun_bay
from chargehub.charging.queries import read_guns_of, read_starting_guns
from chargehub.charging.rules import GunState, gun_state, is_plugged_in, power_for_one
from chargehub.charging.views import Cabinet, ScannedGun, SiblingGun
from chargehub.kit.errors import Conflict
from chargehub.reservations.guard import read_held
from chargehub.reservations.store import reservations
from chargehub.stations.guns import read_guns
from chargehub.stations.queries import read_connectors_of
from chargehub.stations.starts import read_starts
from chargehub.stations.states import Charge, EvseState
from chargehub.stations.store import evses
from chargehub.stations.views import Now, evse_view
from chargehub.transactions.queries import read_charges


class GunNotFree(Conflict):
    """This gun cannot be used now; `state` says why."""

    code = "gun-not-free"


_WHY_NOT = {
    GunState.RESERVED: "The gun is reserved for another driver.",
    GunState.OCCUPIED: "The gun is in use.",
    GunState.OFFLINE: "The charging station is not connected.",
    GunState.UNAVAILABLE: "The gun is out of service.",
    GunState.FAULTED: "The gun reports a fault.",
}


async def look_at_gun(
    connection: AsyncConnection,
    gun: Row[Any],
    driver_id: UUID,
    at: datetime,
    online_ids: Collection[int],
) -> ScannedGun:
    """Return a gun (of `find_gun`) as it is to this driver now."""
    station_id = gun.station_id
    connectors = await read_connectors_of(connection, [station_id])
    charging = await read_charges(connection, [station_id])
    starting = await read_starting_guns(connection, station_id)
    starts = await read_starts(connection, [station_id], at)
    held = await read_held(connection, at, reservations.c.station_id == station_id)
    told = {
        one.evse_no: one.out_of_use(online_ids)
        for one in await read_guns(connection, evses.c.station_id == station_id)
    }
    now = Now(online_ids, charging)
    siblings, mine = [], None
    for row in await read_guns_of(connection, station_id):
        view = evse_view(row, connectors.get((station_id, row.evse_no), ()), now)
        charge = charging.get((station_id, row.evse_no))
        about_to = row.evse_no in starting or starts.at(station_id, row.evse_no) is not None
        in_use = charge is not None or about_to or _seems_in_use(view.state)
        hold = held.get((station_id, row.evse_no))
        state = gun_state(
            view.state,
            told[row.evse_no],
            in_use=in_use,
            held_for=None if hold is None else hold.driver_id,
            driver=driver_id,
        )
        if row.evse_no == gun.evse_no:
            until = hold.until if hold is not None and state is GunState.RESERVED else None
            mine = (state, is_plugged_in(one.status for one in view.connectors), until)
            continue
        siblings.append(_sibling(row, state, charge, in_use=in_use))
    assert mine is not None
    state, plugged_in, held_until = mine
    return ScannedGun(
        gun_code=gun.gun_code,
        evse_no=gun.evse_no,
        max_power_w=gun.max_power_w,
        state=state,
        plugged_in=plugged_in,
        held_until=held_until,
        may_start=state is GunState.FREE,
        station=gun.identity,
        station_name=gun.station_name,
        location_id=gun.location_id,
        location_name=gun.location_name,
        location_address=gun.location_address,
        cabinet=_cabinet(gun, siblings),
        bay=gun_bay(await find_bay_of_gun(connection, station_id, gun.evse_no)),
    )


def check_free(gun: ScannedGun) -> None:
    """Raise GunNotFree unless its driver may start here now."""
    if not gun.may_start:
        facts = {"state": gun.state.value, "gun_code": gun.gun_code}
        passes_at = gun.held_until and gun.held_until.isoformat()
        raise GunNotFree(_WHY_NOT[gun.state], rule="gun_free", passes_at=passes_at, **facts)


def _seems_in_use(state: EvseState) -> bool:
    """A station may say that it charges before we hear of the transaction."""
    return state in {EvseState.CHARGING, EvseState.SUSPENDED_EV, EvseState.SUSPENDED_EVSE}


def _sibling(row: Row[Any], state: GunState, charge: Charge | None, *, in_use: bool) -> SiblingGun:
    return SiblingGun(
        gun_code=row.gun_code,
        evse_no=row.evse_no,
        max_power_w=row.max_power_w,
        state=state,
        in_use=in_use,
        power_w=charge.power_w if charge is not None else None,
    )


def _cabinet(gun: Row[Any], siblings: list[SiblingGun]) -> Cabinet:
    most = gun.station_max_power_w
    together = gun.max_power_w + sum(one.max_power_w for one in siblings)
    expected = power_for_one(gun.max_power_w, most, [(one.in_use, one.power_w) for one in siblings])
    return Cabinet(
        max_power_w=most, shared=together > most, expected_power_w=expected, siblings=siblings
    )
