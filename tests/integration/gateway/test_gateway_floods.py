"""Too much: a station that floods slows itself alone, and a full queue of ours loses nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from chargehub.gateway.connection import StationConnection
from chargehub.stations.commands import ClearCache, StationOffline
from chargehub.stations.fence import lock_fence
from tests.hub_fixtures import (
    V16,
    V21,
    V201,
    VERSIONS,
    RunningHub,
    Station,
    at,
    eventually,
    running_hub,
    status,
)

BURST, FLOOD = 10, 30
# A flood of that size takes 40 s, unless the test lets it go.
LIMITS = {"messages_per_s": 0.5, "messages_burst": BURST}
TRY_AGAIN_LATER = 1013
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def answers_to(station: Station, count: int, heard: list[Any]) -> None:
    """Hear so many answers, each into the list as it comes."""
    while len(heard) < count:
        heard.append(await station.frame())


def served(hub: RunningHub, station: Station) -> StationConnection:
    (found,) = (c for c in hub.hub.connections.all() if c.identity == station.identity)
    return found


def let_go(hub: RunningHub, station: Station) -> None:
    """Slow the station down no more, once it has waited for the message it waits for."""
    served(hub, station).rate_limit.per_s = 1e6


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_flood_slows_the_station_that_sends_it_and_no_other(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as flooding, hub.station(version) as calm:
        frames = [
            [2, f"flood-{n}", "StatusNotification", status(version, when=at(FLOOD - n))]
            for n in range(FLOOD)
        ]
        heard: list[Any] = []
        hearing = asyncio.create_task(answers_to(flooding, FLOOD, heard))
        for frame in frames:
            await flooding.send(frame)
        # As many messages as the calm one may send at once are answered before the flood is over.
        for _ in range(BURST - 2):
            assert await calm.call("StatusNotification", status(version)) == {}
        assert len(heard) < FLOOD
        let_go(hub, flooding)
        await hearing
        # And of the flood nothing is lost, doubled or turned round.
        assert heard == [[3, frame[1], {}] for frame in frames]
        assert await hub.count("connector_status_events", flooding.identity) == FLOOD


@pytest.mark.parametrize(
    ("version", "text", "answers"),
    [
        (V201, "no JSON", FLOOD),
        (V21, "no JSON", FLOOD),
        (V201, '[2,"x","MakeCoffee",{}]', FLOOD),
        (V16, "no JSON", 0),
    ],
)
async def test_a_flood_of_nonsense_slows_no_other(
    hub: RunningHub, version: str, text: str, answers: int
) -> None:
    async with hub.station(version) as flooding, hub.station(version) as calm:
        for _ in range(FLOOD):
            await flooding.send(text)
        await flooding.send([2, "last", "Heartbeat", {}])
        heard: list[Any] = []
        hearing = asyncio.create_task(answers_to(flooding, answers + 1, heard))
        for _ in range(BURST - 2):
            assert await calm.call("StatusNotification", status(version)) == {}
        assert len(heard) < answers + 1
        let_go(hub, flooding)
        await hearing
        assert [frame[0] for frame in heard] == [4] * answers + [3]
        assert heard[-1][1] == "last"


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_answer_of_a_flooding_station_is_heard_before_its_flood(
    database_url: str, version: str
) -> None:
    """How else could its HeartbeatInterval be set right? At this rate the flood takes an hour."""
    async with running_hub(database_url, messages_per_s=0.1, messages_burst=3) as own:
        identity = await own.new_station()
        station = await own.connect(identity, version)
        await station.boot()
        for n in range(2 * BURST):
            await station.send([2, f"flood-{n}", "Heartbeat", {}])
        command = own.send(identity, ClearCache())
        await station.reply(await station.asked_among_answers(), {"status": "Accepted"})
        assert (await command).status == "Accepted"
        await station.vanish()
        # Nor does what is left of the flood keep it from being missed.
        await eventually(lambda: not own.is_online(identity))


@pytest.mark.parametrize("version", VERSIONS)
async def test_heavy_messages_slow_the_station_that_sends_them_and_no_other(
    database_url: str, version: str
) -> None:
    """Of 100,000 characters each counts as 25 messages: two empty the bucket, the third waits."""
    limits: dict[str, Any] = {"messages_per_s": 0.01, "messages_burst": 50}
    async with (
        running_hub(database_url, **limits) as own,
        own.station(version) as flooding,
        own.station(version) as calm,
    ):
        heard: list[Any] = []
        hearing = asyncio.create_task(answers_to(flooding, BURST + 1, heard))
        for n in range(BURST):
            frame = [2, f"heavy-{n}", "StatusNotification", status(version, when=at(BURST - n))]
            await flooding.send(json.dumps(frame).ljust(100_000))
        connection = served(own, flooding)
        await eventually(lambda: len(heard) == 2)
        assert connection.rate_limit.resume_at > 0
        for _ in range(40):
            assert await calm.call("StatusNotification", status(version)) == {}
        assert [frame[1] for frame in heard] == ["heavy-0", "heavy-1"]
        assert await own.count("connector_status_events", flooding.identity) == 2
        # What it is asked is answered behind all this, which is read on for that.
        command = own.send(flooding.identity, ClearCache())
        await hearing
        await flooding.reply(heard.pop(2), {"status": "Accepted"})
        assert (await command).status == "Accepted"
        assert heard == [[3, f"heavy-{n}", {}] for n in range(BURST)]


async def test_a_call_of_ours_lets_a_flood_through_only_so_far(database_url: str) -> None:
    limits: dict[str, Any] = {
        "messages_per_s": 0.01,
        "messages_burst": 4,
        "messages_asked_factor": 2.0,
    }
    async with running_hub(database_url, **limits) as own, own.station() as calm:
        identity = await own.new_station()
        flooding = await own.connect(identity)
        await flooding.boot()
        heard: list[Any] = []
        hearing = asyncio.create_task(answers_to(flooding, FLOOD, heard))
        for n in range(FLOOD - BURST):
            payload = status(V16, when=at(FLOOD - n))
            await flooding.send([2, f"flood-{n}", "StatusNotification", payload])
        connection = served(own, flooding)
        await eventually(lambda: connection.rate_limit.resume_at > 0)
        command = own.send(identity, ClearCache())
        # After its boot three and the one too many; then twice as many, and one too many.
        await eventually(lambda: len(heard) > 4 + 9)
        assert connection.asked_limit.resume_at > 0
        for _ in range(3):
            assert await calm.call("StatusNotification", status(V16)) == {}
        assert [frame[0] for frame in heard].count(3) == 4 + 9
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await flooding.vanish()
        with pytest.raises(StationOffline):
            await command
        await eventually(lambda: not own.is_online(identity))


@pytest.mark.parametrize("version", VERSIONS)
async def test_more_calls_than_may_wait_are_read_later_and_answered_in_order(
    database_url: str, version: str
) -> None:
    """Were they read on, the session would refuse what is more than twice that."""
    async with running_hub(database_url, inbound_waiting=2) as own:
        identity = await own.new_station()
        station = await own.connect(identity, version)
        await station.boot()
        async with own.database.write() as connection:
            await lock_fence(connection)
            for n in range(FLOOD):
                payload = status(version, when=at(FLOOD - n))
                await station.send([2, f"call-{n}", "StatusNotification", payload])
            await own.until(WAITING, 1)
        heard: list[Any] = []
        await answers_to(station, FLOOD, heard)
        assert heard == [[3, f"call-{n}", {}] for n in range(FLOOD)]
        assert await own.count("connector_status_events", identity) == FLOOD
        await station.leave()


async def test_a_burst_within_the_limit_is_not_slowed(hub: RunningHub) -> None:
    async with hub.station() as one, hub.station(V201) as other:
        # The first has a whole burst left but for its boot; the flood of the other ends after it.
        slow: list[Any] = []
        for n in range(FLOOD):
            await other.send([2, f"slow-{n}", "Heartbeat", {}])
        hearing = asyncio.create_task(answers_to(other, FLOOD, slow))
        quick: list[Any] = []
        for n in range(BURST - 1):
            await one.send([2, f"quick-{n}", "Heartbeat", {}])
        await answers_to(one, BURST - 1, quick)
        assert len(slow) < FLOOD
        let_go(hub, other)
        await hearing


async def starts_until_answered(hub: RunningHub, station: Station) -> tuple[int, int]:
    """Say a start again after every loss; return the transaction and the losses."""
    start = {"connectorId": 1, "idTag": station.identity, "meterStart": 5, "timestamp": at(60)}
    losses = 0
    while True:
        try:
            answer = await station.call("StartTransaction", start)
        except ConnectionClosed:
            assert station.socket.close_code == TRY_AGAIN_LATER
            losses += 1
            station = await hub.connect(station.identity)
            continue
        await station.leave()
        number: int = answer["transactionId"]
        return number, losses


async def test_a_full_commit_queue_acknowledges_nothing_and_loses_nothing(
    database_url: str,
) -> None:
    async with running_hub(database_url, commit_waiting=1) as own:
        stations = [await own.connect(await own.new_station()) for _ in range(8)]
        outcomes = await asyncio.gather(
            *(starts_until_answered(own, station) for station in stations)
        )
        assert sum(losses for _, losses in outcomes) > 0
        rows = await own.rows("SELECT id, id_token FROM transactions")
        by_token = {row.id_token: row.id for row in rows}
        assert len(rows) == 8
        assert by_token == {
            station.identity.lower(): number
            for station, (number, _) in zip(stations, outcomes, strict=True)
        }


async def test_sockets_beyond_the_limit_are_told_to_come_back(database_url: str) -> None:
    async with running_hub(database_url, max_connections=2) as own:
        stations = [await own.connect(await own.new_station()) for _ in range(2)]
        third = await own.new_station()
        with pytest.raises(Exception, match="503"):
            await own.connect(third)
        await stations[0].leave()
        await own.until("SELECT count(*) FROM station_connections WHERE disconnected_at IS NULL", 1)
        late = await own.connect(third)
        assert json.dumps(await late.boot())
        await late.leave()
        await stations[1].leave()
