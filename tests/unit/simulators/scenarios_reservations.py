"""How switches of reservations show at the hub."""

from __future__ import annotations

import asyncio

import pytest

from simulators.misbehaviour import Misbehaviour
from tests.unit.simulators.fake_hub import V2X, V16, VERSIONS, HubCallRefused, Payload
from tests.unit.simulators.scene import Scene, case

IDENTITY = "QZ-001"


def reserve_call(
    version: str,
    holder: str = "TAXI-0001",
    evse_no: int | None = 1,
    *,
    reservation_id: int = 5,
    group: str | None = None,
    expiry: str = "2026-11-23T04:15:00Z",
) -> tuple[str, Payload]:
    """Return a ReserveNow; without `evse_no` any gun is meant."""
    payload: Payload
    if version == V16:
        payload = {"connectorId": evse_no or 0, "expiryDate": expiry}
        payload |= {"idTag": holder, "reservationId": reservation_id}
        return "ReserveNow", payload | ({} if group is None else {"parentIdTag": group})
    payload = {"id": reservation_id, "expiryDateTime": expiry}
    payload["idToken"] = {"idToken": holder, "type": "Central"}
    if evse_no is not None:
        payload["evseId"] = evse_no
    if group is not None:
        payload["groupIdToken"] = {"idToken": group, "type": "Central"}
    return "ReserveNow", payload


async def refused(scene: Scene) -> str:
    await scene.boot()
    call = reserve_call(scene.station.dialect.subprotocol)
    with pytest.raises(HubCallRefused) as refusal:
        await scene.hub.call(IDENTITY, *call)
    return refusal.value.code


async def says_it_reserves(scene: Scene) -> bool:
    if scene.station.dialect.subprotocol == V16:
        asked: Payload = {"key": ["SupportedFeatureProfiles"]}
        answer = await scene.hub.call(IDENTITY, "GetConfiguration", asked)
        return "Reservation" in answer["configurationKey"][0]["value"]
    names = [
        {"component": {"name": "ReservationCtrlr"}, "variable": {"name": name}}
        for name in ("Available", "Enabled")
    ]
    answer = await scene.hub.call(IDENTITY, "GetVariables", {"getVariableData": names})
    return [result["attributeValue"] for result in answer["getVariableResult"]] == ["true"] * 2


@case(Misbehaviour.NO_RESERVATIONS, *VERSIONS)
async def _(scene: Scene) -> None:
    assert await refused(scene) == "NotSupported"
    assert not await says_it_reserves(scene)


@case(Misbehaviour.UNKNOWN_RESERVATIONS, *VERSIONS)
async def _(scene: Scene) -> None:
    assert await refused(scene) == "NotImplemented"
    assert await says_it_reserves(scene)


@case(Misbehaviour.FORGETS_RESERVATIONS, *VERSIONS)
async def _(scene: Scene) -> None:
    station = scene.station
    await scene.boot()
    await scene.hub.call(IDENTITY, *reserve_call(station.dialect.subprotocol))
    await station.settled()
    assert scene.hub.statuses(1)[-1] == "Reserved"
    await station.power_cut()
    await station.come_back()
    assert scene.hub.statuses(1)[-1] == "Available"


@case(Misbehaviour.LATE_RESERVATIONS, V16, *V2X)
async def _(scene: Scene) -> None:
    station = scene.station
    await scene.boot()
    asked = asyncio.create_task(
        scene.hub.call(IDENTITY, *reserve_call(station.dialect.subprotocol))
    )
    async with asyncio.timeout(10):
        while scene.hub.statuses(1)[-1] != "Reserved":
            await asyncio.sleep(0.005)
    assert not asked.done()
    assert await asked == {"status": "Accepted"}
