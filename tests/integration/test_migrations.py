"""The migrations make exactly the schema the code describes."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

import chargehub
from chargehub.kit import migrate
from chargehub.kit.db import Database
from chargehub.kit.partitions import partitioned_tables
from chargehub.kit.postgres import EmbeddedPostgres
from chargehub.kit.tables import metadata
from chargehub.telemetry.partitions import ensure_partitions

INSERT_SAMPLE = """
INSERT INTO samples (sampled_at, received_at, station_id, evse_no, context, content_hash)
VALUES (:at, :at, 1, 1, 'Sample.Periodic', :hash)
"""


@pytest.fixture
def empty_url(embedded_postgres: EmbeddedPostgres) -> Iterator[str]:
    with psycopg.connect(embedded_postgres.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("CREATE DATABASE from_metadata")
        yield embedded_postgres.url_of("from_metadata")
        admin.execute("DROP DATABASE from_metadata WITH (FORCE)")


def schema_of(server: EmbeddedPostgres, url: str) -> list[str]:
    """Dump the schema, one statement a line, sorted, without partitions and alembic's table."""
    pid = (server.cluster_dir / "postmaster.pid").read_text().splitlines()[0]
    pg_dump = (Path("/proc") / pid / "exe").resolve().parent / "pg_dump"
    database, host = url.rsplit("/", 1)[1].split("?host=")
    partitions = [f"--exclude-table={table.name}_*" for table in partitioned_tables()]
    arguments = ["--schema-only", "--no-owner", *partitions, "-T", "alembic_version"]
    answer = subprocess.run(
        [str(pg_dump), "-h", unquote(host), "-U", "chargehub", *arguments, database],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PGOPTIONS": ""},
    )
    kept = [line for line in answer.stdout.splitlines() if not line.startswith(("--", "\\"))]
    statements = (re.sub(r"\s+", " ", part).strip() for part in "\n".join(kept).split(";\n"))
    return sorted(statement for statement in statements if statement)


def test_autogenerate_finds_no_difference(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    # Not earlier: the migration that made this database has imported every store.
    partitions = tuple(f"{table.name}_" for table in partitioned_tables())
    with engine.connect() as connection:
        options = {
            "include_object": lambda _thing, name, kind, reflected, _other: (
                not (kind == "table" and reflected and name.startswith(partitions))
            ),
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_schema_is_what_the_tables_say(
    embedded_postgres: EmbeddedPostgres, database_url: str, empty_url: str
) -> None:
    """pg_dump also sees what autogenerate is blind to: checks, sequences, partitioning."""
    engine = create_engine(empty_url, poolclass=NullPool)
    metadata.create_all(engine)
    migrated = schema_of(embedded_postgres, database_url)
    described = schema_of(embedded_postgres, empty_url)
    difference = list(difflib.unified_diff(described, migrated, "tables", "migrations", n=0))
    assert difference == [], "run `make migration`:\n" + "\n".join(difference)


def test_every_store_is_known_to_the_metadata() -> None:
    """A module with tables that is not called store.py would never be migrated."""
    package = Path(chargehub.__file__).parent
    defining = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"= Table\(\s*\"\w+\",\s*metadata", path.read_text())
    }
    assert {name for name in defining if not name.endswith("/store.py")} == {
        "kit/db.py",
        "kit/idempotency.py",
        "kit/jobs.py",
    }


def test_upgrade_again_changes_nothing_and_downgrade_leaves_nothing(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    command.downgrade(migrate.config(empty_url), "base")
    engine = create_engine(empty_url, poolclass=NullPool)
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        ).scalars()
        assert set(left) <= {"alembic_version", "alembic_version_pkc"}


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    assert migrate.current(empty_url) is None


async def test_partitions_cover_this_month_and_the_next_ones(database: Database) -> None:
    now = datetime(2026, 11, 23, 6, tzinfo=UTC)
    async with database.write() as connection:
        made = await ensure_partitions(connection, now, 2)
        assert made == ["samples_2026_11", "samples_2026_12", "samples_2027_01"]
        assert await ensure_partitions(connection, now, 2) == []
        await connection.execute(text(INSERT_SAMPLE), {"at": now, "hash": 1})
        where = await connection.scalar(text("SELECT tableoid::regclass::text FROM samples"))
    assert where == "samples_2026_11"


async def test_samples_of_the_default_partition_move_and_stay_unique(database: Database) -> None:
    now = datetime(2026, 11, 23, 6, tzinfo=UTC)
    broken_clock = datetime(1970, 1, 1, tzinfo=UTC)
    async with database.write() as connection:
        for at in (now, broken_clock):
            await connection.execute(text(INSERT_SAMPLE), {"at": at, "hash": 1})
        await ensure_partitions(connection, now, 0)
        repeated = await connection.execute(
            text(INSERT_SAMPLE + "ON CONFLICT DO NOTHING"), {"at": now, "hash": 1}
        )
        rows = await connection.execute(
            text("SELECT tableoid::regclass::text, sampled_at FROM samples ORDER BY sampled_at")
        )
        placed = [tuple(row) for row in rows]
    assert repeated.rowcount == 0
    assert placed == [("samples_default", broken_clock), ("samples_2026_11", now)]
