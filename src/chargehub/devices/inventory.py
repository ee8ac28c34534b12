"""Asks a station for all its variables on first contact and after a firmware change (B07.FR.14).

A due row says so, written with the boot (`inbound.station_booted`). What comes back is stored and
joined by `inbound.VariablesHandler`; here a report is begun, and given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.inbound import GIVE_UP, GIVE_UP_AFTER
from chargehub.devices.rules import ReportState, ended_by_answer
from chargehub.devices.store import report_request_ids, variable_reports
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import (
    CommandAnswer,
    ReportInventory,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.store import charging_stations

log = structlog.get_logger(__name__)

REQUESTED_BY = "inventory"

_reports = variable_reports.c


@dataclass(slots=True)
class Inventory:
    database: Database
    desk: CommandDesk
    clock: HubClock

    async def station_booted(self, subject: str, _payload: dict[str, Any]) -> None:
        """Ask the station `subject` unless this firmware's inventory was asked for. Repeatable."""
        station_id = int(subject)
        async with self.database.read() as connection:
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
        try:
            _, answer = await self.ask(station_id, REQUESTED_BY)
        except (StationOffline, StationNotAccepted, StationTimeout, StationBusy) as error:
            log.info("inventory_postponed", station_id=row.identity, why=error.code)
            return  # It will boot again, and be asked then.
        except StationAnswerError as error:
            log.warning("inventory_refused", station_id=row.identity, why=error.detail)
            return
        except UnsupportedByStation:
            log.info("inventory_unsupported", station_id=row.identity)
        else:
            if ended_by_answer(answer.status) is ReportState.REJECTED:
                return  # It cannot just now (B07.FR.13): asked again at its next boot.
        await self._remember(station_id, firmware)

    async def ask(self, station_id: int, requested_by: str) -> tuple[int, CommandAnswer]:
        """Begin a report of everything; return its number and the answer. Raises as the desk."""
        now = self.clock.now()
        async with self.database.write() as connection:
            number: int = (await connection.execute(report_request_ids.next_value())).scalar_one()
            # Before it is asked for: pages may come before our own record of the answer.
            await connection.execute(
                insert(variable_reports).values(
                    request_id=number, station_id=station_id, asked_at=now
                )
            )
            await jobs.schedule_once(connection, GIVE_UP, [number], now + GIVE_UP_AFTER)
        try:
            _, answer = await self.desk.send(station_id, ReportInventory(number), requested_by)
        except ChargeHubError:
            await self._end(number, ReportState.FAILED)
            raise
        ended = ended_by_answer(answer.status)
        if ended is not None:
            await self._end(number, ended)
        return number, answer

    async def _end(self, number: int, state: ReportState) -> None:
        async with self.database.write() as connection:
            await _end_report(connection, number, state, self.clock.now())

    async def give_up(self, subject: str, _payload: dict[str, Any]) -> None:
        """End a report whose missing pages do not come; ask anew at the next boot. Repeatable."""
        async with self.database.write() as connection:
            station_id = await _end_report(
                connection, int(subject), ReportState.INCOMPLETE, self.clock.now()
            )
            if station_id is None:
                return
            await connection.execute(
                update(charging_stations)
                .where(charging_stations.c.id == station_id)
                .values(inventoried_firmware=None)
            )
        log.warning("report_incomplete", station=station_id, request_id=int(subject))

    async def _remember(self, station_id: int, firmware: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                update(charging_stations)
                .where(charging_stations.c.id == station_id)
                .values(inventoried_firmware=firmware)
            )


async def _end_report(
    connection: AsyncConnection, number: int, state: ReportState, at: datetime
) -> int | None:
    """End a report that is open; return its station, or None where it has ended already."""
    ended = await connection.execute(
        update(variable_reports)
        .where(
            _reports.request_id == number,
            _reports.state.in_([ReportState.ASKED.value, ReportState.RECEIVING.value]),
        )
        .values(state=state.value, ended_at=at)
        .returning(_reports.station_id)
    )
    station_id: int | None = ended.scalar_one_or_none()
    return station_id
