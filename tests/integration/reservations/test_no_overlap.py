"""Two reservations never overlap on an EVSE: the database refuses it, whoever asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import ExclusionViolation
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.reservations.store import OPEN, STATUSES, reservations
from tests.integration.reservations.hub import NOON, add_driver, add_location, add_station


def window(begin_min: int, end_min: int) -> dict[str, Any]:
    begin, end = NOON + timedelta(minutes=begin_min), NOON + timedelta(minutes=end_min)
    return {"held_from": begin, "starts_at": begin, "hold_until": end}


async def insert(
    connection: AsyncConnection, driver_id: UUID, station_id: int, **values: Any
) -> None:
    usual = {
        "driver_id": driver_id,
        "id_token": "app-1",
        "location_id": "L1",
        "station_id": station_id,
        "evse_no": 1,
        "any_evse": False,
        "wanted_power_w": 0,
        "created_at": NOON,
    }
    await connection.execute(reservations.insert().values(usual | values))


@pytest.mark.parametrize(
    ("other", "status", "overlaps"),
    [
        (window(10, 30), "requested", True),
        (window(-5, 1), "pending", True),
        (window(0, 15), "active", True),
        (window(15, 30), "active", False),
        (window(-15, 0), "active", False),
        *((window(0, 15), status, False) for status in STATUSES if status not in OPEN),
    ],
)
async def test_no_two_open_reservations_overlap_on_a_gun(
    database: Database, other: dict[str, Any], status: str, *, overlaps: bool
) -> None:
    async with database.write() as connection:
        await add_location(connection)
        station_id = await add_station(connection, "CS1")
        driver_id = await add_driver(connection)
        await insert(connection, driver_id, station_id, **window(0, 15))
        await insert(connection, driver_id, station_id, evse_no=2, **other)
        row = insert(connection, driver_id, station_id, status=status, **other)
        if not overlaps:
            await row
            return
        with pytest.raises(IntegrityError) as refused:
            await row
        assert isinstance(refused.value.orig, ExclusionViolation)
