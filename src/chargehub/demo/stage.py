"""Puts the demo on its stage: database, data, server, fleet, in this order, and back in reverse."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import psycopg
from pydantic import SecretStr

from chargehub.demo.bays import DEVICES, callback_url, gateway_url, gateways_with, seed_bays
from chargehub.demo.certificates import ORGANISATION, DemoCertificates
from chargehub.demo.drivers import seed_drivers
from chargehub.demo.files import DemoFiles
from chargehub.demo.processes import Child, DemoFailed, check_port_free, free_ports
from chargehub.demo.progress import MetricsReader, Progress, read_progress
from chargehub.demo.seed import (
    HUB_STATIONS,
    identity_of,
    profile_of,
    seed,
    serial_number_of,
)
from chargehub.kit import migrate
from chargehub.kit.clock import ClockPair, HubClock, wall_now
from chargehub.kit.db import Database, read_clock
from chargehub.kit.postgres import EmbeddedPostgres
from chargehub.kit.sealing import Seal
from chargehub.settings import Settings, TlsSettings, personal_data_key, station_key

FLEET_SEED = 20_261_123


class Stage:
    """The running demo. Entering builds it up, leaving takes it down, also half built."""

    def __init__(self, settings: Settings, *, tls: bool = False) -> None:
        settings = _with_ports(settings)
        self.data_dir = settings.data_dir.resolve()
        self.files = DemoFiles(self.data_dir)
        self.certificates = DemoCertificates(self.files.certificates_dir) if tls else None
        if self.certificates is not None:
            own = _tls_settings(settings.tls, self.certificates)
            settings = settings.model_copy(update={"tls": own})
        self.settings = settings
        self.api_url = f"http://{_reachable(settings.api_host)}:{settings.api_port}"
        self.ocpp_url = (
            f"ws://{_reachable(settings.ocpp_host)}:{settings.ocpp_port}{settings.ocpp_path_prefix}"
        )
        self.ocpp_tls_url = (
            f"wss://{_reachable(settings.tls.host)}:{settings.tls.port}{settings.ocpp_path_prefix}"
            if tls
            else None
        )
        self.database_place = "given by CHARGEHUB_DATABASE_URL"
        self.children: list[Child] = []
        self._bays_port, self._bays_key = free_ports("127.0.0.1", 1)[0], secrets.token_urlsafe(48)
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.close()

    def check(self) -> None:
        """Raise DemoFailed when one of the children has ended."""
        for child in self.children:
            child.check()

    def progress(self) -> Progress:
        return read_progress(self._connection, self._clock)

    def metrics(self) -> MetricsReader:
        return MetricsReader(self.api_url, "admin", self.files.read_logins()["admin"])

    def _build(self) -> None:
        settings = self.settings
        check_port_free(settings.api_host, settings.api_port, "CHARGEHUB_API_PORT")
        check_port_free(settings.ocpp_host, settings.ocpp_port, "CHARGEHUB_OCPP_PORT")
        if self.certificates is not None:
            check_port_free(settings.tls.host, settings.tls.port, "CHARGEHUB_TLS__PORT")
            self.certificates.prepare(_stations_with_certificate(), wall_now())
        url = self._database_url()
        migrate.upgrade(url)
        if settings.secret_key is None:
            secret = SecretStr(self.files.secret_key())
            self.settings = settings = settings.model_copy(update={"secret_key": secret})
        asyncio.run(self._seed(url))
        server = self._start("server", ["chargehub", "serve"], self._server_env(url))
        server.wait_ready(f"{self.api_url}/readyz")
        pair = asyncio.run(_read_clock(url))
        self._clock = HubClock(pair)
        connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._connection: psycopg.Connection[Any] = connection
        self._ending.callback(connection.close)
        self.files.write_bays(DEVICES, gateway_url(self._bays_port))
        self._start("fleet", self._fleet_arguments(pair), {"BAYS_KEY": self._bays_key})

    def _database_url(self) -> str:
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        postgres = EmbeddedPostgres(self.data_dir)
        postgres.start()
        self._ending.callback(postgres.stop)
        self.database_place = str(postgres.cluster_dir)
        return postgres.url

    async def _seed(self, url: str) -> None:
        database = Database(url)
        try:
            key, tls = station_key(self.settings), self.certificates is not None
            await seed(database, key, self.files, wall_now(), tls=tls)
            await seed_drivers(database, Seal(personal_data_key(self.settings)), wall_now())
            await seed_bays(database, wall_now())
        finally:
            await database.close()

    def _start(self, name: str, arguments: list[str], env: Mapping[str, str]) -> Child:
        child = Child(name, arguments, env, self.data_dir / f"{name}.log")
        self.children.append(child)
        self._ending.callback(child.stop)
        return child

    def _server_env(self, url: str) -> dict[str, str]:
        settings = self.settings
        assert settings.secret_key is not None
        return {
            "CHARGEHUB_DATABASE_URL": url,
            "CHARGEHUB_DATA_DIR": str(self.data_dir),
            "CHARGEHUB_SECRET_KEY": settings.secret_key.get_secret_value(),
            "CHARGEHUB_DEMO": "true",
            "CHARGEHUB_CLOCK_RATE": str(settings.clock_rate),
            "CHARGEHUB_API_HOST": settings.api_host,
            "CHARGEHUB_API_PORT": str(settings.api_port),
            "CHARGEHUB_OCPP_HOST": settings.ocpp_host,
            "CHARGEHUB_OCPP_PORT": str(settings.ocpp_port),
            "CHARGEHUB_BAY_GATEWAYS": gateways_with(
                settings.bay_gateways, self._bays_port, self._bays_key
            ),
            **{
                f"CHARGEHUB_TLS__{name.upper()}": str(value)
                for name, value in settings.tls.model_dump(exclude_none=True).items()
            },
        }

    def _fleet_arguments(self, pair: ClockPair) -> list[str]:
        options = {
            "--url": self.ocpp_url,
            "--credentials": str(self.files.stations_path),
            "--clock": str(pair),
            "--seed": str(FLEET_SEED),
            "--profiles": str(self.files.profiles_path),
            "--bays": str(self.files.bays_path),
            "--bays-port": str(self._bays_port),
            "--bays-callback": callback_url(self.api_url),
        }
        if self.certificates is not None and self.ocpp_tls_url is not None:
            options |= {
                "--tls-url": self.ocpp_tls_url,
                "--ca-file": str(self.certificates.path("ca")),
                "--certificates": str(self.certificates.stations_dir),
            }
        return ["simulators", "fleet", *(part for item in options.items() for part in item)]


async def _read_clock(url: str) -> ClockPair:
    database = Database(url)
    try:
        async with database.read() as connection:
            pair = await read_clock(connection)
    finally:
        await database.close()
    if pair is None:
        raise DemoFailed("The server is ready but keeps no clock.")
    return pair


def _with_ports(settings: Settings) -> Settings:
    """Choose where the settings leave it open: the fleet must know before the server runs."""
    api_port, ocpp_port, tls_port = free_ports("127.0.0.1", 3)
    tls = settings.tls
    chosen = {
        "api_port": settings.api_port or api_port,
        "ocpp_port": settings.ocpp_port or ocpp_port,
        "tls": tls.model_copy(update={"port": tls.port or tls_port}),
    }
    return settings.model_copy(update=chosen)


def _tls_settings(tls: TlsSettings, certificates: DemoCertificates) -> TlsSettings:
    return TlsSettings(
        host=tls.host,
        port=tls.port,
        rsa_chain=certificates.path("server-rsa"),
        rsa_key=certificates.key_path("server-rsa"),
        ecdsa_chain=certificates.path("server-ecdsa"),
        ecdsa_key=certificates.key_path("server-ecdsa"),
        client_ca=certificates.path("ca"),
        organisation=ORGANISATION,
    )


def _stations_with_certificate() -> dict[str, str]:
    """Return their serial numbers by identity."""
    numbers = (n for n in range(1, HUB_STATIONS + 1) if profile_of(n, tls=True) == 3)
    return {identity: serial_number_of(identity) for identity in map(identity_of, numbers)}


def _reachable(host: str) -> str:
    """Return the address to connect to where the server listens on all of them."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  Compared, not bound.
    return f"[{host}]" if ":" in host else host
