"""What is shipped: the wheel carries what the image runs, and the image's files say the same."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built without network: the build backend is installed from the lock."""
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [path] = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_carries_migrations_simulators_and_pages(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    versions = {path.name for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py")}
    assert {f"chargehub/_migrations/versions/{name}" for name in versions} <= names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "simulators").rglob("*.py")}
    sources |= {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi", ".html", ".js", ".css", ".typed"}
    }
    assert sources - names == set()
    assert {"chargehub/_migrations/env.py", "chargehub/_migrations/script.py.mako"} <= names


def test_the_wheel_migrates_from_its_own_copy(
    wheel: zipfile.ZipFile, tmp_path: Path, postgres_url: str
) -> None:
    """Unpacked elsewhere and first on the path, it finds its migrations inside itself."""
    wheel.extractall(tmp_path)
    program = (
        "import sys; from chargehub.kit import migrate; url = sys.argv[1]; "
        "migrate.upgrade(url); print(migrate.migrations_dir(), migrate.current(url))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, postgres_url],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    place, revision = answer.stdout.split()[-2:]
    assert Path(place) == (tmp_path / "chargehub" / "_migrations").resolve()
    assert revision


def test_the_image_copies_only_what_is_sent_to_its_build() -> None:
    """.dockerignore lets through by name; what the Dockerfile copies must be among it."""
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_is_rid_of_the_tools_of_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = {
        re.split(r"[\[<>=~! ]", item)[0]
        for item in project["project"]["optional-dependencies"]["dev"]
    }
    uninstalled = (ROOT / "Dockerfile").read_text().partition("pip uninstall --yes")[2]
    assert tools - set(uninstalled.partition("\n\n")[0].split()) == set()


def test_the_image_does_not_run_as_root() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
    users = [line for line in last_stage.splitlines() if line.startswith("USER ")]
    assert users
    assert users[-1] != "USER root"


def test_no_default_password_in_compose() -> None:
    """Every secret must come from the environment: compose refuses to start without it."""
    for line in (ROOT / "compose.yaml").read_text().splitlines():
        name, _, value = line.strip().partition(": ")
        if "PASSWORD" in name or "SECRET" in name or "URL" in name:
            assert line.lstrip().startswith("#") or ":?" in value, line
