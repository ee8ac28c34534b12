"""Many viewers at once: some steady, some stalled, some coming and going; nobody misses a value."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from tests.live_client import EventReader, RawStream, Viewer, open_raw, view_of
from tests.synthetic_hub import COOKIE, SyntheticHub, serving


@dataclass
class Crowd:
    url: str
    hub: SyntheticHub
    wanted_resumes: int
    resumes: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    viewers: list[Viewer] = field(default_factory=list)
    stalled: list[RawStream] = field(default_factory=list)
    done: bool = False

    async def steady(self) -> None:
        viewer = Viewer()
        self.viewers.append(viewer)
        await self._watch(viewer, until_s=None)

    async def restless(self, pauses: random.Random, resumes: int) -> None:
        viewer = Viewer()
        self.viewers.append(viewer)
        await self._watch(viewer, until_s=pauses.uniform(0.05, 0.4))
        for _ in range(resumes):
            self.resumes += 1
            if self.resumes == self.wanted_resumes:
                self.enough.set()
            await self._watch(viewer, until_s=pauses.uniform(0.05, 0.4))
        await self._watch(viewer, until_s=None)

    async def stall(self) -> None:
        self.stalled.append(await open_raw(self.url, COOKIE, limit=4096))

    async def _watch(self, viewer: Viewer, until_s: float | None) -> None:
        stream = await open_raw(self.url, COOKIE, last_event_id=viewer.last_event_id)
        parse = EventReader()
        try:
            async with asyncio.timeout(until_s):
                while not (self.done and self._is_current(viewer)):
                    for event in parse.feed(await stream.chunk()):
                        viewer.apply(event)
        except TimeoutError:
            pass
        finally:
            await stream.close()

    def _is_current(self, viewer: Viewer) -> bool:
        return viewer.last_event_id == self.hub.board.ring.event_id


async def _run(steady: int, restless: int, resumes: int, stalled: int, seconds: float) -> Crowd:
    # No viewer that reads falls so far behind that it needs a snapshot, were it for two minutes.
    hub = SyntheticHub(stations=91, max_viewers=200, join=600)
    async with serving(hub) as url:
        hub.open_up()
        source = asyncio.create_task(hub.run(events_per_s=20))
        crowd = Crowd(url, hub, restless * resumes)
        before = time.process_time()
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            for _ in range(stalled):
                tasks.create_task(crowd.stall())
            for _ in range(steady):
                tasks.create_task(crowd.steady())
            for seed in range(restless):
                tasks.create_task(crowd.restless(random.Random(seed), resumes))
            began = time.monotonic()
            await asyncio.sleep(seconds)
            await crowd.enough.wait()
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)
            hub.board.flush()
            crowd.done = True
        print(  # noqa: T201 - the figures of the slow test.
            f"{steady}+{restless} viewers, {stalled} stalled, {crowd.resumes} resumes:"
            f" CPU of both sides {time.process_time() - before:.1f} s"
            f" in {time.monotonic() - began:.1f} s"
        )
        truth = view_of(hub.board.snapshot())
        for viewer in crowd.viewers:
            assert viewer.gaps == 0
            assert (viewer.evses, viewer.stations, viewer.hub) == (
                truth.evses,
                truth.stations,
                truth.hub,
            )
        for stream in crowd.stalled:
            await stream.close()
    return crowd


async def test_a_small_crowd_resumes_without_gaps_or_stale_values() -> None:
    crowd = await _run(steady=4, restless=4, resumes=5, stalled=2, seconds=1)
    assert crowd.resumes == 20
    assert sum(viewer.snapshots for viewer in crowd.viewers) == len(crowd.viewers)


@pytest.mark.slow
async def test_fifty_viewers_twenty_stalled_seven_hundred_resumes() -> None:
    crowd = await _run(steady=45, restless=5, resumes=140, stalled=20, seconds=20)
    assert crowd.resumes == 700
