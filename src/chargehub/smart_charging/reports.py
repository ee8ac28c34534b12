"""What stations tell about charging profiles and limits, in version-free words.

The gateway's translators build these; `smart_charging.inbound` handles them. evse_no 0 is the
station as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chargehub.stations.profiles import ChargingProfile, ChargingSchedule


class NeedsStatus(StrEnum):
    """Our answer to what a car needs (K15.FR.03-05)."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    PROCESSING = "Processing"


@dataclass(frozen=True, slots=True)
class ProfilesReported:
    """A page of the profiles we asked for (K09). Reply: None."""

    station_id: int
    received_at: datetime
    request_id: int | None
    evse_no: int
    source: str
    profiles: tuple[ChargingProfile, ...]
    more: bool
    """True while further pages follow (`tbc`)."""


@dataclass(frozen=True, slots=True)
class LimitReported:
    """Somebody else limits the station (K11, K12). Reply: None."""

    station_id: int
    received_at: datetime
    evse_no: int
    source: str
    grid_critical: bool
    schedules: tuple[ChargingSchedule, ...]


@dataclass(frozen=True, slots=True)
class LimitCleared:
    """Somebody else limits the station no longer (K13). Reply: None."""

    station_id: int
    received_at: datetime
    evse_no: int
    source: str


@dataclass(frozen=True, slots=True)
class EvNeedsReported:
    """What the car at an EVSE needs (K15, K17). Reply: NeedsStatus."""

    station_id: int
    received_at: datetime
    evse_no: int
    max_schedule_tuples: int | None
    needs: dict[str, Any]
    departs_at: datetime | None


@dataclass(frozen=True, slots=True)
class EvScheduleReported:
    """How the car means to charge. Reply: whether that is within our limits (K15.FR.11/12)."""

    station_id: int
    received_at: datetime
    evse_no: int
    time_base: datetime
    schedule: ChargingSchedule
