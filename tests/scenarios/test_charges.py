"""A driver's own charge, from the scan to the end, by app, card and car."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chargehub.drivers.cards import give_card
from chargehub.stations.labels import label_url
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.drivers import Phone, new_phone
from tests.scenarios.speech import V16
from tests.scenarios.stage import CALL_TIMEOUT_S, RawStation, Stage
from tests.scenarios.test_remote import ACCEPTED, REJECTED, SILENCE_S

GIVE_UP_S = CALL_TIMEOUT_S + 190
OFFERED_W = 120_000


async def start(
    phone: Phone, station: Any, limits: dict[str, Any] | None = None, *, evse_no: int = 1
) -> dict[str, Any]:
    body: dict[str, Any] = {"gun_code": f"{station.identity}-{evse_no}"}
    if limits is not None:
        body["limits"] = limits
    if isinstance(station, RawStation):
        await station.report(evse_no, "Available", station.now)
    charge = await phone.post("/charges", body)
    if isinstance(station, SimulatedStation):
        await station.settled()
    await phone.stage.hub.charging.watch.idle()
    return charge


async def catch_up(stage: Stage, station: SimulatedStation) -> None:
    """Let the watch see what was told, the worker act, and the station follow."""
    await stage.hub.charging.watch.idle()
    await stage.work()
    await station.settled()
    await stage.hub.charging.watch.idle()


async def told(phone: Phone) -> list[tuple[str, dict[str, Any]]]:
    """Return what the driver was told of their charges."""
    rows = await phone.stage.rows(
        "SELECT kind, facts FROM inbox_messages WHERE driver_id = :driver ORDER BY at",
        driver=phone.driver_id,
    )
    return [(row.kind, row.facts) for row in rows]


async def began(stage: Stage, version: str) -> tuple[Phone, SimulatedStation, str]:
    phone = await new_phone(stage)
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    charge = await start(phone, station)
    return phone, station, f"/charges/{charge['id']}"


@pytest.mark.parametrize("form", ["number", "small letters", "label", "vendor"])
async def test_a_charge_is_started_by_what_stands_on_the_gun(
    stage: Stage, version: str, form: str
) -> None:
    phone = await new_phone(stage)
    station = await stage.simulated(version)
    await station.plug_in(2, Car(soc=0.3))
    code = f"{station.identity}-2"
    scanned = {
        "number": code,
        "small letters": f" {code.lower()} ",
        "label": label_url(stage.addresses.api_url, code),
        "vendor": f"{stage.addresses.api_url}/pile?connectorId={code}",
    }[form]
    gun = await phone.get("/guns/resolve", code=scanned)
    assert (gun["gun_code"], gun["state"], gun["may_start"]) == (code, "free", True)
    assert (gun["station"], gun["location_id"], gun["plugged_in"]) == (
        station.identity,
        "hub",
        True,
    )
    charge = await phone.post("/charges", {"gun_code": scanned})
    assert charge["state"] in {"starting", "charging"}
    await station.settled()
    await stage.hub.charging.watch.idle()
    found = await phone.get(f"/charges/{charge['id']}")
    assert (found["state"], found["evse_no"], found["started_by"]) == ("charging", 2, "app")
    row = await stage.the_transaction(station.identity)
    assert row.id_token.startswith("app-")


async def test_the_live_view_rises_and_the_driver_stops_it(stage: Stage, version: str) -> None:
    phone, station, path = await began(stage, version)
    seen = []
    for _ in range(3):
        await station.advance(60)
        seen.append(await phone.get(path))
    energies = [view["energy_wh"] for view in seen]
    assert energies == sorted(set(energies))
    assert energies[0] > 0
    assert [view["minutes_charged"] for view in seen] == [1, 2, 3]
    last = seen[-1]["live"]
    assert last["power_w"] > 0
    assert last["soc_percent"] > 30
    assert last["minutes_left"] > 0
    stopped = await phone.post(f"{path}/stop")
    assert stopped["stop_answer"] == "Accepted"
    await station.settled()
    await stage.settle()
    await stage.hub.charging.watch.idle()
    over = await phone.get(path)
    assert (over["state"], over["end_reason"], over["live"]) == ("ended", "stopped_by_driver", None)
    row = await stage.the_transaction(station.identity)
    assert (row.state, over["energy_wh"]) == ("Ended", row.energy_wh)
    ((kind, facts),) = await told(phone)
    assert (kind, facts["reason"], facts["minutes"]) == ("charging_ended", "stopped_by_driver", 3)
    assert facts["charge_id"] == over["id"]
    refused = await phone.ask("POST", f"{path}/stop")
    assert (refused.status_code, refused.json()["code"]) == (409, "charge-over")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"energy_wh": 3_000}, "energy_limit"),
        ({"minutes": 3}, "minutes_limit"),
        ({"soc_percent": 33}, "soc_limit"),
        ({}, "full"),
    ],
)
async def test_a_limit_ends_the_charge(
    stage: Stage, version: str, limits: dict[str, Any], reason: str
) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = {**ACCEPTED, **STOP_ACCEPTED}
    charge = await start(phone, station, limits)
    more = {} if version == V16 else {"remote_start_id": await remote_start_id(stage, charge)}
    token = await app_token(stage, phone)
    session = await station.begin(token, 5_000, **more)
    await stage.hub.charging.watch.idle()
    speech, soc = station.speech, {"measurand": "SoC", "unit": "Percent"}
    told = [(2_900, 32), (3_000, 33), (4_000, 100)]
    for minute, (energy, percent) in enumerate(told, start=1):
        stage.pass_time(60)
        values = [speech.value(5_000 + energy), speech.value(percent, **soc)]
        await station.say(speech.sampled(session, station.now, values))
        await stage.hub.charging.watch.idle()
        await stage.work()
        stops = [action for action, _ in station.asked if "Stop" in action]
        due = {"energy_limit": 2, "soc_limit": 2, "minutes_limit": 3, "full": 3}[reason]
        assert bool(stops) == (minute >= due), (minute, stops)
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["stop_reason"]) == ("stopping", reason)
    await station.end(session, 9_000, reason="Remote", token=None)
    await stage.hub.charging.watch.idle()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"], view["energy_wh"]) == ("ended", reason, 4_000)


STOP_ACTIONS = ("RemoteStopTransaction", "RequestStopTransaction")
STOP_ACCEPTED = {action: {"status": "Accepted"} for action in STOP_ACTIONS}


async def app_token(stage: Stage, phone: Phone) -> str:
    (row,) = await stage.rows(
        "SELECT display FROM id_tokens WHERE driver_id = :driver AND token LIKE 'app-%'",
        driver=phone.driver_id,
    )
    token: str = row.display
    return token


async def remote_start_id(stage: Stage, charge: dict[str, Any]) -> int:
    (row,) = await stage.rows(
        "SELECT remote_start_id FROM charges WHERE id = CAST(:id AS uuid)", id=charge["id"]
    )
    number: int = row.remote_start_id
    return number


async def test_a_limit_that_passes_while_nobody_samples_counts(stage: Stage, version: str) -> None:
    """Minutes are due by the clock, not by the station's word."""
    phone = await new_phone(stage)
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    charge = await start(phone, station, {"minutes": 10})
    stage.pass_time(10 * 60)
    await catch_up(stage, station)
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"]) == ("ended", "minutes_limit")


