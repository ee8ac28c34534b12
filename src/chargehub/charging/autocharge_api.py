"""REST of cars that start by themselves: the driver binds and revokes, staff see and unbind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.principal import GUARDS, Operator, viewer
from chargehub.charging.autocharge import (
    Autocharge,
    CarNotSeen,
    ConsentOutdated,
    NoOwnCharge,
    VinDiffers,
    look_for_car,
)
from chargehub.drivers.account_fields import Input
from chargehub.drivers.account_rules import mask_personal_within
from chargehub.drivers.accounts import find_account
from chargehub.drivers.bindings import (
    LISTED_MAX,
    AlreadyBound,
    CarBound,
    Consent,
    EndedBy,
    end_bindings,
    find_open_binding,
    read_bindings,
)
from chargehub.drivers.consent_texts import AUTOCHARGE, CURRENT
from chargehub.drivers.inbox import notify
from chargehub.drivers.principal import DRIVER_GUARDS, AccountHolder, AccountNeeded
from chargehub.drivers.store import drivers
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.drivers.vehicles import Garage, find_vehicle
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, clean_text
from chargehub.kit.http import problems, provided
from chargehub.kit.idempotency import ONCE, Once

router = APIRouter()

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
Names = Annotated[CarNames, Depends(provided(CarNames))]
Vehicles = Annotated[Garage, Depends(provided(Garage))]
OF_VEHICLE = "/vehicles/{vehicle_id}/plug-and-charge"
OF_DRIVER = "/drivers/{driver_id}/plug-and-charge"
REFUSALS = (
    *(NotFound, ConsentOutdated, NoOwnCharge, CarNotSeen, VinDiffers),
    *(CarBound, AlreadyBound),
)


class BindingView(BaseModel):
    """What a vehicle is known by where it starts by itself."""

    id: UUID
    kind: Literal["VIN", "MacAddress"]
    car: str | None = Field(
        description="Masked; null when it has ended: it is erased then.",
        examples=["***********184841"],
    )
    consent_version: str = Field(examples=["2026-11-24"])
    consented_at: datetime
    ended_at: datetime | None
    ended_by: EndedBy | None
    end_reason: str


class SeenCar(BaseModel):
    """The unknown car at the gun where the driver charges now."""

    kind: Literal["VIN", "MacAddress"]
    car: str = Field(description="Masked.", examples=["********EEFF"])
    gun_code: str = Field(examples=["A101"])
    seen_at: datetime


class ConsentText(BaseModel):
    version: str = Field(examples=["2026-11-24"])
    language: Literal["zh", "en"]
    text: str


class AutochargeView(BaseModel):
    bindings: list[BindingView] = Field(
        description=f"The newest first, ended ones too: at most {LISTED_MAX}."
    )
    seen: SeenCar | None = Field(
        description="What POST would bind. Null: no charge of the driver's own runs, or its gun has"
        " not told of an unknown car since it was plugged in."
    )
    consent: ConsentText = Field(description="What is agreed to, in the driver's language.")


class ConsentGiven(Input):
    version: CleanText = Field(max_length=20, examples=["2026-11-24"])
    accepted: Literal[True] = Field(description="Said by the driver, not ticked beforehand.")


class NewBinding(Input):
    consent: ConsentGiven
    gun_code: CleanText | None = Field(
        None,
        max_length=100,
        description="Where the driver charges at several guns: at which the car stands.",
        examples=["A101"],
    )


class BindingMade(BaseModel):
    id: UUID = Field(examples=["2f9520f3-f637-43d0-8113-2532a49a3a75"])


class BindingList(BaseModel):
    items: list[BindingView] = Field(description=f"The newest first: at most {LISTED_MAX}.")


class Unbind(Input):
    reason: Annotated[
        str,
        StringConstraints(min_length=4, max_length=200, strip_whitespace=True),
        AfterValidator(clean_text),
    ] = Field(description="Kept in the audit, and told to the driver.", examples=["车主来电要求"])


def _views(rows: Sequence[Row[Any]], names: CarNames) -> list[BindingView]:
    return [
        BindingView(
            id=row.id,
            kind=row.kind,
            car=_masked(row, names),
            consent_version=row.consent_version,
            consented_at=row.consented_at,
            ended_at=row.ended_at,
            ended_by=row.ended_by,
            end_reason=row.end_reason,
        )
        for row in rows
    ]


def _masked(row: Row[Any], names: CarNames) -> str | None:
    if row.identity_sealed is None:
        return None
    return names.opened(row.kind, row.identity_sealed, row.id_token).masked


async def _seen(
    connection: AsyncConnection, names: CarNames, driver_id: UUID, now: datetime
) -> SeenCar | None:
    try:
        seen = await look_for_car(connection, names, driver_id, now)
    except (NoOwnCharge, CarNotSeen):
        return None
    return SeenCar(
        kind=seen.identity.kind.value,
        car=seen.identity.masked,
        gun_code=seen.gun_code,
        seen_at=seen.seen_at,
    )


@router.get(
    OF_VEHICLE,
    tags=["Vehicles"],
    responses=problems(*DRIVER_GUARDS, AccountNeeded, NotFound),
)
async def get_autocharge(
    vehicle_id: UUID, principal: AccountHolder, *, database: Db, clock: Clock, names: Names
) -> AutochargeView:
    """Say by what a vehicle starts by itself, and what could be bound now."""
    async with database.read() as connection:
        await find_vehicle(connection, principal.driver_id, vehicle_id)
        language = (await find_account(connection, principal.driver_id)).language
        which = {"driver_id": principal.driver_id, "vehicle_id": vehicle_id}
        rows = await read_bindings(connection, **which)
        seen = await _seen(connection, names, principal.driver_id, clock.now())
    text = AUTOCHARGE[CURRENT][language]
    return AutochargeView(
        bindings=_views(rows, names),
        seen=seen,
        consent=ConsentText(version=CURRENT, language=language, text=text),
    )


@router.post(
    OF_VEHICLE,
    status_code=201,
    tags=["Vehicles"],
    responses=problems(*DRIVER_GUARDS, AccountNeeded, *REFUSALS, *ONCE),
)
async def bind_car(
    vehicle_id: UUID,
    body: NewBinding,
    principal: AccountHolder,
    *,
    clock: Clock,
    names: Names,
    garage: Vehicles,
    once: Once,
) -> BindingMade:
    """Let the car that the driver charges now start by itself from the next time on.

    The station has to have told of it since it was plugged in: as a car that nobody here knows.
    """
    async with once.write(principal.driver_id) as connection:
        account = await find_account(connection, principal.driver_id, lock=True)
        made = await Autocharge(names, garage).confirm(
            *(connection, principal.driver_id, vehicle_id),
            Consent(body.consent.version, account.language),
            clock.now(),
            body.gun_code,
        )
        return once.keep(BindingMade(id=made))


@router.delete(
    OF_VEHICLE,
    status_code=204,
    tags=["Vehicles"],
    responses=problems(*DRIVER_GUARDS, AccountNeeded, NotFound),
)
async def revoke_autocharge(
    vehicle_id: UUID,
    principal: AccountHolder,
    *,
    database: Db,
    clock: Clock,
    names: Names,
    garage: Vehicles,
) -> None:
    """Revoke the consent: from now on the car starts nothing. A charge under way goes on."""
    async with database.write() as connection:
        parts = Autocharge(names, garage)
        await parts.revoke(connection, principal.driver_id, vehicle_id, clock.now())


@router.get(
    OF_DRIVER,
    tags=["Drivers"],
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def list_bindings_of_driver(driver_id: UUID, database: Db, names: Names) -> BindingList:
    """List by what a driver's cars start by themselves, masked."""
    async with database.read() as connection:
        known = select(drivers.c.id).where(drivers.c.id == driver_id)
        if (await connection.execute(known)).one_or_none() is None:
            raise NotFound("There is no such driver.")
        rows = await read_bindings(connection, driver_id=driver_id)
    return BindingList(items=_views(rows, names))


@router.post(
    f"{OF_DRIVER}/{{binding_id}}/unbind",
    status_code=204,
    tags=["Drivers"],
    responses=problems(*GUARDS, NotFound),
)
async def unbind_car(
    driver_id: UUID,
    binding_id: UUID,
    body: Unbind,
    principal: Operator,
    *,
    database: Db,
    clock: Clock,
    names: Names,
) -> None:
    """End a binding: the car is another's, or was bound by mistake. The driver is told."""
    reason, now = mask_personal_within(body.reason), clock.now()
    async with database.write() as connection:
        row = await find_open_binding(connection, driver_id, binding_id)
        car = _masked(row, names)
        await end_bindings(connection, now, EndedBy.STAFF, reason, id=binding_id)
        facts = {"car": (car or "").strip("*"), "reason": reason}
        kind = "plug_and_charge_unbound"
        await notify(connection, driver_id, kind, facts, now, key=f"binding/{binding_id}")
        await audit(
            connection,
            now,
            principal.login,
            "plug_and_charge.unbound",
            str(driver_id),
            binding_id=str(binding_id),
            car=car,
            reason=reason,
        )
