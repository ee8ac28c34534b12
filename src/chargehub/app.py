"""The composition root: builds every part, wires it, starts it in order and stops it in reverse.

The only place that knows everything. `build_api` makes the HTTP application without a database
(for OpenAPI); `Hub` is one running server.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import structlog
import uvicorn
from fastapi import Depends, FastAPI
from sqlalchemy import text

from chargehub.access import api as access_api
from chargehub.access.api import AccessParts
from chargehub.access.principal import viewer
from chargehub.access.service import AccessService
from chargehub.charging import api as charging_api
from chargehub.charging.codes import CodeForms, vendor_links
from chargehub.charging.of_drivers import ChargesOfDriver
from chargehub.charging.service import Charging
from chargehub.conformance import api as conformance_api
from chargehub.devices import templates_api, variables_api
from chargehub.devices.service import Devices
from chargehub.drivers.credentials.parts import CredentialParts
from chargehub.drivers.inbox import notify
from chargehub.drivers.inbox_delivery import InboxDelivery
from chargehub.drivers.ports import ports_of
from chargehub.drivers.routers import routers as driver_routers
from chargehub.drivers.service import driver_services
from chargehub.finding import api as finding_api
from chargehub.finding.api import FindingParts
from chargehub.frame_log import api as frame_log_api
from chargehub.frame_log.log import FrameLog
from chargehub.frame_log.store import DAYS, DAYS_AHEAD
from chargehub.gateway.connections import Connections
from chargehub.gateway.handlers import report_handlers
from chargehub.gateway.intake import Intake
from chargehub.gateway.listener import Listener, ListenerLimits
from chargehub.gateway.tls import CertificatesUnusable, tls_options
from chargehub.gateway.translators import TRANSLATORS
from chargehub.housekeeping import DAILY_ACTIONS, Housekeeping, Retention
from chargehub.kit import jobs, migrate
from chargehub.kit.clock import HubClock
from chargehub.kit.commit_probe import CommitProbe
from chargehub.kit.db import ClockKeeper, Database, continue_clock
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import GroupCommitter
from chargehub.kit.health import health_router, measure_loop_lag
from chargehub.kit.http import create_api, provide
from chargehub.kit.idempotency import Repeats, close_left_open
from chargehub.kit.sealing import Seal
from chargehub.kit.serving import QuietServer, cancel
from chargehub.kit.worker import DueAction, Worker
from chargehub.live import api as live_api
from chargehub.live.board import Board
from chargehub.live.facts import HubFacts
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import FrameRing
from chargehub.live.page import page_router
from chargehub.live.store import load_hub
from chargehub.live.stream import prepare_listening_socket
from chargehub.reservations import api as reservations_api
from chargehub.reservations.booking import Bookings
from chargehub.reservations.guard import HeldNow
from chargehub.reservations.of_drivers import ReservationsOfDriver
from chargehub.reservations.station_holds import life_cycle
from chargehub.settings import Settings
from chargehub.smart_charging import api as smart_charging_api
from chargehub.smart_charging.api import SmartChargingParts
from chargehub.smart_charging.composite import Supply
from chargehub.smart_charging.ledger import close_unanswered
from chargehub.stations import api as stations_api
from chargehub.stations import commands_api, commissioning_api
from chargehub.stations.admission import Admission, close_left_open_connections
from chargehub.stations.api import StationParts
from chargehub.stations.command_queue import QueueLimits
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.credential_change import CredentialChange
from chargehub.stations.dispatch import close_pending_as_unknown
from chargehub.stations.events import RETIRED
from chargehub.stations.fence import ConnectionFence
from chargehub.stations.orders import Orders
from chargehub.telemetry import api as telemetry_api
from chargehub.telemetry.partitions import ensure_partitions
from chargehub.transactions import api as transactions_api
from chargehub.transactions.book import Book
from chargehub.transactions.missing import ASK_MISSING, MissingMessages
from chargehub.transactions.of_drivers import TransactionsOfDriver
from chargehub.transactions.orphans import (
    DARK_CHECK,
    ORPHAN_CHECK,
    CloseHandler,
    OrphanPolicy,
)
from chargehub.transactions.queries import read_charges
from chargehub.transactions.recall import load_book
from chargehub.transactions.remote import START_TIMEOUT, RemoteControl
from chargehub.transactions.rows import SETTLE
from chargehub.transactions.settlement import Settlement

log = structlog.get_logger(__name__)

DEMO_KEY = "chargehub demo, not a secret: never with real stations"
DESCRIPTION = "Charging stations, transactions and live state of an EV charging hub."


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running server listens."""

    api_url: str
    ocpp_url: str
    ocpp_tls_url: str | None = None


