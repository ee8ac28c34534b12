"""The inbox over real HTTP: listed, read, in words; channels beside it; nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import insert, select, update

from chargehub.drivers.inbox import notify
from chargehub.drivers.inbox_texts import UnknownMessage
from chargehub.drivers.own_parts import OWN_PARTS
from chargehub.drivers.store import drivers, inbox_messages
from chargehub.kit.clock import wall_now
from chargehub.kit.idempotency import idempotency_keys
from chargehub.kit.jobs import outbox
from tests.integration.api.conftest import RunningApi, make_location, problem_of
from tests.integration.api.mail import TURN, Mail, mail_of, stream, take


@pytest_asyncio.fixture
async def mail(api: RunningApi) -> AsyncIterator[Mail]:
    async with mail_of(api) as mail:
        yield mail


@pytest_asyncio.fixture
async def driver(api: RunningApi) -> tuple[UUID, httpx.AsyncClient]:
    return await api.new_driver()


async def test_messages_are_listed_newest_first_and_counted(
    mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    for gun in ("A1", "A2", "A3"):
        await mail.tell(driver_id, gun_code=gun)
    page = (await client.get("/inbox?limit=2")).json()
    assert [item["facts"]["gun_code"] for item in page["items"]] == ["A3", "A2"]
    assert page["unread"] == 3
    rest = (await client.get("/inbox", params={"cursor": page["next_cursor"]})).json()
    assert [item["facts"]["gun_code"] for item in rest["items"]] == ["A1"]
    assert rest["next_cursor"] is None
    problem_of(await client.get("/inbox?cursor=x"), 422, "invalid-cursor")
    problem_of(await client.get("/inbox?unred=true"), 422, "invalid-input")


async def test_reading_one_and_all(mail: Mail, driver: tuple[UUID, httpx.AsyncClient]) -> None:
    driver_id, client = driver
    for gun in ("A1", "A2", "A3"):
        await mail.tell(driver_id, gun_code=gun)
    newest, middle, oldest = (await client.get("/inbox")).json()["items"]
    assert (await client.post(f"/inbox/{middle['id']}/read")).json() == {"unread": 2}
    first = (await client.get("/inbox")).json()["items"][1]["read_at"]
    assert first is not None
    assert (await client.post(f"/inbox/{middle['id']}/read")).json() == {"unread": 2}
    assert (await client.get("/inbox")).json()["items"][1]["read_at"] == first
    unread = (await client.get("/inbox?unread=true")).json()["items"]
    assert [item["id"] for item in unread] == [newest["id"], oldest["id"]]
    # What came after the newest that was shown stays unread.
    up_to = await client.post("/inbox/read-all", params={"up_to": middle["id"]})
    assert up_to.json() == {"unread": 1}
    assert (await client.post("/inbox/read-all")).json() == {"unread": 0}


async def test_nobody_reads_anothers_messages(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    _, stranger = await api.new_driver()
    await mail.tell(driver_id)
    (message,) = (await client.get("/inbox")).json()["items"]
    assert (await stranger.get("/inbox")).json()["items"] == []
    problem_of(await stranger.post(f"/inbox/{message['id']}/read"), 404, "not-found")
    assert (await stranger.post("/inbox/read-all")).json() == {"unread": 0}
    assert (await client.get("/inbox")).json()["unread"] == 1
    problem_of(await client.post("/inbox/0/read"), 422, "invalid-input")
    problem_of(await api.operator.get("/inbox"), 401, "unauthenticated")


async def test_the_language_is_the_drivers_or_what_is_accepted(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    await mail.tell(driver_id)

    async def told(accepted: str | None) -> tuple[str, str]:
        headers = {} if accepted is None else {"Accept-Language": accepted}
        answer = await client.get("/inbox", headers=headers)
        title: str = answer.json()["items"][0]["title"]
        return answer.headers["content-language"], title

    assert await told("zh-CN") == ("zh-CN", "轮到您了")
    assert await told("en-GB, zh;q=0.5") == ("en", "It is your turn")
    assert await told("fr") == ("zh-CN", "轮到您了")
    async with api.database.write() as connection:
        mine = drivers.c.id == driver_id
        await connection.execute(update(drivers).where(mine).values(language="en"))
    assert await told(None) == ("en", "It is your turn")


async def test_the_location_is_named_as_it_is_called_now(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    await make_location(api, "inbox-hub")
    await mail.tell(driver_id, location_id="inbox-hub")
    await api.admin.patch("/locations/inbox-hub", json={"name": "衢州北站"})
    (message,) = (await client.get("/inbox")).json()["items"]
    assert message["text"].endswith("场站：衢州北站。")


async def test_what_could_not_be_worded_is_refused_and_nothing_is_written(
    mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    with pytest.raises(UnknownMessage):
        await mail.tell(driver_id, "something_else")
    with pytest.raises(UnknownMessage):
        await mail.tell(driver_id, until=None)
    with pytest.raises(TypeError):
        await mail.tell(driver_id, gun_code=object())
    await mail.tell(driver_id, until=wall_now(), reservation_id=UUID(int=1))
    (message,) = (await client.get("/inbox")).json()["items"]
    assert message["facts"]["reservation_id"] == str(UUID(int=1))


async def test_one_key_is_told_once(mail: Mail, driver: tuple[UUID, httpx.AsyncClient]) -> None:
    driver_id, client = driver
    await asyncio.gather(*(mail.tell(driver_id, key="turn/1") for _ in range(8)))
    await mail.tell(driver_id, key="turn/2")
    await mail.deliver()
    assert (await client.get("/inbox")).json()["unread"] == len(mail.post.sent) == 2


async def test_a_transaction_that_fails_tells_nothing(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    async def fail() -> None:
        async with api.database.write() as connection:
            await notify(connection, driver[0], "your_turn", TURN, api.clock.now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    await mail.deliver()
    assert (await driver[1].get("/inbox")).json()["unread"] == len(mail.post.sent) == 0


async def test_a_channel_that_fails_is_tried_again_and_holds_up_nothing(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    mail.post.failures = 1
    async with stream(client) as told:
        await take(told, 1)
        await mail.tell(driver_id)
        await mail.deliver()
        assert len(await take(told, 1)) == 1
    assert mail.post.sent == []
    async with api.database.write() as connection:
        await connection.execute(update(outbox).values(retry_at=None))
    await mail.deliver()
    (notice,) = mail.post.sent
    assert (notice.driver_id, notice.title, notice.language) == (driver_id, "轮到您了", "zh")
    assert notice.text.startswith("排队已叫到您，请在11月23日19:45前到场插枪")


@pytest.mark.parametrize("why", ["read", "late", "closed"])
async def test_what_is_of_no_use_any_more_is_not_sent(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient], why: str
) -> None:
    driver_id, client = driver
    await mail.tell(driver_id)
    if why == "read":
        await client.post("/inbox/read-all")
    async with api.database.write() as connection:
        if why == "late":
            earlier = api.clock.now() - timedelta(minutes=16)
            await connection.execute(update(inbox_messages).values(at=earlier))
        if why == "closed":
            mine = drivers.c.id == driver_id
            erased = {"phone_sealed": None, "phone_fingerprint": None}
            await connection.execute(
                update(drivers).where(mine).values(closed_at=wall_now(), **erased)
            )
    await mail.deliver()
    assert mail.post.sent == []


async def keep_an_answer(api: RunningApi, principal: UUID) -> None:
    async with api.database.write() as connection:
        await connection.execute(
            insert(idempotency_keys).values(
                principal=str(principal),
                key_hash=b"x",
                fingerprint=b"x",
                state="unclear",
                begun_at=wall_now(),
            )
        )


async def inbox_of(client: httpx.AsyncClient) -> list[str]:
    items = (await client.get("/inbox")).json()["items"]
    return [item["facts"]["gun_code"] for item in items]


async def test_who_goes_is_forgotten(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    other, others = await api.new_driver()
    for one in (driver_id, other):
        await mail.tell(one)
        await keep_an_answer(api, one)
    (inbox, answers) = OWN_PARTS
    async with api.database.write() as connection:
        exported = await inbox.export(connection, driver_id)
        for part in (inbox, answers):
            assert await part.obstacle(connection, driver_id) is None
            await part.erase(connection, driver_id, api.clock.now())
        assert await inbox.export(connection, driver_id) is None
        assert await answers.export(connection, other) is None
        kept = await connection.scalars(select(idempotency_keys.c.principal))
        assert kept.all() == [str(other)]
    assert [(item["kind"], item["facts"]) for item in exported] == [("your_turn", TURN)]
    assert (await inbox_of(client), await inbox_of(others)) == ([], ["A12"])
    await mail.deliver()
    assert [notice.driver_id for notice in mail.post.sent] == [other]


async def test_a_guests_messages_become_the_accounts(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    guest, guests = await api.new_driver()
    await mail.tell(driver_id, gun_code="A1", key="a")
    for gun, key in (("A2", "a"), ("A3", "b"), ("A4", None)):
        await mail.tell(guest, gun_code=gun, key=key)
    async with api.database.write() as connection:
        await OWN_PARTS[0].take_over(connection, guest, driver_id)
    assert await inbox_of(client) == ["A4", "A3", "A1"]
    assert await inbox_of(guests) == []
