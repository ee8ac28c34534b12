"""What the API tells drivers of Locations and guns: response models, built from what is found."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from chargehub.bays.views import GunBay, gun_bay
from chargehub.finding.guns import Gun
from chargehub.finding.rules import PowerClass
from chargehub.finding.search import Told
from chargehub.kit.datum import Datum, Point, convert
from chargehub.kit.paging import Page
from chargehub.stations.opening_views import OpeningTimes, opening_times_of
from chargehub.stations.states import EvseState

DECIMALS = 7
"""A centimetre."""


class CoordinatesView(BaseModel):
    latitude: float = Field(examples=[28.9669])
    longitude: float = Field(examples=[118.8748])
    datum: Datum = Field(examples=["GCJ-02"])


class GunCountView(BaseModel):
    power_class: PowerClass
    total: int = Field(description="Guns in service.", examples=[12])
    free: int = Field(description="Guns that anybody may use now.", examples=[5])


class NearbyLocation(BaseModel):
    id: str = Field(examples=["QZ-HUB"])
    name: str = Field(examples=["衢州充电枢纽"])
    address: str = Field(examples=["浙江省衢州市柯城区"])
    coordinates: CoordinatesView
    distance_m: int = Field(description="As the crow flies.", examples=[1240])
    time_zone: str = Field(examples=["Asia/Shanghai"])
    opening_times: OpeningTimes
    open_now: bool
    opening_changes_at: datetime | None = Field(
        description="When it closes, or opens; null: never.", examples=[None]
    )
    guns_total: int = Field(examples=[182])
    guns_free: int = Field(examples=[37])
    guns: list[GunCountView] = Field(description="By power class, slow first.")
    standards: list[str] = Field(description="Of its connectors.", examples=[["GBT_DC"]])
    max_power_w: int = Field(description="Of its strongest gun.", examples=[120000])
    last_charged_at: datetime | None = Field(
        description="When somebody last charged here; now, while somebody does."
    )
    last_charged_minutes_ago: int | None = Field(examples=[3])
    no_aborted_session_in_7_days: bool | None = Field(
        description="7天内未跳枪: no transaction that ended in the last 7 days was cut off by the "
        "equipment, the grid or a reset (EmergencyStop, GroundFault, ImmediateReset, "
        "OvercurrentFault, PowerLoss, PowerQuality, Reboot, SoftReset). Null: nobody charged here "
        "in that time.",
        examples=[True],
    )
    predicted_wait_minutes: int | None = Field(
        description="While no gun is free: when one of those that charge may be, from its car's "
        "state of charge and power, or from how long cars usually charge here. Null while one is "
        "free, and when nothing tells.",
        examples=[None],
    )


class NearbyPage(Page[NearbyLocation]):
    pass


class GunView(BaseModel):
    gun_code: str = Field(description="Printed on the gun.", examples=["7K2M9QXA"])
    station_identity: str = Field(
        description="Its cabinet; guns of one cabinet share its power.", examples=["CS001"]
    )
    station_name: str = Field(examples=["A 区 1 号桩"])
    station_max_power_w: int = Field(examples=[120000])
    evse_no: int = Field(examples=[1])
    max_power_w: int = Field(examples=[120000])
    power_class: PowerClass
    standards: list[str] = Field(examples=[["GBT_DC"]])
    state: EvseState = Field(
        description="What a driver finds: only Available is free for anybody.",
        examples=["Available"],
    )
    free: bool
    bay: GunBay | None = Field(
        description="Its parking space. Occupied while nothing charges: a car blocks the gun."
    )


class GunPage(Page[GunView]):
    pass


def nearby_location(told: Told, datum: Datum, now: datetime) -> NearbyLocation:
    row, summary = told.found.row, told.summary
    at = convert(Point(row.latitude, row.longitude), Datum.WGS_84, datum)
    charged = summary.last_charged_at
    return NearbyLocation(
        id=row.id,
        name=row.name,
        address=row.address,
        coordinates=CoordinatesView(
            latitude=round(at.latitude, DECIMALS),
            longitude=round(at.longitude, DECIMALS),
            datum=datum,
        ),
        distance_m=told.found.distance_m,
        time_zone=row.time_zone,
        opening_times=opening_times_of(row),
        open_now=told.found.opening.open_now,
        opening_changes_at=told.opening_changes_at,
        guns_total=sum(summary.total.values()),
        guns_free=sum(summary.free.values()),
        guns=[
            GunCountView(power_class=kind, total=summary.total[kind], free=summary.free[kind])
            for kind in PowerClass
        ],
        standards=summary.standards,
        max_power_w=summary.max_power_w,
        last_charged_at=charged,
        last_charged_minutes_ago=None
        if charged is None
        else (now - charged) // timedelta(minutes=1),
        no_aborted_session_in_7_days=told.no_aborted_session,
        predicted_wait_minutes=told.wait_minutes,
    )


def gun_view(gun: Gun) -> GunView:
    row = gun.row
    return GunView(
        gun_code=row.gun_code,
        station_identity=row.identity,
        station_name=row.station_name,
        station_max_power_w=row.station_max_power_w,
        evse_no=row.evse_no,
        max_power_w=row.max_power_w,
        power_class=gun.power_class,
        standards=gun.standards,
        state=gun.state,
        free=gun.free,
        bay=gun_bay(row),
    )
