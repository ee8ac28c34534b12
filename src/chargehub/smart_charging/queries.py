"""What is known of a station's profiles, limits and habits: the reads that several parts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    and_,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.devices.store import station_variables
from chargehub.smart_charging.capabilities import Observation
from chargehub.smart_charging.composite import InForce
from chargehub.smart_charging.rules import (
    ENTRIES_PATH,
    LIMIT_PATHS,
    PERSISTENCE_PATH,
    SWITCH_PATHS,
    UNIT_PATHS,
    Held,
    StationLimits,
    read_limits,
)
from chargehub.smart_charging.store import (
    INSTALLED,
    charging_profiles,
    ev_needs,
    external_limits,
    profile_observations,
    profile_of,
    schedule_of,
)
from chargehub.stations.profiles import (
    ChargingProfile,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
)
from chargehub.stations.store import station_commands
from chargehub.transactions.store import transactions

Rows = Sequence[Row[Any]]

START_AWAITED = timedelta(hours=1)
"""How long a remote start's profile waits for its transaction."""

_PROFILES = charging_profiles.c

# The transaction of a remote start's profile is the one its command was linked to.
_WITH_TRANSACTION = charging_profiles.outerjoin(
    station_commands, station_commands.c.id == _PROFILES.command_id
).outerjoin(
    transactions,
    transactions.c.id == func.coalesce(_PROFILES.transaction_id, station_commands.c.transaction_id),
)
_OVER = and_(
    _PROFILES.purpose == ProfilePurpose.TX.value,
    or_(
        transactions.c.state == "Ended",
        and_(transactions.c.id.is_(None), _PROFILES.at_start.is_(False)),
    ),
)


def select_profiles() -> Select[Any]:
    """Select profiles with their transaction; `over` says that it has ended."""
    return select(
        charging_profiles,
        transactions.c.id.label("of_transaction"),
        transactions.c.evse_no.label("transaction_evse_no"),
        func.coalesce(_OVER, False).label("over"),
    ).select_from(_WITH_TRANSACTION)


