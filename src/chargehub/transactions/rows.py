"""The rows of a transaction decision, one function a statement, and what is left to do later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from chargehub.authorization import Authorization
from chargehub.kit import jobs
from chargehub.kit.datetimes import microseconds
from chargehub.kit.group_commit import Writes
from chargehub.telemetry.readings import Flag, Reading
from chargehub.telemetry.store import INSERT_SAMPLES
from chargehub.transactions.book import OpenTransaction
from chargehub.transactions.changes import RESUMED
from chargehub.transactions.facts import EvseFact, KeptSample, StoredTransaction, begin_key
from chargehub.transactions.meter import MeterTrack, advance, moment
from chargehub.transactions.reports import (
    EventKind,
    IdToken,
    SamplesReported,
    TransactionReported,
)
from chargehub.transactions.statements import (
    INSERT_EVENT,
    LINK_REMOTE_START,
    LINK_REMOTE_START_BY_TOKEN,
    SCHEDULE_SETTLEMENT,
)

SETTLE = "transaction.settle"
BEGIN, END = "Transaction.Begin", "Transaction.End"
"""The contexts of a series' first and last sample (16 7.37, 2.x ReadingContextEnumType)."""

SETTLE_DELAY = timedelta(minutes=1)
"""Late samples of a queue usually follow the end within a minute; later ones settle again."""
SETTLE_WAITS = timedelta(minutes=10)
"""Samples that keep coming put settling off by this much at most."""
REMOTE_START_WINDOW = timedelta(minutes=10)
TRANSACTION_RESUMED = "transaction.resumed"


def schedule_settlement(writes: Writes, transaction_id: int, now: datetime) -> None:
    due_at = now + SETTLE_DELAY
    writes.add(SCHEDULE_SETTLEMENT, (SETTLE, str(transaction_id), due_at, due_at + SETTLE_WAITS))


def sample_row(
    reading: Reading,
    evse_no: int,
    transaction_id: int,
    energy_wh: int | None,
    report: SamplesReported | TransactionReported,
) -> tuple[Any, ...]:
    """Return a row for INSERT_SAMPLES."""
    # Taken apart at once: this runs for every sample, and by name it costs twice as much.
    (
        sampled_at,
        context,
        register_wh,
        power_w,
        voltage_v,
        current_a,
        soc_percent,
        temperature_c,
        offered_power_w,
        extras,
        flags,
        raw,
        content_hash,
    ) = reading
    return (
        microseconds(sampled_at),
        microseconds(report.received_at),
        report.station_id,
        evse_no,
        transaction_id,
        context,
        content_hash,
        register_wh,
        energy_wh,
        power_w,
        offered_power_w,
        voltage_v,
        current_a,
        soc_percent,
        temperature_c,
        flags,
        None if extras is None else orjson.dumps(extras).decode(),
        None if raw is None else orjson.dumps(raw).decode(),
    )


def is_kept(
    report: SamplesReported | TransactionReported,
    transaction_id: int,
    reading: Reading,
    kept: Collection[KeptSample],
) -> bool:
    """Tell whether a reading without a time of its own is stored already."""
    return (report.station_id, transaction_id, reading.context, reading.content_hash) in kept


def write_samples(
    writes: Writes,
    report: TransactionReported,
    transaction: OpenTransaction,
    rows: list[tuple[Reading, int | None]],
    kept: Collection[KeptSample],
) -> None:
    evse_no = transaction.evse_no or 0
    for reading, energy in rows:
        if kept and is_kept(report, transaction.id, reading, kept):
            continue
        writes.add(
            INSERT_SAMPLES,
            sample_row(reading, evse_no, transaction.id, energy, report),
        )


def write_bound(
    writes: Writes,
    report: TransactionReported,
    transaction_id: int,
    evse_no: int | None,
    energy_wh: int | None,
) -> None:
    """Keep meterStart or meterStop as a sample too, so that a series has its begin and its end.

    Not where a reading of the same report tells it. Written with the begin or the end itself, so
    once; what it shows is in the transaction already and is no further evidence of the meter.
    """
    context = BEGIN if report.kind is EventKind.STARTED else END
    told = (one.context == context and one.register_wh is not None for one in report.readings)
    if report.register_wh is None or any(told):
        return
    bound = Reading(
        report.at,
        context,
        register_wh=report.register_wh,
        flags=report.flags,
        content_hash=report.content_hash,
    )
    row = sample_row(bound, evse_no or 0, transaction_id, energy_wh, report)
    writes.add(INSERT_SAMPLES, row)


def write_event(writes: Writes, report: TransactionReported, transaction_id: int) -> None:
    raw = None
    if report.raw is not None:
        raw = orjson.dumps(report.raw).decode()
    writes.add(
        INSERT_EVENT,
        (
            transaction_id,
            str(report.kind),
            report.at,
            report.received_at,
            report.seq_no,
            report.trigger,
            report.charging_state,
            report.offline,
            report.flags,
            raw,
            report.content_hash,
        ),
    )


def insertion(
    report: TransactionReported,
    begun: OpenTransaction,
    authorization: Authorization | None,
    register: int | None,
    evse: EvseFact,
) -> tuple[Any, ...]:
    return (
        begun.id,
        begun.station_id,
        begun.ref,
        begin_key(report) if report.assigns_ref else None,
        begun.evse_no,
        begun.connector_no,
        begun.id_token,
        report.id_token.kind if report.id_token else None,
        begun.group_id_token,
        str(authorization.status) if authorization else None,
        begun.charging_state,
        begun.started_at,
        report.received_at,
        register,
        evse.previous_register_wh,
        evse.max_power_w,
        int(begun.flags),
        report.offline,
        begun.remote_start_id,
        begun.reservation_id,
        report.id_token.text if report.id_token and begun.id_token else None,
    )


