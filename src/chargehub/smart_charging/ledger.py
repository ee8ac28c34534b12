"""How attempts to set and clear profiles are written down, and what stations did with them.

What became of an attempt follows from the station's word or from its silence; silence leaves the
profile in force as `unknown`, since the station may have taken it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit import jobs
from chargehub.kit.errors import ChargeHubError
from chargehub.smart_charging.capabilities import Seen
from chargehub.smart_charging.queries import held_of, in_force, select_profiles
from chargehub.smart_charging.rules import is_cleared_by
from chargehub.smart_charging.store import (
    INSTALLED,
    charging_profiles,
    profile_document,
    profile_observations,
)
from chargehub.stations.commands import (
    ClearChargingProfile,
    CommandAnswer,
    StationOffline,
    StationTimeout,
)
from chargehub.stations.dispatch import End
from chargehub.stations.profiles import ChargingProfile, LimitSource, ProfilePurpose
from chargehub.stations.store import charging_stations

PENDING, UNKNOWN = "pending", "unknown"
REJECTED, UNSENT, REPLACED, CLEARED, LOST, ENDED = (
    "rejected",
    "unsent",
    "replaced",
    "cleared",
    "lost",
    "ended",
)
IN_FORCE = (PENDING, INSTALLED, UNKNOWN)
FOR_CAR = "ev needs"
"""Who has set the profile that answers a car's needs."""
NEEDS_TOLD = "ev_needs.told"
"""Due row: a car at the station and EVSE `subject` is to be sent a profile for its needs."""
ASK_PROFILES = "charging_profiles.ask"
"""Due row: what the station `subject` holds is in doubt; `booted` in the payload, after a boot."""
ASK_AFTER = timedelta(seconds=10)
"""A station that is back tells first what it has to tell."""
SET_AGAIN = "charging_profile.set_again"
"""Due row: the station has forgotten what the profile row `subject` had set."""
SET_AGAIN_WITHIN = timedelta(days=1)
"""What could not be set again by then waits for its operator."""
NOT_SUPPORTED_WORDS = frozenset(("NotSupported", "NotImplemented"))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A profile on its way to a station."""

    station_id: int
    evse_no: int
    profile: ChargingProfile
    transaction_id: int | None
    set_by: str
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    state: str
    status: str | None
    """The station's own word, or the error's code."""
    seen: Seen | None = None


def outcome_of(end: End) -> Outcome:
    """Return what a command's end says of its profile; only the station's word is certain."""
    if isinstance(end, CommandAnswer):
        return _outcome_of_answer(end)
    if isinstance(end, ChargeHubError):
        return _outcome_of_error(end)
    return Outcome(UNKNOWN, None)


def _outcome_of_answer(answer: CommandAnswer) -> Outcome:
    match answer.status:
        case "Accepted":
            return Outcome(INSTALLED, answer.status, Seen.ACCEPTED)
        case "NotSupported":
            return Outcome(REJECTED, answer.status, Seen.NOT_SUPPORTED)
        case "Rejected":
            return Outcome(REJECTED, answer.status, Seen.REJECTED)
        case _:
            return Outcome(UNKNOWN, answer.status)


def _outcome_of_error(error: ChargeHubError) -> Outcome:
    """Return what is left of an attempt that got no answer it could count on."""
    if error.facts.get("station_error") in NOT_SUPPORTED_WORDS:
        return Outcome(REJECTED, error.code, Seen.NOT_SUPPORTED)
    if "station_error" in error.facts:
        return Outcome(REJECTED, error.code, Seen.REJECTED)
    lost = isinstance(error, StationTimeout | StationOffline)
    if lost and error.facts.get("sent", isinstance(error, StationTimeout)):
        return Outcome(UNKNOWN, error.code)
    return Outcome(UNSENT, error.code)


async def lock_station(connection: AsyncConnection, station_id: int) -> None:
    """Let nobody else decide on this station's profiles until this transaction ends."""
    await connection.execute(
        select(charging_stations.c.id)
        .where(charging_stations.c.id == station_id)
        .with_for_update(key_share=True)
    )


async def write_attempt(
    connection: AsyncConnection, attempt: Attempt, command_id: UUID, now: datetime
) -> int:
    """Record an attempt as pending and return its row's id."""
    profile = attempt.profile
    await close_ended(connection, attempt.station_id, now)
    row_id: int = (
        await connection.execute(
            insert(charging_profiles)
            .values(
                station_id=attempt.station_id,
                profile_id=profile.id,
                evse_no=attempt.evse_no,
                purpose=profile.purpose.value,
                stack_level=profile.stack_level,
                document=profile_document(profile),
                state=PENDING,
                source=LimitSource.CSO.value,
                transaction_id=attempt.transaction_id,
                command_id=command_id,
                at_start=attempt.at_start,
                set_by=attempt.set_by,
                set_at=now,
            )
            .returning(charging_profiles.c.id)
        )
    ).scalar_one()
    return row_id


