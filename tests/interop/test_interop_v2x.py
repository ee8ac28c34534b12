"""Whole transactions of a 2.0.1 and a 2.1 station that is made of the `ocpp` package.

Of 2.1 it can say what has the same names in 2.0.1. Its case conversion spoils 43 other field names
(`limit_L2`, `receiptUrl` and the like), and message types 5 and 6 it neither sends nor hears: these
are `tests/integration/gateway/test_gateway_v21.py`, on a bare socket.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from ocpp.exceptions import NotSupportedError

from chargehub.kit.clock import wall_now
from chargehub.kit.jobs import due_actions
from tests.hub_fixtures import TOKEN, V2X, RunningHub, at
from tests.interop.package_stations import PackageStation, connected


async def new_station(hub: RunningHub, version: str) -> PackageStation:
    station = await connected(hub, await hub.new_station(), version)
    answer = await station.say(
        "BootNotification",
        reason="PowerUp",
        charging_station={"vendor_name": "Package", "model": "D120", "serial_number": "SN-2"},
    )
    assert (answer.status, answer.interval) == ("Accepted", 300)
    return station


async def tell_status(station: PackageStation, word: str, evse_id: int = 1) -> None:
    await station.say(
        "StatusNotification",
        evse_id=evse_id,
        connector_id=1,
        connector_status=word,
        timestamp=at(),
    )


def meter_value(seconds_ago: float, register_wh: float, context: str) -> dict[str, Any]:
    return {
        "timestamp": at(seconds_ago),
        "sampled_value": [
            {"value": register_wh / 1_000, "unit_of_measure": {"unit": "kWh"}, "context": context},
            {
                "value": 60.0,
                "measurand": "Power.Active.Import",
                "unit_of_measure": {"unit": "W", "multiplier": 3},
                "context": context,
            },
            {"value": 44, "measurand": "SoC", "context": context},
        ],
    }


@dataclass
class Transaction:
    """What a station knows of its transaction; each event takes the next number."""

    ref: str
    began: float
    """So many seconds ago."""
    card: str = TOKEN
    remote_start_id: int | None = None
    offline: bool = False
    seq_no: itertools.count[int] = field(default_factory=itertools.count)

    def event(self, kind: str, trigger: str, minute: int, **fields: Any) -> dict[str, Any]:
        contexts = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
        info: dict[str, Any] = {"transaction_id": self.ref, **fields.pop("info", {})}
        if self.remote_start_id is not None and kind == "Started":
            info["remote_start_id"] = self.remote_start_id
        ago = self.began - 60 * minute
        value = meter_value(ago, 50_000 + 1_000 * minute, contexts.get(kind, "Sample.Periodic"))
        return {
            "event_type": kind,
            "timestamp": at(ago),
            "trigger_reason": trigger,
            "seq_no": next(self.seq_no),
            "transaction_info": info,
            "meter_value": [value],
            "evse": {"id": 1, "connector_id": 1},
            **({"offline": True} if self.offline else {}),
            **fields,
        }

    def whole(self) -> list[dict[str, Any]]:
        """Return the events of a transaction of four minutes that a card begins and ends."""
        token = {"id_token": self.card, "type": "ISO14443"}
        return [
            self.event(
                "Started", "Authorized", 0, id_token=token, info={"charging_state": "Charging"}
            ),
            self.event("Updated", "MeterValuePeriodic", 1),
            self.event("Updated", "MeterValuePeriodic", 2),
            self.event("Updated", "MeterValuePeriodic", 3),
            self.event(
                "Ended", "StopAuthorized", 4, id_token=token, info={"stopped_reason": "Local"}
            ),
        ]


async def stored(hub: RunningHub, station: PackageStation) -> Any:
    (row,) = await hub.rows(
        "SELECT * FROM transactions WHERE station_id = :station",
        station=hub.station_ids[station.identity],
    )
    return row


async def assert_whole(hub: RunningHub, row: Any) -> None:
    """The transaction of four minutes is stored once, every event and sample of it."""
    assert (row.state, row.evse_no, row.energy_wh) == ("Ended", 1, 4_000)
    assert (row.begin_register_wh, row.end_register_wh) == (50_000, 54_000)
    events = await hub.rows(
        "SELECT kind, seq_no FROM transaction_events WHERE transaction_id = :id ORDER BY seq_no",
        id=row.id,
    )
    assert [tuple(event) for event in events] == [
        ("Started", 0),
        ("Updated", 1),
        ("Updated", 2),
        ("Updated", 3),
        ("Ended", 4),
    ]
    samples = await hub.rows(
        "SELECT register_wh, power_w, soc_percent FROM samples WHERE transaction_id = :id"
        " ORDER BY sampled_at",
        id=row.id,
    )
    registers = [50_000, 51_000, 52_000, 53_000, 54_000]
    assert [tuple(sample) for sample in samples] == [(r, 60_000, 44) for r in registers]


@pytest.mark.parametrize("version", V2X)
async def test_a_day_at_the_hub_with_a_remote_start_and_stop(
    hub: RunningHub, operator: httpx.AsyncClient, version: str
) -> None:
    station = await new_station(hub, version)
    assert (await station.say("Heartbeat")).current_time
    for evse_id in (1, 2):
        await tell_status(station, "Available", evse_id)
    known = await station.say("Authorize", id_token={"id_token": TOKEN, "type": "ISO14443"})
    assert known.id_token_info["status"] == "Accepted"
    unknown = await station.say("Authorize", id_token={"id_token": "NOBODY", "type": "eMAID"})
    assert unknown.id_token_info["status"] == "Invalid"

    wanted = {"station": station.identity, "evse_no": 1, "id_token": TOKEN}
    asked = await operator.post("/transactions/start", json=wanted)
    assert asked.status_code == 200, asked.text
    action, fields = await station.order()
    assert (action, fields["evse_id"]) == ("RequestStartTransaction", 1)
    assert fields["remote_start_id"] == asked.json()["remote_start_id"]
    assert fields["id_token"]["id_token"] == TOKEN

    await tell_status(station, "Occupied")
    running = Transaction("tx-remote", 300, remote_start_id=fields["remote_start_id"])
    begun = await station.say(
        "TransactionEvent",
        **running.event("Started", "RemoteStart", 0, id_token=fields["id_token"]),
    )
    assert begun.id_token_info["status"] == "Accepted"
    for minute in (1, 2, 3):
        answer = await station.say(
            "TransactionEvent", **running.event("Updated", "MeterValuePeriodic", minute)
        )
        assert answer.id_token_info is None  # E01.FR.12: nothing presented, nothing decided.

    number = (await stored(hub, station)).id
    stopped = await operator.post(f"/transactions/{number}/stop")
    assert stopped.status_code == 200, stopped.text
    assert await station.order() == ("RequestStopTransaction", {"transaction_id": "tx-remote"})
    assert (await stored(hub, station)).state == "Active"
    await station.say(
        "TransactionEvent",
        **running.event("Ended", "RemoteStop", 4, info={"stopped_reason": "Remote"}),
    )
    await tell_status(station, "Available")

    row = await stored(hub, station)
    await assert_whole(hub, row)
    assert (row.ref, row.id_token, row.stopped_reason) == ("tx-remote", TOKEN.lower(), "Remote")
    assert (row.offline, row.flags) == (False, 0)
    linked = await hub.value(
        "SELECT transaction_id FROM station_commands WHERE id = :id", id=asked.json()["command_id"]
    )
    assert linked == row.id
    shown = (await operator.get(f"/transactions/{row.id}")).json()
    assert (shown["energy_wh"], shown["state"]) == (4_000, "Ended")
    await station.leave()


@pytest.mark.parametrize("version", V2X)
async def test_a_transaction_of_an_offline_hour_is_replayed_and_a_lost_answer_repeated(
    hub: RunningHub, version: str
) -> None:
    station = await new_station(hub, version)
    await hub.new_token("OFFLINE-201")
    await station.vanish()
    events = Transaction("tx-offline", 3_600, "OFFLINE-201", offline=True).whole()
    station = await connected(hub, station.identity, version)
    for event in events[:-1]:
        await station.say("TransactionEvent", **event)
    lost = asyncio.create_task(station.say("TransactionEvent", **events[-1]))
    await hub.until(
        "SELECT count(*) FROM transactions WHERE station_id = :station AND state = 'Ended'",
        1,
        station=hub.station_ids[station.identity],
    )
    await station.vanish()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    station = await connected(hub, station.identity, version)
    for event in events:
        await station.say("TransactionEvent", **event)
    row = await stored(hub, station)
    await assert_whole(hub, row)
    assert row.offline
    await station.leave()


@pytest.mark.parametrize("version", V2X)
async def test_a_replay_in_another_order_is_the_same_transaction(
    hub: RunningHub, version: str
) -> None:
    station = await new_station(hub, version)
    await hub.new_token("SHUFFLED")
    started, *updates, ended = Transaction("tx-shuffled", 3_600, "SHUFFLED", offline=True).whole()
    for event in (updates[1], started, updates[0], ended, updates[2]):
        await station.say("TransactionEvent", **event)
    # The late begin counts once the transaction is settled, which the worker does when it is due.
    async with hub.database.write() as connection:
        await connection.execute(due_actions.update().values(due_at=wall_now()))
    row = await stored(hub, station)
    settled = "SELECT settled_at IS NOT NULL FROM transactions WHERE id = :id"
    await hub.until(settled, True, id=row.id)
    row = await stored(hub, station)
    assert (row.state, row.begin_register_wh, row.end_register_wh) == ("Ended", 50_000, 54_000)
    assert row.energy_wh == 4_000
    assert (
        await hub.value("SELECT count(*) FROM samples WHERE transaction_id = :id", id=row.id) == 5
    )
    await station.leave()


@pytest.mark.parametrize("version", V2X)
async def test_the_inventory_of_a_station_is_reported_and_kept(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station(inventoried=False)
    station = await connected(hub, identity, version)
    await station.say(
        "BootNotification",
        reason="PowerUp",
        charging_station={"vendor_name": "Package", "model": "D120"},
    )
    action, fields = await station.order()
    assert (action, fields["report_base"]) == ("GetBaseReport", "FullInventory")
    for seq_no, name in enumerate(("Power", "AvailabilityState")):
        await station.say(
            "NotifyReport",
            request_id=fields["request_id"],
            generated_at=at(),
            seq_no=seq_no,
            tbc=seq_no == 0,
            report_data=[
                {
                    "component": {"name": "EVSE", "evse": {"id": 1}},
                    "variable": {"name": name},
                    "variable_attribute": [{"type": "Actual", "value": f"value of {name}"}],
                    "variable_characteristics": {
                        "data_type": "string",
                        "supports_monitoring": False,
                    },
                }
            ],
        )
    rows = await hub.rows(
        "SELECT path, value FROM station_variables WHERE station_id = :station ORDER BY path",
        station=hub.station_ids[identity],
    )
    assert [tuple(row) for row in rows] == [
        ("EVSE@1.AvailabilityState#Actual", "value of AvailabilityState"),
        ("EVSE@1.Power#Actual", "value of Power"),
    ]
    await station.leave()


@pytest.mark.parametrize("version", V2X)
async def test_an_unsupported_action_is_an_error_that_the_package_understands(
    hub: RunningHub, version: str
) -> None:
    station = await new_station(hub, version)
    with pytest.raises(NotSupportedError):
        await station.say("SignCertificate", csr="a request")
    assert (await station.say("Heartbeat")).current_time
    await station.leave()
