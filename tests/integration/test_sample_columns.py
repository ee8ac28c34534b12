"""The statement that stores samples and the row made for it name the same columns, in one order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from chargehub.kit.db import Database
from chargehub.telemetry.readings import Reading
from chargehub.telemetry.store import INSERT_SAMPLES, samples
from chargehub.transactions.recall import reading_of
from chargehub.transactions.reports import SamplesReported
from chargehub.transactions.rows import sample_row

SAMPLED_AT = datetime(2026, 11, 23, 6, 0, 0, 123456, tzinfo=UTC)
READING = Reading(
    SAMPLED_AT,
    "Transaction.End",
    register_wh=101,
    power_w=102,
    voltage_v=103.5,
    current_a=104.5,
    soc_percent=55.5,
    temperature_c=66.5,
    offered_power_w=107,
    extras={"Frequency": 50},
    flags=108,
    raw={"timestamp": "what it said"},
    content_hash=109,
)
REPORT = SamplesReported(201, SAMPLED_AT + timedelta(seconds=2), 2, (READING,), "unused")


async def test_what_is_read_is_stored_where_it_belongs(database: Database) -> None:
    row = sample_row(READING, 2, 202, 203, REPORT)
    wanted: dict[str, Any] = READING._asdict() | {
        "received_at": REPORT.received_at,
        "station_id": 201,
        "evse_no": 2,
        "transaction_id": 202,
        "energy_wh": 203,
    }
    # No two values alike, none left to a default: a column that trades places is noticed.
    assert len({repr(value) for value in wanted.values()}) == len(wanted)
    assert set(wanted) == set(samples.columns.keys())
    async with database.write() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        for _ in range(2):
            # Once more is the same row.
            await driver.execute(INSERT_SAMPLES.sql.encode(), [[value] for value in row])
        (stored,) = (await connection.execute(select(samples))).all()
    assert stored._asdict() == wanted
    kept = reading_of(stored)
    assert (kept.register_wh, kept.flags, kept.content_hash) == (101, 108, 109)
