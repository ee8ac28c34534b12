"""The newest status of each connector, whatever the order in which they come: statement 52."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulators.car import Car
from simulators.client import CallRefused
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import V16, moment
from tests.scenarios.stage import RawStation, Stage


async def shown(stage: Stage, identity: str, evse_no: int = 1) -> Any:
    (row,) = await stage.rows(
        "SELECT c.status, c.status_at, c.error_code, s.status AS whole, s.error_code AS whole_error"
        " FROM connectors c JOIN charging_stations s ON s.id = c.station_id"
        " WHERE s.identity = :identity AND c.evse_no = :evse_no",
        identity=identity,
        evse_no=evse_no,
    )
    return row


async def history(stage: Stage, station: RawStation, evse_no: int = 1) -> Sequence[str]:
    rows = await stage.rows(
        "SELECT status FROM connector_status_events WHERE station_id = :id AND evse_no = :evse_no"
        " ORDER BY at, id",
        id=station.station_id,
        evse_no=evse_no,
    )
    return [row.status for row in rows]


async def test_statement_52_an_old_status_does_not_overwrite(stage: Stage, version: str) -> None:
    """A reports old statuses after a reconnect, B after its queue, C before it."""
    station = await stage.raw(version)
    began = station.now
    stage.pass_time(60)
    await station.report(1, "Unavailable", began + 50)
    await station.report(1, "Faulted", began + 20)
    await station.reconnect()
    await station.report(1, "Available", began + 10)
    row = await shown(stage, station.identity)
    assert (row.status, row.status_at) == ("Unavailable", moment(began + 50))
    assert await history(stage, station) == ["Available", "Faulted", "Unavailable"]


async def test_statement_52_of_one_second_the_later_message_counts(
    stage: Stage, version: str
) -> None:
    """B and C stamp whole seconds."""
    station = await stage.raw(version)
    await station.report(1, "Unavailable", station.now)
    await station.report(1, "Available", station.now)
    assert (await shown(stage, station.identity)).status == "Available"


async def test_a_repeated_status_is_one_row(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    said = station.speech.status(1, "Unavailable", station.now)
    for _ in range(3):
        await station.say(said)
        await station.reconnect()
    assert await history(stage, station) == ["Unavailable"]


@pytest.mark.parametrize("at", [None, 37.0, 4e9], ids=["none", "1970", "next century"])
async def test_a_status_without_a_credible_time_is_of_now(
    stage: Stage, version: str, at: float | None
) -> None:
    """D, E and F send none; a clock in the future must not outrank all that follows."""
    station = await stage.raw(version)
    await station.report(1, "Unavailable", at)
    assert (await shown(stage, station.identity)).status_at == moment(station.now)
    stage.pass_time(1)
    await station.report(1, "Available", station.now)
    assert (await shown(stage, station.identity)).status == "Available"


async def test_statement_52_connector_zero_is_the_station(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    await station.report(1, "Available", station.now)
    await station.report(0, "Unavailable", station.now)
    row = await shown(stage, station.identity)
    assert (row.status, row.whole) == ("Available", "Unavailable")
    stage.pass_time(1)
    # Nothing but Available, Unavailable and Faulted can be true of a whole station.
    await station.report(0, "Charging" if version == V16 else "Occupied", station.now)
    assert (await shown(stage, station.identity)).whole == "Unavailable"
    assert len(await history(stage, station, 0)) == 2
    await station.report(0, "Faulted", station.now)
    assert (await shown(stage, station.identity)).whole == "Faulted"


async def test_a_connector_nobody_commissioned_is_only_noted(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    await station.report(7, "Faulted", station.now)
    assert await history(stage, station, 7) == ["Faulted"]


async def test_statement_52_no_status_ends_a_transaction(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    words = ["Available", "Unavailable", "Faulted", "Reserved"]
    words += ["Finishing", "Preparing"] if version == V16 else ["Occupied"]
    for word in words:
        stage.pass_time(1)
        await station.report(1, word, station.now)
        assert (await stage.the_transaction(station.identity)).state == "Active"
    await station.end(session, 5_200)
    assert (await stage.the_transaction(station.identity)).energy_wh == 200


async def test_statement_73_availability_may_come_as_an_event(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(5)
    said = station.speech.status(1, "Available", station.now)
    event = {
        "eventId": 1,
        "timestamp": said.payload["timestamp"],
        "trigger": "Delta",
        "actualValue": "Available",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }
    payload = {"generatedAt": said.payload["timestamp"], "seqNo": 0, "eventData": [event]}
    await station.say(said._replace(action="NotifyEvent", payload=payload))
    assert (await shown(stage, station.identity)).status == "Available"
    # It is the same sign of a forgotten transaction as a StatusNotification.
    stage.pass_time(20 * 60)
    await stage.work()
    assert (await stage.the_transaction(station.identity)).state == "Ended"
    assert session.events


async def test_statement_32_a_station_that_forgets_to_boot_is_asked_to(
    stage: Stage, version: str
) -> None:
    """It came from another hub, where it was accepted long ago."""
    station = await stage.raw(version, boots=False)
    station.answers["TriggerMessage"] = {"status": "Accepted"}
    with pytest.raises(CallRefused, match="SecurityError"):
        await station.report(1, "Available", station.now)
    stage.pass_time(61)
    await stage.work()
    (asked,) = [payload for action, payload in station.asked if action == "TriggerMessage"]
    assert asked == {"requestedMessage": "BootNotification"}
    await station.boot()
    await station.report(1, "Available", station.now)
    await station.reconnect()
    stage.pass_time(61)
    await stage.work()
    assert [action for action, _ in station.asked].count("TriggerMessage") == 1


@pytest.mark.parametrize("word", ["Unavailable", "Reserved"])
async def test_statement_38_a_boot_clears_no_status_and_ends_no_transaction(
    stage: Stage, version: str, word: str
) -> None:
    station = await stage.raw(version)
    await station.report(1, word, station.now)
    session = await station.begin(await stage.new_token(), evse_no=2)
    stage.pass_time(60)
    await station.reconnect()
    await station.boot()
    assert (await shown(stage, station.identity)).status == word
    assert (await stage.the_transaction(station.identity)).state == "Active"
    stage.pass_time(60)
    await station.end(session, 6_000)
    row = await stage.the_transaction(station.identity)
    assert (row.state, row.energy_wh) == ("Ended", 1_000)


async def test_a_station_boots_faulted_without_an_error(stage: Stage) -> None:
    """D boots as Faulted with errorCode NoError."""
    station = await stage.simulated(V16, Misbehaviour.BOOT_FAULTED)
    row = await shown(stage, station.identity)
    assert (row.status, row.error_code) == ("Faulted", None)
    await station.set_fault(1, "GroundFailure")
    stage.pass_time(1)
    await station.set_fault(1, None)
    assert (await shown(stage, station.identity)).status == "Available"


async def test_old_statuses_after_an_outage_leave_the_newest(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.QUEUE_BEFORE_STATUS)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(30)
    await station.go_offline()
    await station.advance(30)
    await station.stop(1)
    await station.unplug(1)
    left_at = stage.clock.now()
    stage.pass_time(30)
    await station.come_back()
    row = await shown(stage, station.identity)
    assert (row.status, row.status_at) == ("Available", moment(left_at))
