"""Cars that may start by themselves: bound to a vehicle by consent, until somebody ends it.

A bound car has a row of `id_tokens` in its driver's group; the row stays when the binding ends, and
is blocked. All in the caller's transaction; times are hub time.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.store import drivers, id_tokens, vehicle_bindings
from chargehub.drivers.vehicle_identity import CarNames, VehicleIdentity
from chargehub.kit.errors import Conflict, NotFound

Rows = Sequence[Row[Any]]
LISTED_MAX = 100


class EndedBy(StrEnum):
    """Who or what ended a binding."""

    DRIVER = "driver"
    STAFF = "staff"
    VEHICLE_REMOVED = "vehicle_removed"
    VIN_CHANGED = "vin_changed"
    ACCOUNT_CLOSED = "account_closed"


class CarBound(Conflict):
    """This car starts by itself for another account; ask the hub if it is yours."""

    code = "car-bound"


class AlreadyBound(Conflict):
    """A car starts by itself for this vehicle already; revoke that first to bind another."""

    code = "already-bound"


@dataclass(frozen=True, slots=True)
class Consent:
    """What the driver agreed to: which version of the text, in which language."""

    version: str
    language: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The charge of the driver's own at which the station named the car."""

    station_id: int
    evse_no: int
    transaction_id: int


async def bind(
    connection: AsyncConnection,
    names: CarNames,
    driver_id: UUID,
    vehicle_id: UUID,
    identity: VehicleIdentity,
    *,
    consent: Consent,
    proof: Proof,
    at: datetime,
) -> UUID:
    """Let a car start for a driver from now on. Raises CarBound, AlreadyBound."""
    token = names.token_of(identity)
    await _give_token(connection, driver_id, token, identity, at)
    binding_id = uuid.uuid4()
    row = insert(vehicle_bindings).values(
        id=binding_id,
        driver_id=driver_id,
        vehicle_id=vehicle_id,
        kind=identity.kind,
        identity_sealed=names.sealed(identity, token),
        id_token=token,
        consent_version=consent.version,
        consent_language=consent.language,
        consented_at=at,
        station_id=proof.station_id,
        evse_no=proof.evse_no,
        transaction_id=proof.transaction_id,
    )
    try:
        async with connection.begin_nested():
            await connection.execute(row)
    except IntegrityError as error:
        of_car = "uq_vehicle_bindings_id_token" in str(error.orig)
        raise (CarBound if of_car else AlreadyBound) from None
    return binding_id


async def _give_token(
    connection: AsyncConnection,
    driver_id: UUID,
    token: str,
    identity: VehicleIdentity,
    at: datetime,
) -> None:
    known = (
        await connection.execute(
            select(id_tokens.c.driver_id).where(id_tokens.c.token == token).with_for_update()
        )
    ).one_or_none()
    open_one = select(vehicle_bindings.c.driver_id).where(
        vehicle_bindings.c.id_token == token, vehicle_bindings.c.ended_at.is_(None)
    )
    owner = await connection.scalar(open_one)
    if owner is not None:
        raise AlreadyBound if owner == driver_id else CarBound
    group = await connection.scalar(select(drivers.c.group_token).where(drivers.c.id == driver_id))
    values: dict[str, Any] = {
        "kind": identity.kind,
        "group_token": group,
        "status": "Accepted",
        "driver_id": driver_id,
    }
    if known is None:
        await connection.execute(
            insert(id_tokens).values(token=token, display=token, driver_since=at, **values)
        )
        return
    if known.driver_id != driver_id:
        values["driver_since"] = at
    await connection.execute(update(id_tokens).where(id_tokens.c.token == token).values(values))


async def end_bindings(
    connection: AsyncConnection,
    at: datetime,
    by: EndedBy,
    reason: str = "",
    **which: Any,
) -> int:
    """End the open bindings of which these columns are so; return how many.

    From now on the car is refused; what it charges now goes on.
    """
    columns = vehicle_bindings.c
    ended = await connection.scalars(
        update(vehicle_bindings)
        .where(columns.ended_at.is_(None), *(columns[name] == is_ for name, is_ in which.items()))
        .values(ended_at=at, ended_by=by, end_reason=reason, identity_sealed=None)
        .returning(columns.id_token)
    )
    tokens = ended.all()
    if tokens:
        await connection.execute(
            update(id_tokens).where(id_tokens.c.token.in_(tokens)).values(status="Blocked")
        )
    return len(tokens)


async def read_bindings(connection: AsyncConnection, **which: Any) -> Rows:
    """Return the newest bindings of which these columns are so, ended ones too."""
    columns = vehicle_bindings.c
    query = (
        select(vehicle_bindings)
        .where(*(columns[name] == value for name, value in which.items()))
        .order_by(columns.consented_at.desc(), columns.id)
        .limit(LISTED_MAX)
    )
    return (await connection.execute(query)).all()


async def bound_vehicle(connection: AsyncConnection, token: str) -> UUID | None:
    """Return the vehicle of the car with this idToken; None: it is bound no more."""
    query = select(vehicle_bindings.c.vehicle_id).where(
        vehicle_bindings.c.id_token == token, vehicle_bindings.c.ended_at.is_(None)
    )
    found: UUID | None = await connection.scalar(query)
    return found


async def find_open_binding(
    connection: AsyncConnection, driver_id: UUID, binding_id: UUID
) -> Row[Any]:
    """Return a driver's binding that has not ended, and lock it; else NotFound."""
    columns = vehicle_bindings.c
    query = select(vehicle_bindings).where(
        columns.id == binding_id, columns.driver_id == driver_id, columns.ended_at.is_(None)
    )
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound("The driver has no such binding, or it has ended.")
    return row


class AutochargePart(AccountPart):
    """What an account's end and its copy have to do with cars that start by themselves."""

    name = "plug_and_charge"

    def __init__(self, names: CarNames) -> None:
        self._names = names

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        await end_bindings(connection, at, EndedBy.ACCOUNT_CLOSED, driver_id=driver_id)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        kept = []
        for row in await read_bindings(connection, driver_id=driver_id):
            sealed = row.identity_sealed
            car = sealed and self._names.opened(row.kind, sealed, row.id_token).text
            kept.append(
                {
                    "vehicle_id": row.vehicle_id,
                    "kind": row.kind,
                    "identity": car,
                    "id_token": row.id_token,
                    "consent_version": row.consent_version,
                    "consented_at": row.consented_at,
                    "ended_at": row.ended_at,
                    "ended_by": row.ended_by,
                    "end_reason": row.end_reason,
                }
            )
        return kept or None
