"""Commands that wait for a station's return: over its absence, its boot, our restart and our crash.

What matters is what reaches the station: everything that was asked, in order, and nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chargehub.gateway.intake import Intake
from chargehub.stations.commands import RawCommand, VariableName, VariableWrite
from chargehub.stations.reports import Connected, ConnectionGranted
from simulators.misbehaviour import NO_QUIRKS, Misbehaviour
from tests.scenarios.speech import V16
from tests.scenarios.stage import RawStation, Stage

SETTLED_S = 11
SILENT = frozenset((Misbehaviour.SILENT_TO_CALLS,))
ACCEPTED = {"status": "Accepted"}


def set_interval(version: str, value: int) -> RawCommand:
    if version == V16:
        return RawCommand("ChangeConfiguration", {"key": "Interval", "value": str(value)})
    item = {
        "component": {"name": "Own"},
        "variable": {"name": "Interval"},
        "attributeValue": str(value),
    }
    return RawCommand("SetVariables", {"setVariableData": [item]})


def answers() -> dict[str, Any]:
    named = {"component": {"name": "Own"}, "variable": {"name": "Interval"}}
    item = {"attributeStatus": "Accepted", **named}
    return {
        "ChangeAvailability": ACCEPTED,
        "ChangeConfiguration": ACCEPTED,
        "ClearCache": ACCEPTED,
        "SetVariables": {"setVariableResult": [item]},
        "GetVariables": {"getVariableResult": [{"attributeValue": "60", **item}]},
        "GetConfiguration": {"configurationKey": []},
        "GetBaseReport": {"status": "EmptyResultSet"},
    }


async def add(
    stage: Stage, station: RawStation, command: Any, wait: timedelta | None = None
) -> UUID:
    queue = stage.hub.orders.queue
    async with stage.database.write() as connection:
        return await queue.add(
            connection,
            station.station_id,
            command,
            "a scenario",
            expires_at=queue.expiry(wait),
        )


async def ready(stage: Stage, version: str) -> RawStation:
    """A station whose inventory has been read, and that answers what may be asked here."""
    station = await stage.raw(version)
    station.answers.update(answers())
    await stage.work()
    station.asked.clear()
    return station


async def back(stage: Stage, station: RawStation) -> None:
    """Connect, and wait until the hub has taken the socket into service."""
    await station.wire.open()
    async with asyncio.timeout(10):
        while station.station_id not in stage.hub.connections.online_ids():  # noqa: ASYNC110  Its state.
            await asyncio.sleep(0.005)


async def outcomes(stage: Stage, station: RawStation) -> list[str]:
    rows = await stage.rows(
        "SELECT outcome FROM station_commands WHERE station_id = :id AND durable ORDER BY seq",
        id=station.station_id,
    )
    return [row.outcome for row in rows]


def actions(station: RawStation) -> Sequence[str]:
    return [action for action, _ in station.asked]


async def test_what_waits_is_delivered_once_over_restarts(stage: Stage, version: str) -> None:
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    commands = [set_interval(version, 60), RawCommand("ClearCache", {})]
    for command in commands:
        await add(stage, station, command)
    await stage.restart()
    await stage.work()
    assert await outcomes(stage, station) == ["queued", "queued"]
    await back(stage, station)
    await stage.work()
    assert station.asked == []  # It may have to boot first.
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert station.asked == [(command.action, command.payload) for command in commands]
    assert await outcomes(stage, station) == ["answered", "answered"]
    await stage.restart()
    await station.wire.open()
    await station.boot()
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert len(station.asked) == len(commands)


async def test_a_boot_is_enough(stage: Stage, version: str) -> None:
    """The station need not be connected for long: it has booted, so it listens."""
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    await add(stage, station, RawCommand("ClearCache", {}))
    await station.wire.open()
    await station.boot()
    await stage.work()
    assert actions(station) == ["ClearCache"]
    assert await outcomes(stage, station) == ["answered"]


class BeforeTakingOver:
    """The hub's intake; something happens once a connection is on record, before it takes over."""

    def __init__(self, intake: Intake, happens: Callable[[], Awaitable[Any]]) -> None:
        self._intake = intake
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._intake, name)

    async def connect(self, report: Connected) -> ConnectionGranted | None:
        granted = await self._intake.connect(report)
        await self._happens()
        return granted


