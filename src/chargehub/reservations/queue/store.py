"""Who waits at which Location, and what became of it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from chargehub.kit.tables import metadata

WAITING, CALLED = "waiting", "called"
OPEN = (WAITING, CALLED)
OPEN_SQL = "status IN ('waiting', 'called')"

queue_entries = Table(
    "queue_entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("driver_id", Uuid, ForeignKey("drivers.id"), nullable=False),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("wanted_power_w", Integer, nullable=False),  # at least
    Column("vehicle_id", Uuid, ForeignKey("vehicles.id", ondelete="SET NULL")),
    # The order of a Location's queue: when they joined, but for skipped and missed turns.
    Column("rank", DateTime(timezone=True), nullable=False),
    Column("joined_at", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("skipped", SmallInteger, nullable=False, server_default=text("0")),
    Column("missed", SmallInteger, nullable=False, server_default=text("0")),
    Column("called_at", DateTime(timezone=True)),  # the last time
    Column("ended_at", DateTime(timezone=True)),
    Column("end_reason", Text),
    CheckConstraint("status IN ('waiting', 'called', 'served', 'left', 'out')", name="status"),
    CheckConstraint(f"({OPEN_SQL}) = (ended_at IS NULL)", name="ended"),
    Index("ix_queue_entries_driver_id_id", "driver_id", "id"),
    Index(
        "ix_queue_entries_location_id_rank", "location_id", "rank", postgresql_where=text(OPEN_SQL)
    ),
    # One place a driver, at one Location.
    Index("uq_queue_entries_driver_id", "driver_id", unique=True, postgresql_where=text(OPEN_SQL)),
)
