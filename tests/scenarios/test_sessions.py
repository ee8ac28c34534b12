"""Whole charging sessions of a simulated station, told well, on every version."""

from __future__ import annotations

import pytest

from simulators.car import Car
from tests.scenarios.stage import Stage, flags_of


async def test_a_session_is_booked_as_it_happened(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version)
    began = stage.clock.date()
    await station.plug_in(1, Car(soc=0.3))
    assert await station.present_token(1, token)
    await station.advance(60)
    await station.stop(1)
    ended = stage.clock.date()
    await station.unplug(1)
    live = await stage.the_transaction(station.identity)
    assert (live.state, live.evse_no, live.id_token) == ("Ended", 1, token.lower())
    assert (live.started_at, live.ended_at) == (began, ended)
    assert (live.authorization_status, live.stopped_reason) == ("Accepted", "Local")
    assert live.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    assert not flags_of(live)
    await stage.settle()
    settled = await stage.the_transaction(station.identity)
    assert settled.energy_wh == live.energy_wh
    assert settled.settled_at is not None
    assert not flags_of(settled)
