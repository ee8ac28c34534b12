"""Bytes at the ports of stations: each socket ends, and a healthy station notices nothing.

After each test the hub has as many sockets, tasks and connections as before it, and no line of the
log is an error: whoever can reach the port can send this.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random

import psutil
import pytest
import pytest_asyncio

from chargehub.gateway.tls import tls_options
from tests.fuzz.knocks import BROKEN_FRAMES, Knock, knock, noise
from tests.fuzz.stage import Alarms, Stage, alarms, open_stage
from tests.fuzz.wire import Wire, frame
from tests.hub_fixtures import DEADLINE_S, V16, VERSIONS, eventually
from tests.tls_world import TlsWorld

HANDSHAKE_TIMEOUT_S = 0.5
AT_ONCE = 50


@pytest.fixture(scope="module")
def alarmed() -> Iterator[Alarms]:
    with alarms() as heard:
        yield heard


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TlsWorld:
    return TlsWorld.create(tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture(scope="module")
async def stage(
    alarmed: Alarms,  # noqa: ARG001  Before the listener is there, so that it hears all.
    world: TlsWorld,
) -> AsyncIterator[Stage]:
    files = world.settings()
    tls = tls_options("127.0.0.1", 0, files.chains, files.client_ca)
    async with open_stage(tls, handshake_timeout_s=HANDSHAKE_TIMEOUT_S) as opened:
        yield opened


def left(stage: Stage) -> tuple[int, int, int]:
    """Return how many connections, tasks and file descriptors there are."""
    return len(stage.connections), len(asyncio.all_tasks()), psutil.Process().num_fds()


@asynccontextmanager
async def served_all_the_time(stage: Stage) -> AsyncIterator[None]:
    """Have a healthy station served meanwhile, and nothing left behind by others."""
    _, healthy = await stage.connect(V16)
    beats = 0

    async def go_on() -> None:
        nonlocal beats
        while True:
            healthy.write(frame(1, f'[2,"beat-{beats}","Heartbeat",{{}}]'.encode()))
            await healthy.until(lambda: bool(healthy.heard))
            assert healthy.heard, "the healthy station was sent away"
            assert healthy.heard.pop().startswith(f'[3,"beat-{beats}",')
            beats += 1
            await asyncio.sleep(0.005)

    going = asyncio.create_task(go_on())
    try:
        await eventually(lambda: beats > 0)
        least = left(stage)
        yield
        before = beats
        await eventually(lambda: beats > before or going.done())
        with suppress(TimeoutError):
            await eventually(lambda: left(stage) <= least)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert left(stage) <= least, names
    finally:
        going.cancel()
        (end,) = await asyncio.gather(going, return_exceptions=True)
        healthy.abort()
        await healthy.ended
    assert isinstance(end, asyncio.CancelledError), end
    await eventually(lambda: len(stage.connections) == 0)


@pytest.fixture(autouse=True)
def _nothing_is_raised(alarmed: Alarms) -> Iterator[None]:
    yield
    lines, alarmed.lines = alarmed.lines, []
    assert lines == []


async def ended(wire: Wire) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.shield(wire.ended)


def status_in(raw: bytes | bytearray) -> int:
    """Return the status of an HTTP answer; 0 where there is none."""
    return int(raw[9:12]) if raw.startswith(b"HTTP/1.1 ") else 0


async def answer_to(address: tuple[str, int], one: Knock) -> int:
    """Knock so, and return the status; whatever it is, the socket must end."""
    wire = await Wire.open(*address)
    wire.write(one.data)
    if one.hangs:
        await ended(wire)
    else:
        await wire.until(lambda: b"\r\n\r\n" in wire.raw)
        if status_in(wire.raw) == 101:
            wire.abort()
        await ended(wire)
    return status_in(wire.raw)


async def knock_often(stage: Stage, seed: str, times: int) -> None:
    heard: Counter[int] = Counter()
    async with served_all_the_time(stage):
        for number in range(0, times, AT_ONCE):
            knocks = [knock(Random(f"{seed}/{one}")) for one in range(number, number + AT_ONCE)]
            statuses = await asyncio.gather(*(answer_to(stage.address, one) for one in knocks))
            for one, status in zip(knocks, statuses, strict=True):
                assert status in one.statuses, f"seed {seed}: {one.data[:500]!r}"
            heard.update(statuses)
    assert {0, 101, 400, 401, 404, 426} <= set(heard)


async def test_hundreds_of_knocks(stage: Stage) -> None:
    await knock_often(stage, "same every time", 500)


@pytest.mark.slow
async def test_thousands_of_knocks(stage: Stage) -> None:
    seed = os.environ.get("TESTS_FUZZ_SEED") or secrets.token_hex(8)
    await knock_often(stage, seed, 10_000)


@pytest.mark.parametrize("name", BROKEN_FRAMES)
async def test_a_broken_frame_ends_its_socket_with_the_right_code(stage: Stage, name: str) -> None:
    data, codes = BROKEN_FRAMES[name]
    _, wire = await stage.connect(V16)
    wire.write(data)
    await wire.until(lambda: wire.close_code is not None)
    assert wire.close_code in codes
    # As a station does that has heard it.
    wire.end()
    await ended(wire)


async def shout(stage: Stage, rng: Random) -> None:
    """Come in as one must, send noise, and leave in one of the ways there are."""
    _, wire = await stage.connect(rng.choice(VERSIONS))
    data = noise(rng)
    cut = rng.randrange(len(data) + 1)
    wire.write(data[:cut])
    await asyncio.sleep(0)
    if not wire.ended.done():
        wire.write(data[cut:])
        if rng.random() < 0.5:
            wire.end()
        else:
            await asyncio.sleep(0.01)
            wire.abort()
    await ended(wire)


async def shout_often(stage: Stage, seed: str, times: int) -> None:
    async with served_all_the_time(stage):
        for number in range(0, times, AT_ONCE):
            together = range(number, number + AT_ONCE)
            await asyncio.gather(*(shout(stage, Random(f"{seed}/{one}")) for one in together))


async def test_noise_after_the_handshake(stage: Stage) -> None:
    await shout_often(stage, "same every time", 300)


@pytest.mark.slow
async def test_much_noise_after_the_handshake(stage: Stage) -> None:
    await shout_often(stage, secrets.token_hex(8), 10_000)


@pytest.mark.slow
async def test_pieces_without_end_cost_no_memory(stage: Stage) -> None:
    """Empty pieces count for nothing towards the greatest frame. It takes a closing's patience."""
    async with served_all_the_time(stage):
        _, wire = await stage.connect(V16)
        process = psutil.Process()
        before = process.memory_info().rss
        wire.write(frame(1, b"", fin=False) + frame(0, b"", fin=False) * 500_000)
        await wire.until(lambda: wire.close_code is not None)
        assert wire.close_code == 1009
        # Of 500,000 objects each, that would be more.
        assert process.memory_info().rss - before < 60 << 20
        wire.abort()
        await ended(wire)


