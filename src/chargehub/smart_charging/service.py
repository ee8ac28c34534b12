"""Setting and clearing charging profiles, in version-free words.

Every profile is checked before it leaves (`rules`, `capabilities`) and every answer is read
(`ledger`). What stations report is taken over in `reconciling`, what they forget is set again in
`restoring`; schedules are compared in `comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict
from chargehub.smart_charging.capabilities import ProfileNotObeyed, judge
from chargehub.smart_charging.ledger import (
    CLEARED,
    IN_FORCE,
    LOST,
    REJECTED,
    UNKNOWN,
    UNSENT,
    Attempt,
    Outcome,
    ask_soon,
    close_attempt,
    give_up_lost,
    lock_station,
    observe,
    outcome_of,
    renew_for_cars,
    settle_rows,
    write_attempt,
)
from chargehub.smart_charging.queries import (
    read_held,
    read_limits_of,
    read_needs,
    read_observations,
    read_transaction_profiles,
)
from chargehub.smart_charging.rules import (
    ChargingProfileClash,
    Held,
    InvalidChargingProfile,
    Situation,
    StationLimits,
    ToldNeeds,
    broken_rules,
    can_replace,
    clashes,
    is_cleared_by,
    never_holding,
)
from chargehub.smart_charging.store import charging_profile_ids
from chargehub.stations.commands import ClearChargingProfile, CommandAnswer, SetChargingProfile
from chargehub.stations.dispatch import CommandDesk, End, WithEnd
from chargehub.stations.profiles import ChargingProfile, ProfilePurpose
from chargehub.stations.queries import find_evse, find_station_in_service
from chargehub.stations.store import charging_stations
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.orphans import TransactionNotActive
from chargehub.transactions.remote import (
    RemoteControl,
    StartAsked,
    StartProfile,
)
from chargehub.transactions.store import transactions

log = structlog.get_logger(__name__)

LIVE_WITHIN = timedelta(minutes=5)
"""How far behind our clock a station's newest word on a live transaction may be."""
STEADY_WITHIN = timedelta(minutes=1)
"""How much that may change where it is the station's clock that is behind."""


REQUESTED_BY = "transaction resumed"
NONE_TAKEN = "The station says that smart charging is not there or is switched off."


class TransactionNotLive(Conflict):
    """All that was told of the transaction is old news; it may be over."""

    code = "transaction-not-live"


@dataclass(frozen=True, slots=True)
class ProfileWanted:
    """What somebody wants set. The profile's id and transaction are found here."""

    evse_no: int
    profile: ChargingProfile
    """Its id is 0 where the hub chooses one."""
    transaction_id: int | None = None
    replace: bool = False
    """Take the place of the one profile it would clash with, if that stands at the same EVSE."""
    force: bool = False
    """Send it although stations of this model did not take such profiles."""
    set_by: str | None = None
    """Who wanted it, where it is set again for them."""


@dataclass(frozen=True, slots=True)
class ProfileSet:
    command_id: UUID
    row_id: int
    profile: ChargingProfile
    outcome: Outcome
    answer: CommandAnswer
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    station: Row[Any]
    profile: ChargingProfile
    warnings: tuple[str, ...]


