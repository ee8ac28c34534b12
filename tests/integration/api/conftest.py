"""The REST API as a client meets it: a real server on a free port, a real database, httpx."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest_asyncio
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import select

from chargehub.access.api import AccessParts
from chargehub.access.passwords import Passwords
from chargehub.access.rules import LoginGuard, Role
from chargehub.access.service import AccessService
from chargehub.api import build_api, create_openapi
from chargehub.bays.of_drivers import LocksOfDriver
from chargehub.bays.service import Bays
from chargehub.charging.codes import CodeForms, vendor_links
from chargehub.charging.of_drivers import ChargesOfDriver
from chargehub.charging.service import Charging
from chargehub.devices.service import Devices
from chargehub.drivers.account_rules import AddressBudget
from chargehub.drivers.accounts import open_account
from chargehub.drivers.credentials.parts import CredentialParts
from chargehub.drivers.entry import Budgets
from chargehub.drivers.inbox import notify
from chargehub.drivers.inbox_feed import InboxFeed
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.ports import DriverPorts
from chargehub.drivers.service import driver_services
from chargehub.finding.api import FindingParts
from chargehub.finding.forecast import Forecast
from chargehub.finding.rules import PowerClasses, TypicalCar
from chargehub.kit.clock import ClockPair, HubClock, wall_now
from chargehub.kit.db import Database
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import GroupCommitter
from chargehub.kit.http import API_PREFIX, PROBLEM_MEDIA_TYPE, provide
from chargehub.kit.idempotency import Repeats
from chargehub.kit.sealing import Seal
from chargehub.live.board import Board
from chargehub.live.facts import HubFacts
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import FrameRing
from chargehub.reservations.booking import Bookings
from chargehub.reservations.guard import HeldNow
from chargehub.reservations.of_drivers import ReservationsOfDriver
from chargehub.reservations.queue.of_drivers import QueueOfDriver
from chargehub.reservations.queue.outlook import Outlook
from chargehub.reservations.queue.service import Queue
from chargehub.settings import GUN_LINKS
from chargehub.smart_charging.api import SmartChargingParts
from chargehub.smart_charging.composite import Supply
from chargehub.stations.api import StationParts
from chargehub.stations.command_queue import CommandQueue, QueueLimits
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.control import StationControl
from chargehub.stations.credential_change import CredentialChange
from chargehub.stations.fence import ConnectionFence
from chargehub.stations.orders import Orders
from chargehub.stations.store import charging_stations
from chargehub.telemetry.partitions import ensure_partitions
from chargehub.transactions.book import Book
from chargehub.transactions.of_drivers import TransactionsOfDriver
from chargehub.transactions.orphans import CloseHandler, OrphanPolicy
from chargehub.transactions.queries import read_charges
from chargehub.transactions.remote import RemoteControl
from tests.fakes.driver_ports import FakeAccountPart, FakeSms, FakeWeChat
from tests.fakes.station_link import FakeStationLink
from tests.integration.reservations.hub import nobody_is_verified

PASSWORD = "a password for tests"
STATION_KEY = b"k" * 32
PERSONAL_KEY = b"p" * 32
HUB_ZONE = ZoneInfo("Asia/Shanghai")
CREDENTIAL_SETTINGS: dict[str, Any] = {"time_zone": HUB_ZONE.key, "image_days": 30}
PUBLIC_URL = "https://hub.example"
OPERATOR_ID = "MA0123456"
BAY_GATEWAYS = {"with-bays": ("http://127.0.0.1:9", "k" * 32)}
"""By Location. Nobody answers there: no worker runs here that would ask."""
CODE_FORMS = CodeForms(PUBLIC_URL, OPERATOR_ID, vendor_links(GUN_LINKS))
MAX_BODY_BYTES = 262_144
MAX_WAITING = 5
QUEUE_LIMITS = QueueLimits(
    waiting=MAX_WAITING,
    usual=timedelta(days=1),
    longest=timedelta(days=2),
    at_once=4,
    answer_within_s=10.0,
)
# No client here speaks TLS; one shared context saves each the loading of all authorities.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

NAMES = itertools.count(1)
PHONES = itertools.count(1)


@dataclass
class MovableWall:
    """Wall time that a test can move forward."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return wall_now() + self.ahead


