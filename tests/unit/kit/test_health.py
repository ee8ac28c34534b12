"""Health routes: alive, ready or not and why, metrics only for those let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter

from chargehub.kit.errors import Unauthenticated
from chargehub.kit.health import LOOP_LAG, Check, health_router, measure_loop_lag


async def works() -> bool:
    return True


async def does_not_work() -> bool:
    return False


async def breaks() -> bool:
    raise ConnectionError("no route to the database")


async def hangs() -> bool:
    await asyncio.Event().wait()
    return True


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub")


async def ready(**checks: Check) -> tuple[int, dict[str, str]]:
    app = FastAPI()
    app.include_router(health_router(checks, timeout_s=0.05))
    async with client_of(app) as client:
        answer = await client.get("/readyz")
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()["checks"]


async def test_ready_when_every_part_works() -> None:
    assert await ready(database=works, worker=works) == (
        HTTPStatus.OK,
        {"database": "ok", "worker": "ok"},
    )


@pytest.mark.parametrize(
    ("check", "outcome"), [(does_not_work, "failed"), (breaks, "failed"), (hangs, "timeout")]
)
async def test_one_part_that_fails_makes_the_whole_not_ready(check: Check, outcome: str) -> None:
    assert await ready(database=works, worker=check) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        {"database": "ok", "worker": outcome},
    )


async def test_alive_even_when_nothing_is_ready() -> None:
    app = FastAPI()
    app.include_router(health_router({"database": breaks}))
    async with client_of(app) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (HTTPStatus.OK, {"status": "alive"})


@pytest.fixture
async def metrics_client() -> AsyncIterator[httpx.AsyncClient]:
    registry = CollectorRegistry()
    Counter("made_up_things", "Things", registry=registry).inc(3)

    async def door(key: str = "") -> None:
        if key != "right":
            raise Unauthenticated

    app = FastAPI()
    app.include_router(health_router({}, metrics_access=[Depends(door)], registry=registry))
    app.add_exception_handler(Unauthenticated, _refuse)
    async with client_of(app) as client:
        yield client


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Unauthenticated)
    return Response(status_code=error.status)


async def test_metrics_are_prometheus_text_behind_a_door(
    metrics_client: httpx.AsyncClient,
) -> None:
    answer = await metrics_client.get("/metrics?key=right")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "made_up_things_total 3.0" in answer.text
    assert (await metrics_client.get("/metrics")).status_code == HTTPStatus.UNAUTHORIZED


async def test_the_loop_lag_is_observed() -> None:
    def observed() -> float:
        (metric,) = LOOP_LAG.collect()
        return next(sample.value for sample in metric.samples if sample.name.endswith("_count"))

    before = observed()
    task = asyncio.create_task(measure_loop_lag(0.001))
    async with asyncio.timeout(5):
        while observed() < before + 3:  # noqa: ASYNC110 - a histogram tells nobody.
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
