"""What reservations need of stations; implemented above and wired in features.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

ACCEPTED = "Accepted"
UNSUPPORTED = "Unsupported"
"""The station takes no reservations: we guard the gun alone."""


@dataclass(frozen=True, slots=True)
class HeldGun:
    """A gun that is to be held for a driver, as ReserveNow says it."""

    reservation_id: int
    station_id: int
    evse_no: int
    id_token: str
    """Lower case."""
    group_token: str | None
    hold_until: datetime


class StationHold(Protocol):
    """Tells stations of reservations. No database transaction is open while it is asked."""

    async def ask_station(self, held: HeldGun) -> str | None:
        """Ask the station to hold the gun (again, after an extension).

        Returns its word (Accepted, Occupied, Faulted, Unavailable, Rejected), Unsupported where it
        takes no reservations, None where it is offline or did not answer: it is asked again.
        """

    async def release(self, reservation_id: int, station_id: int) -> bool:
        """Have the station forget the reservation; False where it did not hear of it."""
