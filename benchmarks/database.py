"""ChargeHub's database for the benchmark: made new, seeded in bulk, and counted afterwards.

What was acknowledged to each station is compared with what is stored for it, by number and by the
sum of sampled times, so that a lost row and a doubled one both show. Every run has a copy of the
seeded database of its own, so that none works off what another has left to be done later.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from chargehub.kit import migrate
from chargehub.kit.postgres import DATABASE, EmbeddedPostgres

Counts = Mapping[str, int]
RUN_DATABASE = "chargehub_run"

SEED = """
INSERT INTO locations (id, name, latitude, longitude) VALUES ('bench', 'Benchmark', 28.97, 118.87);

INSERT INTO charging_stations
    (identity, location_id, name, max_power_w, credential_hash, commissioned_at,
     firmware_version, inventoried_firmware)
SELECT 'BENCH-' || to_char(n, 'FM00000'), 'bench', 'Station ' || n, 120000, %(hash)s, now(),
       '1.0.0', '1.0.0'
FROM generate_series(1, %(stations)s) AS n;

INSERT INTO evses (station_id, evse_no, gun_code, max_power_w)
SELECT id, evse_no, identity || '-' || evse_no, 120000
FROM charging_stations, generate_series(1, 2) AS evse_no;

INSERT INTO connectors (station_id, evse_no, connector_no) SELECT station_id, evse_no, 1 FROM evses;

INSERT INTO id_tokens (token, display)
SELECT lower('tag-' || identity), 'tag-' || identity FROM charging_stations;

ANALYZE;
"""

SAMPLES = """
SELECT c.identity, count(*) AS samples,
       sum((extract(epoch FROM sampled_at) * 1000)::bigint)::bigint AS sample_ms_sum
FROM samples JOIN charging_stations AS c ON c.id = station_id
WHERE sampled_at >= %(since)s AND context = 'Sample.Periodic' GROUP BY 1
"""
TRANSACTIONS = """
SELECT c.identity, count(*) AS starts, count(*) FILTER (WHERE state = 'Ended') AS stops
FROM transactions JOIN charging_stations AS c ON c.id = station_id
WHERE started_at >= %(since)s GROUP BY 1
"""
STATUSES = """
SELECT c.identity, count(*) AS statuses
FROM connector_status_events JOIN charging_stations AS c ON c.id = station_id
WHERE at >= %(since)s GROUP BY 1
"""
FLAGGED = """
SELECT (SELECT count(*) FROM samples WHERE sampled_at >= %(since)s AND flags <> 0)
     + (SELECT count(*) FROM transactions WHERE started_at >= %(since)s AND flags <> 0)
"""
COUNTED = ("samples", "starts", "stops", "statuses")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Acknowledged rows, those of them that are missing, rows beyond them, rows with a flag."""

    rows: int
    lost: int
    beyond: int
    flagged: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class BenchDatabase:
    """One database of the cluster: the seeded one, or a run's copy of it."""

    postgres: EmbeddedPostgres
    name: str = DATABASE

    @property
    def url(self) -> str:
        return self.postgres.url_of(self.name)

    @property
    def postmaster_pid(self) -> int:
        return int((self.postgres.cluster_dir / "postmaster.pid").read_text().splitlines()[0])

    def connect(self, name: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        url = self.postgres.url_of(name or self.name)
        return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)

    @contextmanager
    def copied(self) -> Iterator[BenchDatabase]:
        """Copy this database for one run, which begins with clean buffers."""
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {RUN_DATABASE} TEMPLATE {self.name}".encode())
            connection.execute("CHECKPOINT")
        try:
            yield BenchDatabase(self.postgres, RUN_DATABASE)
        finally:
            with self.connect("postgres") as connection:
                connection.execute(f"DROP DATABASE {RUN_DATABASE} WITH (FORCE)".encode())

    def waiting_events(self) -> int:
        """Count what follows from the stations' connecting and is not worked off yet."""
        return self._count("SELECT count(*) FROM outbox WHERE handled_at IS NULL")

    def make_settlements_due(self, limit: int) -> int:
        """Let up to `limit` ended transactions be settled now instead of in a minute."""
        with self.connect() as connection:
            cursor = connection.execute(
                "UPDATE due_actions SET due_at = now() WHERE id IN"
                " (SELECT id FROM due_actions WHERE kind = 'transaction.settle' LIMIT %s)",
                [limit],
            )
            return cursor.rowcount

    def waiting_settlements(self) -> int:
        return self._count(
            "SELECT count(*) FROM due_actions WHERE kind = 'transaction.settle' AND due_at <= now()"
        )

    def _count(self, query: LiteralString) -> int:
        with self.connect() as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    def facts(self) -> dict[str, str]:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        with self.connect() as connection:
            rows = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]
        return {name: str(row[0]) for name, row in zip(names, rows, strict=True) if row}

    def verify(self, kept: Mapping[str, Counts], since_ms: int) -> Verdict:
        """Compare what was acknowledged since then with what is stored."""
        since = {"since": datetime.fromtimestamp(since_ms / 1000, UTC)}
        stored: dict[str, dict[str, int]] = {}
        with self.connect() as connection:
            for query in (SAMPLES, TRANSACTIONS, STATUSES):
                cursor = connection.execute(query.encode(), since)
                names = [column.name for column in cursor.description or ()][1:]
                for identity, *values in cursor:
                    stored.setdefault(identity, {}).update(zip(names, values, strict=True))
            flagged = connection.execute(FLAGGED.encode(), since).fetchone()
        return compare(kept, stored, flagged[0] if flagged else 0)


def compare(kept: Mapping[str, Counts], stored: Mapping[str, Counts], flagged: int) -> Verdict:
    rows = lost = beyond = 0
    example = ""
    for identity in kept.keys() | stored.keys():
        told, found = kept.get(identity, {}), stored.get(identity, {})
        missing = 0
        for name in COUNTED:
            difference = told.get(name, 0) - found.get(name, 0)
            rows += told.get(name, 0)
            missing += max(0, difference)
            beyond += max(0, -difference)
        if not missing and told.get("samples", 0) == found.get("samples", 0):
            # As many as acknowledged, but are they the same?
            missing += told.get("sample_ms_sum", 0) != found.get("sample_ms_sum", 0)
        if missing and not example:
            example = f"{identity}: acknowledged {dict(told)}, stored {dict(found)}"
        lost += missing
    return Verdict(rows, lost, beyond, flagged, example)


@contextmanager
def bench_database(
    parent: Path | None, stations: int, credential_hash: bytes
) -> Iterator[BenchDatabase]:
    """Start a new embedded PostgreSQL as ChargeHub does (fsync on), migrated and seeded."""
    place = Path(tempfile.mkdtemp(prefix="chargehub-bench-", dir=parent))
    # As root the database runs as another user, who has to get through.
    place.chmod(0o711)
    try:
        with EmbeddedPostgres(place / "data") as postgres:
            migrate.upgrade(postgres.url)
            database = BenchDatabase(postgres)
            with database.connect() as connection:
                values = {"hash": credential_hash, "stations": stations}
                # A client-side cursor takes several statements with parameters at once.
                psycopg.ClientCursor(connection).execute(SEED.encode(), values)
            yield database
    finally:
        shutil.rmtree(place, ignore_errors=True)
