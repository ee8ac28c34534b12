"""The command line of the simulators: a fleet, one station, or a calibration."""

from __future__ import annotations

import asyncio
import csv
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from simulators.calibrate import calibrate
from simulators.car import Car
from simulators.client import CallFailed, ConnectionRefusedByHub, Payload, WireOptions
from simulators.clock import ClockPair, HubClock, sleep_until
from simulators.dialects import DIALECTS
from simulators.fleet import Fleet, FleetOptions
from simulators.misbehaviour import Misbehaviour, Quirks, parse_quirks
from simulators.outbox import Acknowledged
from simulators.parking import BayOptions, parking
from simulators.progress import Progress
from simulators.station import SimulatedStation, StationOptions
from simulators.tls import FleetTls, client_context

BEGINS = ("token", "vin", "mac")
"""Options by which a car begins to charge by itself."""
MISBEHAVIOURS = "\b\nMisbehaviours:\n" + "\n".join(
    f"  {member.label:<24}{member.meaning}" for member in Misbehaviour
)


class ClockType(click.ParamType[ClockPair]):
    name = "WALL,HUB,RATE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ClockPair:
        if isinstance(value, ClockPair):
            return value
        try:
            return ClockPair.parse(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def _quirks(_context: click.Context, _parameter: click.Parameter, labels: Iterable[str]) -> Quirks:
    return parse_quirks(labels)


misbehave = click.option(
    "--misbehave",
    "quirks",
    multiple=True,
    callback=_quirks,
    type=click.Choice([member.label for member in Misbehaviour]),
    metavar="SWITCH",
    help="One of the switches below; may be given several times.",
)
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
ca_option = click.option(
    "--ca-file", type=existing_file, help="PEM file of the authority that the stations trust."
)
url_option = click.option(
    "--url",
    default="ws://127.0.0.1:9000/ocpp",
    show_default=True,
    help="The hub's OCPP endpoint; the identity is appended.",
)
clock_option = click.option(
    "--clock",
    "pair",
    type=ClockType(),
    help="The hub's clock; without it, wall time at --speed, one station's set at its boot.",
)
speed_option = click.option(
    "--speed", default=1.0, show_default=True, help="Rate of the clock when --clock is not given."
)
interval_option = click.option(
    "--sample-interval",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Seconds of hub time between samples; 0 sends none.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=MISBEHAVIOURS)
def main() -> None:
    """Simulate the world outside the hub: dual-gun DC stations, cars and drivers."""


@main.command(epilog=MISBEHAVIOURS)
@url_option
@click.option("--stations", default=91, show_default=True, type=click.IntRange(1, 999))
@click.option(
    "--credentials",
    type=existing_file,
    help="CSV file of identity,password; a station that is not in it connects without.",
)
@click.option(
    "--profiles",
    type=existing_file,
    help="CSV file of identity,security profile (0 to 3); a station that is not in it uses 1.",
)
@click.option("--tls-url", help="Endpoint of the stations with profile 2 or 3: wss://...")
@ca_option
@click.option(
    "--certificates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of {identity}.pem and {identity}-key.pem, for profile 3.",
)
@clock_option
@speed_option
@click.option("--seed", default=1, show_default=True, help="Of drivers, cars and mishaps.")
@click.option("--visits-per-day", default=600.0, show_default=True)
@click.option(
    "--initial",
    type=click.IntRange(0),
    help="Sessions under way at the start; by default what is usual at the hour.",
)
@interval_option
@click.option("--spread", default=5.0, show_default=True, help="Seconds over which they connect.")
@click.option("--every", default=5.0, show_default=True, help="Seconds between progress lines.")
@click.option("--json-lines", is_flag=True, help="Progress as JSON, one object a line.")
@click.option("--bays", type=existing_file, help="CSV file of gun code,device of bays.")
@click.option("--bays-port", type=click.IntRange(0, 65_535), help="Port of the bays' gateway.")
@click.option("--bays-key", envvar="BAYS_KEY", help="What it and the hub sign with.")
@click.option("--bays-callback", help="Where it tells events: .../bay-gateways/{location}/events.")
@misbehave
@click.option(
    "--misbehave-every",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Only every n-th station misbehaves.",
)
def fleet(**given: Any) -> None:
    """Run all stations of the hub and its drivers until SIGINT or SIGTERM.

    Two thirds speak OCPP 1.6; every third one speaks 2.0.1 and 2.1 by turns.
    """
    options = FleetOptions(
        url=given["url"],
        stations=given["stations"],
        credentials=_read_pairs(given["credentials"], "password"),
        profiles={
            identity: int(profile)
            for identity, profile in _read_pairs(given["profiles"], "security_profile").items()
        },
        tls=_fleet_tls(given),
        seed=given["seed"],
        visits_per_day=given["visits_per_day"],
        initial=given["initial"],
        spread_s=given["spread"],
        quirks=given["quirks"],
        quirky_every=given["misbehave_every"],
        station=StationOptions(sample_interval_s=given["sample_interval"]),
    )
    clock = HubClock(given["pair"] or ClockPair.from_now(given["speed"]))
    reporting = (given["every"], given["json_lines"])
    asyncio.run(_run_fleet(clock, options, *reporting, _bays(given)))


def _bays(given: dict[str, Any]) -> BayOptions | None:
    if given["bays"] is None:
        return None
    if given["bays_key"] is None or given["bays_callback"] is None:
        raise click.ClickException("--bays needs --bays-key and --bays-callback")
    guns = _read_pairs(given["bays"], "device")
    return BayOptions(given["bays_port"] or 0, given["bays_key"], given["bays_callback"], guns)


async def _run_fleet(
    clock: HubClock,
    options: FleetOptions,
    every_s: float,
    json_lines: bool,
    bays: BayOptions | None,
) -> None:
    stop = _stop_on_signals()
    fleet = Fleet(clock, options)
    reporter = asyncio.create_task(_report(fleet, every_s, json_lines))
    try:
        async with AsyncExitStack() as stack:
            if bays is not None:
                await stack.enter_async_context(parking(bays, clock, fleet))
            await fleet.run(stop)
    finally:
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)
    summary = Progress.of(fleet)
    click.echo(summary.json_line("summary") if json_lines else summary.table())


