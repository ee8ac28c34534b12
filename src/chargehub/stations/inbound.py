"""What stations report about themselves, decided and stored in the group commit's batches.

One handler a report kind. What other features do on a status or a boot is wired in as observers
by gateway/handlers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
import structlog
from psycopg import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import (
    BatchStatement,
    Decision,
    Item,
    Row,
    Writes,
)
from chargehub.kit.report_handler import ReportHandler
from chargehub.kit.secrets import redacted
from chargehub.stations.entry import SecurityProfile
from chargehub.stations.events import BOOTED, ConnectorStatusChanged
from chargehub.stations.reports import (
    BootRefused,
    BootReply,
    BootReported,
    ConnectorStatus,
    NoticeReported,
    RegistrationStatus,
    StatusReported,
)

log = structlog.get_logger(__name__)

Connection = AsyncConnection[Row]
StatusObserver = Callable[[StatusReported, Writes], None]
BootObserver = Callable[[BootReported, Writes], None]

OLDEST_CREDIBLE = datetime(2015, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(minutes=5)


def credible(at: datetime | None, received_at: datetime) -> datetime:
    """Return the station's time, or ours where its clock cannot be right.

    A status stamped next year would otherwise outrank everything until then.
    """
    if at is None or at < OLDEST_CREDIBLE or at > received_at + FUTURE_TOLERANCE:
        return received_at
    return at


class BootFacts(NamedTuple):
    registration: str
    heartbeat_interval_s: int | None
    certified_serial: str | None
    """The serial number that the socket's certificate names."""
    profile: int | None
    """The security profile that the socket came in by; None where it was never stored."""
    reboots_after_epoch: int | None
    """A password change waits for a boot on a socket that came after this one."""


UPDATE_BOOT = BatchStatement(
    "charging_stations.boot",
    """
    UPDATE charging_stations s SET
        vendor = u.vendor, model = u.model,
        serial_number = coalesce(u.serial_number, s.serial_number),
        firmware_version = coalesce(u.firmware_version, s.firmware_version),
        boot_facts = u.facts::jsonb, booted_at = u.at,
        security_profile = greatest(s.security_profile, u.profile)
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                %s::timestamptz[], %s::smallint[])
         AS u(station_id, vendor, model, serial_number, firmware_version, facts, at, profile)
    WHERE s.id = u.station_id
    """,
)

KEEP_OLD_CREDENTIAL = BatchStatement(
    "credential_changes.booted_with_old",
    """
    DELETE FROM credential_changes p USING unnest(%s::bigint[]) AS u(station_id)
    WHERE p.station_id = u.station_id
    """,
)
PASSWORD_PROFILES = frozenset((SecurityProfile.BASIC, SecurityProfile.TLS_BASIC))


@dataclass(slots=True, eq=False)
class BootHandler:
    """Answers BootNotification from the durable registration (B01-B03).

    A boot clears neither statuses nor open transactions by itself (B01.FR.07/13). The profile that
    an accepted one came by is the station's least from then on (A05.FR.07).
    """

    heartbeat_interval_s: int
    retry_interval_s: int
    observers: Sequence[BootObserver] = ()

    async def read(
        self, connection: Connection, items: Sequence[Item[BootReported]]
    ) -> dict[int, BootFacts]:
        cursor = await connection.execute(
            "SELECT s.id, s.registration, s.heartbeat_interval_s, c.certified_serial,"
            " c.security_profile, p.reboots_after_epoch FROM charging_stations s"
            " LEFT JOIN station_connections c ON c.station_id = s.id"
            " LEFT JOIN credential_changes p ON p.station_id = s.id WHERE s.id = ANY(%s)",
            ([item.report.station_id for item in items],),
        )
        return {row[0]: BootFacts(*row[1:]) for row in await cursor.fetchall()}

    def decide(
        self, item: Item[BootReported], facts: dict[int, BootFacts], writes: Writes
    ) -> Decision[BootReply | BootRefused]:
        report = item.report
        fact = facts[report.station_id]
        certified = fact.certified_serial
        # B01.FR.11: what a boot leaves out contradicts nothing; the certificate has proved it.
        if certified and report.serial_number and report.serial_number != certified:
            return _refuse_impostor(report, certified, writes)
        status = RegistrationStatus(fact.registration)
        accepted = status is RegistrationStatus.ACCEPTED
        facts_text = _json(
            {
                "iccid": report.iccid or None,
                "imsi": report.imsi or None,
                "meter_type": report.meter_type or None,
                "meter_serial_number": report.meter_serial_number or None,
                "reason": report.reason,
            }
        )
        writes.add(
            UPDATE_BOOT,
            (
                report.station_id,
                report.vendor,
                report.model,
                report.serial_number or None,
                report.firmware_version or None,
                facts_text,
                report.received_at,
                fact.profile if accepted else None,
            ),
        )
        if _keeps_old_credential(item, fact):
            writes.add(KEEP_OLD_CREDENTIAL, (report.station_id,))
        writes.add(
            jobs.POST,
            (report.received_at, BOOTED, str(report.station_id), facts_text),
        )
        for observer in self.observers:
            observer(report, writes)
        if accepted:
            interval_s = fact.heartbeat_interval_s or self.heartbeat_interval_s
            return Decision(BootReply(status, interval_s))
        return Decision(BootReply(status, self.retry_interval_s))


