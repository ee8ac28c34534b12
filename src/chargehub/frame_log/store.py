"""The frames of all stations, partitioned by day of `at`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from chargehub.kit.group_commit import BatchStatement
from chargehub.kit.partitions import Partitions, day_start
from chargehub.kit.tables import metadata

INBOUND, OUTBOUND = "in", "out"

frames = Table(
    "frames",
    metadata,
    Column("at", DateTime(timezone=True), nullable=False),  # the hub's time of receipt or answer
    Column("station_id", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # the station's connection
    Column("number", Integer, nullable=False),  # counts the connection's frames, both ways
    Column("message_type", SmallInteger),  # 2 CALL, 3 CALLRESULT, ..; NULL: unreadable
    Column("cut_from", Integer),  # characters it had, where `text` is only its beginning
    Column("direction", Text, nullable=False),  # in, out
    Column("protocol", Text, nullable=False),
    Column("message_id", Text(collation="C")),
    Column("action", Text),  # of an answer: the action it answers
    Column("text", Text, nullable=False),  # without secrets
    # Handed in twice after an unknown outcome of COMMIT, a frame is still there once.
    PrimaryKeyConstraint("station_id", "at", "epoch", "number"),
    Index("ix_frames_message_id_station_id", "message_id", "station_id"),
    postgresql_partition_by="RANGE (at)",
)

DAYS = Partitions("frames", "at", day_start, "%Y_%m_%d")
DAYS_AHEAD = 2

# `unnest` in the SELECT list makes row by row; in FROM, each column would be stored whole first.
_INSERT = """
    INSERT INTO frames (at, station_id, epoch, number, message_type, cut_from, direction, protocol,
        message_id, action, text)
    SELECT 'epoch'::timestamptz + at_us * interval '1 microsecond', station_id, epoch, number,
        message_type, cut_from, direction, protocol, message_id, action, text
    FROM (SELECT unnest(%s::bigint[]) AS at_us, unnest(%s::bigint[]) AS station_id,
            unnest(%s::bigint[]) AS epoch, unnest(%s::integer[]) AS number,
            unnest(%s::smallint[]) AS message_type, unnest(%s::integer[]) AS cut_from,
            unnest(%s::text[]) AS direction, unnest(%s::text[]) AS protocol,
            unnest(%s::text[]) AS message_id, unnest(%s::text[]) AS action,
            unnest(%s::text[]) AS text) u
    """
_ENCODED = frozenset({10})
INSERT_FRAMES = BatchStatement("frames.insert", _INSERT, utf8=_ENCODED)
"""Columns in the order of `u`; the time in microseconds since 1970, the text in UTF-8."""
INSERT_FRAMES_AGAIN = BatchStatement(
    "frames.insert_again", f"{_INSERT}ON CONFLICT DO NOTHING", utf8=_ENCODED
)
"""Passes over those that are there; to look costs the database a fifth more."""
