"""How drivers come in: codes by phone, WeChat, guests; every refusal, and nothing given away."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select, text
from structlog.testing import capture_logs

from chargehub.drivers.account_rules import AddressBudget
from chargehub.drivers.accounts import find_account, find_app_token
from chargehub.drivers.entry import Budgets, DriverEntry
from chargehub.drivers.ports import DevelopmentSms, DevelopmentWeChat
from chargehub.drivers.store import driver_login_codes, drivers, id_tokens
from tests.fakes.driver_ports import FakeWeChat
from tests.integration.api.conftest import RunningApi, problem_of

NUMBERS = itertools.count(1)


@pytest.fixture
def phone() -> str:
    return f"+86150{next(NUMBERS):08d}"


@pytest.fixture(autouse=True)
def _wall_restored(api: RunningApi) -> Iterator[None]:
    yield
    api.wall.ahead = timedelta(0)
    api.sms.fails = False


@pytest_asyncio.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.new_client() as client:
        yield client


def entry_of(api: RunningApi) -> DriverEntry:
    entry: DriverEntry = api.app.state.parts[DriverEntry]
    return entry


async def ask(client: httpx.AsyncClient, phone: str) -> httpx.Response:
    return await client.post("/driver-logins/codes", json={"phone": phone})


async def enter(client: httpx.AsyncClient, phone: str, code: str, **headers: str) -> httpx.Response:
    body = {"phone": phone, "code": code, "device_name": "phone"}
    return await client.post("/driver-logins", json=body, headers=headers)


async def log_in(api: RunningApi, client: httpx.AsyncClient, phone: str) -> dict[str, Any]:
    assert (await ask(client, phone)).status_code == 202
    response = await enter(client, phone, api.sms.sent[-1][1])
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    api.wall.ahead += timedelta(minutes=2)  # Until the next code may be asked for.
    return result


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_the_first_login_opens_the_account_and_the_next_finds_it(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    made = await log_in(api, client, phone.removeprefix("+86"))
    assert (made["is_new"], made["is_guest"]) == (True, False)
    async with api.new_client(made["token"]) as mine:
        assert (await mine.get("/driver-logins")).status_code == 200
    found = await log_in(api, client, f"{phone[:3]} {phone[3:]}")
    assert (found["is_new"], found["driver_id"]) == (False, made["driver_id"])


async def test_the_answer_to_a_code_is_the_same_with_and_without_an_account(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    await log_in(api, client, phone)
    stranger = f"+86151{next(NUMBERS):08d}"
    known, unknown = await ask(client, phone), await ask(client, stranger)
    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json() == {"expires_in_s": 300, "again_in_s": 60}
    wrong = [
        problem_of(
            await enter(client, number, other_than(api.sms.code_of(number))), 401, "wrong-code"
        )
        for number in (phone, stranger)
    ]
    again = [
        problem_of(await ask(client, number), 429, "too-many-requests")
        for number in (phone, stranger)
    ]
    for pair in (wrong, again):
        for document in pair:
            del document["request_id"]
            document.pop("retry_after_s", None)
        assert pair[0] == pair[1]


@pytest.mark.parametrize("written", ["", "1390000123", "+4913900001234", "1" * 500, "a\x00b", 139])
async def test_another_number_is_refused_without_being_repeated(
    client: httpx.AsyncClient, written: Any
) -> None:
    response = await client.post("/driver-logins/codes", json={"phone": written})
    document = problem_of(response, 422, "invalid-input")
    assert "mobile number of mainland China" in document["errors"][0]["message"]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６"])
async def test_a_code_is_six_digits(client: httpx.AsyncClient, phone: str, code: str) -> None:
    document = problem_of(await enter(client, phone, code), 422, "invalid-input")
    assert document["errors"][0]["message"] == "A code is six digits."


async def test_a_code_expires(api: RunningApi, client: httpx.AsyncClient, phone: str) -> None:
    await ask(client, phone)
    api.wall.ahead += timedelta(seconds=301)
    code = api.sms.code_of(phone)
    problem_of(await enter(client, phone, code), 401, "code-expired")
    problem_of(await enter(client, phone, other_than(code)), 401, "wrong-code")


async def test_a_code_is_good_once_also_at_the_same_time(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    await ask(client, phone)
    code = api.sms.code_of(phone)
    answers = await asyncio.gather(*(enter(client, phone, code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_code_of_another_phone_is_wrong(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    other = f"+86151{next(NUMBERS):08d}"
    await ask(client, phone)
    await ask(client, other)
    problem_of(await enter(client, other, api.sms.code_of(phone)), 401, "wrong-code")


async def test_the_newest_code_counts(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    await ask(client, phone)
    old = api.sms.code_of(phone)
    api.wall.ahead += timedelta(seconds=61)
    await ask(client, phone)
    if old != api.sms.code_of(phone):
        problem_of(await enter(client, phone, old), 401, "wrong-code")
    assert (await enter(client, phone, api.sms.code_of(phone))).status_code == 200


async def test_five_wrong_codes_lock_the_phone_for_the_right_one_too(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    await ask(client, phone)
    code = api.sms.code_of(phone)
    for _ in range(5):
        problem_of(await enter(client, phone, other_than(code)), 401, "wrong-code")
    locked = await enter(client, phone, code)
    assert problem_of(locked, 429, "phone-locked")["retry_after_s"] > 290
    assert int(locked.headers["retry-after"]) > 290
    api.wall.ahead += timedelta(seconds=61)
    problem_of(await ask(client, phone), 429, "too-many-requests")
    api.wall.ahead += timedelta(minutes=5)
    problem_of(await enter(client, phone, code), 401, "wrong-code")
    assert (await log_in(api, client, phone))["is_new"]


async def test_strangers_who_guess_do_not_keep_the_drivers_device_out(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    """They use up the phone's codes and lock it; who has proved it before comes in all the same."""
    known = (await log_in(api, client, phone))["device_token"]
    for _ in range(3):
        await ask(client, phone)
        for _ in range(5):
            await enter(client, phone, other_than(api.sms.code_of(phone)))
        api.wall.ahead += timedelta(minutes=1)
    problem_of(await ask(client, phone), 429, "too-many-requests")
    asked = await client.post("/driver-logins/codes", json={"phone": phone, "device_token": known})
    assert asked.status_code == 202, asked.text
    code = api.sms.code_of(phone)
    # It is a code of this device alone: nobody else can use it, or guess it away.
    problem_of(await enter(client, phone, code), 429, "phone-locked")
    body = {"phone": phone, "code": code, "device_token": known}
    entered = await client.post("/driver-logins", json=body)
    assert entered.status_code == 200, entered.text
    assert entered.json()["device_token"] not in {known, None}


