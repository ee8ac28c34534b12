"""No body takes "1" for 1 or 1 for true: a program that sends it means something else.

The test adapter is left out: it takes what suites of others send.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter

from chargehub.api import build_api

LOOSE = frozenset({"int", "float", "bool"})


def bodies() -> list[Any]:
    """One parameter for each type of body, named by an operation that takes it."""
    found = {}
    for context in iter_route_contexts(build_api({}, 1).routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for parameter in route.dependant.body_params:
                found[parameter.field_info.annotation] = route.name
    return [pytest.param(body, id=name) for body, name in found.items()]


def loose(schema: Any, path: str = "") -> Iterator[str]:
    """Yield where numbers and switches are not strict, by the names of fields."""
    if isinstance(schema, dict):
        if schema.get("type") in LOOSE and not schema.get("strict"):
            yield f"{path}: {schema['type']}"
        for name, part in schema.items():
            if name not in {"metadata", "serialization"}:
                yield from loose(part, path if name == "schema" else f"{path}/{name}")
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from loose(part, path)


@pytest.mark.parametrize("body", bodies())
def test_numbers_and_switches_of_a_body_are_strict(body: Any) -> None:
    assert list(loose(TypeAdapter(body).core_schema)) == []


def test_the_walk_finds_what_is_loose() -> None:
    assert list(loose(TypeAdapter(dict[str, int | None]).core_schema)) != []
