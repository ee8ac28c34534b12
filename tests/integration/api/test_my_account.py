"""A driver's own account: profile, phone, a copy of all data, and its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, insert, select, text, update

from chargehub.charging.store import charges
from chargehub.drivers.accounts import find_app_token
from chargehub.drivers.store import driver_logins, drivers, id_tokens, vehicles
from chargehub.transactions.store import transactions
from tests.fakes.driver_ports import FakeAccountPart
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)

NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _wall_restored(api: RunningApi) -> Iterator[None]:
    yield
    api.wall.ahead = timedelta(0)


def new_phone() -> str:
    return f"+86155{next(NUMBERS):08d}"


def counting(api: RunningApi) -> FakeAccountPart:
    part: FakeAccountPart = api.app.state.parts[FakeAccountPart]
    return part


async def guest_client(api: RunningApi) -> tuple[UUID, httpx.AsyncClient]:
    async with api.new_client() as nobody:
        made = (await nobody.post("/driver-logins/guests", json={})).json()
    client = api.clients[f"guest {made['driver_id']}"] = api.new_client(made["token"])
    return UUID(made["driver_id"]), client


async def test_a_profile_is_read_and_changed(api: RunningApi) -> None:
    phone = new_phone()
    driver_id, client = await api.new_driver(phone)
    profile = (await client.get("/drivers/me")).json()
    assert profile["id"] == str(driver_id)
    assert profile["phone"] == f"155****{phone[-4:]}"
    assert (profile["name"], profile["language"], profile["kinds"]) == ("", "zh", [])
    body = {"name": " 李小明 ", "language": "en", "kinds": ["taxi", "private", "taxi"]}
    changed = (await client.patch("/drivers/me", json=body)).json()
    assert changed["name"] == "李小明"
    assert (changed["language"], changed["kinds"]) == ("en", ["private", "taxi"])
    assert (await client.patch("/drivers/me", json={"name": ""})).json()["name"] == ""
    assert (await client.get("/drivers/me")).json()["language"] == "en"
    async with api.database.read() as connection:
        row = (await connection.execute(select(drivers).where(drivers.c.id == driver_id))).one()
    assert "李" not in str(row)


@pytest.mark.parametrize(
    "body",
    [
        {"language": "de"},
        {"kinds": ["pilot"]},
        {"kinds": "taxi"},
        {"name": "x" * 51},
        {"name": "a\x00"},
        {"phone": "13900001234"},
    ],
)
async def test_a_bad_profile_changes_nothing(api: RunningApi, body: dict[str, object]) -> None:
    _, client = await api.new_driver()
    before = (await client.get("/drivers/me")).json()
    problem_of(await client.patch("/drivers/me", json=body), 422, "invalid-input")
    assert (await client.get("/drivers/me")).json() == before


async def test_a_guest_reads_but_has_no_profile_to_change(api: RunningApi) -> None:
    _, client = await guest_client(api)
    profile = (await client.get("/drivers/me")).json()
    assert (profile["is_guest"], profile["phone"]) == (True, None)
    problem_of(await client.patch("/drivers/me", json={"name": "x"}), 403, "account-needed")


async def code_for(api: RunningApi, phone: str) -> str:
    response = await api.anonymous.post("/driver-logins/codes", json={"phone": phone})
    assert response.status_code == 202, response.text
    return api.sms.code_of(phone)


async def test_another_phone_needs_its_code_and_frees_the_first(api: RunningApi) -> None:
    first, second = new_phone(), new_phone()
    driver_id, client = await api.new_driver(first)
    code = await code_for(api, second)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answer = await client.put("/drivers/me/phone", json={"phone": second, "code": wrong})
    problem_of(answer, 401, "wrong-code")
    answer = await client.put("/drivers/me/phone", json={"phone": second, "code": code})
    assert answer.status_code == 204, answer.text
    assert (await client.get("/drivers/me")).json()["phone"].endswith(second[-4:])
    other_id, other = await api.new_driver(first)
    assert other_id != driver_id
    api.wall.ahead += timedelta(minutes=2)
    answer = await other.put(
        "/drivers/me/phone", json={"phone": second, "code": await code_for(api, second)}
    )
    problem_of(answer, 409, "phone-taken")


async def test_the_export_has_everything_unmasked(api: RunningApi) -> None:
    phone = new_phone()
    driver_id, client = await api.new_driver(phone)
    await client.patch("/drivers/me", json={"name": "李小明"})
    vehicle = {"plate": "浙H·D1288", "vin": "LSVAA4187C2184841"}
    assert (await client.post("/vehicles", json=vehicle)).status_code == 201
    counting(api).numbers[driver_id] = 7
    response = await client.get("/drivers/me/export")
    assert response.headers["content-disposition"].startswith("attachment")
    kept = response.json()
    assert kept["account"]["phone"] == phone
    assert kept["account"]["name"] == "李小明"
    assert [(item["plate"], item["vin"]) for item in kept["vehicles"]] == [
        ("浙HD1288", "LSVAA4187C2184841")
    ]
    assert [item["token"][:4] for item in kept["id_tokens"]] == ["APP-"]
    assert [item["device_name"] for item in kept["logins"]] == ["test"]
    assert kept["numbers"] == 7
    await client.delete(f"/vehicles/{(await client.get('/vehicles')).json()['items'][0]['id']}")


async def test_a_closed_account_is_erased_and_its_phone_is_free(api: RunningApi) -> None:
    phone, vin = new_phone(), "LSVAA4187C2180001"
    driver_id, client = await api.new_driver(phone)
    await client.patch("/drivers/me", json={"name": "李小明", "kinds": ["taxi"]})
    await client.post("/vehicles", json={"plate": "浙HD1288", "vin": vin})
    card = f"/drivers/{driver_id}/id-tokens/CLOSE-1"
    assert (await api.operator.put(card, json={})).status_code == 201
    counting(api).numbers[driver_id] = 1
    assert (await client.delete("/drivers/me")).status_code == 204
    problem_of(await client.get("/drivers/me"), 401, "unauthenticated")
    assert driver_id not in counting(api).numbers
    async with api.database.read() as connection:
        row = (await connection.execute(select(drivers).where(drivers.c.id == driver_id))).one()
        tokens = (
            await connection.execute(select(id_tokens).where(id_tokens.c.driver_id == driver_id))
        ).all()
        for table in (vehicles, driver_logins):
            kept = select(func.count()).where(table.c.driver_id == driver_id)
            assert await connection.scalar(kept) == 0
        log = (
            await connection.execute(
                text("SELECT actor, facts FROM audit_entries WHERE subject = :id"),
                {"id": str(driver_id)},
            )
        ).all()
    assert row.closed_at is not None
    assert (row.phone_sealed, row.phone_fingerprint, row.name_sealed, row.kinds) == (
        None,
        None,
        None,
        [],
    )
    assert {token.status for token in tokens} == {"Blocked"}
    assert len(tokens) == 2
    assert [(entry.actor, entry.facts) for entry in log] == [("driver", {})]
    again_id, again = await api.new_driver(phone)
    assert again_id != driver_id
    made = await again.post("/vehicles", json={"plate": "浙HD1288", "vin": vin})
    assert made.status_code == 201, made.text
    # The card may be given to somebody else, the app token may not.
    given = await api.operator.put(f"/drivers/{again_id}/id-tokens/close-1", json={})
    assert (given.status_code, given.json()["status"]) == (200, "Accepted")
    [app] = [token.display for token in tokens if token.kind == "Central"]
    refused = await api.operator.put(f"/drivers/{again_id}/id-tokens/{app}", json={})
    problem_of(refused, 409, "id-token-taken")


async def test_an_account_in_use_stays_as_it_is(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    counting(api).busy.add(driver_id)
    counting(api).numbers[driver_id] = 5
    document = problem_of(await client.delete("/drivers/me"), 409, "account-in-use")
    assert document["obstacles"] == ["A number is still being counted."]
    assert (await client.get("/drivers/me")).status_code == 200
    assert counting(api).numbers[driver_id] == 5
    counting(api).busy.discard(driver_id)
    assert (await client.delete("/drivers/me")).status_code == 204


async def test_a_guest_may_close_too(api: RunningApi) -> None:
    _, client = await guest_client(api)
    assert (await client.delete("/drivers/me")).status_code == 204


async def test_the_parts_of_an_account_take_over_what_is_the_guests(api: RunningApi) -> None:
    phone = new_phone()
    driver_id, _ = await api.new_driver(phone)
    guest_id, client = await guest_client(api)
    counting(api).numbers[guest_id] = 3
    body = {"phone": phone, "code": await code_for(api, phone)}
    assert (await client.post("/driver-logins", json=body)).status_code == 200
    assert counting(api).numbers[driver_id] == 3


async def test_a_driver_lists_their_own_tokens_only(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    await api.new_driver()
    await api.operator.put(f"/drivers/{driver_id}/id-tokens/MINE-1", json={"kind": "ISO15693"})
    items = (await client.get("/drivers/me/id-tokens")).json()["items"]
    async with api.database.read() as connection:
        app = await find_app_token(connection, driver_id)
    assert {item["token"]: item["kind"] for item in items} == {
        app.display: "Central",
        "MINE-1": "ISO15693",
    }
    assert len({item["group"] for item in items}) == 1


async def charge(api: RunningApi, token: str, **more: Any) -> None:
    """Store a transaction of an idToken that began now."""
    number = next(NAMES)
    location, station = f"place-{number}", f"CS-OF-{number}"
    await make_location(api, location)
    await make_station(api, station, location)
    now = api.clock.now()
    values = {
        "id": 900_000 + number,
        "station_id": await api.station_id(station),
        "ref": str(number),
        "evse_no": 1,
        "id_token": token.lower(),
        "state": "Ended",
        "started_at": now,
        "ended_at": now,
        "received_at": now,
        "max_power_w": 120_000,
        **more,
    }
    async with api.database.write() as connection:
        await connection.execute(insert(transactions).values(values))


async def test_a_running_charge_keeps_the_account_open(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    async with api.database.read() as connection:
        app = await find_app_token(connection, driver_id)
    await charge(api, app.token, state="Active", ended_at=None)
    document = problem_of(await client.delete("/drivers/me"), 409, "account-in-use")
    assert document["obstacles"] == ["A charge of yours is running; end it first."]
    async with api.database.write() as connection:
        await connection.execute(
            update(transactions)
            .where(transactions.c.id_token == app.token)
            .values(state="Ended", ended_at=api.clock.now())
        )
    assert (await client.delete("/drivers/me")).status_code == 204
    async with api.database.read() as connection:
        kept = select(func.count()).where(transactions.c.id_token == app.token)
        assert await connection.scalar(kept) == 1


async def test_charges_of_a_cards_driver_before_are_not_exported(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    other_id, other = await api.new_driver()
    await charge(api, "PASSED-ON", energy_wh=1)
    assert (await api.operator.put(f"/drivers/{driver_id}/id-tokens/PASSED-ON", json={})).is_success
    await charge(api, "PASSED-ON", energy_wh=2)
    again = await api.operator.put(f"/drivers/{driver_id}/id-tokens/PASSED-ON", json={})
    assert again.is_success
    mine = (await client.get("/drivers/me/export")).json()["charges"]
    assert [item["energy_wh"] for item in mine] == [2]
    assert mine[0]["id_token"] == "PASSED-ON"
    await client.delete("/drivers/me")
    assert (await api.operator.put(f"/drivers/{other_id}/id-tokens/PASSED-ON", json={})).is_success
    await charge(api, "PASSED-ON", energy_wh=3)
    theirs = (await other.get("/drivers/me/export")).json()["charges"]
    assert [item["energy_wh"] for item in theirs] == [3]


async def wish(api: RunningApi, driver_id: UUID, state: str) -> UUID:
    """Store a driver's charge that has come to this state."""
    number, charge_id = next(NAMES), uuid4()
    await make_location(api, f"wish-{number}")
    await make_station(api, f"CS-WISH-{number}", f"wish-{number}")
    over = state == "ended"
    async with api.database.write() as connection:
        await connection.execute(
            insert(charges).values(
                id=charge_id,
                driver_id=driver_id,
                station_id=await api.station_id(f"CS-WISH-{number}"),
                evse_no=1,
                started_by="app",
                id_token="app-x",
                state=state,
                requested_at=api.clock.now(),
                ended_at=api.clock.now() if over else None,
                end_reason="driver" if over else None,
            )
        )
    return charge_id


@pytest.mark.parametrize("busy", [False, True])
async def test_an_account_takes_over_a_guests_charges(api: RunningApi, busy: bool) -> None:
    phone = new_phone()
    driver_id, _ = await api.new_driver(phone)
    guest_id, client = await guest_client(api)
    own = [await wish(api, driver_id, "starting")] if busy else []
    over = await wish(api, guest_id, "ended")
    starting = await wish(api, guest_id, "starting")
    body = {"phone": phone, "code": await code_for(api, phone)}
    response = await client.post("/driver-logins", json=body)
    assert response.status_code == 200, response.text
    async with api.database.read() as connection:
        query = select(charges.c.id).where(charges.c.driver_id == driver_id)
        theirs = set(await connection.scalars(query))
    assert theirs == {over, *(own or [starting])}
    async with api.new_client(response.json()["token"]) as mine:
        problem_of(await mine.delete("/drivers/me"), 409, "account-in-use")
        told = (await mine.get("/drivers/me/export")).json()["charge_requests"]
    assert {item["id"] for item in told} == {str(item) for item in theirs}
