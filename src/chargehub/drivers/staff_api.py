"""REST of drivers for staff: masked in lists, in full only with a role, a reason and an audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.principal import GUARDS, Operator, operator, viewer
from chargehub.drivers.account_end import AccountEnd
from chargehub.drivers.account_fields import DriverKind, Input, Phone, Plate
from chargehub.drivers.account_rules import mask_name, mask_personal_within, mask_phone, mask_plate
from chargehub.drivers.accounts import PHONE
from chargehub.drivers.api import IdTokenKind, IdTokenView, TokenPath, audited, view_of
from chargehub.drivers.cards import (
    IdTokenTaken,
    TokenOfCar,
    TokenOfDriver,
    give_card,
    take_card,
)
from chargehub.drivers.store import drivers, vehicles
from chargehub.drivers.vehicles import Garage, read_vehicles
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import clean_text
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import (
    InvalidCursor,
    Page,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)
from chargehub.kit.sealing import Seal

router = APIRouter(prefix=f"{API_PREFIX}/drivers", tags=["Drivers"])

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
Account = Annotated[AccountEnd, Depends(provided(AccountEnd))]
Vehicles = Annotated[Garage, Depends(provided(Garage))]
Sealing = Annotated[Seal, Depends(provided(Seal))]
MAX_FOUND = 50


class DriverQuery(PageQuery):
    state: Literal["open", "guest", "closed"] | None = Field(
        None, description="open: has an account."
    )


class DriverView(BaseModel):
    """A driver as staff see one in passing: masked."""

    id: UUID
    phone: str | None = Field(examples=["138****1234"])
    name: str = Field(examples=["李**"])
    plates: list[str] = Field(examples=[["浙H·D**88"]])
    kinds: list[DriverKind]
    language: str = Field(examples=["zh"])
    is_guest: bool
    created_at: datetime
    closed_at: datetime | None


class DriverPage(Page[DriverView]):
    pass


class Search(Input):
    """A POST: phones and plates have no place in addresses, which get logged."""

    phone: Phone | None = None
    plate: Plate | None = None

    @model_validator(mode="after")
    def _one(self) -> Search:
        if (self.phone is None) == (self.plate is None):
            raise ValueError("Either a phone or a plate is needed.")
        return self


class Found(BaseModel):
    items: list[DriverView] = Field(description=f"At most {MAX_FOUND}; a plate has many drivers.")


class PersonalField(StrEnum):
    PHONE = "phone"
    NAME = "name"
    PLATES = "plates"
    VINS = "vins"


class Reveal(Input):
    fields: Annotated[list[PersonalField], Field(min_length=1, max_length=4)]
    reason: Annotated[
        str,
        StringConstraints(min_length=4, max_length=200, strip_whitespace=True),
        AfterValidator(clean_text),
    ] = Field(description="Why it has to be seen; kept in the audit.", examples=["工单 1234 回访"])


class Revealed(BaseModel):
    """What was asked for; null is what was not."""

    phone: str | None = Field(None, examples=["+8613800001234"])
    name: str | None = None
    plates: list[str] | None = None
    vins: list[str] | None = None


class CardInput(Input):
    kind: IdTokenKind = Field(IdTokenKind.ISO14443, description="Of a card that is not known yet.")


async def _views(
    connection: AsyncConnection, rows: Sequence[Row[Any]], account: AccountEnd, garage: Garage
) -> list[DriverView]:
    plates: dict[UUID, list[str]] = defaultdict(list)
    for vehicle in await read_vehicles(connection, [row.id for row in rows]):
        plates[vehicle.driver_id].append(mask_plate(garage.opened(vehicle).plate))
    views = []
    for row in rows:
        phone = account.full_phone(row)
        views.append(
            DriverView(
                id=row.id,
                phone=mask_phone(phone) if phone else None,
                name=mask_name(account.full_name(row)),
                plates=plates[row.id],
                kinds=[DriverKind(kind) for kind in row.kinds],
                language=row.language,
                is_guest=row.guest_until is not None,
                created_at=row.created_at,
                closed_at=row.closed_at,
            )
        )
    return views


async def _find_driver(connection: AsyncConnection, driver_id: UUID) -> Row[Any]:
    row = (await connection.execute(select(drivers).where(drivers.c.id == driver_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such driver.")
    return row


@router.get("", dependencies=[Depends(viewer)], responses=problems(*GUARDS, InvalidCursor))
async def list_drivers(
    database: Db, account: Account, garage: Vehicles, query: Annotated[DriverQuery, Query()]
) -> DriverPage:
    """List drivers, masked, the newest first."""
    after = decode_cursor("drivers", query.cursor, datetime, UUID)
    chosen = select(drivers).order_by(drivers.c.created_at.desc(), drivers.c.id.desc())
    if query.state == "closed":
        chosen = chosen.where(drivers.c.closed_at.is_not(None))
    elif query.state is not None:
        is_guest = drivers.c.guest_until.is_not(None)
        wanted = is_guest if query.state == "guest" else ~is_guest
        chosen = chosen.where(drivers.c.closed_at.is_(None), wanted)
    if after is not None:
        chosen = chosen.where(tuple_(drivers.c.created_at, drivers.c.id) < after)
    async with database.read() as connection:
        rows = (await connection.execute(chosen.limit(query.limit + 1))).all()
        page, following = cut_page(
            rows, query.limit, lambda row: encode_cursor("drivers", row.created_at, row.id)
        )
        return DriverPage(
            items=await _views(connection, page, account, garage), next_cursor=following
        )


@router.post("/search", dependencies=[Depends(operator)], responses=problems(*GUARDS))
async def search_drivers(
    body: Search, *, database: Db, account: Account, garage: Vehicles, seal: Sealing
) -> Found:
    """Find drivers by phone or plate, in full; the answer is masked."""
    chosen = select(drivers).where(drivers.c.closed_at.is_(None)).order_by(drivers.c.id)
    if body.phone is not None:
        chosen = chosen.where(drivers.c.phone_fingerprint == seal.fingerprint(body.phone, PHONE))
    else:
        assert body.plate is not None
        of_plate = select(vehicles.c.driver_id).where(
            vehicles.c.plate_fingerprint == garage.plate_fingerprint(body.plate)
        )
        chosen = chosen.where(drivers.c.id.in_(of_plate))
    async with database.read() as connection:
        rows = (await connection.execute(chosen.limit(MAX_FOUND))).all()
        return Found(items=await _views(connection, rows, account, garage))


@router.get("/{driver_id}", dependencies=[Depends(viewer)], responses=problems(*GUARDS, NotFound))
async def get_driver(
    driver_id: UUID, database: Db, account: Account, garage: Vehicles
) -> DriverView:
    """Return a driver, masked."""
    async with database.read() as connection:
        row = await _find_driver(connection, driver_id)
        return (await _views(connection, [row], account, garage))[0]


@router.post("/{driver_id}/reveal", responses=problems(*GUARDS, NotFound))
async def reveal_driver(
    driver_id: UUID,
    body: Reveal,
    principal: Operator,
    *,
    database: Db,
    clock: Clock,
    account: Account,
    garage: Vehicles,
) -> Revealed:
    """Show personal data in full. The reason, and who asked for what, are kept in the audit."""
    wanted = sorted(set(body.fields))
    async with database.write() as connection:
        row = await _find_driver(connection, driver_id)
        own = [garage.opened(item) for item in await read_vehicles(connection, [driver_id])]
        full = {
            PersonalField.PHONE: account.full_phone(row),
            PersonalField.NAME: account.full_name(row),
            PersonalField.PLATES: [vehicle.plate for vehicle in own],
            PersonalField.VINS: [vehicle.vin for vehicle in own if vehicle.vin is not None],
        }
        await audit(
            connection,
            clock.now(),
            principal.login,
            "driver.revealed",
            str(driver_id),
            fields=[field.value for field in wanted],
            reason=mask_personal_within(body.reason),
        )
    return Revealed.model_validate({field.value: full[field] for field in wanted})


@router.put(
    "/{driver_id}/id-tokens/{token}",
    responses={
        201: {"model": IdTokenView, "description": "Created"},
        **problems(*GUARDS, NotFound, IdTokenTaken, TokenOfCar),
    },
)
async def give_driver_a_card(
    driver_id: UUID,
    token: TokenPath,
    body: CardInput,
    principal: Operator,
    *,
    database: Db,
    clock: Clock,
    response: Response,
) -> IdTokenView:
    """Give a card to a driver: it joins the driver's group. A card nobody knows is made.

    A card that staff have blocked stays blocked; one that was taken back is accepted again.
    """
    async with database.write() as connection:
        now = clock.now()
        is_new, row = await give_card(connection, driver_id, token, body.kind.value, now)
        await audit(
            connection,
            now,
            principal.login,
            "id_token.given",
            audited(row.display, row.kind),
            driver_id=str(driver_id),
        )
    if is_new:
        response.status_code = 201
    return view_of(row)


@router.delete(
    "/{driver_id}/id-tokens/{token}",
    status_code=204,
    responses=problems(*GUARDS, NotFound, TokenOfDriver, TokenOfCar),
)
async def take_card_from_driver(
    driver_id: UUID, token: TokenPath, principal: Operator, database: Db, clock: Clock
) -> None:
    """Take a card from a driver: it is nobody's then, and blocked until it is given anew."""
    async with database.write() as connection:
        row = await take_card(connection, driver_id, token)
        await audit(
            connection,
            clock.now(),
            principal.login,
            "id_token.taken",
            audited(row.display, row.kind),
            driver_id=str(driver_id),
        )
