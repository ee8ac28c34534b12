"""What stations are told of reservations, and what they say: statements 66 to 68 and 70 to 73."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update as sql_update

from chargehub.reservations.store import STEP
from chargehub.stations.commands import VariableName
from chargehub.stations.store import charging_stations
from simulators.car import Car
from simulators.clock import rfc3339
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.reserving import Booked, book, shown, take_due
from tests.scenarios.speech import V16, V21, Message, Payload
from tests.scenarios.stage import RawStation, Stage

REFUSALS = ("Occupied", "Faulted", "Unavailable", "Rejected")
ACCEPTED: Payload = {"status": "Accepted"}


@pytest_asyncio.fixture(autouse=True)
async def _nothing_learned(stage: Stage) -> None:
    async with stage.database.write() as connection:
        await connection.exec_driver_sql("DELETE FROM reservation_support")


def reserving(station: RawStation, word: str = "Accepted") -> RawStation:
    station.answers = {"ReserveNow": {"status": word}, "CancelReservation": ACCEPTED}
    return station


def asked(station: RawStation, action: str) -> list[Payload]:
    return [payload for name, payload in station.asked if name == action]


async def holding(stage: Stage, version: str, **more: Any) -> tuple[RawStation, Booked]:
    """A station that has accepted a reservation of its first gun."""
    station = reserving(await stage.raw(version))
    await station.report(1, "Available", station.now)
    booked = await book(stage, station.identity, await stage.new_token(), **more)
    assert await booked.ask() == "Accepted"
    await booked.is_asked_again()
    return station, booked


def update(reservation_id: int, word: str) -> Message:
    payload = {"reservationId": reservation_id, "reservationUpdateStatus": word}
    return Message("ReservationStatusUpdate", payload)


@pytest.mark.parametrize("word", ["Accepted", *REFUSALS])
async def test_statement_66_only_accepted_makes_it_active(
    stage: Stage, version: str, word: str
) -> None:
    station = reserving(await stage.raw(version), word)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == word
    row = await booked.row()
    # What stations never do is left to us; whatever may pass is asked for again.
    status = {"Accepted": "active", "Rejected": "active"}.get(word, "pending")
    assert (row.station_answer, row.status) == (word, status)
    stage.pass_time(60)
    assert await booked.is_asked_again() == (status == "pending")
    assert (await booked.view()).held_by == ("station" if word == "Accepted" else "hub")
    (command,) = await stage.rows(
        "SELECT action, outcome, status FROM station_commands WHERE station_id = :id",
        id=station.station_id,
    )
    assert tuple(command) == ("ReserveNow", "answered", word)


async def test_statement_66_a_simulated_gun_says_why_it_cannot_be_held(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    token = await stage.new_token()
    await station.plug_in(2, Car())
    await station.set_fault(1, "GroundFailure")
    assert await (await book(stage, station.identity, token)).ask() == "Faulted"
    assert await (await book(stage, station.identity, token, 2)).ask() == "Occupied"


async def test_statement_67_the_id_is_ours_and_asking_again_amends(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Accepted"
    later = stage.clock.date() + timedelta(minutes=30)
    await booked.change(hold_until=later)
    assert await booked.ask() == "Accepted"
    held = station.gun(1).reservation
    assert held is not None
    assert (held.id, held.expires_at) == (booked.id, later.timestamp())
    # The same id moves it to the other gun.
    await booked.change(evse_no=2)
    assert await booked.ask() == "Accepted"
    assert station.gun(1).reservation is None
    held = station.gun(2).reservation
    assert held is not None
    assert held.id == booked.id
    another = await book(stage, station.identity, await stage.new_token())
    assert another.id != booked.id
    assert await another.ask() == "Accepted"


async def test_statement_68_it_ends_by_our_clock_though_the_station_is_away(
    stage: Stage, version: str
) -> None:
    station, booked = await holding(stage, version)
    stranger = await stage.new_token()
    await station.wire.close(abruptly=True)
    stage.pass_time(899)
    assert await shown(stage, station.identity) == "Reserved"
    stage.pass_time(1)
    assert await shown(stage, station.identity) == "Available"
    await station.wire.open()
    stage.pass_time(5)
    assert not await booked.is_asked_again()
    session = await station.begin(stranger)
    assert (await stage.the_transaction(station.identity)).authorization_status == "Accepted"
    await station.end(session, 6_000)


@pytest.mark.parametrize("word", ["Expired", "Removed", "NoTransaction"])
async def test_statement_68_an_update_is_applied_once_and_acknowledged_always(
    stage: Stage, version_2x: str, word: str
) -> None:
    if word == "NoTransaction" and version_2x != V21:
        pytest.skip("2.0.1 has no such word.")
    station, booked = await holding(stage, version_2x)
    foreign = reserving(await stage.raw(version_2x))
    assert await foreign.say(update(booked.id, word)) == {}
    assert await station.say(update(2**31 - 1, word)) == {}
    assert (await booked.row()).status == "active"
    assert not await booked.is_asked_again()
    for _ in range(2):
        assert await station.say(update(booked.id, word)) == {}
    row = await booked.row()
    if word == "NoTransaction":
        assert (row.status, row.end_reason) == ("expired", "no_transaction")
        ended_at = row.ended_at
        stage.pass_time(1)
        await station.say(update(booked.id, word))
        assert (await booked.row()).ended_at == ended_at
    else:
        # What the station forgot early is held by us, and it is asked whether it can go on.
        assert row.status == "active"
    assert await booked.is_asked_again() == (word == "Removed")
    steps = await take_due(stage, "reservation.step", str(booked.id))
    assert steps == ([str(booked.id)] if word == "Expired" else [])


async def test_statement_70_a_gun_is_always_named(stage: Stage, version: str) -> None:
    """Most stations reserve no gun in general, so a pool booking too is told with its gun."""
    station, _ = await holding(stage, version, any_evse=True)
    (payload,) = asked(station, "ReserveNow")
    assert payload["connectorId" if version == V16 else "evseId"] == 1


async def test_statement_70_a_station_that_was_told_so_by_hand_holds_any_gun(
    stage: Stage, version: str
) -> None:
    """The tag may then use any connector, and the charge uses the reservation up."""
    station = await stage.simulated(version)
    setting = station.configuration.find("ReserveConnectorZeroSupported")
    assert setting is not None
    setting.value = "true"
    token = await stage.new_token()
    booked = await book(stage, station.identity, token, 1, binds_any=True)
    call: Payload = {"expiryDate": "2026-11-30T00:00:00Z", "idTag": token, "connectorId": 0}
    call["reservationId"] = booked.id
    if version != V16:
        call = {"id": booked.id, "expiryDateTime": call["expiryDate"]}
        call["idToken"] = {"idToken": token, "type": "Central"}
    assert station.answer("ReserveNow", call).payload == ACCEPTED
    await station.plug_in(2, Car())
    assert await station.present_token(2, token)
    row = await booked.row()
    assert (row.status, row.transaction_id is not None) == ("used", True)


async def test_statement_71_the_group_is_told_and_any_card_of_it_may_start(
    stage: Stage, version: str
) -> None:
    group = f"DRV-{next(stage.numbers)}"
    mine, second = [await stage.new_token(group_token=group) for _ in range(2)]
    station = await stage.simulated(version)
    booked = await book(stage, station.identity, mine, group_token=group)
    assert await booked.ask() == "Accepted"
    held = station.gun(1).reservation
    assert held is not None
    assert (held.token.lower(), held.group) == (mine.lower(), group)
    assert not await station.present_token(1, await stage.new_token())
    await station.plug_in(1, Car())
    assert await station.present_token(1, second)
    transaction = await stage.the_transaction(station.identity)
    row = await booked.row()
    assert (row.status, row.transaction_id) == ("used", transaction.id)
    assert transaction.reservation_id == booked.id


async def test_statement_72_a_cancellation_is_told_and_rejected_means_the_same(
    stage: Stage, version: str
) -> None:
    station, booked = await holding(stage, version)
    await booked.change(status="cancelled", ended_at=stage.clock.date())
    for word in ("Accepted", "Rejected"):
        station.answers["CancelReservation"] = {"status": word}
        assert await booked.release()
    cancelled = asked(station, "CancelReservation")
    assert cancelled == [{"reservationId": booked.id}] * 2
    assert (await booked.row()).status == "cancelled"
    # A station that is away is told when it is back; one that never heard of it is not told.
    await station.wire.close(abruptly=True)
    assert not await booked.release()
    other = await book(stage, station.identity, await stage.new_token(), 2, status="cancelled")
    assert await other.release()


async def test_statement_72_it_survives_a_boot_and_the_station_is_told_again(
    stage: Stage, version: str
) -> None:
    station, booked = await holding(stage, version)
    over = await book(stage, station.identity, await stage.new_token(), 2, status="cancelled")
    await station.reconnect()
    await station.boot()
    assert (await booked.row()).status == "active"
    assert not await booked.is_asked_again()
    stage.pass_time(5)
    assert await booked.is_asked_again()
    assert not await over.is_asked_again()
    assert await booked.ask() == "Accepted"
    one, two = asked(station, "ReserveNow")
    assert one == two


async def test_statement_72_a_gun_that_breaks_ends_it_at_the_station(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Accepted"
    await booked.is_asked_again()
    await station.set_fault(1, "GroundFailure")
    assert await booked.is_asked_again()
    # Its driver gets the other gun.
    await booked.ask()
    row = await booked.row()
    assert (row.evse_no, row.status, row.station_answer) == (2, "pending", None)
    stage.pass_time(1)
    assert await booked.is_asked_again()
    assert await booked.ask() == "Accepted"
    held = station.gun(2).reservation
    assert held is not None
    assert held.id == booked.id


async def test_a_gun_that_becomes_free_goes_to_who_was_promised_one(
    stage: Stage, version: str
) -> None:
    """At a full Location somebody else would have it within the minute."""
    station = reserving(await stage.raw(version))
    for evse_no in (1, 2):
        await station.report(evse_no, "Occupied", station.now)
    booked = await book(stage, station.identity, await stage.new_token())
    called = await book(
        stage, station.identity, await stage.new_token(), 2, called_at=stage.clock.date()
    )
    await called.change(status="active", hold_until=stage.clock.date() + timedelta(seconds=30))
    stage.pass_time(40)
    await station.report(2, "Available", station.now)
    stage.pass_time(1)  # Others who wait at this hub come one after another.
    assert await take_due(stage, STEP, str(called.id)) == []
    assert await take_due(stage, STEP, str(booked.id)) == [str(booked.id)]
    await called.change(status="no_show")
    await stage.hub.worker.due[STEP](str(booked.id), {})
    row = await booked.row()
    assert (row.evse_no, row.called_at) == (2, stage.clock.date())


@pytest.mark.parametrize("word", ["Faulted", "Unavailable"])
async def test_statement_72_the_whole_station_breaks(stage: Stage, version: str, word: str) -> None:
    station, booked = await holding(stage, version)
    await station.report(2, word, station.now)
    assert not await booked.is_asked_again()
    await station.report(0 if version == V16 else 1, word, station.now)
    assert await booked.is_asked_again()


async def test_statement_73_reserved_is_shown_whichever_way_it_is_told(
    stage: Stage, version: str
) -> None:
    station = reserving(await stage.raw(version))
    for event in (False, True) if version != V16 else (False,):
        await station.report(1, "Available", station.now)
        assert await shown(stage, station.identity) == "Available"
        stage.pass_time(60)
        told = station.speech.status(1, "Reserved", station.now)
        await station.say(reserved_event(station.now) if event else told)
        assert await shown(stage, station.identity) == "Reserved"
        stage.pass_time(60)


def reserved_event(at: float) -> Message:
    event: Payload = {
        "eventId": 1,
        "timestamp": rfc3339(at),
        "trigger": "Delta",
        "actualValue": "Reserved",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }
    payload = {"generatedAt": rfc3339(at), "seqNo": 0, "tbc": False, "eventData": [event]}
    return Message("NotifyEvent", payload)


async def test_a_gun_that_only_we_hold_is_shown_as_reserved(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.NO_RESERVATIONS)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Unsupported"
    assert (await booked.row()).status == "active"
    assert await shown(stage, station.identity) == "Reserved"
    assert await shown(stage, station.identity, 2) == "Available"
    await booked.change(status="cancelled")
    assert await shown(stage, station.identity) == "Available"


async def reserve_calls(stage: Stage, identity: str) -> int:
    rows = await stage.rows(
        "SELECT 1 FROM station_commands WHERE action = 'ReserveNow' AND station_id = :id",
        id=await stage.station_id(identity),
    )
    return len(rows)


async def test_what_stations_of_a_kind_cannot_is_asked_once(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    first = await stage.simulated(version, Misbehaviour.UNKNOWN_RESERVATIONS)
    assert await (await book(stage, first.identity, token)).ask() == "Unsupported"
    assert await reserve_calls(stage, first.identity) == 1
    second = await stage.simulated(version, Misbehaviour.UNKNOWN_RESERVATIONS)
    booked = await book(stage, second.identity, token)
    assert await booked.ask() == "Unsupported"
    assert await reserve_calls(stage, second.identity) == 0
    # What we alone hold is of no use once it is broken.
    await first.plug_in(2, Car())
    await second.plug_in(2, Car())
    await second.set_fault(1, "GroundFailure")
    assert await booked.ask() == "Faulted"
    # So it is where only its station as a whole says that it is broken.
    third = await stage.simulated(version, Misbehaviour.UNKNOWN_RESERVATIONS)
    booked = await book(stage, third.identity, token)
    assert await booked.ask() == "Unsupported"
    whole = charging_stations.c.id == await stage.station_id(third.identity)
    async with stage.database.write() as connection:
        broken = sql_update(charging_stations).where(whole).values(status="Faulted")
        await connection.execute(broken)
    assert await booked.ask() == "Faulted"


async def test_what_a_station_says_it_cannot_is_not_asked(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    told = [(VariableName("", "SupportedFeatureProfiles"), "Core,RemoteTrigger")]
    if version != V16:
        told = [(VariableName("ReservationCtrlr", "Enabled"), "false")]
    for name, value in told:
        await stage.know(await stage.station_id(station.identity), name, value)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Unsupported"
    assert await reserve_calls(stage, station.identity) == 0
    assert await booked.release()


async def test_a_station_that_forgets_is_told_again(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.FORGETS_RESERVATIONS)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Accepted"
    await station.power_cut()
    await station.come_back()
    assert station.gun(1).reservation is None
    assert await shown(stage, station.identity) == "Reserved"
    stage.pass_time(5)
    assert await booked.is_asked_again()
    assert await booked.ask() == "Accepted"
    assert station.gun(1).reservation is not None


async def test_a_late_answer_is_asked_for_again(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.LATE_RESERVATIONS)
    booked = await book(stage, station.identity, await stage.new_token())
    with stage.patience(0.2):
        assert await booked.ask() is None
    row = await booked.row()
    assert (row.status, row.station_answer) == ("pending", None)
    assert await booked.ask() == "Accepted"


async def test_its_driver_comes_while_it_is_asked_again(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() == "Accepted"
    await station.plug_in(1, Car())
    assert await booked.ask() == "Accepted"


async def test_a_station_that_was_away_is_told_on_its_return(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    await station.go_offline()
    booked = await book(stage, station.identity, await stage.new_token())
    assert await booked.ask() is None
    await station.come_back()
    stage.pass_time(5)
    assert await booked.is_asked_again()
    assert await booked.ask() == "Accepted"
    # What it answered for is not told again at a mere reconnect.
    await station.go_offline()
    await station.come_back()
    stage.pass_time(5)
    assert not await booked.is_asked_again()
