"""REST of access: log in and out, operators, the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints
from sqlalchemy import Row

from chargehub.access.audit import read_audit
from chargehub.access.principal import COOKIES, GUARDS, Admin, Viewer, admin
from chargehub.access.rules import Role, WeakPassword
from chargehub.access.service import (
    AccessService,
    LastAdmin,
    LoginTaken,
    Principal,
    WrongLogin,
    WrongPassword,
)
from chargehub.kit.db import Database
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.kit.fields import CleanText, ShortText, explained
from chargehub.kit.http import (
    API_PREFIX,
    TooManyRequests,
    address_of,
    problems,
    provided,
)
from chargehub.kit.paging import (
    InvalidCursor,
    Page,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)


@dataclass(frozen=True, slots=True)
class AccessParts:
    database: Database
    secure_cookies: bool
    """True wherever the API is served over TLS."""


router = APIRouter(prefix=API_PREFIX, tags=["Access"])

Service = Annotated[AccessService, Depends(provided(AccessService))]
Parts = Annotated[AccessParts, Depends(provided(AccessParts))]

LoginName = Annotated[
    str,
    StringConstraints(min_length=2, max_length=64, pattern=r"^[A-Za-z0-9._@+-]+$"),
    explained("2 to 64 letters, digits or any of . _ @ + - are needed."),
]
Password = Annotated[
    CleanText, Field(min_length=1, max_length=200, examples=["correct horse battery"])
]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginRequest(Input):
    login: Annotated[CleanText, Field(min_length=1, max_length=64, examples=["wang.fang"])]
    password: Password


class Me(BaseModel):
    operator_id: UUID
    login: str = Field(examples=["wang.fang"])
    name: str = Field(examples=["Wang Fang"])
    role: Role = Field(examples=["operator"])
    expires_at: datetime = Field(description="When this login ends, on wall time.")


class LoginResult(Me):
    token: str = Field(description="Use as `Authorization: Bearer`; also set as cookie.")
    csrf_token: str = Field(
        description="Send as X-CSRF-Token on unsafe methods when the cookie is used."
    )


class NewOperator(Input):
    login: LoginName = Field(examples=["li.na"])
    name: ShortText = Field("", examples=["Li Na"])
    role: Role = Field(examples=["viewer"])
    password: Password


class OperatorChange(Input):
    name: ShortText | None = None
    role: Role | None = Field(None, examples=["operator"])
    disabled: StrictBool | None = Field(None, examples=[True])


class PasswordReset(Input):
    password: Password


class PasswordChange(Input):
    old_password: Password
    new_password: Password


class OperatorView(BaseModel):
    id: UUID
    login: str = Field(examples=["li.na"])
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class OperatorPage(Page[OperatorView]):
    pass


class AuditEntry(BaseModel):
    id: int
    at: datetime
    actor: str = Field(examples=["wang.fang"])
    action: str = Field(examples=["station.commissioned"])
    subject: str = Field(examples=["CS001"])
    facts: dict[str, Any]


class AuditPage(Page[AuditEntry]):
    pass


class AuditQuery(PageQuery):
    actor: CleanText | None = Field(None, max_length=64, examples=["wang.fang"])
    subject: CleanText | None = Field(None, max_length=200, examples=["CS001"])
    action: CleanText | None = Field(None, max_length=64, examples=["operator.created"])


def _me(principal: Principal) -> Me:
    return Me(
        operator_id=principal.operator_id,
        login=principal.login,
        name=principal.name,
        role=principal.role,
        expires_at=principal.expires_at,
    )


def _view(row: Row[Any]) -> OperatorView:
    return OperatorView(
        id=row.id,
        login=row.login,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


@router.post(
    "/login",
    responses=problems(WrongLogin, TooManyRequests, InvalidInput),
)
async def log_in(
    body: LoginRequest, request: Request, response: Response, service: Service, parts: Parts
) -> LoginResult:
    """Log in. Sets the cookies for pages and returns the same token for API clients."""
    issued = await service.log_in(
        body.login,
        body.password,
        address=address_of(request),
        user_agent=request.headers.get("user-agent", ""),
    )
    COOKIES.give(
        response,
        issued.token,
        issued.csrf_token,
        expires=issued.principal.expires_at,
        secure=parts.secure_cookies,
    )
    return LoginResult(
        **_me(issued.principal).model_dump(), token=issued.token, csrf_token=issued.csrf_token
    )


@router.post("/logout", status_code=204, responses=problems(*GUARDS))
async def log_out(principal: Viewer, response: Response, service: Service) -> None:
    """Revoke this login."""
    await service.log_out(principal)
    COOKIES.forget(response)


@router.get("/me", responses=problems(*GUARDS))
async def read_me(principal: Viewer) -> Me:
    """Return who is logged in."""
    return _me(principal)


@router.post(
    "/me/password",
    status_code=204,
    responses=problems(*GUARDS, WrongPassword, TooManyRequests, WeakPassword),
)
async def change_own_password(body: PasswordChange, principal: Viewer, service: Service) -> None:
    """Change one's own password; the operator's other logins end."""
    await service.change_own_password(principal, body.old_password, body.new_password)


@router.get("/operators", dependencies=[Depends(admin)], responses=problems(*GUARDS, InvalidCursor))
async def list_operators(service: Service, query: Annotated[PageQuery, Query()]) -> OperatorPage:
    """List operators by login."""
    after = decode_cursor("operators", query.cursor, str)
    rows = await service.list_operators(after=after[0] if after else None, limit=query.limit + 1)
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("operators", row.login))
    return OperatorPage(items=[_view(row) for row in page], next_cursor=following)


@router.post(
    "/operators",
    status_code=201,
    responses=problems(*GUARDS, LoginTaken, WeakPassword),
)
async def create_operator(body: NewOperator, principal: Admin, service: Service) -> OperatorView:
    """Create an operator."""
    return _view(
        await service.add_operator(
            login=body.login,
            role=body.role,
            password=body.password,
            actor=principal.login,
            name=body.name,
        )
    )


@router.patch("/operators/{operator_id}", responses=problems(*GUARDS, NotFound, LastAdmin))
async def change_operator(
    operator_id: UUID, body: OperatorChange, principal: Admin, service: Service
) -> OperatorView:
    """Rename, disable, enable or give another role. A new role or a disabling ends all logins."""
    return _view(
        await service.change_operator(
            operator_id,
            actor=principal.login,
            name=body.name,
            role=body.role,
            disabled=body.disabled,
        )
    )


@router.post(
    "/operators/{operator_id}/password",
    status_code=204,
    responses=problems(*GUARDS, NotFound, WeakPassword),
)
async def reset_operator_password(
    operator_id: UUID, body: PasswordReset, principal: Admin, service: Service
) -> None:
    """Set an operator's password and end their logins."""
    await service.reset_password(operator_id, body.password, actor=principal.login)


@router.get("/audit", dependencies=[Depends(admin)], responses=problems(*GUARDS, InvalidCursor))
async def list_audit(parts: Parts, query: Annotated[AuditQuery, Query()]) -> AuditPage:
    """List who did what, newest first."""
    after = decode_cursor("audit", query.cursor, datetime, int)
    async with parts.database.read() as connection:
        rows = await read_audit(
            connection,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            actor=query.actor,
            subject=query.subject,
            action=query.action,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("audit", row.at, row.id)
    )
    items = [
        AuditEntry(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            facts=row.facts,
        )
        for row in page
    ]
    return AuditPage(items=items, next_cursor=following)
