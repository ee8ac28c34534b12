"""Change of a station's password over OCPP (A01): both are valid until it is known which one is.

The new password's hash is committed before the command leaves, so whatever happens to the station,
the line or this server, one of the two the station can have opens the door. The password itself is
kept nowhere: only the station needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict
from chargehub.kit.events import EventBus
from chargehub.stations.commands import (
    ChangeCredential,
    InvalidCommand,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.credentials import generate_credential, hash_credential
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.events import StationWentOffline
from chargehub.stations.fence import lock_fence, shut_out
from chargehub.stations.queries import find_station_in_service
from chargehub.stations.store import charging_stations, credential_changes, station_connections

log = structlog.get_logger(__name__)


class CredentialChangePending(Conflict):
    """The outcome of the last change is not known yet."""

    code = "credential-change-pending"


class ValidCredentials(StrEnum):
    """What opens the door after a change was asked for."""

    NEW = "new"
    OLD = "old"
    BOTH = "both"
    ANOTHER = "another"
    """A rotation by hand, or a station put in this one's place, came in between."""


@dataclass(frozen=True, slots=True)
class CredentialChanged:
    command_id: UUID
    status: str | None
    """The station's own word."""
    valid: ValidCredentials


_REFUSED = frozenset(
    ("Rejected", "NotSupported", "NotSupportedAttributeType", "UnknownComponent", "UnknownVariable")
)
REBOOT_REQUIRED = "RebootRequired"


def judge_answer(status: str | None) -> ValidCredentials:
    """Say what the station's answer means (A01.FR.03/04).

    RebootRequired is a yes that takes effect later: until then the station can only use the old
    one, and its first boot on another socket decides (inbound.BootHandler). A word of no standard,
    or none, is no answer.
    """
    if status == "Accepted":
        return ValidCredentials.NEW
    return ValidCredentials.OLD if status in _REFUSED else ValidCredentials.BOTH


def judge_failure(error: ChargeHubError) -> ValidCredentials:
    """Say what a command without a usable answer means: never told, refused, or nobody knows."""
    match error:
        case UnsupportedByStation() | InvalidCommand() | StationNotAccepted() | StationBusy():
            return ValidCredentials.OLD
        case StationOffline() | StationTimeout() if not error.facts.get("sent"):
            return ValidCredentials.OLD
        case _:
            # An error may come after the deed, be it the station's or ours.
            return ValidCredentials.BOTH


@dataclass(frozen=True, slots=True)
class _Change:
    station_id: int
    identity: str
    command_id: UUID
    old_hash: bytes | None
    new_hash: bytes


