"""The database: one async engine, two kinds of session, and the committer's raw connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from psycopg import AsyncConnection
from sqlalchemy import Column, Double, SmallInteger, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chargehub.kit.clock import ClockPair
from chargehub.kit.tables import metadata

log = structlog.get_logger(__name__)

RESERVE_S = 20.0

hub_clock = Table(
    "hub_clock",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("wall_epoch", Double, nullable=False),
    Column("hub_epoch", Double, nullable=False),
    Column("rate", Double, nullable=False),
    # Until this wall time the clock may have run; ClockKeeper moves it ahead of itself.
    Column("reached_wall", Double, nullable=False),
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
            # Errors end in logs and in `last_error`; a statement's values may be secrets.
            hide_parameters=True,
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
        await connection.execute(hub_clock.insert().values(id=1, **_columns(pair)))
        return pair
    old = ClockPair(row.wall_epoch, row.hub_epoch, row.rate)
    pair = old.continued(wall, rate, row.reached_wall)
    await connection.execute(hub_clock.update().values(**_columns(pair)))
    return pair


async def read_clock(connection: SqlConnection) -> ClockPair | None:
    """Return the pair in force; None before the first start."""
    row = (await connection.execute(hub_clock.select())).one_or_none()
    return None if row is None else ClockPair(row.wall_epoch, row.hub_epoch, row.rate)


def _columns(pair: ClockPair) -> dict[str, float]:
    return {
        "wall_epoch": pair.wall_epoch,
        "hub_epoch": pair.hub_epoch,
        "rate": pair.rate,
        "reached_wall": pair.wall_epoch + RESERVE_S,
    }


class ClockKeeper:
    """Notes how far a fast clock may have run, so that the next start continues from there.

    It reserves a little ahead: after a SIGKILL the clock jumps by at most that, never back.
    """

    def __init__(self, database: Database, pair: ClockPair) -> None:
        self._database = database
        self._pair = pair
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._pair.rate != 1:
            self._task = asyncio.create_task(self._run(), name="clock-keeper")

    async def stop(self) -> None:
        """Stop, and give back what was reserved: an orderly stop causes no jump."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._note(time.time())

    async def _run(self) -> None:
        while True:
            try:
                await self._note(time.time() + RESERVE_S)
            except (SQLAlchemyError, OSError) as error:
                log.warning("clock_not_noted", error=str(error))
            await asyncio.sleep(RESERVE_S / 4)

    async def _note(self, reached_wall: float) -> None:
        async with self._database.write() as connection:
            await connection.execute(hub_clock.update().values(reached_wall=reached_wall))
