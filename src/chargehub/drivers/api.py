"""REST of idTokens: who may present what, in which group, until when."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints
from sqlalchemy import Row

from chargehub.access.audit import audit
from chargehub.access.principal import GUARDS, Operator, operator
from chargehub.drivers.account_fields import PlainText
from chargehub.drivers.cards import TokenOfCar, TokenOfDriver, group_of_owner, refuse_cars
from chargehub.drivers.queries import (
    find_id_token,
    find_missing_locations,
    read_id_tokens,
    remove_id_token,
    set_status,
    spell_group,
    store_id_token,
)
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, UtcTime
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import (
    InvalidCursor,
    Page,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)
from chargehub.stations.obstacles import UnknownLocation

router = APIRouter(prefix=f"{API_PREFIX}/id-tokens", tags=["idTokens"])

# identifierString as long as in 2.1, which holds every 1.6 idTag seen in the field. A station
# whose protocol has less room cannot be asked to start with a longer one.
ID_TEXT_PATTERN = r"^[A-Za-z0-9*\-_=:+|@.]{1,255}$"

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
TokenPath = Annotated[
    str, Path(pattern=ID_TEXT_PATTERN, examples=["0476AB12"], description="Any case.")
]
LocationId = Annotated[CleanText, StringConstraints(min_length=1, max_length=36)]


class IdTokenKind(StrEnum):
    CENTRAL = "Central"
    EMAID = "eMAID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"
    VIN = "VIN"


class IdTokenQuery(PageQuery):
    group: CleanText | None = Field(None, max_length=255, examples=["FLEET-7"])
    status: Literal["Accepted", "Blocked"] | None = None


class IdTokenInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: IdTokenKind = IdTokenKind.ISO14443
    group: Annotated[str, StringConstraints(pattern=ID_TEXT_PATTERN)] | None = Field(
        None,
        description="Any token of the group may end another's transaction.",
        examples=["FLEET-7"],
    )
    status: Literal["Accepted", "Blocked"] = "Accepted"
    expires_at: UtcTime | None = Field(None, examples=["2027-01-01T00:00:00+08:00"])
    location_ids: Annotated[list[LocationId], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Where it may charge. Left out: everywhere.", examples=[["QZ-HUB"]]
    )
    max_power_w: Annotated[StrictInt, Field(ge=1, le=10_000_000)] | None = Field(
        None,
        description="The most powerful type of EVSE it may use. Left out: any.",
        examples=[120_000],
    )
    holder: PlainText = Field(
        "", description="A label; no phone, plate or ID number.", examples=["Fleet 7, card 12"]
    )


class IdTokenView(BaseModel):
    token: str = Field(description="In the case it was entered.", examples=["0476AB12"])
    kind: IdTokenKind
    group: str | None = Field(description="In the case it was entered.", examples=["FLEET-7"])
    status: Literal["Accepted", "Blocked"]
    blocked_as_nobodys: bool = Field(
        description="Blocked only since it was taken back or its driver's account ended: giving it"
        " to a driver ends that. False: what staff blocked stays blocked until they unblock it."
    )
    expires_at: datetime | None
    location_ids: list[str] | None
    max_power_w: int | None
    holder: str
    driver_id: UUID | None = Field(None, description="Whose it is; staff give cards to drivers.")


class IdTokenPage(Page[IdTokenView]):
    pass


def view_of(row: Row[Any]) -> IdTokenView:
    return IdTokenView(
        token=row.display,
        kind=IdTokenKind(row.kind),
        group=row.group_token,
        status=row.status,
        blocked_as_nobodys=row.blocked_as_nobodys,
        expires_at=row.expires_at,
        location_ids=row.location_ids,
        max_power_w=row.max_power_w,
        holder=row.holder,
        driver_id=row.driver_id,
    )


def audited(token: str, kind: str) -> str:
    # C04.FR.04: a PIN stays out of every trail.
    return "(key code)" if kind == IdTokenKind.KEY_CODE else token


@router.get("", dependencies=[Depends(operator)], responses=problems(*GUARDS, InvalidCursor))
async def list_id_tokens(database: Db, query: Annotated[IdTokenQuery, Query()]) -> IdTokenPage:
    """List idTokens by their text."""
    after = decode_cursor("id-tokens", query.cursor, str)
    async with database.read() as connection:
        rows = await read_id_tokens(
            connection,
            after=after[0] if after else None,
            limit=query.limit + 1,
            group=query.group,
            status=query.status,
        )
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("id-tokens", row.token))
    return IdTokenPage(items=[view_of(row) for row in page], next_cursor=following)


@router.get("/{token}", dependencies=[Depends(operator)], responses=problems(*GUARDS, NotFound))
async def get_id_token(token: TokenPath, database: Db) -> IdTokenView:
    """Return one idToken."""
    async with database.read() as connection:
        return view_of(await find_id_token(connection, token))


@router.put(
    "/{token}",
    responses={
        201: {"model": IdTokenView, "description": "Created"},
        **problems(*GUARDS, UnknownLocation, TokenOfDriver, TokenOfCar),
    },
)
async def put_id_token(
    token: TokenPath,
    body: IdTokenInput,
    principal: Operator,
    *,
    database: Db,
    clock: Clock,
    response: Response,
) -> IdTokenView:
    """Create an idToken, or replace all that is known of it; what it is blocked for, too."""
    is_new, view = await write_id_token(database, clock.now(), token, body, actor=principal.login)
    if is_new:
        response.status_code = 201
    return view


async def write_id_token(
    database: Database, at: datetime, token: str, wanted: IdTokenInput, *, actor: str
) -> tuple[bool, IdTokenView]:
    """Create an idToken or replace it; return whether it is new.

    Raises UnknownLocation, TokenOfCar, and TokenOfDriver where a driver's would get another group.
    """
    refuse_cars(token)
    values = {
        "kind": wanted.kind.value,
        "status": wanted.status,
        "blocked_as_nobodys": False,
        "expires_at": wanted.expires_at,
        "location_ids": wanted.location_ids,
        "max_power_w": wanted.max_power_w,
        "holder": wanted.holder,
    }
    async with database.write() as connection:
        missing = await find_missing_locations(connection, wanted.location_ids or [])
        if missing:
            raise UnknownLocation(location_id=missing[0])
        group = wanted.group and await spell_group(connection, token, wanted.group)
        own_group = await group_of_owner(connection, token)
        if own_group is not None:
            if group is not None and group.lower() != own_group.lower():
                raise TokenOfDriver(group=own_group)
            group = own_group
        is_new = await store_id_token(connection, token, values | {"group_token": group})
        await audit(
            connection,
            at,
            actor,
            "id_token.created" if is_new else "id_token.changed",
            audited(token, wanted.kind),
            status=wanted.status,
            group=group,
        )
        return is_new, view_of(await find_id_token(connection, token))


@router.delete(
    "/{token}",
    status_code=204,
    responses=problems(*GUARDS, NotFound, TokenOfDriver, TokenOfCar),
)
async def delete_id_token(
    token: TokenPath, principal: Operator, database: Db, clock: Clock
) -> None:
    """Forget an idToken; its past transactions stay."""
    refuse_cars(token)
    async with database.write() as connection:
        row = await find_id_token(connection, token, lock=True)
        if row.driver_id is not None:
            # Its driver's charges are found by it; who has to be kept out is blocked.
            raise TokenOfDriver("This idToken is a driver's: take the card back, or block it.")
        await remove_id_token(connection, token)
        subject = audited(row.display, row.kind)
        await audit(connection, clock.now(), principal.login, "id_token.deleted", subject)


@router.post("/{token}/block", responses=problems(*GUARDS, NotFound, TokenOfCar))
async def block_id_token(
    token: TokenPath, principal: Operator, database: Db, clock: Clock
) -> IdTokenView:
    """Refuse this idToken from now on, whoever has it; a transaction that runs is not stopped."""
    return await _set_status(token, "Blocked", principal.login, database, clock)


@router.post("/{token}/unblock", responses=problems(*GUARDS, NotFound, TokenOfCar))
async def unblock_id_token(
    token: TokenPath, principal: Operator, database: Db, clock: Clock
) -> IdTokenView:
    """Accept this idToken again."""
    return await _set_status(token, "Accepted", principal.login, database, clock)


async def _set_status(
    token: str, status: str, actor: str, database: Database, clock: HubClock
) -> IdTokenView:
    refuse_cars(token)
    async with database.write() as connection:
        row = await set_status(connection, token, status)
        subject = audited(row.display, row.kind)
        await audit(connection, clock.now(), actor, "id_token.changed", subject, status=status)
    return view_of(row)
