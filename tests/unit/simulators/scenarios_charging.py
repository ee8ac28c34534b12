"""How switches of transactions, meters and clocks show at the hub."""

from __future__ import annotations

import pytest

from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.unit.simulators.conftest import START
from tests.unit.simulators.fake_hub import V2X, V16, VERSIONS
from tests.unit.simulators.scene import REGISTER, Scene, case

# Transactions.


@case(Misbehaviour.SKIP_AUTHORIZE, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert "Authorize" not in scene.hub.actions()
    assert scene.stops() or scene.events()


@case(Misbehaviour.REPEAT_START, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    starts = [e for e in scene.events() if e["eventType"] == "Started"]
    starts += scene.hub.payloads("StartTransaction")
    assert len(starts) == 2
    assert starts[0] == starts[1]


@case(Misbehaviour.DUPLICATE_STOP, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    stops = scene.stops() or [e for e in scene.events() if e["eventType"] == "Ended"]
    assert len(stops) == 2
    assert stops[0] == stops[1]


@case(Misbehaviour.LOSE_ENDED, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.stops() == []
    assert "Ended" not in [e["eventType"] for e in scene.events()]
    assert scene.station.gun(1).transaction is None


@case(Misbehaviour.SAMPLES_AFTER_STOP, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    actions = [a for a in scene.hub.actions() if a != "StatusNotification"]
    if scene.stops():
        assert actions[-2:] == ["StopTransaction", "MeterValues"]
    else:
        assert [e["eventType"] for e in scene.events()][-2:] == ["Ended", "Updated"]


@case(Misbehaviour.NO_STOP_REASON, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    end = (scene.stops() or scene.events())[-1]
    assert "reason" not in end
    assert "stoppedReason" not in end.get("transactionInfo", {})


@case(Misbehaviour.NO_STOP_TOKEN, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    end = (scene.stops() or scene.events())[-1]
    assert not {"idTag", "idToken"} & end.keys()


@case(Misbehaviour.NEVER_STOP_REFUSED, V16)
async def _(scene: Scene) -> None:
    blocked = {"transactionId": 9, "idTagInfo": {"status": "Blocked"}}
    scene.hub.answers["StartTransaction"] = lambda _: blocked
    await scene.charge()
    assert scene.stops() == []
    assert scene.station.gun(1).transaction is None


@case(Misbehaviour.MINUS_ONE_TRANSACTION, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    numbers = {p["transactionId"] for p in (*scene.hub.payloads("MeterValues"), *scene.stops())}
    assert numbers == {-1}


@case(Misbehaviour.SEQ_NO_ZERO, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert {e["seqNo"] for e in scene.events()} == {0}


@case(Misbehaviour.SEQ_NO_SKIPS, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert [e["seqNo"] for e in scene.events()] == [0, 1, 2, 3, 5, 6, 7, 8]


@case(Misbehaviour.NO_STARTED_TOKEN, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert "idToken" not in scene.events()[0]


@case(Misbehaviour.OTHER_TOKEN_TYPE, *V2X)
async def _(scene: Scene) -> None:
    await scene.boot()
    await scene.station.plug_in(1, Car())
    token = {"idToken": "APP-1", "type": "Central"}
    start = {"idToken": token, "remoteStartId": 1, "evseId": 1}
    await scene.hub.call("QZ-001", "RequestStartTransaction", start)
    await scene.station.settled()
    assert scene.events()[0]["idToken"] == {"idToken": "APP-1", "type": "ISO14443"}


@case(Misbehaviour.NO_OFFLINE_FLAG, *V2X)
async def _(scene: Scene) -> None:
    await scene.outage()
    assert scene.events()
    assert not any("offline" in e for e in scene.events())


@case(Misbehaviour.IGNORE_REMOTE_START, V16)
async def _(scene: Scene) -> None:
    await scene.boot()
    await scene.station.plug_in(1, Car())
    start = {"connectorId": 1, "idTag": "TAXI-0001"}
    answer = await scene.hub.call("QZ-001", "RemoteStartTransaction", start)
    assert answer == {"status": "Accepted"}
    await scene.station.settled()
    assert scene.station.gun(1).transaction is None


@case(Misbehaviour.EXTRA_FIELDS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.hub.violations


# Meters.


@case(Misbehaviour.ZERO_BEGIN, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    if scene.stops():
        assert scene.hub.payloads("StartTransaction")[0]["meterStart"] == 0
        assert scene.stops()[0]["meterStop"] > REGISTER
    else:
        begin, *later = scene.energies()
        assert begin["value"] == 0
        assert min(value["value"] for value in later) > REGISTER


@case(Misbehaviour.REGISTER_RESETS, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert max(float(value["value"]) for value in scene.energies()) < 5_000
    if scene.stops():
        assert scene.hub.payloads("StartTransaction")[0]["meterStart"] == 0


@case(Misbehaviour.REGISTER_JUMPS_BACK, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    values = [float(value["value"]) for value in scene.energies()]
    assert values[0] >= REGISTER
    assert values[-1] < 5_000


@case(Misbehaviour.UNIT_KWH, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    for value in scene.energies():
        unit = value.get("unit") or value["unitOfMeasure"]["unit"]
        assert unit == "kWh"
        assert REGISTER / 1000 <= float(value["value"]) < REGISTER / 1000 + 5


@case(Misbehaviour.UNIT_ABSENT, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert not any({"unit", "unitOfMeasure"} & value.keys() for value in scene.energies())


@case(Misbehaviour.UNIT_WRONG, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge()
    value = scene.energies()[-1]
    assert value["unitOfMeasure"] == {"unit": "kWh"}
    assert value["value"] > REGISTER


@case(Misbehaviour.PHASES_WITHOUT_TOTAL, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    sampled = scene.hub.payloads("MeterValues")[0]["meterValue"][0]["sampledValue"]
    energy = [value for value in sampled if value["unit"] == "kWh"]
    assert [value["phase"] for value in energy] == ["L1", "L2", "L3"]
    assert sum(float(v["value"]) for v in energy) == pytest.approx(REGISTER / 1000, abs=1)


@case(Misbehaviour.BARE_SAMPLES, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert all(value.keys() == {"value"} for value in scene.energies())


@case(Misbehaviour.DECIMALS, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert any("." in value["value"] for value in scene.energies())


@case(Misbehaviour.SIGNED_DATA, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    if scene.stops():
        (value,) = scene.stops()[0]["transactionData"][0]["sampledValue"]
        assert value["format"] == "SignedData"
        assert len(value["value"]) > 1_200
    else:
        assert len(scene.energies()[-1]["signedMeterValue"]["signedMeterData"]) > 1_200
    assert scene.hub.violations == []


@case(Misbehaviour.NEGATIVE_METER, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert all(float(value["value"]) < 0 for value in scene.energies())


@case(Misbehaviour.NAN_METER, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert {value["value"] for value in scene.energies()} == {"NaN"}


@case(Misbehaviour.CONNECTOR_ZERO_SAMPLES, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge()
    whole = [
        p for p in scene.hub.payloads("MeterValues") if 0 in (p.get("connectorId"), p.get("evseId"))
    ]
    assert whole
    assert not any("transactionId" in p for p in whole)


# Time.


@case(Misbehaviour.CLOCK_SKEW, *VERSIONS)
async def _(scene: Scene) -> None:
    await scene.charge(0)
    times = {p["timestamp"] for p in scene.hub.payloads("StatusNotification")}
    assert times == {"2026-11-23T03:00:00.000Z"}


@case(Misbehaviour.CLOCK_OF_1970, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.stops()[0]["timestamp"] == "1970-01-01T00:00:50.000Z"


@case(Misbehaviour.NO_TIME_ZONE, V16)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.stops()[0]["timestamp"] == "2026-11-23T04:00:50.000"


@case(Misbehaviour.LOCAL_TIME_ZONE, *V2X)
async def _(scene: Scene) -> None:
    await scene.charge()
    assert scene.events()[-1]["timestamp"] == "2026-11-23T12:00:50.000000000+08:00"
    assert scene.station.clock.now() == START + 50
