"""The one SQLAlchemy MetaData: the naming convention of migrations, PostgreSQL's extensions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, event, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

EXTENSIONS = ("btree_gist", "cube")
"""What tables need beyond PostgreSQL itself; the owner of a database may create these."""


@event.listens_for(metadata, "before_create")
def create_extensions(_metadata: MetaData, connection: Connection, **_: Any) -> None:
    for name in EXTENSIONS:
        connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {name}"))
