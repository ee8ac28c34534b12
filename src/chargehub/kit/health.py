"""Health for machines: is the process alive, is it ready for work, and its metrics.

Owns the routes and the event loop's lag; what readiness means is told by the caller's checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram
from prometheus_client import generate_latest as render_metrics
from pydantic import BaseModel, Field

from chargehub.kit.errors import Forbidden, Unauthenticated
from chargehub.kit.http import problems

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
"""True when that part works; an exception or silence counts as no."""

CHECK_TIMEOUT_S = 2.0

LOOP_LAG = Histogram(
    "chargehub_event_loop_lag_seconds",
    "How late the event loop ran a callback",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0),
)


class Health(BaseModel):
    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    status: str = Field(description="`ready` or `not-ready`", examples=["ready"])
    checks: dict[str, str] = Field(
        description="`ok`, `failed` or `timeout` by part; reasons are in the log.",
        examples=[{"database": "ok", "ocpp_listener": "ok"}],
    )


def health_router(
    checks: Mapping[str, Check],
    *,
    metrics_access: Sequence[Any] = (),
    registry: CollectorRegistry = REGISTRY,
    timeout_s: float = CHECK_TIMEOUT_S,
) -> APIRouter:
    """Build `/healthz`, `/readyz`, `/metrics`; `metrics_access` are the latter's dependencies."""
    router = APIRouter(tags=["Health"])

    @router.get("/healthz")
    async def read_health() -> Health:
        """Say that the process answers."""
        return Health(status="alive")

    @router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})
    async def read_readiness(response: Response) -> Readiness:
        """Say whether every part needed to serve stations works."""
        names = list(checks)
        outcomes = await asyncio.gather(*(_ask(name, checks[name], timeout_s) for name in names))
        ready = all(outcome == "ok" for outcome in outcomes)
        if not ready:
            response.status_code = 503
        response.headers["Cache-Control"] = "no-store"
        return Readiness(
            status="ready" if ready else "not-ready",
            checks=dict(zip(names, outcomes, strict=True)),
        )

    @router.get(
        "/metrics",
        dependencies=list(metrics_access),
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {}}, "description": "Prometheus text"},
            **problems(Unauthenticated, Forbidden),
        },
    )
    async def read_metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(render_metrics(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


async def _ask(name: str, check: Check, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            works = await check()
    except TimeoutError:
        log.warning("readiness_check_timeout", check=name)
        return "timeout"
    except Exception as error:  # noqa: BLE001 - whatever a part throws, it is not ready.
        log.warning("readiness_check_failed", check=name, error=repr(error))
        return "failed"
    if not works:
        log.warning("readiness_check_failed", check=name)
    return "ok" if works else "failed"


async def measure_loop_lag(period_s: float = 0.5) -> None:
    """Run for ever as a task: observe how late each wake-up comes."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period_s
        await asyncio.sleep(period_s)
        LOOP_LAG.observe(max(0.0, loop.time() - due))
