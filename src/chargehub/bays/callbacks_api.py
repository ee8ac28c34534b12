"""Where gateways tell what their devices do: signed, each request once, each event once.

A gateway repeats a delivery until it is answered 200, signed anew; events that came before are
counted and change nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, model_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.bays.ports import DeviceEvent, DeviceReport, Result
from chargehub.bays.reports import take_events
from chargehub.bays.rules import LockState, Position, SensorState
from chargehub.bays.service import Bays
from chargehub.bays.signing import (
    NONCE,
    NONCE_HEADER,
    SIGNATURE,
    SIGNATURE_HEADER,
    TIMESTAMP,
    TIMESTAMP_HEADER,
    SignatureInvalid,
    SignatureTooOld,
    SignatureUsed,
    check_request,
)
from chargehub.bays.store import bay_nonces
from chargehub.kit.clock import wall_now
from chargehub.kit.errors import InvalidInput
from chargehub.kit.fields import MAX_INT64, CleanText, UtcTime
from chargehub.kit.http import API_PREFIX, problems, provided

router = APIRouter(prefix=f"{API_PREFIX}/bay-gateways", tags=["Bays"])

EVENTS_MAX = 500
LocationPath = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=36), Path(examples=["QZ-HUB"])
]
Word = Annotated[CleanText, StringConstraints(min_length=1, max_length=128)]


class LockTold(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: LockState | None = Field(None, description="Left out: it did not change.")
    battery_percent: Annotated[StrictInt, Field(ge=0, le=100)] | None = Field(None, examples=[87])


class SensorTold(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: SensorState


class DeviceEventInput(BaseModel):
    """What one device tells; members that we do not know are left alone."""

    model_config = ConfigDict(extra="ignore")

    event_id: Word = Field(
        description="The gateway's own, the same in a repetition.", examples=["e-20261123-000017"]
    )
    device_id: Word = Field(examples=["LOCK-0001"])
    sequence: Annotated[StrictInt, Field(ge=0, le=MAX_INT64)] = Field(
        description="Counts up with every event of the device.", examples=[17]
    )
    at: UtcTime = Field(description="By the device's clock.", examples=["2026-11-23T12:00:00Z"])
    lock: LockTold | None = None
    sensor: SensorTold | None = None
    request_id: UUID | None = Field(None, description="The command that ended.")
    result: Result | None = Field(None, description="How it ended.")

    @model_validator(mode="after")
    def _ends_a_command(self) -> DeviceEventInput:
        if (self.request_id is None) != (self.result is None):
            raise ValueError("request_id and result come together")
        return self


class EventsInput(BaseModel):
    model_config = ConfigDict(extra="ignore")

    events: Annotated[list[DeviceEventInput], Field(min_length=1, max_length=EVENTS_MAX)]


class EventsTaken(BaseModel):
    stored: int = Field(examples=[1])
    known: int = Field(description="They came before and changed nothing.", examples=[0])
    unknown_devices: list[str] = Field(
        description="Of no bay here; their events are not kept.", examples=[[]]
    )


@router.post(
    "/{location_id}/events",
    responses=problems(InvalidInput, SignatureInvalid, SignatureTooOld, SignatureUsed),
)
async def take_bay_events(  # noqa: PLR0917 - one per part of the request
    location_id: LocationPath,
    body: EventsInput,
    request: Request,
    parts: Annotated[Bays, Depends(provided(Bays))],
    timestamp: Annotated[
        str, Header(alias=TIMESTAMP_HEADER, pattern=TIMESTAMP, description="Unix seconds.")
    ],
    nonce: Annotated[
        str, Header(alias=NONCE_HEADER, pattern=NONCE, description="Random, of this request.")
    ],
    signature: Annotated[
        str,
        Header(
            alias=SIGNATURE_HEADER,
            pattern=SIGNATURE,
            description="HMAC-SHA-256 in hex under the gateway's key of method, path, timestamp, "
            "nonce and the SHA-256 of the body in hex, each on a line.",
        ),
    ],
) -> EventsTaken:
    """Take what the devices of a gateway tell. Repeat it, signed anew, until it is 200."""
    wall = wall_now()
    key = parts.keys.get(location_id)
    if key is None:
        raise SignatureInvalid
    path, raw = _path_of(request), await request.body()
    check_request(*(key, request.method, path, timestamp, nonce, raw, signature, wall.timestamp()))
    async with parts.database.write() as connection:
        await _use_nonce(connection, location_id, nonce, wall)
        taken = await take_events(
            connection, location_id, [_event(told) for told in body.events], parts.clock.now()
        )
    return EventsTaken(
        stored=taken.stored, known=taken.known, unknown_devices=taken.unknown_devices
    )


def _path_of(request: Request) -> str:
    """Return the path as it was sent, escapes included: that is what was signed."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.partition(b"?")[0].decode("latin-1")


async def _use_nonce(
    connection: AsyncConnection, location_id: str, nonce: str, wall: datetime
) -> None:
    row = insert(bay_nonces).values(location_id=location_id, nonce=nonce, at=wall)
    stored = await connection.execute(row.on_conflict_do_nothing().returning(bay_nonces.c.nonce))
    if stored.one_or_none() is None:
        raise SignatureUsed


def _event(told: DeviceEventInput) -> DeviceEvent:
    lock, sensor = told.lock, told.sensor
    report = DeviceReport(
        told.device_id,
        Position(told.at, told.sequence),
        None if lock is None else lock.state,
        None if lock is None else lock.battery_percent,
        None if sensor is None else sensor.state,
    )
    return DeviceEvent(told.event_id, report, told.request_id, told.result)
