"""The life of a charge's row: asked for, begun, told to stop, over. In the caller's transaction.

Every step is repeatable and holds whatever came before: a transaction may be told late, twice, or
after we had given it up.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.charging.queries import read_first_soc
from chargehub.charging.rules import (
    BEGINNING,
    ChargeState,
    EndReason,
    Limits,
    Progress,
    StartedBy,
    begun_at,
    end_reason,
    minutes_charged,
)
from chargehub.charging.store import charges
from chargehub.drivers.accounts import APP_PREFIX
from chargehub.drivers.bindings import bound_vehicle
from chargehub.drivers.inbox import notify
from chargehub.drivers.store import id_tokens
from chargehub.drivers.vehicle_identity import IdentityKind
from chargehub.drivers.vehicles import battery_of
from chargehub.kit import jobs
from chargehub.stations.store import charging_stations, evses, station_commands
from chargehub.telemetry.queries import read_latest_values
from chargehub.transactions.of_drivers import OF_OWNER
from chargehub.transactions.store import transactions

START_DUE = "charge.start"
"""A start that no transaction followed is given up."""
STOP_DUE = "charge.stop"
"""The station is asked to stop, and again until it has."""
MINUTES_DUE = "charge.minutes"
"""The minutes a driver asked for are over."""

BELATED = timedelta(days=7)
"""What began and ended unheard is looked for so far back at start-up."""
_BY_CAR = {IdentityKind.VIN: StartedBy.VIN, IdentityKind.MAC: StartedBy.MAC}


@dataclass(frozen=True, slots=True)
class Settled:
    """A transaction's charge, as its row stands now."""

    charge_id: UUID
    started_at: datetime
    limits: Limits
    stopping: bool
    over: bool
    progress: Progress | None = None
    first_soc_percent: float | None = None


def limits_of(row: Row[Any]) -> Limits:
    return Limits(row.limit_energy_wh, row.limit_minutes, row.limit_soc_percent, row.stop_when_full)


async def insert_wish(
    connection: AsyncConnection,
    now: datetime,
    values: dict[str, Any],
    limits: Limits,
    give_up_at: datetime,
) -> UUID | None:
    """Write down that a driver wants to start; None: they, or that gun, wait for a start already.

    `values`: driver_id, station_id, evse_no, id_token, battery_wh.
    """
    charge_id = uuid.uuid4()
    row = insert_or_skip(charges).values(
        id=charge_id,
        started_by=StartedBy.APP,
        state=ChargeState.REQUESTED,
        requested_at=now,
        limit_energy_wh=limits.energy_wh,
        limit_minutes=limits.minutes,
        limit_soc_percent=limits.soc_percent,
        stop_when_full=limits.when_full,
        **values,
    )
    inserted = await connection.execute(row.on_conflict_do_nothing().returning(charges.c.id))
    if inserted.one_or_none() is None:
        return None
    await jobs.schedule_once(connection, START_DUE, [charge_id], give_up_at)
    return charge_id


async def link_command(
    connection: AsyncConnection, charge_id: UUID, command_id: UUID, remote_start_id: int
) -> None:
    await connection.execute(
        update(charges)
        .where(charges.c.id == charge_id)
        .values(command_id=command_id, remote_start_id=remote_start_id)
    )


async def take_back(connection: AsyncConnection, charge_id: UUID) -> None:
    """Forget a wish for which no station was asked, unless a charge has come of it all the same."""
    await connection.execute(
        delete(charges).where(
            charges.c.id == charge_id,
            charges.c.command_id.is_(None),
            charges.c.transaction_id.is_(None),
        )
    )
    await jobs.drop(connection, START_DUE, str(charge_id))


async def mark_starting(connection: AsyncConnection, charge_id: UUID) -> None:
    """The station has accepted, or may have."""
    await connection.execute(
        update(charges)
        .where(charges.c.id == charge_id, charges.c.state == ChargeState.REQUESTED)
        .values(state=ChargeState.STARTING)
    )


