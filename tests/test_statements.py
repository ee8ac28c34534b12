"""Every statement about OCPP that the hub claims is a test, on each version that it applies to.

A statement's test has `statement_N` in its name, or `statements_N_M` for several. The numbers are
those of the list of 101 statements that the hub is held to; here stands which are in scope, and on
which versions. `docs/decisions/0017` says where a statement and the OCPP texts differ.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STATEMENTS = range(1, 102)
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
EVERY = (V16, V201, V21)
V2X = (V201, V21)
ANY: tuple[str, ...] = ()
"""Of the line below OCPP."""

SCOPE: dict[int, tuple[str, ...]] = {
    # Handshake, connection, TLS.
    1: EVERY,
    2: ANY,  # No version is agreed on.
    **dict.fromkeys(range(3, 11), EVERY),
    11: ANY,
    12: EVERY,
    # Credentials. Hex keys are a matter of 1.6; the new password is text in 2.x.
    13: EVERY,
    14: V2X,
    **dict.fromkeys(range(15, 19), EVERY),
    # RPC. No message of 1.6 is signed.
    **dict.fromkeys(range(19, 31), EVERY),
    31: V2X,
    # Boot; time, numbers, identifiers.
    **dict.fromkeys(range(32, 43), EVERY),
    # Transactions. Numbers that we give are a matter of 1.6, but what is said twice, late or about
    # nothing known is not.
    43: EVERY,
    44: EVERY,
    45: (V16,),
    46: EVERY,
    47: (V16,),
    **dict.fromkeys(range(48, 54), EVERY),
    **dict.fromkeys(range(54, 57), V2X),
    57: EVERY,
    58: V2X,
    59: V2X,
    60: EVERY,
    61: V2X,
    62: V2X,
    # Reservations. 1.6 says nothing of one that ends.
    **dict.fromkeys(range(66, 74), EVERY),
    # Remote control and availability.
    **dict.fromkeys(range(74, 77), EVERY),
    77: V2X,
    78: EVERY,
    79: EVERY,
    # Smart charging. Needs of cars are told in 2.x, dynamic schedules in 2.1.
    **dict.fromkeys(range(80, 86), EVERY),
    86: V2X,
    87: (V21,),
    101: EVERY,
}
"""Left to later work: 63-65 (prices), 88-100."""

NAMED = re.compile(r"statements?((?:_\d+(?=_|$))+)")
OF_ONE_VERSION = {"_v16": V16, "_v201": V201, "_v21": V21}


def versions_by_statement(tests: Iterable[str]) -> dict[int, set[str]]:
    """Return the versions on which each statement is tested, by the ids of tests.

    Where the parameters name no version, the name of the module may.
    """
    found: defaultdict[int, set[str]] = defaultdict(set)
    for test in tests:
        path, _, rest = test.partition("::")
        name, _, parameters = rest.partition("[")
        versions = set(re.findall(r"ocpp(?:1\.6|2\.0\.1|2\.1)", parameters))
        if not versions:
            stem = path.removesuffix(".py").removesuffix("_commands")
            versions = {word for end, word in OF_ONE_VERSION.items() if stem.endswith(end)}
        for numbers in NAMED.findall(name):
            for number in numbers.strip("_").split("_"):
                found[int(number)] |= versions
    return found


def complaints(found: Mapping[int, set[str]], scope: Mapping[int, tuple[str, ...]]) -> list[str]:
    unknown = [f"no statement has the number {number}" for number in set(found) - set(STATEMENTS)]
    missing = [f"statement {number} has no test" for number in scope if number not in found]
    partly = [
        f"statement {number} is not tested on {', '.join(sorted(lacking))}"
        for number, wanted in scope.items()
        if number in found and (lacking := set(wanted) - found[number])
    ]
    return unknown + missing + partly


def collected() -> list[str]:
    """Return the ids of all tests that `make test` runs."""
    command = (sys.executable, "-m", "pytest", "tests", "--collect-only", "-q", "-m", "not slow")
    listed = subprocess.run(
        (*command, "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert listed.returncode == 0, listed.stdout[-3_000:] + listed.stderr
    return [line for line in listed.stdout.splitlines() if "::" in line]


def test_every_statement_is_a_test_on_each_of_its_versions() -> None:
    found = complaints(versions_by_statement(collected()), SCOPE)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("tests/test_a.py::test_statement_3_it[ocpp2.1-x]", {3: {V21}}),
        ("tests/test_a.py::test_it_statement_42", {42: set()}),
        ("tests/test_a_v16.py::test_it_statements_45_46[1]", {45: {V16}, 46: {V16}}),
        ("tests/test_a_v16_commands.py::test_it_statement_34", {34: {V16}}),
        ("tests/test_a.py::test_statement_97_b07_fr_04_10_pages[ocpp1.6]", {97: {V16}}),
        ("tests/test_a.py::test_2_0_1_takes_shorter_tokens", {}),
    ],
)
def test_names_are_read(test: str, found: dict[int, set[str]]) -> None:
    assert versions_by_statement([test]) == found


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({1: set(EVERY)}, ""),
        ({1: {V16, V201}}, "statement 1 is not tested on ocpp2.1"),
        ({}, "statement 1 has no test"),
        ({1: set(EVERY), 102: set()}, "no statement has the number 102"),
    ],
)
def test_what_is_missing_is_told(found: dict[int, set[str]], complaint: str) -> None:
    assert complaints(found, {1: EVERY}) == ([complaint] if complaint else [])
