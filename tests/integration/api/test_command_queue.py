"""Commands that wait for their station: queued, delivered in order, each with one outcome."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.jobs import due_actions, outbox
from chargehub.kit.worker import Worker
from chargehub.stations import dispatch
from chargehub.stations.command_queue import DELIVER, EXPIRE, RETRY_AFTER, CommandQueue
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
    QUEUE_LIMITS,
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


async def test_what_is_cancelled_while_it_is_taken_does_not_leave_and_the_next_does(
    hub: RunningApi, cs: str
) -> None:
    first = (await ask(hub, cs, "1", key="first")).json()["command_id"]
    await ask(hub, cs, "2", key="second")
    station_id, sent = await hub.station_id(cs), len(hub.link.sent)
    async with hub.database.write() as connection:
        # As `cancel` does, before its COMMIT.
        await connection.exec_driver_sql(
            "UPDATE station_commands SET outcome = 'cancelled' WHERE id = %s", (UUID(first),)
        )
        hub.link.online.add(station_id)
        hub.queue.kick(station_id)
        async with asyncio.timeout(10):
            while not await somebody_waits_for_a_lock(hub):  # noqa: ASYNC110  The database's state.
                await asyncio.sleep(0.01)
    await hub.queue.idle()
    assert await outcomes(hub, cs) == [("1", "cancelled", None), ("2", "answered", "Accepted")]
    assert len(hub.link.sent) == sent + 1


class PausingDatabase(Database):
    """Holds whoever has committed a write, until told to go on."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.committed, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as connection:
            yield connection
        self.committed.set()
        await self.go_on.wait()


async def test_what_is_queued_when_a_delivery_has_looked_already_is_delivered(
    hub: RunningApi, cs: str
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    pausing = PausingDatabase(hub.database.url.render_as_string(hide_password=False))
    queue = CommandQueue(pausing, hub.queue.desk, hub.clock, QUEUE_LIMITS)
    sent = len(hub.link.sent)
    queue.kick(station_id)
    async with asyncio.timeout(10):
        await pausing.committed.wait()  # It found nothing.
        async with hub.database.write() as connection:
            await hub.queue.add(
                connection, station_id, RawCommand("ClearCache", {}), "test", expires_at=None
            )
        queue.kick(station_id)
        pausing.go_on.set()
        await queue.idle()
    await pausing.close()
    assert hub.link.sent[sent:] == [(station_id, RawCommand("ClearCache", {}))]


async def test_whoever_asked_hears_whether_it_has_left(hub: RunningApi, cs: str) -> None:
    """What is under way does not wait, although nobody has answered."""
    station_id, silence = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, silence)
    limits = replace(QUEUE_LIMITS, answer_within_s=0.5)
    queue = CommandQueue(hub.database, hub.queue.desk, hub.clock, limits)
    expires_at = queue.expiry()
    try:
        left, waits = [
            await queue.send(
                station_id,
                RawCommand("ChangeConfiguration", {"key": key, "value": "1"}),
                "test",
                expires_at=expires_at,
            )
            for key in ("first", "second")
        ]
        assert (left.answer, left.outcome) == (None, "pending")
        assert (waits.answer, waits.outcome) == (None, "queued")
        assert [word for _, word, _ in await outcomes(hub, cs)] == ["pending", "queued"]
    finally:
        silence.set()
        await queue.idle()


async def test_a_station_that_thinks_for_long_is_told_of_as_pending(
    hub: RunningApi, cs: str
) -> None:
    station_id, silence = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, silence, silence)
    usual, hub.queue.limits = hub.queue.limits, replace(hub.queue.limits, answer_within_s=0.5)
    try:
        path = f"/charging-stations/{cs}/availability"
        wish = await hub.operator.post(path, json={"operative": False})
        assert (wish.status_code, wish.json()["outcome"]) == (202, "pending")
        write = await ask(hub, cs, "1")
        assert (write.status_code, write.json()["outcome"]) == (202, "queued")
    finally:
        hub.queue.limits = usual
        silence.set()
        await hub.queue.idle()


class RefusingDatabase(Database):
    """Refuses so many writes."""

    refusals = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no connection to be had")
        async with super().write() as connection:
            yield connection


async def test_what_could_not_be_put_back_into_the_queue_is_unknown(
    hub: RunningApi, cs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been put back and taken again since: nothing leaves twice."""
    monkeypatch.setattr(dispatch, "STORE_AGAIN_S", 0.01)
    command_id = (await ask(hub, cs, "1")).json()["command_id"]
    refusing = RefusingDatabase(hub.database.url.render_as_string(hide_password=False))
    desk = dispatch.CommandDesk(refusing, hub.link, hub.clock)
    command = RawCommand("ChangeConfiguration", {"key": "A", "value": "1"})
    refusing.refusals = 2
    with pytest.raises(OSError, match="no connection"):  # The station is away: it did not leave.
        await desk.carry_out(UUID(command_id), await hub.station_id(cs), command, waits=True)
    async with asyncio.timeout(10):
        while await outcomes(hub, cs) != [("1", "unknown", None)]:  # noqa: ASYNC110  Its row.
            await asyncio.sleep(0.01)
    assert await told_unknown(hub, command_id) == 1
    await refusing.close()


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


async def age(hub: RunningApi, cs: str, value: str) -> None:
    """Let a command that waits have waited long enough."""
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE station_commands SET expires_at = %s"
            " WHERE station_id = %s AND payload->>'value' = %s",
            (hub.clock.now() - timedelta(seconds=1), await hub.station_id(cs), value),
        )


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


async def test_what_is_queued_while_others_expire_has_its_row(hub: RunningApi, cs: str) -> None:
    """The row that was acted on goes; the one of the newer command must not go with it."""
    await ask(hub, cs, "1", key="first")
    await age(hub, cs, "1")
    station_id = str(await hub.station_id(cs))
    async with hub.database.write() as connection:
        await connection.execute(
            update(due_actions)
            .where(due_actions.c.kind == EXPIRE, due_actions.c.subject == station_id)
            .values(due_at=hub.clock.now())
        )

    async def expire_and_ask(subject: str, payload: dict[str, Any]) -> None:
        await hub.queue.expire(subject, payload)
        if subject == station_id:
            await ask(hub, cs, "2", key="second")

    await Worker(hub.database, hub.clock, {EXPIRE: expire_and_ask}, {}).run_once()
    assert [word for _, word, _ in await outcomes(hub, cs)] == ["expired", "queued"]
    assert await due(hub, EXPIRE, station_id) == 1


async def due_at(hub: RunningApi, kind: str, subject: str) -> datetime:
    query = select(due_actions.c.due_at).where(
        due_actions.c.kind == kind, due_actions.c.subject == subject
    )
    async with hub.database.read() as connection:
        found: datetime = (await connection.execute(query)).scalar_one()
        return found


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
        assert (answer.status_code, answer.json()["outcome"]) == (202, "queued")
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
