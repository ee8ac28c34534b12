"""`chargehub demo`: the stage with a person watching, until Ctrl-C."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.live import Live

from chargehub.demo.drivers import DRIVERS
from chargehub.demo.seed import LOGINS
from chargehub.demo.stage import Stage
from chargehub.settings import Settings

LOOK_PERIOD_S = 1.0


def run_demo(settings: Settings, *, line_period_s: float, tls: bool = False) -> None:
    """Run until interrupted or a part fails (DemoFailed)."""
    click.echo("Starting the database, the server and 91 simulated stations ...")
    try:
        with Stage(settings, tls=tls) as stage:
            click.echo(introduction(stage))
            watch(stage, line_period_s)
    except KeyboardInterrupt:
        pass
    click.echo("Stopped: fleet, server, database.")


def introduction(stage: Stage) -> str:
    logins = stage.files.read_logins()
    rows = [f"    {login:<9} {logins[login]}" for login in LOGINS]
    return "\n".join(
        [
            "",
            f"  Live board   {stage.api_url}/console/",
            f"  API          {stage.api_url}/api/v1/openapi.json",
            f"  OCPP         {stage.ocpp_url}/{{identity}}",
            *([f"  OCPP on TLS  {stage.ocpp_tls_url}/{{identity}}"] if stage.ocpp_tls_url else []),
            f"  Data, logs   {stage.data_dir}",
            f"  Database     {stage.database_place}",
            f"  Clock        {stage.settings.clock_rate:g} x",
            "  Demo logins (made up for this data directory)",
            *rows,
            f"  Demo driver  {DRIVERS[0].phone[3:]}; drivers' codes are in the server's log",
            "",
            "  Ctrl-C stops everything.",
            "",
        ]
    )


def watch(stage: Stage, line_period_s: float) -> None:
    console = Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                stage.check()
                live.update(stage.progress().table(), refresh=True)
                time.sleep(LOOK_PERIOD_S)
    said = -line_period_s
    while True:
        stage.check()
        if time.monotonic() - said >= line_period_s:
            said = time.monotonic()
            click.echo(stage.progress().line())
        time.sleep(LOOK_PERIOD_S)
