"""REST of bays for staff: registered, listed, their locks raised and lowered; their rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.principal import GUARDS, Admin, Operator, viewer
from chargehub.bays import callbacks_api
from chargehub.bays.facts import facts_of, read_one
from chargehub.bays.orders import (
    ALL,
    LOOK,
    Ask,
    LockBusy,
    NoLock,
    command_lock,
    find_open,
    lock_bay,
)
from chargehub.bays.queries import (
    BayTaken,
    UnknownGun,
    change_bay,
    find_bay,
    find_place,
    insert_bay,
    read_bays,
    read_commands,
    read_rules,
    remove_bay,
    write_rules,
)
from chargehub.bays.rules import (
    WHY_TEXTS,
    BayRules,
    Cause,
    LockAction,
    LockState,
    SensorState,
    why_not_raise,
)
from chargehub.bays.service import Bays
from chargehub.bays.views import (
    BayPage,
    BayView,
    StaffLockCommand,
    StaffLockCommandPage,
    bay_view,
    staff_command,
)
from chargehub.drivers.account_fields import MaskedText
from chargehub.kit import jobs
from chargehub.kit.errors import Conflict, NotFound
from chargehub.kit.fields import CleanText, RowId, ShortText
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.idempotency import ONCE, Once
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.stations.queries import read_location

router = APIRouter(prefix=f"{API_PREFIX}/bays", tags=["Bays"])
rules_router = APIRouter(prefix=f"{API_PREFIX}/locations", tags=["Bays"])
routers = (router, rules_router, callbacks_api.router)

Parts = Annotated[Bays, Depends(provided(Bays))]
BayPath = Annotated[RowId, Path(examples=[1])]
LocationId = Annotated[CleanText, StringConstraints(min_length=1, max_length=36)]
LocationPath = Annotated[LocationId, Path(examples=["QZ-HUB"])]
DeviceId = Annotated[CleanText, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Reason = Annotated[MaskedText, StringConstraints(min_length=3, max_length=200)]
USUAL = BayRules()


class NoBayGateway(Conflict):
    """The location has no gateway for ground locks and bay sensors; the settings name them."""

    code = "no-bay-gateway"


class LastDevice(Conflict):
    """A bay has a lock or a sensor; delete it instead."""

    code = "last-device"


class LockMayNotRise(Conflict):
    """The lock may not be raised now; `rule` says why."""

    code = "lock-may-not-rise"


NEW_LOCK: dict[str, Any] = {
    "lock_state": LockState.UNKNOWN,
    "lock_told_at": None,
    "lock_sequence": None,
    "lock_heard_at": None,
    "battery_percent": None,
}
NEW_SENSOR: dict[str, Any] = {
    "sensor_state": SensorState.UNKNOWN,
    "sensor_since": None,
    "sensor_told_at": None,
    "sensor_sequence": None,
    "sensor_heard_at": None,
}


class BayQuery(PageQuery):
    location_id: LocationId | None = Field(None, examples=["QZ-HUB"])
    blocked: bool | None = Field(
        None, description="True: only where a car or the lock keeps drivers from the gun."
    )


class BayInput(BaseModel):
    """A gun's parking space, with a ground lock, a sensor or both."""

    model_config = ConfigDict(extra="forbid")

    gun_code: Annotated[CleanText, StringConstraints(min_length=1, max_length=64)] = Field(
        examples=["CS001-1"]
    )
    label: ShortText = Field("", examples=["A-17"])
    lock_device: DeviceId | None = Field(
        None, description="As the gateway calls it.", examples=["LOCK-0001"]
    )
    sensor_device: DeviceId | None = Field(
        None,
        description="May be the lock's own. Without a sensor a lock goes up only by force.",
        examples=["SENSOR-0001"],
    )

    @model_validator(mode="after")
    def _has_a_device(self) -> BayInput:
        if self.lock_device is None and self.sensor_device is None:
            raise ValueError("Name a lock_device, a sensor_device or both")
        return self


class BayChange(BaseModel):
    """What is left out stays; a device that is null is taken away."""

    model_config = ConfigDict(extra="forbid")

    label: ShortText | None = Field(None, examples=["A-17"])
    lock_device: DeviceId | None = Field(None, examples=["LOCK-0002"])
    sensor_device: DeviceId | None = Field(None, examples=["SENSOR-0002"])


class LowerInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["The driver's phone is flat"])


