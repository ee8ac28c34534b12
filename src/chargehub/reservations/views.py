"""Reservations as drivers and staff are shown them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.paging import Page
from chargehub.reservations.station import ACCEPTED

Status = Literal[
    "requested", "pending", "active", "used", "cancelled", "expired", "no_show", "failed"
]


class ReservationView(BaseModel):
    id: int
    queue_entry_id: int | None = Field(
        description="Set where you were called from the queue; null: a booking."
    )
    status: Status = Field(
        description="requested: booked; pending: the gun takes only this driver, its station is"
        " being told; active: held. The others are over."
    )
    location_id: str = Field(examples=["QZ-HUB"])
    gun_code: str = Field(examples=["CS001-1"])
    station_identity: str = Field(examples=["CS001"])
    evse_no: int
    power_w: int = Field(description="Of the gun.", examples=[120_000])
    any_gun: bool = Field(description="Any gun of `wanted_power_w` was asked for.")
    provisional: bool = Field(description="The gun may still become another of that power.")
    wanted_power_w: int = Field(examples=[120_000])
    held_from: datetime = Field(description="From then on the gun takes only this driver.")
    starts_at: datetime
    hold_until: datetime = Field(description="Who has not begun to charge by then did not come.")
    called_at: datetime | None = Field(description="Since when this gun is the one to go to.")
    extended: bool
    held_by: Literal["station", "hub"] | None = Field(
        description="Who keeps others off the gun now; hub: the station takes no reservations,"
        " foreign cards are refused by us."
    )
    station_answer: str | None = Field(examples=["Accepted"])
    transaction_id: int | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None = Field(examples=["cancelled_late"])


class StaffReservationView(ReservationView):
    driver_id: UUID = Field(description="Who it is tells `/drivers`, with a reason.")


class ReservationPage(Page[ReservationView]):
    pass


class StaffReservationPage(Page[StaffReservationView]):
    pass


def _values(row: Row[Any]) -> dict[str, Any]:
    held_by = None
    if row.status in {"pending", "active"}:
        held_by = "station" if row.station_answer == ACCEPTED else "hub"
    return {
        **{name: row._mapping[name] for name in _SAME},  # noqa: SLF001  Documented, despite its name.
        "power_w": row.max_power_w,
        "any_gun": row.any_evse,
        "provisional": row.any_evse and row.status == "requested",
        "held_by": held_by,
    }


_SAME = (
    "id",
    "queue_entry_id",
    "status",
    "location_id",
    "gun_code",
    "station_identity",
    "evse_no",
    "wanted_power_w",
    "held_from",
    "starts_at",
    "hold_until",
    "called_at",
    "extended",
    "station_answer",
    "transaction_id",
    "created_at",
    "ended_at",
    "end_reason",
)


def view(row: Row[Any]) -> ReservationView:
    return ReservationView(**_values(row))


def staff_view(row: Row[Any]) -> StaffReservationView:
    return StaffReservationView(**_values(row), driver_id=row.driver_id)