async def test_a_station_that_goes_on_is_asked_again(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = {**ACCEPTED, **{action: {"status": "Rejected"} for action in STOP_ACTIONS}}
    charge = await start(phone, station)
    more = {} if version == V16 else {"remote_start_id": await remote_start_id(stage, charge)}
    await station.begin(await app_token(stage, phone), 5_000, **more)
    await stage.hub.charging.watch.idle()
    stopped = await phone.post(f"/charges/{charge['id']}/stop")
    assert (stopped["state"], stopped["stop_answer"]) == ("stopping", "Rejected")
    await stage.work()
    asked = [action for action, _ in station.asked if "Stop" in action]
    assert len(asked) == 1
    stage.pass_time(61)
    await stage.work()
    asked = [action for action, _ in station.asked if "Stop" in action]
    assert len(asked) == 2


async def test_a_restart_in_mid_charge_keeps_the_limits(stage: Stage, version: str) -> None:
    """What was told before it counts, and what is told after it."""
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = {**ACCEPTED, **STOP_ACCEPTED}
    charge = await start(phone, station, {"energy_wh": 3_000, "minutes": 60})
    more = {} if version == V16 else {"remote_start_id": await remote_start_id(stage, charge)}
    session = await station.begin(await app_token(stage, phone), 5_000, **more)
    await stage.hub.charging.watch.idle()
    stage.pass_time(120)
    await station.sample(session, 7_900)
    await stage.restart()
    await station.wire.open()
    await stage.hub.charging.watch.idle()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["energy_wh"]) == ("charging", 2_900)
    stage.pass_time(30)
    await station.sample(session, 8_000)
    await stage.restart()
    await station.wire.open()
    await stage.hub.charging.watch.idle()
    await stage.work()
    assert [action for action, _ in station.asked if "Stop" in action]
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["stop_reason"]) == ("stopping", "energy_limit")


