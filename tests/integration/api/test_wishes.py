"""A wanted availability: it waits for its station, is told again, and the last wish counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from fastapi import Response
from sqlalchemy import event

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.api import delivery_result
from chargehub.stations.command_queue import Delivery
from chargehub.stations.commands import (
    ChangeAvailability,
    CommandOutcome,
    StationOffline,
    StationTimeout,
)
from tests.integration.api.conftest import (
    RunningApi,
    problem_of,
)
from tests.integration.api.waiting_commands import (
    ask,
    come_back,
    outcomes,
    somebody_waits_for_a_lock,
    waiting,
)


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


async def test_a_wish_that_timed_out_is_told_again_after_a_boot_only(
    hub: RunningApi, cs: str
) -> None:
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationTimeout(sent=True))
    path = f"/charging-stations/{cs}/availability"
    silent = await hub.operator.post(path, json={"operative": True, "evse_no": 2})
    lost = problem_of(silent, 504, "station-timeout")["command_id"]
    await hub.control.command_unknown(lost, {})
    assert await waiting(hub, cs) == []
    assert len(await outcomes(hub, cs)) == 1
    await hub.control.station_booted(str(station_id))
    await hub.queue.idle()
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


async def test_a_lost_wish_about_a_station_that_is_gone_for_good_is_dropped(
    hub: RunningApi, cs: str
) -> None:
    """It would wait for ever."""
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=False)
    gone = await hub.admin.post(f"/charging-stations/{cs}/decommission")
    assert gone.status_code < 300, gone.text
    await hub.control.command_unknown(lost, {})
    await hub.control.station_booted(str(station_id))
    await hub.queue.idle()
    assert await waiting(hub, cs) == []
    assert len(await outcomes(hub, cs)) == 1


async def test_a_boot_that_calls_for_nothing_is_two_statements(hub: RunningApi, cs: str) -> None:
    """A thousand stations may boot at once."""
    station_id = await hub.station_id(cs)
    said: list[str] = []

    def hear(*told: Any) -> None:
        said.append(told[2])

    engine = hub.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        await hub.devices.station_booted(str(station_id), {})
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    assert len(said) == 2, said


async def lose_wish(hub: RunningApi, cs: str, *, operative: bool, evse_no: int | None = 2) -> str:
    """Tell a wish to a station whose connection ends before the answer; return the command."""
    station_id = await hub.station_id(cs)
    hub.link.online.add(station_id)
    hub.link.script(station_id, StationOffline(sent=True))
    path = f"/charging-stations/{cs}/availability"
    lost = await hub.operator.post(path, json={"operative": operative, "evse_no": evse_no})
    command_id: str = problem_of(lost, 409, "station-offline")["command_id"]
    return command_id


async def test_a_wish_that_gets_lost_again_is_not_asked_about_until_a_boot(
    hub: RunningApi, cs: str
) -> None:
    """A station that breaks down over it would be told for ever."""
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=False)
    hub.link.script(station_id, StationOffline(sent=True))
    await hub.control.command_unknown(lost, {})
    await hub.queue.idle()
    history = (await hub.viewer.get(f"/charging-stations/{cs}/commands")).json()["items"]
    assert (history[0]["requested_by"], history[0]["outcome"]) == ("reconciliation", "unknown")
    sent = len(hub.link.sent)
    await hub.control.command_unknown(history[0]["command_id"], {})
    await hub.queue.idle()
    assert len(hub.link.sent) == sent
    await hub.control.station_booted(str(station_id))
    await hub.queue.idle()
    assert hub.link.sent[sent:] == [(station_id, ChangeAvailability(operative=False, evse_no=2))]


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


@pytest.mark.parametrize(
    ("evse_no", "wanting"),
    [
        (2, "UPDATE evses SET wanted_operative = true WHERE station_id = %s AND evse_no = 2"),
        (None, "UPDATE charging_stations SET wanted_operative = true WHERE id = %s"),
    ],
    ids=["one EVSE", "the whole station"],
)
async def test_a_wish_that_changes_meanwhile_is_the_one_that_is_told(
    hub: RunningApi, cs: str, evse_no: int | None, wanting: str
) -> None:
    """Asking what is wanted now waits for whoever is about to want something else."""
    station_id = await hub.station_id(cs)
    lost = await lose_wish(hub, cs, operative=False, evse_no=evse_no)
    hub.link.online.discard(station_id)
    async with hub.database.write() as connection:
        # As `change_availability` does, before its COMMIT.
        await connection.exec_driver_sql(wanting, (station_id,))
        telling = asyncio.create_task(hub.control.command_unknown(lost, {}))
        async with asyncio.timeout(10):
            while not await somebody_waits_for_a_lock(hub):
                assert not telling.done()
                await asyncio.sleep(0.01)
    await telling
    (item,) = await waiting(hub, cs)
    assert item["payload"]["operative"] is True


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


async def test_a_wish_behind_a_station_that_thinks_is_told_of_as_any_queued_command(
    hub: RunningApi, cs: str
) -> None:
    station_id, silence = await hub.station_id(cs), asyncio.Event()
    hub.link.online.add(station_id)
    hub.link.script(station_id, silence)
    usual, hub.queue.limits = hub.queue.limits, replace(hub.queue.limits, answer_within_s=0.05)
    try:
        await ask(hub, cs, "1")
        path = f"/charging-stations/{cs}/availability"
        for answer in (
            await hub.operator.post(path, json={"operative": False}),
            await ask(hub, cs, "2", key="B"),
        ):
            assert (answer.status_code, answer.json()["outcome"]) == (202, "queued")
    finally:
        hub.queue.limits = usual
        silence.set()
        await hub.queue.idle()


def test_what_has_left_and_was_not_answered_is_told_of_as_pending() -> None:
    command_id, response = uuid4(), Response()
    result = delivery_result(Delivery(command_id, None, CommandOutcome.PENDING), response)
    assert (response.status_code, result.outcome, result.command_id) == (202, "pending", command_id)
