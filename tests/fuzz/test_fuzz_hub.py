"""The same conversations with a whole hub: its own decisions, group commit and PostgreSQL.

What the other drivers replace by fakes is real here, so fewer frames are sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from urllib.parse import urlsplit

import pytest

from chargehub.gateway.connections import Connections
from tests.fuzz.conversation import FRAMES_OF_A_SCRIPT, Line, Script, complain
from tests.fuzz.wire import Wire
from tests.hub_fixtures import (
    PASSWORD,
    VERSIONS,
    RunningHub,
    basic_auth,
    eventually,
    status,
)

CONVERSATIONS = {True: 9, False: 2}


@dataclass
class AtHub:
    """A `Place`: stations come in as they do in life."""

    hub: RunningHub

    @property
    def connections(self) -> Connections:
        return self.hub.hub.connections

    async def connect(self, version: str, *, accepted: bool = True) -> tuple[int, Wire]:
        registration = "Accepted" if accepted else "Pending"
        identity = await self.hub.new_station(registration=registration)
        url = urlsplit(self.hub.addresses.ocpp_url)
        assert url.hostname is not None
        assert url.port is not None
        wire = await Wire.connect(
            (url.hostname, url.port),
            f"{url.path}/{identity}",
            basic_auth(identity, PASSWORD),
            version,
        )
        await eventually(lambda: self.hub.is_online(identity))
        return self.hub.station_ids[identity], wire


@pytest.mark.parametrize("version", VERSIONS)
async def test_hundreds_of_frames_of_a_station_cost_nobody_anything(
    hub: RunningHub, version: str
) -> None:
    await frames_cost_nobody_anything(hub, version, "same every time", CONVERSATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", ["one", "two"])
async def test_thousands_of_frames_of_a_station_cost_nobody_anything(
    hub: RunningHub, version: str, seed: str
) -> None:
    await frames_cost_nobody_anything(hub, version, seed, {True: 300, False: 50})


def _unasked(script: Script) -> Script:
    """Leave out what a pending station may say here: the hub asks it for its inventory (B02)."""
    if script.accepted:
        return script
    frames = tuple(sent for sent in script.frames if sent.expected.action != "NotifyReport")
    return replace(script, frames=frames)


async def frames_cost_nobody_anything(
    hub: RunningHub, version: str, seed: str, conversations: dict[bool, int]
) -> None:
    place, sent = AtHub(hub), 0
    async with hub.station(version) as healthy:
        for accepted, count in conversations.items():
            line, here = Line(place, version, accepted), 0
            for number in range(count):
                name = f"{seed}/{version}/{accepted}/{number}"
                script = _unasked(Script.drawn(Random(name), version, accepted=accepted))
                complaints = await line.converse(script)
                if complaints:
                    pytest.fail(await complain(place, script, name, complaints))
                here += len(script.frames)
                assert await healthy.call("StatusNotification", status(version, "Faulted")) == {}
            fuzzed = line.station_id
            await line.hang_up()
            # Every frame that it sent is in the log, whatever was in it.
            query = "SELECT count(*) >= :here FROM frames WHERE station_id = :station"
            await hub.until(query, True, here=here, station=fuzzed)
            sent += here
        assert await hub.count("connectors", healthy.identity, evse_no=1, status="Faulted") == 1
    assert sent > sum(conversations.values()) * FRAMES_OF_A_SCRIPT * 0.8
