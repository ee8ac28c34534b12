"""The OpenAPI document: complete, readable, and never breaking what openapi.json promised."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chargehub.api import create_openapi
from chargehub.kit.http import API_PREFIX, PROBLEM_MEDIA_TYPE
from chargehub.kit.openapi import breaking_changes

COMMITTED = Path(__file__).resolve().parents[2] / "openapi.json"
DOCUMENT = create_openapi()
OPEN_OPERATIONS = {
    *("log_in", "read_health", "read_readiness"),
    *("send_login_code", "log_driver_in", "log_driver_in_by_wechat", "log_guest_in"),
    *("list_nearby_locations", "list_guns"),
    "take_bay_events",  # Its door is a signature.
}
Operation = dict[str, Any]


def operations() -> Iterator[tuple[str, Operation]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def of_api() -> list[Any]:
    return [
        pytest.param(operation, id=name) for name, operation in operations() if API_PREFIX in name
    ]


def test_nothing_breaks_what_is_committed() -> None:
    changes = breaking_changes(json.loads(COMMITTED.read_text()), DOCUMENT)
    assert changes == [], "on purpose? then `make openapi`, and say so in CHANGELOG.md"


def test_operation_ids_are_unique_and_readable() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", item) for item in ids), ids


def test_a_schema_name_is_one_things() -> None:
    """Two classes of one name would be told apart by their modules: a__b__Name."""
    assert [name for name in DOCUMENT["components"]["schemas"] if "__" in name] == []


@pytest.mark.parametrize("operation", of_api())
def test_operation_is_documented(operation: Operation) -> None:
    assert operation["tags"]
    assert operation["summary"]
    assert operation["description"]
    answers = operation["responses"]
    for status, answer in answers.items():
        if not status.startswith("2"):
            assert list(answer["content"]) == [PROBLEM_MEDIA_TYPE], status
            assert answer["content"][PROBLEM_MEDIA_TYPE]["examples"], status
    assert {"500", "503"} <= answers.keys()
    if operation["operationId"] not in OPEN_OPERATIONS:
        assert operation["security"]
        assert {"401", "403"} <= answers.keys()
    if operation.keys() & {"parameters", "requestBody"}:
        assert "422" in answers


def properties(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = schema.get("properties", {})
    return found


@pytest.mark.parametrize("operation", of_api())
def test_bodies_have_examples(operation: Operation) -> None:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [
        answer.get("content", {})
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    ]
    for content in contents:
        for media_type, body in content.items():
            if media_type in {"text/html", "text/event-stream"} or "example" in body:
                continue
            fields = properties(body["schema"])
            assert "examples" in body["schema"] or fields, media_type
            if fields:
                assert any(has_example(field) for field in fields.values()), list(fields)


def has_example(field: dict[str, Any]) -> bool:
    """Say whether a field shows a value: an example, a default, or its enumeration."""
    if any(key in field for key in ("examples", "default", "enum", "const")):
        return True
    inner = [field.get("items", {}), *field.get("anyOf", ())]
    return any("$ref" in item or "examples" in item for item in [field, *inner])


def test_no_schema_of_the_framework_is_left() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert {"Problem", "FieldError"} <= schemas.keys()
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "examples"):
        references = set(re.findall(rf'"#/components/{kind}/([^"]+)"', text))
        assert references <= DOCUMENT["components"][kind].keys()
