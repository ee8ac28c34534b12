"""The wide sample table, partitioned by month of `sampled_at`."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    DateTime,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chargehub.kit.group_commit import BatchStatement
from chargehub.kit.tables import metadata

samples = Table(
    "samples",
    metadata,
    Column("sampled_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("station_id", BigInteger, nullable=False),
    # 0: none (clock-aligned values of a whole station, values outside a transaction).
    Column("transaction_id", BigInteger, nullable=False, server_default=text("0")),
    Column("content_hash", BigInteger, nullable=False),
    Column("register_wh", BigInteger),  # as reported, in Wh
    Column("energy_wh", BigInteger),  # corrected, since the transaction's begin
    Column("power_w", Integer),
    Column("offered_power_w", Integer),
    Column("flags", Integer, nullable=False, server_default=text("0")),
    Column("voltage_v", REAL),
    Column("current_a", REAL),
    Column("soc_percent", REAL),
    Column("temperature_c", REAL),
    Column("evse_no", SmallInteger, nullable=False),
    Column("context", Text, nullable=False),
    Column("extras", JSONB),
    Column("raw", JSONB),
    # One row per EVSE, transaction, sampled time, context and content.
    PrimaryKeyConstraint(
        "station_id", "evse_no", "transaction_id", "sampled_at", "context", "content_hash"
    ),
    postgresql_partition_by="RANGE (sampled_at)",
)

INSERT_SAMPLES = BatchStatement(
    "samples.insert",
    """
    INSERT INTO samples (
        sampled_at, received_at, station_id, evse_no, transaction_id, context, content_hash,
        register_wh, energy_wh, power_w, offered_power_w, voltage_v, current_a, soc_percent,
        temperature_c, flags, extras, raw)
    SELECT 'epoch'::timestamptz + sampled_us * interval '1 microsecond',
        'epoch'::timestamptz + received_us * interval '1 microsecond',
        station_id, evse_no, transaction_id, context, content_hash,
        register_wh, energy_wh, power_w, offered_power_w, voltage_v, current_a, soc_percent,
        temperature_c, flags, extras::jsonb, raw::jsonb
    FROM (SELECT unnest(%s::bigint[]) AS sampled_us, unnest(%s::bigint[]) AS received_us,
            unnest(%s::bigint[]) AS station_id, unnest(%s::smallint[]) AS evse_no,
            unnest(%s::bigint[]) AS transaction_id, unnest(%s::text[]) AS context,
            unnest(%s::bigint[]) AS content_hash, unnest(%s::bigint[]) AS register_wh,
            unnest(%s::bigint[]) AS energy_wh, unnest(%s::integer[]) AS power_w,
            unnest(%s::integer[]) AS offered_power_w, unnest(%s::real[]) AS voltage_v,
            unnest(%s::real[]) AS current_a, unnest(%s::real[]) AS soc_percent,
            unnest(%s::real[]) AS temperature_c, unnest(%s::integer[]) AS flags,
            unnest(%s::text[]) AS extras, unnest(%s::text[]) AS raw) u
    ON CONFLICT DO NOTHING
    """,
    order=60,
)
"""Columns in the order of the SELECT list; times in microseconds since 1970 (`kit.datetimes`): they
cost a quarter of a timestamp's text; extras and raw as JSON text."""
