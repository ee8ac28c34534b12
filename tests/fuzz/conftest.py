"""Fixtures of the fuzz tests: what the hub complains of meanwhile, and a whole hub that may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fuzz.stage import Alarms, alarms
from tests.hub_fixtures import RunningHub, running_hub


@pytest.fixture
def alarmed() -> Iterator[Alarms]:
    with alarms() as heard:
        yield heard


@pytest_asyncio.fixture
async def hub(database_url: str, alarmed: Alarms) -> AsyncIterator[RunningHub]:
    """A whole hub that takes frames at any rate, and that has complained of nothing at the end."""
    async with running_hub(database_url, messages_per_s=1e9, messages_burst=10**9) as running:
        yield running
    assert alarmed.lines == []
