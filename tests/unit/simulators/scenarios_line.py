"""How switches of frames, boots, statuses and reconnects show at the hub."""

from __future__ import annotations

import asyncio
import base64

import pytest

from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.unit.simulators.fake_hub import DEADLINE_S, V2X, V16, VERSIONS
from tests.unit.simulators.scene import Scene, case

# Frames.


@case(Misbehaviour.COUNTING_IDS, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    assert [r.message_id for r in scene.hub.received] == ["1", "2", "3", "4"]


@case(Misbehaviour.CLOCK_SEEDED_IDS, *V2X)
async def _(scene: Scene) -> None:
    await scene.boot()
    ids = {r.message_id for r in scene.hub.received}
    assert len(ids) == 3
    assert all(len(i) == 36 for i in ids)


@case(Misbehaviour.LOSE_ANSWERS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge(10)
    action = "StartTransaction" if scene.stops() else "TransactionEvent"
    first, again = [r for r in scene.hub.received if r.action == action][:2]
    assert first.payload == again.payload
    assert first.message_id != again.message_id
    acknowledged = [a.payload for a in scene.station.acknowledged]
    assert acknowledged.count(first.payload) == 1


@case(Misbehaviour.TWO_CALLS_AT_ONCE, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    scene.hub.forget()
    await scene.station.plug_in(1, Car())
    scene.hub.held = asyncio.Event()
    start = {"connectorId": 1, "idTag": "TAXI-0001"}
    await scene.hub.call("QZ-001", "RemoteStartTransaction", start)
    async with asyncio.timeout(DEADLINE_S):
        while scene.hub.outstanding < 2:
            await asyncio.sleep(0.005)
    scene.hub.held.set()
    scene.hub.held = None
    await scene.station.settled()
    assert scene.hub.actions()[-2:] == ["StartTransaction", "StatusNotification"]


@case(Misbehaviour.MALFORMED_FRAMES, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert len(scene.hub.broken_frames) >= 5
    assert scene.stops()


@case(Misbehaviour.DEEP_FRAMES, V16)
async def _(scene: Scene) -> None:
    await scene.charge(0)
    assert scene.hub.broken_frames.count("[" * 100_000) == 2


@case(Misbehaviour.OVERSIZED_FRAMES, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge(0)
    assert max(len(str(p)) for p in scene.hub.payloads("DataTransfer")) > 2_000_000


@case(Misbehaviour.UNKNOWN_ACTIONS, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    await scene.station.plug_in(1, Car())
    assert scene.hub.actions()[-2:] == ["StatusNotification", "CustomOperation"]


@case(Misbehaviour.SILENT_TO_CALLS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.boot()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await scene.hub.call("QZ-001", "ClearCache", {})


@case(Misbehaviour.ERROR_TO_CALLS, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    frame = await scene.hub.call_raw("QZ-001", "ClearCache", {})
    assert frame[2:] == ["SomethingElse", "line one\nline two", "details"]


@case(Misbehaviour.INVALID_ANSWERS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.boot()
    await scene.hub.call("QZ-001", "ClearCache", {})
    assert scene.hub.violations


@case(Misbehaviour.ANSWERS_LAST, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    start = {"connectorId": 1, "idTag": "TAXI-0001"}
    answer = await scene.hub.call("QZ-001", "RemoteStartTransaction", start)
    assert answer == {"status": "Accepted"}
    # By the time of the answer the status has been told.
    assert scene.hub.statuses(1)[-1] == "Preparing"


@case(Misbehaviour.FOREIGN_HEADERS, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    headers = scene.hub.requests[-1].headers
    assert headers["Origin"] == "http://station.invalid"
    assert "authorization" in [name for name, _ in headers.raw_items()]


@case(Misbehaviour.COMPRESSION, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    extensions = scene.hub.requests[-1].headers["Sec-WebSocket-Extensions"]
    assert "permessage-deflate" in extensions


@case(Misbehaviour.HEX_PASSWORD, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    text = scene.hub.requests[-1].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(text) == b"QZ-001:\xab\xcd\xef\x01\x23\x45\x67\x89"


@case(Misbehaviour.FLOOD, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    assert scene.hub.actions().count("Heartbeat") == 200


# Boot, status, reconnect.


@case(Misbehaviour.BOOT_ON_RECONNECT, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.outage()
    assert scene.hub.actions()[0] == "BootNotification"


@case(Misbehaviour.NO_STATUS_ON_RECONNECT, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.outage()
    assert "StatusNotification" not in scene.hub.actions()
    assert scene.hub.received


@case(Misbehaviour.QUEUE_BEFORE_STATUS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.outage()
    assert scene.hub.actions()[-2:] == ["StatusNotification"] * 2
    assert scene.hub.actions()[0] in {"MeterValues", "TransactionEvent"}


@case(Misbehaviour.FORGET_QUEUE, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.outage()
    assert set(scene.hub.actions()) == {"StatusNotification"}


@case(Misbehaviour.NO_CONNECTOR_ZERO, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    assert scene.hub.statuses(0) == []


@case(Misbehaviour.BOOT_FAULTED, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    (status,) = [p for p in scene.hub.payloads("StatusNotification") if p["connectorId"] == 1]
    assert (status["status"], status["errorCode"]) == ("Faulted", "NoError")
    await scene.station.set_fault(1, None)
    assert scene.hub.statuses(1) == ["Faulted", "Available"]


@case(Misbehaviour.NO_STATUS_TIMESTAMP, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    assert not any("timestamp" in p for p in scene.hub.payloads("StatusNotification"))


@case(Misbehaviour.NO_PREPARING, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.hub.statuses(1) == ["Available", "Charging", "Available"]


@case(Misbehaviour.HEARTBEAT_FLOOD, V16)
async def _(scene: Scene) -> None:
    running = asyncio.create_task(scene.station.run())
    async with asyncio.timeout(DEADLINE_S):
        while not scene.station.online:
            await asyncio.sleep(0.005)
        change = {"key": "HeartbeatInterval", "value": "abc"}
        await scene.hub.call("QZ-001", "ChangeConfiguration", change)
        while scene.hub.actions().count("Heartbeat") < 20:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@case(Misbehaviour.ACCEPT_ANY_SETTING, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    for key, value in (("Nope", "1"), ("HeartbeatInterval", "abc")):
        change = {"key": key, "value": value}
        answer = await scene.hub.call("QZ-001", "ChangeConfiguration", change)
        assert answer == {"status": "Accepted"}
