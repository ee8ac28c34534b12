"""Cars that start by themselves, in REST: who sees what, unbinding by staff, copy and closure."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from chargehub.access.store import audit_entries
from chargehub.drivers.bindings import Consent, Proof, bind
from chargehub.drivers.store import id_tokens, vehicle_bindings
from chargehub.drivers.vehicle_identity import CarNames, read_identity
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)

CONSENT = {"consent": {"version": "2026-11-24", "accepted": True}}


def new_mac() -> str:
    return f"0A1B2C{next(NAMES):06X}"


async def make_vehicle(client: httpx.AsyncClient) -> str:
    made = await client.post("/vehicles", json={"plate": f"浙H{next(NAMES):05d}"})
    assert made.status_code == 201, made.text
    vehicle: str = made.json()["id"]
    return vehicle


async def bound(api: RunningApi, mac: str) -> tuple[UUID, httpx.AsyncClient, str, UUID]:
    """Return a driver with a bound car: id, client, vehicle, binding."""
    driver_id, client = await api.new_driver()
    vehicle = await make_vehicle(client)
    location, identity = f"pnc-{next(NAMES)}", f"PNC-{next(NAMES)}"
    await make_location(api, location)
    await make_station(api, identity, location)
    car = read_identity(mac)
    assert car is not None
    async with api.database.write() as connection:
        made = await bind(
            *(connection, CarNames(api.seal), driver_id, UUID(vehicle), car),
            consent=Consent("2026-11-24", "zh"),
            proof=Proof(await api.station_id(identity), 1, 1),
            at=api.clock.now(),
        )
    return driver_id, client, vehicle, made


async def stored(api: RunningApi, driver_id: UUID) -> tuple[Any, Any]:
    """Return the binding and its idToken as they are stored."""
    async with api.database.read() as connection:
        mine = vehicle_bindings.c.driver_id == driver_id
        [binding] = (await connection.execute(select(vehicle_bindings).where(mine))).all()
        token = id_tokens.c.token == binding.id_token
        [row] = (await connection.execute(select(id_tokens).where(token))).all()
    return binding, row


async def test_what_a_car_is_called_is_masked_and_nowhere_in_the_clear(api: RunningApi) -> None:
    mac = new_mac()
    driver_id, client, vehicle, made = await bound(api, mac)
    [own] = (await client.get(f"/vehicles/{vehicle}/plug-and-charge")).json()["bindings"]
    listed = await api.viewer.get(f"/drivers/{driver_id}/plug-and-charge")
    assert listed.json()["items"] == [own]
    assert (own["id"], own["kind"]) == (str(made), "MacAddress")
    assert (own["car"], own["consent_version"]) == (f"********{mac[-4:]}", "2026-11-24")
    tokens = (await client.get("/drivers/me/id-tokens")).text
    assert mac not in listed.text + tokens
    binding, token = await stored(api, driver_id)
    assert mac.lower() not in (str(binding) + str(token)).lower()
    assert (token.driver_id, token.kind, token.status) == (driver_id, "MacAddress", "Accepted")
    exported = (await client.get("/drivers/me/export")).json()["plug_and_charge"]
    assert [one["identity"] for one in exported] == [mac]


async def test_staff_unbind_with_a_reason_and_the_driver_is_told(api: RunningApi) -> None:
    mac = new_mac()
    driver_id, client, vehicle, made = await bound(api, mac)
    path = f"/drivers/{driver_id}/plug-and-charge/{made}/unbind"
    for body in ({}, {"reason": " x "}, {"reason": "no car of theirs", "more": 1}):
        problem_of(await api.operator.post(path, json=body), 422, "invalid-input")
    answer = await api.operator.post(path, json={"reason": "车主 13800001234 来电"})
    assert answer.status_code == 204, answer.text
    binding, token = await stored(api, driver_id)
    assert (binding.ended_by, binding.identity_sealed, token.status) == ("staff", None, "Blocked")
    [own] = (await client.get(f"/vehicles/{vehicle}/plug-and-charge")).json()["bindings"]
    assert (own["car"], own["end_reason"]) == (None, "车主 138****1234 来电")
    [message] = (await client.get("/inbox")).json()["items"]
    assert message["kind"] == "plug_and_charge_unbound"
    assert mac[-4:] in message["text"]
    async with api.database.read() as connection:
        entries = select(audit_entries).where(audit_entries.c.action == "plug_and_charge.unbound")
        said = [row for row in await connection.execute(entries) if row.subject == str(driver_id)]
    [facts] = [row.facts for row in said]
    assert (facts["binding_id"], facts["car"]) == (str(made), f"********{mac[-4:]}")
    problem_of(await api.operator.post(path, json={"reason": "once more"}), 404, "not-found")
    other, _ = await api.new_driver()
    foreign = f"/drivers/{other}/plug-and-charge/{made}/unbind"
    problem_of(await api.operator.post(foreign, json={"reason": "not theirs"}), 404, "not-found")


async def test_a_cars_id_token_is_no_card(api: RunningApi) -> None:
    """Who could unblock it would give the consent in the driver's place."""
    driver_id, client, vehicle, _ = await bound(api, new_mac())
    _, token = await stored(api, driver_id)
    assert (await client.delete(f"/vehicles/{vehicle}/plug-and-charge")).status_code == 204
    path = f"/id-tokens/{token.token}"
    assert (await api.operator.get(path)).json()["status"] == "Blocked"
    asked = [
        api.operator.post(f"{path}/unblock"),
        api.operator.post(f"{path}/block"),
        api.operator.put(path, json={"kind": "MacAddress"}),
        api.operator.put(path.upper().replace("/ID-TOKENS", "/id-tokens"), json={}),
        api.operator.delete(path),
        api.operator.put(f"/drivers/{driver_id}/id-tokens/{token.token}", json={}),
        api.operator.delete(f"/drivers/{driver_id}/id-tokens/{token.token}"),
    ]
    for request in asked:
        problem_of(await request, 409, "token-of-car")
    assert (await api.operator.get(path)).json()["status"] == "Blocked"


async def test_consent_is_express(api: RunningApi) -> None:
    _, client = await api.new_driver()
    path = f"/vehicles/{await make_vehicle(client)}/plug-and-charge"
    for consent in (
        {"version": "2026-11-24"},
        {"version": "2026-11-24", "accepted": False},
        {"version": "2026-11-24", "accepted": "true"},
        {"accepted": True},
        None,
    ):
        problem_of(await client.post(path, json={"consent": consent}), 422, "invalid-input")
    problem_of(await client.post(path, json=CONSENT), 409, "no-own-charge")


async def test_a_closed_account_leaves_no_name_of_a_car(api: RunningApi) -> None:
    mac = new_mac()
    driver_id, client, _, _ = await bound(api, mac)
    assert (await client.delete("/drivers/me")).status_code == 204
    binding, token = await stored(api, driver_id)
    assert (binding.ended_by, binding.identity_sealed) == ("account_closed", None)
    assert (binding.vehicle_id, token.status) == (None, "Blocked")
    # The car is free for its next owner.
    again, _, _, _ = await bound(api, mac)
    async with api.database.read() as connection:
        mine = id_tokens.c.token == token.token
        [row] = (await connection.execute(select(id_tokens).where(mine))).all()
    assert (row.driver_id, row.status) == (again, "Accepted")
