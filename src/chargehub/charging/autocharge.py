"""Binding a car to a vehicle (即插即充): by consent, and a charge that shows whose it is.

Who charges by app or card at a gun where an unknown car has presented itself since it was plugged
in charges that car. Nothing less binds it: neither a VIN that somebody has read through a
windscreen nor a car that stands at the next gun.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.charging.rules import StartedBy
from chargehub.charging.store import charges
from chargehub.drivers.accounts import find_account
from chargehub.drivers.bindings import Consent, EndedBy, Proof, bind, end_bindings
from chargehub.drivers.consent_texts import CURRENT
from chargehub.drivers.sightings import forget_sighting, read_sightings
from chargehub.drivers.vehicle_identity import CarNames, IdentityKind, VehicleIdentity
from chargehub.drivers.vehicles import Garage, find_vehicle
from chargehub.kit.errors import Conflict
from chargehub.transactions.store import transactions

OWN_START = (StartedBy.APP, StartedBy.CARD)


class ConsentOutdated(Conflict):
    """The text has changed: read the one of now, and agree to that."""

    code = "consent-outdated"


class NoOwnCharge(Conflict):
    """Plug the car in and start a charge by app or card first; while it runs you can confirm."""

    code = "no-own-charge"


class CarNotSeen(Conflict):
    """The station has not told which car is at your gun; plug in anew at one that does."""

    code = "car-not-seen"


class VinDiffers(Conflict):
    """The car at your gun has another VIN than this vehicle."""

    code = "vin-differs"


@dataclass(frozen=True, slots=True)
class Seen:
    """The unknown car at the gun where the driver charges."""

    identity: VehicleIdentity
    gun_code: str
    seen_at: datetime
    proof: Proof


async def look_for_car(
    connection: AsyncConnection,
    names: CarNames,
    driver_id: UUID,
    now: datetime,
    gun_code: str | None = None,
) -> Seen:
    """Return the car that the driver charges, at that gun where they charge at several.

    Raises NoOwnCharge, CarNotSeen.
    """
    running = await _read_own_charges(connection, driver_id)
    if not running:
        raise NoOwnCharge
    seen = [
        row
        for row in await read_sightings(connection, list(running), now)
        if gun_code is None or (row.gun_code or "").lower() == gun_code.lower()
    ]
    if not seen:
        raise CarNotSeen
    row = seen[0]
    return Seen(
        names.opened(row.kind, row.identity_sealed, row.id_token),
        row.gun_code,
        row.seen_at,
        Proof(row.station_id, row.evse_no, running[row.station_id, row.evse_no]),
    )


async def _read_own_charges(
    connection: AsyncConnection, driver_id: UUID
) -> dict[tuple[int, int], int]:
    """Return the transactions that run by the driver's own hand, by gun."""
    query = (
        select(transactions.c.station_id, transactions.c.evse_no, transactions.c.id)
        .join(charges, charges.c.transaction_id == transactions.c.id)
        .where(
            charges.c.driver_id == driver_id,
            charges.c.started_by.in_(OWN_START),
            charges.c.ended_at.is_(None),
            transactions.c.state == "Active",
            transactions.c.authorization_status == "Accepted",
            transactions.c.evse_no.is_not(None),
        )
    )
    return {
        (row.station_id, row.evse_no): row.id for row in (await connection.execute(query)).all()
    }


@dataclass(frozen=True, slots=True)
class Autocharge:
    """Confirming and revoking, in the caller's transaction."""

    names: CarNames
    garage: Garage

    async def confirm(  # noqa: PLR0917 - what a request says
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        vehicle_id: UUID,
        consent: Consent,
        now: datetime,
        gun_code: str | None = None,
    ) -> UUID:
        """Bind the car that the driver charges to a vehicle of theirs.

        A vehicle whose VIN is not known has the car's. Raises NotFound, ConsentOutdated,
        NoOwnCharge, CarNotSeen, VinDiffers, CarBound, AlreadyBound.
        """
        await find_account(connection, driver_id, lock=True)
        vehicle = await find_vehicle(connection, driver_id, vehicle_id, lock=True)
        if consent.version != CURRENT:
            raise ConsentOutdated(version=CURRENT)
        seen = await look_for_car(connection, self.names, driver_id, now, gun_code)
        await self._agree_on_vin(connection, vehicle, seen.identity, now)
        bound = await bind(
            *(connection, self.names, driver_id, vehicle_id, seen.identity),
            consent=consent,
            proof=seen.proof,
            at=now,
        )
        await forget_sighting(connection, seen.proof.station_id, seen.proof.evse_no)
        return bound

    async def _agree_on_vin(
        self,
        connection: AsyncConnection,
        vehicle: Row[Any],
        identity: VehicleIdentity,
        now: datetime,
    ) -> None:
        if identity.kind is not IdentityKind.VIN:
            return
        known = self.garage.opened(vehicle).vin
        if known is None:
            values = {"vin": identity.text}
            await self.garage.change(connection, vehicle.driver_id, vehicle.id, values, now)
        elif known != identity.text:
            raise VinDiffers

    async def revoke(
        self, connection: AsyncConnection, driver_id: UUID, vehicle_id: UUID, now: datetime
    ) -> None:
        """End it for all that the vehicle is known by. Raises NotFound."""
        await find_account(connection, driver_id, lock=True)
        await find_vehicle(connection, driver_id, vehicle_id, lock=True)
        await end_bindings(connection, now, EndedBy.DRIVER, vehicle_id=vehicle_id)