def _keeps_old_credential(item: Item[BootReported], fact: BootFacts) -> bool:
    """Say whether the station has rebooted and still uses the old password.

    Had it come by the new one, the change would have ended when it connected. A boot that was asked
    for is no reboot, where the version tells it; a certificate says nothing of passwords.
    """
    return (
        item.fence is not None
        and fact.reboots_after_epoch is not None
        and item.fence > fact.reboots_after_epoch
        and fact.profile in PASSWORD_PROFILES
        and item.report.reason != "Triggered"
    )


def _refuse_impostor(
    report: BootReported, certified: str, writes: Writes
) -> Decision[BootReply | BootRefused]:
    """Keep what A00.FR.408 recommends to keep, and nothing that the boot says of the station."""
    assert report.serial_number is not None
    payload = {
        "type": "InvalidChargingStationCertificate",
        "techInfo": "BootNotification names another serial number than the certificate",
        "serial_number": report.serial_number,
        "certified_serial": certified,
    }
    kind, at, text = "SecurityEventNotification", report.received_at, _json(payload)
    writes.add(INSERT_NOTICE, (report.station_id, kind, at, at, True, text))
    return Decision(BootRefused(report.serial_number, certified))


INSERT_STATUS = BatchStatement(
    "connector_status_events.insert",
    """
    INSERT INTO connector_status_events (station_id, evse_no, connector_no, status, at,
        received_at, error_code, info, vendor_id, vendor_error_code)
    SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::text[],
        %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[])
    ON CONFLICT DO NOTHING
    """,
)

UPDATE_CONNECTOR = BatchStatement(
    "connectors.status",
    """
    UPDATE connectors c SET status = u.status, status_at = u.at, status_received_at = u.received_at,
        error_code = u.error_code, info = u.info, vendor_error_code = u.vendor_error_code
    FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::text[], %s::timestamptz[],
                %s::timestamptz[], %s::text[], %s::text[], %s::text[])
         AS u(station_id, evse_no, connector_no, status, at, received_at, error_code, info,
              vendor_error_code)
    WHERE (c.station_id, c.evse_no, c.connector_no) = (u.station_id, u.evse_no, u.connector_no)
    """,
)

UPDATE_STATION_STATUS = BatchStatement(
    "charging_stations.status",
    """
    UPDATE charging_stations s SET status = u.status, status_at = u.at, error_code = u.error_code
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[])
         AS u(station_id, status, at, error_code)
    WHERE s.id = u.station_id
    """,
)

StatusKey = tuple[int, int, int]

STRANGERS_MAX = 10_000
"""How many unknown connectors are told of; a broken station can invent any number."""

WHOLE_STATION = frozenset(
    (ConnectorStatus.AVAILABLE, ConnectorStatus.UNAVAILABLE, ConnectorStatus.FAULTED)
)
"""All that can be true of a station as a whole (16 4.9)."""