async def _report(fleet: Fleet, every_s: float, json_lines: bool) -> None:
    while True:
        await asyncio.sleep(every_s)
        progress = Progress.of(fleet)
        click.echo(progress.json_line("progress") if json_lines else progress.line())


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _read_pairs(path: Path | None, second: str) -> dict[str, str]:
    if path is None:
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if any(len(row) != 2 for row in rows):
        raise click.ClickException(f"{path.name}: every line is identity,{second}")
    return {identity: value for identity, value in rows if identity != "identity"}


def _fleet_tls(given: dict[str, Any]) -> FleetTls | None:
    if given["tls_url"] is None:
        return None
    if given["ca_file"] is None:
        raise click.ClickException("--tls-url needs --ca-file")
    return FleetTls(given["tls_url"], given["ca_file"], given["certificates"])


@main.command(epilog=MISBEHAVIOURS)
@click.argument("identity", default="QZ-001")
@url_option
@click.option("--password", envvar="STATION_PASSWORD", help="Of HTTP Basic authentication.")
@ca_option
@click.option("--certificate", type=existing_file, help="PEM file of its own, for profile 3.")
@click.option("--key", type=existing_file, help="PEM file of the certificate's key.")
@click.option(
    "--version",
    type=click.Choice(list(DIALECTS)),
    default=next(iter(DIALECTS)),
    show_default=True,
)
@clock_option
@speed_option
@interval_option
@click.option("--evse", default=1, show_default=True, type=click.IntRange(1, 2))
@click.option("--token", help="Plug in a car and present this token, then leave when it is full.")
@click.option("--vin", help="Plug in a car that presents its VIN (即插即充), likewise.")
@click.option("--mac", help="Plug in a car that presents its controller's MAC, likewise.")
@click.option("--soc", default=28.0, show_default=True, help="Of the car, in percent.")
@click.option("--quiet", is_flag=True, help="Do not print the messages.")
@misbehave
def station(**given: Any) -> None:
    """Run one station. Without --token, --vin or --mac it waits for what the hub asks.

    A car stands ready for remote starts. One that presents itself and is refused waits for one.
    """
    if sum(given[name] is not None for name in BEGINS) > 1:
        raise click.UsageError("Give one of --token, --vin and --mac.")
    clock = HubClock(given["pair"] or ClockPair.from_now(given["speed"]))

    def acknowledged(message: Acknowledged) -> None:
        if message.action == "BootNotification" and given["pair"] is None:
            _set_by(clock, message.answer)
        if not given["quiet"]:
            _print_acknowledged(message)

    ca_file = given["ca_file"]
    tls = ca_file and client_context(ca_file, given["certificate"], given["key"])
    the_station = SimulatedStation(
        given["identity"],
        given["url"],
        given["password"],
        DIALECTS[given["version"]],
        clock=clock,
        quirks=given["quirks"],
        options=StationOptions(
            wire=WireOptions(tls=tls),
            sample_interval_s=given["sample_interval"],
            autocharge=bool(given["vin"] or given["mac"]),
            on_acknowledged=acknowledged,
        ),
    )
    try:
        asyncio.run(_run_station(the_station, given))
    except (ConnectionRefusedByHub, CallFailed) as failed:
        raise click.ClickException(str(failed)) from failed


