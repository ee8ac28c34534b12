"""Transactions and their events, one table for every protocol."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chargehub.kit.tables import metadata

# 1.6 transactionIds come from here: positive 31-bit, never reused (E16 3.54).
transaction_ids = Sequence("transaction_ids", minvalue=1, maxvalue=2**31 - 1, metadata=metadata)
remote_start_ids = Sequence("remote_start_ids", minvalue=1, maxvalue=2**31 - 1, metadata=metadata)

# Ended by the equipment, the grid or a reset: not by driver, car, a limit, or a rule of ours. Not
# `Other`, which the hub says of what it closed itself and some stations of everything.
ABORTED = (
    "stopped_reason IN ('EmergencyStop', 'GroundFault', 'ImmediateReset', 'OvercurrentFault', "
    "'PowerLoss', 'PowerQuality', 'Reboot', 'SoftReset')"
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), nullable=False),
    # The station's own id (2.x), or ours as text (1.6). Key is (station, ref): E01.FR.08.
    Column("ref", Text, nullable=False),
    # Recognises a repeated 1.6 start by content; NULL for 2.x.
    Column("begin_key", BigInteger),
    Column("evse_no", SmallInteger),
    Column("connector_no", SmallInteger),
    Column("id_token", Text),  # lower case
    Column("id_token_presented", Text),  # as the station told it
    Column("id_token_kind", Text),
    Column("group_id_token", Text),
    Column("authorization_status", Text),
    Column("state", Text, nullable=False),  # Active, Ended
    Column("charging_state", Text),
    Column("started_at", DateTime(timezone=True), nullable=False),
    # Where the station's clock says that it ended before it began: as long after as we saw.
    Column("ended_at", DateTime(timezone=True)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("end_received_at", DateTime(timezone=True)),
    Column("begin_register_wh", BigInteger),  # as reported
    # Where the EVSE's previous transaction ended: tells a zero begin from a meter at zero.
    Column("previous_register_wh", BigInteger),
    Column("max_power_w", Integer, nullable=False),
    Column("end_register_wh", BigInteger),  # as reported
    Column("energy_wh", BigInteger),  # corrected; NULL until a register was read
    Column("flags", Integer, nullable=False, server_default=text("0")),
    Column("stopped_reason", Text),
    Column("stop_id_token", Text),
    Column("offline", Boolean, nullable=False, server_default=text("false")),
    Column("remote_start_id", Integer),
    Column("reservation_id", Integer),
    Column("first_seq_no", BigInteger),
    Column("last_seq_no", BigInteger),
    Column("settled_at", DateTime(timezone=True)),  # meter truth recomputed from stored readings
    # Of one with gaps: whether its station says that more is to come (E14); NULL: not known.
    Column("messages_pending", Boolean),
    UniqueConstraint("station_id", "ref"),
    UniqueConstraint("station_id", "begin_key"),
    CheckConstraint("ended_at >= started_at", name="ended_after_begin"),
    Index("ix_transactions_station_id_evse_no_started_at", "station_id", "evse_no", "started_at"),
    Index(
        "ix_transactions_active",
        "station_id",
        "evse_no",
        postgresql_where=text("state = 'Active'"),
    ),
    Index("ix_transactions_started_at_id", "started_at", "id"),
    Index("ix_transactions_station_id_started_at", "station_id", "started_at"),
    Index("ix_transactions_id_token", "id_token"),
    Index(
        "ix_transactions_aborted",
        "station_id",
        "ended_at",
        postgresql_where=text(ABORTED),
    ),
)

transaction_events = Table(
    "transaction_events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("transaction_id", BigInteger, ForeignKey(transactions.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("seq_no", BigInteger),
    Column("trigger", Text),
    Column("charging_state", Text),
    Column("offline", Boolean, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("raw", JSONB),  # whole when flags are set; else what no column holds
    Column("content_hash", BigInteger, nullable=False),
    UniqueConstraint("transaction_id", "content_hash"),
)
