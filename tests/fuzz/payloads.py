"""Payloads drawn from the official schemas: valid ones, and ones with a fault that has a name.

Every choice comes from a `random.Random`: a seed, or Hypothesis' own, which then shrinks. What a
fault must be answered with is the oracle's.
"""

from __future__ import annotations

import copy
import json
from enum import Enum, auto
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, NamedTuple

from tests.hub_fixtures import V16, V21, V201

Schema = dict[str, Any]

FOLDERS = {V16: "v16", V201: "v201", V21: "v21"}
SENDS = {
    V16: frozenset[str](),
    V201: frozenset[str](),
    V21: frozenset({"NotifyPeriodicEventStream"}),
}
STAMPS = ("2026-11-23T07:59:30Z", "2026-11-23T07:59:30.123Z", "2026-11-23T15:59:30+08:00")
TEXTS = (
    "1500",
    "0.15003999999999998",
    "CARD-0001",
    "TAXI-001",
    "AvailabilityState",
    "衢州充电",
    "",
    'a"b\\c/d',
    "\U0001f50c",
)
INTEGERS = (0, 1, 2, 42, 32_767, 2**31 - 1)
NUMBERS = (0, 1, 1.5, 150.5, 12_000.25)
DEPTH_MAX = 7
OTHER_TYPES: tuple[Any, ...] = (
    None,
    "x",
    7,
    1.5,
    True,
    [],
    {},
    [[None]],
    {"a": {"b": []}},
    "2026-11-23T07:59:30Z",
)
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Fault(Enum):
    """What can be wrong with a CALL, in no version's words."""

    FORMATION = auto()
    """The payload is no object, or has a field nobody knows."""
    OCCURRENCE = auto()
    """A field is missing; too few or too many items."""
    PROPERTY = auto()
    """A value is not one of the words, too long, out of range."""
    TYPE = auto()
    FRAMEWORK = auto()
    """It is no CALL as the RPC layer has them, though its id can be read."""
    UNKNOWN_ACTION = auto()
    UNSERVED_ACTION = auto()
    NOT_ACCEPTED = auto()


class Place(NamedTuple):
    """A field or an item of a drawn payload."""

    container: Any
    key: Any
    schema: Schema
    required: bool


class Drawn(NamedTuple):
    payload: dict[str, Any]
    places: list[Place]
    objects: list[dict[str, Any]]
    """Those that may have no further field."""


@cache
def read_schema(version: str, name: str) -> Schema:
    source = files("ocpp").joinpath(FOLDERS[version], "schemas", f"{name}.json")
    schema: Schema = json.loads(source.read_text(encoding="utf-8-sig"))
    return schema


def request_schema(version: str, action: str) -> Schema:
    one_way = action in SENDS[version]
    return read_schema(version, action if one_way or version == V16 else f"{action}Request")


def response_schema(version: str, action: str) -> Schema:
    return read_schema(version, f"{action}Response")


@cache
def all_actions(version: str) -> tuple[str, ...]:
    """Every request of the version, whoever may send it."""
    folder = files("ocpp").joinpath(FOLDERS[version], "schemas")
    stems = {entry.name.removesuffix(".json") for entry in folder.iterdir()}
    return tuple(sorted(stem[:-8] for stem in stems if stem.endswith("Response")))


def chance(rng: Random, share: float) -> bool:
    """Say yes so often. A zero says no, so that what Hypothesis shrinks gets simpler."""
    return rng.random() >= 1 - share


def draw(rng: Random, schema: Schema) -> Drawn:
    """Draw a payload that the schema allows."""
    drawn = Drawn({}, [], [])
    _fill(rng, drawn, drawn.payload, schema, schema.get("definitions", {}), 0)
    return drawn


def _fill(
    rng: Random,
    drawn: Drawn,
    target: dict[str, Any],
    schema: Schema,
    definitions: Schema,
    depth: int,
) -> None:
    required = schema.get("required", ())
    if schema.get("additionalProperties") is False:
        drawn.objects.append(target)
    share = 0.6 / (1 + depth)
    for name, part in schema.get("properties", {}).items():
        if name in required or (depth < DEPTH_MAX and chance(rng, share)):
            resolved = _resolved(part, definitions)
            target[name] = _value(rng, drawn, resolved, definitions, depth + 1)
            drawn.places.append(Place(target, name, resolved, name in required))


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _value(rng: Random, drawn: Drawn, schema: Schema, definitions: Schema, depth: int) -> Any:
    value: Any
    match schema.get("type"):
        case _ if "enum" in schema:
            value = rng.choice(schema["enum"])
        case "object":
            value = {}
            _fill(rng, drawn, value, schema, definitions, depth)
        case "array":
            value = _items(rng, drawn, schema, definitions, depth)
        case "boolean":
            value = chance(rng, 0.5)
        case "integer" | "number":
            value = _number(rng, schema)
        case "string":
            value = _text(rng, schema)
        case _:  # Anything at all: the data of a vendor.
            value = rng.choice(({"any": ["thing", 1]}, "text", 7, [True]))
    return value


