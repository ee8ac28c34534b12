"""Tables of what stands at the hub; statements on them stand with the part that runs them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chargehub.kit.tables import metadata

locations = Table(
    "locations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    # WGS-84; other datums are computed at the API.
    Column("latitude", Double, nullable=False),
    Column("longitude", Double, nullable=False),
    Column("time_zone", Text, nullable=False, server_default="Asia/Shanghai"),
    # OCPI RegularHours, by the wall clock there; NULL: open round the clock.
    Column("regular_hours", JSONB(none_as_null=True)),
    # OCPI exceptional openings and closings: `closed`, `begin` and `end` in UTC.
    Column("opening_exceptions", JSONB(none_as_null=True)),
    CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
    CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
)

# Where a Location is on a ball of radius 1. Straight lines through the ball are as long as ways on
# its surface are, over the poles and the antimeridian too, so the index knows who is nearest.
UNIT_VECTOR = (
    "cube(ARRAY[cos(radians(latitude)) * cos(radians(longitude)), "
    "cos(radians(latitude)) * sin(radians(longitude)), sin(radians(latitude))])"
)
Index("ix_locations_unit_vector", text(UNIT_VECTOR), _table=locations, postgresql_using="gist")

charging_stations = Table(
    "charging_stations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("identity", Text, nullable=False),
    Column("location_id", Text, ForeignKey(locations.c.id), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("max_power_w", Integer, nullable=False),
    Column("registration", Text, nullable=False, server_default="Accepted"),
    Column("credential_hash", LargeBinary),
    Column("credential_rotated_at", DateTime(timezone=True)),
    # The least with which it may connect; it rises to the highest one that a boot was accepted on.
    Column("security_profile", SmallInteger, nullable=False, server_default="1"),
    # What the CN of its client certificate must say; given by the operator, never by the station.
    Column("bound_serial_number", Text),
    Column("heartbeat_interval_s", Integer),
    Column("vendor", Text),
    Column("model", Text),
    Column("serial_number", Text),
    Column("firmware_version", Text),
    Column("boot_facts", JSONB),
    Column("booted_at", DateTime(timezone=True)),
    # The firmware whose inventory we asked for last; NULL before the first contact.
    Column("inventoried_firmware", Text),
    # What the operator wants; what the station says is on connectors.
    Column("wanted_operative", Boolean, nullable=False, server_default=text("true")),
    Column("status", Text, nullable=False, server_default="Unknown"),
    Column("status_at", DateTime(timezone=True)),
    Column("error_code", Text),
    Column("commissioned_at", DateTime(timezone=True), nullable=False),
    Column("decommissioned_at", DateTime(timezone=True)),
    Column("replaced_by_id", BigInteger, ForeignKey("charging_stations.id")),
    CheckConstraint("registration IN ('Accepted', 'Pending', 'Rejected')", name="registration"),
    CheckConstraint("max_power_w > 0", name="max_power_w"),
    CheckConstraint("security_profile BETWEEN 0 AND 3", name="security_profile"),
    Index("ix_charging_stations_location_id", "location_id"),
)
# identifierString is case-insensitive: cs1 and CS1 are one station. A decommissioned identity may
# be used again by the station that replaces it.
Index(
    "uq_charging_stations_identity",
    func.lower(charging_stations.c.identity),
    unique=True,
    postgresql_where=charging_stations.c.decommissioned_at.is_(None),
)
# One certificate opens one station. Case matters, as it does where the CN is compared.
Index(
    "uq_charging_stations_bound_serial_number",
    charging_stations.c.bound_serial_number,
    unique=True,
    postgresql_where=charging_stations.c.decommissioned_at.is_(None),
)

evses = Table(
    "evses",
    metadata,
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    Column("evse_no", SmallInteger, primary_key=True),
    Column("gun_code", Text, nullable=False),  # printed on the gun's QR label
    Column("max_power_w", Integer, nullable=False),
    Column("wanted_operative", Boolean, nullable=False, server_default=text("true")),
)
# Drivers type codes in any case, so two that differ in case only would be one.
Index("uq_evses_gun_code", func.lower(evses.c.gun_code), unique=True)

connectors = Table(
    "connectors",
    metadata,
    Column("station_id", BigInteger, primary_key=True),
    Column("evse_no", SmallInteger, primary_key=True),
    Column("connector_no", SmallInteger, primary_key=True),
    Column("standard", Text, nullable=False, server_default="GBT_DC"),
    Column("status", Text, nullable=False, server_default="Unknown"),
    Column("status_at", DateTime(timezone=True)),
    Column("status_received_at", DateTime(timezone=True)),
    Column("error_code", Text),
    Column("info", Text),
    Column("vendor_error_code", Text),
    ForeignKeyConstraint(["station_id", "evse_no"], [evses.c.station_id, evses.c.evse_no]),
)

connector_status_events = Table(
    "connector_status_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), nullable=False),
    Column("evse_no", SmallInteger, nullable=False),
    Column("connector_no", SmallInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("error_code", Text, nullable=False, server_default=""),
    Column("info", Text),
    Column("vendor_id", Text),
    Column("vendor_error_code", Text),
    # A replayed status is one row.
    UniqueConstraint("station_id", "evse_no", "connector_no", "at", "status", "error_code"),
)

station_connections = Table(
    "station_connections",
    metadata,
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    # Rises with every accepted socket; a batch whose fence is lower is refused.
    Column("epoch", BigInteger, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("remote", Text, nullable=False),
    Column("connected_at", DateTime(timezone=True), nullable=False),
    Column("disconnected_at", DateTime(timezone=True)),
    # How the newest socket came in.
    Column("security_profile", SmallInteger, nullable=False, server_default="1"),
    Column("certified_serial", Text),
    Column("tls", Text),
)

# The password that a station has been told over OCPP, as long as nobody knows that it took it.
credential_changes = Table(
    "credential_changes",
    metadata,
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    Column("credential_hash", LargeBinary, nullable=False),
    Column("command_id", Uuid, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    # The station took it and reboots first: its use of the old one says nothing before a boot on a
    # socket that came after this epoch.
    Column("reboots_after_epoch", BigInteger),
)

station_notices = Table(
    "station_notices",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("flagged", Boolean, nullable=False),
    Column("payload", JSONB, nullable=False),
    Index("ix_station_notices_station_id_received_at", "station_id", "received_at"),
)

station_commands = Table(
    "station_commands",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), nullable=False),
    Column("action", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False, server_default="pending"),  # a CommandOutcome
    Column("status", Text),
    Column("answer", JSONB),
    Column("completed_at", DateTime(timezone=True)),
    # For remote starts: correlates the Started event (F01/F02).
    Column("remote_start_id", Integer),
    Column("transaction_id", BigInteger),
    Column("evse_no", SmallInteger),
    Column("id_token", Text),
    # Of durable commands: their order, what they are, what they set, until when they may leave.
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("durable", Boolean, nullable=False, server_default=text("false")),
    Column("raw", Boolean, nullable=False, server_default=text("false")),
    Column("targets", ARRAY(Text)),
    Column("expires_at", DateTime(timezone=True)),
    # What they were asked for together in; the tables of who asks are above this feature.
    Column("order_id", Uuid),
    Index("ix_station_commands_station_id_requested_at", "station_id", "requested_at"),
    Index(
        "ix_station_commands_pending",
        "station_id",
        postgresql_where=text("outcome = 'pending'"),
    ),
    Index(
        "ix_station_commands_queued",
        "station_id",
        "seq",
        postgresql_where=text("outcome = 'queued'"),
    ),
    # Asked at every beginning of a transaction: which command it follows.
    Index(
        "ix_station_commands_transaction_id",
        "transaction_id",
        postgresql_where=text("transaction_id IS NOT NULL"),
    ),
    Index(
        "ix_station_commands_order_id",
        "order_id",
        postgresql_where=text("order_id IS NOT NULL"),
    ),
)
