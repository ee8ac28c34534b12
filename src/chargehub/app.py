"""The composition root: what a running server consists of, started in order, stopped in reverse.

`features.py` wires the features to each other, `api.py` has their routers; `Hub` brings them to
life on one database, between the listener, the worker and the HTTP server.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, fields

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from chargehub.api import build_api
from chargehub.conformance import api as conformance_api
from chargehub.features import Features, Ground
from chargehub.frame_log.log import FrameLog
from chargehub.frame_log.store import DAYS, DAYS_AHEAD
from chargehub.gateway.connections import Connections
from chargehub.gateway.listener import Listener, ListenerLimits
from chargehub.gateway.tls import CertificatesUnusable, tls_options
from chargehub.gateway.translators import TRANSLATORS
from chargehub.housekeeping import DAILY_ACTIONS
from chargehub.kit import jobs, migrate
from chargehub.kit.clock import HubClock
from chargehub.kit.commit_probe import CommitProbe
from chargehub.kit.db import ClockKeeper, Database, continue_clock
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import GroupCommitter
from chargehub.kit.health import Check, measure_loop_lag
from chargehub.kit.http import provide
from chargehub.kit.idempotency import close_left_open
from chargehub.kit.serving import QuietServer, cancel
from chargehub.kit.worker import Worker
from chargehub.live.stream import prepare_listening_socket
from chargehub.settings import Settings, station_key
from chargehub.smart_charging.ledger import close_unanswered
from chargehub.stations.admission import Admission, close_left_open_connections
from chargehub.stations.dispatch import close_pending_as_unknown
from chargehub.stations.fence import ConnectionFence
from chargehub.telemetry.partitions import ensure_partitions
from chargehub.transactions.book import Book
from chargehub.transactions.orphans import DARK_CHECK
from chargehub.transactions.recall import load_book

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running server listens."""

    api_url: str
    ocpp_url: str
    ocpp_tls_url: str | None = None


class Hub:
    """One running server on one database."""

    features: Features
    listener: Listener
    worker: Worker

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
        self._stack = AsyncExitStack()
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
        self._stack.push_async_callback(self.database.close)
        clock, book = await self._take_over()
        self.committer.start()
        self._stack.push_async_callback(self.committer.stop)
        if self.frame_log is not None:
            self.frame_log.start(self.committer)
            self._stack.push_async_callback(self.frame_log.stop)
        self.features = Features.build(
            Ground(
                settings=self.settings,
                database=self.database,
                clock=clock,
                bus=self.bus,
                book=book,
                committer=self.committer,
                connections=self.connections,
            )
        )
        self._stack.push_async_callback(self.features.orders.stop)
        self._stack.push_async_callback(self.features.bays.stop)
        await self.features.bays.start()
        await self._start_feed()
        await self._start_listener(clock)
        self._start_worker(clock)
        await self.features.charging.watch.start()
        self._stack.push_async_callback(self.features.charging.watch.stop)
        addresses = await self._start_http()
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

    async def _start_feed(self) -> None:
        await self.features.feed.start()
        self._stack.push_async_callback(self.features.feed.stop)
        lag = asyncio.create_task(measure_loop_lag(), name="loop-lag")
        self._stack.push_async_callback(cancel, lag)

    async def _start_listener(self, clock: HubClock) -> None:
        settings, limits, tls = self.settings, self.settings.limits, self.settings.tls
        admission = Admission(
            self.database, clock, station_key(settings), settings.demo, tls.organisation
        )
        self.listener = Listener(
            settings.ocpp_host,
            settings.ocpp_port,
            settings.ocpp_path_prefix,
            admission,
            self.features.intake,
            self.connections,
            clock,
            TRANSLATORS,
            ListenerLimits(
                **{item.name: getattr(limits, item.name) for item in fields(ListenerLimits)}
            ),
            self.frame_log,
            tls_options(tls.host, tls.port, tls.chains, tls.client_ca),
        )
        await self.listener.start()
        self._stack.push_async_callback(self.listener.stop)

    def _start_worker(self, clock: HubClock) -> None:
        due, topics, slow = self.features.due(), self.features.topics(), self.features.slow()
        at_once = self.settings.limits.deliveries
        self.worker = Worker(self.database, clock, due, topics, slow, at_once)
        self.worker.start()
        self._stack.push_async_callback(self.worker.stop)

    async def _start_http(self) -> Addresses:
        settings = self.settings
        listening = socket.create_server((settings.api_host, settings.api_port), backlog=1024)
        addresses = self._addresses(f"http://{settings.api_host}:{listening.getsockname()[1]}")
        api = build_api(self._checks(), settings.limits.request_body_bytes)
        if settings.conformance_adapter:
            api.include_router(conformance_api.router)
        provide(api, *self.features.for_routers(addresses.api_url))
        await self._serve(api, listening)
        return addresses

    def _addresses(self, api_url: str) -> Addresses:
        """Return where everything listens; the listener has been started."""
        settings, listener = self.settings, self.listener
        ocpp_url = f"ws://{settings.ocpp_host}:{listener.bound_port}{settings.ocpp_path_prefix}"
        if listener.bound_tls_port is None:
            return Addresses(api_url, ocpp_url)
        over_tls = f"{settings.tls.host}:{listener.bound_tls_port}{settings.ocpp_path_prefix}"
        return Addresses(api_url, ocpp_url, f"wss://{over_tls}")

    async def _serve(self, api: FastAPI, listening: socket.socket) -> None:
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
        self._stack.push_async_callback(self._stop_serving, server, serving)
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)

    async def _stop_serving(self, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        """End the streams, for which the HTTP server would wait, then the server."""
        await self.features.feed.stop()
        await self.features.charging.watch.stop()
        self.features.inbox.feed.stop()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)

    def _checks(self) -> dict[str, Check]:
        """Return what must work for the server to be ready."""
        return {
            "database": self._database_answers,
            "migrations": self._migrations_current,
            "ocpp_listener": _check(lambda: self.listener.listening),
            "worker": _check(lambda: self.worker.alive),
            "group_commit": CommitProbe(self.committer).commits,
        }

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
