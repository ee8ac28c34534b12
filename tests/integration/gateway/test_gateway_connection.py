"""The life of a socket: statements 6, 7 and 10, and what a restart of ours leaves standing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from chargehub.kit.clock import wall_now
from chargehub.stations.commands import ClearCache, StationOffline
from chargehub.stations.events import StationWentOffline
from chargehub.stations.presence import DisconnectHandler
from chargehub.stations.reports import Disconnected
from tests.hub_fixtures import (
    BOOTS,
    DEADLINE_S,
    TOKEN,
    V16,
    V201,
    VERSIONS,
    RunningHub,
    at,
    eventually,
    running_hub,
    status,
)

GOING_AWAY, POLICY_VIOLATION, MESSAGE_TOO_BIG, TRY_AGAIN_LATER = 1001, 1008, 1009, 1013
FRAME_CAP = 262_144
ONLINE = "SELECT disconnected_at IS NULL FROM station_connections WHERE station_id = :station"


def transfer_of(size: int, message_id: str = "big") -> str:
    """Return a DataTransfer CALL of so many bytes."""
    frame = json.dumps([2, message_id, "DataTransfer", {"vendorId": "made-up", "data": ""}])
    return frame.replace('""', '"' + "x" * (size - len(frame)) + '"')


# Statement 6: the newest socket wins --------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", VERSIONS)
async def test_statement_6_commands_go_to_the_new_socket(
    hub: RunningHub, before: str, version: str
) -> None:
    identity = await hub.new_station()
    old = await hub.connect(identity, before)
    new = await hub.connect(identity, version)
    command = hub.send(identity, ClearCache())
    asked = await new.asked()
    assert asked[2] == "ClearCache"
    await new.reply(asked, {"status": "Accepted"})
    assert (await command).status == "Accepted"
    assert await old.closed() == POLICY_VIOLATION
    assert not old.inbox
    await new.leave()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("half_dead", [False, True])
async def test_statement_6_a_call_pending_on_the_old_socket_fails_at_once(
    hub: RunningHub, version: str, half_dead: bool
) -> None:
    identity = await hub.new_station()
    old = await hub.connect(identity, version)
    commands = [hub.send(identity, ClearCache()) for _ in range(3)]
    asked = await old.asked()
    if half_dead:  # It will not even answer the closing handshake.
        old.socket.transport.pause_reading()
    new = await hub.connect(identity, version)
    # The call time-out of this hub is longer than any deadline here.
    async with asyncio.timeout(DEADLINE_S):
        outcomes = await asyncio.gather(*commands, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StationOffline] * 3
    # Only the first had left: about the others nobody need wonder.
    sent = [outcome.facts["sent"] for outcome in outcomes if isinstance(outcome, StationOffline)]
    assert sent == [True, False, False]
    # The late answer, on either socket, is nobody's.
    for station in (old, new):
        with suppress(ConnectionClosed):
            await station.reply(asked, {"status": "Accepted"})
    assert await new.call("Heartbeat", {})
    await new.leave()
    old.socket.transport.abort()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ["superseded", "vanished"])
async def test_statement_6_the_late_end_of_the_old_socket_touches_nothing(
    hub: RunningHub, version: str, end: str
) -> None:
    identity = await hub.new_station()
    station_id = hub.station_ids[identity]
    old = await hub.connect(identity, version)
    new = await hub.connect(identity, version)
    if end == "vanished":
        await old.vanish()
    else:
        await old.closed()
    # Every message of the new socket is decided after whatever the old one's end submitted.
    await new.call("StatusNotification", status(version))
    assert hub.is_online(identity)
    assert await hub.value(ONLINE, station=station_id) is True
    command = hub.send(identity, ClearCache())
    await new.reply(await new.asked(), {"status": "Accepted"})
    assert (await command).status == "Accepted"
    await new.leave()
    await hub.until(ONLINE, False, station=station_id)
    assert not hub.is_online(identity)


async def test_statement_6_an_end_that_is_written_late_is_told_to_nobody(hub: RunningHub) -> None:
    identity = await hub.new_station()
    station_id = hub.station_ids[identity]
    told: list[int] = []
    hub.hub.bus.subscribe(StationWentOffline, lambda event: told.append(event.station_id))
    old = await hub.connect(identity)
    new = await hub.connect(identity)
    # As the old socket's end would be, were it decided after the new one's beginning.
    late = Disconnected(station_id, wall_now(), epoch=1)
    await hub.hub.committer.submit(station_id, None, DisconnectHandler(hub.hub.bus), late)
    assert station_id not in told
    assert await hub.value(ONLINE, station=station_id) is True
    await old.closed()
    await new.leave()
    await eventually(lambda: told.count(station_id) == 1)


async def test_statement_6_many_sockets_at_once_leave_one(hub: RunningHub) -> None:
    identity = await hub.new_station()
    sockets = await asyncio.gather(*(hub.connect(identity) for _ in range(12)))
    await eventually(lambda: sum(s.socket.close_code is None for s in sockets) == 1)
    (last,) = [station for station in sockets if station.socket.close_code is None]
    assert (await last.boot())["status"] == "Accepted"
    assert hub.is_online(identity)
    epoch = await hub.value(
        "SELECT epoch FROM station_connections WHERE station_id = :station",
        station=hub.station_ids[identity],
    )
    assert epoch == 12
    await last.leave()


# Statement 7: registration is durable -------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_7_served_without_boot_after_a_reconnect(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station()
    first = await hub.connect(identity, version)
    await first.boot()
    await first.vanish()
    second = await hub.connect(identity, version)
    assert await second.call("StatusNotification", status(version, "Faulted")) == {}
    assert await hub.count("connectors", identity, evse_no=1, status="Faulted") == 1
    await second.leave()


async def test_statement_7_served_without_boot_after_our_restart(database_url: str) -> None:
    async with running_hub(database_url) as own:
        identity = await own.new_station()
        before = await own.connect(identity)
        await before.boot()
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1_000, "timestamp": at(60)}
        begun = await before.call("StartTransaction", start)
        await own.restart()
        assert await before.closed() is not None
        assert not own.is_online(identity)
        after = await own.connect(identity)
        stop = {"transactionId": begun["transactionId"], "meterStop": 4_000, "timestamp": at()}
        assert await after.call("StopTransaction", stop) == {}
        # The start is known too: a station that heard no answer says it again.
        assert await after.call("StartTransaction", start) == begun
        (row,) = await own.rows("SELECT id, state, energy_wh FROM transactions")
        assert tuple(row) == (begun["transactionId"], "Ended", 3_000)
        await after.leave()


async def test_a_dead_servers_sockets_are_marked_closed_at_the_next_start(
    database_url: str,
) -> None:
    async with running_hub(database_url) as own:
        identity = await own.new_station()
        station = await own.connect(identity)
        station_id = own.station_ids[identity]
        epoch = "SELECT epoch FROM station_connections WHERE station_id = :station"
        before = await own.value(epoch, station=station_id)
        assert await own.value(ONLINE, station=station_id) is True
        async with running_hub(database_url):
            assert await own.value(ONLINE, station=station_id) is False
            # What the first server still holds of it may write no more.
            assert await own.value(epoch, station=station_id) > before
            await station.send([2, "1", "StatusNotification", status(V16)])
            assert await station.closed() is not None
            assert await own.count("connector_status_events", identity) == 0


async def test_our_stop_fails_what_is_pending_and_marks_everyone_offline(
    database_url: str,
) -> None:
    async with running_hub(database_url) as own:
        station = await own.connect(await own.new_station())
        command = own.send(station.identity, ClearCache())
        await station.asked()
        await own.hub.stop()
        with pytest.raises(StationOffline):
            await command
        assert await station.closed() == GOING_AWAY
        assert await own.value(ONLINE, station=own.station_ids[station.identity]) is False


async def test_a_database_that_went_away_acknowledges_nothing_and_a_repetition_is_one_row(
    database_url: str,
) -> None:
    async with running_hub(database_url) as own:
        station = await own.connect(await own.new_station())
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1_000, "timestamp": at(60)}
        async with own.database.write() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        # Whether the start was written nobody can know, so nobody says so.
        await station.send([2, "1", "StartTransaction", start])
        assert await station.closed() == TRY_AGAIN_LATER
        assert not station.inbox
        again = await own.connect(station.identity)
        begun = await again.call("StartTransaction", start)
        assert begun["idTagInfo"]["status"] == "Accepted"
        assert await own.count("transactions", station.identity, id=begun["transactionId"]) == 1
        assert await own.count("transactions", station.identity) == 1
        await again.leave()


async def test_an_end_that_cannot_be_stored_is_stored_later(hub: RunningHub) -> None:
    """Else the station were online for good, in the database and on the board."""
    station = await hub.connect(await hub.new_station())
    number = hub.station_ids[station.identity]
    gone: list[int] = []
    hub.hub.bus.subscribe(StationWentOffline, lambda event: gone.append(event.station_id))
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'not now'; END $$"
        )
        await connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON station_connections FOR EACH ROW"
            f" WHEN (NEW.station_id = {number}) EXECUTE FUNCTION refuse()"
        )
    await station.leave()
    await eventually(lambda: not hub.is_online(station.identity))
    # Another station's report is committed after the end that failed.
    async with hub.station():
        pass
    assert await hub.value(ONLINE, station=number) is True
    assert number not in gone
    left_before = wall_now()
    async with hub.database.write() as connection:
        await connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")
    await hub.until(ONLINE, expected=False, station=number)
    await eventually(lambda: number in gone)
    told = await hub.value(
        "SELECT disconnected_at FROM station_connections WHERE station_id = :station",
        station=number,
    )
    assert told < left_before, "when it left, not when that could be written"


# Statement 10: sizes and fragments ----------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [131_072, FRAME_CAP])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_statement_10_large_frames_are_served(
    hub: RunningHub, version: str, size: int, compression: str | None
) -> None:
    async with hub.station(version, compression=compression) as station:
        await station.send(transfer_of(size))
        assert await station.answer_to("big") == [3, "big", {"status": "UnknownVendorId"}]
        kept = await hub.value(
            "SELECT length(payload->>'data') FROM station_notices WHERE station_id = :station",
            station=hub.station_ids[station.identity],
        )
        assert kept > size - 100


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("step", [1, 7, 20_000])
async def test_statement_10_fragmented_frames_are_one(
    hub: RunningHub, version: str, step: int
) -> None:
    async with hub.station(version, boots=False) as station:
        frame = json.dumps([2, "parts", "BootNotification", BOOTS[version]])
        if step > len(frame):
            frame = transfer_of(100_000, "parts")
        await station.socket.send(frame[i : i + step] for i in range(0, len(frame), step))
        assert (await station.answer_to("parts"))[0] == 3


def too_big_at_once() -> str:
    return transfer_of(FRAME_CAP + 1)


def too_big_in_parts() -> list[str]:
    return [transfer_of(FRAME_CAP), *["x" * 1_000] * 10]


def too_big_after_inflating() -> str:
    return transfer_of(8 * FRAME_CAP)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flood", [too_big_at_once, too_big_in_parts, too_big_after_inflating])
async def test_statement_10_beyond_the_cap_only_this_socket_ends(
    hub: RunningHub, version: str, flood: Callable[[], str | list[str]]
) -> None:
    compression = "deflate" if flood is too_big_after_inflating else None
    async with hub.station(V201) as other:
        identity = await hub.new_station()
        station = await hub.connect(identity, version, compression=compression)
        with suppress(ConnectionClosed):  # It may learn while it still sends.
            await station.socket.send(flood())
        assert await station.closed() == MESSAGE_TOO_BIG
        assert await other.call("StatusNotification", status(V201)) == {}
        again = await hub.connect(identity, version)
        assert await again.call("StatusNotification", status(version)) == {}
        await again.leave()
