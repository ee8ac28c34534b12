"""How simulated stations keep a gun for somebody, in all versions."""

from __future__ import annotations

import pytest

from simulators.car import Car
from simulators.station import SimulatedStation
from tests.unit.simulators.conftest import MakeStation, booted
from tests.unit.simulators.fake_hub import V2X, V16, VERSIONS, FakeHub, Payload
from tests.unit.simulators.scenarios_reservations import IDENTITY, reserve_call

EVERY = pytest.mark.parametrize("version", VERSIONS)
ACCEPTED, OCCUPIED = {"status": "Accepted"}, {"status": "Occupied"}


def pooling(station: SimulatedStation) -> SimulatedStation:
    setting = station.configuration.find("ReserveConnectorZeroSupported")
    assert setting is not None
    setting.value = "true"
    return station


def updates(hub: FakeHub) -> list[str]:
    return [p["reservationUpdateStatus"] for p in hub.payloads("ReservationStatusUpdate")]


@EVERY
async def test_the_group_may_use_it(hub: FakeHub, make_station: MakeStation, version: str) -> None:
    station = await booted(make_station(version))
    info: Payload
    if version == V16:
        info = {"idTagInfo": {"status": "Accepted", "parentIdTag": "FLEET"}}
    else:
        group = {"idToken": "FLEET", "type": "Central"}
        info = {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
    await hub.call(IDENTITY, *reserve_call(version, group="FLEET"))
    assert not await station.present_token(1, "TAXI-0002")
    hub.answers["Authorize"] = lambda _: info
    await station.plug_in(1, Car())
    assert await station.present_token(1, "TAXI-0002")
    started = (hub.payloads("StartTransaction") or hub.payloads("TransactionEvent"))[0]
    assert started["reservationId"] == 5
    assert hub.violations == []


@EVERY
async def test_a_broken_or_closed_gun_is_held_for_nobody(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await hub.call(IDENTITY, *reserve_call(version))
    await hub.call(IDENTITY, *reserve_call(version, evse_no=2, reservation_id=6))
    await station.set_fault(1, "GroundFailure")
    assert await hub.call(IDENTITY, *reserve_call(version)) == {"status": "Faulted"}
    station.charging.set_operative(station.gun(2), False)
    await station.settled()
    call = reserve_call(version, evse_no=2, reservation_id=6)
    assert await hub.call(IDENTITY, *call) == {"status": "Unavailable"}
    # H01.FR.16/17; 1.6 says it by the status alone.
    assert updates(hub) == ([] if version == V16 else ["Removed"] * 2)
    await station.set_fault(1, None)
    assert hub.statuses(1)[-1] == "Available"
    assert hub.violations == []


@EVERY
@pytest.mark.parametrize("cut", [True, False])
async def test_it_survives_a_boot(
    hub: FakeHub, make_station: MakeStation, version: str, cut: bool
) -> None:
    station = await booted(make_station(version))
    await hub.call(IDENTITY, *reserve_call(version))
    if cut:
        await station.power_cut()
        await station.come_back()
    else:
        kind = "Hard" if version == V16 else "Immediate"
        await hub.call(IDENTITY, "Reset", {"type": kind})
        await station.settled()
    assert station.boots == 2
    assert hub.statuses(1)[-1] == "Reserved"
    assert not await station.present_token(1, "TAXI-0002")
    await station.advance(900)
    assert hub.statuses(1)[-1] == "Available"


@EVERY
async def test_any_gun_is_held_only_where_that_is_supported(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    call = reserve_call(version, evse_no=None)
    assert await hub.call(IDENTITY, *call) == {"status": "Rejected"}
    pooling(station)
    assert await hub.call(IDENTITY, *call) == ACCEPTED
    await station.settled()
    # Two are free, so that a stranger may have one of them, and then the other is kept.
    assert hub.statuses(1)[-1] == hub.statuses(2)[-1] == "Available"
    await station.plug_in(1, Car())
    assert await station.present_token(1, "TAXI-0002")
    assert hub.statuses(2)[-1] == "Reserved"
    assert not await station.present_token(2, "TAXI-0003")
    another = reserve_call(version, evse_no=2, reservation_id=7)
    assert await hub.call(IDENTITY, *another) == OCCUPIED
    assert await station.present_token(2, "TAXI-0001")
    await station.plug_in(2, Car())
    kind = "StartTransaction" if version == V16 else "TransactionEvent"
    assert [p["reservationId"] for p in hub.payloads(kind) if "reservationId" in p] == [5]
    assert hub.violations == []


@EVERY
async def test_what_is_held_of_any_gun_is_cancelled_and_expires(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = pooling(await booted(make_station(version)))
    await station.plug_in(2, Car())
    call = reserve_call(version, evse_no=None)
    cancel = ("CancelReservation", {"reservationId": 5})
    assert await hub.call(IDENTITY, *call) == ACCEPTED
    await station.settled()
    assert hub.statuses(1)[-1] == "Reserved"
    assert await hub.call(IDENTITY, *cancel) == ACCEPTED
    await station.settled()
    assert hub.statuses(1)[-1] == "Available"
    assert await hub.call(IDENTITY, *cancel) == {"status": "Rejected"}
    assert await hub.call(IDENTITY, *call) == ACCEPTED
    await station.advance(900)
    assert hub.statuses(1)[-1] == "Available"
    assert updates(hub) == ([] if version == V16 else ["Expired"])


@EVERY
async def test_a_token_that_brings_no_car_has_used_it_in_2x(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await hub.call(IDENTITY, *reserve_call(version))
    assert await station.present_token(1, "TAXI-0001")
    await station.advance(120)
    # 16 5.13: only a transaction uses it; H03.FR.09: the token does; 2.1 says so.
    assert hub.statuses(1)[-1] == ("Reserved" if version == V16 else "Available")
    assert updates(hub) == (["NoTransaction"] if version == V2X[-1] else [])
    assert hub.violations == []


@pytest.mark.parametrize("version", V2X)
async def test_a_remote_start_of_the_group_is_taken(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.advance(1)
    await hub.call(IDENTITY, *reserve_call(version, group="FLEET"))
    start = {"idToken": {"idToken": "TAXI-2", "type": "Central"}, "remoteStartId": 3, "evseId": 1}
    assert await hub.call(IDENTITY, "RequestStartTransaction", start) == {"status": "Rejected"}
    start["groupIdToken"] = {"idToken": "fleet", "type": "Central"}
    assert await hub.call(IDENTITY, "RequestStartTransaction", start) == ACCEPTED
