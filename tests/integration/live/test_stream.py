"""The live stream over real HTTP: snapshot, resume, beats, limits, logins that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx
import pytest

from chargehub.live.board import Board
from chargehub.live.facts import HubFacts
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import FrameRing, Topics
from chargehub.live.stream import VIEWERS_STALLED, frames
from tests.live_client import EventReader, StreamEvent, Viewer, open_raw, view_of
from tests.synthetic_hub import COOKIE, START, SyntheticHub, hub_facts, serving

BOTH: Topics = frozenset({"board", "power"})
DEADLINE_S = 60.0


@pytest.fixture
async def hub() -> SyntheticHub:
    return SyntheticHub(stations=5)


@pytest.fixture
async def url(hub: SyntheticHub) -> AsyncIterator[str]:
    async with serving(hub) as base:
        hub.open_up()
        yield base


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=url, cookies={COOKIE: "cookie-of-a-test"}, timeout=DEADLINE_S, limits=limits
    ) as client:
        yield client


async def until_events(response: httpx.Response, reader: EventReader) -> AsyncIterator[StreamEvent]:
    async for chunk in response.aiter_bytes():
        for event in reader.feed(chunk):
            yield event


@asynccontextmanager
async def watching(
    client: httpx.AsyncClient, last_event_id: str | None = None, path: str = "/api/v1/live"
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == HTTPStatus.OK
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield until_events(response, EventReader())


async def settle(viewer: Viewer, events: AsyncIterator[StreamEvent], hub: SyntheticHub) -> None:
    """Read until the viewer knows what the board knows."""
    async with asyncio.timeout(DEADLINE_S):
        async for event in events:
            viewer.apply(event)
            truth = view_of(hub.board.snapshot())
            if (viewer.evses, viewer.hub) == (truth.evses, truth.hub):
                return


async def test_a_new_viewer_gets_the_snapshot_then_only_changes(
    hub: SyntheticHub, client: httpx.AsyncClient
) -> None:
    viewer = Viewer()
    async with watching(client) as events:
        await settle(viewer, events, hub)
        assert (viewer.snapshots, len(viewer.evses), len(viewer.stations)) == (1, 10, 5)
        for _ in range(20):
            hub.step()
        await settle(viewer, events, hub)
    assert (viewer.snapshots, viewer.gaps) == (1, 0)
    assert viewer.changes > 0


async def test_a_resuming_viewer_gets_only_what_it_missed(
    hub: SyntheticHub, client: httpx.AsyncClient
) -> None:
    viewer = Viewer()
    async with watching(client) as events:
        await settle(viewer, events, hub)
    for _ in range(10):
        hub.step()
    async with watching(client, viewer.last_event_id) as events:
        await settle(viewer, events, hub)
    assert (viewer.snapshots, viewer.gaps) == (1, 0)
    hub.step()
    # A page that reconnects by itself cannot set the header.
    async with watching(client, path=f"/api/v1/live?after={viewer.last_event_id}") as events:
        await settle(viewer, events, hub)
    assert (viewer.snapshots, viewer.gaps) == (1, 0)


@pytest.mark.parametrize("last_event_id", ["other-3", "test-99999999", "garbage", "test-0"])
async def test_an_id_that_leads_nowhere_gets_a_snapshot(
    hub: SyntheticHub, client: httpx.AsyncClient, last_event_id: str
) -> None:
    async with watching(client, last_event_id) as events:
        event = await anext(events)
    assert event.kind == "snapshot"
    assert hub.feed.viewers <= 1


async def test_a_quiet_board_beats_with_a_comment_and_the_newest_id(
    hub: SyntheticHub, client: httpx.AsyncClient
) -> None:
    reader = EventReader()
    async with client.stream("GET", "/api/v1/live") as response, asyncio.timeout(DEADLINE_S):
        seen = [event async for event in _first(until_events(response, reader), 2)]
    assert [event.kind for event in seen] == ["snapshot", "beat"]
    assert seen[1].event_id == seen[0].event_id == hub.board.ring.event_id
    assert reader.comments == 1
    assert reader.retry_ms == 2000


async def _first(events: AsyncIterator[StreamEvent], count: int) -> AsyncIterator[StreamEvent]:
    for _ in range(count):
        yield await anext(events)


async def test_topics_are_chosen_and_unknown_ones_refused(client: httpx.AsyncClient) -> None:
    async with watching(client, path="/api/v1/live?topics=power") as events:
        event = await anext(events)
    assert "power" in event.data
    assert "board" not in event.data
    answer = await client.get("/api/v1/live?topics=power,money")
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.json()["code"] == "unknown-topic"


async def test_nobody_watches_without_a_login(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as stranger:
        for path in ("/api/v1/live", "/api/v1/live/snapshot"):
            answer = await stranger.get(path)
            assert answer.status_code == HTTPStatus.UNAUTHORIZED


async def test_the_snapshot_is_one_json_document(
    hub: SyntheticHub, client: httpx.AsyncClient
) -> None:
    answer = await client.get("/api/v1/live/snapshot")
    data = answer.json()
    assert len(data["board"]["evses"]) == len(data["power"]["evses"]) == 10
    assert len(data["layout"]["stations"]) == data["board"]["hub"]["stations"] == 5
    assert data["id"] == hub.board.ring.event_id


async def test_one_viewer_too_many_is_told_so() -> None:
    crowded = SyntheticHub(stations=1, max_viewers=2)
    async with (
        serving(crowded) as base,
        httpx.AsyncClient(base_url=base, cookies={COOKIE: "x"}) as client,
    ):
        async with watching(client) as first, watching(client) as second:
            await anext(first)
            await anext(second)
            answer = await client.get("/api/v1/live")
            assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert answer.json()["code"] == "too-many-viewers"
            assert int(answer.headers["retry-after"]) > 0
        async with asyncio.timeout(DEADLINE_S):
            while crowded.feed.viewers:  # noqa: ASYNC110 - nothing tells when the last has left.
                await asyncio.sleep(0.01)
        async with watching(client) as again:
            assert (await anext(again)).kind == "snapshot"


async def test_a_stream_ends_with_its_login(hub: SyntheticHub) -> None:
    await hub.feed.start()
    good = [True, True, False]

    async def login_good() -> bool:
        return good.pop(0)

    hub.feed.beat_s = 0.01
    async with asyncio.timeout(DEADLINE_S):
        texts = [text async for text in frames(hub.feed, BOTH, None, login_good, login_check_s=0.0)]
    await hub.feed.stop()
    assert b"event: snapshot" in b"".join(texts)
    assert good == []


async def test_stopping_the_feed_ends_every_stream(
    hub: SyntheticHub, client: httpx.AsyncClient
) -> None:
    async with watching(client) as events:
        await anext(events)
        await hub.feed.stop()
        async with asyncio.timeout(DEADLINE_S):
            assert [event.kind async for event in events if event.kind != "beat"] == []


async def test_a_viewer_that_reads_nothing_is_let_go_and_its_connection_dropped() -> None:
    hub = SyntheticHub(stations=91, flush_s=0.005, stall_s=0.5, kernel_stall_s=4)
    before = _stalled_viewers()
    async with serving(hub) as base, asyncio.timeout(DEADLINE_S):
        hub.open_up()
        stalled = await open_raw(base, COOKIE, limit=4096)
        while hub.feed.viewers:
            for _ in range(60):
                hub.step()
            await asyncio.sleep(0.002)
        assert _stalled_viewers() == before + 1
        # Still nothing is read; yet the kernel, later than we, does not wait for that for ever.
        while hub.connections:  # noqa: ASYNC110 - nothing tells when the last has gone.
            await asyncio.sleep(0.02)
        await stalled.close()


def _stalled_viewers() -> float:
    (metric,) = VIEWERS_STALLED.collect()
    return metric.samples[0].value


async def test_a_stalled_reader_holds_little_and_wakes_to_a_snapshot() -> None:
    hub = SyntheticHub(stations=91, flush_s=0.005)
    async with serving(hub) as base, asyncio.timeout(DEADLINE_S):
        hub.open_up()
        reader = await open_raw(base, COOKIE, limit=4096)
        while hub.board.ring.seq < 400:
            for _ in range(60):
                hub.step()
            await asyncio.sleep(0.002)
        viewer = Viewer()
        read = 0
        parse = EventReader()
        while viewer.evses != view_of(hub.board.snapshot()).evses:
            text = await reader.chunk()
            read += len(text)
            for event in parse.feed(text):
                viewer.apply(event)
        await reader.close()
    made = 400 * 60 * 50
    assert viewer.snapshots == 2, "one when it came, one when it woke"
    assert viewer.gaps == 0
    assert read < made / 2, "the backlog was conflated, not queued"


async def test_events_during_loading_are_applied_on_top() -> None:
    hub = SyntheticHub(stations=2)
    reading = asyncio.Event()
    go_on = asyncio.Event()

    async def slow_load() -> HubFacts:
        facts = hub_facts(2)
        reading.set()
        await go_on.wait()
        return facts

    feed = LiveFeed(hub.board, slow_load, max_viewers=1)
    feed.listen(hub.bus)
    started = asyncio.create_task(feed.start())
    await reading.wait()
    hub.open_up()
    go_on.set()
    await started
    await feed.stop()
    assert view_of(hub.board.snapshot()).hub["stations_online"] == 2


async def test_midnight_comes_also_when_nobody_watches() -> None:
    now = START
    board = Board(FrameRing("test"), lambda: now)
    loads: list[datetime] = []
    new_day = asyncio.Event()

    async def load() -> HubFacts:
        loads.append(now)
        if now > START:
            new_day.set()
        return hub_facts(1, now)

    feed = LiveFeed(board, load, max_viewers=1, flush_s=0.01)
    await feed.start()
    now = START + timedelta(hours=10)
    async with asyncio.timeout(DEADLINE_S):
        await new_day.wait()
    await feed.stop()
    assert loads == [START, now], "the snapshot without viewers is of the new day, loaded once"
