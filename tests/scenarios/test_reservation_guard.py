"""Who may charge at a gun that is held, and what that does to the reservation: statement 69."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from chargehub.reservations.guard import EvseHeld
from chargehub.stations.store import charging_stations
from chargehub.telemetry.readings import Flag
from tests.scenarios.reserving import book, take_due
from tests.scenarios.speech import V16, Session
from tests.scenarios.stage import MAX_POWER_W, RawStation, Stage, flags_of

BLOCKED = {V16: "Blocked"}
"""1.6 has no word for a wrong time; 2.x has NotAtThisTime."""


def refused(version: str) -> str:
    return BLOCKED.get(version, "NotAtThisTime")


async def start(station: RawStation, token: str, evse_no: int = 1, **more: Any) -> str | None:
    """Start a transaction and return how its token was judged."""
    session = Session(evse_no, token)
    at = more.pop("at", station.now)
    message = station.speech.started(session, at, 5_000, **more)
    if version_of(station) == V16:
        message.payload.pop("offline", None)
    answer = await station.say(message)
    station.speech.learn(session, answer)
    return station.speech.verdict(answer).status


def version_of(station: RawStation) -> str:
    return station.wire.account.subprotocol


async def test_statement_69_the_reservation_that_is_named_is_used_up(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    booked = await book(stage, station.identity, token)
    assert await start(station, token, reservation_id=booked.id) == "Accepted"
    transaction = await stage.the_transaction(station.identity)
    row = await booked.row()
    assert (row.status, row.transaction_id) == ("used", transaction.id)
    assert transaction.reservation_id == booked.id


async def test_statement_69_a_named_one_is_used_before_its_window(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    now = stage.clock.date()
    window = {"held_from": now + timedelta(hours=1), "hold_until": now + timedelta(hours=2)}
    named = await book(stage, station.identity, token, 1, **window)
    unnamed = await book(stage, station.identity, token, 2, **window)
    session = await station.begin(token, evse_no=2)
    assert (await unnamed.row()).status == "pending"
    await station.end(session, 6_000)
    assert await start(station, token, reservation_id=named.id) == "Accepted"
    assert (await named.row()).status == "used"


async def test_statement_69_its_token_uses_it_up_without_naming_it(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    booked = await book(stage, station.identity, token)
    assert await start(station, token.swapcase()) == "Accepted"
    transaction = await stage.the_transaction(station.identity)
    row = await booked.row()
    assert (row.status, row.transaction_id) == ("used", transaction.id)
    assert transaction.reservation_id == booked.id
    assert row.ended_at == transaction.started_at


async def test_statement_69_its_group_uses_it_up(stage: Stage, version: str) -> None:
    group = f"DRV-{next(stage.numbers)}"
    mine, second = [await stage.new_token(group_token=group) for _ in range(2)]
    station = await stage.raw(version)
    booked = await book(stage, station.identity, mine, group_token=group.lower())
    assert (await station.authorize(second)).status == "Accepted"
    assert await start(station, second) == "Accepted"
    assert (await booked.row()).status == "used"


async def test_statement_69_a_stranger_who_names_it_uses_up_nothing(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    booked = await book(stage, station.identity, await stage.new_token())
    assert await start(station, await stage.new_token(), reservation_id=booked.id) == refused(
        version
    )
    assert (await booked.row()).status == "pending"


async def test_statement_69_a_repeated_start_uses_up_one(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.raw(version)
    booked = await book(stage, station.identity, token)
    session = Session(1, token)
    message = station.speech.started(session, station.now, 5_000)
    await station.say(message)
    used = await booked.row()
    next_one = await book(stage, station.identity, token)
    await station.say(message)
    assert (await booked.row()) == used
    assert (await next_one.row()).status == "pending"


async def test_a_charge_uses_only_what_it_can_use(stage: Stage, version: str) -> None:
    """Another gun does where the rules say so, and only where it is as powerful."""
    token, station = await stage.new_token(), await stage.raw(version)
    now = stage.clock.date()
    strong = {"wanted_power_w": MAX_POWER_W + 1, "binds_any": True}
    unfit = await book(stage, station.identity, token, 1, **strong)
    other = (await stage.raw(version)).identity
    bound = await book(stage, other, token, 1)
    assert await start(station, token, 2, reservation_id=unfit.id) == "Accepted"
    assert {(await one.row()).status for one in (unfit, bound)} == {"pending"}
    transaction = await stage.the_transaction(station.identity)
    told = unfit.id if transaction.reservation_id is not None else None
    assert transaction.reservation_id == told  # What its station said of it.
    # Of several the one that fits, though it ends last.
    second = await stage.new_token()
    for one in (unfit, bound):
        await one.change(id_token=second.lower())
    later = now + timedelta(minutes=20)
    fits = await book(stage, other, second, 2, binds_any=True, hold_until=later)
    third = await stage.raw(version)
    assert await start(third, second, 1) == "Accepted"
    assert (await fits.row()).status == "used"
    assert {(await one.row()).status for one in (unfit, bound)} == {"pending"}
    assert (await stage.the_transaction(third.identity)).reservation_id == fits.id


async def test_a_stranger_is_refused_at_a_held_gun_only(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    stranger = await stage.new_token()
    booked = await book(stage, station.identity, await stage.new_token())
    # The other gun is free, so the card as such is good; 2.x says at which gun.
    answer = await station.say(station.speech.authorize(stranger))
    assert station.speech.verdict(answer).status == "Accepted"
    if version != V16:
        assert answer["idTokenInfo"]["evseId"] == [2]
        assert "cacheExpiryDateTime" in answer["idTokenInfo"]
    assert await start(station, stranger, 1) == refused(version)
    row = await stage.the_transaction(station.identity)
    assert flags_of(row) == Flag.REFUSED_TOKEN
    assert (await booked.row()).status == "pending"
    assert await start(station, stranger, 2) == "Accepted"
    # All that is left is the held gun.
    another = await stage.new_token()
    assert (await station.authorize(another)).status == refused(version)
    # Who charges here may stop.
    assert (await station.authorize(stranger)).status == "Accepted"


async def test_a_hold_that_is_over_or_to_come_refuses_nobody(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    now = stage.clock.date()
    minute = timedelta(minutes=1)
    for evse_no, window in ((1, (-9, 0)), (2, (1, 9))):
        begin, end = (now + minute * one for one in window)
        token = await stage.new_token()
        more = {"held_from": begin, "hold_until": end, "status": "active"}
        await book(stage, station.identity, token, evse_no, **more)
    assert (await station.authorize(await stage.new_token())).status == "Accepted"
    assert await start(station, await stage.new_token(), 1) == "Accepted"
    assert await start(station, await stage.new_token(), 2) == "Accepted"


async def test_what_began_offline_is_accepted_and_flagged(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    booked = await book(stage, station.identity, await stage.new_token())
    await station.wire.close(abruptly=True)
    stage.pass_time(60)
    began = station.now
    stage.pass_time(60)
    await station.wire.open()
    stranger = await stage.new_token()
    assert await start(station, stranger, at=began, offline=True) == "Accepted"
    row = await stage.the_transaction(station.identity)
    assert row.authorization_status == "Accepted"
    assert flags_of(row) & Flag.HELD_FOR_ANOTHER
    assert (await booked.row()).status == "pending"
    assert await booked.is_asked_again()


@pytest.mark.parametrize(("seconds", "status"), [(59, "used"), (60, "no_show")])
async def test_who_had_begun_as_the_hold_ended_did_come(
    stage: Stage, version: str, seconds: int, status: str
) -> None:
    station = await stage.raw(version)
    token, now = await stage.new_token(), stage.clock.date()
    over = now + timedelta(minutes=1)
    booked = await book(
        stage, station.identity, token, hold_until=over, status="no_show", ended_at=over
    )
    began = station.now + seconds
    stage.pass_time(seconds + 3)
    assert await start(station, token, at=began) == "Accepted"
    row = await booked.row()
    assert row.status == status
    assert (row.transaction_id is not None) == (status == "used")


async def test_what_a_driver_cancelled_stays_cancelled(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    token = await stage.new_token()
    booked = await book(stage, station.identity, token, status="cancelled")
    assert await start(station, token) == "Accepted"
    assert (await booked.row()).status == "cancelled"


async def test_what_began_before_the_hold_is_no_trespass(stage: Stage, version: str) -> None:
    station = await stage.raw(version)
    await station.wire.close(abruptly=True)
    began = station.now
    stage.pass_time(60)
    await book(stage, station.identity, await stage.new_token())
    await station.wire.open()
    assert await start(station, await stage.new_token(), at=began, offline=True) == "Accepted"
    row = await stage.the_transaction(station.identity)
    assert not flags_of(row) & Flag.HELD_FOR_ANOTHER


async def test_a_token_that_comes_later_is_judged_too(stage: Stage, version_2x: str) -> None:
    """A transaction may begin with the cable; who presents a card then is refused or welcome."""
    station = await stage.raw(version_2x)
    mine, stranger = await stage.new_token(), await stage.new_token()
    booked = await book(stage, station.identity, mine)
    session = Session(1, mine)
    await station.say(
        station.speech.started(session, station.now, 5_000, token=None, trigger="CablePluggedIn")
    )
    assert (await booked.row()).status == "pending"
    for token, word, status in (
        (stranger, "NotAtThisTime", "pending"),
        (mine, "Accepted", "used"),
    ):
        stage.pass_time(1)
        event = station.speech.sampled(session, station.now, [station.speech.value(5_000)])
        event.payload["idToken"] = {"idToken": token, "type": "ISO14443"}
        event.payload["triggerReason"] = "Authorized"
        assert station.speech.verdict(await station.say(event)).status == word
        assert (await booked.row()).status == status


@pytest.mark.parametrize("binds", [True, False])
async def test_a_charge_at_another_gun_uses_it_up_where_the_rules_say_so(
    stage: Stage, version: str, binds: bool
) -> None:
    token = await stage.new_token()
    held, other = await stage.raw(version), await stage.raw(version)
    booked = await book(stage, held.identity, token, binds_any=binds)
    assert await start(other, token, 2) == "Accepted"
    row = await booked.row()
    assert row.status == ("used" if binds else "pending")
    told = await take_due(stage, "reservation.release", f"{booked.id}:")
    # The station that holds the gun is to forget it.
    assert told == ([f"{booked.id}:{held.station_id}"] if binds else [])


@pytest.mark.parametrize("weaker", ["gun", "cabinet"])
async def test_a_weaker_gun_does_not_use_it_up(stage: Stage, version: str, weaker: str) -> None:
    token = await stage.new_token()
    held, other = await stage.raw(version), await stage.raw(version)
    wanted_w = 480_000 if weaker == "gun" else MAX_POWER_W
    booked = await book(stage, held.identity, token, binds_any=True, wanted_power_w=wanted_w)
    if weaker == "cabinet":
        mine = charging_stations.c.id == other.station_id
        async with stage.database.write() as connection:
            statement = update(charging_stations).where(mine)
            await connection.execute(statement.values(max_power_w=MAX_POWER_W - 1))
    assert await start(other, token) == "Accepted"
    assert (await booked.row()).status == "pending"
    assert await take_due(stage, "reservation.release", f"{booked.id}:") == []


async def test_a_remote_start_at_a_held_gun_is_for_its_driver_only(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    action = "RemoteStartTransaction" if version == V16 else "RequestStartTransaction"
    station.answers[action] = {"status": "Accepted"}
    group = f"DRV-{next(stage.numbers)}"
    mine, second = [await stage.new_token(group_token=group) for _ in range(2)]
    stranger = await stage.new_token()
    await book(stage, station.identity, mine, group_token=group)
    await book(stage, station.identity, await stage.new_token(), 2)
    remote = stage.hub.remote
    for evse_no in (1, None):
        with pytest.raises(EvseHeld) as error:
            await remote.request_start(station.station_id, evse_no, stranger, "test")
        assert error.value.facts["passes_at"] is not None
    assert station.asked == []
    for token in (mine, second):
        asked = await remote.request_start(station.station_id, 1, token, "test")
        assert asked.answer.status == "Accepted"
    with pytest.raises(EvseHeld):
        await remote.request_start(station.station_id, 2, mine, "test")