def _items(rng: Random, drawn: Drawn, schema: Schema, definitions: Schema, depth: int) -> list[Any]:
    resolved = _resolved(schema["items"], definitions)
    least = max(schema.get("minItems", 0), 1)
    count = min(rng.choice((least, least, least + 1)), schema.get("maxItems", 99))
    items: list[Any] = []
    for index in range(count):
        items.append(_value(rng, drawn, resolved, definitions, depth + 1))
        drawn.places.append(Place(items, index, resolved, required=False))
    return items


def _number(rng: Random, schema: Schema) -> Any:
    integer = schema["type"] == "integer"
    low, high = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1)
    fitting = [n for n in (INTEGERS if integer else NUMBERS) if low <= n <= high]
    if "multipleOf" in schema:
        fitting = [n for n in fitting if (n * 10) % 1 == 0]
    return rng.choice(fitting) if fitting else low


def _text(rng: Random, schema: Schema) -> str:
    match schema.get("format"):
        case "date-time":
            return rng.choice(STAMPS)
        case "uri":
            return "https://hub.example/up?load=1"
        case _:
            length = schema.get("maxLength", 10_000)
            text = rng.choice(TEXTS)
            if chance(rng, 0.05):
                text = text + "x" * (length - len(text))  # As long as it may be.
            return text[:length]


# --- Faults ---------------------------------------------------------------------------------------


def spoil(rng: Random, drawn: Drawn) -> Fault:
    """Put one fault into it and say which; of a payload with no fields it is an unknown one."""
    spoilers = [_lose, _retype, _retype, _misvalue, _miscount, _add]
    rng.shuffle(spoilers)
    for spoiler in spoilers:
        fault = spoiler(rng, drawn)
        if fault is not None:
            return fault
    drawn.payload["vendorX"] = 1
    return Fault.FORMATION


def _lose(rng: Random, drawn: Drawn) -> Fault | None:
    found = [p for p in drawn.places if p.required and p.key in p.container]
    if not found:
        return None
    place = rng.choice(found)
    del place.container[place.key]
    return Fault.OCCURRENCE


def _retype(rng: Random, drawn: Drawn) -> Fault | None:
    found = [p for p in drawn.places if "type" in p.schema]
    if not found:
        return None
    place = rng.choice(found)
    wanted = place.schema["type"]
    right = PYTHON_TYPES[wanted]
    wrong = [
        value
        for value in OTHER_TYPES
        if not isinstance(value, right) or (isinstance(value, bool) and wanted != "boolean")
    ]
    _put(place, copy.deepcopy(rng.choice(wrong)))
    return Fault.TYPE


def _misvalue(rng: Random, drawn: Drawn) -> Fault | None:
    found = [(place, bad) for place in drawn.places for bad in _beyond(place.schema)]
    if not found:
        return None
    place, value = rng.choice(found)
    _put(place, value)
    return Fault.PROPERTY


def _beyond(schema: Schema) -> list[Any]:
    """Return values of the right type that the schema does not allow."""
    if "enum" in schema:
        words = ("NoSuchWord", "", schema["enum"][0].lower(), schema["enum"][0] + " ")
        return [word for word in words if word not in schema["enum"]]
    bad: list[Any] = []
    if "maxLength" in schema:
        bad += ["x" * (schema["maxLength"] + 1), "衢" * (schema["maxLength"] + 1)]
    if "minimum" in schema:
        bad.append(schema["minimum"] - 1)
    if "maximum" in schema:
        bad.append(schema["maximum"] + 1)
    if "multipleOf" in schema:
        bad.append(1.55)
    return bad


def _miscount(rng: Random, drawn: Drawn) -> Fault | None:
    found = [p for p in drawn.places if p.schema.get("minItems") or "maxItems" in p.schema]
    if not found:
        return None
    place = rng.choice(found)
    most = place.schema.get("maxItems")
    items = place.container[place.key] if _has(place) else None
    if most is not None and isinstance(items, list) and items and most < 50 and chance(rng, 0.5):
        _put(place, [copy.deepcopy(items[0]) for _ in range(most + 1)])
        return Fault.OCCURRENCE
    if place.schema.get("minItems"):
        _put(place, [])
        return Fault.OCCURRENCE
    return None


def _add(rng: Random, drawn: Drawn) -> Fault | None:
    if not drawn.objects:
        return None
    name = rng.choice(("vendorX", "", "衢", "__proto__", "x" * 300))
    rng.choice(drawn.objects)[name] = rng.choice((1, "x", None, {"a": [1]}))
    return Fault.FORMATION


def _has(place: Place) -> bool:
    return isinstance(place.container, list) or place.key in place.container


def _put(place: Place, value: Any) -> None:
    place.container[place.key] = value