class CredentialChange:
    def __init__(
        self, database: Database, clock: HubClock, key: bytes, bus: EventBus, desk: CommandDesk
    ) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._bus = bus
        self._desk = desk

    async def change(
        self, identity: str, *, actor: str, credential: str | None = None
    ) -> CredentialChanged:
        """Give the station a password of its own over OCPP; unless told which, one is made.

        Raises CredentialChangePending, and what a command raises; `valid_credentials` among its
        facts then says which password the hub takes.
        """
        fresh = credential or generate_credential()
        new_hash = hash_credential(self._key, fresh.encode())
        async with self._database.read() as connection:
            station = await find_station_in_service(connection, identity)
        changes: list[_Change] = []

        async def keep(connection: AsyncConnection, command_id: UUID) -> None:
            change = await self._begin(connection, station.id, command_id, new_hash)
            changes.append(change)

        command = ChangeCredential(fresh)
        try:
            command_id, answer = await self._desk.send(
                station.id, command, actor, with_pending=keep
            )
        except ChargeHubError as error:
            if changes:
                valid = await self._settle(changes[0], judge_failure(error), actor, None)
                error.facts["valid_credentials"] = valid.value
            raise
        word = answer.told or answer.status
        valid = await self._settle(changes[0], judge_answer(word), actor, word)
        return CredentialChanged(command_id, word, valid)

    async def _begin(
        self, connection: AsyncConnection, station_id: int, command_id: UUID, new_hash: bytes
    ) -> _Change:
        row = (
            await connection.execute(
                select(charging_stations.c.identity, charging_stations.c.credential_hash).where(
                    charging_stations.c.id == station_id
                )
            )
        ).one()
        try:
            async with connection.begin_nested():
                await connection.execute(
                    insert(credential_changes).values(
                        station_id=station_id,
                        credential_hash=new_hash,
                        command_id=command_id,
                        requested_at=self._clock.now(),
                    )
                )
        except IntegrityError as error:
            raise CredentialChangePending(
                "The outcome of the last change is not known yet. It will be when the station "
                "connects again or, where it said RebootRequired, has booted; rotating the "
                "credential by hand ends it too."
            ) from error
        return _Change(station_id, row.identity, command_id, row.credential_hash, new_hash)

    async def _settle(
        self, change: _Change, judged: ValidCredentials, actor: str, status: str | None
    ) -> ValidCredentials:
        """Keep what the answer means; return what opens the door now, whatever came in between."""
        now = self._clock.now()
        was_online = False
        async with self._database.write() as connection:
            await lock_fence(connection)
            mine = credential_changes.c.command_id == change.command_id
            if judged is ValidCredentials.BOTH:
                if status == REBOOT_REQUIRED:
                    # A socket that comes after the one that is open now may be a reboot's.
                    after = select(station_connections.c.epoch).where(
                        station_connections.c.station_id == change.station_id
                    )
                    epoch = func.coalesce(after.scalar_subquery(), 0)
                    await connection.execute(
                        update(credential_changes).where(mine).values(reboots_after_epoch=epoch)
                    )
            else:
                ended = await connection.execute(
                    delete(credential_changes)
                    .where(mine)
                    .returning(credential_changes.c.station_id)
                )
                still_open = ended.one_or_none() is not None
                if judged is ValidCredentials.NEW:
                    was_online = await self._promote(connection, change, now, still_open)
            valid = await _read_valid(connection, change)
            await audit(
                connection,
                now,
                actor,
                "station.credential_changed",
                change.identity,
                command_id=str(change.command_id),
                valid=valid.value,
            )
        if was_online:
            self._bus.publish(StationWentOffline(change.station_id, change.identity, now))
            await self._desk.disconnect(change.station_id)
        return valid

    async def _promote(
        self, connection: AsyncConnection, change: _Change, now: datetime, still_open: bool
    ) -> bool:
        """Make the new password the only one; return whether a socket was shut out.

        Where the change is no longer open, a later socket has settled it: by the new password, and
        all is well; or by the old one in the moment of this answer, which does not count. A
        rotation by hand meanwhile is the last word.
        """
        promoted = await connection.execute(
            update(charging_stations)
            .where(
                charging_stations.c.id == change.station_id,
                charging_stations.c.credential_hash.is_not_distinct_from(change.old_hash),
            )
            .values(credential_hash=change.new_hash, credential_rotated_at=now)
            .returning(charging_stations.c.id)
        )
        if promoted.one_or_none() is None or still_open:
            # The socket that brought the answer stays.
            return False
        return await shut_out(connection, change.station_id, now)


async def _read_valid(connection: AsyncConnection, change: _Change) -> ValidCredentials:
    undecided = exists().where(credential_changes.c.command_id == change.command_id)
    row = (
        await connection.execute(
            select(charging_stations.c.credential_hash, undecided.label("undecided")).where(
                charging_stations.c.id == change.station_id
            )
        )
    ).one()
    if row.undecided:
        return ValidCredentials.BOTH
    if row.credential_hash == change.new_hash:
        return ValidCredentials.NEW
    same = row.credential_hash == change.old_hash
    return ValidCredentials.OLD if same else ValidCredentials.ANOTHER


async def forget_change(connection: AsyncConnection, station_id: int) -> None:
    """A password that was on its way to the station opens nothing any more."""
    await connection.execute(
        delete(credential_changes).where(credential_changes.c.station_id == station_id)
    )
