"""How one event changes what is known of a transaction. Pure; who may charge is not its matter."""

from __future__ import annotations

from dataclasses import replace

from chargehub.authorization import Authorization
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import OpenTransaction
from chargehub.transactions.facts import EventFacts, EvseFact, StoredTransaction
from chargehub.transactions.meter import MeterTrack
from chargehub.transactions.reports import EventKind, TransactionReported

RESUMED = "TxResumed"
"""The trigger of an event that goes on after a reset (B13.FR.30)."""


def with_remote_token(report: TransactionReported, facts: EventFacts) -> TransactionReported:
    """Use the token of the remote start where the station does not repeat it."""
    if report.remote_start_id is None or report.id_token is not None:
        return report
    token = facts.remote_tokens.get((report.station_id, report.remote_start_id))
    return report if token is None else replace(report, id_token=token)


def event_flags(report: TransactionReported) -> Flag:
    return Flag(report.flags) | (Flag.OFFLINE if report.offline else Flag.NONE)


def evse_flags(report: TransactionReported, facts: EventFacts) -> Flag:
    """Flag a transaction at an EVSE that was never commissioned, or of the station as a whole."""
    if report.evse_no is None or (report.station_id, report.evse_no) in facts.evses:
        return Flag.NONE
    return Flag.UNKNOWN_EVSE


def placed(track: MeterTrack, evse: EvseFact | None) -> MeterTrack:
    """Judge by the EVSE's own figures as soon as it is known."""
    if evse is None:
        return track
    return track._replace(max_power_w=evse.max_power_w, previous_wh=evse.previous_register_wh)


def fill(
    changed: OpenTransaction,
    report: TransactionReported,
    authorization: Authorization | None,
    facts: EventFacts,
) -> None:
    """Facts may arrive on any event; what is known already stays (E01.FR.13/16)."""
    if report.kind is EventKind.STARTED:
        changed.started_at = min(changed.started_at, report.at)
    changed.evse_no = changed.evse_no if changed.evse_no is not None else report.evse_no
    changed.connector_no = changed.connector_no or report.connector_no
    if changed.told_at is None or report.at >= changed.told_at:
        changed.told_at = report.at
        changed.charging_state = report.charging_state or changed.charging_state
    changed.remote_start_id = changed.remote_start_id or report.remote_start_id
    changed.reservation_id = changed.reservation_id or report.reservation_id
    begun_by = facts.remote_tokens.get((report.station_id, report.remote_start_id or 0))
    if report.kind is EventKind.ENDED and report.id_token != begun_by:
        return  # Who stops need not be who started; F02.FR.21: a remote start tells who did.
    if authorization is not None and not changed.authorized and report.id_token is not None:
        changed.id_token = report.id_token.text.lower()
        changed.authorized = authorization.accepted
        changed.group_id_token = authorization.group_id_token


def amends(report: TransactionReported, found: OpenTransaction, changed: OpenTransaction) -> bool:
    return report.kind is EventKind.STARTED or any(
        getattr(found, name) != getattr(changed, name)
        for name in (
            "evse_no",
            "connector_no",
            "id_token",
            "authorized",
            "charging_state",
            "remote_start_id",
            "reservation_id",
            "flags",
        )
    )


def tells_values_only(report: TransactionReported, found: OpenTransaction) -> bool:
    """Tell whether an event can change nothing of its transaction but the meter: most are so."""
    return (
        report.kind is EventKind.UPDATED
        and report.id_token is None
        and not report.flags
        and not report.offline
        and report.trigger != RESUMED
        and found.evse_no is not None
        and (found.connector_no is not None or report.connector_no is None)
        and (report.charging_state is None or report.charging_state == found.charging_state)
        and (report.remote_start_id is None or found.remote_start_id is not None)
        and (report.reservation_id is None or found.reservation_id is not None)
    )


def begins_anew(report: TransactionReported, stored: StoredTransaction) -> bool:
    """Tell whether a station uses an id again for another transaction.

    A transaction cannot begin after its own end; a late or repeated Started is older.
    """
    if report.kind is not EventKind.STARTED or report.ref_is_ours or stored.ended_at is None:
        return False
    return stored.ended_by_station and report.at > stored.ended_at
