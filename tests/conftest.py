"""Fixtures every test may use: one embedded PostgreSQL a session, a migrated database a test."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
import structlog
import uvloop
from hypothesis import settings

from chargehub.kit import logging, migrate
from chargehub.kit.db import Database
from chargehub.kit.postgres import EmbeddedPostgres

TEMPLATE = "chargehub_template"
TASKS_END_WITHIN_S = 5.0

# `make test` must say the same twice; `make test-slow` looks further with --hypothesis-profile.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", max_examples=2_000, deadline=None)
settings.load_profile("fixed")


def configure_logging() -> None:
    """As in production; structlog's own default draws every local variable of a traceback."""
    logging.configure("info", "json")
    # A cached logger would keep this configuration while a test captures or changes it.
    structlog.configure(cache_logger_on_first_use=False)


configure_logging()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the event loop of production: its timers, for one, are of whole milliseconds."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    """Put it back after a test of logging itself."""
    yield
    if not structlog.is_configured():
        configure_logging()


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _nothing_outlives_its_module() -> AsyncIterator[None]:
    """What a module's hubs began ends with them: it would act, and log, amid the tests of others.

    The first of its fixtures is the last to end.
    """
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:  # What was just cancelled, or lost its socket, ends by itself.
        _, left = await asyncio.wait(left, timeout=TASKS_END_WITHIN_S)
    assert not left, f"went on after the tests of the module: {left}"


@pytest.fixture(scope="session")
def open_dir() -> Iterator[Path]:
    """A directory that the unprivileged user may enter too: pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="chargehub-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded_postgres(open_dir: Path) -> Iterator[EmbeddedPostgres]:
    """The session's server: durable over a killed process, not over a power cut: no test pulls it.

    Without whole pages in the log, since each new database begins with a checkpoint.
    """
    fast = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal"}
    fast |= {"max_wal_senders": "0", "shared_buffers": "128MB", "max_connections": "200"}
    with EmbeddedPostgres(open_dir / "session", settings=fast) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(embedded_postgres: EmbeddedPostgres) -> str:
    """The URL of an empty database of the session's server."""
    return embedded_postgres.url


@pytest.fixture(scope="session")
def _template(embedded_postgres: EmbeddedPostgres) -> str:
    _execute(embedded_postgres, f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(embedded_postgres.url_of(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database_url(embedded_postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    name = new_database(embedded_postgres, _template)
    yield embedded_postgres.url_of(name)
    _execute(embedded_postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def module_database_url(embedded_postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """The URL of a migrated database that the tests of one module share."""
    name = new_database(embedded_postgres, _template)
    yield embedded_postgres.url_of(name)
    _execute(embedded_postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of this test's own, opened."""
    opened = Database(database_url)
    yield opened
    await opened.close()


def new_database(server: EmbeddedPostgres, template: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    # Copied as files: by way of the log it takes thrice as long.
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return name


def _execute(server: EmbeddedPostgres, statement: str) -> None:
    url = server.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
