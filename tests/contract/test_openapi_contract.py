"""The API does what openapi.json says: schemathesis asks every operation, rightly and wrongly.

A real server on real PostgreSQL, with stations that answer. `make test` asks the same every time,
`make test-slow` asks at random, and more. What is left out, and why, stands in schemathesis.toml.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chargehub.api import create_openapi

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
DEADLINE_S = 60.0
Facts = dict[str, Any]
NOT_ASKED = {"/api/v1/live", "/api/v1/inbox/stream", "/api/v1/logout"}
"""As the configuration says."""
ENDS_A_LOGIN = (
    "DELETE /api/v1/driver-logins",
    "DELETE /api/v1/driver-logins/current",
    "DELETE /api/v1/drivers/me",
)
"""Of a driver: each is asked with a login of its own."""


@contextmanager
def served(database_url: str, place: Path) -> Iterator[Facts]:
    """Serve a furnished hub in a process of its own; yield its URL and its logins."""
    told, log = place / "told.json", place / "server.log"
    command = [sys.executable, "-m", "tests.contract.served", database_url, str(told)]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=out
        ) as process,
    ):
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not told.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield json.loads(told.read_text())
        finally:
            assert process.stdin is not None
            process.stdin.close()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield those that are asked."""
    paths = create_openapi()["paths"]
    assert paths.keys() >= NOT_ASKED
    for path in paths.keys() - NOT_ASKED:
        for method, operation in paths[path].items():
            yield f"{method.upper()} {path}", operation


def of_drivers() -> set[str]:
    return {
        name
        for name, operation in operations()
        if any("DriverBearer" in way for way in operation.get("security", ()))
    }


def with_logins(facts: Facts) -> str:
    """Return the configuration, in which drivers ask what operators may not."""
    assert set(ENDS_A_LOGIN) <= of_drivers()
    tokens = dict.fromkeys(of_drivers(), facts["drivers"][0])
    tokens |= zip(ENDS_A_LOGIN, facts["drivers"][1:], strict=False)
    parts = [CONFIG.read_text()]
    for name, token in sorted(tokens.items()):
        parts += ["[[operations]]", f"include-name = {name!r}"]
        parts += [f'headers = {{ Authorization = "Bearer {token}" }}']
    return "\n".join(parts)


def ask(facts: Facts, place: Path, *options: str) -> str:
    """Let schemathesis ask, and return its report; it must have nothing to complain of."""
    config = place / CONFIG.name
    config.write_text(with_logins(facts))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    asked = subprocess.run(
        [*command, f"{facts['url']}/api/v1/openapi.json", "--no-color", *options],
        cwd=place,  # Where it keeps what it remembers.
        env={**os.environ, "TESTS_CONTRACT_ADMIN": facts["admin"]},
        capture_output=True,
        text=True,
        check=False,
    )
    report = asked.stdout + asked.stderr
    assert asked.returncode == 0, report
    return report


@pytest.mark.timeout(900)
def test_the_api_does_what_its_document_says(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path) as facts:
        report = ask(
            facts,
            tmp_path,
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "3", "--generation-deterministic"),
        )
    tested = re.search(r"Tested: (\d+)", report)
    assert tested is not None, report
    assert int(tested[1]) == len(list(operations()))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_api_does_what_its_document_says_at_random(database_url: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(2**32)
    with served(database_url, tmp_path) as facts:
        print(ask(facts, tmp_path, "--max-examples", "100", "--seed", str(seed)))  # noqa: T201  Tells the seed.
