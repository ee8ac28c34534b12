"""Limits that others set at a station: of so many sources and no more."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from tests.hub_fixtures import V2X, RunningHub

LIMITS = {"limit_sources": 2}
FULL = ("chargehub_limits_hit_total", {"limit": "limit_sources"})


@pytest.mark.parametrize("version", V2X)
async def test_a_station_that_makes_sources_up_fills_nothing(hub: RunningHub, version: str) -> None:
    names = ["EMS", "SO", "Other"] if version == V2X[0] else ["EMS", "SO", "one more"]
    before = REGISTRY.get_sample_value(*FULL)
    assert before is not None
    async with hub.station(version) as station:
        for evse_no in (1, 2):
            for source in (*names, names[0]):
                limit = {"chargingLimitSource": source, "isGridCritical": True}
                payload = {"evseId": evse_no, "chargingLimit": limit}
                assert await station.call("NotifyChargingLimit", payload) == {}
        for evse_no in (1, 2):
            assert await hub.count("external_limits", station.identity, evse_no=evse_no) == 2
    assert REGISTRY.get_sample_value(*FULL) == before + 2
