"""Bays as staff are shown them, a gun's bay as drivers are, and commands as both are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.bays.rules import (
    LOW_BATTERY_PERCENT,
    WHY_TEXTS,
    Blocked,
    Cause,
    LockAction,
    LockState,
    Outcome,
    SensorState,
    Why,
    blocked_text,
)
from chargehub.kit.paging import Page


class LockView(BaseModel):
    device_id: str = Field(examples=["LOCK-0001"])
    state: LockState
    battery_percent: int | None = Field(examples=[87])
    battery_low: bool = Field(description=f"Below {LOW_BATTERY_PERCENT} percent.")
    heard_at: datetime | None = Field(description="When it last told something new.")


class SensorView(BaseModel):
    device_id: str = Field(examples=["SENSOR-0001"])
    state: SensorState
    since: datetime | None = Field(description="Since when the hub knows it to say so.")
    heard_at: datetime | None


class BlockedView(BaseModel):
    by: Blocked = Field(
        description="car: one stands there and nothing charges, and it is not taken (any more) "
        "for that of the driver for whom the gun is held; lock: it did not go down."
    )
    text: str = Field(examples=["A car stands in the bay and nothing charges there."])
    reservation_id: int | None = Field(
        description="The promise that it broke: moved to another gun, where there is one."
    )
    since: datetime
    told_staff_at: datetime | None


class PromiseView(BaseModel):
    """For whom the gun is held now."""

    reservation_id: int
    hold_until: datetime


class BayView(BaseModel):
    id: int
    location_id: str = Field(examples=["QZ-HUB"])
    station_identity: str = Field(examples=["CS001"])
    gun_code: str = Field(examples=["CS001-1"])
    evse_no: int
    label: str = Field(examples=["A-17"])
    lock: LockView | None
    sensor: SensorView | None
    blocked: BlockedView | None
    promised: PromiseView | None
    created_by: str
    created_at: datetime


class BayPage(Page[BayView]):
    pass


class LockCommandView(BaseModel):
    id: UUID
    action: LockAction
    outcome: Outcome = Field(description="pending: it is being sent, or the lock moves.")
    why: Why | None = Field(description="What became of it.")
    why_text: str | None = Field(examples=["Something is in the way of the lock."])
    requested_at: datetime
    accepted_at: datetime | None = Field(description="By the lock's gateway.")
    ended_at: datetime | None


class DriverLockCommand(LockCommandView):
    gun_code: str = Field(examples=["CS001-1"])


class StaffLockCommand(LockCommandView):
    bay_id: int
    cause: Cause
    forced: bool
    reason: str | None
    requested_by: str
    attempts: int


class StaffLockCommandPage(Page[StaffLockCommand]):
    pass


class GunBay(BaseModel):
    """The parking space of a gun, as a driver finds it."""

    lock: LockState | None = Field(description="The ground lock; null: it has none.")
    sensor: SensorState | None = Field(description="Whether a car stands there; null: no sensor.")
    since: datetime | None = Field(description="Since when the sensor says so.")
    blocked_by: Blocked | None = Field(
        description="car: one stands there and nothing charges; lock: it does not go down."
    )


def bay_view(row: Row[Any]) -> BayView:
    blocked = promised = None
    if row.blocked_by is not None:
        by = Blocked(row.blocked_by)
        blocked = BlockedView(
            by=by,
            text=blocked_text(by, row.blocked_reservation_id),
            reservation_id=row.blocked_reservation_id,
            since=row.blocked_since,
            told_staff_at=row.blocked_told_at,
        )
    if row.reservation_id is not None:
        promised = PromiseView(reservation_id=row.reservation_id, hold_until=row.hold_until)
    return BayView(
        id=row.id,
        location_id=row.location_id,
        station_identity=row.station_identity,
        gun_code=row.gun_code,
        evse_no=row.evse_no,
        label=row.label,
        lock=_lock(row),
        sensor=_sensor(row),
        blocked=blocked,
        promised=promised,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _lock(row: Row[Any]) -> LockView | None:
    if row.lock_device is None:
        return None
    battery = row.battery_percent
    return LockView(
        device_id=row.lock_device,
        state=LockState(row.lock_state),
        battery_percent=battery,
        battery_low=battery is not None and battery < LOW_BATTERY_PERCENT,
        heard_at=row.lock_heard_at,
    )


def _sensor(row: Row[Any]) -> SensorView | None:
    if row.sensor_device is None:
        return None
    return SensorView(
        device_id=row.sensor_device,
        state=SensorState(row.sensor_state),
        since=row.sensor_since,
        heard_at=row.sensor_heard_at,
    )


def gun_bay(row: Row[Any] | None) -> GunBay | None:
    """Build it of a row of `bays`, or of one with these columns; None where there is no bay."""
    if row is None or row.lock_state is None:
        return None
    has_sensor = row.sensor_device is not None
    return GunBay(
        lock=None if row.lock_device is None else LockState(row.lock_state),
        sensor=SensorState(row.sensor_state) if has_sensor else None,
        since=row.sensor_since if has_sensor else None,
        blocked_by=None if row.blocked_by is None else Blocked(row.blocked_by),
    )


def _common(row: Row[Any]) -> dict[str, Any]:
    why = None if row.why is None else Why(row.why)
    return {
        "id": row.id,
        "action": LockAction(row.action),
        "outcome": Outcome(row.outcome),
        "why": why,
        "why_text": None if why is None else WHY_TEXTS[why],
        "requested_at": row.requested_at,
        "accepted_at": row.accepted_at,
        "ended_at": row.ended_at,
    }


def driver_command(row: Row[Any], gun_code: str) -> DriverLockCommand:
    return DriverLockCommand(**_common(row), gun_code=gun_code)


def staff_command(row: Row[Any]) -> StaffLockCommand:
    return StaffLockCommand(
        **_common(row),
        bay_id=row.bay_id,
        cause=Cause(row.cause),
        forced=row.forced,
        reason=row.reason,
        requested_by=row.requested_by,
        attempts=row.attempts,
    )
