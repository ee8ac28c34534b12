"""Tables of stations' variables, of the reports asked for, and of wanted configurations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chargehub.kit.tables import metadata
from chargehub.stations.store import charging_stations

report_request_ids = Sequence(
    "report_request_ids", minvalue=1, maxvalue=2**31 - 1, metadata=metadata
)

station_variables = Table(
    "station_variables",
    metadata,
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    # The path without case: identifierString knows none.
    Column("key", Text, primary_key=True),
    # Component[/instance][@evse[.connector]].Variable[/instance]#Attribute
    Column("path", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("component_instance", Text),
    Column("evse_no", SmallInteger),
    Column("connector_no", SmallInteger),
    Column("variable", Text, nullable=False),
    Column("variable_instance", Text),
    Column("attribute", Text, nullable=False),
    Column("value", Text),
    Column("mutability", Text),
    Column("data_type", Text),
    Column("unit", Text),
    Column("min_limit", Double),
    Column("max_limit", Double),
    Column("values_list", Text),
    # What the station calls it, where that is another name.
    Column("own_key", Text),
    # When the value was told; NULL: never.
    Column("read_at", DateTime(timezone=True)),
    # False: the station said that it has no such variable.
    Column("supported", Boolean, nullable=False, server_default=text("true")),
    # A value that the station takes at its next boot.
    Column("pending_value", Text),
    Column("pending_at", DateTime(timezone=True)),
)

variable_reports = Table(
    "variable_reports",
    metadata,
    Column("request_id", Integer, primary_key=True, autoincrement=False),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    # asked, receiving; then one of complete, incomplete, empty, unsupported, rejected, failed
    Column("state", Text, nullable=False, server_default="asked"),
    Column("pages", JSONB, nullable=False, server_default=text("'[]'")),
    Column("last_page", Integer),
    Column("ended_at", DateTime(timezone=True)),
    Index("ix_variable_reports_station_id_asked_at", "station_id", "asked_at"),
)

configuration_templates = Table(
    "configuration_templates",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    # Whom it is for: stations that are all of these, or the ones named.
    Column("vendor", Text),
    Column("model", Text),
    Column("firmware_version", Text),
    Column("identities", ARRAY(Text)),
    # [{component, variable, ..., value}]
    Column("wanted", JSONB, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
Index(
    "uq_configuration_templates_name",
    func.lower(configuration_templates.c.name),
    unique=True,
)

# The stations that differ from a template by what they told last; each was told of in a notice.
template_drift = Table(
    "template_drift",
    metadata,
    Column(
        "template_id",
        BigInteger,
        ForeignKey(configuration_templates.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Index("ix_template_drift_station_id", "station_id"),
)

template_applications = Table(
    "template_applications",
    metadata,
    # Also the order_id of its commands.
    Column("id", Uuid, primary_key=True),
    Column("template_id", BigInteger, nullable=False),
    Column("template_name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    # As it was wanted then: the template may change meanwhile.
    Column("wanted", JSONB, nullable=False),
    Column("only_drift", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("cancelled_at", DateTime(timezone=True)),
    Index("ix_template_applications_requested_at", "requested_at"),
)

template_application_stations = Table(
    "template_application_stations",
    metadata,
    Column(
        "application_id",
        Uuid,
        ForeignKey(template_applications.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("station_id", BigInteger, ForeignKey(charging_stations.c.id), primary_key=True),
    # waiting; then one of released (it has commands), in_sync, refused, cancelled
    Column("state", Text, nullable=False, server_default="waiting"),
    # Values that were not sent, and why.
    Column("refused", JSONB, nullable=False, server_default=text("'[]'")),
    Index(
        "ix_template_application_stations_waiting",
        "application_id",
        postgresql_where=text("state = 'waiting'"),
    ),
)