@pytest.mark.parametrize("begin_missed", [False, True])
async def test_what_ended_while_nobody_listened_has_ended(
    stage: Stage, version: str, *, begin_missed: bool
) -> None:
    """The server dies between the commit and the charge's own row; the next start finds it."""
    phone, station, path = await began(stage, version)
    await station.stop(1)
    await station.settled()
    await stage.hub.charging.watch.idle()
    number = path.split("/")[-1]
    change = "UPDATE charges SET state = 'charging', ended_at = NULL, end_reason = NULL"
    if begin_missed:
        change = "DELETE FROM charges"
    async with stage.database.write() as connection:
        await connection.execute(
            text(f"{change} WHERE id = :id"),
            {"id": UUID(number)},
        )
    await stage.restart()
    await stage.hub.charging.watch.idle()
    (charge,) = (await phone.get("/charges"))["items"]
    assert (charge["state"], charge["end_reason"]) == ("ended", "stopped_at_station")


@pytest.mark.parametrize(("plugged", "reason"), [(True, "not_started"), (False, "not_plugged_in")])
async def test_an_accepted_start_that_never_begins_says_why(
    stage: Stage, version: str, plugged: bool, reason: str
) -> None:
    phone = await new_phone(stage)
    station = await stage.simulated(version, Misbehaviour.IGNORE_REMOTE_START)
    if plugged:
        await station.plug_in(1, Car(soc=0.3))
        await station.settled()
    charge = await start(phone, station)
    assert charge["state"] == "starting"
    second = await phone.ask("POST", "/charges", json={"gun_code": f"{station.identity}-2"})
    assert (second.status_code, second.json()["code"]) == (409, "start-under-way")
    assert second.json()["charge_id"] == charge["id"]
    another = await new_phone(stage)
    taken = await another.ask("POST", "/charges", json={"gun_code": f"{station.identity}-1"})
    assert (taken.status_code, taken.json()["code"]) == (409, "gun-not-free")
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"]) == ("failed", reason)
    assert view["end_text"]
    ((kind, facts),) = await told(phone)
    assert (kind, facts["reason"]) == ("charging_failed", reason)
    assert (await phone.get("/charges", under_way=True))["items"] == []


