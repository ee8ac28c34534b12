"""Tables of smart charging, and how a profile is written down; statements stand with their users.

A row of `charging_profiles` is one attempt to set a profile, or one that a station reported. It is
in force, for all we know, until `closed_at` is set; what is closed is history.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
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
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chargehub.kit.tables import metadata
from chargehub.stations.profiles import ChargingProfile, ChargingSchedule

charging_profile_ids = Sequence(
    "charging_profile_ids", minvalue=1, maxvalue=2**31 - 1, metadata=metadata
)
profile_request_ids = Sequence(
    "profile_request_ids", minvalue=1, maxvalue=2**31 - 1, metadata=metadata
)

INSTALLED = "installed"
"""The state of a profile that the station has confirmed."""
REPORTED_MAX = 200
"""Of one report so many profiles are kept: each becomes a row."""

charging_profiles = Table(
    "charging_profiles",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), nullable=False),
    Column("profile_id", BigInteger, nullable=False),  # the station's name for it
    Column("evse_no", SmallInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("stack_level", Integer, nullable=False),
    Column("document", JSONB, nullable=False),  # as we sent it, or as first reported
    Column("reported", JSONB),  # as the station last reported it
    Column("reported_at", DateTime(timezone=True)),
    # In force: pending (sent, unanswered), installed, unknown (no answer came).
    # Closed: rejected, unsent, replaced, cleared, lost (not reported any more), ended.
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),  # CSO is us; else who the station says set it
    Column("status", Text),  # the station's own word
    Column("transaction_id", BigInteger),
    Column("command_id", Uuid),
    Column("at_start", Boolean, nullable=False, server_default=text("false")),
    Column("set_by", Text),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("settled_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint(
        "(closed_at IS NULL) = (state IN ('pending', 'installed', 'unknown'))", name="closed"
    ),
    Index("ix_charging_profiles_station_id_id", "station_id", "id"),
    Index(
        "ix_charging_profiles_in_force",
        "station_id",
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index("ix_charging_profiles_closed_at", "closed_at"),
)

profile_requests = Table(
    "profile_requests",
    metadata,
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), primary_key=True),
    Column("request_id", Integer, primary_key=True),
    Column("criteria", JSONB, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True)),
    Index("ix_profile_requests_asked_at", "asked_at"),
)

# What answers a request, until the last page has come and all of it is taken over at once.
profile_reports = Table(
    "profile_reports",
    metadata,
    Column("station_id", BigInteger, primary_key=True),
    Column("request_id", Integer, primary_key=True),
    Column("profile_id", BigInteger, primary_key=True),
    Column("evse_no", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    ForeignKeyConstraint(
        ["station_id", "request_id"],
        [profile_requests.c.station_id, profile_requests.c.request_id],
        ondelete="CASCADE",
    ),
)

external_limits = Table(
    "external_limits",
    metadata,
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), primary_key=True),
    Column("evse_no", SmallInteger, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("grid_critical", Boolean, nullable=False),
    Column("schedules", JSONB, nullable=False),
    Column("told_at", DateTime(timezone=True), nullable=False),
)

ev_needs = Table(
    "ev_needs",
    metadata,
    Column("station_id", BigInteger, ForeignKey("charging_stations.id"), primary_key=True),
    Column("evse_no", SmallInteger, primary_key=True),
    Column("transaction_id", BigInteger),
    Column("needs", JSONB, nullable=False),
    Column("max_schedule_tuples", Integer),
    Column("departs_at", DateTime(timezone=True)),
    Column("told_at", DateTime(timezone=True), nullable=False),
    Column("answer", Text, nullable=False),
    # How the car then said it would charge, and whether that is within our limits.
    Column("schedule", JSONB),
    Column("schedule_told_at", DateTime(timezone=True)),
    Column("within_limits", Boolean),
    # When a profile was last sent because it was not.
    Column("renewed_at", DateTime(timezone=True)),
)

# What stations of one model and firmware did with profiles of one purpose, unit and stack level.
profile_observations = Table(
    "profile_observations",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("firmware", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("stack_level", Integer, primary_key=True),
    Column("accepted", Integer, nullable=False, server_default=text("0")),
    Column("rejected", Integer, nullable=False, server_default=text("0")),
    Column("not_supported", Integer, nullable=False, server_default=text("0")),
    Column("obeyed", Integer, nullable=False, server_default=text("0")),
    Column("ignored", Integer, nullable=False, server_default=text("0")),
    Column("observed_at", DateTime(timezone=True), nullable=False),
)

_PROFILE = TypeAdapter(ChargingProfile)
_SCHEDULE = TypeAdapter(ChargingSchedule)


def profile_document(profile: ChargingProfile) -> dict[str, Any]:
    document: dict[str, Any] = _PROFILE.dump_python(profile, mode="json")
    return document


def schedule_document(schedule: ChargingSchedule) -> dict[str, Any]:
    document: dict[str, Any] = _SCHEDULE.dump_python(schedule, mode="json")
    return document


def profile_of(document: dict[str, Any]) -> ChargingProfile:
    return _PROFILE.validate_python(document)


def schedule_of(document: dict[str, Any]) -> ChargingSchedule:
    return _SCHEDULE.validate_python(document)


def whole_second(at: datetime) -> datetime:
    """Return the time as every version can say it and every station keeps it."""
    return at.astimezone(UTC).replace(microsecond=0)