@dataclass
class RunningApi:
    """One server with its parts, and a client per role."""

    app: FastAPI
    url: str
    database: Database
    clock: HubClock
    link: FakeStationLink
    bus: EventBus
    wall: MovableWall
    access: AccessService
    queue: CommandQueue
    control: StationControl
    devices: Devices
    seal: Seal
    driver_logins: DriverLogins
    sms: FakeSms
    credentials: CredentialParts
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def admin(self) -> httpx.AsyncClient:
        return self.clients["admin"]

    @property
    def operator(self) -> httpx.AsyncClient:
        return self.clients["operator"]

    @property
    def viewer(self) -> httpx.AsyncClient:
        return self.clients["viewer"]

    @property
    def anonymous(self) -> httpx.AsyncClient:
        return self.clients["anonymous"]

    @property
    def driver(self) -> httpx.AsyncClient:
        return self.clients["driver"]

    async def new_driver(self, phone: str | None = None) -> tuple[UUID, httpx.AsyncClient]:
        """Open an account and log it in; the client is closed with the server."""
        phone = phone or f"+86139{next(PHONES):08d}"
        async with self.database.write() as connection:
            driver_id = await open_account(connection, self.clock.now(), self.seal, phone=phone)
            assert driver_id is not None, "the phone has an account"
            issued = await self.driver_logins.issue(connection, driver_id, "test")
        client = self.clients[f"driver {driver_id}"] = self.new_client(issued.token)
        return driver_id, client

    def new_client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            base_url=self.url + API_PREFIX,
            headers=headers,
            verify=NO_TLS,
            trust_env=False,
            timeout=30,
        )

    async def station_id(self, identity: str) -> int:
        async with self.database.read() as connection:
            found = await connection.execute(
                select(charging_stations.c.id).where(
                    charging_stations.c.identity == identity,
                    charging_stations.c.decommissioned_at.is_(None),
                )
            )
            station_id: int = found.scalar_one()
            return station_id


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Run the application on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            # A client may pause for long on a busy machine, and must not send into a closed socket.
            timeout_keep_alive=300,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listening]))
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:  # noqa: ASYNC110  # uvicorn has no event
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def no_hub() -> HubFacts:
    """The live board has tests of its own; here its routes are only guarded."""
    raise AssertionError("nobody may reach the board")


@asynccontextmanager
async def running(database_url: str) -> AsyncIterator[RunningApi]:
    database = Database(database_url)
    clock = HubClock(ClockPair(0, 0, 1))
    link, bus, wall = FakeStationLink(), EventBus(), MovableWall()
    access = cheap_access(database, clock, wall)
    orders = Orders.through(link, database, clock, bus, QUEUE_LIMITS)
    desk, queue, control = orders.desk, orders.queue, orders.control
    devices = Devices.with_orders(orders, at_once=2, stations_max=50)
    seal, sms = Seal(PERSONAL_KEY), FakeSms()
    book = Book()
    bays = Bays.build(database, clock, BAY_GATEWAYS)
    taken = bays.taken_guns(book)
    remote = RemoteControl(database, clock, desk, book, call_timeout_s=30.0)
    committer = GroupCommitter(database, ConnectionFence(), max_batch=10, max_waiting=10)
    committer.start()
    app = build_api({}, MAX_BODY_BYTES)
    provide(
        app,
        database,
        clock,
        access,
        remote,
        bays,
        OrphanPolicy(database, clock, book, committer, CloseHandler(book, bus), link),
        SmartChargingParts.build(database, clock, desk, book=book, remote=remote, supply=Supply()),
        LiveFeed(Board(FrameRing("test"), clock.now, 1.0), no_hub, max_viewers=1),
        AccessParts(database, secure_cookies=False),
        *(Repeats(database), Bookings(clock, taken, nobody_is_verified)),
        Queue(
            *(database, clock, taken, notify),
            Outlook(taken, Forecast(link.online_ids, TypicalCar())),
            nobody_is_verified,
        ),
        station_parts(database, clock, bus, link, orders),
        *(queue, devices, Charging.listening(database, clock, remote, bus), CODE_FORMS),
        *driver_parts(database, clock, seal, sms, wall),
        finding_parts(database, clock, link),
    )
    async with database.write() as connection:
        await ensure_partitions(connection, clock.now())
    async with serving(app) as url:
        api = RunningApi(
            *(app, url, database, clock, link, bus, wall, access, queue, control, devices),
            *(seal, app.state.parts[DriverLogins], sms, app.state.parts[CredentialParts]),
        )
        await log_everybody_in(api)
        yield api
        for client in api.clients.values():
            await client.aclose()
    await orders.stop()
    await committer.stop()
    await database.close()


