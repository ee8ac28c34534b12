"""Notices when a station comes to differ from a template, and when it does no more.

What a station tells has its templates compared (`inbound` writes the due row), a template that
changes its stations. Once for each change: a row of `template_drift` says what was told already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.queries import is_meant, meant_by, read_meant
from chargehub.devices.rules import DriftState
from chargehub.devices.store import configuration_templates, template_drift
from chargehub.devices.templates import Compared, compare, wanted_of
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.stations.store import charging_stations, station_notices

log = structlog.get_logger(__name__)

NOTICE = "ConfigurationDrift"
STATIONS_AT_ONCE = 200
NAMED_MAX = 20
"""Variables that a notice names; it counts them all."""


@dataclass(frozen=True, slots=True)
class DriftWatch:
    database: Database
    clock: HubClock

    async def station_told(self, subject: str, _payload: dict[str, Any]) -> None:
        """Compare the station `subject` with the templates that are for it. Repeatable."""
        station_id = int(subject)
        async with self.database.write() as connection:
            station = (
                await connection.execute(
                    select(charging_stations).where(charging_stations.c.id == station_id)
                )
            ).one()
            templates = (await connection.execute(select(configuration_templates))).all()
            meant = [template for template in templates if is_meant(template, station)]
            await connection.execute(
                delete(template_drift).where(
                    template_drift.c.station_id == station_id,
                    template_drift.c.template_id.not_in([template.id for template in meant]),
                )
            )
            for template in meant:
                await self._settle(connection, template, [station_id])

    async def template_changed(self, subject: str, _payload: dict[str, Any]) -> None:
        """Compare all stations that the template `subject` is for. Repeatable."""
        template_id, after, more = int(subject), None, True
        while more:
            async with self.database.write() as connection:
                query = select(configuration_templates).where(
                    configuration_templates.c.id == template_id
                )
                template = (await connection.execute(query)).one_or_none()
                if template is None:
                    return
                if after is None:
                    await _forget_others(connection, template)
                rows = await read_meant(connection, template, after=after, limit=STATIONS_AT_ONCE)
                await self._settle(connection, template, [row.id for row in rows])
            more = len(rows) == STATIONS_AT_ONCE
            after = (rows[-1].identity.lower(), rows[-1].id) if rows else None

    async def _settle(
        self, connection: AsyncConnection, template: Row[Any], station_ids: Sequence[int]
    ) -> None:
        """Store which of these stations differ, with a notice for each that did not before."""
        compared = await compare(connection, station_ids, wanted_of(template))
        differing = {
            station_id: found
            for station_id, items in compared.items()
            if (found := [item for item in items if item.state is DriftState.DRIFT])
        }
        begun = await _begin(connection, template.id, list(differing), self.clock.now())
        ended = await _end(connection, template.id, set(station_ids) - set(differing))
        await self._tell(connection, template, {key: differing[key] for key in begun})
        await self._tell(connection, template, dict.fromkeys(ended, ()))

    async def _tell(
        self,
        connection: AsyncConnection,
        template: Row[Any],
        found: Mapping[int, Sequence[Compared]],
    ) -> None:
        now = self.clock.now()
        notices = [
            {
                "station_id": station_id,
                "kind": NOTICE,
                "at": now,
                "received_at": now,
                "flagged": bool(items),
                "payload": _payload(template, items),
            }
            for station_id, items in found.items()
        ]
        if notices:
            await connection.execute(insert(station_notices), notices)
            log.info("configuration_drift", template=template.name, stations=len(notices))


def _payload(template: Row[Any], items: Sequence[Compared]) -> dict[str, Any]:
    return {
        "template_id": template.id,
        "template": template.name,
        "revision": template.revision,
        "differing": len(items),
        "variables": [
            {
                "variable": item.name.path,
                "wanted": item.wanted,
                "actual": None if item.known is None else item.known.value,
                "pending_value": None if item.known is None else item.known.pending_value,
            }
            for item in items[:NAMED_MAX]
        ],
    }


async def _begin(
    connection: AsyncConnection, template_id: int, station_ids: Sequence[int], now: datetime
) -> list[int]:
    """Note the stations as differing; return those that were not noted yet."""
    if not station_ids:
        return []
    rows = [
        {"template_id": template_id, "station_id": station_id, "since": now}
        for station_id in station_ids
    ]
    begun = await connection.scalars(
        upsert(template_drift)
        .values(rows)
        .on_conflict_do_nothing()
        .returning(template_drift.c.station_id)
    )
    return list(begun)


async def _end(
    connection: AsyncConnection, template_id: int, station_ids: Collection[int]
) -> list[int]:
    """Forget that these differ; return those that were noted."""
    ended = await connection.scalars(
        delete(template_drift)
        .where(
            template_drift.c.template_id == template_id,
            template_drift.c.station_id.in_(station_ids),
        )
        .returning(template_drift.c.station_id)
    )
    return list(ended)


async def _forget_others(connection: AsyncConnection, template: Row[Any]) -> None:
    """Forget stations that the template is not for any more; of them nothing is told."""
    meant = select(charging_stations.c.id).where(meant_by(template))
    await connection.execute(
        delete(template_drift).where(
            template_drift.c.template_id == template.id,
            template_drift.c.station_id.not_in(meant),
        )
    )
