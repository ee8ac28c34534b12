"""Cars that start by themselves (即插即充): bound by a charge of one's own, revoked at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from chargehub.drivers.inbox_texts import render
from chargehub.drivers.store import drivers
from chargehub.drivers.vehicle_identity import has_check_digit
from simulators.car import Car
from simulators.station import SimulatedStation
from tests.scenarios.drivers import Phone, new_phone
from tests.scenarios.reserving import book
from tests.scenarios.speech import V16, Session
from tests.scenarios.stage import Stage
from tests.scenarios.test_charges import start, told

CONSENT = {"version": "2026-11-24", "accepted": True}
BATTERY_WH = 61_000
BY = pytest.mark.parametrize("by", ["vin", "mac"])


def new_car(stage: Stage, by: str = "vin") -> Car:
    number = next(stage.numbers)
    if by == "mac":
        return Car(soc=0.3, mac=f"0A1B2C{number:06X}")
    vins = (f"LSVAA418{digit}C2{number:06d}" for digit in "0123456789X")
    return Car(soc=0.3, vin=next(vin for vin in vins if has_check_digit(vin)))


async def autocharging(stage: Stage, version: str) -> SimulatedStation:
    station = await stage.simulated(version)
    station.autocharge = True
    return station


@dataclass
class Bound:
    phone: Phone
    vehicle: str
    car: Car

    @property
    def path(self) -> str:
        return f"/vehicles/{self.vehicle}/plug-and-charge"


async def with_vehicle(stage: Stage, car: Car) -> Bound:
    phone = await new_phone(stage)
    await phone.post("/vehicles", {"plate": "浙HD54321", "battery_wh": 40_000})
    mine = {"plate": "浙HD12345", "vin": car.vin, "battery_wh": BATTERY_WH}
    made = await phone.post("/vehicles", mine)
    return Bound(phone, made["id"], car)


async def bind(stage: Stage, version: str, by: str = "vin", car: Car | None = None) -> Bound:
    """Let a driver bind their car as they do: it is refused, charged by app, and confirmed."""
    bound = await with_vehicle(stage, car or new_car(stage, by))
    station = await autocharging(stage, version)
    await station.plug_in(1, bound.car)
    assert await stage.transactions_of(station.identity) == []
    await start(bound.phone, station)
    await bound.phone.post(bound.path, {"consent": CONSENT})
    await station.unplug(1)
    await stage.hub.charging.watch.idle()
    stage.pass_time(1)
    return bound


async def confirm(bound: Bound, **more: Any) -> httpx.Response:
    return await bound.phone.ask("POST", bound.path, json={"consent": CONSENT} | more)


async def charges_by_itself(stage: Stage, station: SimulatedStation, car: Car) -> bool:
    """Plug the car in and tell whether energy flows without anybody's doing."""
    car.soc = 0.3
    await station.plug_in(1, car)
    await station.settled()
    await stage.hub.charging.watch.idle()
    transaction = station.gun(1).transaction
    return transaction is not None and transaction.charging


async def test_an_unknown_car_is_refused_and_said_so(stage: Stage, version: str) -> None:
    station = await autocharging(stage, version)
    car = new_car(stage)
    assert car.vin is not None
    with capture_logs() as logs:
        assert not await charges_by_itself(stage, station, car)
    (said,) = [one for one in logs if one["event"] == "car_refused"]
    assert (said["why"], said["evse_no"], said["car"][-6:]) == ("unbound", 1, car.vin[-6:])
    assert car.vin not in str(logs)
    assert await stage.transactions_of(station.identity) == []


@BY
async def test_a_bound_car_charges_without_a_card(stage: Stage, version: str, by: str) -> None:
    bound = await bind(stage, version, by)
    station = await autocharging(stage, version)
    assert await charges_by_itself(stage, station, bound.car)
    row = await stage.the_transaction(station.identity)
    assert row.authorization_status == "Accepted"
    assert row.id_token.startswith("pnc-")
    name = (bound.car.vin or bound.car.mac or "").lower()
    assert name not in str([row, *await stage.events_of(row.id)]).lower()
    newest, first = (await bound.phone.get("/charges"))["items"]
    assert (newest["started_by"], first["started_by"]) == (by, "app")
    assert newest["state"] == "charging"
    (charge,) = await stage.rows(
        "SELECT battery_wh FROM charges WHERE id::text = :id", id=newest["id"]
    )
    assert charge.battery_wh == BATTERY_WH
    began = [facts for kind, facts in await told(bound.phone) if kind == "plug_and_charge_began"]
    (facts,) = began
    assert facts["charge_id"] == newest["id"]
    assert station.identity in render("plug_and_charge_began", facts, "zh")[1]
    await station.stop(1)
    await stage.hub.charging.watch.idle()
    over = await bound.phone.get(f"/charges/{newest['id']}")
    assert over["end_reason"] == "stopped_at_station"


