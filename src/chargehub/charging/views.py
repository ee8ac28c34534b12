"""The answers of drivers' charging: a gun as scanned, a charge with its live values."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.bays.views import GunBay
from chargehub.charging.ledger import limits_of
from chargehub.charging.rules import (
    REASON_TEXTS,
    ChargeState,
    EndReason,
    GunState,
    StartedBy,
    minutes_charged,
    minutes_left,
)
from chargehub.charging.watch import Watched
from chargehub.kit.paging import Page


class SiblingGun(BaseModel):
    """Another gun of the same cabinet."""

    gun_code: str = Field(examples=["A102"])
    evse_no: int
    max_power_w: int
    state: GunState
    in_use: bool = Field(description="It takes a part of the cabinet's power, or is about to.")
    power_w: int | None = Field(description="What it gives now, as last told.")


class Cabinet(BaseModel):
    """How the guns of one station share its power."""

    max_power_w: int = Field(description="Of all guns together.")
    shared: bool = Field(description="The guns could take more than there is.")
    expected_power_w: int = Field(
        description="What this gun can expect now: all that is free, at least its even share."
    )
    siblings: list[SiblingGun]


class ScannedGun(BaseModel):
    gun_code: str = Field(examples=["A101"])
    evse_no: int
    max_power_w: int
    state: GunState = Field(description="To the driver who asks: held for them is free.")
    plugged_in: bool | None = Field(description="Null: the station has not said.")
    held_until: datetime | None = Field(
        description="Where it is reserved for another driver: until then, if they do not come."
    )
    may_start: bool
    station: str = Field(examples=["CS001"], description="Identity.")
    station_name: str
    location_id: str = Field(examples=["QZ-HUB"])
    location_name: str
    location_address: str
    cabinet: Cabinet
    bay: GunBay | None = Field(description="Its parking space, where that has a lock or a sensor.")


class ChargeLimits(BaseModel):
    energy_wh: int | None = Field(None, examples=[20_000])
    minutes: int | None = Field(None, examples=[30])
    soc_percent: int | None = Field(None, examples=[80])
    when_full: bool = Field(description="Stop at 100 %.")


class ChargeLive(BaseModel):
    """The newest values; null where the car or the station does not tell."""

    at: datetime | None = Field(description="When the station measured.")
    soc_percent: float | None
    power_w: int | None
    energy_wh: int | None
    minutes_left: int | None = Field(
        description="An estimate until the first limit or a full battery, from the power now, the "
        "state of charge and the battery's size: that of your vehicle, else what the rise of the "
        "state of charge says of it. From 80 % on half the power is reckoned with. Null when "
        "nothing tells.",
        examples=[24],
    )


class ChargeView(BaseModel):
    id: UUID
    state: ChargeState
    started_by: StartedBy
    station: str = Field(examples=["CS001"], description="Identity.")
    station_name: str
    location_id: str
    location_name: str
    evse_no: int | None
    gun_code: str | None
    limits: ChargeLimits
    requested_at: datetime
    started_at: datetime | None
    minutes_charged: int | None
    energy_wh: int | None = Field(description="So far; at last what the meter says.")
    live: ChargeLive | None = Field(description="While it is charging.")
    stop_requested_at: datetime | None
    stop_reason: EndReason | None = Field(description="Why the station was asked to stop.")
    stop_answer: str | None = Field(
        description="What the station said to it last; it is asked again until it has stopped.",
        examples=["Accepted"],
    )
    ended_at: datetime | None
    end_reason: EndReason | None
    end_text: str | None = Field(examples=["The gun was not plugged into the car in time."])


class ChargePage(Page[ChargeView]):
    pass


def charge_view(row: Row[Any], watched: Watched | None, now: datetime) -> ChargeView:
    reason = EndReason(row.end_reason) if row.end_reason is not None else None
    going_on = row.started_at is not None and row.ended_at is None
    live = _live(row, watched, now) if going_on else None
    energy_wh = row.energy_wh
    if live is not None and live.energy_wh is not None:
        energy_wh = live.energy_wh
    charged = None
    if row.started_at is not None:
        charged = minutes_charged(row.started_at, row.ended_at or now)
    limits = limits_of(row)
    return ChargeView(
        id=row.id,
        state=ChargeState(row.state),
        started_by=StartedBy(row.started_by),
        station=row.identity,
        station_name=row.station_name,
        location_id=row.location_id,
        location_name=row.location_name,
        evse_no=row.evse_no,
        gun_code=row.gun_code,
        limits=ChargeLimits(
            energy_wh=limits.energy_wh,
            minutes=limits.minutes,
            soc_percent=limits.soc_percent,
            when_full=limits.when_full,
        ),
        requested_at=row.requested_at,
        started_at=row.started_at,
        minutes_charged=charged,
        energy_wh=energy_wh,
        live=live,
        stop_requested_at=row.stop_requested_at,
        stop_reason=EndReason(row.stop_reason) if row.stop_reason is not None else None,
        stop_answer=row.stop_answer,
        ended_at=row.ended_at,
        end_reason=reason,
        end_text=REASON_TEXTS[reason] if reason is not None else None,
    )


def _live(row: Row[Any], watched: Watched | None, now: datetime) -> ChargeLive:
    progress = watched.progress if watched is not None else None
    left = minutes_left(
        limits_of(row),
        progress,
        row.started_at,
        now,
        first_soc_percent=watched.first_soc_percent if watched is not None else None,
        battery_wh=row.battery_wh,
    )
    if progress is None:
        return ChargeLive(
            at=None, soc_percent=None, power_w=None, energy_wh=None, minutes_left=left
        )
    return ChargeLive(
        at=progress.at,
        soc_percent=progress.soc_percent,
        power_w=progress.power_w,
        energy_wh=progress.energy_wh,
        minutes_left=left,
    )
