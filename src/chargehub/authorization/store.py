"""Reads what decides on idTokens: for a whole batch by set queries, or for one token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.authorization.decision import (
    Authorization,
    Place,
    TokenFact,
    decide,
    decide_beside_holds,
)
from chargehub.drivers.store import id_tokens
from chargehub.drivers.vehicle_identity import is_car_token
from chargehub.reservations.guard import Holds, read_holds
from chargehub.stations.store import charging_stations, evses


@dataclass(frozen=True, slots=True)
class StoredToken:
    display: str
    kind: str
    fact: TokenFact


@dataclass(slots=True)
class AuthorizationFacts:
    """What a batch must know to decide on the idTokens presented in it."""

    tokens: dict[str, TokenFact] = field(default_factory=dict)
    """By lower-case text; an unknown token is absent."""
    places: dict[int, Place] = field(default_factory=dict)
    """By station, where a restricted token was presented."""
    holds: Holds = field(default_factory=Holds)

    def decide(
        self,
        token: str,
        kind: str | None,
        station_id: int,
        evse_no: int | None,
        *,
        now: datetime,
        charging_elsewhere: bool = False,
    ) -> Authorization:
        return decide(
            token,
            kind,
            self.tokens.get(token),
            now=now,
            place=self.places.get(station_id),
            evse_no=evse_no,
            charging_elsewhere=charging_elsewhere,
        )

    def beside_holds(
        self,
        authorization: Authorization,
        token: str,
        place: tuple[int, int | None],
        at: datetime,
        taken: Collection[int] = (),
    ) -> Authorization:
        """Narrow an acceptance by what is held for others at the place then."""
        station_id, evse_no = place
        if not self.holds.by_id or not authorization.accepted:
            return authorization
        held = self.holds.against(station_id, token, authorization.group_id_token, at)
        return decide_beside_holds(
            authorization,
            {number: hold.hold_until for number, hold in held.items()},
            self.holds.evse_nos.get(station_id, ()),
            evse_no=evse_no,
            taken=taken,
        )


async def find_token_fact(connection: SqlConnection, token: str) -> StoredToken | None:
    """Return one token, in the spelling and of the kind it was entered with.

    A car's is presented by the car alone: to who starts from afar there is none.
    """
    if is_car_token(token):
        return None
    row = (
        await connection.execute(select(id_tokens).where(id_tokens.c.token == token.lower()))
    ).one_or_none()
    if row is None:
        return None
    fact = _fact(row.status, row.group_token, row.expires_at, row.location_ids, row.max_power_w)
    return StoredToken(row.display, row.kind, fact)


async def find_place(connection: SqlConnection, station_id: int) -> Place | None:
    query = (
        select(charging_stations.c.location_id, evses.c.evse_no, evses.c.max_power_w)
        .join(evses, evses.c.station_id == charging_stations.c.id)
        .where(charging_stations.c.id == station_id)
    )
    rows: list[Row[Any]] = list(await connection.execute(query))
    if not rows:
        return None
    return Place(rows[0].location_id, {row.evse_no: row.max_power_w for row in rows})


async def read_authorization_facts(
    connection: AsyncConnection[tuple[Any, ...]],
    presented: Iterable[tuple[int, str]],
    reserved_at: Iterable[int] = (),
) -> AuthorizationFacts:
    """Return the facts on tokens presented at stations: pairs of station and text, in any case.

    `reserved_at` are stations that named a reservation, with or without a token.
    """
    shown = {(station_id, text.lower()) for station_id, text in presented}
    stations = {station_id for station_id, _ in shown} | set(reserved_at)
    asked = {(station_id, text) for station_id, text in shown if text}
    holds = await read_holds(connection, stations, {text for _, text in asked})
    if not asked:
        return AuthorizationFacts(holds=holds)
    cursor = await connection.execute(
        "SELECT token, status, group_token, expires_at, location_ids, max_power_w"
        " FROM id_tokens WHERE token = ANY(%s)",
        (list({token for _, token in asked}),),
    )
    tokens = {row[0]: _fact(*row[1:]) for row in await cursor.fetchall()}
    restricted = {token for token, fact in tokens.items() if fact.restricted}
    stations = {station_id for station_id, token in asked if token in restricted}
    return AuthorizationFacts(tokens, await _read_places(connection, stations), holds)


async def _read_places(
    connection: AsyncConnection[tuple[Any, ...]], stations: Collection[int]
) -> dict[int, Place]:
    if not stations:
        return {}
    cursor = await connection.execute(
        "SELECT s.id, s.location_id, e.evse_no, e.max_power_w"
        " FROM charging_stations s JOIN evses e ON e.station_id = s.id WHERE s.id = ANY(%s)",
        (list(stations),),
    )
    locations: dict[int, str] = {}
    powers: dict[int, dict[int, int]] = defaultdict(dict)
    for station_id, location_id, evse_no, max_power_w in await cursor.fetchall():
        locations[station_id] = location_id
        powers[station_id][evse_no] = max_power_w
    return {number: Place(location_id, powers[number]) for number, location_id in locations.items()}


def _fact(
    status: str,
    group_token: str | None,
    expires_at: datetime | None,
    location_ids: list[str] | None,
    max_power_w: int | None,
) -> TokenFact:
    places = None if location_ids is None else frozenset(location_ids)
    return TokenFact(status == "Blocked", group_token, expires_at, places, max_power_w)
