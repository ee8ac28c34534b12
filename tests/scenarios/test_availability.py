"""What an operator wants of a station and what it does: statements 78 and 79 (G03, G04, B12)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.stations.commands import ResetKind
from tests.scenarios.speech import V16
from tests.scenarios.stage import RawStation, Stage

ACTOR = "a scenario"
SCHEDULED = {"status": "Scheduled"}


async def wanted_and_actual(stage: Stage, identity: str) -> Any:
    """Return what is wanted of the station and its first EVSE, and the status of that one."""
    (row,) = await stage.rows(
        "SELECT s.wanted_operative AS station, e.wanted_operative AS evse, c.status"
        " FROM charging_stations s JOIN evses e ON e.station_id = s.id AND e.evse_no = 1"
        " JOIN connectors c ON c.station_id = s.id AND c.evse_no = 1"
        " WHERE s.identity = :identity",
        identity=identity,
    )
    return tuple(row)


def asked(station: RawStation, action: str) -> list[Any]:
    return [payload for name, payload in station.asked if name == action]


def availability(version: str, evse_no: int | None, word: str) -> dict[str, Any]:
    """Return the request as the version words it; without EVSE, or connector 0, it means all."""
    if version == V16:
        return {"connectorId": evse_no or 0, "type": word}
    return {"operationalStatus": word} | ({} if evse_no is None else {"evse": {"id": evse_no}})


@pytest.mark.parametrize("evse_no", [1, None], ids=["one EVSE", "the whole station"])
async def test_statement_78_scheduled_keeps_wanted_and_actual_apart(
    stage: Stage, version: str, evse_no: int | None
) -> None:
    station = await stage.raw(version)
    station.answers["ChangeAvailability"] = SCHEDULED
    busy = "Charging" if version == V16 else "Occupied"
    session = await station.begin(await stage.new_token(), 5_000)
    await station.report(1, busy, station.now)
    change = stage.hub.orders.control.change_availability
    told = await change(station.identity, operative=False, evse_no=evse_no, actor=ACTOR)
    assert told.answer is not None
    assert told.answer.status == "Scheduled"
    requests = asked(station, "ChangeAvailability")
    assert requests == [availability(version, evse_no, "Inoperative")]
    wanted = (evse_no is not None, evse_no is None)
    # G03.FR.05, G04.FR.06: the transaction goes on, and is served as before.
    assert await wanted_and_actual(stage, station.identity) == (*wanted, busy)
    stage.pass_time(60)
    await station.sample(session, 5_900)
    assert (await stage.the_transaction(station.identity)).state == "Active"
    await station.end(session, 6_000)
    await station.report(1, "Unavailable", station.now)
    assert await wanted_and_actual(stage, station.identity) == (*wanted, "Unavailable")
    station.answers["ChangeAvailability"] = {"status": "Accepted"}
    await change(station.identity, operative=True, evse_no=evse_no, actor=ACTOR)
    # Accepted is not available either, until the status says so.
    assert await wanted_and_actual(stage, station.identity) == (True, True, "Unavailable")
    stage.pass_time(1)
    await station.report(1, "Available", station.now)
    assert await wanted_and_actual(stage, station.identity) == (True, True, "Available")


async def test_statement_79_a_scheduled_reset_waits_for_the_transaction(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    # 1.6 has no such answer: a soft reset is Accepted, and the transaction ended by the station.
    word = "Accepted" if version == V16 else "Scheduled"
    station.answers["Reset"] = {"status": word}
    session = await station.begin(await stage.new_token(), 5_000)
    command_id, answer = await stage.hub.orders.control.reset(
        station.identity, ResetKind.ON_IDLE, actor=ACTOR
    )
    assert answer.status == word
    stage.pass_time(3600)
    await stage.work()
    await station.sample(session, 5_900)
    assert (await stage.the_transaction(station.identity)).state == "Active"
    await station.end(session, 6_000)
    await station.reconnect()
    await station.boot()
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh) == ("Ended", 1_000)
    assert len(asked(station, "Reset")) == 1, "nobody asks again for what is under way"
    (command,) = await stage.rows("SELECT * FROM station_commands WHERE id = :id", id=command_id)
    assert (command.outcome, command.status) == ("answered", word)


async def test_statement_79_the_stop_after_a_hard_reset_is_accepted(
    stage: Stage, version: str
) -> None:
    """It comes after the boot, and means the transaction of before."""
    station = await stage.raw(version)
    station.answers["Reset"] = {"status": "Accepted"}
    session = await station.begin(await stage.new_token(), 5_000)
    await stage.hub.orders.control.reset(station.identity, ResetKind.IMMEDIATE, actor=ACTOR)
    stage.pass_time(60)
    await station.reconnect()
    await station.boot()
    reason = "HardReset" if version == V16 else "ImmediateReset"
    assert await station.end(session, 6_000, reason=reason, token=None) == {}
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh, row.flags) == ("Ended", 1_000, 0)
    assert row.stopped_reason == "ImmediateReset"


async def test_statement_79_an_unlock_not_supported_says_nothing_of_other_connectors(
    stage: Stage, version: str
) -> None:
    """E16 3.87: in 1.6 that is the word for an unknown connector too."""
    station = await stage.raw(version)
    word = "NotSupported" if version == V16 else "UnknownConnector"
    station.answers["UnlockConnector"] = {"status": word}
    unlock = stage.hub.orders.control.unlock
    assert (await unlock(station.identity, 1, 1, actor=ACTOR))[1].status == word
    station.answers["UnlockConnector"] = {"status": "Unlocked"}
    for evse_no in (2, 1):
        _, answer = await unlock(station.identity, evse_no, 1, actor=ACTOR)
        assert answer.status == "Unlocked"
    places = [
        payload.get("connectorId" if version == V16 else "evseId")
        for payload in asked(station, "UnlockConnector")
    ]
    assert places == [1, 2, 1]
