"""Starts child processes that cannot outlive the process that started them.

The kernel signals the child when its parent dies, however that happened (PR_SET_PDEATHSIG); a child
gets a session of its own, so Ctrl-C reaches only the parent, which stops its children in order.
This file is also the small program that runs between fork and exec: it drops from root to another
user and binds itself to the parent, neither of which survives being done in another order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class RunUser:
    """Who a child runs as."""

    name: str
    uid: int
    gid: int


def spawn(
    argv: Sequence[str],
    *,
    user: RunUser | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    output: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv`; it gets `death_signal` when the calling thread's process dies.

    Only from the main thread: the kernel counts the end of the forking thread as the parent's
    death.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("A child process would die with this thread; start it in the main one.")
    drop = f"{user.uid}:{user.gid}" if user is not None and os.geteuid() != user.uid else "-"
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    arguments = [str(os.getpid()), str(int(death_signal)), drop]
    return subprocess.Popen(
        [*launcher, *arguments, *argv],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        start_new_session=True,
    )


def die_with_parent(death_signal: signal.Signals, parent_pid: int | None = None) -> None:
    """Ask the kernel for `death_signal` when our parent dies (Linux only, elsewhere nothing).

    With `parent_pid`, signal at once when that parent is gone already.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), death_signal)


def _launch(parent_pid: int, death_signal: signal.Signals, drop: str, argv: list[str]) -> None:
    if drop != "-":
        uid, gid = (int(part) for part in drop.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
        os.environ["HOME"] = "/"
    # After the change of user: the kernel clears the death signal when credentials change.
    die_with_parent(death_signal, parent_pid)
    os.execvp(argv[0], argv)  # noqa: S606  No shell is wanted: the argument list is our own.


if __name__ == "__main__":
    _launch(int(sys.argv[1]), signal.Signals(int(sys.argv[2])), sys.argv[3], sys.argv[4:])