async def fail(
    connection: AsyncConnection, now: datetime, charge_id: UUID, reason: EndReason
) -> None:
    """Close a charge that never began, and tell its driver; one that began is left alone."""
    stopped = await connection.scalar(
        update(charges)
        .where(
            charges.c.id == charge_id,
            charges.c.state == ChargeState.STOPPING,
            charges.c.transaction_id.is_(None),
        )
        .values(state=ChargeState.ENDED, ended_at=now, end_reason=EndReason.DRIVER)
        .returning(charges.c.id)
    )
    if stopped is not None:
        return  # They had changed their mind before it could begin: no failure.
    failed = await connection.scalar(
        update(charges)
        .where(charges.c.id == charge_id, charges.c.state.in_(BEGINNING))
        .values(state=ChargeState.FAILED, ended_at=now, end_reason=reason)
        .returning(charges.c.id)
    )
    if failed is not None:
        await _tell(connection, "charging_failed", charge_id, now)


async def ask_stop(
    connection: AsyncConnection, now: datetime, transaction_id: int, why: EndReason
) -> UUID | None:
    """Have the station told to stop, from now on until it has; None: it was told, or is over."""
    charge_id: UUID | None = await connection.scalar(
        update(charges)
        .where(charges.c.transaction_id == transaction_id, charges.c.state == ChargeState.CHARGING)
        .values(state=ChargeState.STOPPING, stop_reason=why, stop_requested_at=now)
        .returning(charges.c.id)
    )
    if charge_id is not None:
        await jobs.schedule(connection, STOP_DUE, str(charge_id), now)
    return charge_id


async def find_unsettled(connection: AsyncConnection, now: datetime) -> list[int]:
    """Return the transactions whose charges may not be what they should be."""
    return sorted(await connection.scalars(unsettled_query(now)))


def unsettled_query(now: datetime) -> CompoundSelect[tuple[int]]:
    """Select them; what this costs may not grow with the charges that ever were."""
    theirs = (
        select(transactions.c.id)
        .join(id_tokens, OF_OWNER)
        .where(id_tokens.c.driver_id.is_not(None))
    )
    active = theirs.where(transactions.c.state == "Active")
    unheard = theirs.where(
        transactions.c.started_at >= now - BELATED,
        ~exists().where(charges.c.transaction_id == transactions.c.id),
    )
    going_on = select(charges.c.transaction_id).where(
        charges.c.ended_at.is_(None), charges.c.transaction_id.is_not(None)
    )
    return union(active, unheard, going_on, _begun_by_command(now))


def _begun_by_command(now: datetime) -> Select[tuple[int | None]]:
    """Select the transactions that a command has begun and whose charges do not know it yet."""
    return (
        select(station_commands.c.transaction_id)
        .join(charges, charges.c.command_id == station_commands.c.id)
        .where(
            charges.c.transaction_id.is_(None),
            charges.c.requested_at >= now - BELATED,
            station_commands.c.transaction_id.is_not(None),
        )
    )


async def find_of_drivers(
    connection: AsyncConnection, now: datetime, transaction_ids: Collection[int]
) -> frozenset[int]:
    """Return those of the transactions that may be a driver's charge; one read for all of them."""
    query = of_drivers_query(now).where(transactions.c.id.in_(transaction_ids))
    return frozenset(await connection.scalars(query))


def of_drivers_query(now: datetime) -> Select[tuple[int]]:
    unbegun = and_(charges.c.transaction_id.is_(None), charges.c.ended_at.is_(None))
    ways = [
        exists().where(OF_OWNER, id_tokens.c.driver_id.is_not(None)),
        exists().where(charges.c.transaction_id == transactions.c.id),
        transactions.c.id.in_(_begun_by_command(now)),
        exists().where(unbegun, _same_gun_and_token(transactions.c)),
    ]
    return select(transactions.c.id).where(or_(*ways))


