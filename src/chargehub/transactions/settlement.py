"""Settling: what an ended transaction really took.

Settling recomputes a transaction from its stored readings alone (invariant 6), so late and replayed
samples correct it. Closing what a station forgot is `orphans`, rebuilding the open ones `recall`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from sqlalchemy import bindparam, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.telemetry.readings import Flag, Reading
from chargehub.telemetry.store import samples
from chargehub.transactions.meter import MeterTruth, begin_track
from chargehub.transactions.missing import schedule_ask_missing
from chargehub.transactions.recall import MANY_READINGS, reading_of
from chargehub.transactions.reports import EventKind
from chargehub.transactions.rows import BEGIN, END
from chargehub.transactions.skew import Received, find_truth_by_either_clock
from chargehub.transactions.store import transaction_events, transactions

log = structlog.get_logger(__name__)

RECOMPUTED = (
    Flag.UNIT_SUSPECT
    | Flag.IMPLAUSIBLE
    | Flag.REGISTER_RESET
    | Flag.ZERO_BEGIN
    | Flag.BEGIN_MISSING
    | Flag.END_BEFORE_BEGIN
    | Flag.GAP
    | Flag.CLOCK_SKEW
)
"""What settling finds anew, in the events or the readings; other flags stay as they were raised."""


async def read_readings(connection: SqlConnection, transaction: Any) -> list[tuple[Any, Reading]]:
    """Return the stored sample rows of a transaction with the readings they hold, in time order."""
    rows = await connection.execute(
        select(
            samples.c.sampled_at,
            samples.c.received_at,
            samples.c.evse_no,
            samples.c.context,
            samples.c.content_hash,
            samples.c.register_wh,
            samples.c.energy_wh,
            samples.c.flags,
        )
        .where(
            samples.c.station_id == transaction.station_id,
            samples.c.transaction_id == transaction.id,
        )
        .order_by(samples.c.sampled_at, samples.c.content_hash)
    )
    return [(row, reading_of(row)) for row in rows.all()]


@dataclass(slots=True)
class Settlement:
    database: Database
    clock: HubClock

    async def settle(self, subject: str, _payload: dict[str, Any]) -> None:
        """Recompute the transaction `subject` from its stored readings. Repeatable."""
        async with self.database.write() as connection:
            row = (
                await connection.execute(
                    select(transactions).where(transactions.c.id == int(subject)).with_for_update()
                )
            ).one_or_none()
            if row is None or row.state != "Ended":
                return
            await _place_samples(connection, row)
            readings = await read_readings(connection, row)
            told = await _told(connection, row)
            if len(readings) > MANY_READINGS:
                truth = await asyncio.to_thread(_truth_of, row, told, readings)
            else:
                truth = _truth_of(row, told, readings)
            await _store_sample_energies(connection, row, readings, truth)
            flags = (row.flags & ~int(RECOMPUTED)) | int(truth.flags) | told.flags
            if told.ended_at < row.started_at:
                flags |= int(Flag.CLOCK_SKEW)
            await connection.execute(
                update(transactions)
                .where(transactions.c.id == row.id)
                .values(
                    energy_wh=truth.energy_wh if truth.energy_wh is not None else 0,
                    flags=flags,
                    # The begin may have been told since, and be earlier than what we took for it.
                    ended_at=row.ended_at if told.ended_at < row.started_at else told.ended_at,
                    first_seq_no=told.first,
                    last_seq_no=told.last,
                    settled_at=self.clock.now(),
                )
            )
            if flags & Flag.GAP:
                await schedule_ask_missing(connection, self.clock, row.id)


def _truth_of(row: Any, told: Told, readings: Sequence[tuple[Any, Reading]]) -> MeterTruth:
    track = begin_track(
        row.begin_register_wh, row.started_at, row.max_power_w, row.previous_register_wh
    )
    end = None
    if row.end_received_at is not None:
        end = Reading(told.ended_at, END, register_wh=row.end_register_wh)
    begin = Reading(row.started_at, BEGIN, register_wh=row.begin_register_wh)
    own = {_shown(one) for one in (begin, end) if one is not None}
    counted = [(sample, reading) for sample, reading in readings if _shown(reading) not in own]
    truth = find_truth_by_either_clock(
        track,
        [reading for _, reading in counted],
        end,
        Received(
            row.received_at,
            [sample.received_at for sample, _ in counted],
            row.end_received_at,
            row.offline,
        ),
    )
    energies = iter(truth.reading_energy_wh)
    total = truth.energy_wh
    bounds = {BEGIN: None if total is None else 0, END: total}
    energy_wh = tuple(
        bounds[reading.context] if _shown(reading) in own else next(energies)
        for _, reading in readings
    )
    return replace(truth, reading_energy_wh=energy_wh)


def _shown(reading: Reading) -> tuple[str, datetime, int | None]:
    """Return by what a sample is known as the begin or the end itself, seen in the series too.

    Folded beside it, a register that was wrong once would confirm itself.
    """
    return reading.context, reading.sampled_at, reading.register_wh


async def _place_samples(connection: SqlConnection, transaction: Any) -> None:
    """Move samples that came before their EVSE was told to where a repetition would put them."""
    if not transaction.evse_no:
        return
    unplaced = (
        (samples.c.station_id == transaction.station_id)
        & (samples.c.transaction_id == transaction.id)
        & (samples.c.evse_no == 0)
    )
    placed = samples.alias()
    repeated = exists().where(
        placed.c.station_id == samples.c.station_id,
        placed.c.evse_no == transaction.evse_no,
        placed.c.transaction_id == samples.c.transaction_id,
        placed.c.sampled_at == samples.c.sampled_at,
        placed.c.context == samples.c.context,
        placed.c.content_hash == samples.c.content_hash,
    )
    await connection.execute(delete(samples).where(unplaced, repeated))
    await connection.execute(update(samples).where(unplaced).values(evse_no=transaction.evse_no))


async def _store_sample_energies(
    connection: SqlConnection,
    transaction: Any,
    readings: Sequence[tuple[Any, Reading]],
    truth: MeterTruth,
) -> None:
    changed = [
        {
            "at": row.sampled_at,
            "evse": row.evse_no,
            "ctx": row.context,
            "content": row.content_hash,
            "energy": energy,
        }
        for (row, _), energy in zip(readings, truth.reading_energy_wh, strict=True)
        if row.energy_wh != energy
    ]
    if not changed:
        return
    await connection.execute(
        update(samples)
        .where(
            samples.c.station_id == transaction.station_id,
            samples.c.transaction_id == transaction.id,
            samples.c.evse_no == bindparam("evse"),
            samples.c.sampled_at == bindparam("at"),
            samples.c.context == bindparam("ctx"),
            samples.c.content_hash == bindparam("content"),
        )
        .values(energy_wh=bindparam("energy")),
        changed,
    )


class Told(NamedTuple):
    """What the events say."""

    first: int | None
    last: int | None
    flags: int
    ended_at: datetime
    """By the station's clock, which may say that it was before the begin."""


async def _told(connection: SqlConnection, transaction: Any) -> Told:
    """Return the first and last seqNo, and the events' flags with GAP where numbers are missing.

    Some stations send 0 in every event; then nothing can be said.
    """
    events = transaction_events.c
    the_end = (events.kind == EventKind.ENDED) & (events.received_at == transaction.end_received_at)
    row = (
        await connection.execute(
            select(
                func.min(events.seq_no),
                func.max(events.seq_no),
                func.count(events.seq_no.distinct()),
                func.coalesce(func.bit_or(events.flags), 0),
                func.max(events.at).filter(the_end),
            ).where(events.transaction_id == transaction.id)
        )
    ).one()
    first, last, count, flags, ended_at = row
    if first is not None and first != last and last - first + 1 > count:
        flags |= int(Flag.GAP)
    return Told(first, last, flags & int(RECOMPUTED), ended_at or transaction.ended_at)
