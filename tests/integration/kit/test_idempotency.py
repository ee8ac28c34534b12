"""A repeated POST has its effect once, over real HTTP and a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Header
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select, text

from chargehub.kit import idempotency, jobs
from chargehub.kit.clock import wall_now
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict
from chargehub.kit.http import TooManyRequests, create_api, provide
from chargehub.kit.idempotency import (
    REPLAYED,
    Once,
    Repeats,
    close_left_open,
    forget_keys,
    idempotency_keys,
)
from tests.hub_fixtures import running_hub
from tests.integration.api.conftest import serving

EFFECTS = Table(
    "effects", MetaData(), Column("id", Integer, primary_key=True), Column("what", Text)
)
DriverHeader = Annotated[UUID, Header(alias="X-Driver")]
DRIVERS = [uuid4() for _ in range(2)]


class Refused(Conflict):
    """A rule refuses this for now."""

    code = "refused"


class NoAnswer(ChargeHubError):
    """The station did not answer."""

    code = "no-answer"
    status = 504


class Wish(BaseModel):
    what: str
    size: int = 1


class Made(BaseModel):
    id: int
    what: str
    at: datetime
    price: float | None = None


class Stage:
    """The endpoints' other side: what a test lets happen in them."""

    def __init__(self, url: str, database: Database, repeats: Repeats) -> None:
        self.url = url
        self.database = database
        self.repeats = repeats
        self.fails: list[BaseException] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def act(self) -> None:
        self.begun.set()
        await self.may_end.wait()
        if self.fails:
            raise self.fails.pop(0)

    async def post(
        self, path: str = "/made", key: str | None = "key-1", driver: int = 0, **body: Any
    ) -> httpx.Response:
        headers = {"X-Driver": str(DRIVERS[driver])}
        headers |= {} if key is None else {"Idempotency-Key": key}
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as client:
            return await client.post(path, json={"what": "a", **body}, headers=headers)

    async def effects(self) -> int:
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(EFFECTS)) or 0

    async def keys(self) -> list[str]:
        async with self.database.read() as connection:
            return list(await connection.scalars(select(idempotency_keys.c.state)))


def routes(app: FastAPI, stage: Stage) -> None:
    @app.post("/made", status_code=201)
    async def make(body: Wish, driver: DriverHeader, once: Once) -> Made:
        async with once.write(driver) as connection:
            made = await connection.execute(
                insert(EFFECTS).values(what=body.what).returning(EFFECTS.c.id)
            )
            view = Made(id=made.scalar_one(), what=body.what, at=datetime(2026, 1, 2, tzinfo=UTC))
            await stage.act()
            return once.keep(view, headers={"Location": f"/made/{view.id}"})

    @app.post("/asked")
    async def ask(body: Wish, driver: DriverHeader, once: Once) -> Made:
        async with once.claimed(driver):
            async with stage.database.write() as connection:
                made = await connection.execute(
                    insert(EFFECTS).values(what=body.what).returning(EFFECTS.c.id)
                )
            await stage.act()
            view = Made(id=made.scalar_one(), what=body.what, at=datetime(2026, 1, 2, tzinfo=UTC))
            return once.keep(view, status=202)

    @app.post("/silent", status_code=204)
    async def be_silent(driver: DriverHeader, once: Once) -> None:
        async with once.write(driver):
            once.keep(None)

    @app.post("/forgetful")
    async def forget(driver: DriverHeader, once: Once) -> None:
        async with once.write(driver) as connection:
            await connection.execute(insert(EFFECTS).values(what="forgotten"))


@pytest_asyncio.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    async with database.write() as connection:
        await connection.run_sync(EFFECTS.metadata.create_all)
    app = create_api(title="t", version="1", description="", max_body_bytes=100_000)
    repeats = Repeats(database)
    provide(app, repeats)
    async with serving(app) as url:
        stage = Stage(url, database, repeats)
        routes(app, stage)
        yield stage


BOTH = pytest.mark.parametrize("path", ["/made", "/asked"])


@BOTH
async def test_the_same_key_has_one_effect_and_one_answer(stage: Stage, path: str) -> None:
    first = await stage.post(path, what='枪 "é"')
    again = await stage.post(path, what='枪 "é"')
    assert first.status_code == again.status_code == (201 if path == "/made" else 202)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers.get("location") == first.headers.get("location")
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert await stage.effects() == 1


@BOTH
async def test_without_a_key_everything_happens(stage: Stage, path: str) -> None:
    for _ in range(2):
        assert (await stage.post(path, key=None)).is_success
    assert (await stage.effects(), await stage.keys()) == (2, [])


