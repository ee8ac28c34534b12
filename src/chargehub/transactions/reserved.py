"""What reservations mean for a charge: who is refused at a held gun, which reservation is used up.

Decides for the group commit's batches; the facts were read there.
"""

from __future__ import annotations

from datetime import datetime

from chargehub.authorization import Authorization
from chargehub.kit.group_commit import Writes
from chargehub.reservations.guard import ask_about, use
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import OpenTransaction
from chargehub.transactions.facts import EventFacts
from chargehub.transactions.reports import TransactionReported


def beside_holds(
    report: TransactionReported,
    authorization: Authorization,
    evse_no: int | None,
    facts: EventFacts,
) -> Authorization:
    """Refuse who begins at a gun that is held for others, unless it is too late for that."""
    if evse_no is None or report.id_token is None or not facts.authorization.holds.by_id:
        return authorization
    if _was_offline(report, facts):
        return authorization  # The energy has flowed; `held_flag` marks it.
    place = (report.station_id, evse_no)
    token = report.id_token.text.lower()
    return facts.authorization.beside_holds(authorization, token, place, report.received_at)


def held_flag(
    report: TransactionReported, begun: OpenTransaction, facts: EventFacts, writes: Writes
) -> Flag:
    """Flag a charge that began while the station was offline, at a gun that was held for others.

    Their stations are asked about the reservations, so that these are moved.
    """
    holds = facts.authorization.holds
    if not holds.by_id or begun.id_token is None or not begun.authorized:
        return Flag.NONE
    at = _began(report, facts)
    held = holds.against(report.station_id, begun.id_token, begun.group_id_token, at)
    hold = held.get(begun.evse_no or 0)
    if hold is None:
        return Flag.NONE
    ask_about(writes, [hold], report.received_at)
    return Flag.HELD_FOR_ANOTHER


def use_reservation(
    report: TransactionReported, begun: OpenTransaction, facts: EventFacts, writes: Writes
) -> None:
    """Let a charge use up the reservation it was told to have, or that its token or group has.

    One that ran out is used after all where the charge began before: a no-show was none.
    """
    holds = facts.authorization.holds
    if not (holds.by_id or holds.missed) or (begun.id_token is not None and not begun.authorized):
        return
    at = _began(report, facts)
    place = (begun.station_id, begun.evse_no)
    hold = holds.used_by(report.reservation_id, place, begun.id_token, begun.group_id_token, at)
    if hold is None and not report.flags & Flag.CLOCK_SKEW:
        hold = holds.used_after_all(place, begun.id_token, begun.group_id_token, report.at)
    if hold is None:
        return
    use(writes, hold, place, begun.id, begun.started_at, report.received_at)
    begun.reservation_id = begun.reservation_id or hold.id
    # Another of this batch can neither use it nor be kept off by it.
    holds.forget(hold.id)


def _was_offline(report: TransactionReported, facts: EventFacts) -> bool:
    """Tell whether it began before the station's present connection, as far as its clock is right.

    Some versions do not say it themselves.
    """
    connected_at = facts.authorization.holds.connected_at.get(report.station_id)
    if report.offline or connected_at is None or report.flags & Flag.CLOCK_SKEW:
        return report.offline
    return report.at < connected_at


def _began(report: TransactionReported, facts: EventFacts) -> datetime:
    return report.at if _was_offline(report, facts) else report.received_at
