"""Drivers, their logins, vehicles, cars that start by themselves, inbox, idTokens and groups."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chargehub.kit.tables import metadata

drivers = Table(
    "drivers",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Personal data are sealed (kit/sealing.py) and erased when the account is closed; by the
    # fingerprint an open account is found. A guest has neither.
    Column("phone_sealed", LargeBinary),
    Column("phone_fingerprint", LargeBinary),
    Column("wechat_fingerprint", LargeBinary),
    Column("name_sealed", LargeBinary),
    Column("language", Text, nullable=False, server_default="zh"),
    # What the driver says to drive; what is proved of it stands in the credentials.
    Column("kinds", ARRAY(Text), nullable=False, server_default="{}"),
    # Of all this driver's idTokens, so that a card may end what the app began.
    Column("group_token", Text, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # A guest may charge until then (hub time); null: an account.
    Column("guest_until", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("language IN ('zh', 'en')", name="language"),
    CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name="phone"),
    CheckConstraint(
        "closed_at IS NULL OR coalesce(phone_sealed, name_sealed, wechat_fingerprint) IS NULL",
        name="closed_is_erased",
    ),
)
Index(
    "uq_drivers_phone_fingerprint",
    drivers.c.phone_fingerprint,
    unique=True,
    postgresql_where=text("closed_at IS NULL"),
)
Index(
    "uq_drivers_wechat_fingerprint",
    drivers.c.wechat_fingerprint,
    unique=True,
    postgresql_where=text("closed_at IS NULL"),
)
Index(
    "ix_drivers_guest_until",
    drivers.c.guest_until,
    postgresql_where=text("guest_until IS NOT NULL"),
)
Index("ix_drivers_created_at_id", drivers.c.created_at, drivers.c.id)

driver_logins = Table(
    "driver_logins",
    metadata,
    Column("id", Uuid, primary_key=True),
    # SHA-256 of the opaque token; the token itself is never stored.
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id, ondelete="CASCADE"), nullable=False),
    Column("csrf_hash", LargeBinary, nullable=False),
    Column("device_name", Text, nullable=False, server_default=""),
    # Wall time: a demo clock must not log people out.
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Index("ix_driver_logins_driver_id", "driver_id"),
    Index("ix_driver_logins_expires_at", "expires_at"),
)

driver_login_codes = Table(
    "driver_login_codes",
    metadata,
    # A phone that asked for a code, whether it has an account or not; or a phone and a device that
    # has proved it before. All of it on wall time.
    Column("phone_fingerprint", LargeBinary, primary_key=True),
    # Keyed hash of the one code that is good; null when it was used or guessed at too often.
    Column("code_hash", LargeBinary),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("sends", Integer, nullable=False),
    Column("window_began_at", DateTime(timezone=True), nullable=False),
    Column("day_sends", Integer, nullable=False),
    Column("day_began_at", DateTime(timezone=True), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", DateTime(timezone=True)),
    Index("ix_driver_login_codes_sent_at", "sent_at"),
)

vehicles = Table(
    "vehicles",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id), nullable=False),
    # Sealed; found by the plate's fingerprint. Many drivers may share a car (day and night shift),
    # so neither plate nor VIN is one driver's: both are only typed in. For whom a car starts by
    # itself is proved by a charge, and stands in its open binding.
    Column("plate_sealed", LargeBinary, nullable=False),
    Column("plate_fingerprint", LargeBinary, nullable=False),
    Column("vin_sealed", LargeBinary),
    Column("connector_standard", Text, nullable=False, server_default="GBT_DC"),
    Column("battery_wh", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # When its driver made it the default one; the latest is it, else the first that was entered.
    Column("preferred_at", DateTime(timezone=True)),
    UniqueConstraint("driver_id", "plate_fingerprint"),
    Index("ix_vehicles_plate_fingerprint", "plate_fingerprint"),
    CheckConstraint("battery_wh > 0", name="battery"),
)

vehicle_bindings = Table(
    "vehicle_bindings",
    metadata,
    # A car that may start by itself (即插即充): what its driver consented to, and by what charge it
    # was shown to be theirs. The evidence stays when it has ended; what the car is called does not.
    Column("id", Uuid, primary_key=True),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id), nullable=False),
    Column("vehicle_id", Uuid, ForeignKey(vehicles.c.id, ondelete="SET NULL")),
    Column("kind", Text, nullable=False),
    Column("identity_sealed", LargeBinary),
    # Its row in id_tokens: a keyed hash of VIN or MAC.
    Column("id_token", Text, nullable=False),
    Column("consent_version", Text, nullable=False),
    Column("consent_language", Text, nullable=False),
    Column("consented_at", DateTime(timezone=True), nullable=False),
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), nullable=False),
    Column("evse_no", SmallInteger, nullable=False),
    Column("transaction_id", BigInteger, nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("ended_by", Text),
    Column("end_reason", Text, nullable=False, server_default=""),
    CheckConstraint("kind IN ('VIN', 'MacAddress')", name="kind"),
    CheckConstraint(
        "ended_by IN ('driver', 'staff', 'vehicle_removed', 'vin_changed', 'account_closed')",
        name="ended_by",
    ),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
    CheckConstraint("(ended_at IS NULL) = (identity_sealed IS NOT NULL)", name="ended_is_erased"),
    Index("ix_vehicle_bindings_driver_id_consented_at", "driver_id", "consented_at"),
    Index("ix_vehicle_bindings_id_token", "id_token"),
    # One car, one account; a vehicle has one VIN and one MAC.
    Index(
        "uq_vehicle_bindings_id_token",
        "id_token",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "uq_vehicle_bindings_vehicle_id_kind",
        "vehicle_id",
        "kind",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
)

vehicle_sightings = Table(
    "vehicle_sightings",
    metadata,
    # Which car that is nobody's stands at a gun: forgotten within minutes.
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), primary_key=True),
    Column("evse_no", SmallInteger, primary_key=True),
    Column("id_token", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("identity_sealed", LargeBinary, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)

# Numbers of the stream, given in the order of COMMIT (drivers/inbox_delivery.py): ids are not.
inbox_seq = Sequence("inbox_seq", minvalue=1, maxvalue=2**63 - 1, metadata=metadata)

inbox_messages = Table(
    "inbox_messages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id, ondelete="CASCADE"), nullable=False),
    # What is told is made of these two at reading (drivers/inbox_texts.py).
    Column("kind", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
    # The same thing is told once.
    Column("key", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("read_at", DateTime(timezone=True)),
    Column("seq", BigInteger, unique=True),
    Index("ix_inbox_messages_driver_id_id", "driver_id", "id"),
    Index("ix_inbox_messages_driver_id_seq", "driver_id", "seq"),
    Index("ix_inbox_messages_unread", "driver_id", postgresql_where=text("read_at IS NULL")),
    Index("ix_inbox_messages_at", "at"),
    Index(
        "uq_inbox_messages_driver_id_key",
        "driver_id",
        "key",
        unique=True,
        postgresql_where=text("key IS NOT NULL"),
    ),
)

id_tokens = Table(
    "id_tokens",
    metadata,
    # Lower case: idTokens compare without case (16 CiString, 2.x identifierString).
    Column("token", Text, primary_key=True),
    Column("display", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="ISO14443"),
    # As it was entered: stations are told it so (statement 42); compared without case too.
    Column("group_token", Text),
    Column("status", Text, nullable=False, server_default="Accepted"),
    Column("expires_at", DateTime(timezone=True)),
    # Restrictions (C01.FR.18-22); absent: anywhere, any type of EVSE.
    Column("location_ids", ARRAY(Text)),
    Column("max_power_w", Integer),
    Column("holder", Text, nullable=False, server_default=""),
    Column("driver_id", Uuid, ForeignKey(drivers.c.id)),
    # What was charged on a card before is another's.
    Column("driver_since", DateTime(timezone=True)),
    # Blocked only since it was taken back or its driver's account ended: who is given it next may
    # charge with it. A block of staff, made before or after, is theirs to lift.
    Column("blocked_as_nobodys", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("(driver_id IS NULL) = (driver_since IS NULL)", name="driver"),
    CheckConstraint("token = lower(token)", name="token_lower"),
    CheckConstraint("status IN ('Accepted', 'Blocked')", name="status"),
    CheckConstraint("status = 'Blocked' OR NOT blocked_as_nobodys", name="blocked_as_nobodys"),
)
Index("ix_id_tokens_group_token", func.lower(id_tokens.c.group_token))
Index("ix_id_tokens_driver_id", id_tokens.c.driver_id)
