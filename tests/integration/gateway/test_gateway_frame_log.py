"""Every frame of a socket is in the frame log: what it was, when, and no later than its effect."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Row, text

from chargehub.kit.clock import wall_now
from chargehub.stations.commands import RawCommand
from tests.hub_fixtures import (
    DEADLINE_S,
    V16,
    V201,
    VERSIONS,
    RunningHub,
    running_hub,
    status,
)

TEXT_MAX = 4_096
LIMITS = {"frame_log_text": TEXT_MAX, "messages_burst": 5_000, "messages_per_s": 5_000.0}

Shape = tuple[str, int | None, str | None]
"""Direction, message type, action."""


async def frames(hub: RunningHub, identity: str, least: int) -> list[Row[Any]]:
    """Return a station's frames in their order, once there are so many."""
    query = "SELECT * FROM frames WHERE station_id = :station ORDER BY epoch, number"
    async with asyncio.timeout(DEADLINE_S):
        while True:
            rows = list(await hub.rows(query, station=hub.station_ids[identity]))
            if len(rows) >= least:
                return rows
            await asyncio.sleep(0.02)


def shapes(rows: list[Row[Any]]) -> list[Shape]:
    return [(row.direction, row.message_type, row.action) for row in rows]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_calls_of_both_sides_and_their_answers(hub: RunningHub, version: str) -> None:
    began = wall_now()
    async with hub.station(version) as station:
        sent = json.dumps([2, "my-id", "StatusNotification", status(version)])
        await station.send(sent)
        await station.answer_to("my-id")
        asked = hub.send(station.identity, RawCommand("ClearCache", {}))
        call = await station.asked()
        await station.reply(call, {"status": "Accepted"})
        await asked
        rows = await frames(hub, station.identity, 6)
    assert shapes(rows) == [
        ("in", 2, "BootNotification"),
        ("out", 3, "BootNotification"),
        ("in", 2, "StatusNotification"),
        ("out", 3, "StatusNotification"),
        ("out", 2, "ClearCache"),
        ("in", 3, "ClearCache"),
    ]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {(row.epoch, row.protocol, row.cut_from) for row in rows} == {(1, version, None)}
    assert (rows[2].text, rows[3].text) == (sent, '[3,"my-id",{}]')
    assert [row.message_id for row in rows[2:]] == ["my-id", "my-id", call[1], call[1]]
    assert json.loads(rows[4].text) == call
    assert all(began <= row.at <= wall_now() for row in rows)
    assert sorted(row.at for row in rows) == [row.at for row in rows]


async def test_a_call_is_durable_in_the_commit_of_its_effect(hub: RunningHub) -> None:
    async with hub.station() as station:
        await station.call("StatusNotification", status(V16, "Charging"))
        # Its answer is here, so all that it says is there, though nothing was waited for.
        (row,) = await hub.rows(
            "SELECT f.action FROM frames f, connector_status_events e"
            " WHERE e.station_id = :station AND f.station_id = :station AND f.xmin = e.xmin"
            " AND f.direction = 'in'",
            station=hub.station_ids[station.identity],
        )
        assert row.action == "StatusNotification"


async def test_the_time_in_the_log_is_that_of_the_effect(hub: RunningHub) -> None:
    """A replay has no other time to give to the rules."""
    async with hub.station() as station:
        await station.call("StatusNotification", status(V16, "Charging"))
        (row,) = await hub.rows(
            "SELECT f.at, e.received_at FROM frames f JOIN connector_status_events e"
            " USING (station_id) WHERE station_id = :station AND action = 'StatusNotification'"
            " AND direction = 'in'",
            station=hub.station_ids[station.identity],
        )
        assert row.at == row.received_at


async def test_a_heartbeat_is_written_though_it_changes_nothing(hub: RunningHub) -> None:
    async with hub.station() as station:
        await frames(hub, station.identity, 2)
        began = asyncio.get_running_loop().time()
        await station.call("Heartbeat", {})
        rows = await frames(hub, station.identity, 4)
        assert asyncio.get_running_loop().time() - began < DEADLINE_S / 2
    assert shapes(rows[2:]) == [("in", 2, "Heartbeat"), ("out", 3, "Heartbeat")]


