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
from chargehub.transactions.book import Book
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
        return Decision(
            facts.decide(
                token,
                report.id_token.kind,
                report.station_id,
                None,
                now=report.received_at,
                charging_elsewhere=elsewhere is not None,
            )
        )
