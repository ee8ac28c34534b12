"""Commands that wait for their station: queued, delivered in order, each with one outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.command_queue import DELIVER, EXPIRE, RETRY_AFTER
from chargehub.stations.commands import (
    CommandAnswer,
    GetVariables,
    RawCommand,
    SetVariables,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
    VariableName,
    VariableWrite,
)
from tests.hub_fixtures import eventually
from tests.integration.api.conftest import (
    MAX_WAITING,
    RunningApi,
    problem_of,
)
from tests.integration.api.waiting_commands import (
    age,
    ask,
    come_back,
    due,
    due_at,
    outcomes,
    told_unknown,
    waiting,
)


async def test_what_waits_is_delivered_in_order_when_the_station_is_back(
    hub: RunningApi, cs: str
) -> None:
    asked = [await ask(hub, cs, value, key=f"K{value}") for value in "123"]
    assert [answer.status_code for answer in asked] == [202] * 3
    assert {answer.json()["outcome"] for answer in asked} == {"queued"}
    queued = await waiting(hub, cs)
    assert [item["payload"]["value"] for item in queued] == ["1", "2", "3"]
    assert all(item["durable"] and item["expires_at"] for item in queued)
    sent = len(hub.link.sent)
    station_id = await hub.station_id(cs)
    hub.link.script(station_id, *(CommandAnswer(word, {}) for word in ("Accepted", "Rejected")))
    await come_back(hub, cs)
    assert [command for _, command in hub.link.sent[sent:]] == [
        RawCommand("ChangeConfiguration", {"key": f"K{value}", "value": value}) for value in "123"
    ]
    assert await outcomes(hub, cs) == [
        ("1", "answered", "Accepted"),
        ("2", "answered", "Rejected"),
        ("3", "answered", "Accepted"),
    ]
    assert await waiting(hub, cs) == []
    await come_back(hub, cs)
    assert len(hub.link.sent) == sent + 3


async def test_a_station_that_is_here_answers_at_once_after_what_waits(
    hub: RunningApi, cs: str
) -> None:
    await ask(hub, cs, "1", key="first")
    hub.link.online.add(await hub.station_id(cs))
    answer = await ask(hub, cs, "2", key="second")
    assert answer.status_code == 200
    assert (answer.json()["outcome"], answer.json()["status"]) == ("answered", "Accepted")
    assert [word for _, _, word in await outcomes(hub, cs)] == ["Accepted", "Accepted"]


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("UnlockConnector", {"connectorId": 1}),
        ("RemoteStartTransaction", {"idTag": "CARD"}),
        ("Reset", {"type": "Soft"}),
    ],
)
async def test_what_serves_a_moment_may_not_wait(
    hub: RunningApi, cs: str, action: str, payload: dict[str, Any]
) -> None:
    answer = await hub.operator.post(
        f"/charging-stations/{cs}/commands/{action}", json=payload, params={"durable": True}
    )
    problem_of(answer, 422, "command-not-durable")
    assert await outcomes(hub, cs) == []


async def test_a_secret_may_not_wait(hub: RunningApi, cs: str) -> None:
    answer = await hub.admin.post(
        f"/charging-stations/{cs}/commands/ChangeConfiguration",
        json={"key": "AuthorizationKey", "value": "0011"},
        params={"durable": True},
    )
    problem_of(answer, 422, "command-not-durable")


async def test_the_queue_has_an_end(hub: RunningApi, cs: str) -> None:
    for number in range(MAX_WAITING):
        assert (await ask(hub, cs, "1", key=f"K{number}")).status_code == 202
    before = hits("queued_commands")
    problem_of(await ask(hub, cs, "1", key="one too many"), 409, "command-queue-full")
    assert hits("queued_commands") == before + 1
    # What replaces another takes no room.
    assert (await ask(hub, cs, "2", key="K0")).status_code == 202
    assert len(await waiting(hub, cs)) == MAX_WAITING


def hits(limit: str) -> float:
    return REGISTRY.get_sample_value("chargehub_limits_hit_total", {"limit": limit}) or 0.0


async def test_a_later_value_replaces_the_earlier_one(hub: RunningApi, cs: str) -> None:
    await ask(hub, cs, "1")
    later = (await ask(hub, cs, "2")).json()["command_id"]
    await come_back(hub, cs)
    assert await outcomes(hub, cs) == [("1", "replaced", None), ("2", "answered", "Accepted")]
    history = (await hub.viewer.get(f"/charging-stations/{cs}/commands")).json()["items"]
    assert history[-1]["answer"] == {"replaced_by": later}


async def cancel(hub: RunningApi, cs: str, command_id: str) -> httpx.Response:
    path = f"/charging-stations/{cs}/queued-commands/{command_id}"
    return await hub.operator.delete(path)


async def test_what_waits_can_be_cancelled_once(hub: RunningApi, cs: str) -> None:
    command_id = (await ask(hub, cs, "1")).json()["command_id"]
    answer = await cancel(hub, cs, command_id)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "cancelled")
    assert problem_of(await cancel(hub, cs, command_id), 409, "command-not-queued")
    await come_back(hub, cs)
    assert await outcomes(hub, cs) == [("1", "cancelled", None)]
    other = "00000000-0000-4000-8000-000000000000"
    problem_of(await cancel(hub, cs, other), 404, "not-found")


@pytest.mark.parametrize("end", ["cancelled", "replaced"])
@pytest.mark.parametrize("asked", ["raw", "variable"])
async def test_whoever_asked_hears_that_it_ended_without_leaving(
    hub: RunningApi, cs: str, end: str, asked: str
) -> None:
    """It waits behind a command that the station thinks about, and somebody else ends it."""
    station_id, thinking = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, thinking)
    first = asyncio.create_task(ask(hub, cs, "0", key="Slow"))
    await eventually(lambda: any(station == station_id for station, _ in hub.link.sent))
    variables = f"/charging-stations/{cs}/variables"

    def write(value: str) -> asyncio.Task[httpx.Response]:
        if asked == "raw":
            return asyncio.create_task(ask(hub, cs, value, key="VendorKey"))
        body = {"writes": [{"component": "", "variable": "VendorKey", "value": value}]}
        sending = hub.operator.patch(variables, json=body, params={"durable": True})
        return asyncio.create_task(sending)

    sent = write("1")
    async with asyncio.timeout(10):
        found: list[dict[str, Any]] = []
        while not found:
            found = [item for item in await waiting(hub, cs) if item["outcome"] == "queued"]
    others = [first]
    if end == "cancelled":
        await cancel(hub, cs, found[0]["command_id"])
    else:
        others.append(write("2"))
    async with asyncio.timeout(10):
        while (await outcomes(hub, cs))[1][1] != end:
            pass
    thinking.set()
    answer = await sent
    assert answer.status_code == 200
    if asked == "raw":
        assert answer.json()["outcome"] == end
    else:
        (result,) = answer.json()["results"]
        assert (result["effect"], result["status"]) == (end, None)
    assert [(await other).status_code for other in others] == [200] * len(others)


async def test_what_nobody_came_for_expires(hub: RunningApi, cs: str) -> None:
    for value, seconds in (("1", 60), ("2", 7200), ("3", 3600)):
        await ask(hub, cs, value, key=f"K{value}", expires_in_s=seconds)
    station_id = str(await hub.station_id(cs))
    before = hub.clock.now()
    # One row for all that waits for a station, due when the first has waited long enough.
    assert before < await due_at(hub, EXPIRE, station_id) <= before + timedelta(seconds=60)
    await hub.queue.expire(station_id, {})
    assert {item["outcome"] for item in await waiting(hub, cs)} == {"queued"}
    await age(hub, cs, "1")
    await hub.queue.expire(station_id, {})
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["expired", "queued", "queued"]
    later = await due_at(hub, EXPIRE, station_id)
    assert before + timedelta(seconds=3500) < later <= before + timedelta(seconds=3700)
    await come_back(hub, cs)
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["expired", "answered", "answered"]
    await hub.queue.expire(station_id, {})
    assert await due(hub, EXPIRE, station_id) == 0


async def test_what_is_under_way_after_its_time_is_looked_at_again(
    hub: RunningApi, cs: str
) -> None:
    """It may come back unsent, and must end then."""
    await ask(hub, cs, "1")
    await age(hub, cs, "1")
    station_id = await hub.station_id(cs)
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE station_commands SET outcome = 'pending' WHERE station_id = %s", (station_id,)
        )
    await hub.queue.expire(str(station_id), {})
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["pending"]
    again = await due_at(hub, EXPIRE, str(station_id)) - hub.clock.now()
    assert timedelta(seconds=20) < again <= RETRY_AFTER
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE station_commands SET outcome = 'queued' WHERE station_id = %s", (station_id,)
        )
    await hub.queue.expire(str(station_id), {})
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["expired"]
    assert await due(hub, EXPIRE, str(station_id)) == 0


@pytest.mark.parametrize("error", [StationBusy(), StationTimeout(sent=False), StationOffline()])
async def test_what_did_not_leave_waits_on_and_is_tried_again(
    hub: RunningApi, cs: str, error: ChargeHubError
) -> None:
    station_id = await hub.station_id(cs)
    await mark_connected(hub, station_id)
    hub.link.online.add(station_id)
    hub.link.script(station_id, error)
    assert (await ask(hub, cs, "1")).status_code == 202
    assert await outcomes(hub, cs) == [("1", "queued", None)]
    assert await due(hub, DELIVER, str(station_id)) == 1
    await come_back(hub, cs)
    assert await outcomes(hub, cs) == [("1", "answered", "Accepted")]


async def mark_connected(hub: RunningApi, station_id: int) -> None:
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO station_connections VALUES (%s, 1, 'test', 'test', now(), NULL)"
            " ON CONFLICT DO NOTHING",
            (station_id,),
        )


async def test_a_station_that_is_not_accepted_is_waited_for(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationNotAccepted())
    assert (await ask(hub, cs, "1")).status_code == 202
    assert await outcomes(hub, cs) == [("1", "queued", None)]
    assert await due(hub, DELIVER, str(station_id)) == 0


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (UnsupportedByStation(), 409, "unsupported"),
        (StationAnswerError(), 502, "failed"),
        (StationTimeout(sent=True), 504, "timeout"),
        (StationOffline(sent=True), 409, "unknown"),
    ],
)
async def test_what_left_and_failed_has_ended(
    hub: RunningApi, cs: str, error: ChargeHubError, status: int, outcome: str
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, error)
    document = problem_of(await ask(hub, cs, "1"), status, error.code)
    assert await outcomes(hub, cs) == [("1", outcome, error.code)]
    assert await told_unknown(hub, document["command_id"]) == (outcome in {"unknown", "timeout"})
    sent = len(hub.link.sent)
    await come_back(hub, cs)
    assert len(hub.link.sent) == sent


@pytest.mark.parametrize("lost", [StationOffline, StationTimeout])
async def test_a_write_without_answer_is_read_back_once(
    hub: RunningApi, cs: str, lost: type[ChargeHubError]
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    name = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
    hub.link.script(station_id, lost(sent=True), lost(sent=True))
    write = SetVariables((VariableWrite(name, "60"),))
    with pytest.raises(lost) as caught:
        await hub.queue.send(station_id, write, "test", expires_at=hub.queue.expiry())
    await hub.control.command_unknown(caught.value.facts["command_id"], {})
    await hub.queue.idle()
    assert hub.link.sent[-1] == (station_id, GetVariables((name,)))
    # The question got lost as well; nobody asks for ever.
    history = (await hub.viewer.get(f"/charging-stations/{cs}/commands")).json()["items"]
    ended = "unknown" if lost is StationOffline else "timeout"
    assert (history[0]["requested_by"], history[0]["outcome"]) == ("reconciliation", ended)
    sent = len(hub.link.sent)
    await hub.control.command_unknown(history[0]["command_id"], {})
    await hub.queue.idle()
    assert len(hub.link.sent) == sent


async def test_nothing_waits_for_a_station_that_is_gone_for_good(hub: RunningApi, cs: str) -> None:
    await ask(hub, cs, "1")
    gone = await hub.admin.post(f"/charging-stations/{cs}/decommission")
    assert gone.status_code < 300, gone.text
    assert await outcomes(hub, cs) == [("1", "cancelled", None)]


async def write_now(hub: RunningApi, cs: str, value: str) -> httpx.Response:
    body = {"key": "A", "value": value}
    path = f"/charging-stations/{cs}/commands/ChangeConfiguration"
    return await hub.operator.post(path, json=body)


async def test_a_write_at_once_waits_for_no_older_one_that_does_not_leave(
    hub: RunningApi, cs: str
) -> None:
    """It is refused: sent now, it would be undone when the older one leaves."""
    await ask(hub, cs, "1")
    station_id = await hub.station_id(cs)
    problem_of(await write_now(hub, cs, "2"), 409, "station-offline")  # Which undoes nothing.
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationNotAccepted())
    problem_of(await write_now(hub, cs, "2"), 503, "station-busy")
    cleared = await hub.operator.post(f"/charging-stations/{cs}/commands/ClearCache", json={})
    assert cleared.status_code == 200  # It overtakes nothing that it could undo.
    await age(hub, cs, "1")
    hub.link.script(station_id, StationNotAccepted())
    path = f"/charging-stations/{cs}/commands/ClearCache"
    assert (await hub.operator.post(path, json={}, params={"durable": True})).status_code == 202
    assert (await write_now(hub, cs, "2")).status_code == 200
    assert [(value, word) for value, word, _ in await outcomes(hub, cs)] == [
        ("1", "queued"),
        ("2", "offline"),
        (None, "answered"),
        (None, "queued"),
        ("2", "answered"),
    ]


async def test_a_write_at_once_waits_its_time_for_an_older_one(hub: RunningApi, cs: str) -> None:
    await ask(hub, cs, "1")
    station_id, silence = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, silence)
    usual, hub.queue.limits = hub.queue.limits, replace(hub.queue.limits, answer_within_s=0.05)
    try:
        problem_of(await write_now(hub, cs, "2"), 503, "station-busy")
        assert [word for _, word, _ in await outcomes(hub, cs)] == ["pending"]
    finally:
        hub.queue.limits = usual
        silence.set()
    assert (await write_now(hub, cs, "2")).status_code == 200
    assert [value for value, *_ in await outcomes(hub, cs)] == ["1", "2"]
