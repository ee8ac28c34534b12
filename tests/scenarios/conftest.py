"""A stage for each module, and every scenario once for each version."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.scenarios.speech import V2X, VERSIONS
from tests.scenarios.stage import Stage, open_stage


@pytest_asyncio.fixture(scope="module")
async def _open_stage(module_database_url: str) -> AsyncIterator[Stage]:
    opened = await open_stage(module_database_url)
    yield opened
    await opened.hub.stop()
    await opened.database.close()


@pytest_asyncio.fixture
async def stage(_open_stage: Stage) -> AsyncIterator[Stage]:
    yield _open_stage
    await _open_stage.send_home()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=V2X)
def version_2x(request: pytest.FixtureRequest) -> str:
    """For what 1.6 does not have."""
    chosen: str = request.param
    return chosen
