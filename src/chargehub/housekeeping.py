"""What the hub does for itself once a day: partitions ahead of time, and what was kept long enough.

Transactions and samples are kept for ever; what only tells what was is deleted after its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Self

import structlog

from chargehub.access.store import audit_entries
from chargehub.bays.store import bay_commands, bay_events
from chargehub.devices.store import template_applications, variable_reports
from chargehub.drivers.credentials.daily import DAILY as CREDENTIALS_DAILY
from chargehub.drivers.guests import forget_guests
from chargehub.drivers.store import driver_login_codes, driver_logins, inbox_messages
from chargehub.frame_log.store import DAYS, DAYS_AHEAD
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock, wall_now
from chargehub.kit.db import Database
from chargehub.kit.idempotency import idempotency_keys
from chargehub.kit.worker import DueAction
from chargehub.reservations.history import forget_no_shows
from chargehub.smart_charging.ledger import close_ended
from chargehub.smart_charging.store import charging_profiles, profile_requests
from chargehub.stations.store import connector_status_events, station_commands, station_notices
from chargehub.telemetry.partitions import ensure_partitions

log = structlog.get_logger(__name__)

ENSURE_PARTITIONS = "telemetry.ensure_partitions"
PRUNE_OUTBOX = "outbox.prune"
PRUNE_HISTORY = "history.prune"
LOGINS_KEPT = timedelta(days=7)
DAILY_ACTIONS = (ENSURE_PARTITIONS, PRUNE_OUTBOX, PRUNE_HISTORY, CREDENTIALS_DAILY)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days is kept what only tells what was."""

    outbox_days: int
    history_days: int
    audit_days: int
    frame_log_days: int
    inbox_days: int
    idempotency_hours: int

    @classmethod
    def of(cls, limits: object) -> Self:
        """Take it from the settings, where the names are the same."""
        return cls(**{item.name: getattr(limits, item.name) for item in fields(cls)})


@dataclass(frozen=True, slots=True)
class Housekeeping:
    database: Database
    clock: HubClock
    retention: Retention

    def due(self) -> Mapping[str, DueAction]:
        """Return the daily actions; each falls due again by itself."""
        return {
            ENSURE_PARTITIONS: self._daily(ENSURE_PARTITIONS, self._ensure_partitions),
            PRUNE_OUTBOX: self._daily(PRUNE_OUTBOX, self._prune_outbox),
            PRUNE_HISTORY: self._daily(PRUNE_HISTORY, self._prune_history),
        }

    def _daily(self, kind: str, work: Callable[[datetime], Awaitable[None]]) -> DueAction:
        async def act(subject: str, _payload: dict[str, Any]) -> None:
            now = self.clock.now()
            await work(now)
            async with self.database.write() as connection:
                await jobs.postpone(connection, kind, subject, now + timedelta(days=1))

        return act

    async def _ensure_partitions(self, now: datetime) -> None:
        async with self.database.write() as connection:
            await ensure_partitions(connection, now)
            await DAYS.ensure(connection, now, DAYS_AHEAD)

    async def _prune_outbox(self, now: datetime) -> None:
        keep = timedelta(days=self.retention.outbox_days)
        await jobs.prune(self.database, jobs.outbox.c.handled_at, now - keep)

    async def _prune_history(self, now: datetime) -> None:
        kept = self.retention
        async with self.database.write() as connection:
            await close_ended(connection, None, now)
        kept_days = {
            connector_status_events.c.received_at: kept.history_days,
            station_notices.c.received_at: kept.history_days,
            # What has not ended is no history: a wish waits for its station for ever.
            station_commands.c.completed_at: kept.history_days,
            bay_events.c.received_at: kept.history_days,
            bay_commands.c.ended_at: kept.history_days,
            charging_profiles.c.closed_at: kept.history_days,
            profile_requests.c.asked_at: kept.history_days,
            variable_reports.c.asked_at: kept.history_days,
            template_applications.c.expires_at: kept.history_days,
            audit_entries.c.at: kept.audit_days,
            inbox_messages.c.at: kept.inbox_days,
        }
        for column, days in kept_days.items():
            deleted = await jobs.prune(self.database, column, now - timedelta(days=days))
            if deleted:
                log.info("history_pruned", table=str(column.table), rows=deleted, kept_days=days)
        await forget_no_shows(self.database, now)
        guests = await forget_guests(self.database, now)
        if guests:
            log.info("guests_forgotten", guests=guests)
        # A repeat is a matter of the network, which runs on wall time.
        repeated_since = wall_now() - timedelta(hours=kept.idempotency_hours)
        await jobs.prune(self.database, idempotency_keys.c.begun_at, repeated_since)
        # Logins run on wall time.
        for ended in (driver_logins.c.expires_at, driver_login_codes.c.sent_at):
            await jobs.prune(self.database, ended, wall_now() - LOGINS_KEPT)
        async with self.database.write() as connection:
            dropped = await DAYS.drop_before(connection, now - timedelta(days=kept.frame_log_days))
        if dropped:
            log.info("frames_pruned", partitions=dropped, kept_days=kept.frame_log_days)
