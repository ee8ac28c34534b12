"""The port to ground locks and bay sensors: what the hub asks of them, and what they tell.

There is no standard for these devices. One adapter stands for one gateway, configured for a
Location (`gateway.py`: HTTP and JSON); a vendor with other words is another adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from chargehub.bays.rules import LockState, Position, SensorState, Why


class Result(StrEnum):
    """How a command ended, as the lock says it."""

    DONE = "done"
    OBSTRUCTED = "obstructed"
    FAULT = "fault"
    BATTERY_DEAD = "battery_dead"


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What one device says of itself; None: nothing of it."""

    device_id: str
    position: Position
    lock: LockState | None = None
    battery_percent: int | None = None
    sensor: SensorState | None = None


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """A report that came by itself; `event_id` is the gateway's and the same in a repetition."""

    event_id: str
    report: DeviceReport
    request_id: UUID | None = None
    """The command that it ends, with its result."""
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class LockOrder:
    """A command as a gateway gets it. The same request id is carried out once, however often sent.

    What arrives after `expires_at` is not carried out: the bay may be another one by then.
    """

    request_id: UUID
    device_id: str
    expires_at: datetime


class GatewaySilent(Exception):
    """No answer, or none that is the gateway's; what was asked may have been done."""


class DeviceRefused(Exception):
    """The gateway answered and did nothing."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


class BayDevices(Protocol):
    """The devices behind one gateway. Each method raises GatewaySilent or DeviceRefused.

    `raise_lock` and `lower_lock` end when the gateway took the order; that the lock moved, or did
    not, is an event. No database transaction is open while any of them waits.
    """

    async def raise_lock(self, order: LockOrder) -> None: ...

    async def lower_lock(self, order: LockOrder) -> None: ...

    async def read(self, device_id: str) -> DeviceReport:
        """Ask a device how it is now; what it says counts over all that it told before."""
