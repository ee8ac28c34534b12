"""Compares two OpenAPI documents: what would break a client, and nothing about additions. Pure.

What a client sends must still be accepted, what it reads must still be there. The committed
document is the old one; whoever breaks the API on purpose writes it anew and says so in CHANGELOG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Document = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems")


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Return one sentence for each change that an existing client would notice."""
    found: list[str] = []
    for path, methods in old.get("paths", {}).items():
        for method in METHODS:
            if method not in methods:
                continue
            where = f"{method.upper()} {path}"
            operation = new.get("paths", {}).get(path, {}).get(method)
            if operation is None:
                found.append(f"{where}: is gone")
                continue
            comparison = _Comparison(old, new)
            found += [
                f"{where}: {change}" for change in comparison.operation(methods[method], operation)
            ]
    return list(dict.fromkeys(found))


class _Comparison:
    """Compares one operation; `sent` is the direction from client to server."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str, bool]] = set()

    def operation(self, old: Schema, new: Schema) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"operationId {old.get('operationId')} became {new.get('operationId')}"
        yield from self._parameters(old, new)
        yield from self._request_body(old.get("requestBody"), new.get("requestBody"))
        yield from self._responses(old.get("responses", {}), new.get("responses", {}))

    def _parameters(self, old: Schema, new: Schema) -> Iterator[str]:
        before = {(item["in"], item["name"]): item for item in old.get("parameters", ())}
        after = {(item["in"], item["name"]): item for item in new.get("parameters", ())}
        for key, parameter in before.items():
            where = f"{key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{where} is gone"
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{where} became required"
            yield from self._schema(
                where, parameter.get("schema", {}), after[key].get("schema", {}), sent=True
            )
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield f"new {key[0]} parameter {key[1]} is required"

    def _request_body(self, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield "the request body is gone"
            return
        if new.get("required") and not (old or {}).get("required"):
            yield "the request body became required"
        yield from self._content("request", (old or {}), new, sent=True)

    def _responses(self, old: Schema, new: Schema) -> Iterator[str]:
        for status, response in old.items():
            if not status.startswith("2"):
                continue  # Problems all have one shape; which of them may come is no promise.
            if status not in new:
                yield f"answer {status} is gone"
                continue
            yield from self._content(f"answer {status}", response, new[status], sent=False)

    def _content(self, where: str, old: Schema, new: Schema, *, sent: bool) -> Iterator[str]:
        for media_type, content in old.get("content", {}).items():
            following = new.get("content", {}).get(media_type)
            if following is None:
                yield f"{where} as {media_type} is gone"
                continue
            yield from self._schema(
                where, content.get("schema", {}), following.get("schema", {}), sent=sent
            )

    def _schema(self, where: str, old: Schema, new: Schema, *, sent: bool) -> Iterator[str]:
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")), sent)
        if pair[0] and pair[1]:
            if pair in self._seen:
                return
            self._seen.add(pair)
        before = _variants(self._old, old)
        after = _variants(self._new, new)
        yield from _compare_types(where, _types(before), _types(after), sent=sent)
        solid_before = [item for item in before if item.get("type") != "null"]
        solid_after = [item for item in after if item.get("type") != "null"]
        if len(solid_before) == len(solid_after) == 1:
            yield from self._variant(where, solid_before[0], solid_after[0], sent=sent)

    def _variant(self, where: str, old: Schema, new: Schema, *, sent: bool) -> Iterator[str]:
        yield from _compare_values(where, old, new, sent=sent)
        yield from _compare_required(where, old, new, sent=sent)
        for name, schema in old.get("properties", {}).items():
            following = new.get("properties", {}).get(name)
            if following is not None:
                yield from self._schema(f"{where} {name}", schema, following, sent=sent)
            elif not sent or new.get("additionalProperties") is False:
                yield f"{where} {name} is gone"
        for keyword in ("items", "additionalProperties"):
            inner, following = old.get(keyword), new.get(keyword)
            if isinstance(inner, Mapping) and isinstance(following, Mapping):
                yield from self._schema(f"{where}[]", inner, following, sent=sent)


def _variants(document: Document, schema: Schema) -> list[Schema]:
    """Resolve references and alternatives into plain schemas."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return _variants(document, found)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return [variant for item in schema[keyword] for variant in _variants(document, item)]
    if len(schema.get("allOf", ())) == 1:
        return _variants(document, schema["allOf"][0])
    return [schema]


def _types(variants: list[Schema]) -> frozenset[str]:
    found: set[str] = set()
    for item in variants:
        kind = item.get("type")
        found |= {"any"} if kind is None else {kind} if isinstance(kind, str) else set(kind)
    return frozenset(found)


def _compare_types(
    where: str, old: frozenset[str], new: frozenset[str], *, sent: bool
) -> Iterator[str]:
    given, taken = (old, new) if sent else (new, old)
    fits = "any" in taken or all(
        kind in taken or (kind == "integer" and "number" in taken) for kind in given
    )
    if not fits:
        yield f"{where} was {_or(old)} and is {_or(new)}"


def _or(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))


def _compare_values(where: str, old: Schema, new: Schema, *, sent: bool) -> Iterator[str]:
    """Enumerations and limits bind what is sent; what is read may gain values."""
    if not sent:
        return
    yield from _compare_enumerations(where, _enumeration(old), _enumeration(new))
    for keyword in UPPER_LIMITS:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield f"{where} has a tighter {keyword}"
    for keyword in LOWER_LIMITS:
        if keyword in new and (keyword not in old or new[keyword] > old[keyword]):
            yield f"{where} has a tighter {keyword}"
    for keyword in ("pattern", "format"):
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"{where} has another {keyword}"


def _compare_enumerations(
    where: str, before: set[str] | None, after: set[str] | None
) -> Iterator[str]:
    if after is None:
        return
    if before is None:
        yield f"{where} takes only some values now"
        return
    for value in sorted(before - after):
        yield f"{where} no longer takes {value}"


def _enumeration(schema: Schema) -> set[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else {str(value) for value in values}


def _compare_required(where: str, old: Schema, new: Schema, *, sent: bool) -> Iterator[str]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    if sent:
        for name in sorted(after - before):
            yield f"{where} {name} is required now"
        return
    for name in sorted(before - after):
        if name in new.get("properties", {}):
            yield f"{where} {name} may be missing now"