async def settle(connection: AsyncConnection, now: datetime, transaction_id: int) -> Settled | None:
    """Make a transaction's charge what the transaction says; None: it is no driver's."""
    query = (
        select(transactions, id_tokens.c.driver_id, id_tokens.c.kind.label("token_kind"))
        .outerjoin(id_tokens, OF_OWNER)
        .where(transactions.c.id == transaction_id)
    )
    told = (await connection.execute(query)).one_or_none()
    if told is None:
        return None
    charge = await _charge_of(connection, told)
    if charge is None:
        if told.driver_id is None or told.authorization_status != "Accepted":
            return None
        charge = await _insert_own(connection, now, told)
    elif charge.transaction_id is None:
        charge = await _begin(connection, now, charge, told)
    if told.state == "Ended":
        await _end(connection, now, charge, told)
    over = told.state == "Ended"
    stopping = charge.state == ChargeState.STOPPING
    limits = limits_of(charge)
    if over:
        return Settled(charge.id, charge.started_at, limits, stopping, over)
    return Settled(
        charge.id,
        charge.started_at,
        limits,
        stopping,
        over,
        await _read_progress(connection, told),
        await read_first_soc(connection, told.station_id, told.evse_no, told.id),
    )


async def _charge_of(connection: AsyncConnection, told: Row[Any]) -> Row[Any] | None:
    """Find the charge a transaction belongs to, and lock it."""
    linked = select(station_commands.c.id).where(station_commands.c.transaction_id == told.id)
    unbegun = charges.c.transaction_id.is_(None)
    ways = [
        charges.c.transaction_id == told.id,
        and_(unbegun, charges.c.command_id.in_(linked)),
        # The station says whose wish it is only with a later event, or never.
        and_(
            unbegun,
            _same_gun_and_token(told),
            charges.c.ended_at.is_(None),
            charges.c.requested_at <= told.received_at,
        ),
    ]
    for way in ways:
        query = select(charges).where(way).order_by(charges.c.requested_at.desc()).limit(1)
        found = (await connection.execute(query.with_for_update())).one_or_none()
        if found is not None:
            return found
    return None


def _same_gun_and_token(told: Any) -> ColumnElement[bool]:
    """`told`: a transaction's row, or its columns."""
    return and_(
        charges.c.station_id == told.station_id,
        charges.c.evse_no == told.evse_no,
        charges.c.id_token == told.id_token,
    )


async def _insert_own(connection: AsyncConnection, now: datetime, told: Row[Any]) -> Row[Any]:
    """A charge that the driver began without the app, by a card or by the car itself."""
    by_car = _BY_CAR.get(told.token_kind)
    by = by_car or StartedBy.CARD
    if told.id_token.startswith(APP_PREFIX):
        by = StartedBy.APP
    vehicle_id = await bound_vehicle(connection, told.id_token) if by_car is not None else None
    began = begun_at(told.started_at, told.received_at)
    inserted = await connection.execute(
        insert(charges)
        .values(
            id=uuid.uuid4(),
            driver_id=told.driver_id,
            station_id=told.station_id,
            evse_no=told.evse_no,
            started_by=by,
            id_token=told.id_token,
            remote_start_id=told.remote_start_id,
            battery_wh=await battery_of(connection, told.driver_id, vehicle_id),
            transaction_id=told.id,
            state=ChargeState.CHARGING,
            requested_at=began,
            started_at=began,
        )
        .returning(charges)
    )
    row: Row[Any] = inserted.one()
    if by_car is not None:
        # Nobody pressed anything: who was not there notices it by this.
        await _tell(connection, "plug_and_charge_began", row.id, now)
    return row


