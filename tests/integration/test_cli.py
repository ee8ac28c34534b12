"""The command line as somebody types it: plain errors, right exit codes."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result

from chargehub import api, settings
from chargehub.cli import main
from chargehub.demo.certificates import LEAF_LIFE, DemoCertificates
from chargehub.kit.clock import wall_now


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def database_variable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database as an administrator writes it: without the driver's name."""
    plain = database_url.replace("+psycopg", "")
    monkeypatch.setenv("CHARGEHUB_DATABASE_URL", plain)
    return plain


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed)


def test_serve_without_a_secret_says_what_is_missing() -> None:
    result = run("serve")
    assert result.exit_code == 1
    assert "CHARGEHUB_SECRET_KEY: is required" in result.output
    assert "Traceback" not in result.output


def test_serve_brings_its_own_database_and_takes_it_down_again(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_dir / "served"
    for name, value in {
        "DEMO": "true",
        "DATA_DIR": str(place),
        "API_PORT": "0",
        "OCPP_PORT": "0",
        "LOG__FORMAT": "json",
    }.items():
        monkeypatch.setenv(f"CHARGEHUB_{name}", value)
    log = open_dir / "served.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "chargehub", "serve"], stdout=output, stderr=output
        )
    try:
        ready = httpx.get(f"{started_at(server, log)}/readyz", timeout=10).json()
        assert set(ready["checks"].values()) == {"ok"}
        assert "group_commit" in ready["checks"]
        assert (place / "postgres" / "postmaster.pid").exists()
    finally:
        server.terminate()
        code = server.wait(30)
    assert code == 0, log.read_text()
    assert not (place / "postgres" / "postmaster.pid").exists()


