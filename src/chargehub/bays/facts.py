"""What is known of bays now, put together for the rules: devices, hold, transaction, commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.rules import (
    BayRules,
    Cause,
    Facts,
    Hold,
    LockAction,
    LockState,
    Outcome,
    SensorState,
    Tried,
    is_plugged_in,
)
from chargehub.reservations.store import OPEN
from chargehub.stations.reports import PLUGGED_IN

_JSON = """
    (SELECT to_jsonb(t) FROM (
        SELECT action, cause, outcome, requested_at, ended_at, driver_id, forced, sent_at
        FROM bay_commands c WHERE c.bay_id = b.id AND {where} ORDER BY c.seq DESC LIMIT 1) t)
"""


def _newest(where: str) -> str:
    return _JSON.replace("{where}", where)


_WITHOUT_EFFECT = "('refused', 'failed', 'timeout')"
_PLUGGED_IN = ", ".join(f"'{status}'" for status in sorted(PLUGGED_IN))
_STATUSES = """
    FROM connector_status_events e
    WHERE e.station_id = b.station_id AND e.evse_no = b.evse_no AND e.received_at >= """
# The first word of no cable after the last one of a cable.
_UNPLUGGED_AT = f"""(
    SELECT min(e.received_at) {_STATUSES} (
        SELECT max(e.received_at) {_STATUSES} h.held_from AND e.status IN ({_PLUGGED_IN})
    ) AND e.status NOT IN ({_PLUGGED_IN}))"""
_BAYS = f"""
SELECT b.*, r.raised_when_free, r.free_for_s,
       h.id AS hold_id, h.driver_id AS hold_driver_id, h.held_from, h.hold_until,
       EXISTS (SELECT FROM transactions t WHERE t.station_id = b.station_id
               AND t.state = 'Active' AND (t.evse_no = b.evse_no OR t.evse_no IS NULL)) AS charging,
       (SELECT array_agg(k.status) FROM connectors k
        WHERE k.station_id = b.station_id AND k.evse_no = b.evse_no) AS statuses,
       CASE WHEN h.id IS NOT NULL AND b.sensor_state = 'occupied' THEN {_UNPLUGGED_AT} END
           AS unplugged_at,
       {_newest("c.outcome = 'pending'")} AS open_command,
       {_newest("c.outcome = 'done'")} AS last_done,
       {_newest("c.outcome = 'done' AND c.action = 'lower'")} AS last_lowered,
       {_newest(f"c.outcome IN {_WITHOUT_EFFECT}")} AS last_failed
FROM bays b
LEFT JOIN bay_rules r ON r.location_id = b.location_id
LEFT JOIN LATERAL (
    SELECT id, driver_id, held_from, hold_until FROM reservations v
    WHERE v.station_id = b.station_id AND v.evse_no = b.evse_no
      AND v.status IN ({", ".join(f"'{status}'" for status in OPEN)})
      AND v.held_from <= :now AND v.hold_until > :now
    LIMIT 1
) h ON true
WHERE b.removed_at IS NULL AND {{where}}
ORDER BY b.id
"""  # noqa: S608  Put together from our own constants.


async def read_all(connection: AsyncConnection, now: datetime) -> Sequence[Row[Any]]:
    """Return every bay in service, as `facts_of` takes it."""
    query = text(_BAYS.replace("{where}", "true"))
    return (await connection.execute(query, {"now": now})).all()


async def read_one(connection: AsyncConnection, bay_id: int, now: datetime) -> Row[Any] | None:
    query = text(_BAYS.replace("{where}", "b.id = :id"))
    return (await connection.execute(query, {"now": now, "id": bay_id})).one_or_none()


def facts_of(row: Row[Any]) -> Facts:
    rules = BayRules()
    if row.raised_when_free is not None:
        rules = BayRules(row.raised_when_free, timedelta(seconds=row.free_for_s))
    last, failed = _tried(row.last_done), _tried(row.last_failed)
    if last is not None and failed is not None and last.requested_at > failed.requested_at:
        failed = None
    hold = None
    if row.hold_id is not None:
        hold = Hold(row.hold_id, row.hold_driver_id, row.held_from)
    return Facts(
        lock=None if row.lock_device is None else LockState(row.lock_state),
        sensor=SensorState(row.sensor_state),
        sensor_since=row.sensor_since,
        charging=row.charging,
        plugged_in=is_plugged_in(row.statuses or ()),
        unplugged_at=row.unplugged_at,
        hold=hold,
        open=_tried(row.open_command),
        last=last,
        lowered=_tried(row.last_lowered),
        failed=failed,
        rules=rules,
    )


def _tried(told: dict[str, Any] | None) -> Tried | None:
    if told is None:
        return None
    ended_at, driver_id = told["ended_at"], told["driver_id"]
    return Tried(
        LockAction(told["action"]),
        Cause(told["cause"]),
        Outcome(told["outcome"]),
        datetime.fromisoformat(told["requested_at"]),
        None if ended_at is None else datetime.fromisoformat(ended_at),
        None if driver_id is None else UUID(driver_id),
        told["forced"],
        told["sent_at"] is not None,
    )
