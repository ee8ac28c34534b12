"""The inbox's stream over real HTTP: nothing lost, nothing twice, limits, logins that end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import delete, update

from chargehub.drivers.inbox import POSTED, notify
from chargehub.drivers.inbox_feed import STALLED
from chargehub.drivers.store import driver_logins
from chargehub.kit.clock import wall_now
from chargehub.kit.jobs import outbox
from tests.hub_fixtures import eventually
from tests.integration.api.conftest import RunningApi, problem_of
from tests.integration.api.mail import DEADLINE_S, TURN, Mail, events, mail_of, stream, take


@pytest_asyncio.fixture
async def mail(api: RunningApi) -> AsyncIterator[Mail]:
    async with mail_of(api) as mail:
        yield mail


@pytest_asyncio.fixture
async def driver(api: RunningApi) -> tuple[UUID, httpx.AsyncClient]:
    return await api.new_driver()


async def test_a_stream_tells_its_state_then_each_new_message_once(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    other, _ = await api.new_driver()
    await mail.tell(driver_id, gun_code="A0")
    await mail.deliver()
    async with stream(client, **{"Accept-Language": "en"}) as told:
        (state,) = await take(told, 1)
        assert (state.kind, state.data) == ("state", {"unread": 1})
        for gun in ("A1", "A2"):
            await mail.tell(other)
            await mail.tell(driver_id, gun_code=gun)
            await mail.deliver()
            (event,) = await take(told, 1)
            assert event.data["facts"]["gun_code"] == gun
            assert event.data["title"] == "It is your turn"
            assert event.event_id > state.event_id


async def test_a_stream_resumes_where_it_was(
    mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    async with stream(client) as told:
        (state,) = await take(told, 1)
    for number in range(120):
        await mail.tell(driver_id, gun_code=f"A{number}")
    await mail.deliver()
    async with stream(client, state.event_id) as told:
        seen = await take(told, 100)
        assert seen[0].data == {"unread": 120}
    async with stream(client, seen[-1].event_id) as told:
        seen += (await take(told, 22))[1:]
    guns = [event.data["facts"]["gun_code"] for event in seen[1:]]
    assert guns == [f"A{number}" for number in range(120)]
    async with client.stream("GET", f"/inbox/stream?after={seen[-2].event_id}") as response:
        assert [event.event_id for event in await take(events(response), 2)][1] == seen[-1].event_id


@pytest.mark.parametrize("last", ["garbage", "-1", "9" * 18, "9" * 40, ""])
async def test_an_id_that_leads_nowhere_begins_anew(
    mail: Mail, driver: tuple[UUID, httpx.AsyncClient], last: str
) -> None:
    driver_id, client = driver
    await mail.tell(driver_id, gun_code="old")
    await mail.deliver()
    async with stream(client, last) as told:
        await take(told, 1)
        await mail.tell(driver_id, gun_code="new")
        await mail.deliver()
        (event,) = await take(told, 1)
    assert event.data["facts"]["gun_code"] == "new"


async def test_a_message_committed_late_is_not_passed_by(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    async with stream(client) as told:
        await take(told, 1)
        async with api.database.write() as slow:
            # Its id is the lower one, its COMMIT the later.
            await notify(slow, driver_id, "your_turn", TURN | {"gun_code": "slow"}, wall_now())
            await mail.tell(driver_id, gun_code="fast")
            await mail.deliver()
            (first,) = await take(told, 1)
        await mail.deliver()
        (second,) = await take(told, 1)
    guns = [event.data["facts"]["gun_code"] for event in (first, second)]
    assert guns == ["fast", "slow"]
    assert int(first.event_id) < int(second.event_id)


async def test_a_restart_loses_no_message_and_doubles_none(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    async with stream(client) as told:
        (state,) = await take(told, 1)
    # Acted on, and the server dies before that is marked.
    await mail.tell(driver_id, gun_code="A1")
    await mail.deliver()
    async with api.database.write() as connection:
        again = outbox.c.topic == POSTED
        await connection.execute(update(outbox).where(again).values(handled_at=None))
    # Written down, and it dies before its worker has looked.
    await mail.tell(driver_id, gun_code="A2")
    reborn = Mail(api)
    await reborn.deliver()
    async with stream(client, state.event_id) as told:
        seen = await take(told, 3)
        await mail.tell(driver_id, gun_code="A3")
        await reborn.deliver()
        seen += await take(told, 1)
    guns = [event.data["facts"]["gun_code"] for event in seen[1:]]
    assert guns == ["A1", "A2", "A3"]
    assert len(mail.post.sent) == 1
    assert len(reborn.post.sent) == 2


async def test_one_stream_too_many_is_told_so(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    _, client = driver
    _, other = await api.new_driver()
    mail.feed.limit.most_of_driver = 1
    try:
        async with stream(client) as told:
            await take(told, 1)
            answer = await client.get("/inbox/stream")
            assert int(problem_of(answer, 429, "too-many-requests")["retry_after_s"]) > 0
            mail.feed.limit.most = 1
            answer = await other.get("/inbox/stream")
            problem_of(answer, 503, "too-many-streams")
            assert int(answer.headers["retry-after"]) > 0
        await eventually(lambda: mail.feed.limit.streams == 0)
        async with stream(client) as told:
            assert len(await take(told, 1)) == 1
    finally:
        mail.feed.limit.most_of_driver, mail.feed.limit.most = 5, 2_000


async def test_a_stream_ends_with_its_login(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    async with stream(client) as told:
        await take(told, 1)
        async with api.database.write() as connection:
            mine = driver_logins.c.driver_id == driver_id
            await connection.execute(
                update(driver_logins).where(mine).values(revoked_at=wall_now())
            )
        await mail.tell(driver_id)
        await mail.deliver()
        async with asyncio.timeout(DEADLINE_S):
            assert [event async for event in told] == []


async def test_a_quiet_stream_beats_and_asks_for_its_login(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    mail.feed.beat_s, mail.feed.login_check_s = 0.05, 0.0
    try:
        async with client.stream("GET", "/inbox/stream") as response:
            text = b""
            async with asyncio.timeout(DEADLINE_S):
                async for chunk in response.aiter_bytes():
                    text += chunk
                    if text.count(b": beat\n\n") == 2:
                        async with api.database.write() as connection:
                            await connection.execute(
                                delete(driver_logins).where(driver_logins.c.driver_id == driver_id)
                            )
        assert text.startswith(b"retry: 2000\n\nid: ")
    finally:
        mail.feed.beat_s, mail.feed.login_check_s = 15.0, 60.0


async def test_a_reader_that_reads_nothing_is_let_go(
    api: RunningApi, mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    driver_id, client = driver
    mail.feed.stall_s = 0.3
    stalled = STALLED._value.get()  # noqa: SLF001  prometheus_client has no other way to read it.
    address = urlsplit(api.url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
        head = "GET /api/v1/inbox/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n"
        head += f"Authorization: {client.headers['authorization']}\r\n\r\n"
        for number in range(60):
            await mail.tell(driver_id, gun_code="x" * 100_000, key=str(number))
        await mail.deliver()
        await asyncio.get_running_loop().sock_sendall(sock, head.encode())
        await eventually(lambda: STALLED._value.get() == stalled + 1)  # noqa: SLF001  As above.
        await eventually(lambda: mail.feed.limit.streams == 0)
    finally:
        mail.feed.stall_s = 30.0
        sock.close()


async def test_stopping_ends_every_stream(
    mail: Mail, driver: tuple[UUID, httpx.AsyncClient]
) -> None:
    try:
        async with stream(driver[1]) as told:
            await take(told, 1)
            mail.feed.stop()
            async with asyncio.timeout(DEADLINE_S):
                assert [event async for event in told] == []
    finally:
        mail.feed.closed = False
