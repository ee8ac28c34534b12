"""The comparer of OpenAPI documents: breaking changes are named, additions are not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chargehub.kit.openapi import breaking_changes

Document = dict[str, Any]
BASE: Document = {
    "paths": {
        "/things": {
            "get": {
                "operationId": "list_things",
                "parameters": [
                    {
                        "in": "query",
                        "name": "limit",
                        "schema": {"type": "integer", "maximum": 500},
                    },
                    {
                        "in": "query",
                        "name": "kind",
                        "schema": {"anyOf": [{"enum": ["a", "b"], "type": "string"}]},
                    },
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Thing"},
                                }
                            }
                        }
                    },
                    "404": {"content": {"application/problem+json": {}}},
                },
            },
            "post": {
                "operationId": "make_thing",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}}
                    },
                },
                "responses": {"201": {"content": {"application/json": {"schema": {}}}}},
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["id", "name"],
                "properties": {
                    "id": {"type": "integer"},
                    "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "parent": {"$ref": "#/components/schemas/Thing"},
                },
            },
            "NewThing": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "power": {"type": "integer"},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                },
            },
        }
    },
}


def changed(change: Callable[[Document], Any]) -> list[str]:
    new = copy.deepcopy(BASE)
    change(new)
    return breaking_changes(BASE, new)


def thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Thing"]
    return found


def new_thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["NewThing"]
    return found


def listing(document: Document) -> Document:
    found: Document = document["paths"]["/things"]["get"]
    return found


GET, POST = "GET /things: ", "POST /things: "


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["paths"].clear(), GET + "is gone"),
        (lambda d: d["paths"]["/things"].pop("post"), POST + "is gone"),
        (
            lambda d: listing(d).update(operationId="things"),
            GET + "operationId list_things became things",
        ),
        (lambda d: listing(d)["parameters"].pop(), GET + "query parameter kind is gone"),
        (
            lambda d: listing(d)["parameters"].append(
                {"in": "query", "name": "x", "required": True, "schema": {}}
            ),
            GET + "new query parameter x is required",
        ),
        (
            lambda d: listing(d)["parameters"][0].update(required=True),
            GET + "query parameter limit became required",
        ),
        (
            lambda d: listing(d)["parameters"][0]["schema"].update(maximum=100),
            GET + "query parameter limit has a tighter maximum",
        ),
        (
            lambda d: listing(d)["parameters"][1]["schema"]["anyOf"][0]["enum"].pop(),
            GET + "query parameter kind no longer takes b",
        ),
        (lambda d: listing(d)["responses"].pop("200"), GET + "answer 200 is gone"),
        (lambda d: thing(d)["properties"].pop("name"), GET + "answer 200[] name is gone"),
        (
            lambda d: thing(d)["required"].remove("id"),
            GET + "answer 200[] id may be missing now",
        ),
        (
            lambda d: thing(d)["properties"]["id"].update(type="string"),
            GET + "answer 200[] id was integer and is string",
        ),
        (
            lambda d: thing(d)["properties"].update(
                id={"anyOf": [{"type": "integer"}, {"type": "null"}]}
            ),
            GET + "answer 200[] id was integer and is integer or null",
        ),
        (
            lambda d: new_thing(d)["required"].append("power"),
            POST + "request power is required now",
        ),
        (lambda d: new_thing(d)["properties"].pop("power"), POST + "request power is gone"),
        (
            lambda d: new_thing(d)["properties"]["power"].update(type="boolean"),
            POST + "request power was integer and is boolean",
        ),
        (
            lambda d: new_thing(d)["properties"]["name"].update(maxLength=5),
            POST + "request name has a tighter maxLength",
        ),
        (
            lambda d: new_thing(d)["properties"]["name"].update(pattern="^x"),
            POST + "request name has another pattern",
        ),
        (
            lambda d: d["paths"]["/things"]["post"]["requestBody"].update(content={}),
            POST + "request as application/json is gone",
        ),
    ],
)
def test_breaking_change_is_named(change: Callable[[Document], Any], complaint: str) -> None:
    assert complaint in changed(change)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda d: d["paths"].update({"/more": {"get": {"operationId": "more"}}}),
        lambda d: d["paths"]["/things"].update(delete={"operationId": "remove"}),
        lambda d: listing(d)["parameters"].append({"in": "query", "name": "x", "schema": {}}),
        lambda d: listing(d)["parameters"][0]["schema"].update(maximum=1000),
        lambda d: listing(d)["responses"].pop("404"),
        lambda d: thing(d)["properties"].update(more={"type": "string"}),
        lambda d: thing(d)["required"].append("kind"),
        lambda d: thing(d)["properties"]["kind"]["enum"].append("c"),
        lambda d: thing(d)["properties"].update(name={"type": "string"}),
        lambda d: new_thing(d)["properties"].update(more={"type": "string"}),
        lambda d: new_thing(d)["required"].clear(),
        lambda d: new_thing(d)["properties"]["power"].update(type="number"),
        lambda d: new_thing(d)["properties"]["kind"]["enum"].append("c"),
        lambda d: new_thing(d)["properties"]["name"].pop("maxLength"),
    ],
)
def test_addition_is_not(change: Callable[[Document], Any]) -> None:
    assert changed(change) == []
