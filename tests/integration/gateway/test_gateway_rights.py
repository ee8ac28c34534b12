"""Who was let in before the station's credential, registration or service changed is let out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from chargehub.kit.clock import ClockPair, HubClock, wall_now
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Decision, GroupCommitter, StaleConnection
from chargehub.settings import station_key
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.events import StationWentOffline
from chargehub.stations.fence import ConnectionFence, lock_fence
from chargehub.stations.store import charging_stations
from tests.fakes.station_link import FakeStationLink
from tests.hub_fixtures import VERSIONS, RunningHub, status

POLICY_VIOLATION = 1008
BLOCKED = "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted"
HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted"
)
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.parametrize(
    "change",
    [{"credential_hash": b"another"}, {"credential_hash": None}, {"decommissioned_at": wall_now()}],
    ids=["rotated", "removed", "decommissioned"],
)
async def test_admitted_before_and_connected_after_a_change_is_not_served(
    hub: RunningHub, change: dict[str, Any]
) -> None:
    identity = await hub.new_station()
    async with hub.database.write() as connection:
        await lock_fence(connection)
        arriving = asyncio.create_task(hub.connect(identity))
        # The password was right; now the socket waits to be written down.
        await hub.until(WAITING, 1)
        await connection.execute(
            charging_stations.update()
            .where(charging_stations.c.identity == identity)
            .values(change)
        )
    station = await arriving
    assert await station.closed() == POLICY_VIOLATION
    assert not hub.is_online(identity)
    assert await hub.count("station_connections", identity) == 0


Act = Callable[[Commissioning, str], Awaitable[Any]]


async def rotate(commissioning: Commissioning, identity: str) -> None:
    await commissioning.rotate_credential(identity, actor="test")


async def decommission(commissioning: Commissioning, identity: str) -> None:
    await commissioning.decommission(identity, actor="test")


async def replace(commissioning: Commissioning, identity: str) -> None:
    await commissioning.replace(identity, new_identity=identity, actor="test")


async def suspend(commissioning: Commissioning, identity: str) -> None:
    await commissioning.change(identity, {"registration": "Pending"}, actor="test")


@pytest.mark.parametrize("act", [rotate, decommission, replace, suspend])
async def test_the_fence_stops_frames_of_a_socket_that_is_not_closed_yet(
    hub: RunningHub, act: Act
) -> None:
    identity = await hub.new_station()
    station = await hub.connect(identity)
    await station.boot()
    # A link that closes nothing: what stops the frame is the fence alone.
    bus, clock = EventBus(), HubClock(ClockPair(0, 0, 1))
    gone: list[StationWentOffline] = []
    bus.subscribe(StationWentOffline, gone.append)
    key = station_key(hub.settings)
    await act(Commissioning(hub.database, clock, key, bus, FakeStationLink()), identity)
    await station.send([2, "late", "StatusNotification", status(station.version)])
    assert await station.closed() == POLICY_VIOLATION
    assert not station.inbox
    assert await hub.count("connector_status_events", identity) == 0
    assert [event.identity for event in gone] == [identity]
    query = "SELECT disconnected_at IS NOT NULL FROM station_connections WHERE station_id = :id"
    assert await hub.value(query, id=hub.station_ids[identity])


async def test_no_change_comes_between_the_fence_and_the_commit(hub: RunningHub) -> None:
    identity = await hub.new_station()
    station = await hub.connect(identity)
    await station.boot()
    key, clock = station_key(hub.settings), HubClock(ClockPair(0, 0, 1))
    async with hub.database.write() as connection:
        # The batch passes the fence, then waits to write its row.
        await connection.execute(text("LOCK TABLE connector_status_events IN EXCLUSIVE MODE"))
        await station.send([2, "early", "StatusNotification", status(station.version)])
        await hub.until(BLOCKED, 1)
        commissioning = Commissioning(hub.database, clock, key, EventBus(), FakeStationLink())
        rotating = asyncio.create_task(rotate(commissioning, identity))
        await hub.until(WAITING, 1)
        assert not rotating.done()
    assert await station.answer_to("early") == [3, "early", {}]
    assert await hub.count("connector_status_events", identity) == 1
    await rotating
    await station.send([2, "late", "StatusNotification", status(station.version)])
    assert await station.closed() == POLICY_VIOLATION
    assert await hub.count("connector_status_events", identity) == 1


async def test_another_change_leaves_the_socket_alone(hub: RunningHub) -> None:
    identity = await hub.new_station()
    station = await hub.connect(identity)
    await station.boot()
    clock = HubClock(ClockPair(0, 0, 1))
    commissioning = Commissioning(
        hub.database, clock, station_key(hub.settings), EventBus(), FakeStationLink()
    )
    await commissioning.change(identity, {"name": "A1", "registration": "Accepted"}, actor="test")
    assert await station.call("StatusNotification", status(station.version)) == {}
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_34_acceptance_reaches_a_pending_station_on_its_socket(
    hub: RunningHub, version: str
) -> None:
    """B02.FR.01/03: who waits for its next boot is not sent away by the good news."""
    identity = await hub.new_station(registration="Pending")
    station = await hub.connect(identity, version)
    assert (await station.boot())["status"] == "Pending"
    commissioning = Commissioning(
        hub.database,
        HubClock(ClockPair(0, 0, 1)),
        station_key(hub.settings),
        EventBus(),
        hub.hub.connections,
    )
    await commissioning.change(identity, {"registration": "Accepted"}, actor="test")
    early = await station.ask("StatusNotification", status(version))
    assert [early[0], early[2]] == [4, "SecurityError"]  # B02.FR.09: not before its boot.
    assert (await station.boot())["status"] == "Accepted"
    assert await station.call("StatusNotification", status(version)) == {}
    await station.leave()


@dataclass(eq=False)
class SlowHandler:
    """Keeps its batch open, past the fence and before COMMIT, until it is let go."""

    let_go: asyncio.Event

    async def read(self, _connection: Any, _items: Any) -> None:
        await self.let_go.wait()

    def decide(self, _item: Any, _facts: None, _writes: Any) -> Decision[str]:
        return Decision("written")


async def test_no_epoch_is_granted_while_a_batch_of_the_old_one_is_open(hub: RunningHub) -> None:
    """Two servers on one database: the fence of the one holds against the other."""
    identity = await hub.new_station()
    station = await hub.connect(identity)
    number = hub.station_ids[identity]
    other = GroupCommitter(hub.database, ConnectionFence())
    other.start()
    slow = SlowHandler(asyncio.Event())
    try:
        writing = other.submit(number, 1, slow, None)
        await hub.until(HELD, 1)
        arriving = asyncio.create_task(hub.connect(identity))
        await hub.until(WAITING, 1)
        assert not writing.done()
        slow.let_go.set()
        assert await writing == "written"
        await (await arriving).leave()
        # Now the old epoch is over, for the other server too.
        with pytest.raises(StaleConnection):
            await other.submit(number, 1, slow, None)
    finally:
        slow.let_go.set()
        await other.stop()
        await station.leave()
