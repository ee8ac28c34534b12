"""A driver's whole way: log in, find the hub, reserve, come, charge, be told of the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import update
from structlog.testing import capture_logs

from chargehub.reservations.rules import Terms
from chargehub.reservations.store import OPEN, reservations
from chargehub.reservations.terms import add_version
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.drivers import Phone, new_phone
from tests.scenarios.stage import Stage, open_stage
from tests.scenarios.test_charges import app_token, catch_up

LATITUDE, LONGITUDE = 28.97, 118.87
WHOLE_HUB = Terms(held_share_percent=100, no_show_limit=1)
"""One no-show suspends, so that it is seen whether it counts."""


@pytest_asyncio.fixture(scope="module")
async def _open_stage(module_database_url: str) -> AsyncIterator[Stage]:
    """A demo, whose text messages are in the log."""
    opened = await open_stage(module_database_url, demo=True)
    async with opened.database.write() as connection:
        at = opened.clock.date()
        await add_version(
            connection,
            WHOLE_HUB,
            location_id="hub",
            valid_from=at,
            created_by="test",
            created_at=at,
        )
    yield opened
    await opened.hub.stop()
    await opened.database.close()


@pytest_asyncio.fixture(autouse=True)
async def _nobody_else_has_a_gun(stage: Stage) -> None:
    async with stage.database.write() as connection:
        await connection.execute(
            update(reservations)
            .where(reservations.c.status.in_(OPEN))
            .values(status="cancelled", ended_at=stage.clock.date())
        )


async def log_in(stage: Stage) -> Phone:
    """Come in by phone and the code of the text message."""
    nobody = Phone(stage, UUID(int=0), "none")
    number = f"+86139{next(stage.numbers):08d}"
    with capture_logs() as logs:
        sent = await nobody.ask("POST", "/driver-logins/codes", json={"phone": number})
    assert sent.status_code == 202, sent.text
    (code,) = [entry["code"] for entry in logs if entry["event"] == "sms_of_the_demo"]
    made = await nobody.post("/driver-logins", {"phone": number, "code": code})
    return Phone(stage, UUID(made["driver_id"]), made["token"])


async def reserve(phone: Phone, station: SimulatedStation, **more: Any) -> str:
    """Reserve the first gun over REST and return where the reservation is found."""
    body = {"gun_code": f"{station.identity}-1", **more}
    made = await phone.post("/reservations", body)
    await phone.stage.work()
    return f"/reservations/{made['id']}"


async def charge(phone: Phone, station: SimulatedStation) -> str:
    await station.plug_in(1, Car(soc=0.3))
    made = await phone.post(
        "/charges", {"gun_code": f"{station.identity}-1", "limits": {"energy_wh": 3_000}}
    )
    await station.settled()
    await phone.stage.hub.charging.watch.idle()
    return f"/charges/{made['id']}"


async def check_others_are_refused(stage: Stage, station: SimulatedStation) -> None:
    """Another driver asks for the held gun by the app, and by card at the gun."""
    stranger = await new_phone(stage)
    card = await stranger.add_card("ISO14443")
    await station.plug_in(1, Car())
    answer = await stranger.ask("POST", "/charges", json={"gun_code": f"{station.identity}-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "gun-not-free")
    assert answer.json()["detail"] == "The gun is reserved for another driver."
    (held,) = await stage.rows("SELECT hold_until FROM reservations WHERE status = 'active'")
    assert answer.json()["rule"] == "gun_free"
    assert datetime.fromisoformat(answer.json()["passes_at"]) == held.hold_until
    await station.present_token(1, card)
    assert station.gun(1).transaction is None
    await station.unplug(1)


async def check_used(stage: Stage, phone: Phone, path: str, station: SimulatedStation) -> None:
    told = await phone.get(path)
    begun = (await stage.transactions_of(station.identity))[-1]
    assert (told["status"], told["transaction_id"]) == ("used", begun.id)
    assert begun.reservation_id == told["id"]
    assert begun.authorization_status == "Accepted"


@pytest.mark.parametrize("held_by", ["station", "hub"])
async def test_from_the_login_to_the_end_of_the_charge(
    stage: Stage, version: str, held_by: str
) -> None:
    phone = await log_in(stage)
    quirks = [Misbehaviour.NO_RESERVATIONS] if held_by == "hub" else []
    station = await stage.simulated(version, *quirks)
    await stage.work()
    here = {"latitude": LATITUDE, "longitude": LONGITUDE}
    found = (await phone.get("/locations/nearby", **here))["items"][0]
    assert (found["id"], found["guns_free"]) == ("hub", 2)
    path = await reserve(phone, station)
    told = await phone.get(path)
    assert (told["status"], told["held_by"]) == ("active", held_by)
    assert (await phone.get("/locations/nearby", **here))["items"][0]["guns_free"] == 1
    stage.pass_time(300)
    await check_others_are_refused(stage, station)
    assert (await phone.get(path))["status"] == "active"

    charging = await charge(phone, station)
    assert (await phone.get(charging))["state"] == "charging"
    await check_used(stage, phone, path, station)
    await station.advance(120)
    await catch_up(stage, station)
    over = await phone.get(charging)
    assert (over["state"], over["end_reason"]) == ("ended", "energy_limit")
    messages = (await phone.get("/inbox"))["items"]
    assert [message["kind"] for message in messages] == ["charging_ended", "reservation_called"]
    (listed,) = (await phone.get("/charges"))["items"]
    assert (listed["id"], listed["energy_wh"]) == (over["id"], over["energy_wh"])

    # The gun is anybody's again.
    await station.unplug(1)
    await charge(await new_phone(stage), station)
    assert station.gun(1).transaction is not None


async def test_a_station_that_was_away_as_the_hold_began_holds_it_when_it_is_back(
    stage: Stage, version: str
) -> None:
    phone = await log_in(stage)
    station = await stage.simulated(version)
    await stage.work()
    starts_at = (stage.clock.date() + timedelta(minutes=30)).isoformat()
    path = await reserve(phone, station, starts_at=starts_at)
    await station.go_offline()
    stage.pass_time(10 * 60)
    await stage.work()
    told = await phone.get(path)
    # Nobody is sent to a gun that nobody can be sure of.
    assert (told["status"], told["called_at"]) == ("pending", None)
    stage.pass_time(60)
    await station.come_back()
    stage.pass_time(5)
    await stage.work()
    told = await phone.get(path)
    assert (told["status"], told["held_by"]) == ("active", "station")
    assert told["called_at"] is not None
    await check_others_are_refused(stage, station)
    stage.pass_time(20 * 60)
    await charge(phone, station)
    await check_used(stage, phone, path, station)


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("in_time", [True, False])
async def test_who_began_to_charge_while_the_station_was_away_did_come(
    stage: Stage, version: str, *, moved: bool, in_time: bool
) -> None:
    """The station held the gun, let its driver charge, and tells of it when all is over."""
    phone = await log_in(stage)
    station = await stage.simulated(version)
    await stage.work()
    path = await reserve(phone, station)
    assert (await phone.get(path))["held_by"] == "station"
    await station.go_offline()
    if moved:
        await stage.simulated(version)
    for minute in range(1, 20):
        stage.pass_time(60)
        await stage.work()
        if minute == (5 if in_time else 17):
            await station.plug_in(1, Car(soc=0.3))
            assert await station.present_token(1, await app_token(stage, phone))
    missed = await phone.get(path)
    assert missed["status"] == ("no_show" if moved else "failed")
    again = {"gun_code": f"{station.identity}-2"}
    if moved:
        refused = await phone.ask("POST", "/reservations", json=again)
        assert (refused.status_code, refused.json()["rule"]) == (409, "no_show_limit")
    await station.come_back()
    await stage.work()
    if not in_time:
        assert await phone.get(path) == missed
        return
    await check_used(stage, phone, path, station)
    # It counts for nothing any more.
    assert (await phone.ask("POST", "/reservations", json=again)).status_code == 201
