"""What a station tells about reservations, in version-free words (OCPP 2.x terms)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ReservationStatusReported:
    """ReservationStatusUpdate (2.x). Reply: None."""

    station_id: int
    received_at: datetime
    reservation_id: int
    status: str
