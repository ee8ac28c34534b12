"""How switches of charging profiles show at the hub."""

from __future__ import annotations

import pytest

from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.unit.simulators.fake_hub import V16, VERSIONS, HubCallRefused, Payload
from tests.unit.simulators.scene import Scene, case


def set_call(version: str, limit: float, unit: str = "W") -> tuple[str, Payload]:
    """Return a SetChargingProfile for the whole station."""
    schedule: Payload = {
        "chargingRateUnit": unit,
        "startSchedule": "2026-11-23T00:00:00Z",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    profile: Payload = {"stackLevel": 0, "chargingProfileKind": "Absolute"}
    if version == V16:
        profile |= {"chargingProfileId": 1, "chargingProfilePurpose": "ChargePointMaxProfile"}
        profile["chargingSchedule"] = schedule
        return "SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile}
    profile |= {"id": 1, "chargingProfilePurpose": "ChargingStationMaxProfile"}
    profile["chargingSchedule"] = [{"id": 1, **schedule}]
    return "SetChargingProfile", {"evseId": 0, "chargingProfile": profile}


async def charging_under(scene: Scene, limit: float, unit: str = "W") -> tuple[str, float]:
    """Set a limit while a car charges; return the answer and the power that then flows."""
    station = scene.station
    await scene.boot()
    await station.plug_in(1, Car(soc=0.2))
    await station.present_token(1, "TAXI-0001")
    answer = await scene.hub.call(
        station.identity, *set_call(station.dialect.subprotocol, limit, unit)
    )
    await station.advance(20)
    return answer["status"], station.gun(1).outlet.power_w


@case(Misbehaviour.IGNORE_PROFILES, *VERSIONS)
async def _(scene: Scene) -> None:
    status, power_w = await charging_under(scene, 30_000)
    assert status == "Accepted"
    assert power_w > 100_000


@case(Misbehaviour.WATTS_ONLY, *VERSIONS)
async def _(scene: Scene) -> None:
    status, power_w = await charging_under(scene, 32, "A")
    assert status == "Rejected"
    assert power_w > 100_000


@case(Misbehaviour.NO_SMART_CHARGING, *VERSIONS)
async def _(scene: Scene) -> None:
    with pytest.raises(HubCallRefused) as refused:
        await charging_under(scene, 30_000)
    assert refused.value.code == "NotSupported"
