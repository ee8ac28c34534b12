"""Simulated stations hold and obey charging profiles: purposes, levels, times, both guns."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.cabinet import Outlet
from simulators.car import Car
from simulators.gun import Gun, GunState
from simulators.profiles import Profiles, parse_profile
from tests.unit.simulators.conftest import START, MakeStation, booted
from tests.unit.simulators.fake_hub import V16, VERSIONS, FakeHub
from tests.unit.simulators.scenarios_profiles import set_call

EVERY = pytest.mark.parametrize("version", VERSIONS)


def told(purpose: str, *limits: float, level: int = 0, number: int = 1, **more: Any) -> Any:
    periods = [{"startPeriod": n * 60, "limit": limit} for n, limit in enumerate(limits)]
    schedule = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": periods,
        **more.pop("schedule", {"startSchedule": "2026-11-23T04:00:00Z"}),
    }
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **more,
    }


def a_gun(evse_no: int = 1) -> Gun:
    return Gun(evse_no, Outlet())


def test_the_highest_level_that_speaks_rules() -> None:
    held = Profiles()
    held.install(parse_profile(told("TxDefaultProfile", 50_000), 0))
    high = {"startSchedule": "2026-11-23T04:00:00Z", "duration": 90}
    held.install(
        parse_profile(told("TxDefaultProfile", 9_000, 3_000, level=2, number=2, schedule=high), 1)
    )
    limits = [held.gun_limit_w(a_gun(), START + at) for at in (-1, 0, 60, 89, 90)]
    assert limits == [None, 9_000, 3_000, 3_000, 50_000]
    assert held.gun_limit_w(a_gun(2), START) == 50_000


def test_the_same_level_and_purpose_gives_way() -> None:
    held = Profiles()
    held.install(parse_profile(told("TxDefaultProfile", 50_000), 1))
    held.install(parse_profile(told("TxDefaultProfile", 20_000, number=2), 1))
    assert list(held.held) == [2]


def test_a_daily_profile_recurs() -> None:
    held = Profiles()
    daily = told(
        "ChargingStationMaxProfile",
        7_000,
        recurrencyKind="Daily",
        schedule={"startSchedule": "2026-11-20T04:00:00Z", "duration": 600},
    )
    held.install(parse_profile(daily, 0))
    assert [held.station_limit_w(START + at) for at in (0, 599, 600)] == [7_000, 7_000, None]
    assert held.composite([a_gun()], START - 60, 800, 120_000) == [
        (0, 120_000),
        (60, 7_000),
        (660, 120_000),
    ]


@EVERY
async def test_the_stations_limit_is_shared_and_cleared(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    for evse_no in (1, 2):
        await station.plug_in(evse_no, Car(soc=0.2))
        await station.present_token(evse_no, f"TAXI-000{evse_no}")
    await hub.call("QZ-001", *set_call(version, 50_000))
    before = station.charging.delivered_wh
    await station.advance(360)
    assert sum(gun.outlet.power_w for gun in station.guns) == pytest.approx(50_000)
    assert station.charging.delivered_wh - before == pytest.approx(5_000, rel=0.01)
    answer = await hub.call("QZ-001", "ClearChargingProfile", clear_call(version, 1))
    assert answer == {"status": "Accepted"}
    await station.advance(10)
    assert sum(gun.outlet.power_w for gun in station.guns) > 100_000
    answer = await hub.call("QZ-001", "ClearChargingProfile", clear_call(version, 1))
    assert answer == {"status": "Unknown"}


def clear_call(version: str, number: int) -> dict[str, int]:
    return {"id": number} if version == V16 else {"chargingProfileId": number}


async def test_a_limit_of_nothing_suspends_the_gun(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station(V16))
    await station.plug_in(1, Car(soc=0.2))
    await station.present_token(1, "TAXI-0001")
    await hub.call("QZ-001", *set_call(V16, 0))
    await station.advance(20)
    assert station.gun(1).state is GunState.SUSPENDED_EVSE
    assert hub.payloads("StatusNotification")[-1]["status"] == "SuspendedEVSE"
    await hub.call("QZ-001", "ClearChargingProfile", {})
    await station.advance(20)
    assert hub.payloads("StatusNotification")[-1]["status"] == "Charging"


@EVERY
async def test_a_station_rejects_what_it_reports_it_cannot_take(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    await booted(make_station(version))
    action, payload = set_call(version, 1_000)
    profile = payload["csChargingProfiles" if version == V16 else "chargingProfile"]
    profile["stackLevel"] = 9
    assert (await hub.call("QZ-001", action, payload))["status"] == "Rejected"
    profile["stackLevel"] = 8
    assert (await hub.call("QZ-001", action, payload))["status"] == "Accepted"
    payload["connectorId" if version == V16 else "evseId"] = 1
    assert (await hub.call("QZ-001", action, payload))["status"] == "Rejected"