async def test_a_start_that_is_told_again_after_the_binding_is_one(
    stage: Stage, version: str
) -> None:
    """By what the station said it is known, whatever the car is called here by then."""
    car = new_car(stage, "mac")
    assert car.mac is not None
    station = await stage.raw(version)
    session = Session(1, car.mac)
    message = station.speech.started(session, station.now, 5_000)
    await station.say(message)
    await bind(stage, version, car=car)
    await station.say(message)
    assert len(await stage.transactions_of(station.identity)) == 1


@pytest.mark.parametrize("how", ["revoked", "vin", "vehicle", "account", "staff"])
async def test_what_has_ended_is_refused_at_once(stage: Stage, version: str, how: str) -> None:
    bound = await bind(stage, version)
    why = {
        "revoked": "driver",
        "vin": "vin_changed",
        "vehicle": "vehicle_removed",
        "account": "account_closed",
        "staff": "blocked",
    }[how]
    match how:
        case "revoked":
            answer = await bound.phone.ask("DELETE", bound.path)
        case "vin":
            answer = await bound.phone.ask(
                "PATCH", f"/vehicles/{bound.vehicle}", json={"vin": new_car(stage).vin}
            )
        case "vehicle":
            answer = await bound.phone.ask("DELETE", f"/vehicles/{bound.vehicle}")
        case "account":
            answer = await bound.phone.ask("DELETE", "/drivers/me")
        case _:
            answer = httpx.Response(204)
            async with stage.database.write() as connection:
                await connection.exec_driver_sql(
                    "UPDATE id_tokens SET status = 'Blocked' WHERE driver_id = %s",
                    (bound.phone.driver_id,),
                )
    assert answer.is_success, answer.text
    station = await autocharging(stage, version)
    with capture_logs() as logs:
        assert not await charges_by_itself(stage, station, bound.car)
    assert [one["why"] for one in logs if one["event"] == "car_refused"] == [why]
    # A station that does not ask first is refused too.
    raw = await stage.raw(version)
    assert bound.car.vin is not None
    await raw.begin(bound.car.vin if version == V16 else f"VIN:{bound.car.vin}")
    assert (await stage.the_transaction(raw.identity)).authorization_status == "Blocked"


async def test_what_runs_when_it_is_revoked_goes_on(stage: Stage, version: str) -> None:
    bound = await bind(stage, version)
    station = await autocharging(stage, version)
    assert await charges_by_itself(stage, station, bound.car)
    await bound.phone.ask("DELETE", bound.path)
    await station.advance(60)
    assert (await bound.phone.get("/charges"))["items"][0]["state"] == "charging"
    await station.stop(1)
    await stage.hub.charging.watch.idle()
    assert (await stage.the_transaction(station.identity)).state == "Ended"


async def test_a_held_gun_takes_the_car_of_its_driver_only(stage: Stage, version: str) -> None:
    mine, foreign = await bind(stage, version), await bind(stage, version)
    station = await autocharging(stage, version)
    (row,) = await stage.rows(
        "SELECT group_token FROM drivers WHERE id = :id", id=mine.phone.driver_id
    )
    booked = await book(stage, station.identity, "app-1", 1, group_token=row.group_token.lower())
    await book(stage, station.identity, "app-2", 2)
    assert not await charges_by_itself(stage, station, foreign.car)
    await station.unplug(1)
    assert await charges_by_itself(stage, station, mine.car)
    assert (await booked.row()).status == "used"