@dataclass(slots=True)
class SmartCharging:
    database: Database
    clock: HubClock
    desk: CommandDesk
    book: Book
    remote: RemoteControl

    async def set_profile(self, identity: str, wanted: ProfileWanted, *, actor: str) -> ProfileSet:
        """Check a profile, send it, and record what became of it.

        Raises InvalidChargingProfile, ChargingProfileClash, ProfileNotObeyed, TransactionNotActive,
        TransactionNotLive, NotFound, and what CommandDesk.send raises.
        """
        now = self.clock.now()
        async with self.database.write() as connection:
            plan = await self._plan(connection, identity, wanted, now)
        attempt = Attempt(
            plan.station.id,
            wanted.evse_no,
            plan.profile,
            wanted.transaction_id,
            wanted.set_by or actor,
        )
        rows: list[int] = []

        async def with_pending(connection: AsyncConnection, command_id: UUID) -> WithEnd:
            # Decided again with nobody beside us: another request may have come in between.
            await lock_station(connection, plan.station.id)
            held = await read_held(connection, plan.station.id, now)
            _refuse_clash(clashes(plan.profile, wanted.evse_no, wanted.transaction_id, held))
            rows.append(await write_attempt(connection, attempt, command_id, now))
            return with_end

        async def with_end(end: End, connection: AsyncConnection) -> None:
            await self._close(connection, plan, rows[0], outcome_of(end))

        command_id, answer = await self.desk.send(
            plan.station.id,
            SetChargingProfile(wanted.evse_no, plan.profile),
            actor,
            transaction_id=wanted.transaction_id,
            evse_no=wanted.evse_no,
            with_pending=with_pending,
        )
        outcome = outcome_of(answer)
        return ProfileSet(command_id, rows[0], plan.profile, outcome, answer, plan.warnings)

    async def start_under_profile(
        self,
        identity: str,
        wanted: ProfileWanted,
        id_token: str,
        *,
        actor: str,
    ) -> tuple[StartAsked, ProfileSet]:
        """Ask a station to begin a transaction under a TxProfile (E16 3.41, F01.FR.09/11).

        EVSE 0 leaves the choice to the station. Raises as `set_profile` and
        `RemoteControl.request_start` do.
        """
        now = self.clock.now()
        async with self.database.write() as connection:
            plan = await self._plan(connection, identity, wanted, now, at_start=True)
        rows: list[int] = []
        attempt = Attempt(plan.station.id, wanted.evse_no, plan.profile, None, actor, at_start=True)

        async def record(
            connection: AsyncConnection, command_id: UUID, _remote_start_id: int
        ) -> WithEnd:
            rows.append(await write_attempt(connection, attempt, command_id, now))
            return with_end

        def outcome_of_start(end: End) -> Outcome:
            # A start is refused for many reasons, and one is accepted also by stations that ignore
            # the profile (K05.FR.04): nothing is learned from either.
            return replace(outcome_of(end), seen=None)

        async def with_end(end: End, connection: AsyncConnection) -> None:
            await self._close(connection, plan, rows[0], outcome_of_start(end))

        asked = await self.remote.request_start(
            plan.station.id,
            wanted.evse_no or None,
            id_token,
            actor,
            under=StartProfile(plan.profile, record),
        )
        outcome = outcome_of_start(asked.answer)
        set_ = ProfileSet(
            asked.command_id, rows[0], plan.profile, outcome, asked.answer, plan.warnings
        )
        return asked, set_

    async def clear_profiles(
        self, identity: str, command: ClearChargingProfile, *, actor: str
    ) -> tuple[UUID, CommandAnswer, int]:
        """Clear what matches; return also how many profiles we believed in are gone.

        Raises NotFound and what CommandDesk.send raises; InvalidCommand where the station needs a
        criterion and none was given (K10.FR.02).
        """
        async with self.database.read() as connection:
            station = await find_station_in_service(connection, identity)
        rows: list[int] = []

        async def with_pending(connection: AsyncConnection, _command_id: UUID) -> WithEnd:
            # With nobody beside us: what is set from now on reaches the station after the clear.
            await lock_station(connection, station.id)
            held = await read_held(connection, station.id, self.clock.now())
            rows.extend(one.row_id for one in held if is_cleared_by(command, one))
            return with_end

        async def with_end(end: End, connection: AsyncConnection) -> None:
            now = self.clock.now()
            if _is_gone(end):
                await settle_rows(connection, rows, CLEARED, now)
                await give_up_lost(connection, station.id, command, now)
                await renew_for_cars(connection, station.id, now)
            elif rows and outcome_of(end).state == UNKNOWN:
                await settle_rows(connection, rows, UNKNOWN, now)
                await ask_soon(connection, [station.id], now)

        command_id, answer = await self.desk.send(
            station.id, command, actor, evse_no=command.evse_no, with_pending=with_pending
        )
        return command_id, answer, len(rows) if _is_gone(answer) else 0

    async def set_anew(self, _subject: str, payload: dict[str, Any]) -> None:
        """Set a transaction's profiles again after its station was reset (B13.FR.31). Repeatable.

        A station that keeps them is left alone.
        """
        station_id, transaction_id = payload["station_id"], payload["transaction_id"]
        async with self.database.read() as connection:
            identity = await connection.scalar(
                select(charging_stations.c.identity).where(charging_stations.c.id == station_id)
            )
            limits = await read_limits_of(connection, station_id)
            if identity is None or limits.keeps_tx_profiles:
                return
            profiles = await read_transaction_profiles(connection, station_id, transaction_id)
        newest = {one.profile.id: one for one in profiles if one.state not in {UNSENT, REJECTED}}
        for one in newest.values():
            # Lost: it told us already that the reset has cost it the profile.
            if one.state not in {*IN_FORCE, LOST}:
                continue
            wanted = ProfileWanted(
                one.evse_no, one.profile, transaction_id, force=True, set_by=one.set_by
            )
            try:
                await self.set_profile(identity, wanted, actor=REQUESTED_BY)
            except ChargeHubError as error:
                # It charges on within the default, and its next profile will find it.
                log.warning("charging_profile_not_set_anew", station_id=identity, why=error.code)

    async def _plan(
        self,
        connection: AsyncConnection,
        identity: str,
        wanted: ProfileWanted,
        now: datetime,
        *,
        at_start: bool = False,
    ) -> _Plan:
        """Find what a profile needs to be known, and refuse it where a rule does."""
        station = await find_station_in_service(connection, identity)
        if wanted.evse_no:
            await find_evse(connection, station.id, wanted.evse_no)
        transaction = await self._transaction(connection, station.id, wanted)
        profile = wanted.profile
        if transaction is not None:
            profile = replace(profile, transaction_ref=transaction.ref)
        limits = await read_limits_of(connection, station.id)
        held = await read_held(connection, station.id, now)
        if profile.id == 0:
            profile = replace(profile, id=await _free_id(connection, limits, held))
        place = (wanted.evse_no, wanted.transaction_id)
        in_the_way = clashes(profile, *place, held)
        ids = {other.profile.id for other in in_the_way}
        if (
            wanted.replace
            and len(ids) == 1
            and wanted.profile.id in {0, *ids}
            and all(can_replace(profile, *place, other) for other in in_the_way)
        ):
            # K01.FR.05: under the same id it takes the other's place in one step everywhere.
            profile = replace(profile, id=in_the_way[0].profile.id)
        else:
            _refuse_clash(in_the_way)
        situation = Situation(
            limits=limits,
            held=held,
            at_start=at_start,
            needs=await _needs_of(connection, transaction),
        )
        broken = broken_rules(profile, wanted.evse_no, situation)
        if broken:
            raise InvalidChargingProfile(
                " ".join(rule.detail for rule in broken),
                broken_rules=[{"rule": rule.rule, "detail": rule.detail} for rule in broken],
            )
        if limits.none_taken and not wanted.force:
            raise ProfileNotObeyed(NONE_TAKEN)
        warnings = await _expectations(connection, station, profile, force=wanted.force)
        if limits.none_taken:
            warnings = (NONE_TAKEN, *warnings)
        return _Plan(station, profile, (*warnings, *never_holding(profile, now)))

    async def _transaction(
        self, connection: AsyncConnection, station_id: int, wanted: ProfileWanted
    ) -> OpenTransaction | None:
        if wanted.transaction_id is None:
            return None
        found = self.book.by_id(wanted.transaction_id)
        if found is None or found.station_id != station_id:
            raise TransactionNotActive("There is no such active transaction at this station.")
        # EVSE 0 breaks a rule of its own.
        elsewhere = wanted.evse_no not in {0, found.evse_no}
        if wanted.profile.purpose is ProfilePurpose.TX and elsewhere:
            detail = f"The transaction is not at EVSE {wanted.evse_no}."
            if found.evse_no is not None:
                detail = f"The transaction is at EVSE {found.evse_no}."
            rules = [{"rule": "K01.FR.33", "detail": detail}]
            raise InvalidChargingProfile(detail, broken_rules=rules)
        begun_at = await connection.scalar(
            select(transactions.c.received_at).where(transactions.c.id == found.id)
        )
        if begun_at is None or not is_live(found, begun_at):
            # 16 5.16.1: what is told late may be over.
            raise TransactionNotLive
        return found

    async def _close(
        self, connection: AsyncConnection, plan: _Plan, row_id: int, outcome: Outcome
    ) -> None:
        now = self.clock.now()
        if not await close_attempt(connection, row_id, outcome, now):
            return
        if outcome.seen is not None:
            await observe(connection, plan.station, plan.profile, outcome.seen, now)
        log.info(
            "charging_profile_settled",
            station_id=plan.station.identity,
            profile_id=plan.profile.id,
            purpose=plan.profile.purpose.value,
            state=outcome.state,
            status=outcome.status,
        )


