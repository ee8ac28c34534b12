"""Who is alive: statements 8 and 9, on a hub that loses its patience within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.frames import Frame, Opcode

from tests.hub_fixtures import (
    DEADLINE_S,
    VERSIONS,
    RunningHub,
    Station,
    eventually,
    status,
)

# Hub and stations share this process: it may stand still for two seconds and nobody is given up.
LIMITS = {"ping_interval_s": 0.1, "ping_timeout_s": 2.0}
PATIENCE_S = 2.1 + 2 * 0.05  # And two looks of the watchdog.
GOING_AWAY = 1001


class Ears:
    """Counts the pings a station hears, and can keep it from answering them."""

    def __init__(self, station: Station, *, answering: bool) -> None:
        self.heard = 0
        self.began = asyncio.get_running_loop().time()
        protocol = station.socket.protocol
        send_frame = protocol.send_frame

        def send(frame: Frame) -> None:
            if frame.opcode is not Opcode.PONG:
                send_frame(frame)
                return
            self.heard += 1
            if answering:
                send_frame(frame)

        protocol.send_frame = send  # type: ignore[method-assign]  # The defect under test.

    @property
    def listened_s(self) -> float:
        return asyncio.get_running_loop().time() - self.began

    async def next_ping(self) -> None:
        known = self.heard
        await eventually(lambda: self.heard > known)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_8_a_stations_ping_is_answered(hub: RunningHub, version: str) -> None:
    async with hub.station(version, boots=False) as station, asyncio.timeout(DEADLINE_S):
        await (await station.socket.ping())


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_8_a_silent_station_that_answers_pings_stays(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        ears = Ears(station, answering=True)
        while ears.listened_s < PATIENCE_S:
            await ears.next_ping()
        assert hub.is_online(station.identity)
        assert await station.call("Heartbeat", {})


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_8_a_silent_station_that_answers_none_is_given_up(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        Ears(station, answering=False)
        assert await station.closed() == GOING_AWAY
        await eventually(lambda: not hub.is_online(station.identity))
        await hub.until(
            "SELECT disconnected_at IS NOT NULL FROM station_connections WHERE station_id = :id",
            True,
            id=hub.station_ids[station.identity],
        )


async def say_heartbeat(station: Station) -> None:
    await station.call("Heartbeat", {})


async def say_status(station: Station) -> None:
    await station.call("StatusNotification", status(station.version))


async def say_nonsense(station: Station) -> None:
    await station.send("{}")


async def answer_nobody(station: Station) -> None:
    await station.send([3, "nobody-asked", {}])


async def ping_only(station: Station) -> None:
    await station.socket.ping()


SIGNS: tuple[Callable[[Station], Awaitable[None]], ...] = (
    say_heartbeat,
    say_status,
    say_nonsense,
    answer_nobody,
    ping_only,
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statements_8_9_whatever_it_sends_a_station_that_ignores_our_pings_stays(
    hub: RunningHub, version: str
) -> None:
    async def outlives_our_patience(sign: Callable[[Station], Awaitable[None]]) -> str | None:
        """Return the sign when it kept the station connected."""
        async with hub.station(version) as station:
            ears = Ears(station, answering=False)
            while ears.listened_s < PATIENCE_S and station.socket.close_code is None:
                await ears.next_ping()
                await sign(station)
            stays = station.socket.close_code is None and hub.is_online(station.identity)
            return sign.__name__ if stays else None

    # At once, because each takes as long as the patience.
    stayed = await asyncio.gather(*(outlives_our_patience(sign) for sign in SIGNS))
    assert stayed == [sign.__name__ for sign in SIGNS]
