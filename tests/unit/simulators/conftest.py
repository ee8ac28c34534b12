"""A hub for each test, and stations that are closed at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from simulators.client import WireOptions
from simulators.clock import ManualClock
from simulators.dialects import DIALECTS
from simulators.misbehaviour import Misbehaviour
from simulators.outbox import OutboxOptions
from simulators.station import SimulatedStation, StationOptions
from simulators.uplink import UplinkOptions
from tests.unit.simulators.fake_hub import DEADLINE_S, V16, FakeHub, Payload, running_hub

START = 1_795_406_400.0
"""2026-11-23T04:00:00Z, noon in Quzhou."""

MakeStation = Callable[..., SimulatedStation]


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with running_hub() as hub:
        yield hub


@pytest.fixture
async def make_station(hub: FakeHub) -> AsyncIterator[MakeStation]:
    made: list[SimulatedStation] = []

    def make(version: str = V16, *quirks: Misbehaviour, **given: Any) -> SimulatedStation:
        station = SimulatedStation(
            given.get("identity", "QZ-001"),
            hub.url,
            given.get("password", "correct-horse-battery"),
            DIALECTS[version],
            clock=given.get("clock", ManualClock(START)),
            quirks=frozenset(quirks),
            options=StationOptions(
                wire=WireOptions(
                    call_timeout_s=DEADLINE_S, lost_answer_timeout_s=0.05, late_answer_s=0.2
                ),
                outbox=OutboxOptions(retry_s=0.01),
                uplink=UplinkOptions(reboot_s=0.01, reconnect_min_s=0.01),
                register_wh=12_345_678.0,
            ),
        )
        made.append(station)
        return station

    yield make
    for station in made:
        await station.close()


async def booted(station: SimulatedStation) -> SimulatedStation:
    await station.connect()
    assert await station.boot() == "Accepted"
    return station


def acknowledged_by(station: Any) -> list[tuple[str, Payload, Payload]]:
    return [(a.action, a.payload, a.answer) for a in station.acknowledged]


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)
