"""Whole transactions of a 1.6 station that is made of the `ocpp` package."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from ocpp.exceptions import NotImplementedError as NotImplementedByHub

from chargehub.telemetry.readings import Flag
from tests.hub_fixtures import TOKEN, V16, RunningHub, at
from tests.interop.package_stations import PackageStation, connected


async def new_station(hub: RunningHub) -> PackageStation:
    station = await connected(hub, await hub.new_station(), V16)
    answer = await station.say(
        "BootNotification",
        charge_point_vendor="Package",
        charge_point_model="D120",
        charge_point_serial_number="SN-1",
    )
    assert (answer.status, answer.interval) == ("Accepted", 300)
    return station


async def tell_status(station: PackageStation, word: str, connector_id: int = 1) -> None:
    await station.say(
        "StatusNotification",
        connector_id=connector_id,
        error_code="NoError",
        status=word,
        timestamp=at(),
    )


def meter_value(seconds_ago: float, register_wh: int, power_kw: float, soc: int) -> dict[str, Any]:
    return {
        "timestamp": at(seconds_ago),
        "sampledValue": [
            {"value": str(register_wh)},
            {"value": str(power_kw), "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": str(soc), "measurand": "SoC", "unit": "Percent"},
        ],
    }


async def charge(station: PackageStation, transaction_id: int, began: float) -> None:
    """Report three samples, one per minute, of a transaction that began so long ago."""
    for minute in (1, 2, 3):
        await station.say(
            "MeterValues",
            connector_id=1,
            transaction_id=transaction_id,
            meter_value=[
                meter_value(began - 60 * minute, 50_000 + 1_000 * minute, 60.0, 40 + minute)
            ],
        )


async def transaction_of(hub: RunningHub, station: PackageStation) -> Any:
    (row,) = await hub.rows(
        "SELECT * FROM transactions WHERE station_id = :station",
        station=hub.station_ids[station.identity],
    )
    return row


async def registers_of(hub: RunningHub, transaction_id: int) -> list[tuple[int, int, int]]:
    rows = await hub.rows(
        "SELECT register_wh, power_w, soc_percent FROM samples WHERE transaction_id = :id"
        " AND context = 'Sample.Periodic' ORDER BY sampled_at",
        id=transaction_id,
    )
    return [tuple(row) for row in rows]


SAMPLED = [(51_000, 60_000, 41), (52_000, 60_000, 42), (53_000, 60_000, 43)]


async def test_a_day_at_the_hub_with_a_remote_start_and_stop(
    hub: RunningHub, operator: httpx.AsyncClient
) -> None:
    station = await new_station(hub)
    assert (await station.say("Heartbeat")).current_time
    for connector_id in (0, 1, 2):
        await tell_status(station, "Available", connector_id)
    known = await station.say("Authorize", id_tag=TOKEN)
    assert known.id_tag_info["status"] == "Accepted"
    unknown = await station.say("Authorize", id_tag="NOBODY")
    assert unknown.id_tag_info["status"] == "Invalid"

    wanted = {"station": station.identity, "evse_no": 1, "id_token": TOKEN}
    asked = await operator.post("/transactions/start", json=wanted)
    assert asked.status_code == 200, asked.text
    assert asked.json()["status"] == "Accepted"
    assert await station.order() == ("RemoteStartTransaction", {"connector_id": 1, "id_tag": TOKEN})
    await tell_status(station, "Preparing")
    begun = await station.say(
        "StartTransaction", connector_id=1, id_tag=TOKEN, meter_start=50_000, timestamp=at(300)
    )
    assert begun.id_tag_info["status"] == "Accepted"
    await tell_status(station, "Charging")
    await charge(station, begun.transaction_id, 300)

    stopped = await operator.post(f"/transactions/{begun.transaction_id}/stop")
    assert stopped.status_code == 200, stopped.text
    assert await station.order() == (
        "RemoteStopTransaction",
        {"transaction_id": begun.transaction_id},
    )
    # Accepted is not yet stopped.
    assert (await transaction_of(hub, station)).state == "Active"
    await station.say(
        "StopTransaction",
        transaction_id=begun.transaction_id,
        meter_stop=54_000,
        timestamp=at(60),
        reason="Remote",
        id_tag=TOKEN,
    )
    await tell_status(station, "Available")

    row = await transaction_of(hub, station)
    assert (row.id, row.state, row.evse_no) == (begun.transaction_id, "Ended", 1)
    assert (row.begin_register_wh, row.end_register_wh, row.energy_wh) == (50_000, 54_000, 4_000)
    assert (row.id_token, row.stopped_reason, row.offline) == (TOKEN.lower(), "Remote", False)
    assert row.flags & ~int(Flag.UNIT_MISSING) == 0
    assert await registers_of(hub, row.id) == SAMPLED
    kinds = await hub.rows(
        "SELECT kind FROM transaction_events WHERE transaction_id = :id ORDER BY id", id=row.id
    )
    assert [kind for (kind,) in kinds] == ["Started", "Ended"]
    linked = await hub.value(
        "SELECT transaction_id FROM station_commands WHERE id = :id", id=asked.json()["command_id"]
    )
    assert linked == row.id
    shown = (await operator.get(f"/transactions/{row.id}")).json()
    assert (shown["energy_wh"], shown["state"]) == (4_000, "Ended")
    await station.leave()


async def test_a_transaction_of_an_offline_hour_is_replayed_and_a_lost_answer_repeated(
    hub: RunningHub,
) -> None:
    station = await new_station(hub)
    card = "OFFLINE-16"
    await hub.new_token(card)
    await station.vanish()
    # An hour passes; what happened meanwhile comes with its own timestamps, without a boot.
    station = await connected(hub, station.identity, V16)
    start = {"connector_id": 1, "id_tag": card, "meter_start": 50_000, "timestamp": at(3_600)}
    begun = await station.say("StartTransaction", **start)
    await charge(station, begun.transaction_id, 3_600)
    stop = {
        "transaction_id": begun.transaction_id,
        "meter_stop": 54_000,
        "timestamp": at(3_000),
        "reason": "Local",
        "transaction_data": [meter_value(3_000, 54_000, 0.0, 44)],
    }
    lost = asyncio.create_task(station.say("StopTransaction", **stop))
    await hub.until(
        "SELECT count(*) FROM transactions WHERE id = :id AND state = 'Ended'",
        1,
        id=begun.transaction_id,
    )
    await station.vanish()
    # The answer may have been on its way; the station has not seen it, so it says all again.
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    station = await connected(hub, station.identity, V16)
    again = await station.say("StartTransaction", **start)
    assert again.transaction_id == begun.transaction_id
    await charge(station, begun.transaction_id, 3_600)
    await station.say("StopTransaction", **stop)

    row = await transaction_of(hub, station)
    assert (row.state, row.energy_wh, row.stopped_reason) == ("Ended", 4_000, "Local")
    assert (
        await hub.value(
            "SELECT count(*) FROM transaction_events WHERE transaction_id = :id", id=row.id
        )
        == 2
    )
    await station.leave()


async def test_a_gun_used_locally_by_two_cars_in_turn(hub: RunningHub) -> None:
    station = await new_station(hub)
    energies = []
    for number, register in ((1, 10_000), (2, 25_000)):
        card = f"TURN-{number}"
        await hub.new_token(card)
        begun = await station.say(
            "StartTransaction",
            connector_id=2,
            id_tag=card,
            meter_start=register,
            timestamp=at(4_000 - 1_000 * number),
        )
        ended = await station.say(
            "StopTransaction",
            transaction_id=begun.transaction_id,
            id_tag=card,
            meter_stop=register + 15_000,
            timestamp=at(3_100 - 1_000 * number),
        )
        assert ended.id_tag_info["status"] == "Accepted"
        energies.append(
            await hub.value(
                "SELECT energy_wh FROM transactions WHERE id = :id", id=begun.transaction_id
            )
        )
    assert energies == [15_000, 15_000]
    await station.leave()


async def test_an_action_we_do_not_know_is_an_error_that_the_package_understands(
    hub: RunningHub,
) -> None:
    station = await new_station(hub)
    frame = '[2,"odd","MakeCoffee",{}]'
    await station.wire.socket.send(frame)
    answer = await station.point._get_specific_response("odd", 5)  # noqa: SLF001  Its only way in.
    assert isinstance(answer.to_exception(), NotImplementedByHub)
    await station.leave()


@pytest.mark.parametrize("twice", [False, True])
async def test_status_and_notices_are_kept_once(hub: RunningHub, twice: bool) -> None:
    station = await new_station(hub)
    told = {
        "connector_id": 1,
        "error_code": "GroundFailure",
        "status": "Faulted",
        "timestamp": at(5),
        "info": "leak",
        "vendor_id": "Package",
        "vendor_error_code": "E-7",
    }
    for _ in range(1 + twice):
        await station.say("StatusNotification", **told)
    (row,) = await hub.rows(
        "SELECT status, error_code, info, vendor_error_code FROM connector_status_events"
        " WHERE station_id = :station",
        station=hub.station_ids[station.identity],
    )
    assert tuple(row) == ("Faulted", "GroundFailure", "leak", "E-7")
    await station.leave()
