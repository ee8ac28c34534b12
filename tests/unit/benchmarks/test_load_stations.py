"""The load generator against a real websocket server: what it counts is what was answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from benchmarks.load import Fleet, Plan, Window, run_closed_loop, run_fixed_rate

ENOUGH = 100


class Server:
    """Answers like a central system, remembers what it heard, refuses or stalls when told to."""

    def __init__(self, refused: str = "", stall_at: int = 0) -> None:
        self.refused = refused
        self.stall_at = stall_at
        self.heard: Counter[str] = Counter()
        self.sampled_ms: list[tuple[str, str]] = []
        self.port = 0
        self.enough = asyncio.Event()

    async def hears_enough(self, _seconds: float) -> None:
        await self.enough.wait()

    async def answer(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        identity = connection.request.path
        async for text in connection:
            _, message_id, action, payload = json.loads(text)
            self.heard[action] += 1
            if action == "MeterValues":
                assert payload["transactionId"] == 42
                stamps = [value["timestamp"] for value in payload["meterValue"]]
                self.sampled_ms += [(identity, stamp) for stamp in stamps]
                if self.heard[action] == self.stall_at:
                    await asyncio.sleep(0.4)
            if sum(self.heard.values()) >= ENOUGH:
                self.enough.set()
            if action == self.refused:
                await connection.send(json.dumps([4, message_id, "InternalError", "", {}]))
            else:
                facts = {"transactionId": 42} if action == "StartTransaction" else {}
                await connection.send(json.dumps([3, message_id, facts], separators=(",", ":")))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        offered = [Subprotocol("ocpp1.6")]
        async with serve(self.answer, "127.0.0.1", 0, subprotocols=offered) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self


async def play(
    server: Server, scenario: str, window_s: float = 0.0, rate_per_s: float = 0.0
) -> Fleet:
    """Play it; a closed loop lasts until the server has heard enough, however long that takes."""
    async with server.listening():
        fleet = Fleet(
            Plan(
                scenario,
                server.port,
                stations=3,
                warm_up_s=0.0,
                window_s=window_s,
                rate_per_s=rate_per_s,
            )
        )
        await fleet.connect(3, 3)
        window = Window(fleet.tally)
        if scenario == "fixed-rate":
            await run_fixed_rate(fleet, window)
        else:
            await run_closed_loop(fleet, window, server.hears_enough)
        fleet.tally.stopping = True
        assert await fleet.settle() == 0
        await fleet.close()
    return fleet


@pytest.mark.parametrize("scenario", ["metering", "metering-5-moments", "sessions"])
async def test_closed_loop_counts_what_was_answered(scenario: str) -> None:
    server = Server()
    fleet = await play(server, scenario)
    tally = fleet.tally
    assert tally.errors == {}
    assert tally.acknowledged == server.heard == tally.sent
    assert sum(s.kept.samples for s in fleet.stations) == len(server.sampled_ms) > 10
    assert len(set(server.sampled_ms)) == len(server.sampled_ms)


async def test_refused_samples_are_not_counted_as_kept() -> None:
    server = Server(refused="MeterValues")
    fleet = await play(server, "metering")
    assert fleet.tally.acknowledged["MeterValues"] == 0
    assert sum(s.kept.samples for s in fleet.stations) == 0
    assert sum(fleet.tally.errors.values()) == server.heard["MeterValues"] > 0


async def test_fixed_rate_counts_from_the_intended_time() -> None:
    """One answer that takes 0.4 s makes all late that the station should have sent meanwhile."""
    fleet = await play(Server(stall_at=20), "fixed-rate", window_s=0.8, rate_per_s=100.0)
    assert fleet.tally.acknowledged["MeterValues"] == len(fleet.tally.latencies_s) in (80, 81)
    late = [value for value in fleet.tally.latencies_s if value > 0.03]
    assert len(late) > 8
    assert max(late) > 0.39
    assert min(fleet.tally.latencies_s) >= 0
