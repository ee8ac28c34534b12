"""The load generator: a process apart that plays many stations and says what it saw.

It prints one JSON object a line: `connected` (then it waits for a line on its input),
`window_begin`, `window_end` (so that who started it can read the servers' CPU time at these
moments) and `done` with the figures. It knows nothing of the server but its address.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import uvloop

from benchmarks.stations import (
    EventStation,
    EventStation21,
    LoadStation,
    MeteringStation,
    SessionStation,
    Tally,
)

SCENARIOS: dict[str, Callable[..., LoadStation]] = {
    "metering": MeteringStation,
    "metering-5-moments": partial(MeteringStation, moments=5),
    "events-2.0.1": EventStation,
    "events-2.1": EventStation21,
    "sessions": SessionStation,
    "fixed-rate": partial(MeteringStation, closed_loop=False),
    "storm": LoadStation,
    "idle": LoadStation,
}
ANSWER_DEADLINE_S = 60.0
CONNECT_DEADLINE_S = 120.0
CONNECTING_AT_ONCE = 200

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    scenario: str
    port: int
    host: str = "127.0.0.1"
    path: str = "/ocpp/"
    prefix: str = "BENCH"
    stations: int = 100
    warm_up_s: float = 3.0
    window_s: float = 10.0
    rate_per_s: float = 1000.0
    password: str = ""


def tell(event: str, **facts: Any) -> None:
    line = json.dumps({"event": event, **facts}).encode() + b"\n"
    # Not print: with PYTHONUNBUFFERED it drops what the pipe does not take at once.
    while line:
        line = line[os.write(sys.stdout.fileno(), line) :]


def build_station(plan: Plan, number: int, tally: Tally) -> LoadStation:
    identity = f"{plan.prefix}-{number:05d}"
    build = SCENARIOS[plan.scenario]
    return build(identity, plan.host, plan.path, plan.password.encode(), tally)


def settle_once(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _given(station: LoadStation) -> LoadStation:
    return station


class Fleet:
    """Brings stations up, by a few or all at once, and keeps those that stand."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tally = Tally()
        self.stations: list[LoadStation] = []
        self.came_up_s: list[float] = []
        self.retries = 0

    async def connect(self, at_once: int, up_to: int) -> float:
        """Connect and boot stations up to a number; return the seconds it took."""
        begin = time.perf_counter()
        gate = asyncio.Semaphore(at_once)

        async def bring_up(number: int) -> None:
            async with gate:
                since = time.perf_counter()
                self.stations.append(await self._connect_one(number))
                self.came_up_s.append(time.perf_counter() - since)

        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                await asyncio.gather(*(bring_up(n + 1) for n in range(len(self.stations), up_to)))
        except TimeoutError:
            faults = dict(self.tally.errors.most_common(5))
            up = len(self.stations)
            raise SystemExit(f"only {up} of {up_to} stations came up: {faults}") from None
        for station in self.stations:
            station.on_end_of_boot = None
        return time.perf_counter() - begin

    async def _connect_one(self, number: int) -> LoadStation:
        loop = asyncio.get_running_loop()
        while True:
            booted: asyncio.Future[bool] = loop.create_future()
            station = build_station(self.plan, number, self.tally)
            station.on_end_of_boot = partial(settle_once, booted)
            try:
                await loop.create_connection(
                    partial(_given, station), self.plan.host, self.plan.port
                )
            except OSError as error:
                self.tally.errors[f"connect: {error}"] += 1
            else:
                if await booted:
                    return station
            self.retries += 1
            await asyncio.sleep(1.0)

    async def settle(self) -> int:
        """Wait until every call is answered; return how many never were."""
        for _ in range(int(ANSWER_DEADLINE_S / 0.02)):
            if all(station.is_done for station in self.stations):
                break
            await asyncio.sleep(0.02)
        return sum(station.waits for station in self.stations)

    async def close(self) -> None:
        for station in self.stations:
            station.close()
        await asyncio.sleep(0.5)