async def test_pings_whose_pongs_nobody_reads_end_the_socket(stage: Stage) -> None:
    pings = frame(9, b"x" * 125) * 2_000
    async with served_all_the_time(stage):
        _, wire = await stage.connect(V16)
        wire.read_nothing()
        written = 0
        while not wire.ended.done() and written < 64 << 20:
            wire.write(pings)
            written += len(pings)
            await asyncio.sleep(0.002)
        assert wire.ended.done()


async def test_tls_and_what_is_none_at_its_port(stage: Stage, world: TlsWorld) -> None:
    port = stage.listener.bound_tls_port
    assert port is not None
    address = ("127.0.0.1", port)

    async def speak_tls(one: Knock) -> None:
        wire = await Wire.open(*address, tls=world.client())
        wire.write(one.data)
        await wire.until(lambda: b"\r\n\r\n" in wire.raw)
        assert status_in(wire.raw) in one.statuses | {0}
        wire.abort()
        await ended(wire)

    async with served_all_the_time(stage):
        for number in range(0, 100, AT_ONCE):
            knocks = [knock(Random(f"tls/{one}")) for one in range(number, number + AT_ONCE)]
            statuses = await asyncio.gather(
                *(answer_to(address, one._replace(hangs=True)) for one in knocks)
            )
            assert set(statuses) == {0}
            await asyncio.gather(*(speak_tls(one) for one in knocks[:8]))
