"""`chargehub demo` as a person meets it: it starts, is killed or stopped, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from chargehub.demo.processes import free_ports

DEADLINE_S = 90.0


@pytest.fixture
def environment(open_dir: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    api_port, ocpp_port = free_ports("127.0.0.1", 2)
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "CHARGEHUB_DATA_DIR": str(open_dir / request.node.name),
        "CHARGEHUB_API_PORT": str(api_port),
        "CHARGEHUB_OCPP_PORT": str(ocpp_port),
    }


@pytest.fixture(autouse=True)
def _ctrl_c_is_ignored_here() -> Iterator[None]:
    """As by whoever is started in the background by a script; children inherit that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def demo(environment: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "chargehub", "demo", "--speed", "300", "--every", "1"]
    command += options
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read its output until a line matches."""
    deadline = time.monotonic() + DEADLINE_S
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            return found
        assert time.monotonic() < deadline, "".join(seen)
    raise AssertionError("it ended: " + "".join(seen))


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_all_gone(processes: list[psutil.Process]) -> None:
    _gone, left = psutil.wait_procs(processes, timeout=30)
    running = [one for one in left if one.status() != psutil.STATUS_ZOMBIE]
    assert running == []


def named(processes: list[psutil.Process], word: str) -> psutil.Process:
    return next(one for one in processes if word in one.cmdline())


def test_a_killed_demo_takes_everything_along_and_finds_its_data_again(
    environment: dict[str, str],
) -> None:
    with demo(environment) as process:
        wait_for(process, r"stations online 91/91")
        completed = int(wait_for(process, r" ([1-9]\d*) completed").group(1))
        children = descendants(process)
        server, database = named(children, "serve"), named(children, "-D")
        # Both at once, as when the machine goes down; the demo then ends by itself.
        for one in (server, database):
            os.kill(one.pid, signal.SIGKILL)
        assert process.wait(60) == 1
        wait_all_gone(children)
    with demo(environment) as process:
        again = int(wait_for(process, r"stations online 91/91 .* (\d+) completed").group(1))
        assert again >= completed
        children = descendants(process)
        process.kill()
        wait_all_gone(children)


def test_ctrl_c_stops_all_in_order(environment: dict[str, str]) -> None:
    with demo(environment) as process:
        wait_for(process, r"stations online")
        children = descendants(process)
        assert {"fleet", "serve"} <= {word for one in children for word in one.cmdline()}
        process.send_signal(signal.SIGINT)
        wait_for(process, r"Stopped: fleet, server, database")
        assert process.wait(30) == 0
        wait_all_gone(children)
    log = (Path(environment["CHARGEHUB_DATA_DIR"]) / "postgres.log").read_text()
    assert "database system is shut down" in log.splitlines()[-1]


def test_with_tls_all_three_security_profiles_are_in_use(environment: dict[str, str]) -> None:
    place = Path(environment["CHARGEHUB_DATA_DIR"]) / "demo-certificates"
    environment["CHARGEHUB_TLS__PORT"] = "0"
    with demo(environment, "--tls") as process:
        wait_for(process, r"OCPP on TLS  wss://127\.0\.0\.1:")
        wait_for(process, r"stations online 91/91 .* security profiles 1: 31, 2: 30, 3: 30$")
        keys = sorted(place.rglob("*-key.pem"))
        assert len(keys) == 3 + 30
        assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
        os.kill(named(descendants(process), "serve").pid, signal.SIGHUP)
        log = Path(environment["CHARGEHUB_DATA_DIR"]) / "server.log"
        wait_for(process, "stations online 91/91")
        assert '"certificates_read_anew"' in log.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    first = {key: key.read_bytes() for key in keys}
    # Without TLS the same stations come again, though they were seen on higher profiles.
    with demo(environment) as process:
        wait_for(process, r"stations online 91/91 .* security profiles 1: 91$")
    assert {key: key.read_bytes() for key in keys} == first
