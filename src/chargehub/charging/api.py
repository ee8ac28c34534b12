"""REST of a driver's own charging: what is this gun, start, watch, stop."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from sqlalchemy import Row

from chargehub.charging import autocharge_api
from chargehub.charging.codes import (
    MAX_CODE_LENGTH,
    AnotherOperatorsGun,
    CodeForms,
    UnreadableGunCode,
    read_gun_code,
)
from chargehub.charging.guns import GunNotFree, check_free, look_at_gun
from chargehub.charging.queries import GunNotFound, find_charge, find_gun, read_charges_of
from chargehub.charging.rules import Limits
from chargehub.charging.service import (
    ChargeOver,
    ChargeUnderWay,
    Charging,
    GunTaken,
    StartUnderWay,
)
from chargehub.charging.stream import STALL_S, charge_events, stalled
from chargehub.charging.views import ChargePage, ChargeView, ScannedGun, charge_view
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.principal import DRIVER_GUARDS, Driver
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.event_stream import EventStream, TooManyStreams
from chargehub.kit.fields import CleanText
from chargehub.kit.http import API_PREFIX, TooManyRequests, problems, provided
from chargehub.kit.idempotency import ONCE, Once
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.reservations.guard import EvseHeld
from chargehub.transactions.remote import IdTokenNotAccepted

router = APIRouter(prefix=API_PREFIX, tags=["Charges"])

Db = Annotated[Database, Depends(provided(Database))]
Parts = Annotated[Charging, Depends(provided(Charging))]
Forms = Annotated[CodeForms, Depends(provided(CodeForms))]
Logins = Annotated[DriverLogins, Depends(provided(DriverLogins))]
GUN_PROBLEMS = (UnreadableGunCode, AnotherOperatorsGun, GunNotFound)
STREAM_EXAMPLE = """\
retry: 2000

event: charge
data: {"id":"6f0d...","state":"charging","live":{"soc_percent":61.0,"power_w":98000}}

