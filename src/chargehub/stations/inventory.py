"""Asks a station for its inventory on first contact and after a firmware change (B07.FR.14).

Runs on the outbox's BOOTED, so the wish survives a restart of ours. What comes back is
stored by `inbound.VariablesHandler`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select, update

from chargehub.kit.db import Database
from chargehub.stations.commands import (
    ReportInventory,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.store import charging_stations, inventory_request_ids

log = structlog.get_logger(__name__)

REQUESTED_BY = "inventory"


@dataclass(slots=True)
class Inventory:
    database: Database
    desk: CommandDesk

    async def station_booted(self, subject: str, _payload: dict[str, Any]) -> None:
        """Ask the station `subject` unless this firmware's inventory was asked for. Repeatable."""
        station_id = int(subject)
        async with self.database.write() as connection:
            row = (
                await connection.execute(
                    select(
                        charging_stations.c.identity,
                        charging_stations.c.firmware_version,
                        charging_stations.c.inventoried_firmware,
                    ).where(charging_stations.c.id == station_id)
                )
            ).one()
            firmware = row.firmware_version or ""
            if row.inventoried_firmware == firmware:
                return
            number = (await connection.execute(inventory_request_ids.next_value())).scalar_one()
        try:
            await self.desk.send(station_id, ReportInventory(number), REQUESTED_BY)
        except (StationOffline, StationNotAccepted, StationTimeout, StationBusy) as error:
            log.info("inventory_postponed", station_id=row.identity, why=error.code)
            return  # It will boot again, and be asked then.
        except StationAnswerError as error:
            log.warning("inventory_refused", station_id=row.identity, why=error.detail)
            return
        except UnsupportedByStation:
            log.info("inventory_unsupported", station_id=row.identity)
        async with self.database.write() as connection:
            await connection.execute(
                update(charging_stations)
                .where(charging_stations.c.id == station_id)
                .values(inventoried_firmware=firmware)
            )
