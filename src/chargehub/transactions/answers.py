"""What stations are answered about the idTokens that come with their transactions.

Decides for the group commit's batches; the facts were read there. Who may charge at all is decided
in `authorization`.
"""

from __future__ import annotations

from chargehub.authorization import Authorization
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.changes import evse_flags
from chargehub.transactions.facts import EventFacts
from chargehub.transactions.reports import EventKind, TransactionReported
from chargehub.transactions.reserved import beside_holds


def answer_token(
    report: TransactionReported, found: OpenTransaction | None, facts: EventFacts, book: Book
) -> Authorization | None:
    """Answer the presented token; no token, no answer (E01.FR.11/12)."""
    if report.id_token is None:
        return None
    token = report.id_token.text.lower()
    own = found.id if found is not None else None
    starts = report.kind is EventKind.STARTED or (found is not None and not found.authorized)
    # What is still open at the same gun is what the station has forgotten, not elsewhere.
    here = (report.station_id, report.evse_no)
    charging = book.charging_with(token, besides=own, not_at_evse=here)
    elsewhere = starts and (token in facts.taken or charging is not None)
    authorization = facts.authorization.decide(
        token,
        report.id_token.kind,
        report.station_id,
        report.evse_no or (found.evse_no if found is not None else None),
        now=report.received_at,
        charging_elsewhere=elsewhere,
    )
    if report.kind is not EventKind.ENDED and (found is None or not found.authorized):
        evse_no = report.evse_no or (found.evse_no if found is not None else None)
        authorization = beside_holds(report, authorization, evse_no, facts)
    holds = found is not None or not evse_flags(report, facts)
    if starts and holds and authorization.accepted and report.kind is not EventKind.ENDED:
        facts.taken.add(token)
    return authorization


def answer_latecomer(report: TransactionReported, facts: EventFacts) -> Authorization | None:
    """Answer a token of what is over: where else it charges now matters no more."""
    if report.id_token is None:
        return None
    token, kind = report.id_token.text.lower(), report.id_token.kind
    place = (report.station_id, report.evse_no)
    return facts.authorization.decide(token, kind, *place, now=report.received_at)
