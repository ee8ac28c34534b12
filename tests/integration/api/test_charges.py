"""Drivers' charges over REST: bad input, repeats and whose they are; no station answers here."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import SelectBase, select, update

from chargehub.charging.ledger import of_drivers_query, unsettled_query
from chargehub.stations.commands import CommandAnswer
from chargehub.stations.store import connectors, evses
from chargehub.transactions.store import transactions
from tests.integration.api.conftest import (
    OPERATOR_ID,
    PUBLIC_URL,
    RunningApi,
    problem_of,
)


async def gun_of(hub: RunningApi, identity: str, status: str = "Available") -> str:
    """Let the station's first gun have this status; return its code."""
    station_id = await hub.station_id(identity)
    async with hub.database.write() as connection:
        await connection.execute(
            update(connectors).where(connectors.c.station_id == station_id).values(status=status)
        )
        code: str | None = await connection.scalar(
            select(evses.c.gun_code).where(evses.c.station_id == station_id, evses.c.evse_no == 1)
        )
    assert code is not None
    return code


async def ask(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await client.get("/guns/resolve", params={"code": code})


@pytest.mark.usefixtures("here")
async def test_all_forms_of_one_code_are_one_gun(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    code = await gun_of(hub, cs)
    forms = [code, code.lower(), f"{PUBLIC_URL}/c/{code}", f"hlht://{code}.{OPERATOR_ID}/1"]
    found = [(await ask(client, form)).json() for form in forms]
    assert [gun["gun_code"] for gun in found] == [code] * len(forms)
    assert found[0]["station"] == cs


async def test_what_is_no_gun_of_ours_is_told_apart(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    await gun_of(hub, cs)
    problem_of(await ask(client, "NOSUCHGUN"), 404, "gun-not-found")
    problem_of(await ask(client, "!"), 422, "gun-code-unreadable")
    problem_of(await ask(client, "hlht://A101.395815801/"), 422, "another-operators-gun")
    problem_of(await ask(client, ""), 422, "invalid-input")
    problem_of(await client.get("/guns/resolve"), 422, "invalid-input")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Faulted", "faulted"),
        ("Charging", "occupied"),
        ("Reserved", "reserved"),
        ("Unavailable", "unavailable"),
    ],
)
@pytest.mark.usefixtures("here")
async def test_a_gun_that_is_not_free_says_why(
    hub: RunningApi, cs: str, status: str, state: str
) -> None:
    _, client = await hub.new_driver()
    code = await gun_of(hub, cs, status)
    assert (await ask(client, code)).json()["state"] == state
    refused = await client.post("/charges", json={"gun_code": code})
    assert problem_of(refused, 409, "gun-not-free")["state"] == state
    assert (await client.get("/charges")).json()["items"] == []


async def test_an_offline_gun_says_so(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    refused = await client.post("/charges", json={"gun_code": await gun_of(hub, cs)})
    assert problem_of(refused, 409, "gun-not-free")["state"] == "offline"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"gun_code": 7},
        {"gun_code": "A101", "more": 1},
        {"gun_code": "A101", "limits": {"energy_wh": 0}},
        {"gun_code": "A101", "limits": {"energy_wh": "20000"}},
        {"gun_code": "A101", "limits": {"minutes": 0}},
        {"gun_code": "A101", "limits": {"minutes": 1441}},
        {"gun_code": "A101", "limits": {"soc_percent": 101}},
        {"gun_code": "A101", "limits": {"when_full": 1}},
        {"gun_code": "x" * 513},
    ],
)
async def test_bad_wishes_are_refused(hub: RunningApi, body: dict[str, Any]) -> None:
    _, client = await hub.new_driver()
    problem_of(await client.post("/charges", json=body), 422, "invalid-input")


@pytest.mark.usefixtures("here")
async def test_a_charge_is_with_a_vehicle_of_ones_own(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    _, another = await hub.new_driver()
    code = await gun_of(hub, cs)
    theirs = (await another.post("/vehicles", json={"plate": "浙HD12345"})).json()["id"]
    for vehicle in (theirs, str(uuid4())):
        refused = await client.post("/charges", json={"gun_code": code, "vehicle_id": vehicle})
        problem_of(refused, 404, "not-found")
    assert (await client.get("/charges")).json()["items"] == []
    own = (await client.post("/vehicles", json={"plate": "浙HD12345"})).json()["id"]
    made = await client.post("/charges", json={"gun_code": code, "vehicle_id": own})
    assert made.status_code == 201, made.text


@pytest.mark.usefixtures("here")
async def test_a_repeated_start_is_one_start(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    body = {"gun_code": await gun_of(hub, cs)}
    key = {"Idempotency-Key": str(uuid4())}
    first = await client.post("/charges", json=body, headers=key)
    again = await client.post("/charges", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.json() == first.json()
    assert len((await client.get("/charges")).json()["items"]) == 1
    other = {**body, "limits": {"minutes": 5}}
    reused = await client.post("/charges", json=other, headers=key)
    problem_of(reused, 422, "idempotency-key-reused")


@pytest.mark.usefixtures("here")
async def test_pages_of_charges_neither_skip_nor_repeat(hub: RunningApi, cs: str) -> None:
    _, client = await hub.new_driver()
    code = await gun_of(hub, cs)
    refusal = CommandAnswer("Rejected", {"status": "Rejected"})
    hub.link.script(await hub.station_id(cs), *[refusal] * 5)
    made = [(await client.post("/charges", json={"gun_code": code})).json() for _ in range(5)]
    assert {charge["state"] for charge in made} == {"failed"}
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/charges", params=params)).json()
        seen += [charge["id"] for charge in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [charge["id"] for charge in reversed(made)]
    problem_of(await client.get("/charges", params={"cursor": "no"}), 422, "invalid-cursor")


async def test_what_the_watch_asks_does_not_grow_with_the_charges_that_ever_were(
    hub: RunningApi,
) -> None:
    """A hashed NOT IN holds them all, and past work_mem each row searches them all."""
    now = hub.clock.now()
    unsettled = await plan_of(hub, unsettled_query(now))
    assert "Anti Join" in unsettled
    assert "hashed SubPlan" not in unsettled
    of_drivers = await plan_of(hub, of_drivers_query(now).where(transactions.c.id.in_([1, 2])))
    for plan in (unsettled, of_drivers):
        assert "ix_charges_unbegun_requested_at" in plan


async def plan_of(hub: RunningApi, query: SelectBase) -> str:
    async with hub.database.read() as connection:
        await connection.exec_driver_sql("SET enable_seqscan = off")
        await connection.exec_driver_sql("SET enable_sort = off")
        text = query.compile(hub.database.engine, compile_kwargs={"literal_binds": True})
        return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {text}")).scalars())
