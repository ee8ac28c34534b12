"""A Location to book at, and connections for many callers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from chargehub.kit.db import Database
from chargehub.reservations.rules import Terms
from tests.integration.reservations.hub import (
    Desk,
)


@pytest_asyncio.fixture
async def desk(database: Database) -> Desk:
    made = Desk(database, Terms(held_share_percent=100))
    await made.open()
    return made


@pytest_asyncio.fixture
async def connections(database_url: str) -> AsyncIterator[Database]:
    """A database with a connection for each of 40 callers at once."""
    opened = Database(database_url, pool_size=40)
    yield opened
    await opened.close()
