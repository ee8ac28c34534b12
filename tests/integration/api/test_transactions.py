"""Transactions as the API shows them, and starting and stopping them from afar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import event, insert, select

from chargehub.kit.jobs import due_actions
from chargehub.stations.commands import CommandAnswer, RequestStartTransaction
from chargehub.telemetry.queries import series_query
from chargehub.telemetry.readings import Flag
from chargehub.telemetry.store import samples
from chargehub.transactions.rows import SETTLE
from chargehub.transactions.store import transaction_events, transactions
from tests.integration.api.conftest import (
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

Row = dict[str, Any]


def transaction(number: int, station_id: int, at: datetime, **more: Any) -> Row:
    return {
        "id": number,
        "station_id": station_id,
        "ref": str(number),
        "evse_no": 1,
        "id_token": "taxi-1",
        "state": "Ended",
        "started_at": at,
        "received_at": at,
        "max_power_w": 120_000,
        "flags": 0,
        **more,
    }


def sample(station_id: int, number: int, at: datetime, **more: Any) -> Row:
    return {
        "sampled_at": at,
        "received_at": at,
        "station_id": station_id,
        "transaction_id": number,
        "content_hash": hash((at, tuple(more))) % 2**40,
        "evse_no": 1,
        "context": "Sample.Periodic",
        **more,
    }


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    """Nine ended transactions, two at each moment; number 10 is active with samples."""
    async with running(module_database_url) as api:
        await make_location(api, "north")
        await make_location(api, "south")
        await make_station(api, "cs1", "north")
        await make_station(api, "cs2", "south")
        first, second = await api.station_id("cs1"), await api.station_id("cs2")
        api.link.online |= {first, second}
        now = api.clock.now().replace(microsecond=0)
        ended = [
            transaction(
                number,
                first if number % 3 else second,
                now - timedelta(hours=10 - number // 2),
                flags=int(Flag.GAP | Flag.OFFLINE) if number == 5 else 0,
                id_token={7: "taxi-9", 8: "471108"}.get(number, "taxi-1"),
                id_token_kind="KeyCode" if number == 8 else "ISO14443",
                ended_at=now,
                begin_register_wh=1_000,
                end_register_wh=21_000,
                energy_wh=20_000,
                settled_at=now if number == 5 else None,
            )
            for number in range(1, 10)
        ]
        active = transaction(
            10, first, now - timedelta(minutes=10), state="Active", evse_no=2, energy_wh=5
        )
        values: list[Row] = [
            {"power_w": 90_000, "energy_wh": 1_500, "register_wh": 2_500},
            {"power_w": 95_000, "energy_wh": 3_000, "register_wh": 4_000},
            {"soc_percent": 41.5, "flags": int(Flag.UNIT_MISSING), "raw": {"value": "41.5"}},
        ]
        async with api.database.write() as connection:
            await connection.execute(insert(transactions), ended)
            await connection.execute(insert(transactions).values(active))
            for minute, value in enumerate(values):
                at = now - timedelta(minutes=9 - minute)
                await connection.execute(insert(samples).values(sample(first, 10, at, **value)))
            for seq_no, kind in enumerate(("Started", "Updated")):
                await connection.execute(
                    insert(transaction_events).values(
                        transaction_id=10,
                        kind=kind,
                        at=now - timedelta(minutes=10 - seq_no),
                        received_at=now,
                        seq_no=seq_no,
                        offline=False,
                        flags=int(Flag.INVALID_PAYLOAD) if seq_no else 0,
                        raw={"odd": True} if seq_no else None,
                        content_hash=seq_no,
                    )
                )
        yield api


async def ids(hub: RunningApi, **query: Any) -> list[int]:
    response = await hub.viewer.get("/transactions", params=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


async def test_nobody_can_try_out_pins(hub: RunningApi) -> None:
    assert await ids(hub, id_token="471108") == []
    pin = await hub.viewer.get("/transactions/8")
    assert "471108" not in pin.text


async def test_newest_first_page_by_page(hub: RunningApi) -> None:
    assert await ids(hub) == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await hub.viewer.get("/transactions", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


async def test_the_filter_by_id_token_can_use_its_index(hub: RunningApi) -> None:
    asked: list[str] = []
    engine = hub.database.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert await ids(hub, id_token="TAXI-9") == [7]
    finally:
        event.remove(engine, "before_cursor_execute", note)
    (query,) = [statement for statement in asked if "ORDER BY transactions" in statement]
    assert "transactions.id_token =" in query


async def test_a_series_is_found_by_every_column_of_the_key(hub: RunningApi) -> None:
    """PostgreSQL 15 to 17 cannot skip evse_no: they would read all samples of the station."""
    query = series_query(1, 7).compile(dialect=hub.database.engine.dialect)
    async with hub.database.read() as connection:
        await connection.exec_driver_sql("SET enable_seqscan = off")
        await connection.exec_driver_sql("SET enable_bitmapscan = off")
        plan = await connection.exec_driver_sql(f"EXPLAIN {query}", query.params)
        conditions = [line for (line,) in plan if "Index Cond" in line]
    found = [line for line in conditions if "transaction_id = " in line]
    assert found
    assert all("evse_no = ANY" in line for line in found)


async def test_filters(hub: RunningApi) -> None:
    assert await ids(hub, state="Active") == [10]
    assert await ids(hub, location="south") == [9, 6, 3]
    assert await ids(hub, station="CS2") == [9, 6, 3]
    assert await ids(hub, evse_no=2) == [10]
    assert await ids(hub, id_token="TAXI-9") == [7]
    assert await ids(hub, flagged=True) == [5]
    assert 5 not in await ids(hub, flagged=False)
    fourth = (await hub.viewer.get("/transactions/4")).json()
    assert await ids(hub, **{"from": fourth["started_at"]}) == [10, 9, 8, 7, 6, 5, 4]
    assert await ids(hub, to=fourth["started_at"]) == [3, 2, 1]
    assert await ids(hub, state="Ended", station="cs1", flagged=True) == [5]


async def test_ended_transaction_has_raw_and_corrected_values(hub: RunningApi) -> None:
    found = (await hub.viewer.get("/transactions/5")).json()
    assert (found["begin_register_wh"], found["end_register_wh"]) == (1_000, 21_000)
    assert found["energy_wh"] == 20_000
    assert found["flags"] == ["GAP", "OFFLINE"]
    assert (found["station_identity"], found["location_id"]) == ("cs1", "north")
    assert found["live"] is None
    assert found["settled_at"] is not None
    listed = (await hub.viewer.get("/transactions")).json()["items"]
    settled = {item["id"]: item["settled_at"] is not None for item in listed}
    assert settled == {number: number == 5 for number in range(1, 11)}
    problem_of(await hub.viewer.get("/transactions/11"), 404, "not-found")


async def test_active_transaction_shows_the_newest_of_each_value(hub: RunningApi) -> None:
    found = (await hub.viewer.get("/transactions/10")).json()
    live = found["live"]
    assert (live["power_w"], live["energy_wh"], live["soc_percent"]) == (95_000, 3_000, 41.5)
    assert found["energy_wh"] == 3_000
    [listed] = (await hub.viewer.get("/transactions", params={"state": "Active"})).json()["items"]
    assert listed["live"] == live


async def test_series_in_order_by_pages_and_by_time(hub: RunningApi) -> None:
    whole = (await hub.viewer.get("/transactions/10/samples")).json()
    times = [item["sampled_at"] for item in whole["items"]]
    assert times == sorted(times)
    assert [item["register_wh"] for item in whole["items"]] == [2_500, 4_000, None]
    assert whole["items"][2]["flags"] == ["UNIT_MISSING"]
    assert whole["items"][2]["raw"] == {"value": "41.5"}
    first = (await hub.viewer.get("/transactions/10/samples", params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    rest = (await hub.viewer.get("/transactions/10/samples", params=query)).json()
    assert first["items"] + rest["items"] == whole["items"]
    assert rest["next_cursor"] is None
    some = await hub.viewer.get(
        "/transactions/10/samples", params={"from": times[1], "to": times[2]}
    )
    assert [item["sampled_at"] for item in some.json()["items"]] == [times[1]]
    of_evse = (await hub.viewer.get("/charging-stations/cs1/evses/1/samples")).json()
    assert of_evse["items"] == whole["items"]
    problem_of(await hub.viewer.get("/transactions/11/samples"), 404, "not-found")


async def test_events_in_order(hub: RunningApi) -> None:
    page = (await hub.viewer.get("/transactions/10/events")).json()
    assert [item["kind"] for item in page["items"]] == ["Started", "Updated"]
    assert page["items"][1]["flags"] == ["INVALID_PAYLOAD"]
    assert page["items"][1]["raw"] == {"odd": True}
    problem_of(await hub.viewer.get("/transactions/11/events"), 404, "not-found")


async def test_remote_start_answers_the_stations_word_and_an_id(hub: RunningApi) -> None:
    await hub.operator.put("/id-tokens/Card-1", json={"kind": "ISO14443"})
    station_id = await hub.station_id("cs1")
    hub.link.script(station_id, CommandAnswer("Rejected", {"status": "Rejected"}))
    body = {"station": "CS1", "evse_no": 1, "id_token": "CARD-1"}
    response = await hub.operator.post("/transactions/start", json=body)
    result = response.json()
    assert result["status"] == "Rejected"
    command = hub.link.sent[-1][1]
    assert isinstance(command, RequestStartTransaction)
    assert command.remote_start_id == result["remote_start_id"]
    assert (command.id_token, command.evse_no) == ("Card-1", 1)
    again = (await hub.operator.post("/transactions/start", json=body)).json()
    assert again["status"] == "Accepted"
    assert again["remote_start_id"] > result["remote_start_id"]


async def test_remote_start_refuses_what_cannot_charge(hub: RunningApi) -> None:
    sent = len(hub.link.sent)
    body: Row = {"station": "cs1", "evse_no": 1, "id_token": "unknown-card"}
    refused = await hub.operator.post("/transactions/start", json=body)
    assert problem_of(refused, 409, "id-token-not-accepted")["authorization"] == "Invalid"
    await hub.operator.put("/id-tokens/blocked", json={"status": "Blocked"})
    refused = await hub.operator.post("/transactions/start", json={**body, "id_token": "blocked"})
    assert problem_of(refused, 409, "id-token-not-accepted")["authorization"] == "Blocked"
    missing = await hub.operator.post("/transactions/start", json={**body, "station": "cs3"})
    problem_of(missing, 404, "not-found")
    missing = await hub.operator.post("/transactions/start", json={**body, "evse_no": 3})
    problem_of(missing, 404, "not-found")
    assert len(hub.link.sent) == sent


async def test_remote_stop_needs_an_active_transaction(hub: RunningApi) -> None:
    problem_of(await hub.operator.post("/transactions/99/stop"), 404, "not-found")
    problem_of(await hub.operator.post("/transactions/4/stop"), 409, "transaction-not-active")


async def test_an_operator_closes_what_a_station_that_is_gone_left_open(hub: RunningApi) -> None:
    problem_of(await hub.operator.post("/transactions/99/close"), 404, "not-found")
    problem_of(await hub.operator.post("/transactions/10/close"), 409, "station-online")
    station_id = await hub.station_id("cs1")
    hub.link.online.discard(station_id)
    problem_of(await hub.operator.post("/transactions/4/close"), 409, "transaction-not-active")
    assert (await hub.viewer.post("/transactions/10/close")).status_code == 403
    closed = await hub.operator.post("/transactions/10/close")
    assert closed.status_code == 200, closed.text
    found = closed.json()
    assert (found["state"], found["flags"]) == ("Ended", ["SUSPECT", "CLOSED_BY_POLICY"])
    assert (found["energy_wh"], found["end_received_at"]) == (1_500, None)
    again = await hub.operator.post("/transactions/10/close")
    problem_of(again, 409, "transaction-not-active")
    trail = (await hub.admin.get("/audit", params={"action": "transaction.closed"})).json()["items"]
    assert [(item["actor"], item["subject"]) for item in trail] == [("operator", "10")]
    async with hub.database.read() as connection:
        settling = await connection.scalar(
            select(due_actions.c.id).where(
                due_actions.c.kind == SETTLE, due_actions.c.subject == "10"
            )
        )
    assert settling is not None
    hub.link.online.add(station_id)
