"""Drivers' logins: several devices, their ends, cookies, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from chargehub.drivers.accounts import find_account, find_app_token, open_account
from chargehub.drivers.logins import LIFETIME, MAX_DEVICES
from chargehub.drivers.principal import DRIVER_COOKIE
from chargehub.drivers.store import driver_logins, id_tokens
from tests.integration.api.conftest import RunningApi, problem_of


async def devices(api: RunningApi, token: str) -> list[str]:
    async with api.new_client(token) as client:
        response = await client.get("/driver-logins")
    assert response.status_code == 200, response.text
    return [item["device_name"] for item in response.json()["items"]]


async def test_an_account_has_an_app_token_of_the_drivers_group(api: RunningApi) -> None:
    driver_id, _ = await api.new_driver("+8613812345678")
    async with api.database.read() as connection:
        account = await find_account(connection, driver_id)
        token = await find_app_token(connection, driver_id)
    assert account.group_token.startswith("DRV-")
    assert (token.kind, token.group_token, token.driver_id) == (
        "Central",
        account.group_token,
        driver_id,
    )
    # As long as an idTag may be.
    assert len(token.display) == len(token.group_token) == 20
    assert api.seal.open_text(account.phone_sealed, f"drivers.phone/{driver_id}").endswith("5678")


async def test_one_phone_has_one_open_account(api: RunningApi) -> None:
    phone = "+8613812340000"
    await api.new_driver(phone)
    async with api.database.write() as connection:
        before = await connection.scalar(select(func.count()).select_from(id_tokens))
        assert await open_account(connection, api.clock.now(), api.seal, phone=phone) is None
        after = await connection.scalar(select(func.count()).select_from(id_tokens))
    assert before == after


async def test_devices_are_listed_and_ended_one_by_one_and_all(api: RunningApi) -> None:
    driver_id, first = await api.new_driver()
    async with api.database.write() as connection:
        phone, pad = [
            await api.driver_logins.issue(connection, driver_id, name) for name in ("phone", "pad")
        ]
    assert set(await devices(api, phone.token)) == {"test", "phone", "pad"}
    items = (await first.get("/driver-logins")).json()["items"]
    assert [item["device_name"] for item in items if item["current"]] == ["test"]
    ended = await first.delete(f"/driver-logins/{pad.principal.login_id}")
    assert ended.status_code == 204
    async with api.new_client(pad.token) as client:
        problem_of(await client.get("/driver-logins"), 401, "unauthenticated")
    assert set(await devices(api, phone.token)) == {"test", "phone"}
    again = await first.delete(f"/driver-logins/{pad.principal.login_id}")
    problem_of(again, 404, "not-found")
    assert (await first.delete("/driver-logins")).status_code == 204
    problem_of(await first.get("/driver-logins"), 401, "unauthenticated")
    assert await api.driver_logins.authenticate(phone.token) is None


async def test_logging_out_ends_this_device_only(api: RunningApi) -> None:
    driver_id, first = await api.new_driver()
    async with api.database.write() as connection:
        other = await api.driver_logins.issue(connection, driver_id, "other")
    assert (await first.delete("/driver-logins/current")).status_code == 204
    problem_of(await first.get("/driver-logins"), 401, "unauthenticated")
    assert await devices(api, other.token) == ["other"]


async def test_another_drivers_login_is_not_there(api: RunningApi) -> None:
    _, mine = await api.new_driver()
    other_id, theirs = await api.new_driver()
    [login] = await api.driver_logins.list_devices(other_id)
    problem_of(await mine.delete(f"/driver-logins/{login.id}"), 404, "not-found")
    assert (await theirs.get("/driver-logins")).status_code == 200


async def test_a_login_expires_on_wall_time(api: RunningApi) -> None:
    _, client = await api.new_driver()
    api.wall.ahead = LIFETIME + timedelta(seconds=1)
    try:
        problem_of(await client.get("/driver-logins"), 401, "unauthenticated")
    finally:
        api.wall.ahead = timedelta(0)
    assert (await client.get("/driver-logins")).status_code == 200


async def test_the_oldest_login_ends_when_there_are_too_many(api: RunningApi) -> None:
    driver_id, first = await api.new_driver()
    for number in range(MAX_DEVICES):
        async with api.database.write() as connection:
            await api.driver_logins.issue(connection, driver_id, f"device {number}")
    problem_of(await first.get("/driver-logins"), 401, "unauthenticated")
    assert len(await api.driver_logins.list_devices(driver_id)) == MAX_DEVICES
    async with api.database.read() as connection:
        stored = await connection.scalar(
            select(func.count()).where(driver_logins.c.driver_id == driver_id)
        )
    assert stored == MAX_DEVICES


async def test_a_cookie_needs_its_csrf_token_on_unsafe_methods(api: RunningApi) -> None:
    driver_id, _ = await api.new_driver()
    async with api.database.write() as connection:
        issued = await api.driver_logins.issue(connection, driver_id)
    async with api.new_client() as client:
        client.cookies.set(DRIVER_COOKIE, issued.token)
        assert (await client.get("/driver-logins")).status_code == 200
        problem_of(await client.delete("/driver-logins"), 403, "csrf-token-missing")
        client.headers["X-CSRF-Token"] = "another"
        problem_of(await client.delete("/driver-logins"), 403, "csrf-token-missing")
        client.headers["X-CSRF-Token"] = issued.csrf_token
        assert (await client.delete("/driver-logins")).status_code == 204


async def test_an_operators_cookie_is_no_drivers(api: RunningApi) -> None:
    _, client = await api.new_driver()
    token = client.headers["Authorization"].removeprefix("Bearer ")
    async with api.new_client() as stranger:
        stranger.cookies.set("chargehub_session", token)
        problem_of(await stranger.get("/locations"), 401, "unauthenticated")
