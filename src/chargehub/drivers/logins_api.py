"""REST of drivers' logins: one-time codes, logging in, the devices that are logged in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from chargehub.drivers.account_fields import (
    DeviceToken,
    Input,
    Language,
    OneTimeCode,
    Phone,
)
from chargehub.drivers.entry import (
    CodeExpired,
    Device,
    DriverEntry,
    Entered,
    PhoneLocked,
    WeChatTaken,
    WrongCode,
)
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.ports import (
    SmsNotConfigured,
    SmsNotSent,
    WeChatNotConfigured,
    WeChatRefused,
)
from chargehub.drivers.principal import COOKIES, DRIVER_GUARDS, Driver, PresentDriver
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.kit.fields import CleanText, ShortText
from chargehub.kit.http import API_PREFIX, TooManyRequests, address_of, problems, provided


@dataclass(frozen=True, slots=True)
class DriverParts:
    secure_cookies: bool
    """True wherever the API is served over TLS."""


router = APIRouter(prefix=f"{API_PREFIX}/driver-logins", tags=["Driver logins"])

Logins = Annotated[DriverLogins, Depends(provided(DriverLogins))]
Entry = Annotated[DriverEntry, Depends(provided(DriverEntry))]
Parts = Annotated[DriverParts, Depends(provided(DriverParts))]


class CodeRequest(Input):
    phone: Phone
    language: Language = "zh"
    device_token: DeviceToken = ""


class CodeAnswer(BaseModel):
    """The same for every phone, with an account or without."""

    expires_in_s: int = Field(description="Wall seconds that the code is good.", examples=[300])
    again_in_s: int = Field(
        description="Wall seconds until another may be asked for.", examples=[60]
    )


class DeviceInput(Input):
    device_name: ShortText = Field("", examples=["iPhone 17"])
    language: Language = Field("zh", description="Of an account that is opened by this.")


class PhoneLogin(DeviceInput):
    phone: Phone
    code: OneTimeCode
    device_token: DeviceToken = ""


class WeChatLogin(DeviceInput):
    code: Annotated[CleanText, StringConstraints(min_length=1, max_length=128)] = Field(
        description="What wx.login gave the app.", examples=["demo-wang"]
    )


class DriverLoginResult(BaseModel):
    driver_id: UUID
    is_guest: bool = Field(examples=[False])
    is_new: bool = Field(description="Whether this login opened the account.")
    expires_at: datetime = Field(description="When this login ends, on wall time.")
    token: str = Field(description="Use as `Authorization: Bearer`; also set as cookie.")
    csrf_token: str = Field(
        description="Send as X-CSRF-Token on unsafe methods when the cookie is used."
    )
    device_token: str | None = Field(
        description="After a login by phone: keep it on the device, also over a logout, and send "
        "it when you ask for a code and when you enter it.",
        examples=[None],
    )


class DeviceView(BaseModel):
    id: UUID
    device_name: str = Field(examples=["iPhone 17"])
    created_at: datetime = Field(description="Wall time, as all of a login.")
    expires_at: datetime
    current: bool = Field(description="Whether it is the login that asks.")


class DeviceList(BaseModel):
    items: list[DeviceView]


@router.post(
    "/codes",
    status_code=202,
    responses=problems(InvalidInput, TooManyRequests, SmsNotConfigured, SmsNotSent),
)
async def send_login_code(body: CodeRequest, request: Request, entry: Entry) -> CodeAnswer:
    """Send a one-time code to a phone; it replaces the one before."""
    device = Device("", address_of(request), body.language, body.device_token)
    await entry.send_code(body.phone, device)
    rules = entry.codes.rules
    return CodeAnswer(
        expires_in_s=int(rules.lifetime.total_seconds()),
        again_in_s=int(rules.resend_after.total_seconds()),
    )


@router.post(
    "",
    responses=problems(InvalidInput, WrongCode, CodeExpired, PhoneLocked, TooManyRequests),
)
async def log_driver_in(
    body: PhoneLogin,
    request: Request,
    response: Response,
    present: PresentDriver,
    *,
    entry: Entry,
    parts: Parts,
) -> DriverLoginResult:
    """Log in by phone and code; the first time opens the account.

    A guest who shows their login keeps their idToken in the account.
    """
    device = Device(body.device_name, address_of(request), body.language, body.device_token)
    return _answer(await entry.log_in(body.phone, body.code, device, present), response, parts)


@router.post(
    "/wechat",
    responses=problems(
        InvalidInput, WeChatNotConfigured, WeChatRefused, WeChatTaken, NotFound, TooManyRequests
    ),
)
async def log_driver_in_by_wechat(
    body: WeChatLogin,
    request: Request,
    response: Response,
    present: PresentDriver,
    *,
    entry: Entry,
    parts: Parts,
) -> DriverLoginResult:
    """Log in by WeChat. Who shows the login of an account binds WeChat to it."""
    device = Device(body.device_name, address_of(request), body.language)
    return _answer(await entry.log_in_by_wechat(body.code, device, present), response, parts)


@router.post("/guests", status_code=201, responses=problems(InvalidInput, TooManyRequests))
async def log_guest_in(
    body: DeviceInput, request: Request, response: Response, *, entry: Entry, parts: Parts
) -> DriverLoginResult:
    """Enter without an account: for a day, to charge and no more."""
    device = Device(body.device_name, address_of(request), body.language)
    return _answer(await entry.enter_as_guest(device), response, parts)


@router.get("", responses=problems(*DRIVER_GUARDS))
async def list_driver_logins(principal: Driver, logins: Logins) -> DeviceList:
    """List the devices on which the driver is logged in, the newest first."""
    rows = await logins.list_devices(principal.driver_id)
    return DeviceList(
        items=[
            DeviceView(
                id=row.id,
                device_name=row.device_name,
                created_at=row.created_at,
                expires_at=row.expires_at,
                current=row.id == principal.login_id,
            )
            for row in rows
        ]
    )


@router.delete("", status_code=204, responses=problems(*DRIVER_GUARDS))
async def log_driver_out_everywhere(principal: Driver, response: Response, logins: Logins) -> None:
    """Log out on every device, this one too."""
    await logins.log_out_everywhere(principal.driver_id)
    COOKIES.forget(response)


@router.delete("/current", status_code=204, responses=problems(*DRIVER_GUARDS))
async def log_driver_out(principal: Driver, response: Response, logins: Logins) -> None:
    """Log out on this device."""
    await logins.log_out(principal.driver_id, principal.login_id)
    COOKIES.forget(response)


@router.delete("/{login_id}", status_code=204, responses=problems(*DRIVER_GUARDS, NotFound))
async def log_driver_device_out(login_id: UUID, principal: Driver, logins: Logins) -> None:
    """Log out on one device of the driver's own."""
    await logins.log_out(principal.driver_id, login_id)


def _answer(entered: Entered, response: Response, parts: DriverParts) -> DriverLoginResult:
    login = entered.login
    COOKIES.give(
        response,
        login.token,
        login.csrf_token,
        expires=login.principal.expires_at,
        secure=parts.secure_cookies,
    )
    return DriverLoginResult(
        driver_id=login.principal.driver_id,
        is_guest=login.principal.is_guest,
        is_new=entered.is_new,
        expires_at=login.principal.expires_at,
        token=login.token,
        csrf_token=login.csrf_token,
        device_token=entered.device_token,
    )
