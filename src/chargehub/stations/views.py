"""What the API shows of the hub: the response models, built from query rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.paging import Page
from chargehub.stations.commands import CommandOutcome
from chargehub.stations.opening_views import OpeningTimes, opening_times_of
from chargehub.stations.reports import ConnectorStatus, RegistrationStatus
from chargehub.stations.states import Charge, EvseState, evse_state, most_telling


class LocationView(BaseModel):
    id: str = Field(examples=["QZ-HUB"])
    name: str = Field(examples=["衢州充电枢纽"])
    address: str = Field(examples=["浙江省衢州市柯城区"])
    latitude: float = Field(description="WGS-84", examples=[28.97])
    longitude: float = Field(description="WGS-84", examples=[118.87])
    time_zone: str = Field(examples=["Asia/Shanghai"])
    opening_times: OpeningTimes
    station_count: int = Field(description="Charging stations in service.", examples=[91])
    evse_count: int = Field(examples=[182])


class LocationPage(Page[LocationView]):
    pass


class ConnectorView(BaseModel):
    connector_no: int = Field(examples=[1])
    standard: str = Field(examples=["GBT_DC"])
    status: ConnectorStatus
    status_at: datetime | None = Field(description="The station's own time of this status.")
    error_code: str | None = Field(examples=[None])
    info: str | None
    vendor_error_code: str | None


class EvseView(BaseModel):
    evse_no: int = Field(examples=[1])
    gun_code: str = Field(examples=["7K2M9QXA"])
    max_power_w: int = Field(examples=[120000])
    wanted_operative: bool = Field(
        description="What the operator wants; the status is what the station says."
    )
    state: EvseState = Field(
        description="What it is doing now: the status as its transaction explains it, or Offline.",
        examples=["Charging"],
    )
    status: ConnectorStatus = Field(
        description="What the station last said of it; not every protocol tells Charging.",
        examples=["Occupied"],
    )
    status_at: datetime | None
    error_code: str | None
    connectors: list[ConnectorView]


class EvseStatus(EvseView):
    station_identity: str = Field(examples=["CS001"])
    station_name: str
    location_id: str = Field(examples=["QZ-HUB"])
    online: bool = Field(description="Whether its charging station is connected now.")


class EvsePage(Page[EvseStatus]):
    pass


class StationSummary(BaseModel):
    identity: str = Field(examples=["CS001"])
    name: str = Field(examples=["A 区 1 号桩"])
    location_id: str = Field(examples=["QZ-HUB"])
    max_power_w: int = Field(examples=[120000])
    registration: RegistrationStatus
    online: bool
    protocol: str | None = Field(
        description="What it spoke when it last connected; a text to show, not to decide by."
    )
    security_profile: int = Field(
        description="The least OCPP security profile with which it may connect.", examples=[1]
    )
    connection_profile: int | None = Field(
        description="The one of its newest connection; null when it was never here.", examples=[2]
    )
    status: ConnectorStatus = Field(description="Of the station as a whole, where it tells one.")
    status_at: datetime | None
    error_code: str | None
    wanted_operative: bool
    vendor: str | None
    model: str | None
    firmware_version: str | None
    decommissioned_at: datetime | None
    evses: list[EvseView]


class StationPage(Page[StationSummary]):
    pass


class StationDetail(StationSummary):
    serial_number: str | None
    boot_facts: dict[str, Any] | None
    booted_at: datetime | None
    heartbeat_interval_s: int | None = Field(
        description="What it is told at boot; null: what the settings say."
    )
    connected_at: datetime | None = Field(description="When its newest connection began.")
    disconnected_at: datetime | None
    tls: str | None = Field(
        description="TLS version and cipher suite of its newest connection.",
        examples=["TLSv1.3 TLS_AES_256_GCM_SHA384"],
    )
    bound_serial_number: str | None = Field(
        description="What the CN of its client certificate must be.", examples=["DC120-2026-0042"]
    )
    credential_rotated_at: datetime | None
    credential_change_requested_at: datetime | None = Field(
        description="Since when two passwords are valid, because the outcome of a change over OCPP "
        "is not known; else null."
    )
    commissioned_at: datetime


Told = Literal[
    CommandOutcome.ANSWERED,
    CommandOutcome.QUEUED,
    CommandOutcome.PENDING,
    CommandOutcome.REPLACED,
    CommandOutcome.CANCELLED,
    CommandOutcome.EXPIRED,
]


class CommandResult(BaseModel):
    command_id: UUID
    outcome: Told = Field(
        description="queued: it waits for the station; pending: it has left, and the station has "
        "not answered yet; replaced, cancelled, expired: it ended before it left.",
        examples=["answered"],
    )
    status: str | None = Field(description="The station's own status word.", examples=["Accepted"])
    payload: dict[str, Any] = Field(
        description="The station's whole answer.", examples=[{"status": "Accepted"}]
    )


class CommandView(BaseModel):
    command_id: UUID
    action: str = Field(examples=["Reset"])
    payload: dict[str, Any] = Field(description="As sent, without secrets.")
    requested_by: str = Field(examples=["wang.fang"])
    requested_at: datetime
    outcome: CommandOutcome = Field(
        description="queued, pending; then answered, failed, unsupported, timeout, offline, "
        "expired, cancelled, replaced (by a later durable command), or unknown: it may have left, "
        "and the connection ended or we were restarted.",
        examples=["answered"],
    )
    status: str | None
    answer: dict[str, Any] | None
    completed_at: datetime | None
    evse_no: int | None
    transaction_id: int | None
    durable: bool = Field(description="It waits, or waited, for the station's return.")
    expires_at: datetime | None = Field(description="Until when it may leave; null: for good.")


class CommandQueueView(BaseModel):
    items: list[CommandView] = Field(description="In the order of delivery.")


class CommandPage(Page[CommandView]):
    pass


class NoticeView(BaseModel):
    id: int
    kind: str = Field(
        description="The OCPP message it came in; ConfigurationDrift is the hub's own.",
        examples=["SecurityEventNotification"],
    )
    at: datetime = Field(description="By the station's clock.")
    received_at: datetime
    flagged: bool = Field(description="True: something about the message was not as it should be.")
    payload: dict[str, Any] = Field(description="As received, without secrets.")


class NoticePage(Page[NoticeView]):
    pass


def location_view(row: Row[Any]) -> LocationView:
    return LocationView(
        id=row.id,
        name=row.name,
        address=row.address,
        latitude=row.latitude,
        longitude=row.longitude,
        time_zone=row.time_zone,
        opening_times=opening_times_of(row),
        station_count=row.station_count,
        evse_count=row.evse_count,
    )


def connector_view(row: Row[Any]) -> ConnectorView:
    return ConnectorView(
        connector_no=row.connector_no,
        standard=row.standard,
        status=read_status(row.status),
        status_at=row.status_at,
        error_code=_error(row.error_code),
        info=row.info,
        vendor_error_code=row.vendor_error_code,
    )


@dataclass(frozen=True, slots=True)
class Now:
    """What the rows of stations do not hold."""

    online_ids: Collection[int]
    charges: Mapping[tuple[int, int], Charge]
    held: Collection[tuple[int, int]] = ()
    """The EVSEs that are reserved for somebody now."""
    """The transaction shown at (station id, evse_no)."""


def evse_view(row: Row[Any], rows_of_connectors: Sequence[Row[Any]], now: Now) -> EvseView:
    views = [connector_view(item) for item in rows_of_connectors]
    status = most_telling(view.status for view in views)
    telling = next((view for view in views if view.status is status), None)
    charge = now.charges.get((row.station_id, row.evse_no))
    return EvseView(
        evse_no=row.evse_no,
        gun_code=row.gun_code,
        max_power_w=row.max_power_w,
        wanted_operative=row.wanted_operative,
        state=evse_state(
            status,
            charge,
            online=row.station_id in now.online_ids,
            held=(row.station_id, row.evse_no) in now.held,
        ),
        status=status,
        status_at=telling.status_at if telling else None,
        error_code=telling.error_code if telling else None,
        connectors=views,
    )


def evse_status(row: Row[Any], rows_of_connectors: Sequence[Row[Any]], now: Now) -> EvseStatus:
    return EvseStatus(
        **evse_view(row, rows_of_connectors, now).model_dump(),
        station_identity=row.identity,
        station_name=row.station_name,
        location_id=row.location_id,
        online=row.station_id in now.online_ids,
    )


ConnectorRows = Mapping[tuple[int, int], Sequence[Row[Any]]]


def station_summary(
    row: Row[Any],
    rows_of_evses: Sequence[Row[Any]],
    rows_of_connectors: ConnectorRows,
    now: Now,
) -> StationSummary:
    return StationSummary(
        identity=row.identity,
        name=row.name,
        location_id=row.location_id,
        max_power_w=row.max_power_w,
        registration=RegistrationStatus(row.registration),
        online=row.id in now.online_ids,
        protocol=row.protocol,
        security_profile=row.security_profile,
        connection_profile=row.connection_profile,
        status=read_status(row.status),
        status_at=row.status_at,
        error_code=_error(row.error_code),
        wanted_operative=row.wanted_operative,
        vendor=row.vendor,
        model=row.model,
        firmware_version=row.firmware_version,
        decommissioned_at=row.decommissioned_at,
        evses=[
            evse_view(item, rows_of_connectors.get((row.id, item.evse_no), ()), now)
            for item in rows_of_evses
        ],
    )


def station_detail(row: Row[Any], summary: StationSummary) -> StationDetail:
    return StationDetail(
        **summary.model_dump(),
        serial_number=row.serial_number,
        boot_facts=row.boot_facts,
        booted_at=row.booted_at,
        heartbeat_interval_s=row.heartbeat_interval_s,
        connected_at=row.connected_at,
        disconnected_at=row.disconnected_at,
        tls=row.tls,
        bound_serial_number=row.bound_serial_number,
        credential_rotated_at=row.credential_rotated_at,
        credential_change_requested_at=row.credential_change_requested_at,
        commissioned_at=row.commissioned_at,
    )


def command_view(row: Row[Any]) -> CommandView:
    return CommandView(
        command_id=row.id,
        action=row.action,
        payload=row.payload,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        outcome=row.outcome,
        status=row.status,
        answer=row.answer,
        completed_at=row.completed_at,
        evse_no=row.evse_no,
        transaction_id=row.transaction_id,
        durable=row.durable,
        expires_at=row.expires_at,
    )


def notice_view(row: Row[Any]) -> NoticeView:
    return NoticeView(
        id=row.id,
        kind=row.kind,
        at=row.at,
        received_at=row.received_at,
        flagged=row.flagged,
        payload=row.payload,
    )


def read_status(text: str) -> ConnectorStatus:
    try:
        return ConnectorStatus(text)
    except ValueError:
        return ConnectorStatus.UNKNOWN


def _error(code: str | None) -> str | None:
    return None if code in {None, "", "NoError"} else code
