"""Short spellings of profiles for the tests of smart charging."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
"""Monday noon in Quzhou."""
MAX, DEFAULT, TX, EXTERNAL = (
    ProfilePurpose.STATION_MAX,
    ProfilePurpose.TX_DEFAULT,
    ProfilePurpose.TX,
    ProfilePurpose.EXTERNAL,
)


def schedule(*limits: float, every_s: int = 600, **more: Any) -> ChargingSchedule:
    """Return a schedule in W from noon on, with a period for each limit."""
    periods = tuple(SchedulePeriod(n * every_s, limit) for n, limit in enumerate(limits))
    fields: dict[str, Any] = {"unit": RateUnit.W, "periods": periods, "starts_at": NOON}
    return ChargingSchedule(**{**fields, **more})


def profile(
    purpose: ProfilePurpose, *limits: float, level: int = 0, number: int = 1, **more: Any
) -> ChargingProfile:
    fields: dict[str, Any] = {
        "id": number,
        "stack_level": level,
        "purpose": purpose,
        "kind": ProfileKind.ABSOLUTE,
        "schedules": (schedule(*(limits or (50_000.0,))),),
        "transaction_ref": "T1" if purpose is TX else None,
    }
    return ChargingProfile(**{**fields, **more})
