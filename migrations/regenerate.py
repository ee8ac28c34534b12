"""Writes `versions/0001_initial.py` anew from the tables as the code defines them.

Allowed until the first release only; from then on a change of tables is a migration of its own:
`python migrations/regenerate.py --add "what changes"`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from chargehub.kit import migrate
from chargehub.kit.postgres import EmbeddedPostgres

VERSIONS = Path(__file__).parent / "versions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", metavar="MESSAGE", help="write a further migration instead")
    message = parser.parse_args().add
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        with EmbeddedPostgres(place / "data") as server:
            write(server.url, message)
    format_files()


def write(url: str, message: str | None) -> None:
    alembic = migrate.config(url)
    VERSIONS.mkdir(exist_ok=True)
    number = len(list(VERSIONS.glob("[0-9]*.py"))) + 1
    if message is None:
        for old in VERSIONS.glob("0001_*.py"):
            old.unlink()
        if list(VERSIONS.glob("[0-9]*.py")):
            sys.exit("There are later migrations: the initial one is history now, use --add.")
        alembic.attributes["initial"] = True
        number = 1
    else:
        migrate.upgrade(url)
    alembic.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    command.revision(
        alembic, message=message or "initial", autogenerate=True, rev_id=f"{number:04d}"
    )


def format_files() -> None:
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--fix", str(VERSIONS)], check=False)
    subprocess.run([*ruff, "format", "--quiet", str(VERSIONS)], check=True)


if __name__ == "__main__":
    main()