def _is_gone(end: End) -> bool:
    # K10.FR.01: Unknown is that the station has none such; then we need not believe in them.
    return isinstance(end, CommandAnswer) and end.status in {"Accepted", "Unknown"}


async def _free_id(connection: AsyncConnection, limits: StationLimits, held: Sequence[Held]) -> int:
    """Return an id that no profile of the station has; others may have chosen theirs as we do."""
    taken = {one.profile.id for one in held}
    while True:
        number: int = (await connection.execute(charging_profile_ids.next_value())).scalar_one()
        number += limits.max_external_id or 0  # K01.FR.80
        if number not in taken:
            return number


async def _needs_of(
    connection: AsyncConnection, transaction: OpenTransaction | None
) -> ToldNeeds | None:
    if transaction is None:
        return None
    for row in await read_needs(connection, transaction.station_id):
        if row.transaction_id == transaction.id:
            return ToldNeeds(row.max_schedule_tuples)
    return None


async def _expectations(
    connection: AsyncConnection, station: Row[Any], profile: ChargingProfile, *, force: bool
) -> tuple[str, ...]:
    """Return warnings from what stations of the same kind did; refuse what they refused."""
    kind = (station.vendor or "", station.model or "", station.firmware_version or "")
    verdict = judge(await read_observations(connection, *kind), profile)
    if verdict.refusal is None:
        return verdict.warnings
    if not force:
        raise ProfileNotObeyed(verdict.refusal)
    return (verdict.refusal, *verdict.warnings)


