"""How a station gets on and off the line: boots, passwords, reconnects, replays, ids."""

from __future__ import annotations

import asyncio

import pytest

from simulators.car import Car
from simulators.client import ConnectionRefusedByHub
from simulators.clock import ManualClock
from simulators.gun import StopCause
from tests.unit.simulators.conftest import START, MakeStation, acknowledged_by, booted, until
from tests.unit.simulators.fake_hub import V2X, V16, VERSIONS, FakeHub

EVERY = pytest.mark.parametrize("version", VERSIONS)


@EVERY
async def test_a_power_cut_ends_transactions_and_boots(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.advance(10)
    await station.power_cut()
    hub.forget()
    await station.come_back()
    assert hub.actions()[0] == "BootNotification"
    stops = hub.payloads("StopTransaction") or hub.payloads("TransactionEvent")
    reason = stops[-1].get("reason") or stops[-1]["transactionInfo"]["stoppedReason"]
    assert reason == "PowerLoss"
    assert station.boots == 2
    assert hub.violations == []


# The line.


async def test_one_call_at_a_time_and_answers_in_between(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    hub.most_outstanding = 0
    hub.held = asyncio.Event()
    plugging = [asyncio.create_task(station.plug_in(evse_no, Car())) for evse_no in (1, 2)]
    await until(lambda: hub.outstanding == 1)
    answer = await hub.call("QZ-001", "ClearCache", {})
    assert answer == {"status": "Accepted"}
    hub.held.set()
    await asyncio.gather(*plugging)
    assert hub.most_outstanding == 1
    assert hub.statuses(1)[-1] == hub.statuses(2)[-1] == "Preparing"


async def test_a_wrong_password_is_refused(hub: FakeHub, make_station: MakeStation) -> None:
    hub.passwords["QZ-001"] = b"another"
    with pytest.raises(ConnectionRefusedByHub) as refused_by:
        await make_station().connect()
    assert refused_by.value.status == 401
    hub.passwords["QZ-001"] = b"correct-horse-battery"
    await booted(make_station())


async def test_the_identity_is_percent_encoded(hub: FakeHub, make_station: MakeStation) -> None:
    await booted(make_station(identity="RDAM|12 3/4"))
    assert hub.requests[-1].path == "/ocpp/RDAM%7C12%203%2F4"


@EVERY
async def test_until_accepted_only_what_was_triggered_leaves(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = make_station(version)
    hub.answers["BootNotification"] = lambda _: {
        "status": "Pending",
        "currentTime": "2026-11-23T04:00:00Z",
        "interval": 60,
    }
    await station.connect()
    assert await station.boot() == "Pending"
    await station.plug_in(1, Car())
    assert hub.actions() == ["BootNotification"]
    assert await hub.call("QZ-001", "TriggerMessage", {"requestedMessage": "Heartbeat"}) == {
        "status": "Accepted"
    }
    await station.settled()
    assert hub.actions() == ["BootNotification", "Heartbeat"]
    del hub.answers["BootNotification"]
    assert await station.boot() == "Accepted"
    assert hub.statuses(1) == ["Preparing" if version == V16 else "Occupied"]


async def test_what_is_acknowledged_is_recorded_with_its_answer(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.stop(1, cause=StopCause.EMERGENCY)
    recorded = acknowledged_by(station)
    assert [action for action, _, _ in recorded] == hub.actions()
    starts = [answer for action, _, answer in recorded if action == "StartTransaction"]
    assert starts == [{"transactionId": 101, "idTagInfo": {"status": "Accepted"}}]


async def test_a_station_by_itself_reconnects_and_replays(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = make_station()
    running = asyncio.create_task(station.run())
    await until(lambda: station.online)
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await until(lambda: "StartTransaction" in hub.actions() and station.gun(1).outlet.closed)
    hub.forget()
    # A hub that lets nobody in keeps the station off the line until the stop is queued.
    hub.passwords["QZ-001"] = b"another"
    hub.drop("QZ-001")
    await until(lambda: station.statistics.connects_failed >= 1)
    await station.stop(1)
    hub.passwords.clear()
    await until(lambda: "StopTransaction" in hub.actions())
    assert "BootNotification" not in hub.actions()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def transaction_ids(hub: FakeHub) -> list[str]:
    return [
        payload["transactionInfo"]["transactionId"]
        for payload in hub.payloads("TransactionEvent")
        if payload["eventType"] == "Started"
    ]


@pytest.mark.parametrize("version", V2X)
async def test_a_restarted_201_station_repeats_no_transaction_id(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    # A hub files the events of a repeated id under the old transaction (E01.FR.08).
    for started_at in (START, START + 60, START + 60):
        station = await booted(make_station(version, clock=ManualClock(started_at)))
        for _ in range(2):
            await station.plug_in(1, Car())
            await station.present_token(1, "TAXI-0001")
            await station.stop(1)
            await station.unplug(1)
        await station.close()
    ids = transaction_ids(hub)
    assert len(ids) == 6
    # The same seed and the same time give the same ids, so that a run can be repeated.
    assert ids[4:] == ids[2:4]
    assert len(set(ids)) == 4
