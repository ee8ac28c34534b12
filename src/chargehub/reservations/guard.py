"""Whom a gun is held for now, and which reservation a charge uses up. Reads and decides only.

The decisions on presented idTokens ask here, whether or not a station keeps reservations itself:
who is not admitted is refused by us too. A hold ends by the hub's clock, whatever a station says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import ColumnElement, and_, bindparam, select, true
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.kit.group_commit import BatchStatement, Writes
from chargehub.reservations.guns import lock_starts
from chargehub.reservations.queue.triggers import look_at
from chargehub.reservations.store import ASK, MISSED, OPEN, reservations
from chargehub.stations.guns import GUN_POWER_SQL
from chargehub.stations.store import evses


class EvseHeld(Conflict):
    """The gun is held for somebody else's reservation."""

    code = "evse-held"


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation, as far as it decides who may charge."""

    id: int
    station_id: int
    evse_no: int
    id_token: str
    group_token: str | None
    """Both in lower case."""
    held_from: datetime
    hold_until: datetime
    fits: frozenset[tuple[int, int]] = frozenset()
    """Other guns, of the stations asked about, at which a charge of its driver uses it up too."""

    def holds_at(self, at: datetime) -> bool:
        return self.held_from <= at < self.hold_until

    def admits(self, token: str, group: str | None) -> bool:
        if token == self.id_token:
            return True
        return group is not None and group.lower() == self.group_token

    def is_at(self, station_id: int, evse_no: int | None) -> bool:
        """Tell whether it holds this gun; None: which of the station's it is, is not known."""
        return self.station_id == station_id and evse_no in {None, self.evse_no}


@dataclass(slots=True)
class Holds:
    """The reservations that a batch of reports may meet."""

    by_id: dict[int, Hold] = field(default_factory=dict)
    """Those that are open."""
    missed: dict[int, Hold] = field(default_factory=dict)
    """Those of the presented tokens that ran out unused."""
    evse_nos: dict[int, frozenset[int]] = field(default_factory=dict)
    """By station, where one of its guns is reserved; so is `connected_at`."""
    connected_at: dict[int, datetime] = field(default_factory=dict)
    """When the station's newest connection began."""

    def against(
        self, station_id: int, token: str, group: str | None, at: datetime
    ) -> dict[int, Hold]:
        """Return, by EVSE, what is held at the station then for others than this token."""
        return {
            hold.evse_no: hold
            for hold in self.by_id.values()
            if hold.station_id == station_id and hold.holds_at(at) and not hold.admits(token, group)
        }

    def used_by(
        self,
        told: int | None,
        place: tuple[int, int | None],
        token: str | None,
        group: str | None,
        at: datetime,
    ) -> Hold | None:
        """Return the reservation that a charge uses up.

        That is the one it was told to have (16 4.8, E01.FR.13), or the one of its token or group
        that is held then, here rather than at another gun.
        """
        station_id, evse_no = place
        hold = self.by_id.get(told or 0)
        if hold is not None and hold.station_id == station_id:
            named = token is None or hold.admits(token, group)
            if named and (hold.is_at(station_id, evse_no) or place in hold.fits):
                return hold
        if token is None or evse_no is None:
            return None
        return _best(self.by_id.values(), (station_id, evse_no), token, group, at)

    def used_after_all(
        self, place: tuple[int, int | None], token: str | None, group: str | None, began: datetime
    ) -> Hold | None:
        """Return the one that a charge uses up of which we hear too late.

        Its station was away, or the message was on its way as the hold ended: who had begun to
        charge by then did come.
        """
        station_id, evse_no = place
        if token is None or evse_no is None:
            return None
        known = [*self.by_id.values(), *self.missed.values()]
        return _best(known, (station_id, evse_no), token, group, began)

    def forget(self, number: int) -> None:
        self.by_id.pop(number, None)
        self.missed.pop(number, None)


def _best(
    holds: Iterable[Hold], place: tuple[int, int], token: str, group: str | None, at: datetime
) -> Hold | None:
    """Return what the token or its group holds then, here rather than at another gun."""
    own = [hold for hold in holds if hold.holds_at(at) and hold.admits(token, group)]
    here = [hold for hold in own if hold.is_at(*place)]
    elsewhere = [hold for hold in own if place in hold.fits]
    return min(here or elsewhere, key=lambda hold: (hold.hold_until, hold.id), default=None)


