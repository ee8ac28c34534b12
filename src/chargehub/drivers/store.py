"""idTokens and their groups."""

from __future__ import annotations

from sqlalchemy import ARRAY, CheckConstraint, Column, DateTime, Index, Integer, Table, Text, func

from chargehub.kit.tables import metadata

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
    CheckConstraint("token = lower(token)", name="token_lower"),
    CheckConstraint("status IN ('Accepted', 'Blocked')", name="status"),
)
Index("ix_id_tokens_group_token", func.lower(id_tokens.c.group_token))