event: over
data: {"id":"6f0d...","state":"ended","end_reason":"soc_limit"}
"""

ScannedCode = Annotated[
    CleanText,
    Field(
        min_length=1,
        max_length=MAX_CODE_LENGTH,
        description="What the gun's QR code says, or the number on its label.",
        examples=["https://hub.example/c/7KQ2M9XA", "7KQ2M9XA"],
    ),
]


class GunQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: ScannedCode


class ChargeQuery(PageQuery):
    under_way: bool | None = Field(None, description="True: only those that are not over.")


class WantedLimits(BaseModel):
    """When to stop; the first one that is reached counts."""

    model_config = ConfigDict(extra="forbid")

    energy_wh: Annotated[StrictInt, Field(ge=100, le=1_000_000)] | None = Field(
        None, examples=[20_000]
    )
    minutes: Annotated[StrictInt, Field(ge=1, le=24 * 60)] | None = Field(None, examples=[30])
    soc_percent: Annotated[StrictInt, Field(ge=1, le=100)] | None = Field(None, examples=[80])
    when_full: StrictBool = Field(
        default=True, description="Stop at 100 %, so that the gun is free for the next."
    )


class NewCharge(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gun_code: ScannedCode
    limits: WantedLimits = Field(default_factory=WantedLimits)
    vehicle_id: UUID | None = Field(
        None,
        description="Which of your vehicles it is, so that its battery tells how long it takes. "
        "Left out: your default one.",
        examples=[None],
    )


@router.get("/guns/resolve", responses=problems(*DRIVER_GUARDS, *GUN_PROBLEMS))
async def resolve_gun(
    query: Annotated[GunQuery, Query()],
    principal: Driver,
    *,
    database: Db,
    parts: Parts,
    forms: Forms,
) -> ScannedGun:
    """Say which gun a scanned or typed code means, whether it is free and what it can give."""
    wanted = read_gun_code(query.code, forms)
    async with database.read() as connection:
        gun = await find_gun(connection, wanted)
        return await look_at_gun(
            connection, gun, principal.driver_id, parts.clock.now(), parts.online_ids()
        )


@router.post(
    "/charges",
    status_code=201,
    responses=problems(
        *(*DRIVER_GUARDS, *ONCE, *GUN_PROBLEMS, GunNotFree, NotFound, StartUnderWay, GunTaken),
        *(ChargeUnderWay, IdTokenNotAccepted, EvseHeld),
    ),
)
async def create_charge(
    body: NewCharge, principal: Driver, once: Once, *, database: Db, parts: Parts, forms: Forms
) -> ChargeView:
    """Ask the station to begin; answers with the charge, whatever the station said.

    `starting`: it accepted; `failed` with a reason: it did not. Without a car plugged in it waits
    for one a few minutes. What is refused before the station is asked is an error that names its
    `rule`, and no charge.
    """
    wanted = read_gun_code(body.gun_code, forms)
    driver_id, limits = principal.driver_id, body.limits
    async with once.claimed(driver_id):
        async with database.read() as connection:
            gun = await find_gun(connection, wanted)
            now = parts.clock.now()
            check_free(await look_at_gun(connection, gun, driver_id, now, parts.online_ids()))
        charge_id = await parts.start(
            driver_id,
            gun.station_id,
            gun.evse_no,
            Limits(limits.energy_wh, limits.minutes, limits.soc_percent, limits.when_full),
            body.vehicle_id,
        )
        return once.keep(await _view(charge_id, driver_id, database, parts))


@router.get("/charges", responses=problems(*DRIVER_GUARDS, InvalidCursor))
async def list_charges(
    query: Annotated[ChargeQuery, Query()], principal: Driver, database: Db, parts: Parts
) -> ChargePage:
    """List your charges, newest first: those by app, by card and by the car itself."""
    after = decode_cursor("charges", query.cursor, datetime, UUID)
    async with database.read() as connection:
        rows = await read_charges_of(
            connection,
            principal.driver_id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            under_way=query.under_way,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("charges", row.requested_at, row.id)
    )
    return ChargePage(items=[_viewed(row, parts) for row in page], next_cursor=following)


@router.get("/charges/{charge_id}", responses=problems(*DRIVER_GUARDS, NotFound))
async def get_charge(charge_id: UUID, principal: Driver, database: Db, parts: Parts) -> ChargeView:
    """Return one of your charges with its live values."""
    return await _view(charge_id, principal.driver_id, database, parts)


@router.post(
    "/charges/{charge_id}/stop", responses=problems(*DRIVER_GUARDS, *ONCE, NotFound, ChargeOver)
)
async def stop_charge(
    charge_id: UUID, principal: Driver, once: Once, *, database: Db, parts: Parts
) -> ChargeView:
    """Ask the station to stop; it is `stopping` until the station says that it ended."""
    driver_id = principal.driver_id
    async with once.claimed(driver_id):
        await parts.stop(driver_id, charge_id)
        return once.keep(await _view(charge_id, driver_id, database, parts))


@router.get(
    "/charges/{charge_id}/stream",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `charge` (a ChargeView) every few seconds, and "
            "`over` at the end.",
            "content": {"text/event-stream": {"example": STREAM_EXAMPLE}},
        },
        **problems(*DRIVER_GUARDS, NotFound, TooManyRequests, TooManyStreams),
    },
)
async def stream_charge(
    charge_id: UUID,
    principal: Driver,
    *,
    database: Db,
    parts: Parts,
    logins: Logins,
) -> Response:
    """Stream one of your charges until it is over."""
    driver_id = principal.driver_id

    async def read() -> Row[object]:
        async with database.read() as reading:
            return await find_charge(reading, driver_id, charge_id)

    async def login_good() -> bool:
        return await logins.principal_of(principal.token_hash) is not None

    await read()
    parts.streams.check_room(driver_id)
    return EventStream(
        charge_events(parts, driver_id, charge_id, read, login_good),
        attached=partial(parts.streams.attached, driver_id),
        stall_s=STALL_S,
        stalled=stalled,
    )


async def _view(
    charge_id: UUID, driver_id: UUID, database: Database, parts: Charging
) -> ChargeView:
    async with database.read() as connection:
        row = await find_charge(connection, driver_id, charge_id)
    return _viewed(row, parts)


def _viewed(row: Row[object], parts: Charging) -> ChargeView:
    return charge_view(row, parts.watch.progress_of(row.transaction_id), parts.clock.now())


router.include_router(autocharge_api.router)
