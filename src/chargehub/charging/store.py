"""Drivers' charges: from the wish to start until the transaction is over.

What was charged is the transaction's; here is whose it is, what they wished and why it ended.
"""

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
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from chargehub.kit.tables import metadata

charges = Table(
    "charges",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("driver_id", Uuid, ForeignKey("drivers.id"), nullable=False),
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), nullable=False),
    Column("evse_no", SmallInteger),
    Column("started_by", Text, nullable=False),
    Column("id_token", Text, nullable=False),  # lower case
    # Of a start from afar; the command's row has the station's own words.
    Column("command_id", Uuid),
    Column("remote_start_id", Integer),
    Column("transaction_id", BigInteger, unique=True),
    Column("limit_energy_wh", BigInteger),
    Column("limit_minutes", Integer),
    Column("limit_soc_percent", SmallInteger),
    Column("stop_when_full", Boolean, nullable=False, server_default=text("false")),
    # Of the vehicle as its driver told it when this began; it says how long the rest takes.
    Column("battery_wh", Integer),
    Column("state", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    # Whoever asked first is the reason; it is asked again until the station has stopped.
    Column("stop_reason", Text),
    Column("stop_requested_at", DateTime(timezone=True)),
    Column("stop_attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("stop_answer", Text),
    Column("ended_at", DateTime(timezone=True)),
    Column("end_reason", Text),
    CheckConstraint("started_by IN ('app', 'card', 'vin', 'mac')", name="started_by"),
    CheckConstraint(
        "state IN ('requested', 'starting', 'charging', 'stopping', 'ended', 'failed')",
        name="state",
    ),
    CheckConstraint("(ended_at IS NULL) = (state NOT IN ('ended', 'failed'))", name="ended_at"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_reason"),
    CheckConstraint("id_token = lower(id_token)", name="token_lower"),
    Index("ix_charges_driver_id_requested_at_id", "driver_id", "requested_at", "id"),
    Index("ix_charges_command_id", "command_id"),
    Index(
        "ix_charges_unbegun_requested_at",
        "requested_at",
        postgresql_where=text("transaction_id IS NULL"),
    ),
    Index(
        "ix_charges_under_way",
        "station_id",
        "evse_no",
        postgresql_where=text("state NOT IN ('ended', 'failed')"),
    ),
    # A driver waits for one start at a time, and a gun for one driver.
    Index(
        "uq_charges_starting_driver_id",
        "driver_id",
        unique=True,
        postgresql_where=text("state IN ('requested', 'starting')"),
    ),
    Index(
        "uq_charges_starting_evse",
        "station_id",
        "evse_no",
        unique=True,
        postgresql_where=text("state IN ('requested', 'starting')"),
    ),
)
