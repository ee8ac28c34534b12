"""Examines a machine and its settings for what the server needs.

Where the database is the embedded one, it is started for the question, and made if need be.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from chargehub.gateway.tls import build_context, expires_at, tls_options
from chargehub.kit import migrate
from chargehub.kit.clock import wall_now
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.postgres import EmbeddedPostgres, PostgresInUse
from chargehub.settings import Settings

OLDEST_POSTGRES = 150_000
FREE_BYTES = 2 * 1024**3
CERTIFICATE_LEFT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    good: bool
    detail: str


def examine(load: Callable[[], Settings]) -> list[Finding]:
    findings = [Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0])]
    try:
        loaded = load()
    except ChargeHubError as error:
        return [*findings, Finding("settings", good=False, detail=error.detail)]
    findings.append(Finding("settings", good=True, detail="complete"))
    findings.append(_disk(loaded.data_dir))
    findings.extend(_ports(loaded))
    findings.extend(_certificates(loaded))
    findings.extend(_database(loaded))
    return findings


def _disk(data_dir: Path) -> Finding:
    place = data_dir.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= FREE_BYTES, f"{free / 1024**3:,.1f} GiB free at {place}")


def _ports(loaded: Settings) -> Iterator[Finding]:
    ports = [
        ("API port", loaded.api_host, loaded.api_port),
        ("OCPP port", loaded.ocpp_host, loaded.ocpp_port),
    ]
    if loaded.tls.chains:
        ports.append(("OCPP port of TLS", loaded.tls.host, loaded.tls.port))
    for name, host, port in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                yield Finding(name, good=False, detail=f"{host}:{port}: {error.strerror}")
            else:
                yield Finding(name, good=True, detail=f"{host}:{port} is free")


def _certificates(loaded: Settings) -> Iterator[Finding]:
    tls = loaded.tls
    options = tls_options(tls.host, tls.port, tls.chains, tls.client_ca)
    if options is None:
        return
    try:
        build_context(options)
        ends = {files.chain: expires_at(files.chain) for files in options.chains}
    except ChargeHubError as error:
        yield Finding("TLS certificates", good=False, detail=error.detail)
        return
    for chain, end in ends.items():
        good = end > wall_now() + CERTIFICATE_LEFT
        yield Finding("TLS certificate", good, f"{chain} ends on {end:%Y-%m-%d}")


def _database(loaded: Settings) -> Iterator[Finding]:
    if loaded.database_url is not None:
        yield from _ask_database(loaded.database_url.get_secret_value())
        return
    postgres = EmbeddedPostgres(loaded.data_dir)
    try:
        postgres.start()
    except PostgresInUse as error:
        yield Finding("embedded database", good=True, detail=error.detail)
        return
    except (ChargeHubError, OSError) as error:
        yield Finding("embedded database", good=False, detail=str(error))
        return
    try:
        yield from _ask_database(postgres.url)
    finally:
        postgres.stop()


def _ask_database(url: str) -> Iterator[Finding]:
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(plain, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as error:
        yield Finding("database", good=False, detail=str(error).strip())
        return
    yield Finding("database", version >= OLDEST_POSTGRES, f"PostgreSQL {version // 10_000}")
    current, newest = migrate.current(url), migrate.head()
    detail = f"revision {current}" if current == newest else f"{current}, `chargehub migrate` due"
    # An old schema is no fault: the server migrates when it starts.
    yield Finding("schema", good=True, detail=detail)