_COLUMNS = (
    "r.id, r.station_id, r.evse_no, r.id_token, lower(r.group_token), r.held_from, r.hold_until"
)
# What USE_RESERVATION demands of another gun.
_FITS = f"""CASE WHEN r.binds_any THEN (
        SELECT array_agg(ARRAY[e.station_id, e.evse_no])
        FROM charging_stations s JOIN evses e ON e.station_id = s.id
        WHERE s.id = ANY(%(stations)s::bigint[]) AND s.location_id = r.location_id
          AND {GUN_POWER_SQL} >= r.wanted_power_w) END"""  # noqa: S608  The words are ours.
_OPEN = ", ".join(f"'{status}'" for status in OPEN)
_OPEN_OR_MISSED = ", ".join(f"'{status}'" for status in (*OPEN, *MISSED))
# Three ways in, each with its index: what is held at these stations, and what these tokens hold or
# missed. Where a charge without a token fits is not asked: it names a gun that is held here.
_READ = f"""
    SELECT {_COLUMNS}, NULL, false,
        (SELECT array_agg(e.evse_no) FROM evses e WHERE e.station_id = r.station_id),
        c.connected_at
    FROM unnest(%(stations)s::bigint[]) u(station_id)
    JOIN reservations r ON r.station_id = u.station_id AND r.status IN ({_OPEN})
    LEFT JOIN station_connections c ON c.station_id = r.station_id
    UNION ALL
    SELECT {_COLUMNS}, {_FITS}, r.status NOT IN ({_OPEN}), NULL, NULL FROM reservations r
    WHERE r.id_token = ANY(%(tokens)s::text[]) AND r.status IN ({_OPEN_OR_MISSED})
    UNION ALL
    SELECT {_COLUMNS}, {_FITS}, r.status NOT IN ({_OPEN}), NULL, NULL FROM reservations r
    WHERE lower(r.group_token) IN (
        SELECT lower(t.group_token) FROM id_tokens t WHERE t.token = ANY(%(tokens)s::text[]))
      AND r.status IN ({_OPEN_OR_MISSED})
""".encode()  # noqa: S608  The words are ours.


async def read_holds(
    connection: AsyncConnection[tuple[Any, ...]],
    station_ids: Collection[int],
    tokens: Collection[str],
) -> Holds:
    """Read what decides on these tokens (lower case) at these stations, by one query."""
    if not station_ids:
        return Holds()
    asked = {"stations": list(station_ids), "tokens": list(tokens)}
    cursor = await connection.execute(_READ, asked)
    holds = Holds()
    for *columns, fits, missed, evse_nos, connected_at in await cursor.fetchall():
        kept = holds.missed if missed else holds.by_id
        hold = kept.get(columns[0]) or Hold(*columns)
        if fits is not None:
            hold = replace(hold, fits=frozenset((one[0], one[1]) for one in fits))
        kept[hold.id] = hold
        if evse_nos is not None:
            holds.evse_nos[hold.station_id] = frozenset(evse_nos)
            if connected_at is not None:
                holds.connected_at[hold.station_id] = connected_at
    return holds


def is_held(now: datetime) -> ColumnElement[bool]:
    """Say of a row of `reservations` whether its gun is held for its driver now."""
    columns = reservations.c
    # As it stands in the partial indexes.
    open_now = columns.status.in_(
        bindparam("open", OPEN, unique=True, expanding=True, literal_execute=True)
    )
    return and_(open_now, columns.held_from <= now, columns.hold_until > now)


async def check_held(
    connection: SqlConnection,
    place: tuple[int, int | None],
    token: str,
    group: str | None,
    now: datetime,
) -> None:
    """Raise EvseHeld where the token may not start at the gun; without a gun, at any of them."""
    columns = reservations.c
    station_id, evse_no = place
    rows = await connection.execute(
        select(columns.id_token, columns.group_token, columns.evse_no, columns.hold_until)
        .where(columns.station_id == station_id)
        .where(is_held(now))
    )
    own = {token, (group or "").lower()} - {""}
    held = {
        row.evse_no: row.hold_until
        for row in rows
        if own.isdisjoint({row.id_token, (row.group_token or "").lower()})
    }
    places = {evse_no}
    if evse_no is None and held:
        query = select(evses.c.evse_no).where(evses.c.station_id == station_id)
        places = set(await connection.scalars(query))
    if held and places <= set(held):
        until = min(held[place] for place in places if place is not None)
        raise EvseHeld(
            "The gun is held for another driver.",
            rule="gun_held",
            passes_at=until.isoformat(),
            evse_no=evse_no,
        )


