"""REST of a driver's logins: the devices that are logged in, and logging them out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.principal import (
    DRIVER_COOKIE,
    DRIVER_CSRF_COOKIE,
    DRIVER_GUARDS,
    Driver,
)
from chargehub.kit.errors import NotFound
from chargehub.kit.http import API_PREFIX, problems, provided

router = APIRouter(prefix=f"{API_PREFIX}/driver-logins", tags=["Driver logins"])

Logins = Annotated[DriverLogins, Depends(provided(DriverLogins))]


class DeviceView(BaseModel):
    id: UUID
    device_name: str = Field(examples=["iPhone 17"])
    created_at: datetime = Field(description="Wall time, as all of a login.")
    expires_at: datetime
    current: bool = Field(description="Whether it is the login that asks.")


class DeviceList(BaseModel):
    items: list[DeviceView]


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
    forget_cookies(response)


@router.delete("/current", status_code=204, responses=problems(*DRIVER_GUARDS))
async def log_driver_out(principal: Driver, response: Response, logins: Logins) -> None:
    """Log out on this device."""
    await logins.log_out(principal.driver_id, principal.login_id)
    forget_cookies(response)


@router.delete("/{login_id}", status_code=204, responses=problems(*DRIVER_GUARDS, NotFound))
async def log_driver_device_out(login_id: UUID, principal: Driver, logins: Logins) -> None:
    """Log out on one device of the driver's own."""
    await logins.log_out(principal.driver_id, login_id)


def forget_cookies(response: Response) -> None:
    for name in (DRIVER_COOKIE, DRIVER_CSRF_COOKIE):
        response.delete_cookie(name, path="/", samesite="strict")
