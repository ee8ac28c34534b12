"""What becomes of credentials by itself, once a day, just after the hub's midnight.

Drivers are told 30, 7 and 0 days before a credential ends, then it is expired; images whose days
are over are deleted; what waited beyond its end is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.accounts import find_account
from chargehub.drivers.credentials import queries
from chargehub.drivers.credentials.imports import CredentialImports
from chargehub.drivers.credentials.rules import (
    NOTICES_DAYS,
    CredentialStatus,
    next_local_day,
)
from chargehub.drivers.credentials.service import Credentials, tell_decided, tell_end
from chargehub.kit import jobs
from chargehub.kit.errors import NotFound

log = structlog.get_logger(__name__)

DAILY = "credentials.daily"


@dataclass(frozen=True, slots=True)
class CredentialsDaily:
    credentials: Credentials
    imports: CredentialImports

    async def act(self, subject: str, _payload: Mapping[str, Any]) -> None:
        own = self.credentials
        now = own.clock.now()
        await self.work(now)
        async with own.database.write() as connection:
            due_at = next_local_day(now, own.rules.zone)
            await jobs.postpone(connection, DAILY, subject, due_at)

    async def work(self, now: datetime) -> None:
        own = self.credentials
        today = own.today()
        async with own.database.read() as connection:
            until = today + timedelta(days=max(NOTICES_DAYS))
            drivers = await queries.read_drivers_with_ends(connection, until)
        for driver_id in drivers:
            await self._look_at(driver_id, today, until, now)
        async with own.database.write() as connection:
            kept = now - timedelta(days=own.rules.image_days)
            images = await queries.delete_decided_images(connection, kept)
            waiting = await queries.delete_ended_waiting(connection, today)
        if images or waiting:
            log.info("credentials_pruned", images=images, waiting=waiting)
        await self.imports.claim_all()

    async def _look_at(self, driver_id: UUID, today: date, until: date, now: datetime) -> None:
        """Notices and ends of one driver."""
        async with self.credentials.database.write() as connection:
            try:
                await find_account(connection, driver_id, lock=True)
            except NotFound:  # Closed meanwhile.
                return
            for row in await queries.read_ends(connection, driver_id, until):
                if row.valid_to < today:
                    await self._expire(connection, row, now)
                else:
                    await tell_end(connection, row, today, now)

    async def _expire(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
        # Who approved it and when stays: the image's days run from there.
        status = CredentialStatus.EXPIRED.value
        await queries.end_credential(connection, row.id, status=status)
        await tell_decided(connection, await queries.find_credential(connection, row.id), now)
