"""Commands that wait for their station: queued, delivered in order, each with one outcome."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from chargehub.kit.errors import ChargeHubError
from chargehub.kit.jobs import due_actions, outbox
from chargehub.stations.command_queue import DELIVER, EXPIRE
from chargehub.stations.commands import (
    ChangeAvailability,
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
from chargehub.stations.dispatch import COMMAND_UNKNOWN
from tests.integration.api.conftest import (
    MAX_WAITING,
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

NAMES = itertools.count(1)


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        await make_location(api, "north")
        yield api


@pytest_asyncio.fixture
async def cs(hub: RunningApi) -> str:
    """A new station that is away."""
    identity = f"Q-{next(NAMES)}"
    await make_station(hub, identity, "north")
    return identity


async def ask(hub: RunningApi, identity: str, value: str, key: str = "A", **query: Any) -> Any:
    return await hub.operator.post(
        f"/charging-stations/{identity}/commands/ChangeConfiguration",
        json={"key": key, "value": value},
        params={"durable": True, **query},
    )


async def waiting(hub: RunningApi, identity: str) -> list[dict[str, Any]]:
    answer = await hub.viewer.get(f"/charging-stations/{identity}/queued-commands")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def outcomes(hub: RunningApi, identity: str) -> list[tuple[str, str, str | None]]:
    """Return value, outcome and status of all commands, oldest first."""
    answer = await hub.viewer.get(f"/charging-stations/{identity}/commands")
    items = reversed(answer.json()["items"])
    return [(item["payload"].get("value"), item["outcome"], item["status"]) for item in items]


async def come_back(hub: RunningApi, identity: str) -> int:
    station_id = await hub.station_id(identity)
    hub.link.online.add(station_id)
    await hub.queue.station_due(str(station_id), {})
    await hub.queue.idle()
    return station_id


async def due(hub: RunningApi, kind: str, subject: str) -> int:
    query = select(due_actions).where(due_actions.c.kind == kind, due_actions.c.subject == subject)
    async with hub.database.read() as connection:
        return len((await connection.execute(query)).all())


async def told_unknown(hub: RunningApi, command_id: str) -> int:
    query = select(outbox).where(outbox.c.topic == COMMAND_UNKNOWN, outbox.c.subject == command_id)
    async with hub.database.read() as connection:
        return len((await connection.execute(query)).all())


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
    problem_of(await ask(hub, cs, "1", key="one too many"), 409, "command-queue-full")
    # What replaces another takes no room.
    assert (await ask(hub, cs, "2", key="K0")).status_code == 202
    assert len(await waiting(hub, cs)) == MAX_WAITING


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


async def test_what_nobody_came_for_expires(hub: RunningApi, cs: str) -> None:
    command_id = (await ask(hub, cs, "1", expires_in_s=1)).json()["command_id"]
    assert await due(hub, EXPIRE, command_id) == 1
    await hub.queue.expire(command_id, {})
    await come_back(hub, cs)
    assert await outcomes(hub, cs) == [("1", "expired", None)]


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
    assert await told_unknown(hub, document["command_id"]) == (outcome == "unknown")
    sent = len(hub.link.sent)
    await come_back(hub, cs)
    assert len(hub.link.sent) == sent


async def test_an_unknown_write_is_read_back_once(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    name = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
    hub.link.script(station_id, StationOffline(sent=True), StationOffline(sent=True))
    write = SetVariables((VariableWrite(name, "60"),))
    with pytest.raises(StationOffline) as caught:
        await hub.queue.send(station_id, write, "test", expires_at=hub.queue.expiry())
    await hub.control.command_unknown(caught.value.facts["command_id"], {})
    await hub.queue.idle()
    assert hub.link.sent[-1] == (station_id, GetVariables((name,)))
    # The question got lost as well; nobody asks for ever.
    history = (await hub.viewer.get(f"/charging-stations/{cs}/commands")).json()["items"]
    assert (history[0]["requested_by"], history[0]["outcome"]) == ("reconciliation", "unknown")
    sent = len(hub.link.sent)
    await hub.control.command_unknown(history[0]["command_id"], {})
    await hub.queue.idle()
    assert len(hub.link.sent) == sent


async def test_an_unknown_availability_is_told_again_as_it_is_wanted_now(
    hub: RunningApi, cs: str
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationOffline(sent=True))
    path = f"/charging-stations/{cs}/availability"
    lost = await hub.operator.post(path, json={"operative": False, "evse_no": 2})
    document = problem_of(lost, 409, "station-offline")
    await hub.control.command_unknown(document["command_id"], {})
    await hub.queue.idle()
    assert hub.link.sent[-1] == (station_id, ChangeAvailability(operative=False, evse_no=2))
    assert (await outcomes(hub, cs))[-1][1:] == ("answered", "Accepted")


async def test_a_lost_wish_waits_for_ever_as_any_wish_does(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=False)
    hub.link.online.discard(station_id)
    await hub.control.command_unknown(lost, {})
    (item,) = await waiting(hub, cs)
    assert (item["payload"]["operative"], item["expires_at"]) == (False, None)
    await hub.control.command_unknown(lost, {})
    assert len(await waiting(hub, cs)) == 1


async def lose_wish(hub: RunningApi, cs: str, *, operative: bool) -> str:
    """Tell a wish to a station whose connection ends before the answer; return the command."""
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationOffline(sent=True))
    path = f"/charging-stations/{cs}/availability"
    lost = await hub.operator.post(path, json={"operative": operative, "evse_no": 2})
    command_id: str = problem_of(lost, 409, "station-offline")["command_id"]
    return command_id


async def test_an_operators_own_wish_is_not_replaced_by_ours(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=True)
    hub.link.online.discard(station_id)
    path = f"/charging-stations/{cs}/availability"
    await hub.operator.post(path, json={"operative": False, "evse_no": 2})
    (own,) = await waiting(hub, cs)
    assert own["requested_by"] == "operator"
    await hub.control.command_unknown(lost, {})
    await hub.control.station_booted(str(station_id))
    assert await waiting(hub, cs) == [own]


async def test_a_wish_that_changes_meanwhile_is_the_one_that_is_told(
    hub: RunningApi, cs: str
) -> None:
    """Asking what is wanted now waits for whoever is about to want something else."""
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=False)
    hub.link.online.discard(station_id)
    async with hub.database.write() as connection:
        # As `change_availability` does, before its COMMIT.
        await connection.exec_driver_sql(
            "UPDATE evses SET wanted_operative = true WHERE station_id = %s AND evse_no = 2",
            (station_id,),
        )
        telling = asyncio.create_task(hub.control.command_unknown(lost, {}))
        async with asyncio.timeout(10):
            while not await somebody_waits_for_a_lock(hub):
                assert not telling.done()
                await asyncio.sleep(0.01)
    await telling
    (item,) = await waiting(hub, cs)
    assert item["payload"]["operative"] is True


async def somebody_waits_for_a_lock(hub: RunningApi) -> bool:
    async with hub.database.read() as connection:
        found = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(found.scalar_one())


@pytest.mark.parametrize("error", [StationOffline(sent=True), StationTimeout(sent=True)])
async def test_a_lost_wish_to_be_in_use_is_told_again_after_a_boot(
    hub: RunningApi, cs: str, error: ChargeHubError
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, error)
    path = f"/charging-stations/{cs}/availability"
    await hub.operator.post(path, json={"operative": True})
    wish = ChangeAvailability(operative=True)
    for times in (2, 2):  # Told again once: then it has answered.
        await hub.control.station_booted(str(station_id))
        await hub.queue.idle()
        assert hub.link.sent.count((station_id, wish)) == times


async def test_a_wish_waits_and_only_the_last_one_is_told(hub: RunningApi, cs: str) -> None:
    path = f"/charging-stations/{cs}/availability"
    for operative in (False, True, False):
        answer = await hub.operator.post(path, json={"operative": operative})
        document = problem_of(answer, 409, "station-offline")
        assert document["outcome"] == "queued"
    sent = len(hub.link.sent)
    station_id = await come_back(hub, cs)
    assert hub.link.sent[sent:] == [(station_id, ChangeAvailability(operative=False))]


async def test_a_wish_is_told_again_to_a_station_that_has_booted(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    path = f"/charging-stations/{cs}/availability"
    await hub.operator.post(path, json={"operative": False, "evse_no": 1})
    sent = len(hub.link.sent)
    await hub.control.station_booted(str(station_id))
    await hub.queue.idle()
    wish = ChangeAvailability(operative=False, evse_no=1)
    assert hub.link.sent[sent:] == [(station_id, wish)]
    await hub.operator.post(path, json={"operative": True, "evse_no": 1})
    sent = len(hub.link.sent)
    await hub.control.station_booted(str(station_id))
    await hub.queue.idle()
    assert len(hub.link.sent) == sent


async def test_nothing_waits_for_a_station_that_is_gone_for_good(hub: RunningApi, cs: str) -> None:
    await ask(hub, cs, "1")
    gone = await hub.admin.post(f"/charging-stations/{cs}/decommission")
    assert gone.status_code < 300, gone.text
    assert await outcomes(hub, cs) == [("1", "cancelled", None)]