async def _run_station(the_station: SimulatedStation, given: dict[str, Any]) -> None:
    stop = _stop_on_signals()
    # Once by hand, so that a wrong password ends the command instead of retrying for ever.
    await the_station.connect()
    await the_station.boot()
    running = asyncio.create_task(the_station.run())
    visits: list[asyncio.Task[None]] = []

    def arrive(evse_no: int) -> None:
        visits.append(asyncio.create_task(_wait_and_leave(the_station, evse_no, given["soc"])))

    the_station.charging.waits = lambda gun: arrive(gun.evse_no)
    with suppress(asyncio.CancelledError):
        if any(given[name] for name in BEGINS):
            await _first_of(stop.wait, lambda: _visit(the_station, given))
        else:
            await stop.wait()
    for task in [running, *visits]:
        task.cancel()
    await asyncio.gather(running, *visits, return_exceptions=True)
    await the_station.close()


async def _visit(the_station: SimulatedStation, given: dict[str, Any]) -> None:
    evse_no: int = given["evse"]
    car = Car(soc=given["soc"] / 100, vin=given["vin"], mac=given["mac"])
    await the_station.plug_in(evse_no, car)
    if not given["token"]:
        await _wait_for_start(the_station, evse_no)
    elif not await the_station.present_token(evse_no, given["token"]):
        click.echo("the token was refused", err=True)
    await _stay_until_over(the_station, evse_no)


async def _wait_for_start(the_station: SimulatedStation, evse_no: int) -> None:
    """Let a car that was refused stand at its gun until somebody starts it from afar."""
    if the_station.gun(evse_no).transaction is None:
        click.echo("the car was refused; it waits for a start from afar", err=True)
    while the_station.gun(evse_no).transaction is None:
        await sleep_until(the_station.clock, the_station.clock.now() + 1)


async def _wait_and_leave(the_station: SimulatedStation, evse_no: int, soc: float) -> None:
    await sleep_until(the_station.clock, the_station.clock.now() + 10)
    await the_station.plug_in(evse_no, Car(soc=soc / 100))
    await _stay_until_over(the_station, evse_no)


async def _stay_until_over(the_station: SimulatedStation, evse_no: int) -> None:
    await the_station.settled()
    transaction = the_station.gun(evse_no).transaction
    if transaction is not None:
        await transaction.over.wait()
    await sleep_until(the_station.clock, the_station.clock.now() + 10)
    await the_station.unplug(evse_no)
    await the_station.settled()


async def _first_of(*works: Callable[[], Awaitable[Any]]) -> None:
    tasks = [asyncio.ensure_future(work()) for work in works]
    _done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


def _set_by(clock: HubClock, answer: Payload) -> None:
    """Take the hub's time from its answer to a boot, as stations do; never back in time."""
    with suppress(KeyError, ValueError):
        told = datetime.fromisoformat(answer["currentTime"]).timestamp()
        clock.pair = ClockPair(time.time(), max(told, clock.now()), clock.pair.rate)


def _print_acknowledged(acknowledged: Acknowledged) -> None:
    payload = orjson.dumps(acknowledged.payload).decode()
    answer = orjson.dumps(acknowledged.answer).decode()
    click.echo(f"{acknowledged.action} {payload} -> {answer}")


@main.command(name="calibrate")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True)
@click.option("--visits-per-day", default=600.0, show_default=True)
@click.option("--first-day", default="2026-11-23", show_default=True, metavar="YYYY-MM-DD")
def calibrate_command(days: int, seed: int, visits_per_day: float, first_day: str) -> None:
    """Run whole days on virtual time, without a network, and print how they went."""
    try:
        day = date.fromisoformat(first_day)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from wrong
    click.echo(calibrate(days, seed, first_day=day, per_day=visits_per_day).table())


if __name__ == "__main__":
    main(prog_name="python -m simulators")
