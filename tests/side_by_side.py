"""Runs the tests as two pytest processes side by side, each with a PostgreSQL of its own.

`python -m tests.side_by_side [options of pytest]`; `make test` does. The lines of the first run
come as they are written, those of the second when both have ended. One processor has one run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import pytest

from chargehub.kit.child_process import spawn

SECOND = ("tests/contract", "tests/days", "tests/durability", "tests/fuzz", "tests/scenarios")
"""What the second run has. The first has all the rest, so nothing is left out; together they take
as long as the longer of them."""


def verdict(*codes: int) -> int:
    """Return the exit code of all runs: a failure of any. Not each of them needs a test to run."""
    ran = [code for code in codes if code != pytest.ExitCode.NO_TESTS_COLLECTED]
    failed = [code for code in ran if code != pytest.ExitCode.OK]
    return (failed or ran or codes)[0]


def main(options: Sequence[str]) -> int:
    whole = [sys.executable, "-m", "pytest", *options]
    if _processors() == 1:
        os.execv(sys.executable, whole)  # noqa: S606  No shell is wanted.
    rest = [f"--ignore={place}" for place in SECOND]
    with tempfile.TemporaryFile() as lines:
        runs = (
            spawn([*whole, *rest]),
            # What failed last is remembered by one of them only.
            spawn([*whole, *SECOND, "-p", "no:cacheprovider"], output=lines),
        )
        codes = [_end_of(run, runs) for run in runs]
        lines.seek(0)
        print(f"\nBeside it: {' '.join(SECOND)}", flush=True)  # noqa: T201  This is its output.
        shutil.copyfileobj(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return verdict(*codes)


def _processors() -> int:
    """Return how many there are for us; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _end_of(run: subprocess.Popen[bytes], runs: Sequence[subprocess.Popen[bytes]]) -> int:
    while True:
        try:
            return run.wait()
        except KeyboardInterrupt:
            for one in runs:  # They end with their own words.
                one.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
