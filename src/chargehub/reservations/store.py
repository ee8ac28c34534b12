"""Reservations and the dated rules they are made under."""

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
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint

from chargehub.kit.tables import metadata
from chargehub.reservations.queue.store import queue_entries

STEP = "reservation.step"
"""Does what is due for a reservation by our clock; subject: its id."""
ASK = "reservation.ask"
"""Asks the station to hold the gun; subject: the reservation's id."""
RELEASE = "reservation.release"
"""Has a station forget a reservation; subject: `<id>:<station id>`."""

OPEN = ("requested", "pending", "active")
"""Booked with us; the station is being told; the gun is held."""
MISSED = ("no_show", "expired", "failed")
"""Over by the clock alone: a charge that began in time and is told late uses them up after all."""
STATUSES = (*OPEN, "used", "cancelled", "expired", "no_show", "failed")
NO_OVERLAP = "no_overlap_of_reservations"

_OPEN_SQL = "status IN ('requested', 'pending', 'active')"

reservations = Table(
    "reservations",
    metadata,
    # OCPP's reservationId: 32 bits.
    Column("id", Integer, Identity(always=True, minvalue=1, maxvalue=2**31 - 1), primary_key=True),
    Column("driver_id", Uuid, ForeignKey("drivers.id"), nullable=False),
    # The place in the queue that is called by it; NULL: a booking.
    Column("queue_entry_id", BigInteger, ForeignKey(queue_entries.c.id)),
    Column("id_token", Text, nullable=False),  # lower case
    Column("group_token", Text),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    # The EVSE held. Of a pool booking it is provisional, and moved at need.
    Column("station_id", BigInteger, nullable=False),
    Column("evse_no", SmallInteger, nullable=False),
    Column("any_evse", Boolean, nullable=False),
    # At least; of a given EVSE its own, so that another of equal power can stand in for it.
    Column("wanted_power_w", Integer, nullable=False),
    # Charging at any gun of that power uses it up, not at the one held only.
    Column("binds_any", Boolean, nullable=False, server_default=text("true")),
    # From then on the gun takes only this driver; the window is when they come.
    Column("held_from", DateTime(timezone=True), nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("hold_until", DateTime(timezone=True), nullable=False),  # a no-show from then on
    Column("status", Text, nullable=False, server_default="requested"),
    # Since then this is the gun to go to, and the driver was told so; NULL: none can be had yet.
    Column("called_at", DateTime(timezone=True)),
    Column("extended", Boolean, nullable=False, server_default=text("false")),
    Column("moves", SmallInteger, nullable=False, server_default=text("0")),
    Column("station_answer", Text),  # to ReserveNow; Unsupported: we guard the gun alone
    Column("transaction_id", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("end_reason", Text),
    ForeignKeyConstraint(["station_id", "evse_no"], ["evses.station_id", "evses.evse_no"]),
    CheckConstraint(
        "status ~ '^(requested|pending|active|used|cancelled|expired|no_show|failed)$'",
        name="status",
    ),
    CheckConstraint("held_from <= starts_at AND starts_at < hold_until", name="window"),
    CheckConstraint("id_token = lower(id_token)", name="token_lower"),
    Index("ix_reservations_driver_id_id", "driver_id", "id"),
    Index("ix_reservations_location_id_id", "location_id", "id"),
    Index("ix_reservations_id_token", "id_token"),
    Index("ix_reservations_queue_entry_id_id", "queue_entry_id", "id"),
    # Nobody is called twice at once.
    Index(
        "uq_reservations_called",
        "queue_entry_id",
        unique=True,
        postgresql_where=text(f"queue_entry_id IS NOT NULL AND {_OPEN_SQL}"),
    ),
    Index("ix_reservations_open_location_id", "location_id", postgresql_where=text(_OPEN_SQL)),
)
Index("ix_reservations_group_token", func.lower(reservations.c.group_token))
# Two reservations never overlap on an EVSE: the database refuses it.
reservations.append_constraint(
    ExcludeConstraint(
        (reservations.c.station_id, "="),
        (reservations.c.evse_no, "="),
        (text("tstzrange(held_from, hold_until)"), "&&"),
        where=text(_OPEN_SQL),
        using="gist",
        name=NO_OVERLAP,
    )
)

reservation_rules = Table(
    "reservation_rules",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # NULL: of every Location that has none of its own.
    Column("location_id", Text, ForeignKey("locations.id")),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    # The fields of rules.Terms; whole seconds, percents, counts.
    Column("terms", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
Index(
    "uq_reservation_rules_location_id_valid_from",
    func.coalesce(reservation_rules.c.location_id, ""),
    reservation_rules.c.valid_from,
    unique=True,
)

# No-shows of accounts that are closed, by what an account of the same person is known by.
no_shows_of_closed = Table(
    "no_shows_of_closed",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True),  # of the phone or the WeChat identity
    Column("at", DateTime(timezone=True), primary_key=True),
    Index("ix_no_shows_of_closed_at", "at"),
)

# Whether stations of a kind answered ReserveNow as something that they know.
reservation_support = Table(
    "reservation_support",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("firmware", Text, primary_key=True),
    Column("supported", Boolean, nullable=False),
    Column("learned_at", DateTime(timezone=True), nullable=False),
)
