"""A hub without database or stations behind the real live routes, page and problem documents.

For tests of the stream and the page, and for drawing the page: `python -m tests.synthetic_hub`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from chargehub.access.principal import authenticated
from chargehub.access.rules import Role
from chargehub.access.service import Principal, WrongLogin, digest
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.errors import Unauthenticated
from chargehub.kit.events import EventBus
from chargehub.kit.http import API_PREFIX, create_api, provide
from chargehub.live.api import login_check
from chargehub.live.api import router as live_router
from chargehub.live.board import Board
from chargehub.live.facts import (
    ConnectorFacts,
    EvseFacts,
    HubFacts,
    LocationFacts,
    StationFacts,
    TodayFacts,
)
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import FrameRing
from chargehub.live.page import page_router
from chargehub.live.stream import LoginCheck, prepare_listening_socket
from chargehub.stations.events import ConnectorStatusChanged, StationOnline, StationWentOffline
from chargehub.stations.reports import ConnectorStatus as Status
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

LOGIN = "operator"
PASSWORD = "a password for tests"
COOKIE = "synthetic_session"
FORGOTTEN = "logged-out"
START = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
# How a busy afternoon looks: state, weight.
AFTERNOON = {
    Status.CHARGING: 52,
    Status.AVAILABLE: 28,
    Status.PREPARING: 3,
    Status.SUSPENDED_EV: 3,
    Status.SUSPENDED_EVSE: 1,
    Status.FINISHING: 5,
    Status.OCCUPIED: 1,
    Status.RESERVED: 4,
    Status.UNAVAILABLE: 1,
    Status.FAULTED: 2,
}


def hub_facts(stations: int = 91, now: datetime = START, elsewhere: int = 0) -> HubFacts:
    """A hub of dual-gun stations, all offline; `elsewhere` more stand at a small Location."""
    unknown = ConnectorFacts(Status.UNKNOWN, None)
    return HubFacts(
        locations=(
            LocationFacts("quzhou-hub", "衢州出租车充电中心"),
            *(LocationFacts(f"small-{number}", f"小站 {number}") for number in range(1, 5)),
        ),
        stations=tuple(
            StationFacts(
                station_id=number,
                identity=f"QZ-{number:03d}",
                name="",
                location_id="quzhou-hub" if number <= stations else "small-1",
                max_power_w=120_000,
                online=False,
                since=None,
                whole=unknown,
                evses=tuple(
                    EvseFacts(gun, f"QZ{number:03d}{gun}", 120_000, {1: unknown}) for gun in (1, 2)
                ),
            )
            for number in range(1, stations + elsewhere + 1)
        ),
        today=TodayFacts(now - timedelta(hours=14), now + timedelta(hours=10), ()),
    )


@dataclass
class SyntheticHub:
    """A seeded random hub that publishes what the real features publish."""

    stations: int = 91
    elsewhere: int = 0
    seed: int = 1
    rate: float = 1.0
    epoch: str = "test"
    max_viewers: int = 100
    flush_s: float = 0.2
    stall_s: float = 30.0
    kernel_stall_s: float = 30.0
    join: int = 25
    bus: EventBus = field(default_factory=EventBus)
    password: str = PASSWORD
    logged_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = HubClock(ClockPair(time.time(), START.timestamp(), self.rate))
        self.board = Board(FrameRing(self.epoch, join=self.join), self.clock.now, self.rate)
        self.feed = LiveFeed(
            self.board,
            self._load,
            max_viewers=self.max_viewers,
            flush_s=self.flush_s,
            stall_s=self.stall_s,
        )
        self.feed.listen(self.bus)
        self.charging: dict[tuple[int, int], dict[str, Any]] = {}
        self.next_transaction = 10_001
        self.connections: set[Any] = set()
        self.server: uvicorn.Server | None = None
        self.serving: asyncio.Task[None] | None = None

    async def _load(self) -> HubFacts:
        return hub_facts(self.stations, self.clock.now(), self.elsewhere)

    def open_up(self) -> None:
        """Put every gun into a state of the afternoon; station 88 is offline."""
        now = self.clock.now()
        for station in range(1, self.stations + 1):
            self.bus.publish(StationOnline(station, f"QZ-{station:03d}", now - timedelta(hours=9)))
            for gun in (1, 2):
                (status,) = self.random.choices(list(AFTERNOON), list(AFTERNOON.values()))
                began = now - timedelta(seconds=self.random.randrange(30, 2700))
                self.set_status(station, gun, status, began)
        if self.stations >= 88:
            self.bus.publish(StationWentOffline(88, "QZ-088", now - timedelta(minutes=17)))

    def set_status(self, station: int, gun: int, status: Status, at: datetime) -> None:
        error = self.random.choice(["GroundFailure", "HighTemperature", "EmergencyStop"])
        self.bus.publish(
            ConnectorStatusChanged(
                station, gun, 1, status, at, error if status is Status.FAULTED else None
            )
        )
        place = (station, gun)
        in_transaction = status in {Status.CHARGING, Status.SUSPENDED_EV, Status.SUSPENDED_EVSE}
        if in_transaction and place not in self.charging:
            self._begin(place, at)
        elif not in_transaction and place in self.charging:
            ended = self.charging.pop(place)
            self.bus.publish(
                TransactionEnded(ended["id"], station, gun, at, round(ended["energy"]))
            )
        if in_transaction:
            self.charging[place]["flows"] = status is Status.CHARGING
            self.progress(place, 0.0)

    def _begin(self, place: tuple[int, int], at: datetime) -> None:
        minutes = (self.clock.now() - at).total_seconds() / 60
        self.charging[place] = {
            "id": self.next_transaction,
            "soc": min(97.0, self.random.uniform(12, 60) + minutes * 1.4),
            "energy": 400 + minutes * 1100,
            "flows": True,
        }
        self.bus.publish(TransactionStarted(self.next_transaction, *place, at))
        self.next_transaction += 1

    def progress(self, place: tuple[int, int], minutes: float) -> None:
        state = self.charging[place]
        power = 0.0
        if state["flows"]:
            station, gun = place
            other = self.charging.get((station, 3 - gun))
            # Two guns share the cabinet's 120 kW.
            share = 59_500 if other is not None and other["flows"] else 119_000
            power = min(share, 1900 * (104 - state["soc"])) * self.random.uniform(0.93, 1)
        state["energy"] += power * minutes / 60
        state["soc"] = min(100.0, state["soc"] + power * minutes / 60 / 620)
        self.bus.publish(
            TransactionProgressed(
                state["id"],
                *place,
                self.clock.now(),
                power_w=round(power),
                energy_wh=round(state["energy"]),
                soc_percent=round(state["soc"], 1),
            )
        )

    def step(self) -> None:
        """One random event of the kinds a hub has."""
        now = self.clock.now()
        if self.charging and self.random.random() < 0.97:
            self.progress(self.random.choice(list(self.charging)), 0.25)
            return
        station = self.random.randrange(1, self.stations + 1)
        (status,) = self.random.choices(list(AFTERNOON), list(AFTERNOON.values()))
        self.set_status(station, self.random.choice((1, 2)), status, now)

    async def stop_serving(self) -> None:
        await self.feed.stop()
        if self.server is not None and self.serving is not None:
            self.server.should_exit = True
            await self.serving

    async def drop_streams(self) -> None:
        """Cut every connection, as a proxy or the network may."""
        for connection in list(self.connections):
            connection.transport.abort()

    async def run(self, events_per_s: float) -> None:
        while True:
            await asyncio.sleep(1 / events_per_s)
            self.step()

    def api(self) -> FastAPI:
        api = create_api(title="Synthetic hub", version="0", description="", max_body_bytes=10_000)
        provide(api, self.feed)
        api.include_router(live_router)
        api.include_router(page_router())
        _add_logins(api, self)
        return api


class _Login(BaseModel):
    login: str
    password: str


def _add_logins(api: FastAPI, hub: SyntheticHub) -> None:
    """Stand in for access: one operator, whose cookie is a name and no secret."""

    async def find(request: Request) -> Principal:
        token = request.cookies.get(COOKIE) or request.headers.get("authorization", "")
        if not token or token in hub.logged_out:
            raise Unauthenticated
        return Principal(
            operator_id=UUID(int=1),
            login=LOGIN,
            name="王芳",
            role=Role.OPERATOR,
            token_hash=digest(token),
            csrf_hash=b"",
            expires_at=START,
        )

    async def check(request: Request) -> LoginCheck:
        await find(request)

        async def good() -> bool:
            return request.cookies.get(COOKIE) not in hub.logged_out

        return good

    api.dependency_overrides[authenticated] = find
    api.dependency_overrides[login_check] = check

    @api.post(API_PREFIX + "/login")
    async def log_in(body: _Login, response: Response) -> dict[str, str]:
        if (body.login, body.password) != (LOGIN, hub.password):
            raise WrongLogin
        response.set_cookie(COOKIE, f"cookie-{hub.random.random()}", httponly=True)
        response.set_cookie("chargehub_csrf", "shown")
        return {"login": LOGIN, "name": "王芳"}

    @api.post(API_PREFIX + "/logout", status_code=204)
    async def log_out(request: Request) -> None:
        hub.logged_out.add(request.cookies.get(COOKIE, ""))

    @api.get(API_PREFIX + "/me")
    async def me(request: Request) -> dict[str, str]:
        await find(request)
        return {"login": LOGIN, "name": "王芳", "role": "operator"}


@asynccontextmanager
async def serving(hub: SyntheticHub, port: int = 0) -> AsyncIterator[str]:
    """Serve the hub on 127.0.0.1; yields its base URL."""
    await hub.feed.start()
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    prepare_listening_socket(listener, hub.kernel_stall_s)
    config = uvicorn.Config(
        hub.api(), log_level="warning", lifespan="off", timeout_graceful_shutdown=2
    )
    server = hub.server = uvicorn.Server(config)
    hub.connections = server.server_state.connections
    hub.serving = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event for it.
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await hub.stop_serving()
        listener.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--stations", type=int, default=91)
    parser.add_argument("--events-per-s", type=float, default=20)
    options = parser.parse_args()
    hub = SyntheticHub(stations=options.stations, elsewhere=4)
    async with serving(hub, options.port) as url:
        hub.open_up()
        print(f"{url}/console/  {LOGIN} / {PASSWORD}")  # noqa: T201 - a tool for people.
        await hub.run(options.events_per_s)


if __name__ == "__main__":
    asyncio.run(_main())
