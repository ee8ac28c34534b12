"""The versions of the 2.x family: what is written for one holds for the other."""

from __future__ import annotations

import pytest

from chargehub.ocpp import OcppVersion
from tests.unit.gateway.words import Words


@pytest.fixture(params=[OcppVersion.V201, OcppVersion.V21], ids=str)
def words(request: pytest.FixtureRequest) -> Words:
    return Words(request.param)
