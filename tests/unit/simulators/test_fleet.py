"""The fleet against a hub on a real socket, in process and as a command."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulators.__main__ import main
from simulators.arrivals import LOCAL_ZONE
from simulators.clock import ClockPair, HubClock
from simulators.fleet import Fleet, FleetOptions, version_of
from simulators.misbehaviour import Misbehaviour
from simulators.progress import Progress
from simulators.statistics import ReplyTimes
from tests.unit.simulators.fake_hub import V16, V21, V201, FakeHub


def test_the_fleet_speaks_three_versions() -> None:
    versions = [version_of(number) for number in range(1, 92)]
    assert versions[:6] == [V16, V16, V201, V16, V16, V21]
    assert Counter(versions) == {V16: 61, V201: 15, V21: 15}


async def test_a_small_fleet_charges_at_speed_and_leaves_nothing_open(hub: FakeHub) -> None:
    # From noon on: at night so few come that a station's own outage may fall into the wait.
    noon = datetime.fromtimestamp(time.time(), LOCAL_ZONE).replace(hour=12, minute=0).timestamp()
    clock = HubClock(ClockPair(time.time(), noon, 1200.0))
    passwords = {f"QZ-{n:03d}": f"password-of-{n}" for n in range(1, 7)}
    hub.passwords = {identity: text.encode() for identity, text in passwords.items()}
    options = FleetOptions(
        url=hub.url,
        stations=6,
        credentials=passwords,
        initial=6,
        spread_s=0.2,
        seed=4,
        farewell_s=30,
    )
    fleet = Fleet(clock, options)
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    async with asyncio.timeout(30):
        while fleet.statistics.transactions_completed < 5:
            await asyncio.sleep(0.02)
    progress = Progress.of(fleet)
    assert progress.online == 6
    assert progress.errors_by_kind == {}
    assert progress.energy_kwh > 10
    assert progress.reply_p50_ms is not None
    assert sum(progress.guns.values()) == 12
    stop.set()
    await running
    assert hub.violations == []
    begun = len(hub.payloads("StartTransaction"))
    assert begun == len(hub.payloads("StopTransaction"))
    events = [event["eventType"] for event in hub.payloads("TransactionEvent")]
    assert events.count("Started") == events.count("Ended")
    assert begun + events.count("Started") == fleet.statistics.transactions_completed
    assert fleet.online == 0


async def test_a_remote_start_brings_a_car(hub: FakeHub) -> None:
    clock = HubClock(ClockPair.from_now(600))
    options = FleetOptions(url=hub.url, stations=1, initial=0, spread_s=0, visits_per_day=0.001)
    fleet = Fleet(clock, options)
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    async with asyncio.timeout(30):
        while not fleet.online:
            await asyncio.sleep(0.01)
        start = {"connectorId": 2, "idTag": "APP-1"}
        await hub.call("QZ-001", "RemoteStartTransaction", start)
        while "StartTransaction" not in hub.actions():
            await asyncio.sleep(0.01)
    assert hub.payloads("StartTransaction")[0]["connectorId"] == 2
    stop.set()
    await running


async def test_the_command_runs_until_it_is_told_to_stop(hub: FakeHub, tmp_path: Path) -> None:
    credentials = tmp_path / "stations.csv"
    credentials.write_text("identity,password\nQZ-001,correct-horse-battery\n")
    hub.passwords["QZ-001"] = b"correct-horse-battery"
    # Slow enough: what charges now still does, minutes later, when the signal comes.
    pair = ClockPair.from_now(10)
    clock = f"{pair.wall_epoch},{pair.hub_epoch},{pair.rate}"
    arguments = [
        *("-m", "simulators", "fleet", "--url", hub.url, "--stations", "2", "--initial", "2"),
        *("--credentials", str(credentials), "--spread", "0", "--every", "0.2"),
        *("--json-lines", "--clock", clock),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        lines = await _read_until(process, lambda line: line["guns"]["Charging"] == 2)
        assert lines[-1]["type"] == "progress"
        process.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    summary = json.loads(rest.splitlines()[-1])
    assert summary["type"] == "summary"
    # A third driver may come meanwhile.
    assert summary["transactions_completed"] == summary["transactions_started"] >= 2
    assert summary["errors"] == 0
    stops = [stop["reason"] for stop in hub.payloads("StopTransaction")]
    assert len(stops) == summary["transactions_completed"]
    assert set(stops) == {"Reboot"}


async def _read_until(process: asyncio.subprocess.Process, wanted: Any) -> list[dict[str, Any]]:
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while not lines or not wanted(lines[-1]):
            lines.append(json.loads(await process.stdout.readline()))
    return lines


async def test_one_station_charges_once_and_leaves(hub: FakeHub) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators", "station", "QZ-007", "--url", hub.url, "--speed", "3000"),
        *("--version", V201, "--token", "TAXI-0001", "--soc", "80"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"TransactionEvent" in out
    assert hub.payloads("TransactionEvent")[-1]["eventType"] == "Ended"
    assert hub.statuses(1) == ["Available", "Occupied", "Available"]
    assert hub.violations == []


async def test_one_station_takes_the_hubs_time_at_its_boot(hub: FakeHub) -> None:
    told = {"currentTime": "2031-05-06T07:08:09.000Z", "interval": 300, "status": "Accepted"}
    hub.answers["BootNotification"] = lambda _payload: told
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators", "station", "QZ-007", "--url", hub.url, "--speed", "3000"),
        *("--token", "TAXI-0001", "--soc", "80", "--quiet"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
    (begun,) = hub.payloads("StartTransaction")
    assert begun["timestamp"].startswith("2031-05-0")


@pytest.mark.parametrize(
    ("option", "name", "presented"),
    [("--vin", "LDEM0000500000001", "LDEM0000500000001"), ("--mac", "0A1B2C3D4E5F", None)],
)
async def test_one_station_has_a_car_that_presents_itself(
    hub: FakeHub, option: str, name: str, presented: str | None
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators", "station", "QZ-007", "--url", hub.url, "--speed", "3000"),
        *(option, name, "--soc", "80"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
    presented = presented or f"VID:{name}"
    assert [one["idTag"] for one in hub.payloads("Authorize")] == [presented]
    (begun,) = hub.payloads("StartTransaction")
    assert begun["idTag"] == presented
    assert hub.violations == []


async def test_a_car_that_was_refused_waits_for_a_start_from_afar(hub: FakeHub) -> None:
    hub.answers["Authorize"] = lambda _payload: {"idTagInfo": {"status": "Invalid"}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators", "station", "QZ-007", "--url", hub.url, "--speed", "3000"),
        *("--vin", "LDEM0000500000001", "--soc", "80"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        assert b"refused" in await process.stderr.readline()
    assert hub.payloads("StartTransaction") == []
    start = {"connectorId": 1, "idTag": "APP-1"}
    hub.answers["Authorize"] = lambda _payload: {"idTagInfo": {"status": "Accepted"}}
    answer = await hub.call("QZ-007", "RemoteStartTransaction", start)
    assert answer == {"status": "Accepted"}
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert [one["idTag"] for one in hub.payloads("StartTransaction")] == ["APP-1"]


def test_the_help_lists_every_switch() -> None:
    for command in ([], ["fleet"], ["station"]):
        shown = CliRunner().invoke(main, [*command, "--help"])
        assert shown.exit_code == 0
        for quirk in Misbehaviour:
            assert quirk.label in shown.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fleet", "--misbehave", "nonsense"], "nonsense"),
        (["fleet", "--clock", "1,2"], "wall,hub,rate"),
        (["calibrate", "--first-day", "yesterday"], "isoformat"),
        (["fleet", "--credentials", "/nowhere.csv"], "nowhere"),
        (["station", "--vin", "LDEM0000500000001", "--token", "A"], "one of --token"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], reason: str) -> None:
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code != 0
    assert reason in shown.output


def test_percentiles_are_within_a_bucket() -> None:
    times = ReplyTimes()
    assert times.percentile_ms(50) is None
    for ms in range(1, 1001):
        times.add(ms / 1000)
    assert times.percentile_ms(50) == pytest.approx(500, rel=0.06)
    assert times.percentile_ms(99) == pytest.approx(990, rel=0.06)