async def test_what_is_queued_while_a_station_comes_in_is_delivered(
    stage: Stage, version: str
) -> None:
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    queue, listener = stage.hub.orders.queue, stage.hub.listener

    async def ask() -> None:
        command = RawCommand("ClearCache", {})
        sent = await queue.send(station.station_id, command, "test", expires_at=queue.expiry())
        assert (sent.answer, sent.outcome) == (None, "queued")

    intake = listener.intake
    listener.intake = BeforeTakingOver(intake, ask)  # type: ignore[assignment]  # It stands before it.
    try:
        await back(stage, station)
    finally:
        listener.intake = intake
    await stage.work()
    assert station.asked == []  # It may have to boot first.
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert actions(station) == ["ClearCache"]
    assert await outcomes(stage, station) == ["answered"]


async def test_no_due_action_waits_for_a_silent_station(stage: Stage, version: str) -> None:
    """It is asked to boot, and what is due after that is done meanwhile."""
    away = await ready(stage, version)
    await away.wire.close(abruptly=True)
    silent = await stage.raw(version, boots=False)
    silent.wire.quirks = SILENT
    await add(stage, away, RawCommand("ClearCache", {}), timedelta(seconds=90))
    stage.pass_time(120)
    working = asyncio.create_task(stage.hub.worker.run_once())
    try:
        async with asyncio.timeout(10):
            while await outcomes(stage, away) != ["expired"]:  # noqa: ASYNC110  Its state.
                await asyncio.sleep(0.01)
            while await asked(stage, silent) != [("TriggerMessage", "pending")]:  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.01)
        assert not working.done()
    finally:
        await silent.wire.close(abruptly=True)
        async with asyncio.timeout(10):
            await working


async def asked(stage: Stage, station: RawStation) -> list[tuple[str, str]]:
    rows = await stage.rows(
        "SELECT action, outcome FROM station_commands WHERE station_id = :id ORDER BY seq",
        id=station.station_id,
    )
    return [(row.action, row.outcome) for row in rows]


async def test_what_may_have_left_when_we_died_does_not_leave_again(
    stage: Stage, version: str
) -> None:
    """The value is read back instead, and the outcome stays on show."""
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    command_id = await add(stage, station, set_interval(version, 60))
    async with stage.database.write() as connection:
        # As SIGKILL leaves it between the claim and the answer.
        await connection.exec_driver_sql(
            "UPDATE station_commands SET outcome = 'pending' WHERE id = %s", (command_id,)
        )
    await stage.restart()
    await back(stage, station)
    await stage.work()
    stage.pass_time(SETTLED_S)
    await stage.work()
    reading = "GetConfiguration" if version == V16 else "GetVariables"
    assert actions(station) == [reading]
    assert await outcomes(stage, station) == ["unknown", "answered"]


async def test_an_orderly_stop_leaves_what_has_not_left(stage: Stage, version: str) -> None:
    """A hub that stops while a station thinks closes that one as unknown, and sends the next."""
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    await add(stage, station, set_interval(version, 60))
    await add(stage, station, RawCommand("ClearCache", {}))
    station.wire.quirks = SILENT
    await back(stage, station)
    stage.hub.orders.queue.kick(station.station_id)
    async with asyncio.timeout(10):
        while "pending" not in await outcomes(stage, station):  # noqa: ASYNC110  Its state.
            await asyncio.sleep(0.01)
    await stage.restart()
    station.wire.quirks = NO_QUIRKS
    await back(stage, station)
    await stage.work()
    stage.pass_time(SETTLED_S)
    await stage.work()
    reading = "GetConfiguration" if version == V16 else "GetVariables"
    assert actions(station) == ["ClearCache", reading]
    assert await outcomes(stage, station) == ["unknown", "answered", "answered"]


