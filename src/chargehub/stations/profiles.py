"""What a charging profile is, in version-free words (OCPP 2.x terms). Pure.

Commands carry these values. Whether a profile may be sent, and what several of them come to, is
the business of `smart_charging`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProfilePurpose(StrEnum):
    STATION_MAX = "ChargingStationMaxProfile"
    """The limit of the whole station, all EVSEs together. 1.6: ChargePointMaxProfile."""
    TX_DEFAULT = "TxDefaultProfile"
    """The limit of each transaction that has none of its own."""
    TX = "TxProfile"
    """The limit of one transaction."""
    EXTERNAL = "ChargingStationExternalConstraints"
    """Set by somebody else at the station's side; reported to us, never set by us (K01.FR.22)."""


class ProfileKind(StrEnum):
    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class Recurrency(StrEnum):
    DAILY = "Daily"
    WEEKLY = "Weekly"


class RateUnit(StrEnum):
    W = "W"
    """Watts of all phases together."""
    A = "A"
    """Amperes of each phase (K01.FR.51)."""


class LimitSource(StrEnum):
    """Who set a limit."""

    EMS = "EMS"
    OTHER = "Other"
    SO = "SO"
    CSO = "CSO"


@dataclass(frozen=True, slots=True)
class SchedulePeriod:
    """From `start_s` after the schedule's start until the next period's."""

    start_s: int
    limit: float | None
    """In the schedule's unit; None is no limit, which only a station's answer can say."""
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class ChargingSchedule:
    unit: RateUnit
    periods: tuple[SchedulePeriod, ...]
    starts_at: datetime | None = None
    """None for a Relative profile, whose schedules begin with the transaction."""
    duration_s: int | None = None
    """None: the last period never ends."""
    min_charging_rate: float | None = None
    id: int = 1


@dataclass(frozen=True, slots=True)
class ChargingProfile:
    id: int
    stack_level: int
    purpose: ProfilePurpose
    kind: ProfileKind
    schedules: tuple[ChargingSchedule, ...]
    recurrency: Recurrency | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_ref: str | None = None
    """What the station calls the transaction of a TxProfile."""


@dataclass(frozen=True, slots=True)
class ReportedSchedule:
    """A composite schedule as a station calculated it."""

    starts_at: datetime | None
    schedule: ChargingSchedule