def amendment(
    report: TransactionReported,
    changed: OpenTransaction,
    authorization: Authorization | None,
    evse: EvseFact | None = None,
) -> tuple[Any, ...]:
    """Return a row for AMEND_TRANSACTION; `evse` where it was not known before."""
    token: IdToken | None = report.id_token
    owns = token is not None and changed.id_token == token.text.lower()
    return (
        changed.id,
        changed.evse_no,
        changed.connector_no,
        changed.id_token if owns else None,
        token.kind if owns and token else None,
        changed.group_id_token if owns else None,
        str(authorization.status) if owns and authorization else None,
        changed.charging_state,
        begin_register(report),
        report.at if report.kind is EventKind.STARTED else None,
        report.offline,
        changed.remote_start_id,
        changed.reservation_id,
        int(changed.flags),
        evse.max_power_w if evse else None,
        evse.previous_register_wh if evse else None,
        token.text if owns and token else None,
    )


def late_amendment(
    report: TransactionReported,
    stored: StoredTransaction,
    authorization: Authorization | None,
    evse: EvseFact | None,
) -> tuple[Any, ...]:
    """An event that comes after its transaction's end: what it tells counts from now on."""
    started = report.kind is EventKind.STARTED
    token = report.id_token
    if report.kind is EventKind.ENDED or (stored.id_token is not None and not started):
        token = None
    if stored.evse_no is not None:
        evse = None
    return (
        stored.id,
        report.evse_no,
        report.connector_no,
        token.text.lower() if token else None,
        token.kind if token else None,
        authorization.group_id_token if token and authorization else None,
        str(authorization.status) if token and authorization else None,
        None,
        begin_register(report),
        report.at if started else None,
        report.offline,
        report.remote_start_id,
        report.reservation_id,
        report.flags | (int(Flag.OFFLINE) if report.offline else 0),
        evse.max_power_w if evse else None,
        evse.previous_register_wh if evse else None,
        token.text if token else None,
    )


def suspicion(transaction_id: int) -> tuple[Any, ...]:
    """Return a row for AMEND_TRANSACTION that only marks a transaction as suspect."""
    return (transaction_id, *[None] * 9, False, None, None, int(Flag.SUSPECT), *[None] * 3)


def ending(
    report: TransactionReported,
    transaction_id: int,
    register: int | None,
    energy: int | None,
    flags: int,
) -> tuple[Any, ...]:
    return (
        transaction_id,
        report.at,
        report.received_at,
        register,
        energy,
        report.stopped_reason or "Local",  # absent means Local (16 4.10)
        report.id_token.text if report.id_token else None,
        flags | report.flags,
    )


def begin_register(report: TransactionReported) -> int | None:
    if report.kind is EventKind.STARTED and report.register_wh is not None:
        return report.register_wh
    first = None
    for reading in sorted(report.readings, key=lambda reading: reading.sampled_at):
        if reading.register_wh is None:
            continue
        if reading.context == BEGIN:
            return reading.register_wh
        first = reading.register_wh if first is None else first
    # Some stations give no context: what a Started event shows is the begin.
    return first if report.kind is EventKind.STARTED else None


def end_register(report: TransactionReported) -> int | None:
    if report.register_wh is not None:
        return report.register_wh
    registers = [
        reading.register_wh
        for reading in sorted(report.readings, key=lambda reading: reading.sampled_at)
        if reading.register_wh is not None
    ]
    return registers[-1] if registers else None


def link_remote_start(writes: Writes, report: TransactionReported, begun: OpenTransaction) -> None:
    if report.remote_start_id is not None:
        writes.add(LINK_REMOTE_START, (begun.station_id, report.remote_start_id, begun.id))
    elif report.assigns_ref and begun.id_token is not None:
        since = report.received_at - REMOTE_START_WINDOW
        writes.add(
            LINK_REMOTE_START_BY_TOKEN,
            (begun.station_id, begun.id_token, begun.evse_no, since, begun.id),
        )


def post_resumption(
    writes: Writes, report: TransactionReported, transaction: OpenTransaction
) -> None:
    """Have it acted on that a transaction goes on, maybe without its profiles (B13.FR.30)."""
    if report.trigger != RESUMED or report.offline:
        return
    payload = {"transaction_id": transaction.id, "station_id": transaction.station_id}
    body = orjson.dumps(payload).decode()
    writes.add(jobs.SCHEDULE, (TRANSACTION_RESUMED, str(transaction.id), report.received_at, body))


def fold(
    track: MeterTrack, readings: Sequence[Reading]
) -> tuple[MeterTrack, list[tuple[Reading, int | None]]]:
    """Fold readings over the track; return it and each reading with its corrected energy.

    A reading older than the track's last gets no energy now: settling gives it one.
    """
    rows: list[tuple[Reading, int | None]] = []
    for reading in readings if len(readings) < 2 else sorted(readings, key=moment):
        newer = track.last_at is None or reading.sampled_at >= track.last_at
        track, own = advance(track, reading)
        # Asked in this order because an IntFlag costs more than the rest of the line.
        usable = newer and (not own or not own & Flag.IMPLAUSIBLE)
        energy = track.energy_wh if usable else None
        rows.append((reading._replace(flags=reading.flags | own) if own else reading, energy))
    return track, rows


def newest_shown(transaction: OpenTransaction, readings: Sequence[Reading]) -> Reading | None:
    """Return the newest of the readings, or None where a newer one is shown already."""
    if not readings:
        return None
    newest = readings[0] if len(readings) == 1 else max(readings, key=moment)
    shown_at = transaction.shown_at
    return newest if shown_at is None or newest.sampled_at >= shown_at else None
