"""The database: one async engine, two kinds of session, and the committer's raw connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import Column, Double, SmallInteger, Table
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chargehub.kit.clock import ClockPair
from chargehub.kit.tables import metadata

hub_clock = Table(
    "hub_clock",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("wall_epoch", Double, nullable=False),
    Column("hub_epoch", Double, nullable=False),
    Column("rate", Double, nullable=False),
)


class Database:
    """Opened once by app.py and handed down."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=4,
            pool_pre_ping=True,
            connect_args={"options": "-c timezone=UTC -c statement_timeout=60000"},
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlConnection]:
        """A read-only transaction: a write inside it is refused by the database."""
        async with self.engine.connect() as connection:
            await connection.execution_options(postgresql_readonly=True)
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlConnection]:
        """One transaction, committed at the end, rolled back on an exception."""
        async with self.engine.begin() as connection:
            yield connection

    async def open(self) -> AsyncConnection[tuple[Any, ...]]:
        """Open the group committer's own connection (implements kit.group_commit)."""
        url = self.url.set(drivername="postgresql")
        return await AsyncConnection.connect(
            url.render_as_string(hide_password=False),
            autocommit=False,
            prepare_threshold=2,
            options="-c timezone=UTC -c statement_timeout=60000",
        )

    async def close(self) -> None:
        await self.engine.dispose()


async def continue_clock(connection: SqlConnection, wall: float, rate: float) -> ClockPair:
    """Read the clock, let it go on from `wall` at `rate`, store and return the new pair."""
    row = (await connection.execute(hub_clock.select().with_for_update())).one_or_none()
    if row is None:
        pair = ClockPair(wall, wall, rate)
        await connection.execute(
            hub_clock.insert().values(
                id=1, wall_epoch=pair.wall_epoch, hub_epoch=pair.hub_epoch, rate=pair.rate
            )
        )
        return pair
    pair = ClockPair(row.wall_epoch, row.hub_epoch, row.rate).continued(wall, rate)
    await connection.execute(
        hub_clock.update().values(
            wall_epoch=pair.wall_epoch, hub_epoch=pair.hub_epoch, rate=pair.rate
        )
    )
    return pair
