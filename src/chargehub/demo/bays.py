"""The bays of the demo: the hub's first guns have ground locks with sensors, and a gateway."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert

from chargehub.bays.store import bays
from chargehub.demo.seed import ACTOR, GUNS, HUB, identity_of
from chargehub.kit.db import Database
from chargehub.kit.http import API_PREFIX
from chargehub.settings import BayGateway
from chargehub.stations.store import charging_stations, evses

STATIONS = 3
DEVICES = {
    f"{identity_of(number)}-{evse_no}": f"LOCK-{number:03d}-{evse_no}"
    for number in range(1, STATIONS + 1)
    for evse_no in range(1, GUNS + 1)
}
"""By gun code; each is lock and sensor in one."""


async def seed_bays(database: Database, at: datetime) -> None:
    """Register those that never were: one that was taken out of service does not come back."""
    async with database.write() as connection:
        known = set(await connection.scalars(select(bays.c.lock_device)))
        for gun_code, device in DEVICES.items():
            if device in known:
                continue
            gun = (
                select(
                    charging_stations.c.location_id,
                    evses.c.station_id,
                    evses.c.evse_no,
                    literal(gun_code),
                    literal(device),
                    literal(device),
                    literal(ACTOR),
                    literal(at),
                )
                .select_from(evses.join(charging_stations))
                .where(
                    evses.c.gun_code == gun_code,
                    charging_stations.c.decommissioned_at.is_(None),
                )
            )
            columns = (
                *("location_id", "station_id", "evse_no", "label", "lock_device"),
                *("sensor_device", "created_by", "created_at"),
            )
            await connection.execute(
                insert(bays).from_select(columns, gun).on_conflict_do_nothing()
            )


def gateways_with(given: dict[str, BayGateway], port: int, key: str) -> str:
    """Return the server's gateways as their variable tells them, the demo's own among them."""
    told = {
        place: {"url": gateway.url, "key": gateway.key.get_secret_value()}
        for place, gateway in given.items()
    }
    return json.dumps(told | {HUB: {"url": gateway_url(port), "key": key}})


def gateway_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def callback_url(api_url: str) -> str:
    """Return where the demo's gateway tells what its devices do."""
    return f"{api_url}{API_PREFIX}/bay-gateways/{HUB}/events"
