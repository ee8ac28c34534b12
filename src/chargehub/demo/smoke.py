"""`chargehub smoke`: the demo without a person, on a database of its own, with a verdict."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from chargehub.demo.processes import DemoFailed
from chargehub.demo.progress import EVSES, Progress, Traffic
from chargehub.demo.seed import HUB_STATIONS
from chargehub.demo.stage import Stage
from chargehub.kit.errors import ChargeHubError
from chargehub.settings import Settings

TIME_LIMIT_S = 8 * 60.0
LINE_PERIOD_S = 10.0


@dataclass(frozen=True, slots=True)
class Goal:
    stations: int = HUB_STATIONS
    evses: int = EVSES
    transactions: int = 50

    def missing(self, progress: Progress) -> list[str]:
        counts = (
            ("stations online", progress.stations_online, self.stations),
            ("EVSEs reported", progress.evses_reported, self.evses),
            ("transactions completed", progress.completed, self.transactions),
        )
        return [f"{name}: {is_} of {wanted}" for name, is_, wanted in counts if is_ < wanted]


def run_smoke(base: Settings, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run until the goal is reached; DemoFailed says why it was not."""
    started = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="chargehub-smoke-"))
    place.chmod(0o711)
    own = {"data_dir": place, "database_url": None, "secret_key": None}
    settings = base.model_copy(update={**own, "api_port": 0, "ocpp_port": 0})
    try:
        with Stage(settings) as stage:
            progress = wait_for(stage, Goal(), started + time_limit_s)
            traffic = stage.metrics().read()
        Console().print(summary(progress, traffic, time.monotonic() - started))
        judge(progress, traffic)
    except ChargeHubError:
        click.echo(f"Data and logs are kept in {place}.", err=True)
        raise
    except KeyboardInterrupt:
        raise DemoFailed("interrupted") from None
    shutil.rmtree(place, ignore_errors=True)


def wait_for(stage: Stage, goal: Goal, deadline: float) -> Progress:
    metrics = stage.metrics()
    said = 0.0
    while True:
        stage.check()
        progress = stage.progress()
        missing = goal.missing(progress)
        if not missing:
            return progress
        now = time.monotonic()
        if now > deadline:
            raise DemoFailed(f"Time is up. Missing: {'; '.join(missing)}.\n{last_words(stage)}")
        if now - said > LINE_PERIOD_S:
            click.echo(progress.line())
            # A run that goes wrong is over: more minutes would only hide where it began.
            judge_errors(metrics.read(), stage)
            said = now
        time.sleep(1)


def judge_errors(traffic: Traffic, stage: Stage) -> None:
    if traffic.errors:
        raise DemoFailed(f"Not clean: {error_list(traffic)}.\n{last_words(stage)}")


def error_list(traffic: Traffic) -> str:
    return ", ".join(f"{count} {name}" for name, count in traffic.errors.items())


def last_words(stage: Stage) -> str:
    return "\n".join(f"{child.name}: {child.last_words()}" for child in stage.children)


def judge(progress: Progress, traffic: Traffic) -> None:
    """Refuse a run that reached its counts without doing its work."""
    faults = [error_list(traffic)] if traffic.errors else []
    if progress.energy_wh <= 0:
        faults.append("no energy was metered")
    if traffic.p99_reply_s is None:
        faults.append("no reply was measured")
    if faults:
        raise DemoFailed(f"The run is complete but not clean: {', '.join(faults)}.")


def summary(progress: Progress, traffic: Traffic, seconds: float) -> Table:
    p99 = "-" if traffic.p99_reply_s is None else f"{traffic.p99_reply_s * 1000:,.1f} ms"
    table = Table(title=f"Smoke run, {seconds:.0f} s", show_header=False, min_width=44)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("Stations online", f"{progress.stations_online} of {HUB_STATIONS}")
    table.add_row("Security profiles", progress.profile_list())
    table.add_row("EVSEs reported", f"{progress.evses_reported} of {EVSES}")
    table.add_row("Transactions completed", str(progress.completed))
    table.add_row("Transactions active", str(progress.active))
    table.add_row("Energy, running charges too", f"{progress.energy_wh / 1000:,.1f} kWh")
    table.add_row("Messages", f"{traffic.messages:,}")
    table.add_row("Errors", error_list(traffic) or "0")
    table.add_row("p99 reply", p99)
    return table
