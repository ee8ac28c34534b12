"""Authorize: whether an idToken may charge, asked before a transaction.

It leaves no row, but for a car that is nobody's: that is remembered at its gun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from chargehub.authorization import (
    Authorization,
    AuthorizationFacts,
    read_authorization_facts,
)
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit.group_commit import Decision, Item, Writes
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.cars import (
    CarFacts,
    Connection,
    cars_among,
    note_refusal,
    read_car_facts,
)
from chargehub.transactions.reports import AuthorizeRequested


@dataclass(slots=True)
class AuthorizeFacts:
    authorization: AuthorizationFacts = field(default_factory=AuthorizationFacts)
    cars: CarFacts = field(default_factory=CarFacts)


@dataclass(slots=True, eq=False)
class AuthorizeHandler:
    book: Book
    names: CarNames | None = None

    async def read(
        self, connection: Connection, items: Sequence[Item[AuthorizeRequested]]
    ) -> AuthorizeFacts:
        reports = [item.report for item in items]
        cars = cars_among(self.names, (report.id_token for report in reports))
        presented = [(report.station_id, report.id_token.text) for report in reports]
        at = [report for report in reports if report.id_token in cars.presented]
        presented += [(one.station_id, cars.presented[one.id_token].token) for one in at]
        known = await read_authorization_facts(connection, presented)
        if at:
            places = {report.station_id for report in at}
            await read_car_facts(connection, cars, known.tokens, places)
        return AuthorizeFacts(known, cars)

    def decide(
        self, item: Item[AuthorizeRequested], facts: AuthorizeFacts, writes: Writes
    ) -> Decision[Authorization]:
        report, known = item.report, facts.authorization
        found = facts.cars.of(report.id_token, known.tokens)
        if found is None:
            return Decision(self._judge(report, known))
        named, car = found
        authorization = self._judge(replace(report, id_token=named), known)
        evse_no = facts.cars.gun_of(report.station_id, self.book)
        place = (report.station_id, evse_no)
        tell = note_refusal(
            *(writes, self.names, car, authorization, facts.cars, known.tokens),
            place,
            report.received_at,
        )
        return Decision(authorization, tell)

    def _judge(self, report: AuthorizeRequested, facts: AuthorizationFacts) -> Authorization:
        token = report.id_token.text.lower()
        # The same card at the same station may be about to stop its own transaction.
        elsewhere = self.book.charging_with(token, not_at_station=report.station_id)
        authorization = facts.decide(
            token,
            report.id_token.kind,
            report.station_id,
            None,
            now=report.received_at,
            charging_elsewhere=elsewhere is not None,
        )
        if not facts.holds.by_id:
            return authorization
        running = self.book.all_at_station(report.station_id)
        own = {token, (authorization.group_id_token or "").lower()} - {""}
        if any(not own.isdisjoint(_whose(found)) for found in running):
            return authorization
        taken = [found.evse_no for found in running if found.evse_no is not None]
        place = (report.station_id, None)
        return facts.beside_holds(authorization, token, place, report.received_at, taken)


def _whose(found: OpenTransaction) -> set[str]:
    return {found.id_token or "", (found.group_id_token or "").lower()}
