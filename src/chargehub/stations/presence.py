"""Stations that come and go, stored in the group commit's batches: epoch, profile, audit.

Who may come is decided in entry.py before; here it is held against what the database says in the
very transaction that takes the socket into service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
from psycopg import AsyncConnection

from chargehub.access.audit import AUDIT
from chargehub.kit import jobs
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import BatchStatement, Decision, Item, Row, Writes
from chargehub.stations.boots import schedule_ask_boot
from chargehub.stations.command_queue import DELIVER, SETTLE_AFTER
from chargehub.stations.events import StationOnline, StationWentOffline
from chargehub.stations.reports import (
    Connected,
    ConnectionGranted,
    Disconnected,
    RegistrationStatus,
)

Connection = AsyncConnection[Row]
ConnectObserver = Callable[[Connected, Writes], None]

# A password that was used ends the question which of two is valid; where the station still has to
# reboot only the new one does, and the old one once it has booted (inbound.BootHandler). The least
# profile is not raised here: whoever came may yet be refused at its boot.
CONNECT = """
    WITH arriving AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::bytea[],
                             %s::smallint[], %s::text[], %s::text[])
            AS u(station_id, protocol, remote, connected_at, credential_hash, security_profile,
                 certified_serial, tls)),
    welcome AS (
        SELECT u.*, s.identity, s.registration, s.booted_at IS NOT NULL AS has_booted,
            before.security_profile AS profile_before
        FROM arriving u
        JOIN charging_stations s ON s.id = u.station_id AND s.decommissioned_at IS NULL
            AND s.security_profile <= u.security_profile
        LEFT JOIN credential_changes p ON p.station_id = u.station_id
        LEFT JOIN station_connections before ON before.station_id = u.station_id
        WHERE CASE u.security_profile
            WHEN 0 THEN true
            WHEN 3 THEN s.bound_serial_number = u.certified_serial
            ELSE u.credential_hash IN (s.credential_hash, p.credential_hash) END),
    settled AS (
        DELETE FROM credential_changes p USING welcome w
        WHERE p.station_id = w.station_id AND w.credential_hash IS NOT NULL
            AND (w.credential_hash = p.credential_hash OR p.reboots_after_epoch IS NULL)),
    renewed AS (
        UPDATE charging_stations s SET
            credential_rotated_at = w.connected_at, credential_hash = w.credential_hash
        FROM welcome w
        WHERE s.id = w.station_id AND w.credential_hash <> coalesce(s.credential_hash, '')),
    granted AS (
        INSERT INTO station_connections AS c (station_id, epoch, protocol, remote, connected_at,
            security_profile, certified_serial, tls)
        SELECT station_id, 1, protocol, remote, connected_at, security_profile, certified_serial,
            tls
        FROM welcome
        ON CONFLICT (station_id) DO UPDATE SET
            epoch = c.epoch + 1, protocol = EXCLUDED.protocol, remote = EXCLUDED.remote,
            connected_at = EXCLUDED.connected_at, disconnected_at = NULL,
            security_profile = EXCLUDED.security_profile,
            certified_serial = EXCLUDED.certified_serial, tls = EXCLUDED.tls
        RETURNING station_id, epoch)
    SELECT g.station_id, g.epoch, w.registration, w.has_booted, w.identity, w.profile_before,
        EXISTS (SELECT FROM station_commands q
            WHERE q.station_id = g.station_id AND q.outcome = 'queued')
    FROM granted g JOIN welcome w ON w.station_id = g.station_id
"""


class Arrival(NamedTuple):
    epoch: int
    registration: str
    has_booted: bool
    identity: str
    profile_before: int | None
    awaited: bool
    """Commands wait for it."""


@dataclass(slots=True, eq=False)
class ConnectHandler:
    """Gives each accepted socket the next epoch; the newest wins (P4 5.3).

    None where the station was decommissioned, or what let it in was changed, since the handshake.
    What waits for the station is delivered a little later, or as soon as it has booted.
    """

    bus: EventBus
    observers: Sequence[ConnectObserver] = ()

    async def read(
        self, connection: Connection, items: Sequence[Item[Connected]]
    ) -> dict[int, Arrival]:
        reports = [item.report for item in items]
        cursor = await connection.execute(
            CONNECT,
            (
                [report.station_id for report in reports],
                [report.protocol for report in reports],
                [report.remote for report in reports],
                [report.received_at for report in reports],
                [report.entry.credential_hash for report in reports],
                [int(report.entry.profile) for report in reports],
                [report.entry.certified_serial for report in reports],
                [report.tls for report in reports],
            ),
        )
        return {row[0]: Arrival(*row[1:]) for row in await cursor.fetchall()}

    def decide(
        self, item: Item[Connected], facts: dict[int, Arrival], writes: Writes
    ) -> Decision[ConnectionGranted | None]:
        report = item.report
        arrival = facts.get(report.station_id)
        if arrival is None:
            return Decision(None)
        profile = int(report.entry.profile)
        if arrival.profile_before != profile:
            # The row of a connection is overwritten by the next one: the trail stays.
            told = {"profile": profile, "before": arrival.profile_before, "tls": report.tls}
            text = orjson.dumps(told).decode()
            action = "station.security_profile_used"
            writes.add(AUDIT, (report.received_at, "station", action, arrival.identity, text))
        registration = RegistrationStatus(arrival.registration)
        if registration is RegistrationStatus.ACCEPTED and not arrival.has_booted:
            # Nobody has told it so yet: acceptance begins with its first boot (B01.FR.10).
            registration = RegistrationStatus.PENDING
            schedule_ask_boot(writes, report.station_id, report.received_at)
        if arrival.awaited:
            due_at = report.received_at + SETTLE_AFTER
            writes.add(jobs.SCHEDULE, (DELIVER, str(report.station_id), due_at, "{}"))
        for observer in self.observers:
            observer(report, writes)
        event = StationOnline(report.station_id, arrival.identity, report.received_at)
        return Decision(
            ConnectionGranted(arrival.epoch, registration), lambda: self.bus.publish(event)
        )


CLOSE_CONNECTION = BatchStatement(
    "station_connections.close",
    """
    UPDATE station_connections c SET disconnected_at = u.at
    FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS u(station_id, epoch, at)
    WHERE c.station_id = u.station_id AND c.epoch = u.epoch AND c.disconnected_at IS NULL
    """,
)


@dataclass(slots=True, eq=False)
class DisconnectHandler:
    """Marks a station offline, unless a newer socket has taken over."""

    bus: EventBus

    async def read(
        self, connection: Connection, items: Sequence[Item[Disconnected]]
    ) -> dict[int, tuple[int, datetime, str]]:
        cursor = await connection.execute(
            "SELECT c.station_id, c.epoch, c.connected_at, s.identity FROM station_connections c"
            " JOIN charging_stations s ON s.id = c.station_id WHERE c.station_id = ANY(%s)",
            ([item.report.station_id for item in items],),
        )
        return {row[0]: row[1:] for row in await cursor.fetchall()}

    def decide(
        self, item: Item[Disconnected], facts: dict[int, tuple[int, datetime, str]], writes: Writes
    ) -> Decision[None]:
        report = item.report
        if report.station_id not in facts:
            return Decision(None)
        epoch, connected_at, identity = facts[report.station_id]
        newest = connected_at if report.epoch is None else epoch
        if newest != (report.connected_at if report.epoch is None else report.epoch):
            return Decision(None)
        writes.add(CLOSE_CONNECTION, (report.station_id, epoch, report.received_at))
        event = StationWentOffline(report.station_id, identity, report.received_at)
        return Decision(None, lambda: self.bus.publish(event))
