"""The house rules that no other tool checks. Each rule is a function from text to complaints.

Every rule is also shown a text that breaks it, so that none of them can be silently blind.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chargehub import settings

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 500
FUNCTION_LINES = 60
MARKDOWN_LINES = 400
GENERATED = re.compile(r"^(migrations/versions/.*|.*\.pyi|requirements\.lock|openapi\.json)$")
ITSELF = "tests/test_tidy.py"  # It quotes what it forbids.
TEXT = {".py", ".pyi", ".md", ".toml", ".yaml", ".yml", ".html", ".js", ".css", ".in", ".mako", ""}

Rule = Callable[[str, str], Iterator[str]]


def project_files() -> list[str]:
    """List what is in the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607  On PATH.
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted(set(listed.stdout.splitlines()) - {ITSELF})
    return [name for name in names if (ROOT / name).is_file() and Path(name).suffix in TEXT]


def every_file_is_short_enough(name: str, text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    limit = MARKDOWN_LINES if name.endswith(".md") else FILE_LINES
    if lines > limit and name != "LICENSE" and not GENERATED.match(name):
        yield f"{lines} lines, {limit} allowed"


def every_function_is_short_enough(name: str, text: str) -> Iterator[str]:
    if not name.endswith(".py") or GENERATED.match(name):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines, {FUNCTION_LINES} allowed"


def every_module_says_what_it_owns(name: str, text: str) -> Iterator[str]:
    if name.endswith(".py") and not ast.get_docstring(ast.parse(text)):
        yield "no sentence at the top says what it owns"


VERSION_NAME = re.compile(r"ocppversion|(^|_)(v|ocpp_?)(16|201|21)j?(_|$)", re.IGNORECASE)
VERSION_TEXT = re.compile(r"ocpp\s?[12]\.\d|^(1\.6j?|2\.0\.1|2\.1)$", re.IGNORECASE)


def version_words_stay_at_the_gateway(name: str, text: str) -> Iterator[str]:
    """Invariant 4: everyone else asks for a capability. Docstrings may explain."""
    inside = name.startswith("src/chargehub/")
    if not inside or not name.endswith(".py"):
        return
    if name.startswith(("src/chargehub/ocpp/", "src/chargehub/gateway/")):
        return
    tree = ast.parse(text)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                found = VERSION_NAME.search(word)
            case ast.FunctionDef(name=word) | ast.ClassDef(name=word) | ast.arg(arg=word):
                found = VERSION_NAME.search(word)
            case ast.Constant(value=str(word)) if id(node) not in prose:
                found = VERSION_TEXT.search(word)
            case _:
                continue
        if found:
            yield f"line {getattr(node, 'lineno', '?')}: version word {word!r}"


LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def no_note_is_left_over(_name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if LEFTOVER.search(line):
            yield f"line {number}: {line.strip()}"


PLACES = re.compile(
    r"(?<![\w.])/(work|root|home|opt)/\w|/tmp/w\b|\.\./shared|file:///"
    r"|py[p]i\.org|python[h]osted|np[m]js\.org"
)


def no_place_of_one_machine_is_named(name: str, text: str) -> Iterator[str]:
    # In the image, paths are ours to choose.
    if name in {"Dockerfile", "compose.yaml"}:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if PLACES.search(line):
            yield f"line {number}: {line.strip()[:100]}"


SILENCED = re.compile(r"#\s*(noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[^]]*\])?)(.*)$")


def every_silenced_check_has_its_reason(name: str, text: str) -> Iterator[str]:
    if not name.endswith(".py"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = SILENCED.search(line)
        if found is None:
            continue
        check, reason = found.groups()
        if check.strip() in {"noqa", "type: ignore"}:
            yield f"line {number}: silences every check"
        elif not re.search(r"[A-Za-z]{2}", reason):
            yield f"line {number}: no reason beside it"


BAD_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers"}
BAD_NAMES |= {"plug", "plugs", "charger", "chargers"}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def names_use_the_words_of_the_domain(name: str, text: str) -> Iterator[str]:
    if not name.endswith(".py"):
        return
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    for candidate in (Path(name).stem, *names):
        # To plug in is what a driver does; a plug is nothing we have.
        noun = candidate.replace("plug_in", "")
        if BAD_NAMES & {word.lower() for word in WORD.findall(noun)}:
            yield candidate


def nobody_asks_the_machine_for_the_time(name: str, text: str) -> Iterator[str]:
    """Time comes from kit.clock or as an argument; time.time() is the wall, for a few."""
    may = ("src/chargehub/kit/", "src/chargehub/app.py", "src/chargehub/ocpp/generate_types.py")
    if not name.startswith("src/chargehub/") or name.startswith(may) or not name.endswith(".py"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\btime\.time\(|\bdate\.today\(", line):
            yield f"line {number}: {line.strip()}"


TICKED = re.compile(r"`([^`]+)`")
FOLDERS = ("src/", "tests/", "simulators/", "migrations/", "docs/")


def files_that_a_recipe_touches_are_there(name: str, text: str) -> Iterator[str]:
    """In a table of files touched: each file exists, and so does in it what its row names."""
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", text, re.MULTILINE)
    for first, what in rows if name.startswith("docs/how-to/") else ():
        paths = _paths(TICKED.findall(first))
        yield from (f"there is no {path}" for path in paths if not (ROOT / path).exists())
        texts = [(ROOT / path).read_text() for path in paths if (ROOT / path).is_file()]
        for word in TICKED.findall(what) if texts else ():
            if re.fullmatch(r"[A-Za-z_][\w.]*(?<!\.py)", word):
                own = re.compile(rf"\b{word.rpartition('.')[2]}\b")
                if not any(own.search(told) for told in texts):
                    yield f"{first} has no {word}"


def _paths(ticked: list[str]) -> list[str]:
    """Return the files of a table's cell; what follows the first may leave its folder out."""
    if not ticked[0].startswith(FOLDERS):
        return []
    folder = ticked[0].rpartition("/")[0]
    return [path if path.startswith(FOLDERS) else f"{folder}/{path}" for path in ticked]


def modules_that_the_map_names_are_there(name: str, text: str) -> Iterator[str]:
    if name != "ARCHITECTURE.md":
        return
    for path in TICKED.findall(text):
        if not re.fullmatch(r"[\w*/]+(\.py|/)", path) or "/" not in path.rstrip("/"):
            continue
        roots = (ROOT, ROOT / "src" / "chargehub")
        if not any(next(root.glob(path), None) for root in roots):
            yield f"there is no {path}"


RULES: list[tuple[Rule, str, str]] = [
    (every_file_is_short_enough, "src/a.py", "x = 1\n" * (FILE_LINES + 1)),
    (every_function_is_short_enough, "a.py", "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
    (every_module_says_what_it_owns, "a.py", "x = 1\n"),
    (version_words_stay_at_the_gateway, "src/chargehub/live/a.py", 'x = "ocpp1.6"\n'),
    (version_words_stay_at_the_gateway, "src/chargehub/live/a.py", "def handle_v16(): ...\n"),
    (version_words_stay_at_the_gateway, "src/chargehub/live/a.py", "x = OcppVersion.V16\n"),
    (no_note_is_left_over, "a.md", "TODO: later\n"),
    (no_place_of_one_machine_is_named, "a.md", "see /home/me/file\n"),
    (
        no_place_of_one_machine_is_named,
        "requirements.lock",
        "-i https://" + "py" + "pi.org/simple\n",
    ),
    (every_silenced_check_has_its_reason, "a.py", "x = 1  # noqa: F401\n"),
    (every_silenced_check_has_its_reason, "a.py", "x = 1  # type: ignore\n"),
    (names_use_the_words_of_the_domain, "a.py", "class SessionManager: ...\n"),
    (names_use_the_words_of_the_domain, "src/string_utils.py", "x = 1\n"),
    (nobody_asks_the_machine_for_the_time, "src/chargehub/live/a.py", "x = time.time()\n"),
    (files_that_a_recipe_touches_are_there, "docs/how-to/a.md", "| `src/gone.py` | a row |\n"),
    (
        files_that_a_recipe_touches_are_there,
        "docs/how-to/a.md",
        "| `src/chargehub/app.py` | it goes into `Hub._nowhere` |\n",
    ),
    (modules_that_the_map_names_are_there, "ARCHITECTURE.md", "open `kit/gone.py`\n"),
]


@pytest.mark.parametrize(
    ("rule", "name", "text"), RULES, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_rule_sees_what_it_forbids(rule: Rule, name: str, text: str) -> None:
    assert list(rule(name, text))


@pytest.mark.parametrize(
    "rule", {rule: None for rule, _, _ in RULES}, ids=lambda rule: rule.__name__
)
def test_the_house_is_tidy(rule: Rule) -> None:
    complaints = [
        f"{name}: {complaint}"
        for name in project_files()
        for complaint in rule(name, (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert not complaints, "\n" + "\n".join(complaints)


def test_env_example_is_in_step() -> None:
    """Write it anew: python -m chargehub.settings > .env.example."""
    assert (ROOT / ".env.example").read_text() == settings.render_example()


def test_the_lock_covers_every_dependency_with_hashes() -> None:
    locked: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        found = re.match(r"^([a-z0-9._-]+)==\S+", line)
        if found:
            name = _canonical(found.group(1))
            locked[name] = []
        elif line.strip().startswith("--hash=sha256:"):
            locked[name].append(line.strip())
        else:
            pytest.fail(f"neither a pinned requirement nor a hash: {line}")
    assert all(locked.values()), "a requirement without hashes"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    wanted += project["project"]["optional-dependencies"]["dev"]
    wanted += [
        line
        for line in (ROOT / "requirements-build.in").read_text().splitlines()
        if not line.startswith("#")
    ]
    names = {_canonical(re.split(r"[\[<>=~! ]", item)[0]) for item in wanted}
    assert names - locked.keys() == set(), "run `make lock`"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
