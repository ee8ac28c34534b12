"""What devices tell: stored once, judged by clock and count, believed only where it is newer.

An answer to a question of ours counts over all that was told before it was asked; that is how a
device comes back whose clock was set or whose count began anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.orders import ALL, LOOK, READ, finish
from chargehub.bays.ports import DeviceEvent, DeviceReport, Result
from chargehub.bays.rules import (
    LockState,
    Order,
    Outcome,
    Position,
    SensorState,
    Why,
    clock_of,
    order,
)
from chargehub.bays.store import bay_commands, bay_events, bays
from chargehub.kit import jobs

RESULTS = {
    Result.DONE: (Outcome.DONE, Why.MOVED),
    Result.OBSTRUCTED: (Outcome.FAILED, Why.OBSTRUCTED),
    Result.FAULT: (Outcome.FAILED, Why.FAULT),
    Result.BATTERY_DEAD: (Outcome.FAILED, Why.BATTERY_DEAD),
}
B = bays.c


@dataclass(slots=True)
class Taken:
    """What became of a delivery of events."""

    stored: int = 0
    known: int = 0
    """They came before: nothing was done again."""
    unknown_devices: list[str] = field(default_factory=list)


async def take_events(
    connection: AsyncConnection, location_id: str, events: Sequence[DeviceEvent], now: datetime
) -> Taken:
    """Store what is new, and have it acted on. The order of devices' locks is that of their ids."""
    taken, touched = Taken(), False
    for event in sorted(
        events, key=lambda one: (one.report.device_id, one.report.position.sequence)
    ):
        rows = await lock_bays_of(connection, location_id, event.report.device_id)
        if not rows:
            taken.unknown_devices.append(event.report.device_id)
            continue
        judged = judge(event.report, rows[0], now)
        if not await _store(connection, location_id, event, judged, now):
            taken.known += 1
            continue
        taken.stored += 1
        touched = True
        for row in rows:
            await believe(connection, row, event.report, now)
            await _end_command(connection, row.id, event, now)
    if touched:
        await jobs.schedule(connection, LOOK, ALL, now)
    taken.unknown_devices = sorted(set(taken.unknown_devices))
    return taken


async def lock_bays_of(
    connection: AsyncConnection, location_id: str, device_id: str
) -> Sequence[Row[Any]]:
    """Return the bays in service of a device, which may be one's lock and another's sensor."""
    query = (
        select(bays)
        .where(
            B.location_id == location_id,
            B.removed_at.is_(None),
            or_(B.lock_device == device_id, B.sensor_device == device_id),
        )
        .order_by(B.id)
        .with_for_update()
    )
    return (await connection.execute(query)).all()


async def _store(
    connection: AsyncConnection, location_id: str, event: DeviceEvent, judged: Order, now: datetime
) -> bool:
    report = event.report
    values = {
        "location_id": location_id,
        "event_id": event.event_id,
        "device_id": report.device_id,
        "sequence": report.position.sequence,
        "at": report.position.at,
        "received_at": now,
        "lock_state": report.lock,
        "battery_percent": report.battery_percent,
        "sensor_state": report.sensor,
        "request_id": event.request_id,
        "result": event.result,
        "judged": judged,
    }
    stored = await connection.execute(
        insert(bay_events).values(values).on_conflict_do_nothing().returning(bay_events.c.id)
    )
    return stored.one_or_none() is not None


def judge(
    report: DeviceReport, row: Row[Any], now: datetime, asked: Row[Any] | None = None
) -> Order:
    """Judge a report against what is known of its device; `asked`: the row when it was asked."""
    known = _known(row, report.device_id)
    if asked is not None and known == _known(asked, report.device_id):
        return Order.NEWER
    return order(_told(report, now), known)


async def believe(
    connection: AsyncConnection,
    row: Row[Any],
    report: DeviceReport,
    now: datetime,
    asked: Row[Any] | None = None,
) -> None:
    """Change what is known of a bay by a report of one of its devices."""
    judged = judge(report, row, now, asked)
    if judged is Order.OLDER:
        if row.lock_device == row.sensor_device:
            # It may be all that was told of the one, and what is newer tells of the other.
            await jobs.schedule(connection, READ, str(row.id), now)
        return
    values: dict[str, Any] = {}
    if row.lock_device == report.device_id:
        values |= _of_lock(row, report, judged, now)
    if row.sensor_device == report.device_id:
        values |= _of_sensor(row, report, judged, now)
    await connection.execute(update(bays).where(B.id == row.id).values(values))
    if judged is Order.UNCLEAR:
        await jobs.schedule(connection, READ, str(row.id), now)


def _of_lock(row: Row[Any], report: DeviceReport, judged: Order, now: datetime) -> dict[str, Any]:
    if judged is Order.UNCLEAR:
        return {"lock_state": LockState.UNKNOWN, "lock_heard_at": now}
    told = _told(report, now)
    battery = report.battery_percent
    return {
        "lock_state": report.lock or row.lock_state,
        "battery_percent": row.battery_percent if battery is None else battery,
        "lock_told_at": told.at,
        "lock_sequence": told.sequence,
        "lock_heard_at": now,
    }


def _of_sensor(row: Row[Any], report: DeviceReport, judged: Order, now: datetime) -> dict[str, Any]:
    if judged is Order.UNCLEAR:
        return {"sensor_state": SensorState.UNKNOWN, "sensor_since": now, "sensor_heard_at": now}
    told = _told(report, now)
    state = report.sensor or row.sensor_state
    same = state == row.sensor_state and row.sensor_since is not None
    return {
        "sensor_state": state,
        "sensor_since": row.sensor_since if same else now,
        "sensor_told_at": told.at,
        "sensor_sequence": told.sequence,
        "sensor_heard_at": now,
    }


def _told(report: DeviceReport, now: datetime) -> Position:
    return Position(clock_of(report.position.at, now), report.position.sequence)


def _known(row: Row[Any], device_id: str) -> Position | None:
    """Return the position of the device's newest report; one that is both has one count."""
    known = []
    if row.lock_device == device_id and row.lock_told_at is not None:
        known.append(Position(row.lock_told_at, row.lock_sequence))
    if row.sensor_device == device_id and row.sensor_told_at is not None:
        known.append(Position(row.sensor_told_at, row.sensor_sequence))
    return max(known, key=lambda one: (one.at, one.sequence), default=None)


async def _end_command(
    connection: AsyncConnection, bay_id: int, event: DeviceEvent, now: datetime
) -> None:
    if event.request_id is None or event.result is None:
        return
    commands = bay_commands.c
    found = (
        await connection.execute(
            select(bay_commands).where(
                commands.id == event.request_id,
                commands.bay_id == bay_id,
                commands.outcome == Outcome.PENDING,
            )
        )
    ).one_or_none()
    if found is not None:
        await finish(connection, found.id, *RESULTS[event.result], now)
