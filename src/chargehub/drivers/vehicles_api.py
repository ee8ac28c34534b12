"""REST of a driver's own vehicles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, StrictBool, StrictInt, field_validator

from chargehub.drivers.account_fields import ConnectorStandard, Input, Plate, Vin
from chargehub.drivers.principal import DRIVER_GUARDS, AccountHolder, AccountNeeded
from chargehub.drivers.vehicles import (
    MAX_VEHICLES,
    Garage,
    PlateKnown,
    TooManyVehicles,
    Vehicle,
    find_default,
    find_vehicle,
    read_vehicles,
    remove_vehicle,
)
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.idempotency import ONCE, Once

router = APIRouter(prefix=f"{API_PREFIX}/vehicles", tags=["Vehicles"])

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
Vehicles = Annotated[Garage, Depends(provided(Garage))]

GUARDS = (*DRIVER_GUARDS, AccountNeeded)
BatteryWh = Annotated[StrictInt, Field(ge=1_000, le=2_000_000, examples=[60_000])]


class NewVehicle(Input):
    plate: Plate
    vin: Vin | None = Field(
        None, description="With it the car may start a charge by itself. One VIN has one owner."
    )
    connector_standard: ConnectorStandard = ConnectorStandard.GBT_DC
    battery_wh: BatteryWh | None = None


class VehicleChange(Input):
    """What is left out stays."""

    plate: Plate | None = None
    vin: Vin | None = Field(None, description="Null takes it away.")
    connector_standard: ConnectorStandard | None = None
    battery_wh: BatteryWh | None = Field(None, description="Null takes it away.")
    is_default: StrictBool | None = Field(
        None, description="True: make it the one that charges unless you say another."
    )

    @field_validator("is_default")
    @classmethod
    def _only_made(cls, value: bool | None) -> bool | None:
        if value is False:
            raise ValueError("Make another vehicle the default one instead")
        return value


class VehicleMade(BaseModel):
    id: UUID = Field(
        description="GET /vehicles/{vehicle_id} tells the rest.",
        examples=["2f9520f3-f637-43d0-8113-2532a49a3a75"],
    )


class VehicleView(BaseModel):
    id: UUID
    plate: str = Field(description="As it is known: in capitals, without a dot.")
    vin: str | None = Field(examples=["LSVAA4187C2184841"])
    connector_standard: ConnectorStandard
    battery_wh: int | None = Field(description="Tells how long a charge still takes.")
    created_at: datetime
    is_default: bool = Field(
        description="The one that charges unless you say another: the one last made so, else the "
        "first that was entered."
    )


class VehicleList(BaseModel):
    items: list[VehicleView] = Field(description=f"All of them: at most {MAX_VEHICLES}.")


def view_of(vehicle: Vehicle) -> VehicleView:
    return VehicleView(
        id=vehicle.id,
        plate=vehicle.plate,
        vin=vehicle.vin,
        connector_standard=ConnectorStandard(vehicle.connector_standard),
        battery_wh=vehicle.battery_wh,
        created_at=vehicle.created_at,
        is_default=vehicle.is_default,
    )


@router.get("", responses=problems(*GUARDS))
async def list_vehicles(principal: AccountHolder, database: Db, garage: Vehicles) -> VehicleList:
    """List the driver's own vehicles."""
    async with database.read() as connection:
        rows = await read_vehicles(connection, [principal.driver_id])
        default = await find_default(connection, principal.driver_id)
    return VehicleList(items=[view_of(garage.opened(row, default)) for row in rows])


@router.post(
    "",
    status_code=201,
    responses=problems(*GUARDS, PlateKnown, TooManyVehicles, NotFound, *ONCE),
)
async def add_vehicle(
    body: NewVehicle, principal: AccountHolder, garage: Vehicles, clock: Clock, once: Once
) -> VehicleMade:
    """Enter a vehicle. The answer is its id alone, since answers are kept for repeats."""
    async with once.write(principal.driver_id) as connection:
        made = await garage.add(
            connection, principal.driver_id, body.model_dump(mode="json"), clock.now()
        )
        return once.keep(VehicleMade(id=made))


@router.get("/{vehicle_id}", responses=problems(*GUARDS, NotFound))
async def get_vehicle(
    vehicle_id: UUID, principal: AccountHolder, database: Db, garage: Vehicles
) -> VehicleView:
    """Return a vehicle of the driver's own."""
    async with database.read() as connection:
        row = await find_vehicle(connection, principal.driver_id, vehicle_id)
        default = await find_default(connection, principal.driver_id)
    return view_of(garage.opened(row, default))


@router.patch("/{vehicle_id}", responses=problems(*GUARDS, NotFound, PlateKnown))
async def change_vehicle(
    vehicle_id: UUID,
    body: VehicleChange,
    principal: AccountHolder,
    *,
    database: Db,
    garage: Vehicles,
    clock: Clock,
) -> VehicleView:
    """Change what is named of a vehicle of the driver's own.

    With another VIN, or none, plug-and-charge by the VIN that it had has ended.
    """
    values = body.model_dump(mode="json", exclude_unset=True)
    for name in ("plate", "connector_standard"):
        if values.get(name, "") is None:
            del values[name]
    if values.pop("is_default", None):
        values["preferred_at"] = clock.now()
    async with database.write() as connection:
        await garage.change(connection, principal.driver_id, vehicle_id, values, clock.now())
        row = await find_vehicle(connection, principal.driver_id, vehicle_id)
        default = await find_default(connection, principal.driver_id)
    return view_of(garage.opened(row, default))


@router.delete("/{vehicle_id}", status_code=204, responses=problems(*GUARDS, NotFound))
async def delete_vehicle(
    vehicle_id: UUID, principal: AccountHolder, database: Db, clock: Clock
) -> None:
    """Forget a vehicle of the driver's own; its plug-and-charge is over."""
    async with database.write() as connection:
        await remove_vehicle(connection, principal.driver_id, vehicle_id, clock.now())
