"""What stations say that bears on reservations, stored in the group commit's batches.

A reservation ends by our clock; what a station says of it makes us ask again, or look at the
clock. Who is asked, and what follows, is `station_holds` and the steps of each reservation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import orjson

from chargehub.kit.group_commit import BatchStatement, Decision, Writes
from chargehub.kit.report_handler import ReportHandler
from chargehub.reservations.queue.triggers import look_at
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.stations.inbound import INSERT_NOTICE
from chargehub.stations.reports import (
    UNPLUGGED,
    BootReported,
    Connected,
    ConnectorStatus,
    StatusReported,
)

ASK_AFTER = timedelta(seconds=5)
"""From a boot or a new connection until a station is told again: it has more to say first."""
LOST = frozenset((ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE))
"""These end a reservation at its station (16 5.13, H01.FR.16/17)."""

ASK_AGAIN = BatchStatement(
    "reservations.ask_again",
    # After a boot all of them; after a mere reconnect what the station has not answered for.
    """
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT DISTINCT ON (r.id) 'reservation.ask', r.id::text, u.due_at, '{}'::jsonb
    FROM unnest(%s::bigint[], %s::smallint[], %s::boolean[], %s::timestamptz[])
         AS u(station_id, evse_no, whichever, due_at)
    JOIN reservations r ON r.station_id = u.station_id AND r.status IN ('pending', 'active')
      AND r.hold_until > u.due_at AND (u.evse_no = 0 OR r.evse_no = u.evse_no)
      AND (u.whichever OR r.station_answer IS NULL)
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,
    order=80,
)
"""Columns: station, EVSE (0: all), also those the station answered for, when."""

GIVE_FREE_GUN = BatchStatement(
    "reservations.give_free_gun",
    # Whoever waits at a full Location would else have taken it before the minute is over. The
    # steps follow one another; the one whose window begins first gets the gun.
    """
    WITH freed AS (
        SELECT s.location_id, max(u.at) AS at
        FROM unnest(%s::bigint[], %s::timestamptz[]) AS u(station_id, at)
        JOIN charging_stations s ON s.id = u.station_id
        GROUP BY s.location_id)
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT 'reservation.step', r.id::text, f.at + interval '1 microsecond' * (row_number()
        OVER (ORDER BY r.starts_at, r.id) - 1), '{}'::jsonb
    FROM freed f
    JOIN reservations r ON r.location_id = f.location_id AND r.status IN ('pending', 'active')
      AND r.called_at IS NULL AND r.hold_until > f.at
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,
    order=81,
)
"""Columns: station, when one of its guns became free."""

APPLY_UPDATE = BatchStatement(
    "reservations.apply_update",
    # Expired: our clock decides, so it is looked at. Removed: the station is asked again. Used
    # without a transaction (2.1): over. An id it does not have, or that is over, changes nothing.
    """
    WITH told AS (
        SELECT r.id, u.status, u.at
        FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::timestamptz[])
             AS u(station_id, id, status, at)
        JOIN reservations r ON r.id = u.id AND r.station_id = u.station_id
            AND r.status IN ('pending', 'active')),
    ended AS (
        UPDATE reservations r SET status = 'expired', ended_at = t.at,
            end_reason = 'no_transaction'
        FROM told t WHERE r.id = t.id AND t.status = 'NoTransaction')
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT DISTINCT ON (id, kind)
        CASE status WHEN 'Expired' THEN 'reservation.step' ELSE 'reservation.ask' END AS kind,
        id::text, at, '{}'::jsonb
    FROM told WHERE status IN ('Expired', 'Removed')
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,
    order=80,
)


def station_connected(report: Connected, writes: Writes) -> None:
    due_at = report.received_at + ASK_AFTER
    writes.add(ASK_AGAIN, (report.station_id, 0, False, due_at))
    look_at(writes, report.station_id, report.received_at)


def station_booted(report: BootReported, writes: Writes) -> None:
    """Have a station told again of all that it should hold: some forget (B01.FR.13)."""
    due_at = report.received_at + ASK_AFTER
    writes.add(ASK_AGAIN, (report.station_id, 0, True, due_at))


def status_reported(report: StatusReported, writes: Writes) -> None:
    """Notice that a gun is held no longer because it broke, or that one has become free."""
    if report.status in LOST:
        writes.add(ASK_AGAIN, (report.station_id, report.evse_no, True, report.received_at))
    elif report.status in UNPLUGGED:
        if report.status is ConnectorStatus.AVAILABLE:
            writes.add(GIVE_FREE_GUN, (report.station_id, report.received_at))
        look_at(writes, report.station_id, report.received_at)


@dataclass(slots=True, eq=False)
class ReservationStatusHandler(ReportHandler[ReservationStatusReported, None]):
    """Applies ReservationStatusUpdate, known id or not (H04.FR.01), and keeps it as a notice."""

    def decide_report(self, report: ReservationStatusReported, writes: Writes) -> Decision[None]:
        told = {"reservationId": report.reservation_id, "reservationUpdateStatus": report.status}
        kind, at = "ReservationStatusUpdate", report.received_at
        row = (report.station_id, kind, at, at, False, orjson.dumps(told).decode())
        writes.add(INSERT_NOTICE, row)
        writes.add(APPLY_UPDATE, (report.station_id, report.reservation_id, report.status, at))
        look_at(writes, report.station_id, at)
        return Decision(None)