@BOTH
async def test_fifty_at_once_have_one_effect(stage: Stage, path: str) -> None:
    answers = await asyncio.gather(*(stage.post(path) for _ in range(50)))
    done = [answer for answer in answers if answer.is_success]
    assert len({answer.content for answer in done}) == 1
    for answer in answers:
        if not answer.is_success:
            assert answer.json()["code"] == "idempotency-key-under-way"
    assert await stage.effects() == 1
    assert (await stage.post(path)).content == done[0].content


@BOTH
async def test_one_under_way_is_told_so(stage: Stage, path: str) -> None:
    stage.may_end.clear()
    first = asyncio.create_task(stage.post(path))
    async with asyncio.timeout(20):
        await stage.begun.wait()
    answer = await stage.post(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency-key-under-way")
    assert answer.headers["retry-after"] == "1"
    stage.may_end.set()
    assert (await first).is_success
    assert await stage.effects() == 1


@BOTH
async def test_another_request_under_the_key_is_refused(stage: Stage, path: str) -> None:
    assert (await stage.post(path)).is_success
    for other in ({"what": "b"}, {"size": 2}):
        answer = await stage.post(path, **other)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    other_path = "/asked" if path == "/made" else "/made"
    assert (await stage.post(other_path)).json()["code"] == "idempotency-key-reused"
    assert (await stage.post(f"{path}?more=1")).json()["code"] == "idempotency-key-reused"
    assert await stage.effects() == 1


async def test_the_same_json_in_another_spelling_is_the_same_body(stage: Stage) -> None:
    headers = {"X-Driver": str(DRIVERS[0]), "Idempotency-Key": "k"}
    headers["Content-Type"] = "application/json"
    async with httpx.AsyncClient(base_url=stage.url, headers=headers) as client:
        first = await client.post("/made", content='{"what": "枪", "size": 2}')
        again = await client.post("/made", content='{ "size":2,"what":"\\u67aa"}')
    assert first.content == again.content
    assert await stage.effects() == 1


async def test_a_quoted_key_is_the_same_key(stage: Stage) -> None:
    # The draft writes it as a string of a structured field; many clients send it bare.
    assert (await stage.post(key='"key-1"')).content == (await stage.post(key="key-1")).content
    assert await stage.effects() == 1


@BOTH
async def test_another_driver_has_keys_of_their_own(stage: Stage, path: str) -> None:
    assert (await stage.post(path, driver=0)).json()["id"] == 1
    assert (await stage.post(path, driver=1, what="b")).json()["id"] == 2


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", '"open', "back\\slash", '""'])
async def test_a_key_that_is_none_is_refused(stage: Stage, key: str) -> None:
    answer = await stage.post(key=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert answer.json()["errors"][0]["where"] == "header.Idempotency-Key"
    assert await stage.effects() == 0


@BOTH
async def test_a_body_that_is_not_acceptable_is_not_kept(stage: Stage, path: str) -> None:
    assert (await stage.post(path, size="many")).status_code == 422
    assert (await stage.post(path, size=2)).is_success


async def test_a_refusal_leaves_nothing_and_a_repeat_is_fresh(stage: Stage) -> None:
    stage.fails = [Refused(passes_at=None), TooManyRequests(retry_after_s=1)]
    assert (await stage.post()).json()["code"] == "refused"
    assert (await stage.post()).status_code == 429
    assert (await stage.effects(), await stage.keys()) == (0, [])
    assert (await stage.post()).status_code == 201


async def test_a_refusal_frees_a_claimed_key(stage: Stage) -> None:
    stage.fails = [Refused(passes_at=None)]
    assert (await stage.post("/asked")).json()["code"] == "refused"
    assert await stage.keys() == []
    assert (await stage.post("/asked")).status_code == 202


async def test_what_a_station_did_not_answer_stays_so(stage: Stage) -> None:
    stage.fails = [NoAnswer(until=wall_now())]
    first = await stage.post("/asked")
    again = await stage.post("/asked")
    assert first.status_code == again.status_code == 504
    assert first.json() == again.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert await stage.effects() == 1


async def test_an_effect_whose_transaction_fails_may_be_tried_again(stage: Stage) -> None:
    stage.fails = [RuntimeError("cut off")]
    assert (await stage.post()).status_code == 500
    assert (await stage.effects(), await stage.keys()) == (0, [])
    assert (await stage.post()).status_code == 201
    assert await stage.effects() == 1


@pytest.mark.parametrize("failure", [RuntimeError("cut off"), ChargeHubError()])
async def test_what_was_cut_off_after_its_claim_is_never_done_again(
    stage: Stage, failure: Exception
) -> None:
    stage.fails = [failure]
    assert (await stage.post("/asked")).status_code == 500
    answer = await stage.post("/asked")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency-outcome-unknown")
    assert "retry-after" not in answer.headers
    assert await stage.effects() == 1


async def test_a_cancelled_request_is_never_done_again(stage: Stage) -> None:
    stage.fails = [asyncio.CancelledError()]
    await asyncio.gather(stage.post("/asked"), return_exceptions=True)
    assert await stage.keys() == ["unclear"]


async def crash(stage: Stage) -> None:
    """Leave a claim as a killed server does: nothing of it is written any more."""
    assert (await stage.post("/asked")).is_success
    async with stage.database.write() as connection:
        await connection.execute(
            idempotency_keys.update().values(
                state="under_way", status=None, headers=None, body=None
            )
        )


async def test_after_a_restart_a_claim_is_answered_clearly(stage: Stage) -> None:
    await crash(stage)
    assert (await stage.post("/asked")).json()["code"] == "idempotency-key-under-way"
    async with stage.database.write() as connection:
        assert await close_left_open(connection) == 1
        assert await close_left_open(connection) == 0
    assert (await stage.post("/asked")).json()["code"] == "idempotency-outcome-unknown"
    assert (await stage.post("/asked", what="b")).json()["code"] == "idempotency-key-reused"
    assert await stage.effects() == 1


async def test_a_hub_that_starts_closes_what_was_left_open(database_url: str) -> None:
    left = {"principal": "x", "key_hash": b"x", "fingerprint": b"x", "state": "under_way"}
    async with running_hub(database_url) as hub, hub.database.write() as connection:
        await connection.execute(insert(idempotency_keys).values(**left, begun_at=wall_now()))
    async with running_hub(database_url) as hub:
        assert await hub.value("SELECT state FROM idempotency_keys") == "unclear"


async def age(stage: Stage, by: timedelta) -> None:
    async with stage.database.write() as connection:
        begun_at = idempotency_keys.c.begun_at - by
        await connection.execute(idempotency_keys.update().values(begun_at=begun_at))


async def test_a_claim_that_nobody_could_end_is_answered_clearly(stage: Stage) -> None:
    await crash(stage)
    await age(stage, idempotency.STALE_AFTER)
    assert (await stage.post("/asked")).json()["code"] == "idempotency-outcome-unknown"


@BOTH
async def test_a_key_is_new_again_after_its_day(stage: Stage, path: str) -> None:
    await stage.post(path)
    await age(stage, timedelta(hours=23, minutes=59))
    assert REPLAYED in (await stage.post(path)).headers
    await age(stage, timedelta(minutes=1))
    assert REPLAYED not in (await stage.post(path, what="b")).headers
    assert REPLAYED in (await stage.post(path, what="b")).headers
    assert await stage.effects() == 2


async def test_nobody_fills_the_table(stage: Stage) -> None:
    object.__setattr__(stage.repeats, "keys_max", 3)
    for number in range(3):
        assert (await stage.post(key=f"key-{number}")).is_success
    answer = await stage.post(key="one-more")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-requests")
    assert (await stage.post(key="key-0")).is_success
    assert (await stage.post(key="one-more", driver=1)).is_success
    assert await stage.effects() == 4


async def test_neither_key_nor_body_is_stored(stage: Stage) -> None:
    await stage.post(key="key-in-clear", what="x", size=123_456)
    async with stage.database.read() as connection:
        row = (
            await connection.execute(text("SELECT i::text FROM idempotency_keys i"))
        ).scalar_one()
    assert "key-in-clear" not in row
    assert "123456" not in row


async def test_an_answer_without_a_body_is_repeated(stage: Stage) -> None:
    for replayed in (False, True):
        answer = await stage.post("/silent")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (REPLAYED in answer.headers) is replayed


async def test_an_endpoint_that_keeps_no_answer_is_wrong(stage: Stage) -> None:
    for key in ("k", None):
        assert (await stage.post("/forgetful", key=key)).status_code == 500
    assert await stage.effects() == 0


async def test_who_goes_is_forgotten(stage: Stage) -> None:
    for driver in (0, 1):
        await stage.post(driver=driver)
    async with stage.database.write() as connection:
        await forget_keys(connection, DRIVERS[0])
    assert len(await stage.keys()) == 1
    assert REPLAYED in (await stage.post(driver=1)).headers


async def test_what_was_kept_long_enough_is_pruned(stage: Stage) -> None:
    await stage.post(key="old")
    await age(stage, timedelta(days=2))
    await stage.post(key="young")
    before = wall_now() - timedelta(days=1)
    assert await jobs.prune(stage.database, idempotency_keys.c.begun_at, before) == 1
    assert await stage.keys() == ["answered"]
