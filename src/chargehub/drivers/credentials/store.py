"""Credentials of drivers, their images, and those that wait for their driver to sign up.

No number is stored: its fingerprint (kit/sealing.py) finds an equal one, its tail is shown.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from chargehub.drivers.store import drivers
from chargehub.kit.tables import metadata

_KINDS = "kind IN ('taxi_qualification', 'ride_hailing_licence', 'service_card')"
IN_FORCE = "status IN ('pending', 'approved')"

driver_credentials = Table(
    "driver_credentials",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("number_fingerprint", LargeBinary, nullable=False),
    Column("number_tail", Text, nullable=False),
    # Masked, and only where a taxi company named it.
    Column("holder", Text, nullable=False, server_default=""),
    Column("issuer", Text, nullable=False, server_default=""),
    Column("issued_on", Date),
    Column("valid_from", Date),
    Column("valid_to", Date),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False),
    # Waits beside the approved one of the same number, whose place it takes; or is approved and
    # begins after a gap, when that has ended.
    Column("renews", Uuid, ForeignKey("driver_credentials.id")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("reason", Text, nullable=False, server_default=""),
    # Of the notices before its end, the one with the fewest days that was given.
    Column("noticed_days", SmallInteger),
    CheckConstraint(_KINDS, name="kind"),
    CheckConstraint(
        "status IN ('pending', 'approved', 'refused', 'expired', 'withdrawn')", name="status"
    ),
    CheckConstraint("source IN ('driver', 'import')", name="source"),
    CheckConstraint("status <> 'approved' OR valid_to IS NOT NULL", name="approved_has_end"),
    CheckConstraint(f"renews IS NULL OR {IN_FORCE}", name="renews_while_in_force"),
    CheckConstraint("char_length(number_tail) <= 4", name="number_tail"),
)
# One credential one account.
Index(
    "uq_driver_credentials_number",
    driver_credentials.c.kind,
    driver_credentials.c.number_fingerprint,
    unique=True,
    postgresql_where=text(f"{IN_FORCE} AND renews IS NULL"),
)
# A driver has one of a kind in the queue.
Index(
    "uq_driver_credentials_pending",
    driver_credentials.c.driver_id,
    driver_credentials.c.kind,
    unique=True,
    postgresql_where=text("status = 'pending'"),
)
Index("ix_driver_credentials_driver_id", driver_credentials.c.driver_id)
Index(
    "ix_driver_credentials_status",
    driver_credentials.c.status,
    driver_credentials.c.created_at,
    driver_credentials.c.id,
)
Index(
    "ix_driver_credentials_ending",
    driver_credentials.c.valid_to,
    postgresql_where=text("status = 'approved'"),
)

credential_images = Table(
    "credential_images",
    metadata,
    Column(
        "credential_id",
        Uuid,
        ForeignKey(driver_credentials.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("uploaded_at", DateTime(timezone=True), nullable=False),
)

# Named by a taxi company for a phone that has no account yet.
waiting_credentials = Table(
    "waiting_credentials",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("phone_fingerprint", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number_fingerprint", LargeBinary, nullable=False),
    Column("number_tail", Text, nullable=False),
    Column("holder", Text, nullable=False, server_default=""),
    Column("issuer", Text, nullable=False, server_default=""),
    Column("issued_on", Date),
    Column("valid_from", Date),
    Column("valid_to", Date, nullable=False),
    Column("imported_by", Text, nullable=False),
    Column("imported_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(_KINDS, name="kind"),
    CheckConstraint("char_length(number_tail) <= 4", name="number_tail"),
)
Index(
    "uq_waiting_credentials_number",
    waiting_credentials.c.kind,
    waiting_credentials.c.number_fingerprint,
    unique=True,
)
Index("ix_waiting_credentials_phone_fingerprint", waiting_credentials.c.phone_fingerprint)