@dataclass(slots=True, eq=False)
class StatusHandler:
    """Keeps the newest status of each connector and the history of all of them.

    Newest by the station's own timestamp: late replays do not overwrite (16 4.9). A status never
    ends a transaction. A connector nobody commissioned goes into the history only, and is told of
    once: a warning and a notice.
    """

    bus: EventBus
    observers: Sequence[StatusObserver] = ()
    strangers: set[StatusKey] = field(default_factory=set)

    async def read(
        self, connection: Connection, items: Sequence[Item[StatusReported]]
    ) -> dict[StatusKey, datetime | None]:
        ids = [item.report.station_id for item in items]
        cursor = await connection.execute(
            "SELECT station_id, evse_no, connector_no, status_at FROM connectors"
            " WHERE station_id = ANY(%s)"
            " UNION ALL SELECT id, 0, 0, status_at FROM charging_stations WHERE id = ANY(%s)",
            (ids, ids),
        )
        return {(row[0], row[1], row[2]): row[3] for row in await cursor.fetchall()}

    def decide(
        self,
        item: Item[StatusReported],
        facts: dict[StatusKey, datetime | None],
        writes: Writes,
    ) -> Decision[None]:
        report = item.report
        at = credible(report.at, report.received_at)
        connector_no = 0 if report.evse_no == 0 else report.connector_no
        key = (report.station_id, report.evse_no, connector_no)
        status = str(report.status)
        writes.add(
            INSERT_STATUS,
            (
                *key,
                status,
                at,
                report.received_at,
                report.error_code or "",
                report.info,
                report.vendor_id,
                report.vendor_error_code,
            ),
        )
        for observer in self.observers:
            observer(report, writes)
        if key not in facts:
            return self._decide_stranger(key, report, writes)
        known_at = facts[key]
        if known_at is not None and at < known_at:
            return Decision(None)
        if report.evse_no == 0 and report.status not in WHOLE_STATION:
            return Decision(None)
        if report.evse_no == 0:
            writes.add(UPDATE_STATION_STATUS, (report.station_id, status, at, report.error_code))
        else:
            writes.add(
                UPDATE_CONNECTOR,
                (
                    *key,
                    status,
                    at,
                    report.received_at,
                    report.error_code,
                    report.info,
                    report.vendor_error_code,
                ),
            )
        event = ConnectorStatusChanged(*key, report.status, at, report.error_code)
        return Decision(None, lambda: self.bus.publish(event))

    def _decide_stranger(
        self, key: StatusKey, report: StatusReported, writes: Writes
    ) -> Decision[None]:
        if key in self.strangers or len(self.strangers) >= STRANGERS_MAX:
            return Decision(None)
        station_id, evse_no, connector_no = key
        unknown = {"evse_no": evse_no, "connector_no": connector_no}
        text = _json({"unknown_connector": unknown, "status": str(report.status)})
        at, received_at = credible(report.at, report.received_at), report.received_at
        writes.add(INSERT_NOTICE, (station_id, "StatusNotification", at, received_at, True, text))

        def told() -> None:
            self.strangers.add(key)
            log.warning("connector_unknown", station=station_id, **unknown)

        return Decision(None, told)


INSERT_NOTICE = BatchStatement(
    "station_notices.insert",
    """
    INSERT INTO station_notices (station_id, kind, at, received_at, flagged, payload)
    SELECT station_id, kind, at, received_at, flagged, payload::jsonb
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::boolean[],
                %s::text[]) AS u(station_id, kind, at, received_at, flagged, payload)
    """,
)


class NoticeHandler(ReportHandler[NoticeReported, None]):
    """Keeps what is only to be kept; every security event, known or not (A04.FR.03)."""

    def decide_report(self, report: NoticeReported, writes: Writes) -> Decision[None]:
        at = credible(report.at, report.received_at)
        text = _json(redacted(report.payload))
        writes.add(
            INSERT_NOTICE,
            (report.station_id, report.kind, at, report.received_at, report.flagged, text),
        )
        return Decision(None)


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
