"""What the transaction decisions must know from the database, one set query a kind and batch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from chargehub.authorization import AuthorizationFacts, read_authorization_facts
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import OpenTransaction
from chargehub.transactions.cars import CarFacts, cars_among, read_car_facts
from chargehub.transactions.reports import IdToken, SamplesReported, TransactionReported

Connection = AsyncConnection[tuple[Any, ...]]
StationRef = tuple[int, str]
StationEvse = tuple[int, int]
KeptSample = tuple[int, int, str, int]
"""Station, transaction, context and content of a stored sample."""

_CLOCK_SKEW = Flag.CLOCK_SKEW.value
UNDATED_WINDOW = timedelta(days=7)
"""How long a station may repeat readings that have no time of their own."""


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction as an event finds it in the database: ended, or begun and asked for again."""

    id: int
    ref: str
    state: str
    evse_no: int | None
    id_token: str | None
    authorization_status: str | None
    group_id_token: str | None
    ended_by_policy: bool
    ended_at: datetime | None

    @property
    def ended_by_station(self) -> bool:
        return self.state == "Ended" and not self.ended_by_policy


@dataclass(frozen=True, slots=True)
class EvseFact:
    max_power_w: int
    previous_register_wh: int | None


@dataclass(slots=True)
class EventFacts:
    stored: dict[StationRef, StoredTransaction] = field(default_factory=dict)
    begun: dict[tuple[int, int], StoredTransaction] = field(default_factory=dict)
    booked: dict[tuple[int, int], StoredTransaction] = field(default_factory=dict)
    """By content: what events without a number were booked to before."""
    authorization: AuthorizationFacts = field(default_factory=AuthorizationFacts)
    cars: CarFacts = field(default_factory=CarFacts)
    evses: dict[StationEvse, EvseFact] = field(default_factory=dict)
    remote_tokens: dict[tuple[int, int], IdToken] = field(default_factory=dict)
    new_ids: list[int] = field(default_factory=list)
    recalled: dict[int, OpenTransaction] = field(default_factory=dict)
    """Open in the database and missing in the book: the answer to their COMMIT was lost."""
    kept: set[KeptSample] = field(default_factory=set)
    """Readings without a usable time that are stored already."""
    taken: set[str] = field(default_factory=set)
    """Tokens that a start of this batch was accepted for; the book learns of it after COMMIT."""


def begin_key(report: TransactionReported) -> int:
    """Return the content by which a repeated start without a reference is known (16 3.7.1)."""
    if report.flags & Flag.CLOCK_SKEW:
        # The time may be our own, another at each repetition.
        return report.content_hash
    token = (report.id_token.presented or report.id_token.text).lower() if report.id_token else ""
    text = f"{report.evse_no}|{token}|{report.at.isoformat()}|{report.register_wh}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def unknown_name(report: TransactionReported) -> str:
    """Return the name under which an event of a number we never gave is kept.

    By content, so a repetition finds it; no number we give can collide with it.
    """
    return f"unknown-{report.content_hash & (2**64 - 1):016x}"


def has_undated(report: SamplesReported | TransactionReported) -> bool:
    """Tell whether readings stand at our time of receipt, another at each repetition."""
    # A bare loop: it runs for every sample of every station.
    for reading in report.readings:  # noqa: SIM110 - `any` costs three times that
        if reading.flags and reading.flags & _CLOCK_SKEW:
            return True
    return False


