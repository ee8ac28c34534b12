"""What drivers see of their charges: estimates, and what comes at the moment of a race."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.charging import ledger
from chargehub.charging.rules import Limits
from chargehub.reservations.guard import EvseHeld
from tests.scenarios.drivers import new_phone
from tests.scenarios.reserving import book
from tests.scenarios.speech import Message, Session, Speech201
from tests.scenarios.stage import Stage
from tests.scenarios.test_charges import app_token, told
from tests.scenarios.test_remote import ACCEPTED


async def test_what_is_told_while_a_transaction_is_looked_up_is_not_lost(
    stage: Stage, version_2x: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the read that found it nobody's it learns whose it is, and ends."""
    phone = await new_phone(stage)
    card = await phone.add_card("ISO14443")
    station = await stage.raw(version_2x)
    looked, go_on = asyncio.Event(), asyncio.Event()
    find = ledger.find_of_drivers

    async def held(
        connection: AsyncConnection, now: datetime, asked: Collection[int]
    ) -> frozenset[int]:
        found = await find(connection, now, asked)
        if not looked.is_set():
            looked.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(ledger, "find_of_drivers", held)
    speech, session = station.speech, Session(1, card)
    await station.say(speech.started(session, station.now, 5_000, token=None))
    async with asyncio.timeout(30):
        await looked.wait()
    assert isinstance(speech, Speech201)
    shown = speech.event(session, "Updated", station.now, trigger="Authorized")
    shown["idToken"] = speech.authorize(card).payload["idToken"]
    await station.say(Message("TransactionEvent", shown))
    await station.end(session, 9_000)
    go_on.set()
    await stage.hub.charging.watch.idle()
    (charge,) = (await phone.get("/charges"))["items"]
    assert (charge["state"], charge["started_by"]) == ("ended", "card")


@pytest.mark.parametrize(
    ("chosen", "minutes_left"),
    # From 50 % to 80 % at 60 kW, and from there to the full at half of that: 70 % of the battery.
    [("default", 42), ("other", 84), ("card", 42), ("none", None)],
)
async def test_the_battery_of_the_drivers_vehicle_says_how_long_it_takes(
    stage: Stage, version: str, chosen: str, minutes_left: int | None
) -> None:
    """From the first sample on, before its state of charge has risen."""
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    await station.report(1, "Available", station.now)
    body = {"gun_code": f"{station.identity}-1"}
    if chosen != "none":
        await phone.post("/vehicles", {"plate": "浙HD10001", "battery_wh": 60_000})
        stage.pass_time(1)
        larger = await phone.post("/vehicles", {"plate": "浙HD10002", "battery_wh": 120_000})
        if chosen == "other":
            body["vehicle_id"] = larger["id"]
    if chosen == "card":
        token = await phone.add_card("ISO14443")
    else:
        await phone.post("/charges", body)
        token = await app_token(stage, phone)
    session = await station.begin(token, 5_000)
    stage.pass_time(60)
    speech = station.speech
    values = [
        speech.value(6_000),
        speech.value(60_000, measurand="Power.Active.Import", unit="W"),
        speech.value(50, measurand="SoC", unit="Percent"),
    ]
    await station.say(speech.sampled(session, station.now, values))
    await stage.hub.charging.watch.idle()
    (charge,) = (await phone.get("/charges"))["items"]
    live = charge["live"]
    assert (live["soc_percent"], live["minutes_left"]) == (50.0, minutes_left)


async def test_a_gun_reserved_since_the_driver_looked_says_so(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    await book(stage, station.identity, "ANOTHERS")
    station_id = await stage.station_id(station.identity)
    with pytest.raises(EvseHeld) as refused:
        await stage.hub.charging.start(phone.driver_id, station_id, 1, Limits())
    assert refused.value.facts["rule"] == "gun_held"
    assert (await phone.get("/charges"))["items"] == []
    assert await told(phone) == []
    assert not [action for action, _ in station.asked if "Start" in action]