async def _begin(
    connection: AsyncConnection, now: datetime, charge: Row[Any], told: Row[Any]
) -> Row[Any]:
    """The start that was asked for has come, perhaps after we had given it up."""
    stopping = charge.state == ChargeState.STOPPING or (
        charge.state == ChargeState.ENDED and charge.stop_reason is not None
    )
    began = begun_at(told.started_at, told.received_at, charge.requested_at)
    begun = await connection.execute(
        update(charges)
        .where(charges.c.id == charge.id)
        .values(
            transaction_id=told.id,
            started_at=began,
            evse_no=told.evse_no if told.evse_no is not None else charge.evse_no,
            state=ChargeState.STOPPING if stopping else ChargeState.CHARGING,
            ended_at=None,
            end_reason=None,
        )
        .returning(charges)
    )
    if stopping:
        await jobs.schedule(connection, STOP_DUE, str(charge.id), now)
    elif charge.limit_minutes is not None:
        over_at = began + timedelta(minutes=charge.limit_minutes)
        await jobs.schedule_once(connection, MINUTES_DUE, [charge.id], over_at)
    row: Row[Any] = begun.one()
    return row


async def _end(
    connection: AsyncConnection, now: datetime, charge: Row[Any], told: Row[Any]
) -> None:
    asked = EndReason(charge.stop_reason) if charge.stop_reason is not None else None
    lost = told.end_received_at is None
    reason = end_reason(asked, told.stopped_reason, closed_by_us=lost)
    ended_at = _ended_at(charge, told)
    if charge.ended_at is not None:
        if charge.end_reason == EndReason.LOST and not lost:
            # The station has come back with its own word.
            await connection.execute(
                update(charges)
                .where(charges.c.id == charge.id)
                .values(end_reason=reason, ended_at=ended_at)
            )
        return
    await connection.execute(
        update(charges)
        .where(charges.c.id == charge.id)
        .values(state=ChargeState.ENDED, ended_at=ended_at, end_reason=reason)
    )
    await _tell(connection, "charging_ended", charge.id, now)


def _ended_at(charge: Row[Any], told: Row[Any]) -> datetime:
    """Return the end by the clock by which it began: as long after as the station says."""
    asked_at = charge.requested_at if charge.command_id is not None else None
    told_at: datetime = told.ended_at
    began: datetime = charge.started_at
    shift: timedelta = begun_at(told.started_at, told.received_at, asked_at) - told.started_at
    return max(told_at + shift, began)


async def _tell(connection: AsyncConnection, kind: str, charge_id: UUID, now: datetime) -> None:
    query = (
        select(
            charges,
            charging_stations.c.identity,
            charging_stations.c.location_id,
            evses.c.gun_code,
            transactions.c.energy_wh,
        )
        .join(charging_stations, charging_stations.c.id == charges.c.station_id)
        .outerjoin(
            evses,
            and_(evses.c.station_id == charges.c.station_id, evses.c.evse_no == charges.c.evse_no),
        )
        .outerjoin(transactions, transactions.c.id == charges.c.transaction_id)
        .where(charges.c.id == charge_id)
    )
    row = (await connection.execute(query)).one()
    facts: dict[str, Any] = {
        "charge_id": str(charge_id),
        "location_id": row.location_id,
        "station": row.identity,
        "evse_no": row.evse_no,
        "gun_code": row.gun_code,
        "reason": row.end_reason,
        "at": row.started_at,
    }
    if row.started_at is not None and row.ended_at is not None:
        facts["energy_wh"] = row.energy_wh
        facts["minutes"] = minutes_charged(row.started_at, row.ended_at)
    await notify(connection, row.driver_id, kind, facts, now, key=f"charge/{charge_id}/{kind}")


async def _read_progress(connection: AsyncConnection, told: Row[Any]) -> Progress | None:
    latest = await read_latest_values(connection, [(told.station_id, told.id)])
    values = latest.get(told.id)
    if values is None:
        return None
    soc = values.soc_percent
    return Progress(values.sampled_at, values.power_w, values.energy_wh, soc, told.charging_state)