def build_api(checks: dict[str, Callable[[], Awaitable[bool]]], max_body_bytes: int) -> FastAPI:
    """Assemble the HTTP application; its parts are provided before it serves."""
    api = create_api(
        title="ChargeHub",
        version=version("chargehub"),
        description=DESCRIPTION,
        max_body_bytes=max_body_bytes,
    )
    for router in (
        access_api.router,
        finding_api.router,  # locations/nearby, before what takes any location's id
        stations_api.router,
        commands_api.router,
        variables_api.router,
        templates_api.router,
        commissioning_api.router,
        *driver_routers,
        *reservations_api.routers,
        transactions_api.router,
        charging_api.router,
        smart_charging_api.router,
        telemetry_api.router,
        frame_log_api.router,
        live_api.router,
    ):
        api.include_router(router)
    api.include_router(health_router(checks, metrics_access=[Depends(viewer)]))
    api.include_router(page_router())
    return api


def create_openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return build_api({}, 1).openapi()


def station_key(settings: Settings) -> bytes:
    """Return the key under which stations' passwords are hashed."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else DEMO_KEY
    return hashlib.sha256(secret.encode()).digest()


def personal_data_key(settings: Settings) -> bytes:
    """Return the secret under which drivers' personal data are sealed."""
    secret = settings.personal_data_key or settings.secret_key
    return (secret.get_secret_value() if secret else DEMO_KEY).encode()