def cheap_access(database: Database, clock: HubClock, wall: MovableWall) -> AccessService:
    """Return the logins of operators, with passwords that are hashed fast."""
    return AccessService(
        database,
        clock,
        passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
        guard=LoginGuard(free_failures_per_address=10_000),
        wall=wall,
    )


def station_parts(
    database: Database, clock: HubClock, bus: EventBus, link: FakeStationLink, orders: Orders
) -> StationParts:
    return StationParts(
        database,
        orders.desk,
        orders.control,
        Commissioning(database, clock, STATION_KEY, bus, link),
        CredentialChange(database, clock, STATION_KEY, bus, orders.desk),
        PUBLIC_URL,
        read_charges,
        HeldNow(database, clock).at_stations,
    )


def finding_parts(database: Database, clock: HubClock, link: FakeStationLink) -> FindingParts:
    budget = AddressBudget(100_000)
    return FindingParts(database, clock, link.online_ids, PowerClasses(), TypicalCar(), budget)


def driver_parts(
    database: Database, clock: HubClock, seal: Seal, sms: FakeSms, wall: MovableWall
) -> tuple[object, ...]:
    """Return the parts of drivers, for many tests behind one address."""
    budgets = Budgets(*(AddressBudget(10_000) for _ in range(3)))
    counting = FakeAccountPart()
    credentials = CredentialParts.build(database, clock, seal, **CREDENTIAL_SETTINGS)
    services = driver_services(
        database,
        clock,
        seal,
        DriverPorts(sms, FakeWeChat()),
        budgets=budgets,
        parts=[
            counting,
            TransactionsOfDriver(),
            ReservationsOfDriver(),
            QueueOfDriver(),
            ChargesOfDriver(),
            LocksOfDriver(),
            credentials.of_account(),
        ],
        wall=wall,
    )
    return counting, InboxFeed(database), *services, credentials, *credentials.for_routers()


async def log_everybody_in(api: RunningApi) -> None:
    """Make a client of nobody, of an operator of each role, and of a driver."""
    api.clients["anonymous"] = api.new_client()
    for role in Role:
        await api.access.add_operator(login=role.value, role=role, password=PASSWORD, actor="test")
        issued = await api.access.log_in(role.value, PASSWORD, address="test")
        api.clients[role.value] = api.new_client(issued.token)
    _, api.clients["driver"] = await api.new_driver()


@pytest_asyncio.fixture(scope="module")
async def api(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as started:
        yield started


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        await make_location(api, "north")
        yield api


@pytest_asyncio.fixture
async def cs(hub: RunningApi) -> str:
    """A new station that is away."""
    identity = f"CS-{next(NAMES)}"
    await make_station(hub, identity, "north")
    return identity


@pytest_asyncio.fixture
async def here(hub: RunningApi, cs: str) -> None:
    """The test's own station is here, no longer away."""
    hub.link.online.add(await hub.station_id(cs))


def problem_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this problem document, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code, document
    assert document["type"] == f"/problems/{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == response.headers["x-request-id"]
    documented = documented_codes(response.request.method, response.request.url.path)
    if documented is not None:
        assert code in documented, f"{response.request.method} {response.request.url.path}: {code}"
    return document


@cache
def _documented() -> list[tuple[str, re.Pattern[str], set[str]]]:
    found = []
    for path, methods in create_openapi()["paths"].items():
        if not path.startswith(API_PREFIX):
            continue
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for method, operation in methods.items():
            codes = {
                code
                for answer in operation["responses"].values()
                for code in answer.get("content", {})
                .get(PROBLEM_MEDIA_TYPE, {})
                .get("examples", ())
            }
            found.append((method.upper(), pattern, codes))
    return found


def documented_codes(method: str, path: str) -> set[str] | None:
    """Return the problem codes OpenAPI promises for a request; None where there is no route."""
    matches = [
        codes
        for verb, pattern, codes in _documented()
        if verb == method and pattern.fullmatch(path)
    ]
    return set().union(*matches) if matches else None


async def make_location(api: RunningApi, location_id: str) -> None:
    body = {"id": location_id, "name": location_id, "latitude": 28.97, "longitude": 118.87}
    response = await api.admin.post("/locations", json=body)
    assert response.status_code == 201, response.text


async def make_station(
    api: RunningApi, identity: str, location_id: str, **more: Any
) -> dict[str, Any]:
    """Commission a dual-gun station and return the answer, credential included."""
    body = {
        "identity": identity,
        "location_id": location_id,
        "max_power_w": 120_000,
        "evses": [{"evse_no": 1}, {"evse_no": 2}],
        **more,
    }
    response = await api.admin.post("/charging-stations", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made
