"""The limit of open files: raised as far as it is needed and allowed, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chargehub.limits import Limits

SCRIPT = """
import json, resource, sys
from chargehub.kit.serving import allow_descriptors
soft, hard, needed = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
told = allow_descriptors(needed)
print(json.dumps([told, *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "needed", "allowed", "warned"),
    [
        (256, 900, 600, 600, False),
        (256, 900, 2_000, 900, True),
        (256, 900, 100, 256, False),
    ],
)
def test_the_limit_of_open_files(
    soft: int, hard: int, needed: int, allowed: int, warned: bool
) -> None:
    arguments = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(needed)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert json.loads(lines[-1]) == [allowed, allowed, hard]
    assert ("few_file_descriptors" in done.stdout + done.stderr) is warned


def test_what_is_needed_covers_all_sockets() -> None:
    limits = Limits(max_connections=50, max_handshakes=10)
    assert limits.descriptors >= 50 + 2 * 2 * 10 + limits.live_viewers