@pytest.mark.parametrize("kind", ["of another phone", "made up", "cut", "a\u4e2d"])
async def test_a_token_that_is_not_this_devices_gains_nothing(
    api: RunningApi, client: httpx.AsyncClient, phone: str, kind: str
) -> None:
    made: str = (await log_in(api, client, f"+86153{next(NUMBERS):08d}"))["device_token"]
    token = {
        "of another phone": made,
        "made up": f"{made[:22]}.{'A' * 43}",
        "cut": made[:-1],
    }.get(kind, kind)
    assert (await ask(client, phone)).status_code == 202
    body = {"phone": phone, "device_token": token}
    again = await client.post("/driver-logins/codes", json=body)
    problem_of(again, 429, "too-many-requests")


async def test_a_known_devices_wrong_codes_lock_it_too(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    known = (await log_in(api, client, phone))["device_token"]
    await client.post("/driver-logins/codes", json={"phone": phone, "device_token": known})
    code = api.sms.code_of(phone)
    body = {"phone": phone, "code": other_than(code), "device_token": known}
    answers = [await client.post("/driver-logins", json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert (await ask(client, phone)).status_code == 202, "its lock is its own"


async def test_codes_of_a_phone_are_rationed_over_restarts(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    assert (await ask(client, phone)).status_code == 202
    refused = problem_of(await ask(client, phone), 429, "too-many-requests")
    assert 0 < refused["retry_after_s"] <= 60
    for _ in range(4):
        api.wall.ahead += timedelta(seconds=61)
        assert (await ask(client, phone)).status_code == 202
    api.wall.ahead += timedelta(seconds=61)
    assert problem_of(await ask(client, phone), 429, "too-many-requests")["retry_after_s"] > 3_000
    count = sum(to == phone for to, _, _ in api.sms.sent)
    assert count == 5


async def test_two_first_requests_of_a_phone_send_one_code(
    client: httpx.AsyncClient, phone: str
) -> None:
    answers = await asyncio.gather(*(ask(client, phone) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202] + [429] * 5


@pytest.mark.parametrize("what", ["codes", "logins", "guests"])
async def test_an_address_has_a_budget(
    api: RunningApi, client: httpx.AsyncClient, phone: str, what: str
) -> None:
    entry = entry_of(api)
    usual = entry.budgets
    entry.budgets = Budgets(*(AddressBudget(1) for _ in range(3)))
    try:
        for expected in (False, True):
            if what == "codes":
                response = await ask(client, f"+86152{next(NUMBERS):08d}")
            elif what == "logins":
                response = await enter(client, phone, "123456")
            else:
                response = await client.post("/driver-logins/guests", json={})
            if expected:
                assert problem_of(response, 429, "too-many-requests")["retry_after_s"] > 3_000
            else:
                assert response.status_code in {202, 401, 201}
    finally:
        entry.budgets = usual


async def test_a_code_that_was_not_sent_costs_nothing(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    api.sms.fails = True
    problem_of(await ask(client, phone), 502, "sms-not-sent")
    api.sms.fails = False
    assert (await ask(client, phone)).status_code == 202
    for _ in range(3):
        api.wall.ahead += timedelta(seconds=61)
        assert (await ask(client, phone)).status_code == 202
    api.wall.ahead += timedelta(seconds=61)
    api.sms.fails = True
    problem_of(await ask(client, phone), 502, "sms-not-sent")
    api.sms.fails = False
    assert (await ask(client, phone)).status_code == 202
    api.wall.ahead += timedelta(seconds=61)
    problem_of(await ask(client, phone), 429, "too-many-requests")  # Five came in this hour.


async def test_a_hub_without_ports_says_so(api: RunningApi, client: httpx.AsyncClient) -> None:
    ports = entry_of(api).ports
    sms, wechat = ports.sms, ports.wechat
    ports.sms, ports.wechat = None, None
    try:
        problem_of(await ask(client, "13900001234"), 501, "sms-not-configured")
        answer = await client.post("/driver-logins/wechat", json={"code": "wx-a"})
        problem_of(answer, 501, "wechat-not-configured")
    finally:
        ports.sms, ports.wechat = sms, wechat


async def test_neither_phone_nor_code_is_stored_or_logged(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    with capture_logs() as lines:
        await ask(client, phone)
        code = api.sms.code_of(phone)
        await enter(client, phone, other_than(code))
        await enter(client, phone, code)
        await DevelopmentSms().send_code(phone, code, "zh")
    *before, last = lines
    assert last["code"] == code
    digits = phone.removeprefix("+86")
    assert digits not in str(lines)
    assert code not in str(before)
    async with api.database.read() as connection:
        for table in (driver_login_codes, drivers, id_tokens):
            rows = (await connection.execute(select(table))).all()
            assert rows
            for row in rows:
                kept = b" ".join(
                    value if isinstance(value, bytes) else str(value).encode() for value in row
                )
                assert digits.encode() not in kept
                assert code.encode() not in kept or table is not driver_login_codes
        entries = (await connection.execute(text("SELECT * FROM audit_entries"))).all()
    assert digits not in str(entries)


async def test_wechat_opens_an_account_once_and_finds_it_again(
    client: httpx.AsyncClient,
) -> None:
    made = (await client.post("/driver-logins/wechat", json={"code": "wx-wang#1"})).json()
    again = (await client.post("/driver-logins/wechat", json={"code": "wx-wang#2"})).json()
    assert (made["is_new"], again["is_new"]) == (True, False)
    assert made["driver_id"] == again["driver_id"]
    used = await client.post("/driver-logins/wechat", json={"code": "wx-wang#2"})
    problem_of(used, 401, "wechat-refused")


async def test_two_first_logins_by_wechat_open_one_account(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(
            client.post("/driver-logins/wechat", json={"code": f"wx-twice#{number}"})
            for number in range(4)
        )
    )
    assert len({answer.json()["driver_id"] for answer in answers}) == 1


async def test_an_account_binds_wechat_unless_it_is_anothers(api: RunningApi) -> None:
    mine, my_client = await api.new_driver()
    _, other = await api.new_driver()
    bound = await my_client.post("/driver-logins/wechat", json={"code": "wx-li#1"})
    assert bound.json()["driver_id"] == str(mine)
    refused = await other.post("/driver-logins/wechat", json={"code": "wx-li#2"})
    problem_of(refused, 409, "wechat-taken")
    async with api.new_client() as nobody:
        found = await nobody.post("/driver-logins/wechat", json={"code": "wx-li#3"})
    assert found.json()["driver_id"] == str(mine)


async def test_an_account_closed_while_wechat_is_asked_is_bound_to_nothing(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = await api.new_driver()

    async def slow(_self: FakeWeChat, code: str) -> str:
        assert (await client.delete("/drivers/me")).status_code == 204
        return code

    monkeypatch.setattr(FakeWeChat, "open_id_of", slow)
    answer = await client.post("/driver-logins/wechat", json={"code": "wx-late"})
    problem_of(answer, 404, "not-found")


async def test_the_wechat_of_the_demo_believes_its_own_codes_only() -> None:
    assert await DevelopmentWeChat().open_id_of("demo-wang") == "wang"
    with pytest.raises(Exception, match="demo"):
        await DevelopmentWeChat().open_id_of("081x")


async def guest(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.post("/driver-logins/guests", json={"language": "en"})
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    client.cookies.clear()
    return result


async def test_a_guest_has_an_app_token_for_a_day(
    api: RunningApi, client: httpx.AsyncClient
) -> None:
    made = await guest(client)
    assert made["is_guest"]
    async with api.database.read() as connection:
        account = await find_account(connection, made["driver_id"])
        token = await find_app_token(connection, made["driver_id"])
    assert account.language == "en"
    assert token.expires_at == account.guest_until
    assert timedelta(hours=23) < token.expires_at - api.clock.now() <= timedelta(hours=24)
    api.wall.ahead += timedelta(hours=25)
    async with api.new_client(made["token"]) as mine:
        problem_of(await mine.get("/driver-logins"), 401, "unauthenticated")


async def test_a_guest_becomes_an_account_and_keeps_the_token(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    made = await guest(client)
    async with api.database.read() as connection:
        before = await find_app_token(connection, made["driver_id"])
    await ask(client, phone)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    upgraded = (await enter(client, phone, api.sms.code_of(phone), **bearer)).json()
    assert upgraded["driver_id"] == made["driver_id"]
    assert (upgraded["is_guest"], upgraded["is_new"]) == (False, True)
    async with api.database.read() as connection:
        after = await find_app_token(connection, made["driver_id"])
    assert (after.token, after.group_token) == (before.token, before.group_token)
    assert after.expires_at is None
    # The guest's login is over; the account's is another.
    async with api.new_client(made["token"]) as old:
        problem_of(await old.get("/driver-logins"), 401, "unauthenticated")


async def test_an_account_takes_over_what_its_driver_began_as_a_guest(
    api: RunningApi, client: httpx.AsyncClient, phone: str
) -> None:
    account = await log_in(api, client, phone)
    client.cookies.clear()
    made = await guest(client)
    async with api.database.read() as connection:
        of_guest = await find_app_token(connection, made["driver_id"])
    await ask(client, phone)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    merged = (await enter(client, phone, api.sms.code_of(phone), **bearer)).json()
    assert (merged["driver_id"], merged["is_new"]) == (account["driver_id"], False)
    async with api.database.read() as connection:
        moved = (
            await connection.execute(select(id_tokens).where(id_tokens.c.token == of_guest.token))
        ).one()
        owner = await find_account(connection, account["driver_id"])
        left = await connection.scalar(
            select(func.count()).where(
                drivers.c.id == made["driver_id"], drivers.c.closed_at.is_(None)
            )
        )
    assert str(moved.driver_id) == account["driver_id"]
    assert moved.group_token == owner.group_token
    assert (moved.expires_at, left) == (None, 0)