class Hub:
    """One running server on one database."""

    def __init__(
        self, settings: Settings, database_url: str, wall: Callable[[], float] = time.time
    ) -> None:
        limits = settings.limits
        self.settings = settings
        self._wall = wall
        self.database = Database(database_url, pool_size=limits.database_connections)
        self.bus = EventBus()
        self.frame_log: FrameLog | None = None
        if settings.frame_log:
            self.frame_log = FrameLog(
                text_max=limits.frame_log_text, waiting_max_bytes=limits.frame_log_waiting_bytes
            )
        self.committer = GroupCommitter(
            self.database,
            ConnectionFence(),
            max_batch=limits.commit_batch,
            max_waiting=limits.commit_waiting,
            side_rows=self.frame_log,
        )
        self.connections = Connections(limits.call_timeout_s)
        self.seal = Seal(personal_data_key(settings))
        self.supply = Supply(settings.supply_voltage_v)
        self.smart: SmartChargingParts
        self.book: Book
        self.feed: LiveFeed
        self.inbox: InboxDelivery
        self._stack = AsyncExitStack()
        self._server: uvicorn.Server | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> Addresses:
        """Start everything in order; when a part fails, what was started is stopped again."""
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    def read_certificates_soon(self) -> None:
        self._reading = asyncio.create_task(self.read_certificates_anew(), name="certificates")

    async def read_certificates_anew(self) -> None:
        """Serve new TLS connections with the files as they are now, where they can be used."""
        try:
            await self.listener.read_certificates_anew()
        except CertificatesUnusable as error:
            log.warning("certificates_unusable", why=error.detail)

    async def stop(self) -> None:
        """Stop in reverse order: no new work, then what is under way, then the database."""
        await self._stack.aclose()

    async def _start(self) -> Addresses:
        settings = self.settings
        self._stack.push_async_callback(self.database.close)
        clock, book = await self._take_over()
        self.book = book
        self.committer.start()
        self._stack.push_async_callback(self.committer.stop)
        if self.frame_log is not None:
            self.frame_log.start(self.committer)
            self._stack.push_async_callback(self.frame_log.stop)
        self.credentials = CredentialParts.build(
            *(self.database, clock, self.seal),
            time_zone=settings.time_zone,
            image_days=settings.limits.credential_image_days,
        )
        orders = self._start_orders(clock)
        desk = orders.desk
        remote = RemoteControl(self.database, clock, desk, book, settings.limits.call_timeout_s)
        self.smart = SmartChargingParts.build(
            self.database, clock, desk, book=book, remote=remote, supply=self.supply
        )
        self.charging = Charging.listening(self.database, clock, remote, self.bus)
        feed = self.feed = await self._start_feed(clock)
        limits = (settings.limits.inbox_streams, settings.limits.inbox_streams_of_driver)
        self.inbox = InboxDelivery.build(self.database, clock, limits, demo=settings.demo)
        listener = await self._start_listener(clock, book)
        closing = CloseHandler(book, self.bus)
        orphans = OrphanPolicy(
            self.database, clock, book, self.committer, closing, self.connections
        )
        worker = self._start_worker(clock, orders, remote, orphans)
        await self.charging.watch.start()
        self._stack.push_async_callback(self.charging.watch.stop)
        checks = {
            "database": self._database_answers,
            "migrations": self._migrations_current,
            "ocpp_listener": _check(lambda: listener.listening),
            "worker": _check(lambda: worker.alive),
            "group_commit": CommitProbe(self.committer).commits,
        }
        listening = socket.create_server((settings.api_host, settings.api_port), backlog=1024)
        addresses = Addresses(
            f"http://{settings.api_host}:{listening.getsockname()[1]}",
            f"ws://{settings.ocpp_host}:{listener.bound_port}{settings.ocpp_path_prefix}",
            None
            if listener.bound_tls_port is None
            else f"wss://{settings.tls.host}:{listener.bound_tls_port}{settings.ocpp_path_prefix}",
        )
        api = build_api(checks, settings.limits.request_body_bytes)
        if settings.conformance_adapter:
            api.include_router(conformance_api.router)
        provide(api, orphans, listener.intake, *self._parts(clock, orders, remote, feed, addresses))
        await self._start_http(api, feed, listening)
        told = {name.removesuffix("_url"): url for name, url in asdict(addresses).items()}
        log.info("server_started", **told)
        return addresses

    async def _take_over(self) -> tuple[HubClock, Book]:
        """Continue the clock, close what a dead server left open, rebuild the book."""
        async with self.database.write() as connection:
            pair = await continue_clock(connection, self._wall(), self.settings.clock_rate)
        clock = HubClock(pair, self._wall)
        keeper = ClockKeeper(self.database, pair)
        keeper.start()
        self._stack.push_async_callback(keeper.stop)
        now = clock.now()
        async with self.database.write() as connection:
            await close_left_open_connections(connection, now)
            unknown = await close_pending_as_unknown(connection, now)
            await close_unanswered(connection, now)
            await close_left_open(connection)
            await ensure_partitions(connection, now)
            await DAYS.ensure(connection, now, DAYS_AHEAD)
            await jobs.schedule_daily(connection, (*DAILY_ACTIONS, DARK_CHECK), now)
            book = await load_book(connection)
        if unknown:
            log.warning("commands_outcome_unknown", count=len(unknown))
        return clock, book

    def _start_orders(self, clock: HubClock) -> Orders:
        limits = self.settings.limits
        queue_limits = QueueLimits(
            waiting=limits.queued_commands,
            usual=timedelta(hours=limits.queued_hours),
            longest=timedelta(hours=limits.queued_hours_max),
            at_once=limits.deliveries,
            answer_within_s=2 * limits.call_timeout_s,
        )
        orders = Orders.through(self.connections, self.database, clock, self.bus, queue_limits)
        self._stack.push_async_callback(orders.stop)
        at_once, stations_max = limits.template_stations, limits.template_stations_max
        self.devices = Devices.with_orders(orders, at_once=at_once, stations_max=stations_max)
        return orders

    async def _start_feed(self, clock: HubClock) -> LiveFeed:
        async def load() -> HubFacts:
            async with self.database.read() as connection:
                return await load_hub(connection, clock.now())

        board = Board(FrameRing(uuid4().hex[:8]), clock.now, self.settings.clock_rate)
        held, viewers = HeldNow(self.database, clock), self.settings.limits.live_viewers
        feed = LiveFeed(board, load, max_viewers=viewers, read_held=held.everywhere)
        feed.listen(self.bus)
        await feed.start()
        self._stack.push_async_callback(feed.stop)
        lag = asyncio.create_task(measure_loop_lag(), name="loop-lag")
        self._stack.push_async_callback(cancel, lag)
        return feed

    async def _start_listener(self, clock: HubClock, book: Book) -> Listener:
        settings, limits, tls = self.settings, self.settings.limits, self.settings.tls
        admission = Admission(
            self.database, clock, station_key(settings), settings.demo, tls.organisation
        )
        listener = self.listener = Listener(
            settings.ocpp_host,
            settings.ocpp_port,
            settings.ocpp_path_prefix,
            admission,
            Intake(
                self.committer,
                report_handlers(
                    book,
                    self.bus,
                    self.supply,
                    settings.heartbeat_interval_s,
                    station_variables=limits.station_variables,
                    limit_sources=limits.limit_sources,
                ),
            ),
            self.connections,
            clock,
            TRANSLATORS,
            ListenerLimits(
                **{item.name: getattr(limits, item.name) for item in fields(ListenerLimits)}
            ),
            self.frame_log,
            tls_options(tls.host, tls.port, tls.chains, tls.client_ca),
        )
        await listener.start()
        self._stack.push_async_callback(listener.stop)
        return listener

    def _start_worker(
        self, clock: HubClock, orders: Orders, remote: RemoteControl, orphans: OrphanPolicy
    ) -> Worker:
        reserved = life_cycle(self.database, clock, orders.desk, self.book, notify)
        due: dict[str, DueAction] = {
            **reserved.due(),
            SETTLE: Settlement(self.database, clock).settle,
            ORPHAN_CHECK: orphans.check,
            DARK_CHECK: orphans.check_dark,
            START_TIMEOUT: remote.give_up_start,
            **self.charging.due,
            **orders.due(),
            **self.devices.due(),
            **self.credentials.due(),
            **Housekeeping(self.database, clock, Retention.of(self.settings.limits)).due(),
        }
        missing = MissingMessages(self.database, clock, orders.desk)
        slow = {ASK_MISSING: missing.ask, **orders.slow(), **self.devices.slow()}
        slow |= self.smart.slow | reserved.slow() | self.charging.slow
        topics = {RETIRED: orphans.station_retired, **orders.topics(), **self.devices.topics()}
        topics |= {**self.smart.topics, **self.inbox.topics(), **self.credentials.topics()}
        worker = Worker(self.database, clock, due, topics, slow, self.settings.limits.deliveries)
        worker.start()
        self._stack.push_async_callback(worker.stop)
        return worker

    def _parts(
        self,
        clock: HubClock,
        orders: Orders,
        remote: RemoteControl,
        feed: LiveFeed,
        addresses: Addresses,
    ) -> tuple[object, ...]:
        """Return what the routers find by type."""
        settings, database, limits = self.settings, self.database, self.settings.limits
        key = station_key(settings)
        public_url = settings.public_url or addresses.api_url
        forms = CodeForms(public_url, settings.operator_id, vendor_links(settings.gun_links))
        stations = StationParts(
            database=database,
            desk=orders.desk,
            control=orders.control,
            commissioning=Commissioning(database, clock, key, self.bus, self.connections),
            credential_change=CredentialChange(database, clock, key, self.bus, orders.desk),
            public_url=public_url,
            read_charges=read_charges,
            read_held=HeldNow(database, clock).at_stations,
        )
        return (
            database,
            clock,
            AccessService(database, clock),
            AccessParts(database, settings.secure_cookies),
            Repeats(database, timedelta(hours=limits.idempotency_hours), limits.idempotency_keys),
            stations,
            orders.queue,
            self.devices,
            remote,
            Bookings(clock, self.book, is_verified=self.credentials.is_taxi_driver),
            self.smart,
            self.charging,
            forms,
            feed,
            FindingParts.build(
                database, clock, self.connections.online_ids, **settings.finding.model_dump()
            ),
            *driver_services(
                database,
                clock,
                self.seal,
                ports_of(demo=settings.demo),
                secure_cookies=settings.secure_cookies,
                parts=(
                    TransactionsOfDriver(),
                    ReservationsOfDriver(),
                    ChargesOfDriver(),
                    self.credentials.of_account(),
                ),
            ),
            self.inbox.feed,
            *self.credentials.for_routers(),
        )

    async def _start_http(self, api: FastAPI, feed: LiveFeed, listening: socket.socket) -> None:
        prepare_listening_socket(listening)
        config = uvicorn.Config(
            api,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=int(self.settings.limits.shutdown_timeout_s),
        )
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="http")

        async def stop() -> None:
            await feed.stop()
            await self.charging.watch.stop()
            self.inbox.feed.stop()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)

        self._stack.push_async_callback(stop)
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)

    async def _database_answers(self) -> bool:
        async with self.database.read() as connection:
            return bool(await connection.scalar(text("SELECT 1")) == 1)

    async def _migrations_current(self) -> bool:
        async with self.database.read() as connection:
            current = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return bool(current == migrate.head())


def _check(question: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return question()

    return ask
