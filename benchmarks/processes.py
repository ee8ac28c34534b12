"""Processes under measurement: starts them, stops them, and reads their CPU time and memory.

CPU time includes that of children, ended ones too. PostgreSQL is counted apart from the server.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0


def cpu_seconds(pid: int) -> float:
    """Sum the CPU time so far of a process and its children."""
    total = 0.0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def proportional_mb(pid: int) -> float:
    """Sum the memory of a process and its children; what they share counts once."""
    total = 0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return round(total / 2**20, 1)


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def resident_mb(pid: int) -> float:
    return round(psutil.Process(pid).memory_info().rss / 2**20, 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    module: Sequence[str], port: int, log_path: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m module...` until the end of the block, from when it listens on `port`."""
    with log_path.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        try:
            _await_listening(process, port, log_path)
            yield process
        finally:
            _stop(process)


def _await_listening(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    last_words = log_path.read_text(errors="replace")[-3000:]
    raise RuntimeError(f"{process.args!r} does not listen on {port}:\n{last_words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            print(f"    killed: process {process.pid} did not stop in {STOP_TIMEOUT_S:.0f} s")
            process.kill()
            process.wait()


def uses_uvloop(pid: int) -> bool:
    """Say on which event loop a Python process runs, so that the baselines run on the same."""
    return "/uvloop/loop." in Path(f"/proc/{pid}/maps").read_text()


def machine() -> dict[str, str | int]:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
    }