async def close_attempt(
    connection: AsyncConnection, row_id: int, outcome: Outcome, now: datetime
) -> bool:
    """Record what became of an attempt; an installed one replaces those of the same id.

    False: it is settled already.
    """
    profiles = charging_profiles.c
    closed = await connection.execute(
        update(charging_profiles)
        .where(profiles.id == row_id, profiles.state == PENDING)
        .values(
            state=outcome.state,
            status=outcome.status,
            settled_at=now,
            closed_at=None if outcome.state in IN_FORCE else now,
        )
        .returning(profiles.station_id, profiles.profile_id, profiles.purpose)
    )
    row = closed.one_or_none()
    if row is None:
        return False
    if outcome.state == UNKNOWN:
        await ask_soon(connection, [row.station_id], now)
    if outcome.state in IN_FORCE and row.purpose != ProfilePurpose.TX.value:
        await renew_for_cars(connection, row.station_id, now)
    if outcome.state == INSTALLED:  # K01.FR.05, 16 5.16.3
        await connection.execute(
            update(charging_profiles)
            .where(
                profiles.station_id == row.station_id,
                profiles.profile_id == row.profile_id,
                profiles.id < row_id,
                profiles.closed_at.is_(None),
            )
            .values(state=REPLACED, closed_at=now)
        )
    return True


async def settle_rows(
    connection: AsyncConnection, row_ids: Collection[int], state: str, now: datetime
) -> None:
    """Give rows that are in force another state."""
    if not row_ids:
        return
    profiles = charging_profiles.c
    await connection.execute(
        update(charging_profiles)
        .where(profiles.id.in_(row_ids), profiles.closed_at.is_(None))
        .values(state=state, settled_at=now, closed_at=None if state in IN_FORCE else now)
    )


async def ask_soon(
    connection: AsyncConnection, station_ids: Collection[int], now: datetime
) -> None:
    """Have stations asked which profiles they hold, again where that is under way."""
    stations = sorted(set(station_ids))
    await jobs.schedule_another(connection, ASK_PROFILES, stations, now + ASK_AFTER, now)


async def renew_for_cars(connection: AsyncConnection, station_id: int, now: datetime) -> None:
    """Have cars sent anew what answered their needs, as a limit has changed since (K16).

    A TxProfile replaces the default that it was made from: it would outlast it.
    """
    profiles = charging_profiles.c
    query = select_profiles().where(
        profiles.station_id == station_id, profiles.set_by == FOR_CAR, in_force(now)
    )
    for evse_no in sorted({held_of(row).evse_no for row in await connection.execute(query)}):
        await jobs.schedule(connection, NEEDS_TOLD, f"{station_id}:{evse_no}", now)


async def give_up_lost(
    connection: AsyncConnection, station_id: int, command: ClearChargingProfile, now: datetime
) -> None:
    """Let nothing that is cleared be set again because its station had lost it."""
    profiles = charging_profiles.c
    query = select_profiles().where(
        profiles.station_id == station_id,
        profiles.state == LOST,
        profiles.closed_at >= now - SET_AGAIN_WITHIN,
    )
    lost = [held_of(row) for row in await connection.execute(query)]
    await connection.execute(
        update(charging_profiles)
        .where(profiles.id.in_([one.row_id for one in lost if is_cleared_by(command, one)]))
        .values(state=CLEARED)
    )


async def close_ended(connection: AsyncConnection, station_id: int | None, now: datetime) -> None:
    """Close profiles whose transaction has ended (16 3.13.1), of one station or of all."""
    profiles = charging_profiles.c
    over = (
        select_profiles()
        .with_only_columns(profiles.id)
        .where(profiles.closed_at.is_(None), ~in_force(now))
    )
    if station_id is not None:
        over = over.where(profiles.station_id == station_id)
    await connection.execute(
        update(charging_profiles).where(profiles.id.in_(over)).values(state=ENDED, closed_at=now)
    )


async def close_unanswered(connection: AsyncConnection, now: datetime) -> None:
    """Say, at start-up, that what a dead server had sent may or may not be installed, and ask."""
    profiles = charging_profiles.c
    doubted = await connection.scalars(
        update(charging_profiles)
        .where(profiles.state == PENDING)
        .values(state=UNKNOWN, settled_at=now)
        .returning(profiles.station_id)
    )
    await ask_soon(connection, doubted.all(), now)


async def observe(
    connection: AsyncConnection,
    station: Row[Any],
    profile: ChargingProfile,
    seen: Seen,
    now: datetime,
) -> None:
    """Count what a station did with a profile for all stations of its model and firmware."""
    table = profile_observations
    key = {
        "vendor": station.vendor or "",
        "model": station.model or "",
        "firmware": station.firmware_version or "",
        "purpose": profile.purpose.value,
        "unit": profile.schedules[0].unit.value,
        "stack_level": profile.stack_level,
    }
    row = upsert(table).values(**key, **{seen.value: 1}, observed_at=now)
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=list(key),
            set_={seen.value: table.c[seen.value] + 1, "observed_at": now},
        )
    )
