"""REST of a driver's own account: profile, phone, idTokens, a copy of all data, the end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row, update

from chargehub.drivers.account_end import AccountEnd, AccountInUse
from chargehub.drivers.account_fields import DriverKind, Input, Language, OneTimeCode, Phone
from chargehub.drivers.account_rules import mask_phone
from chargehub.drivers.accounts import NAME, find_account
from chargehub.drivers.cards import read_own_tokens
from chargehub.drivers.entry import CodeExpired, DriverEntry, PhoneLocked, PhoneTaken, WrongCode
from chargehub.drivers.principal import (
    COOKIES,
    DRIVER_GUARDS,
    AccountHolder,
    AccountNeeded,
    Driver,
)
from chargehub.drivers.store import drivers
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import clean_text
from chargehub.kit.http import API_PREFIX, TooManyRequests, address_of, problems, provided
from chargehub.kit.sealing import Seal

router = APIRouter(prefix=f"{API_PREFIX}/drivers/me", tags=["My account"])

Db = Annotated[Database, Depends(provided(Database))]
Account = Annotated[AccountEnd, Depends(provided(AccountEnd))]
Entry = Annotated[DriverEntry, Depends(provided(DriverEntry))]
Sealing = Annotated[Seal, Depends(provided(Seal))]
DriverName = Annotated[
    str, StringConstraints(max_length=50, strip_whitespace=True), AfterValidator(clean_text)
]


class ProfileChange(Input):
    """What is left out stays."""

    name: DriverName | None = Field(None, description="Empty: none.", examples=["李小明"])
    language: Language | None = None
    kinds: Annotated[list[DriverKind], Field(max_length=6)] | None = None


class PhoneChange(Input):
    phone: Phone
    code: OneTimeCode = Field(description="Of POST /driver-logins/codes for the new phone.")


class Profile(BaseModel):
    id: UUID
    phone: str | None = Field(description="Masked.", examples=["139****1234"])
    name: str = Field(examples=["李小明"])
    language: Language
    kinds: list[DriverKind]
    is_guest: bool
    guest_until: datetime | None = Field(description="A guest may charge until then.")
    wechat_bound: bool
    created_at: datetime


class OwnToken(BaseModel):
    token: str = Field(examples=["0476AB12"])
    kind: str = Field(examples=["ISO14443"])
    status: Literal["Accepted", "Blocked"]
    group: str | None = Field(description="They may end each other's charges.")
    expires_at: datetime | None


class OwnTokens(BaseModel):
    items: list[OwnToken]


def _profile(row: Row[Any], account: AccountEnd) -> Profile:
    phone = account.full_phone(row)
    return Profile(
        id=row.id,
        phone=mask_phone(phone) if phone else None,
        name=account.full_name(row),
        language=row.language,
        kinds=[DriverKind(kind) for kind in row.kinds],
        is_guest=row.guest_until is not None,
        guest_until=row.guest_until,
        wechat_bound=row.wechat_fingerprint is not None,
        created_at=row.created_at,
    )


@router.get("", responses=problems(*DRIVER_GUARDS, NotFound))
async def read_my_profile(principal: Driver, database: Db, account: Account) -> Profile:
    """Return the driver's own account."""
    async with database.read() as connection:
        return _profile(await find_account(connection, principal.driver_id), account)


@router.patch("", responses=problems(*DRIVER_GUARDS, AccountNeeded, NotFound))
async def change_my_profile(
    body: ProfileChange, principal: AccountHolder, database: Db, account: Account, seal: Sealing
) -> Profile:
    """Change name, language or what the driver says to drive."""
    values: dict[str, Any] = body.model_dump(mode="json", exclude_none=True)
    if "kinds" in values:
        values["kinds"] = sorted(set(values["kinds"]))
    driver_id = principal.driver_id
    if "name" in values:
        name = values.pop("name")
        values["name_sealed"] = seal.close(name, f"{NAME}/{driver_id}") if name else None
    async with database.write() as connection:
        await find_account(connection, driver_id, lock=True)
        if values:
            await connection.execute(
                update(drivers).where(drivers.c.id == driver_id).values(values)
            )
        return _profile(await find_account(connection, driver_id), account)


@router.put(
    "/phone",
    status_code=204,
    responses=problems(
        *DRIVER_GUARDS,
        AccountNeeded,
        NotFound,
        WrongCode,
        CodeExpired,
        PhoneLocked,
        PhoneTaken,
        TooManyRequests,
    ),
)
async def change_my_phone(
    body: PhoneChange, principal: AccountHolder, request: Request, entry: Entry
) -> None:
    """Take another phone, which a code proves; the one before is free again."""
    await entry.change_phone(principal.driver_id, body.phone, body.code, address_of(request))


@router.get("/id-tokens", responses=problems(*DRIVER_GUARDS))
async def list_my_id_tokens(principal: Driver, database: Db) -> OwnTokens:
    """List the driver's own cards and app token."""
    async with database.read() as connection:
        rows = await read_own_tokens(connection, principal.driver_id)
    return OwnTokens(
        items=[
            OwnToken(
                token=row.display,
                kind=row.kind,
                status=row.status,
                group=row.group_token,
                expires_at=row.expires_at,
            )
            for row in rows
        ]
    )


class Export(BaseModel):
    """Everything that the hub keeps of the driver; each part of the hub adds a member."""

    model_config = ConfigDict(extra="allow")

    exported_at: datetime
    account: dict[str, Any] = Field(examples=[{"phone": "+8613900001234", "name": "李小明"}])
    vehicles: list[dict[str, Any]]
    id_tokens: list[dict[str, Any]]
    logins: list[dict[str, Any]]


@router.get(
    "/export",
    responses={200: {"model": Export}, **problems(*DRIVER_GUARDS, NotFound)},
    response_class=JSONResponse,
)
async def export_my_data(principal: Driver, account: Account) -> JSONResponse:
    """Return all that the hub keeps of the driver, unmasked."""
    kept = await account.export(principal.driver_id)
    return JSONResponse(
        jsonable_encoder(kept),
        headers={"Content-Disposition": 'attachment; filename="chargehub-export.json"'},
    )


@router.delete("", status_code=204, responses=problems(*DRIVER_GUARDS, NotFound, AccountInUse))
async def close_my_account(principal: Driver, response: Response, account: Account) -> None:
    """Close the account for good.

    Its logins end, its idTokens are blocked and personal data are erased; what was charged stays
    without a name. The phone may open another account.
    """
    await account.close(principal.driver_id)
    COOKIES.forget(response)
