"""One running hub for the tests of a module; stations are cheap, so each test has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.hub_fixtures import RunningHub, running_hub


@pytest_asyncio.fixture(scope="module")
async def hub(
    module_database_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[RunningHub]:
    """Run a hub with the limits that the module names."""
    limits = getattr(request.module, "LIMITS", {})
    async with running_hub(module_database_url, **limits) as running:
        yield running
