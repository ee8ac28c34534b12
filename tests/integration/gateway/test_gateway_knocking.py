"""Whoever can reach the port can knock; that must cost neither the API nor the hub its database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from websockets.exceptions import InvalidStatus

from chargehub.gateway.doorway import ROOM_PER_HANDSHAKE
from tests.hub_fixtures import DEADLINE_S, RunningHub, eventually, running_hub
from tests.tls_world import TlsWorld

KNOCKING = 24
# No handshake times out while the database is locked.
LIMITS = {"max_handshakes": KNOCKING, "handshake_timeout_s": 120.0}
# The handshakes' question alone: the hub's own parts may wait for the table too.
WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%credential_hash%'"""


async def knock(hub: RunningHub) -> int:
    try:
        station = await hub.connect("CS-UNKNOWN")
    except InvalidStatus as refused:
        return refused.response.status_code
    await station.leave()
    return 101


async def test_many_handshakes_leave_the_database_to_others(hub: RunningHub) -> None:
    async with hub.database.write() as connection:
        # Whoever asks for a station now waits, and keeps a connection of the pool.
        await connection.execute(text("LOCK TABLE charging_stations IN ACCESS EXCLUSIVE MODE"))
        knocking = [asyncio.create_task(knock(hub)) for _ in range(KNOCKING + 1)]
        await hub.until(WAITING, 1)
        first = asyncio.FIRST_COMPLETED
        answered, waiting = await asyncio.wait(knocking, timeout=DEADLINE_S, return_when=first)
        assert [task.result() for task in answered] == [503]
        async with asyncio.timeout(DEADLINE_S), hub.hub.database.read() as other:
            assert (await other.execute(text("SELECT 1"))).scalar_one() == 1
        assert await hub.value(WAITING) == 1
    assert await asyncio.gather(*waiting) == [404] * KNOCKING
    # The places are free again.
    assert await knock(hub) == 404


FEW = 4
PLACES = ROOM_PER_HANDSHAKE * FEW


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TlsWorld:
    return TlsWorld.create(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def crowd(url: str | None, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connect so many that say nothing."""
    place = urlsplit(url or "")
    mute = [await asyncio.open_connection(place.hostname, place.port) for _ in range(count)]
    try:
        yield [reader for reader, _ in mute]
    finally:
        for _, writer in mute:
            writer.close()


def closed(readers: list[asyncio.StreamReader]) -> int:
    return sum(reader.at_eof() or reader.exception() is not None for reader in readers)


@pytest.mark.parametrize("crowded", ["plain", "tls"])
async def test_who_says_nothing_is_counted_and_leaves_the_other_port_alone(
    database_url: str, world: TlsWorld, crowded: str
) -> None:
    async with running_hub(
        database_url,
        tls=world.settings(),
        max_handshakes=FEW,
        max_connections=10,
        handshake_timeout_s=60.0,
    ) as hub:
        urls = {"plain": hub.addresses.ocpp_url, "tls": hub.addresses.ocpp_tls_url}
        room = {"plain": PLACES, "tls": FEW}[crowded]
        identity = await hub.new_station()
        async with crowd(urls[crowded], 5 * PLACES) as mute:
            await eventually(lambda: closed(mute) >= 5 * PLACES - room)
            tls = None if crowded == "tls" else world.client()
            station = await hub.connect(identity, tls=tls)
            await station.boot()
            # The others keep their places until their time is up.
            assert closed(mute) == 5 * PLACES - room
            await station.leave()


async def test_a_place_is_free_again_however_its_holder_left(
    database_url: str, world: TlsWorld
) -> None:
    async with running_hub(
        database_url, tls=world.settings(), max_handshakes=FEW, handshake_timeout_s=60.0
    ) as hub:
        identity = await hub.new_station()
        for tls in (None, world.client()):
            for _ in range(PLACES + 1):
                station = await hub.connect(identity, tls=tls)  # Served.
                await station.leave()
                with pytest.raises(InvalidStatus):  # Refused.
                    await hub.connect("CS-UNKNOWN", tls=tls)
        place = urlsplit(hub.addresses.ocpp_url)
        for said in (b"", b"GET / HTTP/1.1\r\n", b"nonsense\r\n\r\n"):
            for _ in range(PLACES + 1):  # Gone in the middle of it.
                _, writer = await asyncio.open_connection(place.hostname, place.port)
                writer.write(said)
                writer.close()
        listener = hub.hub.listener
        assert listener._door is not None  # noqa: SLF001  The places are shown nowhere else.
        doorways = (listener._plain, listener._door.doorway)  # noqa: SLF001  As above.
        await eventually(lambda: all((d.present, d.deciding) == (0, 0) for d in doorways))