def is_live(transaction: OpenTransaction, begun_at: datetime) -> bool:
    """Say whether the newest word on a transaction was new when it came (16 5.16.1, E04.FR.03).

    A queued start, and what follows it in a replay, is told long after it was. A clock that is
    behind looks the same at first, but stays as far behind while time passes; a replay is a burst.
    `begun_at` is when we heard of the begin.
    """
    told = [transaction.told_at, transaction.track.last_at, transaction.started_at]
    newest = max(at for at in told if at is not None)
    behind = transaction.heard_at - newest
    if behind <= LIVE_WITHIN:
        return True
    at_begin = begun_at - transaction.started_at
    heard_for = transaction.heard_at - begun_at
    return heard_for >= LIVE_WITHIN and abs(behind - at_begin) <= STEADY_WITHIN


def _refuse_clash(in_the_way: tuple[Held, ...]) -> None:
    if not in_the_way:
        return
    names = [str(other.profile.id) for other in in_the_way]
    raise ChargingProfileClash(
        f"Profile {', '.join(names)} has this purpose and stack level there, or this id, already. "
        "Only one profile at the same EVSE can be replaced, and only under its own id.",
        clashes_with=[
            {
                "profile_id": other.profile.id,
                "evse_no": other.evse_no,
                "stack_level": other.profile.stack_level,
            }
            for other in in_the_way
        ],
    )