class RaiseInput(LowerInput):
    force: StrictBool = Field(
        False,
        description="Also while the sensor does not say whether a car stands there: you look at "
        "it. Never while it says so, a transaction is open or a cable is plugged in.",
    )


class BayRulesModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    raised_when_free: StrictBool = Field(
        USUAL.raised_when_free,
        description="Locks are up whenever nobody stands there; else only while a gun is held.",
    )
    free_for_s: Annotated[StrictInt, Field(ge=30, le=3_600)] = Field(
        int(USUAL.free_for.total_seconds()),
        description="So long a bay is free before its lock goes up after a car or a lowering.",
    )


@router.get("", dependencies=[Depends(viewer)], responses=problems(*GUARDS, InvalidCursor))
async def list_bays(parts: Parts, query: Annotated[BayQuery, Query()]) -> BayPage:
    """List bays with the state of their devices; `blocked=true`: where staff must look."""
    after = decode_cursor("bays", query.cursor, int)
    async with parts.database.read() as connection:
        rows = await read_bays(
            connection,
            parts.clock.now(),
            after=after[0] if after else None,
            limit=query.limit + 1,
            location_id=query.location_id,
            blocked=query.blocked,
        )
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("bays", row.id))
    return BayPage(items=[bay_view(row) for row in page], next_cursor=following)


@router.post(
    "",
    status_code=201,
    responses=problems(*GUARDS, *ONCE, UnknownGun, BayTaken, NoBayGateway),
)
async def create_bay(body: BayInput, principal: Operator, parts: Parts, once: Once) -> BayView:
    """Register a gun's bay; its devices are asked how they are."""
    now = parts.clock.now()
    async with once.write(principal.login) as connection:
        place = await find_place(connection, body.gun_code)
        if place.location_id not in parts.gateways:
            raise NoBayGateway(location_id=place.location_id)
        values = body.model_dump(exclude={"gun_code"}) | {
            "location_id": place.location_id,
            "station_id": place.station_id,
            "evse_no": place.evse_no,
            "created_by": principal.login,
            "created_at": now,
        }
        bay_id = await insert_bay(connection, values)
        told = body.model_dump()
        await audit(connection, now, principal.login, "bay.created", str(bay_id), **told)
        await jobs.schedule(connection, LOOK, ALL, now)
        return once.keep(bay_view(await find_bay(connection, bay_id, now)), status=201)


@router.get("/{bay_id}", dependencies=[Depends(viewer)], responses=problems(*GUARDS, NotFound))
async def get_bay(bay_id: BayPath, parts: Parts) -> BayView:
    """Return a bay with the state of its lock and its sensor."""
    async with parts.database.read() as connection:
        return bay_view(await find_bay(connection, bay_id, parts.clock.now()))


@router.patch("/{bay_id}", responses=problems(*GUARDS, NotFound, BayTaken, LastDevice, LockBusy))
async def update_bay(
    bay_id: BayPath, body: BayChange, principal: Operator, parts: Parts
) -> BayView:
    """Change a bay's label or devices. Of a new device nothing is known until it tells."""
    now = parts.clock.now()
    async with parts.database.write() as connection:
        row = await lock_bay(connection, bay_id)
        values = {name: getattr(body, name) for name in body.model_fields_set}
        if values.get("label", "") is None:
            del values["label"]
        told = dict(values)
        kept = {"lock_device": row.lock_device, "sensor_device": row.sensor_device} | values
        if kept["lock_device"] is None and kept["sensor_device"] is None:
            raise LastDevice
        if kept["lock_device"] != row.lock_device:
            await _check_idle(connection, bay_id)
            values |= NEW_LOCK
        if kept["sensor_device"] != row.sensor_device:
            values |= NEW_SENSOR
        await change_bay(connection, bay_id, values)
        await audit(connection, now, principal.login, "bay.changed", str(bay_id), **told)
        await jobs.schedule(connection, LOOK, ALL, now)
        return bay_view(await find_bay(connection, bay_id, now))


async def _check_idle(connection: AsyncConnection, bay_id: int) -> None:
    found = await find_open(connection, bay_id)
    if found is not None:
        raise LockBusy(command_id=str(found.id))