async def test_only_a_charge_of_ones_own_binds(stage: Stage, version: str) -> None:
    """Who stands beside it gains nothing, and who charges after it has left gains nothing."""
    owner = await with_vehicle(stage, new_car(stage))
    thief = await with_vehicle(stage, Car())
    station = await autocharging(stage, version)
    await station.plug_in(1, owner.car)
    assert (await confirm(owner)).json()["code"] == "no-own-charge"
    await start(owner.phone, station)
    assert (await confirm(thief)).json()["code"] == "no-own-charge"
    stage.pass_time(61)
    # At the next gun.
    await station.plug_in(2, Car(soc=0.3))
    await start(thief.phone, station, evse_no=2)
    assert (await confirm(thief)).json()["code"] == "car-not-seen"
    assert (await thief.phone.get(thief.path))["seen"] is None
    await station.stop(2)
    await station.unplug(2)
    await stage.hub.charging.watch.idle()
    # At the same gun, later.
    stage.pass_time(1)
    await station.unplug(1)
    stage.pass_time(1)
    await station.plug_in(1, Car(soc=0.3))
    await start(thief.phone, station)
    assert (await confirm(thief)).json()["code"] == "car-not-seen"


async def test_a_charge_that_began_by_itself_proves_nothing(stage: Stage, version: str) -> None:
    """Nobody may have been there."""
    bound = await bind(stage, version)
    station = await stage.simulated(version)
    await station.plug_in(1, bound.car)
    second, first = [station.dialect.car_token(car) for car in (new_car(stage, "mac"), bound.car)]
    assert first is not None
    assert second is not None
    await station.uplink.outbox.ask(station.dialect.authorize(second))
    assert await station.present_token(1, first)
    await stage.hub.charging.watch.idle()
    assert (await bound.phone.get("/charges"))["items"][0]["started_by"] == "vin"
    assert (await confirm(bound)).json()["code"] == "no-own-charge"


async def test_a_car_that_is_named_before_its_gun_is_told_is_at_no_gun(
    stage: Stage, version: str
) -> None:
    """Else who waits at the other gun of a cabinet could bind whoever comes."""
    thief, car = await with_vehicle(stage, Car()), new_car(stage)
    station = await autocharging(stage, version)
    await station.plug_in(1, Car(soc=0.3))
    token = station.dialect.car_token(car)
    assert token is not None
    await station.uplink.outbox.ask(station.dialect.authorize(token))
    stage.pass_time(2)
    await station.plug_in(2, Car(soc=0.3))
    await start(thief.phone, station)
    assert (await confirm(thief)).json()["code"] == "car-not-seen"


async def test_a_station_that_was_away_since_says_nothing_of_its_gun(
    stage: Stage, version: str
) -> None:
    owner = await with_vehicle(stage, new_car(stage))
    station = await autocharging(stage, version)
    await station.plug_in(1, owner.car)
    stage.pass_time(1)
    await station.go_offline()
    await station.come_back()
    await start(owner.phone, station)
    assert (await confirm(owner)).json()["code"] == "car-not-seen"


async def test_what_was_seen_is_forgotten_within_minutes(stage: Stage, version: str) -> None:
    owner = await with_vehicle(stage, new_car(stage))
    station = await autocharging(stage, version)
    await station.plug_in(1, owner.car)
    await start(owner.phone, station)
    seen = (await owner.phone.get(owner.path))["seen"]
    assert owner.car.vin is not None
    assert (seen["kind"], seen["gun_code"]) == ("VIN", f"{station.identity}-1")
    assert (seen["car"][-6:], owner.car.vin in str(seen)) == (owner.car.vin[-6:], False)
    stage.pass_time(15 * 60)
    assert (await confirm(owner)).json()["code"] == "car-not-seen"
    await stage.work()
    assert await stage.rows("SELECT 1 FROM vehicle_sightings") == []


async def test_one_car_is_one_accounts(stage: Stage, version: str) -> None:
    """A MAC, which anybody's vehicle may have: it is bound once, and again when it is free."""
    first = await bind(stage, version, "mac")
    second = await with_vehicle(stage, first.car)
    station = await autocharging(stage, version)
    # It starts for whom it is bound to, so nobody else is ever asked.
    assert await charges_by_itself(stage, station, first.car)
    assert (await stage.the_transaction(station.identity)).authorization_status == "Accepted"
    await station.unplug(1)
    await first.phone.ask("DELETE", first.path)
    assert not await charges_by_itself(stage, station, first.car)
    await start(second.phone, station)
    assert (await confirm(second)).status_code == 201
    assert (await confirm(second)).json()["code"] == "car-not-seen"
    await station.unplug(1)
    await stage.hub.charging.watch.idle()
    stage.pass_time(1)
    assert await charges_by_itself(stage, station, first.car)
    assert (await second.phone.get("/charges"))["items"][0]["started_by"] == "mac"
    assert len((await first.phone.get("/charges"))["items"]) == 2