class Window:
    """The measured stretch of a run; the generator's own CPU time is measured over it too."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._begin = 0.0
        self._cpu_begin = 0.0
        self.seconds = 0.0
        self.cpu_s = 0.0

    def begin(self) -> None:
        tell("window_begin")
        self._cpu_begin = time.process_time()
        self._begin = self._tally.window_begin = time.perf_counter()

    def end(self) -> None:
        now = self._tally.window_end = time.perf_counter()
        self.cpu_s = time.process_time() - self._cpu_begin
        self.seconds = now - self._begin
        tell("window_end")


def percentiles_ms(values_s: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values_s)
    if not ordered:
        return {}

    def at(fraction: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * 1000, 3)

    return {"p50_ms": at(0.50), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1.0)}


async def run_closed_loop(fleet: Fleet, window: Window, sleep: Sleep = asyncio.sleep) -> None:
    for station in fleet.stations:
        station.begin()
    await sleep(fleet.plan.warm_up_s)
    window.begin()
    await sleep(fleet.plan.window_s)
    window.end()


async def run_fixed_rate(fleet: Fleet, window: Window) -> None:
    """Send each message at its own intended time, whatever the answers do."""
    stations = [s for s in fleet.stations if isinstance(s, MeteringStation)]
    for station in stations:
        station.begin()
    await fleet.settle()
    gap = 1.0 / fleet.plan.rate_per_s
    begin = time.perf_counter()
    window_at = begin + fleet.plan.warm_up_s
    end = window_at + fleet.plan.window_s
    number = 0
    while (intended := begin + number * gap) < end:
        wait = intended - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        # uvloop's timers may ring some tenths of a millisecond early; no answer comes before its
        # call was meant to leave.
        meant, intended = intended, min(intended, time.perf_counter())
        if window.seconds == 0.0 and fleet.tally.window_begin > meant >= window_at:
            window.begin()
            # From the intended time on, also where the loop came to it late.
            fleet.tally.window_begin = min(fleet.tally.window_begin, intended)
        stations[number % len(stations)].due(intended)
        number += 1
    window.end()


async def run_idle(fleet: Fleet, window: Window) -> None:
    """Hold the connections, silent, until what connecting left behind has settled."""
    await asyncio.sleep(fleet.plan.warm_up_s)
    window.begin()
    await asyncio.sleep(fleet.plan.window_s)
    window.end()


async def run(plan: Plan) -> dict[str, Any]:
    fleet = Fleet(plan)
    window = Window(fleet.tally)
    storm = plan.scenario == "storm"
    if storm:
        window.begin()
    elif plan.scenario == "idle":
        # The first fifth fills what the server keeps anyway; the rest shows a connection's price.
        await fleet.connect(CONNECTING_AT_ONCE, plan.stations // 5)
        await asyncio.sleep(plan.warm_up_s)
        tell("some_connected", stations=len(fleet.stations))
    connect_s = await fleet.connect(plan.stations if storm else CONNECTING_AT_ONCE, plan.stations)
    if storm:
        window.end()
    tell("connected", seconds=round(connect_s, 3))
    if not storm:
        # Who started us says when the server has worked off what the boots set going.
        await asyncio.to_thread(sys.stdin.readline)
    gc.freeze()
    match plan.scenario:
        case "storm":
            pass
        case "fixed-rate":
            await run_fixed_rate(fleet, window)
        case "idle":
            await run_idle(fleet, window)
        case _:
            await run_closed_loop(fleet, window)
    fleet.tally.stopping = True
    unanswered = await fleet.settle()
    for station in fleet.stations:
        if not station.waits and not station.closing:
            station.finish()
    unanswered += await fleet.settle()
    standing = sum(not station.closing for station in fleet.stations)
    await fleet.close()
    return summary(fleet, window, connect_s, unanswered, standing)


def summary(
    fleet: Fleet, window: Window, connect_s: float, unanswered: int, standing: int
) -> dict[str, Any]:
    tally = fleet.tally
    messages = tally.window_acknowledged
    return {
        "connect_s": round(connect_s, 3),
        "connect": percentiles_ms(fleet.came_up_s),
        "retries": fleet.retries,
        "window_s": round(window.seconds, 3),
        "messages": messages,
        "throughput_per_s": round(messages / window.seconds, 1) if window.seconds else 0.0,
        "latency": percentiles_ms(tally.latencies_s),
        "generator_cpu_us_per_message": round(window.cpu_s / messages * 1e6, 1)
        if messages
        else None,
        "generator_cpu_share": round(window.cpu_s / window.seconds, 3) if window.seconds else None,
        "sent": dict(tally.sent),
        "acknowledged": dict(tally.acknowledged),
        "errors": dict(tally.errors.most_common(20)),
        "unanswered": unanswered,
        "standing": standing,
        "kept": {s.identity: asdict(s.kept) for s in fleet.stations if any_kept(s)},
    }


def any_kept(station: LoadStation) -> bool:
    return any(asdict(station.kept).values())


def parse(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--scenario", required=True, choices=SCENARIOS)
    parser.add_argument("--port", type=int, required=True)
    kinds: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}
    for field in fields(Plan):
        if field.name not in ("scenario", "port"):
            option = "--" + field.name.replace("_", "-")
            parser.add_argument(option, type=kinds[str(field.type)], default=field.default)
    return Plan(**vars(parser.parse_args(arguments)))


def main() -> None:
    plan = parse(sys.argv[1:])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    tell("done", **uvloop.run(run(plan)))


if __name__ == "__main__":
    main()