@router.delete("/{bay_id}", status_code=204, responses=problems(*GUARDS, NotFound))
async def delete_bay(bay_id: BayPath, principal: Operator, parts: Parts) -> None:
    """Take a bay out of service; a command that is open ends. What was told of it is kept."""
    now = parts.clock.now()
    async with parts.database.write() as connection:
        await lock_bay(connection, bay_id)
        await remove_bay(connection, bay_id, now)
        await audit(connection, now, principal.login, "bay.removed", str(bay_id))
        await jobs.schedule(connection, LOOK, ALL, now)


@router.post(
    "/{bay_id}/raise",
    status_code=202,
    responses=problems(*GUARDS, *ONCE, NotFound, NoLock, LockBusy, LockMayNotRise),
)
async def raise_lock(
    bay_id: BayPath, body: RaiseInput, principal: Operator, parts: Parts, once: Once
) -> StaffLockCommand:
    """Have a lock raised, with a reason that is kept. The sensor is asked once more before it is.

    Never while a car stands there, a transaction is open or a cable is plugged in.
    """
    now = parts.clock.now()
    async with once.write(principal.login) as connection:
        bay = await lock_bay(connection, bay_id)
        row = await read_one(connection, bay_id, now)
        assert row is not None
        why = None if bay.lock_device is None else why_not_raise(facts_of(row), forced=body.force)
        if why is not None:
            raise LockMayNotRise(WHY_TEXTS[why], rule=why.value, passes_at=None)
        ask = Ask(
            *(LockAction.RAISE, Cause.OPERATOR, principal.login),
            reason=body.reason,
            forced=body.force,
        )
        command = await _command(connection, bay, ask, now)
        return once.keep(command, status=202)


@router.post(
    "/{bay_id}/lower", status_code=202, responses=problems(*GUARDS, *ONCE, NotFound, NoLock)
)
async def lower_lock(
    bay_id: BayPath, body: LowerInput, principal: Operator, parts: Parts, once: Once
) -> StaffLockCommand:
    """Have a lock lowered, with a reason that is kept; a raising that is open ends."""
    now = parts.clock.now()
    async with once.write(principal.login) as connection:
        bay = await lock_bay(connection, bay_id)
        ask = Ask(LockAction.LOWER, Cause.OPERATOR, principal.login, reason=body.reason)
        return once.keep(await _command(connection, bay, ask, now), status=202)


async def _command(
    connection: AsyncConnection, bay: Row[Any], ask: Ask, now: datetime
) -> StaffLockCommand:
    row = await command_lock(connection, bay, ask, now)
    facts = {"command_id": str(row.id), "reason": ask.reason, "force": ask.forced}
    action = f"bay.{ask.action.value}"
    await audit(connection, now, ask.requested_by, action, str(bay.id), **facts)
    return staff_command(row)


@router.get(
    "/{bay_id}/commands",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_bay_commands(
    bay_id: BayPath, parts: Parts, query: Annotated[PageQuery, Query()]
) -> StaffLockCommandPage:
    """List what a bay's lock was told, by whom and what became of it, the newest first."""
    before = decode_cursor("bay-commands", query.cursor, int)
    async with parts.database.read() as connection:
        await find_bay(connection, bay_id, parts.clock.now())
        rows = await read_commands(
            connection, bay_id, before=before[0] if before else None, limit=query.limit + 1
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("bay-commands", row.seq)
    )
    return StaffLockCommandPage(items=[staff_command(row) for row in page], next_cursor=following)


@rules_router.get(
    "/{location_id}/bay-rules",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_bay_rules(location_id: LocationPath, parts: Parts) -> BayRulesModel:
    """Return what a Location wants of its locks."""
    async with parts.database.read() as connection:
        await read_location(connection, location_id)
        row = await read_rules(connection, location_id)
    if row is None:
        return BayRulesModel()
    return BayRulesModel(raised_when_free=row.raised_when_free, free_for_s=row.free_for_s)


@rules_router.put(
    "/{location_id}/bay-rules",
    responses=problems(*GUARDS, NotFound),
)
async def set_bay_rules(
    location_id: LocationPath, body: BayRulesModel, principal: Admin, parts: Parts
) -> BayRulesModel:
    """Say what a Location wants of its locks, from now on."""
    now = parts.clock.now()
    rules = BayRules(body.raised_when_free, timedelta(seconds=body.free_for_s))
    async with parts.database.write() as connection:
        await read_location(connection, location_id)
        await write_rules(connection, location_id, rules, principal.login, now)
        told = body.model_dump()
        await audit(connection, now, principal.login, "bay_rules.set", location_id, **told)
        await jobs.schedule(connection, LOOK, ALL, now)
    return body