async def test_who_only_typed_a_vin_keeps_nobody_from_binding_the_car(
    stage: Stage, version: str
) -> None:
    typed = await with_vehicle(stage, new_car(stage))
    bound = await bind(stage, version, car=typed.car)
    same = await bound.phone.ask(
        "PATCH", f"/vehicles/{bound.vehicle}", json={"vin": str(bound.car.vin).lower()}
    )
    assert same.status_code == 200, same.text
    station = await autocharging(stage, version)
    assert await charges_by_itself(stage, station, bound.car)
    assert (await bound.phone.get("/charges"))["items"][0]["started_by"] == "vin"
    for one in (typed, bound):
        assert (await one.phone.get(f"/vehicles/{one.vehicle}"))["vin"] == bound.car.vin
    assert (await typed.phone.get("/charges"))["items"] == []


async def test_who_has_the_vin_too_binds_the_car_when_it_is_free(
    stage: Stage, version: str
) -> None:
    """Both were seen to charge it while it was nobody's: the first to agree has it."""
    first = await with_vehicle(stage, new_car(stage))
    second = await with_vehicle(stage, first.car)
    for driver in (first, second):
        station = await autocharging(stage, version)
        await station.plug_in(1, driver.car)
        await start(driver.phone, station)
    assert (await confirm(first)).status_code == 201
    refused = await confirm(second)
    assert (refused.status_code, refused.json()["code"]) == (409, "car-bound")
    assert (await first.phone.ask("DELETE", first.path)).status_code == 204
    assert (await confirm(second)).status_code == 201


async def test_the_vin_of_the_vehicle_is_that_of_the_car(stage: Stage, version: str) -> None:
    car = new_car(stage)
    phone = await new_phone(stage)
    wrong = await phone.post("/vehicles", {"plate": "浙HD12345", "vin": new_car(stage).vin})
    empty = await phone.post("/vehicles", {"plate": "浙HD12346"})
    station = await autocharging(stage, version)
    await station.plug_in(1, car)
    await start(phone, station)
    refused = await confirm(Bound(phone, wrong["id"], car))
    assert (refused.status_code, refused.json()["code"]) == (409, "vin-differs")
    bad = await confirm(Bound(phone, empty["id"], car), gun_code="another")
    assert bad.json()["code"] == "car-not-seen"
    old = await confirm(Bound(phone, empty["id"], car), consent=CONSENT | {"version": "2025-01"})
    assert (old.json()["code"], old.json()["version"]) == ("consent-outdated", "2026-11-24")
    good = await confirm(Bound(phone, empty["id"], car), gun_code=f"{station.identity}-1".lower())
    assert good.status_code == 201, good.text
    assert (await phone.get(f"/vehicles/{empty['id']}"))["vin"] == car.vin


async def test_a_thief_who_knows_our_name_of_a_car_is_refused(
    stage: Stage, version_2x: str
) -> None:
    bound = await bind(stage, version_2x)
    (row,) = await stage.rows(
        "SELECT id_token FROM vehicle_bindings WHERE driver_id = :id", id=bound.phone.driver_id
    )
    station = await stage.raw(version_2x)
    assert (await station.authorize(row.id_token)).status == "Invalid"
    await station.begin(row.id_token)
    assert (await stage.the_transaction(station.identity)).authorization_status == "Invalid"


async def test_the_text_is_in_the_drivers_language(stage: Stage) -> None:
    owner = await with_vehicle(stage, new_car(stage))
    assert "即插即充" in (await owner.phone.get(owner.path))["consent"]["text"]
    async with stage.database.write() as connection:
        mine = drivers.c.id == owner.phone.driver_id
        await connection.execute(update(drivers).where(mine).values(language="en"))
    said = (await owner.phone.get(owner.path))["consent"]
    assert (said["language"], said["version"]) == ("en", "2026-11-24")
    assert "plug-and-charge" in said["text"]
