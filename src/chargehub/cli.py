"""The command line: reads settings, opens what a command needs, calls it, says errors plainly."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TextIO

import click
import uvloop
from sqlalchemy.exc import OperationalError

from chargehub import api, doctor, replay, server, settings
from chargehub.access.passwords import Passwords
from chargehub.access.rules import Role, check_password
from chargehub.access.service import create_operator
from chargehub.demo.processes import check_port_free
from chargehub.demo.show import run_demo
from chargehub.demo.smoke import run_smoke
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit import logging, migrate
from chargehub.kit.child_process import die_with_parent
from chargehub.kit.clock import HubClock, wall_now
from chargehub.kit.db import Database, read_clock
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.openapi import breaking_changes
from chargehub.kit.postgres import EmbeddedPostgres
from chargehub.kit.sealing import Seal
from chargehub.kit.serving import allow_descriptors
from chargehub.settings import Settings

SMOKE_SPEED = 60.0

P = ParamSpec("P")

with_parent_option = click.option(
    "--with-parent",
    is_flag=True,
    help="End, and everything started with it, when the calling process dies.",
)


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print our own errors as a sentence and exit 1; a fault of the program keeps its traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ChargeHubError as error:
            raise click.ClickException(error.detail) from error
        except OperationalError as error:
            said = str(error.orig).strip()
            raise click.ClickException(
                f"The database cannot be used (CHARGEHUB_DATABASE_URL): {said}"
            ) from error

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="chargehub")
def main() -> None:
    """Manage the charging stations of an EV charging hub.

    Settings come from CHARGEHUB_... variables or a .env file; .env.example lists them all.
    """


@main.command()
@plain_errors
def serve() -> None:
    """Run the server until SIGINT or SIGTERM."""
    loaded = settings.load()
    logging.configure(loaded.log.level, loaded.log.format)
    allow_descriptors(loaded.limits.descriptors)
    # Until the loop listens for it itself.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for host, port, name in (
        (loaded.api_host, loaded.api_port, "CHARGEHUB_API_PORT"),
        (loaded.ocpp_host, loaded.ocpp_port, "CHARGEHUB_OCPP_PORT"),
    ):
        check_port_free(host, port, name)
    with _database_url(loaded, attach=False) as url:
        _run(server.serve(loaded, url))


@main.command(name="migrate")
@plain_errors
def migrate_database() -> None:
    """Bring the database to this version's schema."""
    with _database_url(_tool_settings()) as url:
        migrate.upgrade(url)
        click.echo(f"The schema is at revision {migrate.head()}.")


@main.command()
@click.option("--speed", type=float, default=1.0, show_default=True, help="Rate of its clock.")
@click.option("--every", type=float, default=10.0, help="Seconds between lines, off a terminal.")
@click.option("--tls", is_flag=True, help="Two thirds of the stations over TLS, with a CA made up.")
@with_parent_option
@plain_errors
def demo(speed: float, every: float, tls: bool, with_parent: bool) -> None:
    """Run the demo hub: database, server and 91 simulated stations, until Ctrl-C."""
    loaded = settings.load(demo=True, clock_rate=speed)
    _prepare_stage(with_parent=with_parent)
    _make_data_dir(loaded.data_dir)
    run_demo(loaded, line_period_s=every, tls=tls)


@main.command()
@click.option("--speed", type=float, default=SMOKE_SPEED, show_default=True, help="Clock rate.")
@with_parent_option
@plain_errors
def smoke(speed: float, with_parent: bool) -> None:
    """Run the demo on a database of its own until it has proved itself; exit 0 or say why not."""
    loaded = settings.load(demo=True, clock_rate=speed)
    _prepare_stage(with_parent=with_parent)
    run_smoke(loaded)


@main.command()
@click.option(
    "--check",
    "committed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with this file instead: exit 1 when clients would break, or it is out of date.",
)
def openapi(committed: Path | None) -> None:
    """Print the OpenAPI document of the API."""
    if committed is not None:
        check_openapi(json.loads(committed.read_text()), api.create_openapi())
        return
    click.echo(json.dumps(api.create_openapi(), indent=2, ensure_ascii=False, sort_keys=True))


def check_openapi(promised: dict[str, Any], now: dict[str, Any]) -> None:
    broken = breaking_changes(promised, now)
    if broken:
        lines = "\n".join(f"  - {line}" for line in broken)
        raise click.ClickException(
            f"The API breaks what it promised:\n{lines}\n"
            "On purpose? `make openapi`, and say so in CHANGELOG.md."
        )
    # Through JSON once, as the committed one went.
    if json.loads(json.dumps(now)) != promised:
        raise click.ClickException("openapi.json is out of date: `make openapi`.")


