"""Asks a station to boot that connected for the first time and does not do so by itself.

Such a station served another hub before and was only given our address. Until it boots it is heard
no more than a pending one (B01.FR.10, B02.FR.09), so it would be stuck.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from chargehub.kit import jobs
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.group_commit import Writes
from chargehub.stations.commands import TriggerMessage
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.store import charging_stations

log = structlog.get_logger(__name__)

ASK_BOOT = "station.ask_boot"
ASK_BOOT_AFTER = timedelta(minutes=1)
REQUESTED_BY = "registration"


def schedule_ask_boot(writes: Writes, station_id: int, now: datetime) -> None:
    writes.add(jobs.SCHEDULE_ONCE, (ASK_BOOT, str(station_id), now + ASK_BOOT_AFTER, "{}"))


@dataclass(slots=True)
class BootWatch:
    database: Database
    desk: CommandDesk

    async def ask(self, subject: str, _payload: dict[str, Any]) -> None:
        """Ask the station `subject` for its boot, if there was none. Repeatable."""
        station_id = int(subject)
        query = select(charging_stations.c.identity, charging_stations.c.booted_at).where(
            charging_stations.c.id == station_id
        )
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one()
        if row.booted_at is not None:
            return
        try:
            await self.desk.send(station_id, TriggerMessage("BootNotification"), REQUESTED_BY)
        except ChargeHubError as error:
            # Its next connection schedules this anew.
            log.warning("boot_not_asked_for", station_id=row.identity, why=error.code)
