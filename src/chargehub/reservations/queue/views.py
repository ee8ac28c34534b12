"""Places in the queue as drivers and staff are shown them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.paging import Page
from chargehub.reservations.queue.outlook import Place


class CallView(BaseModel):
    """The gun that is held for who is called."""

    reservation_id: int
    gun_code: str = Field(examples=["CS001-1"])
    station_identity: str = Field(examples=["CS001"])
    evse_no: int
    power_w: int = Field(description="Of the gun.", examples=[120_000])
    hold_until: datetime = Field(description="Who has not begun to charge by then has missed it.")


class QueueEntryView(BaseModel):
    id: int
    location_id: str = Field(examples=["QZ-HUB"])
    status: Literal["waiting", "called", "served", "left", "out"] = Field(
        description="called: a gun is held for you, see `call`. served: you charge. left: you left."
        " out: you were taken out, see `end_reason`."
    )
    wanted_power_w: int = Field(examples=[120_000])
    vehicle_id: UUID | None
    position: int | None = Field(description="1: the next. Null where you do not wait.")
    waiting: int = Field(description="How many wait here.")
    estimated_wait_minutes: int | None = Field(
        description="From what charges here now and who waits before you; null: nothing tells."
    )
    call: CallView | None
    joined_at: datetime
    called_at: datetime | None = Field(description="When you were called last.")
    skipped: int = Field(description="How often you let the next go first.")
    missed: int = Field(description="At how many calls you did not come.")
    ended_at: datetime | None
    end_reason: str | None = Field(
        examples=["charged"],
        description="charged, left, not_come, removed_by_staff, no_id_token, account_closed.",
    )


class StaffQueueEntryView(QueueEntryView):
    driver_id: UUID = Field(description="Who it is tells `/drivers`, with a reason.")


class StaffQueuePage(Page[StaffQueueEntryView]):
    pass


def _call_view(row: Row[Any]) -> CallView:
    return CallView(
        reservation_id=row.id,
        gun_code=row.gun_code,
        station_identity=row.station_identity,
        evse_no=row.evse_no,
        power_w=row.max_power_w,
        hold_until=row.hold_until,
    )


def _values(place: Place) -> dict[str, Any]:
    entry = place.entry
    return {
        "id": entry.id,
        "location_id": entry.location_id,
        "status": place.status,
        "wanted_power_w": entry.wanted_power_w,
        "vehicle_id": entry.vehicle_id,
        "position": place.position,
        "waiting": place.waiting,
        "estimated_wait_minutes": place.wait_minutes,
        "call": None if place.call is None else _call_view(place.call),
        "joined_at": entry.joined_at,
        "called_at": entry.called_at,
        "skipped": entry.skipped,
        "missed": entry.missed,
        "ended_at": entry.ended_at,
        "end_reason": entry.end_reason,
    }


def entry_view(place: Place) -> QueueEntryView:
    return QueueEntryView(**_values(place))


def staff_entry_view(place: Place) -> StaffQueueEntryView:
    return StaffQueueEntryView(**_values(place), driver_id=place.entry.driver_id)