@main.command(name="doctor")
@plain_errors
def check_health() -> None:
    """Check this machine and the settings for what the server needs."""
    findings = doctor.examine(settings.load)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'FAIL'}  {finding.subject}: {finding.detail}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


@main.command(name="replay-frames")
@click.argument("stations", nargs=-1, metavar="[STATION]...")
@click.option("--from", "begin", type=click.DateTime(), help="In UTC; else as the log begins.")
@click.option("--to", "end", type=click.DateTime(), help="In UTC; else now.")
@plain_errors
def replay_frames(stations: tuple[str, ...], begin: datetime | None, end: datetime | None) -> None:
    """Rebuild the stations' transactions from the frame log, and compare.

    All stations when none is named. It works in a scratch database beside the live one, which it
    only reads; exit 1 when a transaction comes out differently.
    """
    loaded = _tool_settings()
    names = CarNames(Seal(settings.personal_data_key(loaded)))
    with _database_url(loaded) as url:
        outcome = asyncio.run(_replay_frames(url, names, stations, _utc(begin), _utc(end)))
    for line in replay.report(outcome):
        click.echo(line)
    if outcome.differences:
        sys.exit(1)


async def _replay_frames(
    url: str,
    names: CarNames,
    stations: tuple[str, ...],
    begin: datetime | None,
    end: datetime | None,
) -> replay.Outcome:
    live = Database(url)
    try:
        async with live.read() as connection:
            pair = await read_clock(connection)
        now = wall_now() if pair is None else HubClock(pair).now()
        async with replay.scratch_database(url) as scratch_url:
            await asyncio.to_thread(migrate.upgrade, scratch_url)
            scratch = Database(scratch_url)
            try:
                until = min(end or now, now - replay.ARRIVAL)
                return await replay.replay(live, scratch, stations, begin, until, names)
            finally:
                await scratch.close()
    finally:
        await live.close()


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


@main.group()
def admin() -> None:
    """Manage operators."""


@admin.command(name="create")
@click.argument("login")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="admin")
@click.option("--name", default="", help="The person's name.")
@click.option("--password", help="Asked for when not given; a terminal's history keeps it.")
@click.option("--password-file", type=click.File(), help="Its first line is it; - is stdin.")
@plain_errors
def create_admin(
    login: str, role: str, name: str, password: str | None, password_file: TextIO | None
) -> None:
    """Create an operator; the first admin comes to be this way."""
    password = password or _read_password(password_file)
    check_password(login, password)
    with _database_url(_tool_settings()) as url:
        migrate.upgrade(url)
        _run(_create_operator(url, login, Role(role), name, password))
    click.echo(f"Created {role} {login}.")


def _read_password(file: TextIO | None) -> str:
    if file is not None:
        return file.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("Give --password-file or --password, or run it on a terminal.")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


async def _create_operator(url: str, login: str, role: Role, name: str, password: str) -> None:
    hashed = await Passwords().hash(password)
    database = Database(url)
    try:
        async with database.write() as connection:
            pair = await read_clock(connection)
            at = wall_now() if pair is None else HubClock(pair).now()
            await create_operator(
                connection,
                at,
                login=login,
                role=role,
                name=name,
                password_hash=hashed,
                actor="command line",
            )
    finally:
        await database.close()


def _tool_settings() -> Settings:
    """Load for commands that need no secrets, only the place of the database."""
    return settings.load(demo=True)


@contextmanager
def _database_url(loaded: Settings, *, attach: bool = True) -> Iterator[str]:
    """Yield the given database's URL, or that of an embedded one which runs meanwhile.

    Used outside the event loop: the embedded server lives as long as the thread that starts it.
    """
    if loaded.database_url is not None:
        yield loaded.database_url.get_secret_value()
        return
    _make_data_dir(loaded.data_dir)
    postgres = EmbeddedPostgres(loaded.data_dir)
    postgres.start(attach=attach)
    try:
        yield postgres.url
    finally:
        postgres.stop()


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"CHARGEHUB_DATA_DIR: {path} cannot be made ({error.strerror})."
        ) from error


def _prepare_stage(*, with_parent: bool) -> None:
    """Make every way to be ended an orderly one: Ctrl-C, kill, closed terminal, dead parent."""
    logging.configure("warning", "console")
    # SIGINT too: what a script starts in the background inherits that it is ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if with_parent:
        die_with_parent(signal.SIGTERM)


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