async def test_it_expires_while_the_station_is_away(stage: Stage, version: str) -> None:
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    await add(stage, station, set_interval(version, 60), timedelta(hours=2))
    await add(stage, station, RawCommand("ClearCache", {}), timedelta(hours=4))
    stage.pass_time(3 * 3600)
    await stage.work()
    await station.wire.open()
    await station.boot()
    await stage.work()
    assert actions(station) == ["ClearCache"]
    assert await outcomes(stage, station) == ["expired", "answered"]


async def test_no_station_is_told_after_the_time_although_the_worker_is_late(
    stage: Stage, version: str
) -> None:
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    await add(stage, station, RawCommand("ClearCache", {}), timedelta(hours=2))
    await back(stage, station)
    stage.pass_time(3 * 3600)
    queue = stage.hub.orders.queue
    queue.kick(station.station_id)
    await queue.idle()
    assert station.asked == []
    await stage.work()
    assert await outcomes(stage, station) == ["expired"]


async def test_a_station_that_never_answers_ends_its_command_and_not_the_queue(
    stage: Stage, version: str
) -> None:
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    await add(stage, station, set_interval(version, 60))
    station.wire.quirks = SILENT
    await station.wire.open()
    await station.boot()
    with stage.patience(0.2):
        await stage.work()
    # So has the question what became of it.
    assert await outcomes(stage, station) == ["timeout", "timeout"]
    station.wire.quirks = NO_QUIRKS
    await add(stage, station, RawCommand("ClearCache", {}))
    stage.hub.orders.queue.kick(station.station_id)
    await stage.work()
    await stage.hub.orders.queue.idle()
    assert actions(station) == ["ClearCache"]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_wish_from_its_absence_is_told_on_return(
    stage: Stage, version: str, whole: bool
) -> None:
    """And again after each boot, until it is wanted no more."""
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    evse_no = None if whole else 2
    kept = await stage.hub.orders.control.change_availability(
        station.identity, operative=False, evse_no=evse_no, actor="a scenario"
    )
    assert (kept.answer, kept.outcome) == (None, "queued")
    await stage.restart()
    await back(stage, station)
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert actions(station) == ["ChangeAvailability"]
    await station.boot()
    await stage.work()
    assert actions(station) == ["ChangeAvailability"] * 2
    assert station.asked[0] == station.asked[1]
    await stage.hub.orders.control.change_availability(
        station.identity, operative=True, evse_no=evse_no, actor="a scenario"
    )
    await station.boot()
    await stage.work()
    assert actions(station) == ["ChangeAvailability"] * 3


@pytest.mark.parametrize("worded", ["as it is", "by its variable"])
async def test_a_write_at_once_does_not_overtake_what_waits(
    stage: Stage, version: str, worded: str
) -> None:
    """Else the older value would follow when the station has settled, and be the last word."""
    station = await ready(stage, version)
    await station.wire.close(abruptly=True)
    older, newer = set_interval(version, 60), set_interval(version, 999)
    await add(stage, station, older)
    await back(stage, station)
    if worded == "as it is":
        await stage.hub.orders.control.send(station.identity, newer, actor="an operator")
    else:
        name = VariableName("", "Interval") if version == V16 else VariableName("Own", "Interval")
        writes = [VariableWrite(name, "999")]
        await stage.hub.devices.variables.write(station.identity, writes, "an operator")
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert station.asked == [(command.action, command.payload) for command in (older, newer)]


async def test_a_wish_waits_longer_than_history_is_kept(stage: Stage, version: str) -> None:
    station = await ready(stage, version)
    wish, evse_no = stage.hub.orders.control.change_availability, 1
    await wish(station.identity, operative=False, evse_no=evse_no, actor="a scenario")
    await station.wire.close(abruptly=True)
    kept = await wish(station.identity, operative=True, evse_no=evse_no, actor="a scenario")
    assert kept.outcome == "queued"
    stage.pass_time(86_400 * (stage.settings.limits.history_days + 1))
    await stage.work()
    await back(stage, station)
    stage.pass_time(SETTLED_S)
    await stage.work()
    assert actions(station) == ["ChangeAvailability"] * 2
    assert await outcomes(stage, station) == ["answered"]  # The first is history.