async def read_kept(
    connection: Connection,
    asked: Iterable[tuple[SamplesReported | TransactionReported, int, Collection[int | None]]],
) -> set[KeptSample]:
    """Find the undated readings that are stored already: report, transaction, possible EVSEs."""
    rows = [
        (report.station_id, evse_no, number, report.received_at, reading.content_hash)
        for report, number, evse_nos in asked
        for evse_no in {evse_no or 0 for evse_no in evse_nos}
        for reading in report.readings
        if reading.flags & _CLOCK_SKEW
    ]
    if not rows:
        return set()
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    cursor = await connection.execute(
        """
        SELECT s.station_id, s.transaction_id, s.context, s.content_hash
        FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::timestamptz[], %s::bigint[])
             AS u(station_id, evse_no, transaction_id, received_at, content_hash)
        JOIN samples s USING (station_id, evse_no, transaction_id, content_hash)
        WHERE s.sampled_at BETWEEN u.received_at - %s AND u.received_at
        """,
        (*columns, UNDATED_WINDOW),
    )
    return {(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()}


async def read_event_facts(
    connection: Connection,
    reports: Collection[TransactionReported],
    strangers: Collection[TransactionReported],
    reserved_at: Collection[int] = (),
    names: CarNames | None = None,
) -> EventFacts:
    """Read all that `TransactionHandler.decide` needs; the book does not say it of `strangers`.

    `reserved_at`: the stations that told of a reservation for the first time.
    """
    facts = EventFacts()
    facts.remote_tokens = await _read_remote_tokens(connection, reports)
    presented = [(item.station_id, item.id_token.text) for item in reports if item.id_token]
    presented += [(place[0], token.text) for place, token in facts.remote_tokens.items()]
    facts.cars = cars_among(names, (report.id_token for report in reports))
    cars = facts.cars.presented
    presented += [
        (item.station_id, cars[item.id_token].token)
        for item in reports
        if item.id_token is not None and item.id_token in cars
    ]
    facts.authorization = await read_authorization_facts(connection, presented, reserved_at)
    if cars:
        await read_car_facts(connection, facts.cars, facts.authorization.tokens)
    if not strangers:
        return facts
    facts.stored = await read_stored(
        connection,
        [
            (report.station_id, report.transaction_ref)
            for report in strangers
            if report.transaction_ref is not None
        ]
        + [(report.station_id, unknown_name(report)) for report in strangers if report.ref_is_ours],
    )
    facts.begun = await _read_begun(connection, strangers)
    facts.booked = await _read_booked(connection, strangers)
    facts.evses = await _read_evses(connection, strangers)
    cursor = await connection.execute(
        "SELECT nextval('transaction_ids') FROM generate_series(1, %s)", (len(strangers),)
    )
    facts.new_ids = [row[0] for row in await cursor.fetchall()]
    return facts


_STORED = (
    "t.id, t.ref, t.state, t.evse_no, t.id_token, t.authorization_status, t.group_id_token,"
    " t.state = 'Ended' AND t.end_received_at IS NULL, t.ended_at"
)


async def read_stored(
    connection: Connection, refs: Collection[StationRef]
) -> dict[StationRef, StoredTransaction]:
    if not refs:
        return {}
    cursor = await connection.execute(
        f"SELECT t.station_id, {_STORED} FROM unnest(%s::bigint[], %s::text[]) u(station_id, ref)"  # noqa: S608  The columns are ours.
        " JOIN transactions t USING (station_id, ref)".encode(),
        ([station_id for station_id, _ in refs], [ref for _, ref in refs]),
    )
    return {(row[0], row[2]): StoredTransaction(*row[1:]) for row in await cursor.fetchall()}


async def _read_begun(
    connection: Connection, reports: Iterable[TransactionReported]
) -> dict[tuple[int, int], StoredTransaction]:
    keys = [(report.station_id, begin_key(report)) for report in reports if report.assigns_ref]
    if not keys:
        return {}
    cursor = await connection.execute(
        f"SELECT t.station_id, t.begin_key, {_STORED}"  # noqa: S608  The columns are ours.
        " FROM unnest(%s::bigint[], %s::bigint[]) u(station_id, begin_key)"
        " JOIN transactions t USING (station_id, begin_key)".encode(),
        ([station_id for station_id, _ in keys], [key for _, key in keys]),
    )
    return {(row[0], row[1]): StoredTransaction(*row[2:]) for row in await cursor.fetchall()}


async def _read_booked(
    connection: Connection, reports: Iterable[TransactionReported]
) -> dict[tuple[int, int], StoredTransaction]:
    """Find the events without a number (E16 3.18) that are told again."""
    asked = [
        (report.station_id, report.content_hash)
        for report in reports
        if report.ref_is_ours and report.transaction_ref is None and not report.assigns_ref
    ]
    if not asked:
        return {}
    cursor = await connection.execute(
        f"SELECT t.station_id, e.content_hash, {_STORED}"  # noqa: S608  The columns are ours.
        " FROM unnest(%s::bigint[], %s::bigint[]) u(station_id, content_hash)"
        " JOIN transactions t USING (station_id)"
        " JOIN transaction_events e ON e.transaction_id = t.id"
        " AND e.content_hash = u.content_hash".encode(),
        ([station_id for station_id, _ in asked], [content for _, content in asked]),
    )
    return {(row[0], row[1]): StoredTransaction(*row[2:]) for row in await cursor.fetchall()}


async def _read_evses(
    connection: Connection, reports: Iterable[TransactionReported]
) -> dict[StationEvse, EvseFact]:
    cursor = await connection.execute(
        """
        SELECT e.station_id, e.evse_no, e.max_power_w,
            (SELECT t.end_register_wh FROM transactions t
             WHERE t.station_id = e.station_id AND t.evse_no = e.evse_no
               AND t.started_at < u.at AND t.end_register_wh > 0
             ORDER BY t.started_at DESC LIMIT 1)
        FROM unnest(%s::bigint[], %s::timestamptz[]) AS u(station_id, at)
        JOIN evses e USING (station_id)
        """,
        ([report.station_id for report in reports], [report.at for report in reports]),
    )
    return {(row[0], row[1]): EvseFact(row[2], row[3]) for row in await cursor.fetchall()}


async def _read_remote_tokens(
    connection: Connection, reports: Iterable[TransactionReported]
) -> dict[tuple[int, int], IdToken]:
    """Return the tokens we asked remote starts for: some stations do not repeat them."""
    asked = [
        (report.station_id, report.remote_start_id)
        for report in reports
        if report.remote_start_id is not None and report.id_token is None
    ]
    if not asked:
        return {}
    cursor = await connection.execute(
        "SELECT c.station_id, c.remote_start_id, c.id_token"
        " FROM unnest(%s::bigint[], %s::integer[]) u(station_id, remote_start_id)"
        " JOIN station_commands c USING (station_id, remote_start_id)"
        " WHERE c.id_token IS NOT NULL",
        ([station_id for station_id, _ in asked], [number for _, number in asked]),
    )
    return {(row[0], row[1]): IdToken(row[2]) for row in await cursor.fetchall()}


async def read_transaction_at(
    connection: Connection, places: Collection[tuple[int, int, datetime]]
) -> dict[tuple[int, int, datetime], StoredTransaction]:
    """Find the transaction open at (station, EVSE, time), for what the book cannot place."""
    if not places:
        return {}
    cursor = await connection.execute(
        f"""
        SELECT u.station_id, u.evse_no, u.at, {_STORED}
        FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[]) AS u(station_id, evse_no, at)
        JOIN LATERAL (
            SELECT * FROM transactions t
            WHERE t.station_id = u.station_id AND t.evse_no = u.evse_no
              AND t.started_at <= u.at AND (t.ended_at >= u.at OR t.state = 'Active')
            ORDER BY t.started_at DESC LIMIT 1) t ON true
        """.encode(),  # noqa: S608  The columns are ours.
        (
            [station_id for station_id, _, _ in places],
            [evse_no for _, evse_no, _ in places],
            [at for _, _, at in places],
        ),
    )
    return {
        (row[0], row[1], row[2]): StoredTransaction(*row[3:]) for row in await cursor.fetchall()
    }
