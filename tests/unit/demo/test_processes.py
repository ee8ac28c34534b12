"""What the demo says of a child that ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from chargehub.demo.processes import Child, DemoFailed

DEADLINE_S = 20.0


def last_complaint(child: Child) -> str:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            child.check()
        except DemoFailed as failed:
            return failed.detail
        time.sleep(0.02)
    raise AssertionError("it goes on")


def test_a_child_killed_from_outside_is_one_clear_sentence(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    child = Child("server", ["http.server", "--bind", "127.0.0.1", "0"], {}, log)
    try:
        child.check()
        os.kill(child.pid, signal.SIGKILL)
        assert last_complaint(child) == (
            "The server was ended from outside (Killed). Nothing acknowledged is lost: "
            f"start again. Its log: {log}"
        )
    finally:
        child.stop()


def test_a_child_that_fails_by_itself_has_the_last_word(tmp_path: Path) -> None:
    child = Child("server", ["no_such_module_here"], {}, tmp_path / "server.log")
    complaint = last_complaint(child)
    assert complaint.startswith("The server ended with code 1:\n")
    assert "no_such_module_here" in complaint
