"""Cars that present themselves (即插即充): known by our name for them, refused with a reason, seen.

Decides for the group commit's batches; the facts were read there. A car that may not charge here is
remembered at its gun for some minutes, so that the driver who charges there can say that it is
theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

from chargehub.authorization import Authorization, AuthorizationStatus, TokenFact
from chargehub.drivers.sightings import SEEN_FOR, SIGHTING_FORGET, WRITE_SIGHTING
from chargehub.drivers.vehicle_identity import CarNames, PresentedCar
from chargehub.kit import jobs
from chargehub.kit.group_commit import Decision, Writes
from chargehub.stations.reports import PLUGGED_IN
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import Book
from chargehub.transactions.reports import (
    EventKind,
    IdToken,
    TransactionReply,
    TransactionReported,
)

Connection = AsyncConnection[tuple[Any, ...]]

log = structlog.get_logger(__name__)

LATE = timedelta(minutes=2)
"""What was told so much later than it happened says nothing of which car stands there now."""
_NOBODYS = frozenset((AuthorizationStatus.INVALID, AuthorizationStatus.BLOCKED))


@dataclass(slots=True)
class CarFacts:
    """The cars that may have presented themselves in a batch."""

    presented: dict[IdToken, PresentedCar] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    """Of idTokens that are blocked: what ended the binding."""
    guns: dict[int, dict[int, bool]] = field(default_factory=dict)
    """Of stations at which a car may be a stranger: each EVSE, and whether a car is plugged in."""

    def of(
        self, token: IdToken | None, known: Mapping[str, TokenFact]
    ) -> tuple[IdToken, PresentedCar] | None:
        """Return the car that was presented, and its idToken here; None: a card, or nobody knows.

        A text that is a card's as it stands is a card. What only may be a car's is one when it is
        known, else it stays as it came: the hub's staff look for lost cards by their texts.
        """
        car = self.presented.get(token) if token is not None and self.presented else None
        if car is None or token is None:
            return None
        if car.identity is not None:
            if token.text.lower() in known:
                return None
            if not car.identity.certain and car.token not in known:
                return None
        return IdToken(car.token, token.kind, presented=token.text), car

    def gun_of(self, station_id: int, book: Book) -> int | None:
        """Return the one gun at which a car can be that only the station as a whole told of."""
        guns = self.guns.get(station_id, {})
        if len(guns) == 1:
            return next(iter(guns))
        waiting = [
            evse_no
            for evse_no, plugged_in in guns.items()
            if plugged_in and book.at_evse(station_id, evse_no) is None
        ]
        return waiting[0] if len(waiting) == 1 else None


def cars_among(names: CarNames | None, tokens: Iterable[IdToken | None]) -> CarFacts:
    """Find the cars among presented idTokens; without names there are none."""
    facts = CarFacts()
    for token in tokens:
        if names is None or token is None or token in facts.presented:
            continue
        car = names.presented(token.text, token.kind)
        if car is not None:
            facts.presented[token] = car
    return facts


async def read_car_facts(
    connection: Connection,
    facts: CarFacts,
    known: Mapping[str, TokenFact],
    station_ids: Collection[int] = (),
) -> None:
    """Read why cars are refused; `station_ids`: where they were presented, but not at which gun."""
    refused = {
        car.token
        for car in facts.presented.values()
        if car.token not in known or known[car.token].blocked
    }
    if not refused:
        return
    cursor = await connection.execute(
        "SELECT DISTINCT ON (id_token) id_token, ended_by FROM vehicle_bindings"
        " WHERE id_token = ANY(%s) AND ended_at IS NOT NULL ORDER BY id_token, ended_at DESC",
        (list(refused),),
    )
    facts.why = dict(await cursor.fetchall())
    if not station_ids:
        return
    cursor = await connection.execute(
        "SELECT station_id, evse_no, bool_or(status = ANY(%s)) FROM connectors"
        " WHERE station_id = ANY(%s) GROUP BY station_id, evse_no",
        ([str(status) for status in PLUGGED_IN], list(station_ids)),
    )
    for station_id, evse_no, plugged_in in await cursor.fetchall():
        facts.guns.setdefault(station_id, {})[evse_no] = plugged_in


def with_car(
    report: TransactionReported, facts: CarFacts, known: Mapping[str, TokenFact]
) -> tuple[TransactionReported, PresentedCar | None]:
    """Call a car that was presented as it is called here."""
    found = facts.of(report.id_token, known)
    if found is None:
        return report, None
    return replace(report, id_token=found[0]), found[1]


def tell_refusal(  # noqa: PLR0917 - what its caller has at hand
    report: TransactionReported,
    car: PresentedCar,
    decision: Decision[TransactionReply],
    facts: CarFacts,
    known: Mapping[str, TokenFact],
    writes: Writes,
    names: CarNames | None,
) -> None:
    """Remember and log a car that was refused what it presented itself for."""
    place = (report.station_id, _stands_at(report))
    answer = decision.reply.authorization
    tell = note_refusal(writes, names, car, answer, facts, known, place, report.received_at)
    if tell is None:
        return
    before = decision.on_commit

    def both() -> None:
        tell()
        if before is not None:
            before()

    decision.on_commit = both


def _stands_at(report: TransactionReported) -> int | None:
    """Return the gun at which a car that this report presents stands now; None: it says nothing."""
    if report.kind is EventKind.ENDED or report.offline or report.flags & Flag.CLOCK_SKEW:
        return None
    return report.evse_no if abs(report.received_at - report.at) <= LATE else None


def note_refusal(  # noqa: PLR0917 - what its callers have at hand
    writes: Writes,
    names: CarNames | None,
    car: PresentedCar,
    authorization: Authorization | None,
    facts: CarFacts,
    known: Mapping[str, TokenFact],
    place: tuple[int, int | None],
    at: datetime,
) -> Callable[[], None] | None:
    """Remember at its gun a car that is nobody's; return what tells the log of any refusal."""
    if authorization is None or authorization.accepted:
        return None
    station_id, evse_no = place
    why = str(authorization.status)
    if car.identity is None:
        why = "not_a_car"
    elif authorization.status in _NOBODYS:
        why = facts.why.get(car.token, "blocked" if car.token in known else "unbound")
        if names is not None and evse_no is not None:
            sealed = names.sealed(car.identity, car.token)
            row = (station_id, evse_no, car.token, str(car.identity.kind), sealed, at)
            writes.add(WRITE_SIGHTING, row)
            subject = f"{station_id}:{evse_no}"
            writes.add(jobs.SCHEDULE, (SIGHTING_FORGET, subject, at + SEEN_FOR, "{}"))
    masked = car.identity.masked if car.identity is not None else "?"

    def tell() -> None:
        log.info("car_refused", station=station_id, evse_no=evse_no, car=masked, why=why)

    return tell
