"""Drivers' vehicles: plates and VINs are sealed; by the plate a vehicle is found."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.accounts import find_account
from chargehub.drivers.bindings import EndedBy, end_bindings
from chargehub.drivers.store import vehicles
from chargehub.drivers.vehicle_identity import IdentityKind
from chargehub.kit.errors import Conflict, NotFound
from chargehub.kit.sealing import Seal

MAX_VEHICLES = 10
PLATE, VIN = "vehicles.plate", "vehicles.vin"


class PlateKnown(Conflict):
    """You have a vehicle with this plate."""

    code = "plate-known"


class TooManyVehicles(Conflict):
    """You have as many vehicles as a driver may have; remove one first."""

    code = "too-many-vehicles"


@dataclass(frozen=True, slots=True)
class Vehicle:
    id: UUID
    plate: str
    vin: str | None
    connector_standard: str
    battery_wh: int | None
    created_at: datetime
    is_default: bool = False


class Garage:
    """The vehicles of one hub, under its seal. Plates and VINs come normalised."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def opened(self, row: Row[Any], default: Row[Any] | None = None) -> Vehicle:
        """Return a vehicle as its driver knows it; `default` is the driver's default one."""
        vin = row.vin_sealed
        return Vehicle(
            id=row.id,
            plate=self._seal.open_text(row.plate_sealed, f"{PLATE}/{row.id}"),
            vin=None if vin is None else self._seal.open_text(vin, f"{VIN}/{row.id}"),
            connector_standard=row.connector_standard,
            battery_wh=row.battery_wh,
            created_at=row.created_at,
            is_default=default is not None and default.id == row.id,
        )

    async def add(
        self, connection: AsyncConnection, driver_id: UUID, values: dict[str, Any], at: datetime
    ) -> UUID:
        """Store a vehicle: `plate`, `vin`, `connector_standard`, `battery_wh`.

        Raises PlateKnown or TooManyVehicles.
        """
        await find_account(connection, driver_id, lock=True)
        count = await connection.scalar(
            select(func.count()).where(vehicles.c.driver_id == driver_id)
        )
        if count is not None and count >= MAX_VEHICLES:
            raise TooManyVehicles(max=MAX_VEHICLES)
        vehicle_id = uuid.uuid4()
        columns = self._columns(vehicle_id, values)
        row = insert(vehicles).values(id=vehicle_id, driver_id=driver_id, created_at=at, **columns)
        await _stored(connection, row)
        return vehicle_id

    async def change(
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        vehicle_id: UUID,
        values: dict[str, Any],
        at: datetime,
    ) -> None:
        """Change what is named. Another VIN is another car, which starts nothing by itself.

        Raises NotFound or PlateKnown.
        """
        row = await find_vehicle(connection, driver_id, vehicle_id, lock=True)
        columns = self._columns(vehicle_id, values)
        if "vin" in values and values["vin"] != self.opened(row).vin:
            which: dict[str, Any] = {"vehicle_id": vehicle_id, "kind": IdentityKind.VIN}
            await end_bindings(connection, at, EndedBy.VIN_CHANGED, **which)
        if columns:
            await _stored(
                connection, update(vehicles).where(vehicles.c.id == vehicle_id).values(columns)
            )

    def plate_fingerprint(self, plate: str) -> bytes:
        return self._seal.fingerprint(plate, PLATE)

    def _columns(self, vehicle_id: UUID, values: dict[str, Any]) -> dict[str, Any]:
        columns = dict(values)
        for name, purpose in (("plate", PLATE), ("vin", VIN)):
            if name in columns:
                text = columns.pop(name)
                columns[f"{name}_sealed"] = text and self._seal.close(
                    text, f"{purpose}/{vehicle_id}"
                )
        if "plate" in values:
            columns["plate_fingerprint"] = self.plate_fingerprint(values["plate"])
        return columns


async def _stored(connection: AsyncConnection, statement: Any) -> None:
    try:
        async with connection.begin_nested():
            await connection.execute(statement)
    except IntegrityError:
        # Its text quotes fingerprints only, but whoever asks needs a sentence.
        raise PlateKnown from None


async def find_vehicle(
    connection: AsyncConnection, driver_id: UUID, vehicle_id: UUID, *, lock: bool = False
) -> Row[Any]:
    """Return a vehicle of this driver; another's is not there."""
    query = select(vehicles).where(vehicles.c.id == vehicle_id, vehicles.c.driver_id == driver_id)
    if lock:
        query = query.with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such vehicle of yours.")
    return row


async def read_vehicles(
    connection: AsyncConnection, driver_ids: Collection[UUID]
) -> Sequence[Row[Any]]:
    """Return the vehicles of these drivers, in the order in which they were entered."""
    query = select(vehicles).where(vehicles.c.driver_id.in_(driver_ids))
    return (await connection.execute(query.order_by(vehicles.c.created_at, vehicles.c.id))).all()


async def find_default(connection: AsyncConnection, driver_id: UUID) -> Row[Any] | None:
    """Return the vehicle that its driver takes unless they say another; None without any."""
    query = (
        select(vehicles)
        .where(vehicles.c.driver_id == driver_id)
        .order_by(vehicles.c.preferred_at.desc().nulls_last(), vehicles.c.created_at, vehicles.c.id)
        .limit(1)
    )
    return (await connection.execute(query)).one_or_none()


async def battery_of(
    connection: AsyncConnection, driver_id: UUID, vehicle_id: UUID | None = None
) -> int | None:
    """Return the battery's Wh of this vehicle, else of the default one; None: not known.

    Raises NotFound where the vehicle is not this driver's.
    """
    if vehicle_id is not None:
        row: Row[Any] | None = await find_vehicle(connection, driver_id, vehicle_id)
    else:
        row = await find_default(connection, driver_id)
    battery_wh: int | None = row.battery_wh if row is not None else None
    return battery_wh


async def remove_vehicle(
    connection: AsyncConnection, driver_id: UUID, vehicle_id: UUID, at: datetime
) -> None:
    """Forget a vehicle; from now on the car starts nothing by itself."""
    await find_vehicle(connection, driver_id, vehicle_id, lock=True)
    await end_bindings(connection, at, EndedBy.VEHICLE_REMOVED, vehicle_id=vehicle_id)
    await connection.execute(delete(vehicles).where(vehicles.c.id == vehicle_id))
