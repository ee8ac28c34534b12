"""Authorize: whether an idToken may charge, asked before a transaction. It leaves no row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chargehub.authorization import (
    Authorization,
    AuthorizationFacts,
    read_authorization_facts,
)
from chargehub.kit.group_commit import Decision, Item, Writes
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.facts import Connection
from chargehub.transactions.reports import AuthorizeRequested


@dataclass(slots=True, eq=False)
class AuthorizeHandler:
    book: Book

    async def read(
        self, connection: Connection, items: Sequence[Item[AuthorizeRequested]]
    ) -> AuthorizationFacts:
        presented = [(item.report.station_id, item.report.id_token.text) for item in items]
        return await read_authorization_facts(connection, presented)

    def decide(
        self,
        item: Item[AuthorizeRequested],
        facts: AuthorizationFacts,
        writes: Writes,  # noqa: ARG002 - a question leaves no row
    ) -> Decision[Authorization]:
        report = item.report
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
            return Decision(authorization)
        running = self.book.all_at_station(report.station_id)
        own = {token, (authorization.group_id_token or "").lower()} - {""}
        if any(not own.isdisjoint(_whose(found)) for found in running):
            return Decision(authorization)
        taken = [found.evse_no for found in running if found.evse_no is not None]
        place = (report.station_id, None)
        return Decision(facts.beside_holds(authorization, token, place, report.received_at, taken))


def _whose(found: OpenTransaction) -> set[str]:
    return {found.id_token or "", (found.group_id_token or "").lower()}
