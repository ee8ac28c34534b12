"""A driver's charge at a station whose clock is wrong."""

from __future__ import annotations

from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.drivers import new_phone
from tests.scenarios.stage import Stage
from tests.scenarios.test_charges import catch_up, start, told


async def test_a_slow_clock_neither_ends_nor_lengthens_a_charge(stage: Stage, version: str) -> None:
    """It is an hour slow: by it the charge's 30 minutes were over before it was asked for."""
    phone = await new_phone(stage)
    station = await stage.simulated(version, Misbehaviour.CLOCK_SKEW)
    await station.plug_in(1, Car(soc=0.1))
    charge = await start(phone, station, {"minutes": 30})
    for minutes in (1, 2):
        await station.advance(60)
        await catch_up(stage, station)
        view = await phone.get(f"/charges/{charge['id']}")
        assert (view["state"], view["minutes_charged"]) == ("charging", minutes)
    await station.stop(1)
    await stage.hub.charging.watch.idle()
    over = await phone.get(f"/charges/{charge['id']}")
    assert (over["state"], over["minutes_charged"]) == ("ended", 2)
    assert [facts["minutes"] for _, facts in await told(phone)] == [2]
