"""Brings a database to the schema of this version; the steps themselves lie in `migrations/`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, NullPool, create_engine, inspect, make_url, text

import chargehub


def migrations_dir() -> Path:
    """Return where the migrations lie: inside the installed package, or in the checkout."""
    package = Path(chargehub.__file__).resolve().parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent.parent / "migrations"


def config(url: str) -> Config:
    alembic = Config()
    alembic.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    alembic.attributes["url"] = _with_driver(url) if url else None
    return alembic


def upgrade(url: str) -> None:
    """Migrate to the newest schema; several servers that start together take turns."""
    command.upgrade(config(url), "head")


def head() -> str:
    """Return the newest revision this version knows."""
    newest = ScriptDirectory.from_config(config("")).get_current_head()
    if newest is None:
        raise RuntimeError(f"No migrations in {migrations_dir()}.")
    return newest


def current(url: str) -> str | None:
    """Return the revision a database is at; None for an empty one."""
    engine = create_engine(_with_driver(url), poolclass=NullPool)
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _with_driver(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")
