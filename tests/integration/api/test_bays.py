"""Bays over REST: what operators register and command, what a driver may have lowered."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert, select, update

from chargehub.access.store import audit_entries
from chargehub.bays.store import bay_commands, bays
from chargehub.reservations.store import reservations
from tests.integration.api.conftest import (
    BAY_GATEWAYS,
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)

(PLACE,) = BAY_GATEWAYS


async def new_gun(api: RunningApi, location: str = PLACE) -> str:
    """Return the code of a gun of a new station."""
    if (await api.viewer.get(f"/locations/{location}")).status_code == 404:
        await make_location(api, location)
    identity = f"BAY-{next(NAMES)}"
    await make_station(api, identity, location)
    items = (await api.viewer.get(f"/charging-stations/{identity}")).json()["evses"]
    code: str = items[0]["gun_code"]
    return code


async def register(api: RunningApi, **more: Any) -> dict[str, Any]:
    device = f"LOCK-{next(NAMES)}"
    body = {"gun_code": await new_gun(api), "lock_device": device, "sensor_device": device}
    answer = await api.operator.post("/bays", json=body | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def know(api: RunningApi, bay: dict[str, Any], **values: Any) -> None:
    async with api.database.write() as connection:
        await connection.execute(update(bays).where(bays.c.id == bay["id"]).values(values))


async def audited(api: RunningApi, bay: dict[str, Any]) -> list[tuple[str, Any]]:
    async with api.database.read() as connection:
        mine = audit_entries.c.action.like("bay.%") & (audit_entries.c.subject == str(bay["id"]))
        rows = await connection.execute(select(audit_entries).where(mine))
        return [(row.action, row.facts.get("reason")) for row in rows]


async def hold(api: RunningApi, bay: dict[str, Any], driver_id: Any) -> None:
    now = api.clock.now()
    async with api.database.write() as connection:
        row = await connection.execute(select(bays).where(bays.c.id == bay["id"]))
        place = row.one()
        values = {
            "driver_id": driver_id,
            "id_token": "app-1",
            "location_id": PLACE,
            "station_id": place.station_id,
            "evse_no": place.evse_no,
            "any_evse": False,
            "wanted_power_w": 1,
            "held_from": now,
            "starts_at": now,
            "hold_until": now.replace(year=now.year + 1),
            "created_at": now,
        }
        await connection.execute(insert(reservations).values(values))


async def test_a_bay_is_registered_changed_listed_and_removed(api: RunningApi) -> None:
    made = await register(api, label="A-17")
    assert (made["label"], made["location_id"]) == ("A-17", PLACE)
    assert (made["lock"]["state"], made["sensor"]["state"]) == ("unknown", "unknown")
    assert made["blocked"] is None
    assert (await api.viewer.get(f"/bays/{made['id']}")).json() == made
    listed = await api.viewer.get("/bays", params={"location_id": PLACE, "limit": 500})
    assert made in listed.json()["items"]
    await know(api, made, lock_state="lowered", sensor_state="free", sensor_since=api.clock.now())
    body = {"label": "B-2", "sensor_device": None}
    changed = (await api.operator.patch(f"/bays/{made['id']}", json=body)).json()
    assert (changed["label"], changed["sensor"], changed["lock"]["state"]) == (
        *("B-2", None),
        "lowered",
    )
    other = {"lock_device": f"LOCK-{next(NAMES)}"}
    changed = (await api.operator.patch(f"/bays/{made['id']}", json=other)).json()
    assert changed["lock"]["state"] == "unknown"
    last = await api.operator.patch(f"/bays/{made['id']}", json={"lock_device": None})
    problem_of(last, 409, "last-device")
    assert (await api.operator.delete(f"/bays/{made['id']}")).status_code == 204
    problem_of(await api.viewer.get(f"/bays/{made['id']}"), 404, "not-found")
    assert [action for action, _ in await audited(api, made)] == [
        *("bay.created", "bay.changed", "bay.changed", "bay.removed")
    ]
    again = {"gun_code": made["gun_code"], "lock_device": made["lock"]["device_id"]}
    assert (await api.operator.post("/bays", json=again)).status_code == 201


async def test_what_cannot_be_registered_is_said(api: RunningApi) -> None:
    made = await register(api)
    device = {"lock_device": made["lock"]["device_id"]}
    for body in (device | {"gun_code": await new_gun(api)}, {**device, "gun_code": "x"}):
        refused = await api.operator.post("/bays", json=body)
        code = "gun-not-found" if body["gun_code"] == "x" else "bay-taken"
        problem_of(refused, 404 if code == "gun-not-found" else 409, code)
    twice = {"gun_code": made["gun_code"], "lock_device": "another"}
    problem_of(await api.operator.post("/bays", json=twice), 409, "bay-taken")
    elsewhere = {"gun_code": await new_gun(api, f"no-{next(NAMES)}"), "lock_device": "one"}
    problem_of(await api.operator.post("/bays", json=elsewhere), 409, "no-bay-gateway")
    for wrong in ({"gun_code": made["gun_code"]}, {"gun_code": "y", "lock_device": "a b"}):
        problem_of(await api.operator.post("/bays", json=wrong), 422, "invalid-input")


async def test_pages_and_what_blocks_a_gun(api: RunningApi) -> None:
    several = [await register(api) for _ in range(3)]
    since = api.clock.now()
    await know(api, several[1], blocked_by="car", blocked_since=since, sensor_state="occupied")
    blocked = (await api.viewer.get("/bays", params={"blocked": True})).json()["items"]
    assert [(item["id"], item["blocked"]["by"]) for item in blocked] == [(several[1]["id"], "car")]
    seen, cursor = [], None
    while True:
        query: dict[str, Any] = {"limit": 2, "location_id": PLACE}
        page = (
            await api.viewer.get("/bays", params=query | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(set(seen))
    assert {item["id"] for item in several} <= set(seen)
    _, driver = await api.new_driver()
    code = several[1]["gun_code"]
    bay = (await driver.get("/guns/resolve", params={"code": code})).json()["bay"]
    assert (bay["lock"], bay["sensor"], bay["blocked_by"]) == ("unknown", "occupied", "car")
    guns = (await api.anonymous.get(f"/locations/{PLACE}/guns", params={"limit": 100})).json()
    (mine,) = [gun for gun in guns["items"] if gun["gun_code"] == code]
    assert mine["bay"] == bay
    assert not mine["free"]


async def test_staff_lower_and_raise_with_a_reason(api: RunningApi) -> None:
    made = await register(api)
    url = f"/bays/{made['id']}"
    problem_of(await api.operator.post(f"{url}/lower", json={}), 422, "invalid-input")
    # Nothing is known of the sensor yet.
    body: dict[str, Any] = {"reason": "closed for cleaning"}
    refused = problem_of(
        await api.operator.post(f"{url}/raise", json=body), 409, "lock-may-not-rise"
    )
    assert refused["rule"] == "sensor_unknown"
    forced = await api.operator.post(f"{url}/raise", json=body | {"force": True})
    assert forced.status_code == 202, forced.text
    command = forced.json()
    assert (command["outcome"], command["forced"], command["reason"]) == (
        *("pending", True),
        "closed for cleaning",
    )
    lowered = await api.operator.post(f"{url}/lower", json={"reason": "opened again"})
    assert lowered.status_code == 202
    busy = await api.operator.post(f"{url}/raise", json=body | {"force": True})
    problem_of(busy, 409, "lock-busy")
    listed = (await api.viewer.get(f"{url}/commands")).json()["items"]
    assert [(item["action"], item["outcome"]) for item in listed] == [
        ("lower", "pending"),
        ("raise", "superseded"),
    ]
    assert await audited(api, made) == [
        ("bay.created", None),
        ("bay.raise", "closed for cleaning"),
        ("bay.lower", "opened again"),
    ]


@pytest.mark.parametrize("force", [False, True])
async def test_not_even_force_raises_a_lock_under_a_car(api: RunningApi, force: bool) -> None:
    made = await register(api)
    await know(api, made, lock_state="lowered", sensor_state="occupied")
    body = {"reason": "closed for cleaning", "force": force}
    refused = await api.operator.post(f"/bays/{made['id']}/raise", json=body)
    assert problem_of(refused, 409, "lock-may-not-rise")["rule"] == "occupied"


async def test_a_bay_without_a_lock_has_none_to_move(api: RunningApi) -> None:
    made = await register(api, lock_device=None)
    body = {"reason": "closed for cleaning"}
    for what in ("raise", "lower"):
        answer = await api.operator.post(f"/bays/{made['id']}/{what}", json=body)
        problem_of(answer, 409, "no-lock")


async def test_rules_are_a_location_s(api: RunningApi) -> None:
    await new_gun(api)
    url = f"/locations/{PLACE}/bay-rules"
    assert (await api.viewer.get(url)).json() == {"raised_when_free": False, "free_for_s": 120}
    rules = {"raised_when_free": True, "free_for_s": 300}
    assert (await api.admin.put(url, json=rules)).json() == rules
    assert (await api.viewer.get(url)).json() == rules
    problem_of(await api.admin.put(url, json={"free_for_s": 5}), 422, "invalid-input")
    nowhere = "/locations/nowhere/bay-rules"
    problem_of(await api.viewer.get(nowhere), 404, "not-found")
    problem_of(await api.admin.put(nowhere, json=rules), 404, "not-found")


async def lower(client: httpx.AsyncClient, code: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key or str(uuid4())}
    return await client.post("/lock-commands", json={"gun_code": code}, headers=headers)


async def test_only_whom_the_gun_is_promised_to_has_its_lock_lowered(api: RunningApi) -> None:
    made = await register(api)
    await know(api, made, lock_state="raised", sensor_state="free")
    promised, mine = await api.new_driver()
    _, another = await api.new_driver()
    await hold(api, made, promised)
    refused = problem_of(await lower(another, made["gun_code"]), 409, "lock-refused")
    assert refused["rule"] == "promised"
    assert refused["passes_at"] is not None
    key = str(uuid4())
    told = await lower(mine, made["gun_code"].lower(), key)
    assert told.status_code == 202, told.text
    command = told.json()
    assert (command["outcome"], command["gun_code"]) == ("pending", made["gun_code"])
    assert (await lower(mine, made["gun_code"].lower(), key)).json() == command
    assert (await mine.get(f"/lock-commands/{command['id']}")).json() == command
    problem_of(await another.get(f"/lock-commands/{command['id']}"), 404, "not-found")
    async with api.database.read() as connection:
        of_bay = bay_commands.c.bay_id == made["id"]
        assert len((await connection.execute(select(bay_commands).where(of_bay))).all()) == 1
    export = (await mine.get("/drivers/me/export")).json()
    assert [item["id"] for item in export["lock_commands"]] == [command["id"]]


async def test_a_gun_of_nobody_opens_for_anybody_who_is_logged_in(api: RunningApi) -> None:
    made = await register(api)
    await know(api, made, lock_state="lowered")
    _, driver = await api.new_driver()
    told = (await lower(driver, made["gun_code"])).json()
    assert (told["outcome"], told["why"]) == ("done", "already")
    problem_of(await lower(driver, "no such gun"), 404, "gun-not-found")
    problem_of(await lower(driver, await new_gun(api)), 409, "no-lock")
