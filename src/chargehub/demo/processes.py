"""The demo's two children, the server and the fleet: started, awaited, stopped in order.

The database is not among them: kit.postgres starts and stops it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from chargehub.kit.child_process import spawn
from chargehub.kit.errors import ChargeHubError

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 25.0
LOG_LIMIT_BYTES = 50 * 1024 * 1024


class DemoFailed(ChargeHubError):
    """The demo cannot go on."""

    code = "demo-failed"


class Child:
    """One child process and its log."""

    def __init__(
        self, name: str, arguments: Sequence[str], env: Mapping[str, str], log_path: Path
    ) -> None:
        self.name = name
        self.log_path = log_path
        if log_path.exists() and log_path.stat().st_size > LOG_LIMIT_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        with log_path.open("ab") as output:
            self._log_from = output.tell()
            self._process = spawn(
                [sys.executable, "-m", *arguments], output=output, env={**os.environ, **env}
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise DemoFailed when the child has ended."""
        code = self._process.poll()
        if code is not None and code < 0:
            # Its log says nothing about that; what it wrote last would only mislead.
            by = signal.strsignal(-code) or f"signal {-code}"
            raise DemoFailed(
                f"The {self.name} was ended from outside ({by}). Nothing acknowledged is lost: "
                f"start again. Its log: {self.log_path}"
            )
        if code is not None:
            raise DemoFailed(f"The {self.name} ended with code {code}:\n{self.last_words()}")

    def last_words(self, lines: int = 15) -> str:
        with self.log_path.open("rb") as file:
            file.seek(max(self._log_from, self.log_path.stat().st_size - 8_000))
            text = file.read().decode(errors="replace").strip().splitlines()
        return "\n".join([*text[-lines:], f"(log: {self.log_path})"])

    def stop(self) -> None:
        """Ask it to end; after a while, make it."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ready(self, url: str) -> None:
        """Wait until `url` answers 200."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not answers(url):
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"The {self.name} is not ready after {READY_TIMEOUT_S:.0f} s:\n"
                    f"{self.last_words()}"
                )
            time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  Our own http URL.
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def check_port_free(host: str, port: int, setting: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise DemoFailed(
                f"{host}:{port} cannot be used ({error.strerror}). Is another ChargeHub running? "
                f"Set {setting} to take another port."
            ) from error


def free_ports(host: str, count: int) -> list[int]:
    """Return ports that were free just now; all are held until all are found."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
