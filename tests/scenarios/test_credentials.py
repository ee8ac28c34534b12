"""A simulated station is given another password over OCPP and comes back with it (A01)."""

from __future__ import annotations

import pytest

from chargehub.kit.clock import ClockPair, HubClock
from chargehub.settings import station_key
from chargehub.stations.credential_change import CredentialChange, ValidCredentials
from chargehub.stations.dispatch import CommandDesk
from simulators.client import ConnectionRefusedByHub, SocketWire
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.stage import PASSWORD, Stage


def service(stage: Stage) -> CredentialChange:
    hub, clock = stage.hub, HubClock(ClockPair(0, 0, 1))
    desk = CommandDesk(hub.database, hub.connections, clock)
    return CredentialChange(hub.database, clock, station_key(hub.settings), hub.bus, desk)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text", "bytes"])
async def test_statement_16_the_station_comes_back_with_its_new_password(
    stage: Stage, version: str, as_bytes: bool
) -> None:
    station = await stage.simulated(version)
    wire = station.uplink.wire
    assert isinstance(wire, SocketWire)
    if as_bytes:
        # From the next connection on: the one it has was opened with text.
        wire.quirks = frozenset({Misbehaviour.HEX_PASSWORD})
    changed = await service(stage).change(station.identity, actor="test")
    assert changed.valid is ValidCredentials.NEW
    await station.settled()
    assert station.online
    assert wire.account.password != PASSWORD
    await station.go_offline()
    await station.come_back()
    assert station.online
    await station.go_offline()
    wire.account.password, wire.quirks = PASSWORD, frozenset()
    with pytest.raises(ConnectionRefusedByHub, match="401"):
        await station.come_back()
