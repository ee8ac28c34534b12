"""What a station knows of one of its guns: the facts from which its state follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING

from simulators.cabinet import Outlet
from simulators.metering import Meter

if TYPE_CHECKING:
    from simulators.profiles import Profile


class GunState(StrEnum):
    """The states of OCPP 1.6, the finer set of the two versions."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class StopCause(Enum):
    """Why a transaction ended; each dialect has its own words."""

    LOCAL = auto()
    TARGET = auto()
    REMOTE = auto()
    UNPLUGGED = auto()
    REFUSED = auto()
    EMERGENCY = auto()
    CAR_FAILED = auto()
    POWER_LOSS = auto()
    SOFT_RESET = auto()
    HARD_RESET = auto()
    REBOOT = auto()
    UNLOCK = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the hub said of a token."""

    accepted: bool
    group: str | None = None


@dataclass(slots=True)
class Transaction:
    reference: str
    """The station's own id; 1.6 never shows it."""
    evse_no: int
    token: str
    began_at: float
    meter: Meter
    begin_wh: float
    number: int | None = None
    """The id that a 1.6 hub gave."""
    group: str | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    charging: bool = False
    events: int = 0
    samples: int = 0
    ended_by: StopCause | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Reservation:
    id: int
    token: str
    group: str | None
    expires_at: float

    def admits(self, token: str, group: str | None) -> bool:
        if token.lower() == self.token.lower():
            return True
        # H03.FR.07: the group that the reservation names may use it too.
        return self.group is not None and group is not None and group.lower() == self.group.lower()


@dataclass(slots=True)
class Waiting:
    """A token that may charge as soon as a car is there."""

    token: str
    until: float
    group: str | None = None
    remote_start_id: int | None = None


@dataclass(slots=True)
class Gun:
    evse_no: int
    outlet: Outlet
    transaction: Transaction | None = None
    reservation: Reservation | None = None
    kept: Reservation | None = None
    """One of the whole station, for which this is the last gun that is free."""
    waiting: Waiting | None = None
    operative: bool = True
    operative_when_idle: bool | None = None
    """Set while a change of availability waits for the transaction's end."""
    fault: str | None = None
    finished: bool = False
    """True from a transaction's end until the cable is out."""
    reported: str | None = None
    changed_at: float = 0.0
    next_sample_at: float = 0.0
    start_profile: Profile | None = None
    """What the remote start under way limits its transaction to."""
    suspended: bool = False
    """A limit of 0 was in force at the last look."""

    @property
    def plugged_in(self) -> bool:
        return self.outlet.car is not None

    @property
    def free(self) -> bool:
        return self.state is GunState.AVAILABLE

    @property
    def state(self) -> GunState:
        if self.fault is not None:
            return GunState.FAULTED
        if self.transaction is not None and self.transaction.charging:
            if not self.outlet.demand_w():
                return GunState.SUSPENDED_EV
            return GunState.SUSPENDED_EVSE if self.outlet.limit_w == 0 else GunState.CHARGING
        if self.plugged_in:
            return GunState.FINISHING if self.finished else GunState.PREPARING
        if self.transaction is not None or self.waiting is not None:
            return GunState.PREPARING
        return self._idle_state()

    def _idle_state(self) -> GunState:
        if not self.operative:
            return GunState.UNAVAILABLE
        held = self.reservation or self.kept
        return GunState.RESERVED if held is not None else GunState.AVAILABLE
