"""The embedded PostgreSQL starts, stops, recovers, and lets in nobody but its starter."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from chargehub.kit import postgres
from chargehub.kit.child_process import spawn
from chargehub.kit.postgres import EmbeddedPostgres, PostgresFailed, PostgresInUse

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}
STARTER = """
import sys, time
from pathlib import Path
from chargehub.kit.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"shared_buffers": "16MB"})
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


def connect(server: EmbeddedPostgres) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True)


def postmaster_pid(server: EmbeddedPostgres) -> int:
    return int((server.cluster_dir / "postmaster.pid").read_text().splitlines()[0])


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


@pytest.fixture
def server(open_dir: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(open_dir / "hub", settings=SMALL)
    embedded.start()
    yield embedded
    embedded.stop()


def test_is_durable_utf8_and_checksummed(server: EmbeddedPostgres) -> None:
    with connect(server) as connection:
        shown = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in ("fsync", "data_checksums", "server_encoding", "listen_addresses")
        }
        row = connection.execute(
            "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert shown == {
        "fsync": ("on",),
        "data_checksums": ("on",),
        "server_encoding": ("UTF8",),
        "listen_addresses": ("",),
    }
    assert row == ("C",)


def test_socket_directory_is_closed_to_others(server: EmbeddedPostgres) -> None:
    run = server.cluster_dir.parent / "run"
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.cluster_dir.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
def test_another_user_is_not_let_in(server: EmbeddedPostgres) -> None:
    """Not even the user the server runs as may log in: only the starter is mapped."""
    owner = server.cluster_dir.stat()
    client = Path("/proc") / str(postmaster_pid(server)) / "exe"
    psql = client.resolve().parent / "psql"
    socket = server.cluster_dir.parent / "run"
    answer = subprocess.run(
        [str(psql), "-h", str(socket), "-U", "chargehub", "-c", "SELECT 1", "chargehub"],
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "Peer authentication failed" in answer.stderr


async def test_only_the_main_thread_starts_a_child() -> None:
    """The kernel counts the end of the forking thread as the parent's: pools end theirs."""
    with pytest.raises(RuntimeError, match="main"):
        await asyncio.to_thread(spawn, [sys.executable, "-c", ""])


def test_data_survive_stop_and_start(server: EmbeddedPostgres) -> None:
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept_by_stop AS SELECT 1 AS value")
    server.stop()
    assert not server.running
    server.start()
    with connect(server) as connection:
        assert connection.execute("SELECT value FROM kept_by_stop").fetchone() == (1,)


def test_data_survive_a_killed_postmaster(server: EmbeddedPostgres) -> None:
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept_by_kill (value int)")
        connection.execute("INSERT INTO kept_by_kill VALUES (1), (2)")
    killed = postmaster_pid(server)
    os.kill(killed, signal.SIGKILL)
    server.start()
    assert postmaster_pid(server) != killed
    with connect(server) as connection:
        assert connection.execute("SELECT sum(value) FROM kept_by_kill").fetchone() == (3,)


def test_a_pid_file_that_names_an_unrelated_process_does_not_block(open_dir: Path) -> None:
    embedded = EmbeddedPostgres(open_dir / "stale", settings=SMALL)
    embedded.start()
    lines = (embedded.cluster_dir / "postmaster.pid").read_text().splitlines()
    embedded.stop()
    stale = "\n".join([str(os.getpid()), *lines[1:]])
    (embedded.cluster_dir / "postmaster.pid").write_text(stale)
    with embedded:
        assert embedded.running


def test_a_second_starter_is_refused_or_attached(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.data_dir)
    with pytest.raises(PostgresInUse, match=str(os.getpid())):
        second.start()
    second.start(attach=True)
    assert second.url == server.url
    second.stop()
    assert server.running


def test_the_server_dies_with_a_killed_starter_and_starts_again(open_dir: Path) -> None:
    data_dir = open_dir / "orphan"
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data_dir)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        url = next(line for line in starter.stdout if line.startswith("postgresql"))
        url = url.strip().replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        embedded = EmbeddedPostgres(data_dir, settings=SMALL)
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        starter.kill()
    with embedded, connect(embedded) as connection:
        assert postmaster_pid(embedded) != pid
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
    wait_until_gone(pid)


def test_a_long_path_gets_a_short_socket(open_dir: Path) -> None:
    embedded = EmbeddedPostgres(open_dir / ("long-" * 20), settings=SMALL)
    with embedded, connect(embedded) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert "chargehub-" in embedded.url
        socket_dir = Path(str(connection.info.host))
    assert not socket_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user can enter its own directories")
def test_root_moves_data_out_of_a_closed_directory(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout under /root works, and /root keeps its mode."""
    closed = open_dir / "closed"
    closed.mkdir()
    closed.chmod(0o700)
    monkeypatch.setattr(postgres, "SHARED_PLACE", open_dir / "shared")
    embedded = EmbeddedPostgres(closed / "var", settings=SMALL)
    with embedded, connect(embedded) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert embedded.cluster_dir.is_relative_to(open_dir / "shared")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    with EmbeddedPostgres(closed / "var", settings=SMALL) as again:
        assert again.cluster_dir == embedded.cluster_dir


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs its own binaries")
def test_root_copies_binaries_out_of_a_closed_directory(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SHARED_PLACE", open_dir / "copies")
    monkeypatch.setattr(postgres, "_may_enter", lambda path, _user: "pginstall" not in path.parts)
    embedded = EmbeddedPostgres(open_dir / "copied", settings=SMALL)
    with embedded, connect(embedded) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        exe = (Path("/proc") / str(postmaster_pid(embedded)) / "exe").resolve()
    assert exe.is_relative_to(open_dir / "copies")


def test_a_server_that_cannot_start_says_why(open_dir: Path) -> None:
    broken = EmbeddedPostgres(open_dir / "broken", settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match="shared_buffers"):
        broken.start()
    assert not broken.running
