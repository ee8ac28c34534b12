"""Bays, what their devices told, and what their locks were told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from chargehub.kit.tables import metadata

_IN_SERVICE = text("removed_at IS NULL")

bays = Table(
    "bays",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # Whose gateway speaks for its devices; that of the station.
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("station_id", BigInteger, nullable=False),
    Column("evse_no", SmallInteger, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    # Names that the gateway gives them; one device may be both.
    Column("lock_device", Text),
    Column("sensor_device", Text),
    Column("lock_state", Text, nullable=False, server_default="unknown"),
    Column("lock_told_at", DateTime(timezone=True)),  # by the device's clock, with its count
    Column("lock_sequence", BigInteger),
    Column("battery_percent", SmallInteger),
    Column("sensor_state", Text, nullable=False, server_default="unknown"),
    # Since when we know it to say so: what is reckoned from it hangs on no device's clock.
    Column("sensor_since", DateTime(timezone=True)),
    Column("sensor_told_at", DateTime(timezone=True)),
    Column("sensor_sequence", BigInteger),
    Column("lock_heard_at", DateTime(timezone=True)),
    Column("sensor_heard_at", DateTime(timezone=True)),
    # As last judged; `blocked_told_at`: staff heard of it.
    Column("blocked_by", Text),
    # What held the gun when it was last judged so.
    Column("blocked_reservation_id", Integer),
    Column("blocked_since", DateTime(timezone=True)),
    Column("blocked_told_at", DateTime(timezone=True)),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("removed_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["station_id", "evse_no"], ["evses.station_id", "evses.evse_no"]),
    CheckConstraint("num_nonnulls(lock_device, sensor_device) > 0", name="some_device"),
    CheckConstraint(
        "lock_state IN ('raised', 'lowered', 'moving', 'obstructed', 'fault', 'unknown')",
        name="lock_state",
    ),
    CheckConstraint("sensor_state IN ('occupied', 'free', 'unknown')", name="sensor_state"),
    CheckConstraint("battery_percent BETWEEN 0 AND 100", name="battery_percent"),
    CheckConstraint("blocked_by IN ('car', 'lock')", name="blocked_by"),
    CheckConstraint("(blocked_by IS NULL) = (blocked_since IS NULL)", name="blocked_since"),
    Index("ix_bays_location_id_id", "location_id", "id"),
    Index(
        "uq_bays_station_id_evse_no",
        "station_id",
        "evse_no",
        unique=True,
        postgresql_where=_IN_SERVICE,
    ),
    Index(
        "uq_bays_lock_device",
        "location_id",
        "lock_device",
        unique=True,
        postgresql_where=_IN_SERVICE,
    ),
    Index(
        "uq_bays_sensor_device",
        "location_id",
        "sensor_device",
        unique=True,
        postgresql_where=_IN_SERVICE,
    ),
)

# What a Location wants of its locks; none: the usual.
bay_rules = Table(
    "bay_rules",
    metadata,
    Column("location_id", Text, ForeignKey("locations.id"), primary_key=True),
    Column("raised_when_free", Boolean, nullable=False),
    Column("free_for_s", Integer, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("free_for_s >= 0", name="free_for_s"),
)

bay_commands = Table(
    "bay_commands",
    metadata,
    # The request id that the gateway knows it by.
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("bay_id", BigInteger, ForeignKey(bays.c.id), nullable=False),
    Column("action", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("forced", Boolean, nullable=False, server_default=text("false")),
    Column("reason", Text),
    Column("requested_by", Text, nullable=False),
    Column("driver_id", Uuid, ForeignKey("drivers.id")),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("sent_at", DateTime(timezone=True)),  # the first time
    Column("accepted_at", DateTime(timezone=True)),  # by the gateway
    Column("outcome", Text, nullable=False, server_default="pending"),
    Column("why", Text),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("action IN ('raise', 'lower')", name="action"),
    CheckConstraint(
        "outcome IN ('pending', 'done', 'refused', 'failed', 'timeout', 'superseded')",
        name="outcome",
    ),
    CheckConstraint("(outcome = 'pending') = (ended_at IS NULL)", name="ended_at"),
    Index("ix_bay_commands_bay_id_seq", "bay_id", "seq"),
    Index("ix_bay_commands_driver_id", "driver_id"),
    Index("ix_bay_commands_ended_at", "ended_at"),
    # A lock does one thing at a time.
    Index(
        "uq_bay_commands_open",
        "bay_id",
        unique=True,
        postgresql_where=text("outcome = 'pending'"),
    ),
)

# What devices told, as the evidence of what was believed; repeated events are one row.
bay_events = Table(
    "bay_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("lock_state", Text),
    Column("battery_percent", SmallInteger),
    Column("sensor_state", Text),
    Column("request_id", Uuid),
    Column("result", Text),
    # newer, older or unclear, as judged against what was known.
    Column("judged", Text, nullable=False),
    UniqueConstraint("location_id", "event_id"),
    Index("ix_bay_events_received_at", "received_at"),
)

# Of signed requests from gateways, so that none is taken twice; by wall time.
bay_nonces = Table(
    "bay_nonces",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_bay_nonces_at", "at"),
)