def in_force(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return what is true of profiles that may limit now; those of ended transactions do not."""
    given_up = and_(
        _PROFILES.at_start,
        transactions.c.id.is_(None),
        _PROFILES.set_at + START_AWAITED < now,
    )
    return and_(
        _PROFILES.closed_at.is_(None),
        ~func.coalesce(_OVER, False),
        ~func.coalesce(given_up, False),
    )


async def read_held(connection: AsyncConnection, station_id: int, now: datetime) -> list[Held]:
    """Return the profiles that a station holds as we believe, oldest first."""
    query = (
        select_profiles()
        .where(_PROFILES.station_id == station_id, in_force(now))
        .order_by(_PROFILES.id)
    )
    return [held_of(row) for row in await connection.execute(query)]


async def read_transaction_profiles(
    connection: AsyncConnection, station_id: int, transaction_id: int
) -> list[Held]:
    """Return all profiles that a transaction had, also what is closed, oldest first."""
    query = (
        select_profiles()
        .where(
            _PROFILES.station_id == station_id,
            _PROFILES.purpose == ProfilePurpose.TX.value,
            transactions.c.id == transaction_id,
        )
        .order_by(_PROFILES.id)
    )
    return [held_of(row) for row in await connection.execute(query)]


def all_held(now: BindParameter[datetime], station_ids: BindParameter[Any]) -> Select[Any]:
    """Select what several stations hold, for statements that are written out beforehand."""
    return (
        select_profiles()
        .where(_PROFILES.station_id == func.any(station_ids), in_force(now))
        .order_by(_PROFILES.id)
    )


def held_of(row: Any) -> Held:
    """Read a row of `select_profiles`."""
    return Held(
        row_id=row.id,
        evse_no=row.transaction_evse_no or row.evse_no,
        profile=profile_of(row.reported or row.document),
        state=row.state,
        transaction_id=row.of_transaction,
        set_by=row.set_by,
    )


def counting(held: Iterable[Held]) -> list[InForce]:
    """Return held profiles as what limits; those in doubt as uncertain."""
    return [
        InForce(one.evse_no, one.profile, certain=one.state == INSTALLED)
        for one in held
        # A remote start's profile limits nothing before its transaction is there.
        if one.profile.purpose is not ProfilePurpose.TX or one.transaction_id is not None
    ]


async def read_limits_of(connection: AsyncConnection, station_id: int) -> StationLimits:
    """Return what the station reported that it takes."""
    paths = (*LIMIT_PATHS.values(), *UNIT_PATHS, *SWITCH_PATHS, PERSISTENCE_PATH, ENTRIES_PATH)
    keys = [f"{path.lower()}#actual" for path in paths]
    known = station_variables.c
    query = select(known.key, known.value, known.max_limit).where(
        known.station_id == station_id, known.key.in_(keys)
    )
    found = {row.key.removesuffix("#actual"): row for row in await connection.execute(query)}
    entries = found.get(ENTRIES_PATH.lower())
    return read_limits(
        {path: row.value for path, row in found.items()},
        None if entries is None else entries.max_limit,
    )


async def read_observations(
    connection: AsyncConnection, vendor: str, model: str, firmware: str
) -> list[Observation]:
    seen = profile_observations.c
    query = (
        select(profile_observations)
        .where(seen.vendor == vendor, seen.model == model, seen.firmware == firmware)
        .order_by(seen.purpose, seen.unit, seen.stack_level)
    )
    return [
        Observation(
            ProfilePurpose(row.purpose),
            RateUnit(row.unit),
            row.stack_level,
            row.accepted,
            row.rejected,
            row.not_supported,
            row.obeyed,
            row.ignored,
        )
        for row in await connection.execute(query)
    ]


async def read_needs(connection: AsyncConnection, station_id: int) -> Rows:
    query = select(ev_needs).where(ev_needs.c.station_id == station_id).order_by(ev_needs.c.evse_no)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_external_limits(connection: AsyncConnection, station_id: int) -> Rows:
    """Return the limits that others have set."""
    limits = external_limits.c
    query = (
        select(external_limits)
        .where(limits.station_id == station_id)
        .order_by(limits.evse_no, limits.source)
    )
    rows: Rows = (await connection.execute(query)).all()
    return rows


def external_profiles(rows: Iterable[Any]) -> list[InForce]:
    """Return what others have set as profiles that limit; they have no id of ours."""
    return [
        InForce(
            row.evse_no,
            ChargingProfile(
                id=0,
                stack_level=0,
                purpose=ProfilePurpose.EXTERNAL,
                kind=ProfileKind.ABSOLUTE,
                schedules=(schedule,),
            ),
        )
        for row in rows
        for schedule in map(schedule_of, row.schedules)
    ]


async def read_profiles(
    connection: AsyncConnection,
    station_id: int,
    *,
    now: datetime,
    after: int | None,
    limit: int,
    past: bool,
) -> Rows:
    """Return a station's profiles, newest first; with `past` also those no longer in force."""
    query = select_profiles().where(_PROFILES.station_id == station_id)
    if not past:
        query = query.where(in_force(now))
    if after is not None:
        query = query.where(_PROFILES.id < after)
    query = query.order_by(_PROFILES.id.desc()).limit(limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_all_observations(
    connection: AsyncConnection,
    *,
    after: tuple[str, str, str, str, str, int] | None,
    limit: int,
    model: str | None,
) -> Rows:
    seen = profile_observations.c
    key = (seen.vendor, seen.model, seen.firmware, seen.purpose, seen.unit, seen.stack_level)
    query = select(profile_observations).order_by(*key).limit(limit)
    if model is not None:
        query = query.where(func.lower(seen.model) == model.lower())
    if after is not None:
        query = query.where(tuple_(*key) > after)
    rows: Rows = (await connection.execute(query)).all()
    return rows
