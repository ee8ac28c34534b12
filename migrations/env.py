"""alembic's environment: which tables count, and how carefully a migration takes its locks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from alembic import context
from alembic.operations import ops
from sqlalchemy import NullPool, create_engine, text

import chargehub
from chargehub.kit import db, idempotency, jobs
from chargehub.kit.partitions import partitioned_tables
from chargehub.kit.tables import EXTENSIONS, metadata

LOCK_TIMEOUT = "4s"
# Any constant will do, as long as it is always the same one.
ONE_AT_A_TIME = 6_100_271_337

assert db.hub_clock.metadata is jobs.outbox.metadata is metadata
assert idempotency.idempotency_keys.metadata is metadata
PACKAGE = Path(chargehub.__file__).parent
for store in sorted(PACKAGE.glob("**/store.py")):
    importlib.import_module(
        ".".join(["chargehub", *store.relative_to(PACKAGE).parent.parts, "store"])
    )


def include_object(
    thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
) -> bool:
    """Leave partitions out: they come and go with time (kit/partitions.py)."""
    del thing, compare_to
    prefixes = tuple(f"{table.name}_" for table in partitioned_tables())
    is_partition = kind == "table" and reflected and (name or "").startswith(prefixes)
    return not is_partition


def add_what_is_no_table(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Autogenerate knows no free sequences and no extensions; the initial migration needs them."""
    script = directives[0]
    if script.upgrade_ops is None or context.config.attributes.get("initial") is not True:
        return
    for sequence in metadata._sequences.values():  # noqa: SLF001  The only list there is.
        options = f"MINVALUE {sequence.minvalue} MAXVALUE {sequence.maxvalue}"
        create = f"CREATE SEQUENCE {sequence.name} {options}"
        script.upgrade_ops.ops.insert(0, ops.ExecuteSQLOp(create))
        script.downgrade_ops.ops.append(ops.ExecuteSQLOp(f"DROP SEQUENCE {sequence.name}"))
    for name in EXTENSIONS:
        # They stay when the tables go: a database may have them for somebody else too.
        create = f"CREATE EXTENSION IF NOT EXISTS {name}"
        script.upgrade_ops.ops.insert(0, ops.ExecuteSQLOp(create))
    for table in partitioned_tables():
        default = f"CREATE TABLE {table.name}_default PARTITION OF {table.name} DEFAULT"
        script.upgrade_ops.ops.append(ops.ExecuteSQLOp(default))


def run() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_object=include_object,
            compare_type=True,
            compare_server_default=True,
            process_revision_directives=add_what_is_no_table,
        )
        with context.begin_transaction():
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"))
            # A migration that waits for a lock makes everybody behind it wait: give up early.
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            context.run_migrations()


run()
