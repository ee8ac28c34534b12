"""When guns that are in use will be free: what runs on them, reckoned by `rules.minutes_left`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.finding.queries import GunKey, read_guns, read_usual_minutes
from chargehub.finding.rules import Running, TypicalCar, minutes_left
from chargehub.telemetry.queries import read_latest_values

WEEK = timedelta(days=7)


async def read_running(
    connection: AsyncConnection, rows: Sequence[Row[Any]], now: datetime
) -> tuple[dict[int, Running], Mapping[str, float]]:
    """Return the transactions under way at these guns, and how long others take, by Location.

    `rows` are those of `queries.read_guns` with a transaction; the key is its id.
    """
    if not rows:
        return {}, {}
    usual = await read_usual_minutes(connection, {row.station_id for row in rows}, now - WEEK)
    latest = await read_latest_values(
        connection, [(row.station_id, row.transaction_id) for row in rows]
    )

    def running(row: Row[Any]) -> Running:
        elapsed = (now - row.started_at) / timedelta(minutes=1)
        values = latest.get(row.transaction_id)
        if values is None:
            return Running(elapsed)
        return Running(elapsed, values.soc_percent, values.power_w)

    return {row.transaction_id: running(row) for row in rows}, usual


@dataclass(frozen=True, slots=True)
class Forecast:
    """Implements `reservations.queue.outlook.Forecast`."""

    online_ids: Callable[[], Collection[int]]
    car: TypicalCar

    async def free_in(
        self, connection: AsyncConnection, location_id: str, now: datetime
    ) -> tuple[dict[GunKey, float | None], float | None]:
        """Return minutes until each gun in use is free, and how long a charge usually takes."""
        online = self.online_ids()
        rows = [
            row
            for row in await read_guns(connection, [location_id], now)
            if row.transaction_id is not None and row.operative and row.station_id in online
        ]
        running, usual = await read_running(connection, rows, now)
        usual_here = usual.get(location_id)
        free = {
            (row.station_id, row.evse_no): minutes_left(
                running[row.transaction_id], self.car, usual_here
            )
            for row in rows
        }
        return free, usual_here
