"""Operators, login sessions, audit entries."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from chargehub.kit.tables import metadata

operators = Table(
    "operators",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("login", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    CheckConstraint("role IN ('admin', 'operator', 'viewer', 'conformance')", name="role"),
)
Index("uq_operators_login", func.lower(operators.c.login), unique=True)

login_sessions = Table(
    "login_sessions",
    metadata,
    # SHA-256 of the opaque token; the token itself is never stored.
    Column("token_hash", LargeBinary, primary_key=True),
    Column("operator_id", Uuid, ForeignKey(operators.c.id, ondelete="CASCADE"), nullable=False),
    Column("csrf_hash", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("user_agent", Text, nullable=False, server_default=""),
    Index("ix_login_sessions_operator_id", "operator_id"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
    Index("ix_audit_entries_at", "at"),
)