def started_at(server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the API's URL, once the server says that it has started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        for line in log.read_text().splitlines():
            if '"server_started"' in line:
                return str(json.loads(line)["api"])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_migrate_says_where_the_schema_is(database_variable: str) -> None:
    result = run("migrate")
    assert result.exit_code == 0, result.output
    with psycopg.connect(database_variable) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    assert f"revision {row[0]}" in result.output


def test_admin_create_asks_for_the_password_and_keeps_only_its_hash(database_variable: str) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-m", "chargehub", "admin", "create", "wang.fang"]
    process = subprocess.Popen(
        [*command, "--role", "operator"],
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    # Each answer after its question: what is typed before is thrown away.
    seen = ""
    for question in ("Password:", "confirmation:"):
        while question not in seen:
            seen += os.read(here, 1024).decode()
        os.write(here, b"correct horse 9\n")
    with suppress(OSError):  # So ends the other side of a terminal.
        while more := os.read(here, 1024):
            seen += more.decode()
    os.close(here)
    assert process.wait(60) == 0, seen
    assert "correct horse 9" not in seen
    with psycopg.connect(database_variable) as connection:
        rows = connection.execute("SELECT login, role, password_hash FROM operators").fetchall()
        audits = connection.execute("SELECT actor, action FROM audit_entries").fetchall()
    assert [row[:2] for row in rows] == [("wang.fang", "operator")]
    assert rows[0][2].startswith("$argon2id$")
    assert audits == [("command line", "operator.created")]


@pytest.mark.usefixtures("database_variable")
def test_admin_create_refuses_a_taken_login_and_a_weak_password() -> None:
    good = ("admin", "create", "wang.fang", "--password", "correct horse 9")
    assert run(*good).exit_code == 0
    again = run(*good)
    assert again.exit_code == 1
    assert "exists" in again.output
    weak = run("admin", "create", "li.na", "--password", "short")
    assert weak.exit_code == 1
    assert "characters" in weak.output


@pytest.mark.usefixtures("database_variable")
def test_admin_create_takes_a_password_from_a_file_and_asks_no_pipe() -> None:
    piped = run("admin", "create", "wang.fang", typed="correct horse 9\ncorrect horse 9\n")
    assert piped.exit_code == 2
    assert "Give --password-file or --password, or run it on a terminal." in piped.output
    assert "Warning" not in piped.output
    from_file = ("admin", "create", "wang.fang", "--password-file", "-")
    result = run(*from_file, typed="correct horse 9\n")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ["serve", "migrate"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "The database cannot be used (CHARGEHUB_DATABASE"),
        ("mysql://nobody@127.0.0.1/none", "CHARGEHUB_DATABASE_URL: must begin with postgresql://"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_plainly(
    command: str, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DATABASE_URL": url, "DEMO": "true", "API_PORT": "0"}.items():
        monkeypatch.setenv(f"CHARGEHUB_{name}", value)
    monkeypatch.setenv("CHARGEHUB_OCPP_PORT", "0")
    result = run(command)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert said in result.output


@pytest.mark.parametrize("taken", ["API_PORT", "OCPP_PORT"])
def test_serve_refuses_a_taken_port(
    taken: str, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"API_PORT": "0", "OCPP_PORT": "0", taken: str(taken_port)}.items():
        monkeypatch.setenv(f"CHARGEHUB_{name}", value)
    monkeypatch.setenv("CHARGEHUB_DEMO", "true")
    result = run("serve")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert f"Set CHARGEHUB_{taken}" in result.output


@pytest.mark.parametrize("command", ["serve", "migrate", "demo"])
def test_a_data_directory_that_cannot_be_made_is_said_plainly(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for name, value in {"API_PORT": "0", "OCPP_PORT": "0", "DEMO": "true"}.items():
        monkeypatch.setenv(f"CHARGEHUB_{name}", value)
    monkeypatch.setenv("CHARGEHUB_DATA_DIR", str(tmp_path / "file" / "below"))
    result = run(command)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "CHARGEHUB_DATA_DIR: " in result.output


def test_openapi_prints_the_document() -> None:
    result = run("openapi")
    assert result.exit_code == 0
    assert json.loads(result.output)["info"]["title"] == "ChargeHub"


def changed(document: dict[str, Any], how: str) -> dict[str, Any]:
    """Return what an older commit may have promised."""
    older = json.loads(json.dumps(document))
    if how == "an operation more":
        older["paths"]["/api/v1/gone"] = {"get": older["paths"]["/healthz"]["get"]}
    elif how == "an operation less":
        del older["paths"]["/healthz"]
    return dict(older)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("the same", 0, ""),
        ("an operation more", 1, "GET /api/v1/gone: is gone"),
        ("an operation less", 1, "out of date"),
    ],
)
def test_openapi_check(how: str, code: int, said: str, tmp_path: Path) -> None:
    committed = tmp_path / "openapi.json"
    committed.write_text(json.dumps(changed(api.create_openapi(), how)))
    result = run("openapi", "--check", str(committed))
    assert result.exit_code == code
    assert said in result.output


@pytest.mark.usefixtures("database_variable")
def test_doctor_finds_a_taken_port(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGEHUB_DEMO", "true")
    monkeypatch.setenv("CHARGEHUB_API_PORT", str(taken_port))
    monkeypatch.setenv("CHARGEHUB_OCPP_PORT", "0")
    result = run("doctor")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == [
        f"FAIL  API port: 127.0.0.1:{taken_port}: Address already in use"
    ]
    assert any("PostgreSQL" in line for line in lines)


def test_demo_refuses_a_taken_port(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGEHUB_OCPP_PORT", str(taken_port))
    monkeypatch.setenv("CHARGEHUB_API_PORT", "0")
    result = run("demo")
    assert result.exit_code == 1
    assert "CHARGEHUB_OCPP_PORT" in result.output


@pytest.mark.usefixtures("database_variable")
def test_doctor_looks_at_the_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("API_PORT", "OCPP_PORT", "TLS__PORT"):
        monkeypatch.setenv(f"CHARGEHUB_{name}", "0")
    monkeypatch.setenv("CHARGEHUB_DEMO", "true")
    made = DemoCertificates(tmp_path / "certificates")
    made.prepare({}, wall_now())
    monkeypatch.setenv("CHARGEHUB_TLS__RSA_CHAIN", str(made.path("server-rsa")))
    monkeypatch.setenv("CHARGEHUB_TLS__RSA_KEY", str(made.key_path("server-rsa")))
    result = run("doctor")
    assert "ok    TLS certificate: " in result.output
    assert "ok    OCPP port of TLS: " in result.output
    made.path("server-rsa").unlink()
    made.prepare({}, wall_now() - LEAF_LIFE + timedelta(days=10))
    result = run("doctor")
    assert "FAIL  TLS certificate: " in result.output
    made.path("server-rsa").write_text("no certificate")
    assert "FAIL  TLS certificates: " in run("doctor").output
