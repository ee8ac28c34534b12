"""What the load stations of 2.x say is a whole transaction: a hub finds nothing odd in it."""

from __future__ import annotations

import json

import pytest

from benchmarks import payloads
from chargehub.kit.clock import wall_now
from tests.hub_fixtures import TOKEN, V2X, running_hub

SECOND_MS = 1_000


@pytest.mark.parametrize("version", V2X)
async def test_events_of_the_load_raise_no_flag(database_url: str, version: str) -> None:
    begin = int(wall_now().timestamp()) * SECOND_MS - 10 * SECOND_MS
    said = [payloads.event_started("T-1", begin, 0, TOKEN, 1_000_000)]
    for number in (1, 2, 3):
        register = 1_000_000 + number * SECOND_MS * payloads.REGISTER_MWH_PER_MS
        said.append(payloads.event_sampled("T-1", begin + number * SECOND_MS, number, register))
    said.append(payloads.event_ended("T-1", begin + 4 * SECOND_MS, 4))
    async with running_hub(database_url) as hub, hub.station(version) as station:
        for payload in said:
            await station.call("TransactionEvent", json.loads(payload))
        await hub.until("SELECT state FROM transactions", "Ended")
        assert await hub.value("SELECT flags FROM transactions") == 0
        assert await hub.value("SELECT bit_or(flags) FROM samples") == 0
        periodic = "SELECT count(*) FROM samples WHERE context = 'Sample.Periodic'"
        assert await hub.value(periodic) == 3