async def keep_for_start(
    connection: SqlConnection,
    place: tuple[int, int | None],
    token: str,
    group: str | None,
    now: datetime,
) -> None:
    """As `check_held`, and let nobody be given a gun of the station until the start is stored."""
    await lock_starts(connection, place[0])
    await check_held(connection, place, token, group, now)


class HeldFor(NamedTuple):
    driver_id: UUID
    until: datetime


async def read_held(
    connection: SqlConnection, at: datetime, where: ColumnElement[bool]
) -> dict[tuple[int, int], HeldFor]:
    """Return the guns that are held then, and for whom, whatever their stations know of it."""
    columns = reservations.c
    query = select(columns.station_id, columns.evse_no, columns.driver_id, columns.hold_until)
    rows = await connection.execute(query.where(is_held(at), where))
    return {(row.station_id, row.evse_no): HeldFor(row.driver_id, row.hold_until) for row in rows}


@dataclass(frozen=True, slots=True)
class HeldNow:
    """Tells the board and REST which EVSEs are held now: station and number."""

    database: Database
    clock: HubClock

    async def everywhere(self) -> frozenset[tuple[int, int]]:
        async with self.database.read() as connection:
            return await self._read(connection, true())

    async def at_stations(
        self, connection: SqlConnection, station_ids: Collection[int]
    ) -> frozenset[tuple[int, int]]:
        return await self._read(connection, reservations.c.station_id.in_(station_ids))

    async def _read(
        self, connection: SqlConnection, where: ColumnElement[bool]
    ) -> frozenset[tuple[int, int]]:
        return frozenset(await read_held(connection, self.clock.now(), where))


USE_RESERVATION = BatchStatement(
    "reservations.use",
    # Another gun does only where it is as good. A station that was told of the one held forgets it.
    f"""
    WITH used AS (
        UPDATE reservations r SET status = 'used', transaction_id = u.transaction_id,
            ended_at = greatest(u.at, r.created_at), end_reason = 'charged'
        FROM unnest(%s::integer[], %s::bigint[], %s::smallint[], %s::bigint[], %s::timestamptz[],
                    %s::timestamptz[])
             AS u(id, station_id, evse_no, transaction_id, at, received_at)
        JOIN charging_stations s ON s.id = u.station_id
        LEFT JOIN evses e ON e.station_id = u.station_id AND e.evse_no = u.evse_no
        WHERE r.id = u.id AND r.status IN ({_OPEN_OR_MISSED})
          AND (r.station_id = u.station_id AND (u.evse_no IS NULL OR r.evse_no = u.evse_no)
               OR r.binds_any AND s.location_id = r.location_id
                  AND {GUN_POWER_SQL} >= r.wanted_power_w)
        RETURNING r.id, r.station_id, u.received_at,
            (r.station_id, r.evse_no) <> (u.station_id, coalesce(u.evse_no, r.evse_no))
                AS elsewhere)
    INSERT INTO due_actions (kind, subject, due_at, payload)
    SELECT 'reservation.release', id || ':' || station_id, received_at, '{{}}'
    FROM used WHERE elsewhere
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,  # noqa: S608  The words are ours.
    order=60,
)
"""Columns: reservation, station, EVSE, transaction, when it began, when we heard of it."""


def use(  # noqa: PLR0917 - a row's columns
    writes: Writes,
    hold: Hold,
    place: tuple[int, int | None],
    transaction_id: int,
    at: datetime,
    received_at: datetime,
) -> None:
    """Let a transaction use a reservation up, in the batch that begins it."""
    writes.add(USE_RESERVATION, (hold.id, *place, transaction_id, at, received_at))
    look_at(writes, hold.station_id, received_at)  # Another gun than the one held may be left.


def ask_about(writes: Writes, holds: Iterable[Hold], at: datetime) -> None:
    """Have the stations of these asked whether they hold the guns still."""
    for hold in holds:
        writes.add(jobs.SCHEDULE, (ASK, str(hold.id), at, "{}"))