async def test_a_start_given_up_that_begins_after_all_is_a_charge(
    stage: Stage, version: str
) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    charge = await start(phone, station)
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    more = {} if version == V16 else {"remote_start_id": await remote_start_id(stage, charge)}
    await station.begin(await app_token(stage, phone), 5_000, **more)
    await stage.hub.charging.watch.idle()
    listed = (await phone.get("/charges"))["items"]
    assert [(one["id"], one["state"]) for one in listed] == [(charge["id"], "charging")]


async def test_a_refused_start_has_failed_at_once(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = REJECTED
    charge = await start(phone, station)
    assert (charge["state"], charge["end_reason"]) == ("failed", "refused_by_station")
    again = await start(phone, station)
    assert again["id"] != charge["id"]


async def test_a_silent_station_may_have_begun(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.simulated(version, Misbehaviour.SILENT_TO_CALLS)
    with stage.patience(SILENCE_S):
        await stage.work()
        charge = await start(phone, station)
    assert charge["state"] == "starting"
    stage.pass_time(GIVE_UP_S)
    with stage.patience(SILENCE_S):
        await stage.work()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"]) == ("failed", "not_plugged_in")


async def test_a_driver_who_charges_elsewhere_may_not_start_by_app(
    stage: Stage, version: str
) -> None:
    phone, _, _ = await began(stage, version)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    await station.report(1, "Available", station.now)
    (running,) = (await phone.get("/charges"))["items"]
    starts_due = "SELECT subject FROM due_actions WHERE kind = 'charge.start' ORDER BY subject"
    due_before = await stage.rows(starts_due)
    body = {"gun_code": f"{station.identity}-1"}
    refused = await phone.ask("POST", "/charges", json=body)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "charge-under-way")
    assert (problem["rule"], problem["charge_id"]) == ("one_charge_by_app", running["id"])
    assert "end that charge first" in problem["detail"]
    assert not [action for action, _ in station.asked if "Start" in action]
    assert [one["id"] for one in (await phone.get("/charges"))["items"]] == [running["id"]]
    assert await told(phone) == []
    assert await stage.rows(starts_due) == due_before


async def test_a_driver_whose_access_is_blocked_is_told_so(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    await station.report(1, "Available", station.now)
    async with stage.database.write() as connection:
        block = "UPDATE id_tokens SET status = 'Blocked' WHERE driver_id = :driver"
        await connection.execute(text(block), {"driver": phone.driver_id})
    refused = await phone.ask("POST", "/charges", json={"gun_code": f"{station.identity}-1"})
    problem = refused.json()
    assert (refused.status_code, problem["rule"]) == (409, "id_token_accepted"), problem
    assert (await phone.get("/charges"))["items"] == []


async def test_a_stop_before_the_beginning_stops_what_begins(stage: Stage, version: str) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = {**ACCEPTED, **STOP_ACCEPTED}
    charge = await start(phone, station)
    view = await phone.post(f"/charges/{charge['id']}/stop")
    assert view["state"] == "stopping"
    more = {} if version == V16 else {"remote_start_id": await remote_start_id(stage, charge)}
    session = await station.begin(await app_token(stage, phone), 5_000, **more)
    await stage.hub.charging.watch.idle()
    await stage.work()
    assert [action for action, _ in station.asked if "Stop" in action]
    await station.end(session, 5_000, reason="Remote", token=None)
    await stage.hub.charging.watch.idle()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"]) == ("ended", "stopped_by_driver")


async def test_a_stop_before_a_beginning_that_never_comes_is_no_failure(
    stage: Stage, version: str
) -> None:
    phone = await new_phone(stage)
    station = await stage.raw(version)
    station.answers = ACCEPTED
    charge = await start(phone, station)
    await phone.post(f"/charges/{charge['id']}/stop")
    stage.pass_time(GIVE_UP_S)
    await stage.work()
    view = await phone.get(f"/charges/{charge['id']}")
    assert (view["state"], view["end_reason"]) == ("ended", "stopped_by_driver")


@pytest.mark.parametrize(("kind", "by"), [("ISO14443", "card"), ("MacAddress", "mac")])
async def test_a_charge_begun_without_the_app_is_in_the_list(
    stage: Stage, version: str, kind: str, by: str
) -> None:
    phone = await new_phone(stage)
    token = await phone.add_card(kind=kind)
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, token)
    await station.settled()
    await stage.hub.charging.watch.idle()
    (charge,) = (await phone.get("/charges"))["items"]
    assert (charge["state"], charge["started_by"]) == ("charging", by)
    assert charge["limits"]["when_full"] is False
    await station.advance(60)
    path = f"/charges/{charge['id']}"
    assert (await phone.get(path))["live"]["energy_wh"] > 0
    assert (await phone.post(f"{path}/stop"))["stop_answer"] == "Accepted"
    await station.settled()
    await stage.hub.charging.watch.idle()
    assert (await phone.get(path))["end_reason"] == "stopped_by_driver"


async def test_a_strangers_charge_is_nobodys(stage: Stage, version: str) -> None:
    """Cards of no account are charged with as ever, and stand in no driver's list."""
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(60)
    await stage.hub.charging.watch.idle()
    number = (await stage.the_transaction(station.identity)).id
    assert not await stage.rows("SELECT 1 FROM charges WHERE transaction_id = :id", id=number)


async def test_what_was_charged_before_a_card_was_theirs_is_not_theirs(
    stage: Stage, version: str
) -> None:
    phone = await new_phone(stage)
    token = await stage.new_token()
    station = await stage.raw(version)
    await station.begin(token, 5_000)
    stage.pass_time(60)
    async with stage.database.write() as connection:
        await give_card(connection, phone.driver_id, token, "ISO14443", stage.clock.date())
    await stage.restart()
    await stage.hub.charging.watch.idle()
    assert (await phone.get("/charges"))["items"] == []


async def test_another_drivers_charge_is_not_there(stage: Stage, version: str) -> None:
    phone, _, path = await began(stage, version)
    another = await new_phone(stage)
    for method, place in (("GET", path), ("POST", f"{path}/stop"), ("GET", f"{path}/stream")):
        answer = await another.ask(method, place)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert (await another.get("/charges"))["items"] == []
    assert (await phone.get(path))["state"] == "charging"


async def test_a_guest_may_charge(stage: Stage, version: str) -> None:
    phone = await new_phone(stage, guest_until=stage.clock.date().replace(year=2027))
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    charge = await start(phone, station)
    assert (await phone.get(f"/charges/{charge['id']}"))["state"] == "charging"


async def test_a_gun_shows_who_shares_its_cabinet(stage: Stage, version: str) -> None:
    _, station, _ = await began(stage, version)
    await station.advance(60)
    another = await new_phone(stage)
    gun = await another.get("/guns/resolve", code=f"{station.identity}-2")
    cabinet = gun["cabinet"]
    (sibling,) = cabinet["siblings"]
    assert (sibling["evse_no"], sibling["state"], sibling["in_use"]) == (1, "occupied", True)
    assert (cabinet["max_power_w"], cabinet["shared"]) == (OFFERED_W, True)
    left = OFFERED_W - sibling["power_w"]
    assert cabinet["expected_power_w"] == max(left, OFFERED_W // 2)
    busy = await another.get("/guns/resolve", code=f"{station.identity}-1")
    assert (busy["state"], busy["may_start"]) == ("occupied", False)
    station_id = await stage.station_id(station.identity)
    await station.go_offline()
    async with asyncio.timeout(10):
        while station_id in stage.hub.charging.online_ids():  # noqa: ASYNC110  It tells nobody.
            await asyncio.sleep(0.01)
    gone = await another.ask("POST", "/charges", json={"gun_code": f"{station.identity}-2"})
    assert (gone.json()["code"], gone.json()["state"]) == ("gun-not-free", "offline")