REFUSED = {
    "unknown action": ('[2,"x1","Nonsense",{}]', 2, "x1", "Nonsense"),
    "wrong fields": ('[2,"x1","Authorize",{"nobody":1}]', 2, "x1", "Authorize"),
    "no object": ('[2,"x1","Heartbeat",[]]', 2, "x1", None),
    "no JSON": ('[2,"x1","Heart', 2, None, None),
    "no message": ("hello", None, None, None),
    "unknown type": ('[9,"x1",{}]', 9, "x1", None),
    "nobody asked": ('[3,"x1",{}]', 3, "x1", None),
    "with NUL in the id": ('[2,"x\0","Nonsense",{}]', 2, "x\ufffd", "Nonsense"),
    "a surrogate in the id": ('[2,"\\ud800","Nonsense",{}]', 2, "\ufffd", "Nonsense"),
    "with NUL": ('[2,"x1","Nonsense",{"a":"\0"}]', 2, "x1", "Nonsense"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_refused_is_logged_as_it_came(
    hub: RunningHub, version: str, case: tuple[str, int | None, str | None, str | None]
) -> None:
    said, message_type, message_id, action = case
    async with hub.station(version) as station:
        await station.send(said)
        await station.send([2, "beat", "Heartbeat", {}])
        while (await station.frame())[1] != "beat":
            pass  # The refusal, where the version has one.
        rows = await frames(hub, station.identity, 5)
    row = rows[2]
    assert row.text == said.replace("\0", "\ufffd")
    assert (row.direction, row.message_type, row.message_id) == ("in", message_type, message_id)
    assert row.action == action
    if rows[3].direction == "out":
        assert (rows[3].message_type, rows[3].action) == (4, action)


async def test_a_binary_frame_is_logged(hub: RunningHub) -> None:
    async with hub.station(V201) as station:
        await station.socket.send(b'\xff[2,"x1","Heartbeat",{}]')
        rows = await frames(hub, station.identity, 3)
    assert rows[2].text == '\ufffd[2,"x1","Heartbeat",{}]'


async def test_a_long_frame_is_cut(hub: RunningHub) -> None:
    data = {"vendorId": "long", "data": "é" * 2 * TEXT_MAX}
    async with hub.station() as station:
        frame = json.dumps([2, "long", "DataTransfer", data], ensure_ascii=False)
        await station.send(frame)
        await station.answer_to("long")
        rows = await frames(hub, station.identity, 4)
    assert (rows[2].text, rows[2].cut_from) == (frame[:TEXT_MAX], len(frame))
    assert rows[3].cut_from is None


async def test_a_superseded_socket_and_its_heir_are_told_apart(hub: RunningHub) -> None:
    async with hub.station() as old:
        new = await hub.connect(old.identity)
        await new.call("Heartbeat", {})
        rows = await frames(hub, old.identity, 4)
        await new.leave()
    assert [(row.epoch, row.number) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]


async def test_a_stop_of_the_server_writes_all(database_url: str) -> None:
    async with running_hub(database_url) as hub:
        station = await hub.connect(await hub.new_station())
        await station.call("Heartbeat", {})
        await hub.restart()
        assert await hub.count("frames", station.identity) == 2


async def test_nothing_is_logged_when_it_is_off(database_url: str) -> None:
    async with running_hub(database_url, frame_log=False) as hub:
        async with hub.station() as station:
            await station.call("StatusNotification", status(V16))
        await hub.restart()
        assert await hub.count("frames", station.identity) == 0


def lost() -> float:
    return REGISTRY.get_sample_value("chargehub_frame_log_lost_total", {"why": "full"}) or 0.0


async def silence(hub: RunningHub) -> Any:
    """Take the database's table away from the log, until the transaction is rolled back."""
    connection = await hub.database.engine.connect()
    await connection.begin()
    await connection.execute(text("LOCK TABLE frames IN ACCESS EXCLUSIVE MODE"))
    return connection


async def test_a_full_buffer_loses_frames_and_says_so(database_url: str) -> None:
    """The stations are served all the same, and what fits is written later."""
    generous: dict[str, Any] = {"messages_burst": 5_000, "messages_per_s": 5_000.0}
    async with running_hub(database_url, frame_log_waiting_bytes=1_048_576, **generous) as hub:
        async with hub.station() as station:
            holder = await silence(hub)
            before = lost()
            data = {"vendorId": "big", "data": "x" * 60_000}
            for number in range(40):
                # Refused, so that no COMMIT is waited for.
                await station.ask("Nonsense", data, f"n{number}")
            assert lost() > before
            await holder.close()
            rows = await frames(hub, station.identity, 10)
        assert len(rows) < 80
