"""What a station tells its hub during ordinary days, on both versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from simulators.car import Car
from simulators.client import SocketWire
from tests.unit.simulators.conftest import START, MakeStation, acknowledged_by, booted, until
from tests.unit.simulators.fake_hub import (
    V2X,
    V16,
    VERSIONS,
    Answer,
    CallError,
    FakeHub,
    Payload,
    Silence,
)

EVERY = pytest.mark.parametrize("version", VERSIONS)


def refused(_payload: Payload) -> Payload:
    return {"idTagInfo": {"status": "Blocked"}, "transactionId": 9}


def energy_wh(meter_value: Payload) -> float:
    for value in meter_value["sampledValue"]:
        if value["measurand"] == "Energy.Active.Import.Register":
            return float(value["value"])
    raise AssertionError(f"no energy in {meter_value}")


def described(hub: FakeHub) -> list[str]:
    """The messages in short, such as `Started` or `1:Charging`."""
    words = []
    for received in hub.received:
        payload = received.payload
        if received.action == "StatusNotification":
            word = payload.get("status") or payload["connectorStatus"]
            words.append(f"{payload.get('connectorId', 1) and 1}:{word}")
        else:
            words.append(payload.get("eventType") or received.action)
    return words


async def test_a_16_session_from_cable_to_cable(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station(V16))
    assert described(hub) == ["BootNotification", "0:Available", "1:Available", "1:Available"]
    hub.forget()
    await station.plug_in(1, Car(soc=0.5, target_soc=0.9))
    assert await station.present_token(1, "TAXI-0001")
    await station.advance(30)
    await station.stop(1)
    await station.unplug(1)
    assert described(hub) == [
        "1:Preparing",
        "Authorize",
        "StartTransaction",
        "1:Charging",
        *["MeterValues"] * 3,
        "StopTransaction",
        "1:Finishing",
        "1:Available",
    ]
    start, stop = hub.payloads("StartTransaction")[0], hub.payloads("StopTransaction")[0]
    assert start == {
        "connectorId": 1,
        "idTag": "TAXI-0001",
        "meterStart": 12_345_678,
        "timestamp": "2026-11-23T04:00:00.000Z",
    }
    assert stop["transactionId"] == 101
    assert stop["reason"] == "Local"
    assert stop["timestamp"] == "2026-11-23T04:00:30.000Z"
    # Half a minute at some 115 kW.
    assert 850 < stop["meterStop"] - start["meterStart"] < 1000
    assert {p["transactionId"] for p in hub.payloads("MeterValues")} == {101}
    sampled = hub.payloads("MeterValues")[0]["meterValue"][0]["sampledValue"]
    assert {value["measurand"]: value.get("unit") for value in sampled} == {
        "Energy.Active.Import.Register": "Wh",
        "Power.Active.Import": "W",
        "Voltage": "V",
        "Current.Import": "A",
        "SoC": "Percent",
    }
    assert hub.violations == []


@pytest.mark.parametrize("version", V2X)
async def test_a_201_session_from_cable_to_cable(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    assert described(hub) == ["BootNotification", "1:Available", "1:Available"]
    hub.forget()
    await station.plug_in(2, Car(soc=0.5, target_soc=0.9))
    assert await station.present_token(2, "TAXI-0001")
    await station.advance(20)
    await station.stop(2)
    await station.unplug(2)
    assert described(hub) == [
        "1:Occupied",
        "Authorize",
        "Started",
        *["Updated"] * 3,
        "Ended",
        "1:Available",
    ]
    events = hub.payloads("TransactionEvent")
    assert [event["seqNo"] for event in events] == [0, 1, 2, 3, 4]
    assert [event["triggerReason"] for event in events] == [
        "Authorized",
        "ChargingStateChanged",
        "MeterValuePeriodic",
        "MeterValuePeriodic",
        "StopAuthorized",
    ]
    assert len({event["transactionInfo"]["transactionId"] for event in events}) == 1
    assert events[0]["evse"] == {"id": 2, "connectorId": 1}
    assert events[0]["idToken"] == {"idToken": "TAXI-0001", "type": "ISO14443"}
    assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    contexts = [
        e["meterValue"][0]["sampledValue"][0]["context"] for e in events if "meterValue" in e
    ]
    assert contexts == [
        "Transaction.Begin",
        "Sample.Periodic",
        "Sample.Periodic",
        "Transaction.End",
    ]
    assert not any("offline" in event for event in events)
    assert hub.violations == []


@EVERY
async def test_a_car_stops_by_itself_when_it_has_enough(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car(capacity_wh=60_000, soc=0.8, target_soc=0.85))
    await station.present_token(1, "TAXI-0001")
    await station.advance(600)
    assert station.gun(1).transaction is None
    car = await station.unplug(1)
    assert car is not None
    assert car.soc == pytest.approx(0.85)
    # Five per cent of 60 kWh, and what the battery does not keep.
    assert station.charging.delivered_wh == pytest.approx(3000 / 0.95)
    assert hub.violations == []


@EVERY
async def test_samples_follow_the_hubs_clock_and_never_go_back(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.advance(120)
    meter_values = [
        p["meterValue"][0]
        for p in (*hub.payloads("MeterValues"), *hub.payloads("TransactionEvent"))
        if p.get("triggerReason") != "Authorized" and "meterValue" in p
    ]
    times = [value["timestamp"] for value in meter_values]
    assert times == [
        f"2026-11-23T04:{seconds // 60:02d}:{seconds % 60:02d}.000Z"
        for seconds in range(10, 121, 10)
    ]
    readings = [energy_wh(value) for value in meter_values]
    assert all(earlier < later for earlier, later in pairwise(readings))


async def test_a_late_step_sends_one_sample(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station())
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    clock: Any = station.clock
    clock.set(START + 65)
    await station.tick()
    assert len(hub.payloads("MeterValues")) == 1
    assert station.gun(1).next_sample_at == START + 70
    # The energy of the whole time is counted all the same.
    assert station.charging.delivered_wh == pytest.approx(115_000 * 65 / 3600)


@EVERY
async def test_a_refused_token_starts_nothing(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    blocked = {"status": "Blocked"}
    hub.answers["Authorize"] = lambda _: {"idTagInfo": blocked, "idTokenInfo": blocked}
    await station.plug_in(1, Car())
    assert not await station.present_token(1, "LOST-0001")
    assert station.gun(1).transaction is None
    assert "StartTransaction" not in hub.actions()
    assert "TransactionEvent" not in hub.actions()


async def test_a_start_refused_by_the_hub_is_stopped(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    hub.answers["StartTransaction"] = refused
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.settled()
    (stop,) = hub.payloads("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (9, "DeAuthorized")
    assert stop["meterStop"] == 12_345_678
    assert "Charging" not in hub.statuses(1)


@EVERY
async def test_a_token_may_come_before_the_cable(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    assert await station.present_token(1, "TAXI-0001")
    assert station.gun(1).transaction is None
    await station.plug_in(1, Car())
    assert station.gun(1).transaction is not None
    assert hub.violations == []


async def test_a_waiting_token_is_forgotten_after_the_connection_time_out(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    await station.present_token(1, "TAXI-0001")
    await station.advance(121)
    assert hub.statuses(1)[-2:] == ["Preparing", "Available"]
    await station.plug_in(1, Car())
    assert station.gun(1).transaction is None


async def test_only_ones_own_token_or_group_stops(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station())
    groups = {"TAXI-0001": "FLEET-1", "TAXI-0002": "FLEET-1", "TAXI-0003": "FLEET-2"}

    def info(token: str) -> Payload:
        return {"status": "Accepted", "parentIdTag": groups[token]}

    hub.answers["Authorize"] = lambda p: {"idTagInfo": info(p["idTag"])}
    hub.answers["StartTransaction"] = lambda p: {
        "transactionId": 5,
        "idTagInfo": info(p["idTag"]),
    }
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    assert not await station.present_token(1, "TAXI-0003")
    assert station.gun(1).transaction is not None
    assert await station.present_token(1, "TAXI-0002")
    (stop,) = hub.payloads("StopTransaction")
    assert stop["idTag"] == "TAXI-0002"


@EVERY
async def test_pulling_the_cable_ends_the_transaction(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.unplug(1)
    stops = hub.payloads("StopTransaction") or hub.payloads("TransactionEvent")[-1:]
    reason = stops[0].get("reason") or stops[0]["transactionInfo"]["stoppedReason"]
    assert reason == "EVDisconnected"
    assert hub.statuses(1)[-1] == "Available"


# Outages.


@EVERY
async def test_an_outage_is_replayed_in_order_with_the_original_times(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.advance(10)
    await station.go_offline()
    hub.forget()
    await station.advance(20)
    await station.stop(1)
    await station.unplug(1)
    assert hub.received == []
    clock: Any = station.clock
    clock.set(START + 3600)
    await station.come_back()
    assert "BootNotification" not in hub.actions()
    words = described(hub)
    assert words[:2] == ["1:Available", "1:Available"]
    if version == V16:
        assert words[2:] == ["MeterValues", "MeterValues", "StopTransaction"]
        times = [p["meterValue"][0]["timestamp"] for p in hub.payloads("MeterValues")]
        times.append(hub.payloads("StopTransaction")[0]["timestamp"])
    else:
        assert words[2:] == ["Updated", "Updated", "Ended"]
        events = hub.payloads("TransactionEvent")
        assert all(event["offline"] for event in events)
        assert [event["seqNo"] for event in events] == [3, 4, 5]
        times = [event["timestamp"] for event in events]
    assert times == [f"2026-11-23T04:00:{s}.000Z" for s in (20, 30, 30)]
    # The status tells when it changed, not when it could be told.
    assert hub.payloads("StatusNotification")[0]["timestamp"] == "2026-11-23T04:00:30.000Z"
    assert hub.violations == []


async def test_a_start_made_offline_gets_its_number_at_the_replay(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    await station.go_offline()
    await station.plug_in(1, Car())
    assert await station.present_token(1, "TAXI-0001")
    await station.advance(10)
    hub.forget()
    await station.come_back()
    assert [a for a in hub.actions() if a != "StatusNotification"] == [
        "StartTransaction",
        "MeterValues",
    ]
    assert hub.payloads("MeterValues")[0]["transactionId"] == 101
    assert hub.payloads("StartTransaction")[0]["timestamp"] == "2026-11-23T04:00:00.000Z"
    await station.stop(1)
    assert hub.payloads("StopTransaction")[0]["transactionId"] == 101


@EVERY
async def test_a_message_cut_off_by_the_connection_is_repeated(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    hub.held = asyncio.Event()
    hub.outstanding = 0
    action = "StartTransaction" if version == V16 else "TransactionEvent"
    presenting = asyncio.create_task(station.present_token(1, "TAXI-0001"))
    await until(lambda: "Authorize" in hub.actions())
    hub.held.set()
    hub.answers[action] = lambda _: Silence()
    await until(lambda: action in hub.actions())
    hub.drop("QZ-001")
    await presenting
    del hub.answers[action]
    await until(lambda: not station.connected)
    # Nobody answered: the station charges on its own authority.
    assert station.gun(1).outlet.closed
    await station.come_back()
    first, again = hub.payloads(action)[:2]
    assert first == again
    assert [a for a, p, _ in acknowledged_by(station) if p == first] == [action]


async def test_a_time_out_repeats_with_a_new_message_id(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    wire = station.uplink.wire
    assert isinstance(wire, SocketWire)
    patient = wire.options

    def answer(_payload: Payload) -> Answer:
        if wire.options is patient:
            return {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
        wire.options = patient
        return Silence()

    hub.answers["StartTransaction"] = answer
    await station.plug_in(1, Car())
    wire.options = replace(patient, call_timeout_s=0.05)
    await station.present_token(1, "TAXI-0001")
    first, second = (r for r in hub.received if r.action == "StartTransaction")
    assert first.payload == second.payload
    assert first.message_id != second.message_id
    transaction = station.gun(1).transaction
    assert transaction is not None
    assert transaction.number == 7


async def test_a_callerror_is_tried_three_times_and_then_given_up(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    hub.answers["MeterValues"] = lambda _: CallError("InternalError")
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.advance(10)
    assert len(hub.payloads("MeterValues")) == 3
    await station.stop(1)
    assert len(hub.payloads("StopTransaction")) == 1
    assert station.statistics.errors["MeterValues given up"] == 1
