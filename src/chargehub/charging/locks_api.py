"""REST of the ground lock for the driver in front of it: have it lowered, see what became of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from chargehub.bays.orders import NoLock
from chargehub.bays.queries import find_command_of_driver
from chargehub.bays.service import Bays, LockRefused
from chargehub.bays.views import DriverLockCommand, driver_command
from chargehub.charging.api import GUN_PROBLEMS, ScannedCode
from chargehub.charging.codes import CodeForms, read_gun_code
from chargehub.charging.queries import find_gun
from chargehub.drivers.principal import DRIVER_GUARDS, Driver
from chargehub.kit.errors import NotFound
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.idempotency import ONCE, Once

router = APIRouter(prefix=API_PREFIX, tags=["Charges"])

Parts = Annotated[Bays, Depends(provided(Bays))]
Forms = Annotated[CodeForms, Depends(provided(CodeForms))]


class LockToLower(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gun_code: ScannedCode


@router.post(
    "/lock-commands",
    status_code=202,
    responses=problems(*DRIVER_GUARDS, *ONCE, *GUN_PROBLEMS, NoLock, LockRefused),
)
async def lower_lock_of_gun(
    body: LockToLower, principal: Driver, once: Once, *, parts: Parts, forms: Forms
) -> DriverLockCommand:
    """Have the ground lock in front of you lowered, as you arrive.

    For the driver for whom the gun is held now; where it is held for nobody, for anybody. A
    refusal names its `rule` and when it would pass. `pending`: ask for the command again until it
    is over.
    """
    wanted = read_gun_code(body.gun_code, forms)
    async with once.write(principal.driver_id) as connection:
        gun = await find_gun(connection, wanted)
        place = (gun.station_id, gun.evse_no)
        now = parts.clock.now()
        row = await parts.lower_for_driver(connection, principal.driver_id, place, now)
        return once.keep(driver_command(row, gun.gun_code), status=202)


@router.get("/lock-commands/{lock_command_id}", responses=problems(*DRIVER_GUARDS, NotFound))
async def get_lock_command(
    lock_command_id: UUID, principal: Driver, parts: Parts
) -> DriverLockCommand:
    """Say what became of lowering a lock for you."""
    async with parts.database.read() as connection:
        row = await find_command_of_driver(connection, lock_command_id, principal.driver_id)
    return driver_command(row, row.gun_code)
