"""Whatever a station sends, translators read what fits its column or say Untranslatable.

Payloads are drawn from the official schemas, then spoilt: fields removed, added, of wrong type, out
of range, empty, foreign. They come through the JSON reader of the socket, as in life.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway.translation import Context, Report, Untranslatable
from chargehub.gateway.translators import TRANSLATORS
from chargehub.ocpp import DIALECTS, OcppVersion, schemas_for
from chargehub.ocpp.frames import load_json
from chargehub.ocpp.schemas import read_schema
from chargehub.smart_charging.reports import EvNeedsReported, EvScheduleReported, NeedsStatus
from chargehub.stations.reports import BootReply, BootReported, RegistrationStatus
from chargehub.transactions.reports import (
    AuthorizeRequested,
    TransactionReply,
    TransactionReported,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CASES = [
    (version, action)
    for version, translator in TRANSLATORS.items()
    for action in sorted(translator.inbound)
]

Schema = dict[str, Any]

STAMPS = [
    "2026-11-23T07:59:30Z",
    "2026-11-23T07:59:30.123456789+08:00",
    "2026-11-23T07:59:30",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "not a time",
]
REMOVED = object()
ODD = [
    REMOVED,
    None,
    "",
    " ",
    "x" * 3000,
    "NaN",
    "-Infinity",
    "1e999",
    "\x00nul",
    "\ud800 lone surrogate",
    "充电桩",
    "٣",
    "-1",
    "99999999999999999999",
    -1,
    0,
    2**15,
    2**31,
    2**63,
    2**64 - 1,
    -(2**63),
    10**30,
    1e300,
    -0.5,
    3.0,
    True,
    [],
    {},
    [[None]],
    {"evse": {"id": {}}},
    *STAMPS,
]
FOREIGN = [*ODD[1:], "Energy.Active.Import.Register", "kWh"]


LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.sampled_from([0, 1, 2, 42, 2**15 - 1]),
    "number": st.sampled_from([0, 1.5, 150.05, -2, 1e12]),
    "boolean": st.booleans(),
    "string": st.sampled_from(["1500", "0.15003999999999998", "TAXI-001", "AvailabilityState"]),
}


def payloads(schema: Schema, definitions: Schema) -> st.SearchStrategy[Any]:
    """Draw what the schema allows, with the values that matter to a reader."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.sampled_from(STAMPS[:3])
    if schema.get("type") == "array":
        items = payloads(schema["items"], definitions)
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)
    if schema.get("type") != "object":
        return LEAVES[schema.get("type", "string")]
    required = set(schema.get("required", ()))
    drawn = {
        name: payloads(part, definitions)
        for name, part in schema.get("properties", {}).items()
        if name != "customData"
    }
    return st.fixed_dictionaries(
        {name: one for name, one in drawn.items() if name in required},
        optional={name: one for name, one in drawn.items() if name not in required},
    )


def slots(node: Any) -> Iterator[tuple[Any, Any]]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    for key, child in pairs:
        yield node, key
        yield from slots(child)


def spoil(payload: Any, spoils: Sequence[tuple[int, Any]]) -> None:
    for index, value in spoils:
        places = list(slots(payload))
        if not places:
            return
        node, key = places[index % len(places)]
        if value is not REMOVED:
            node[key] = copy.deepcopy(value)
        elif isinstance(node, dict):
            del node[key]


def reply_to(report: Report) -> Any:
    decided = Authorization(AuthorizationStatus.NO_CREDIT, "G" * 30, NOW)
    if isinstance(report, BootReported):
        return BootReply(RegistrationStatus.PENDING, 60)
    if isinstance(report, AuthorizeRequested):
        return decided
    if isinstance(report, TransactionReported):
        return TransactionReply(2**31 - 1, decided if report.id_token else None)
    if isinstance(report, EvNeedsReported):
        return NeedsStatus.PROCESSING
    if isinstance(report, EvScheduleReported):
        return True
    return None


RANGES = {
    "evse_no": (0, 2**15 - 1),
    "connector_no": (0, 2**15 - 1),
    "register_wh": (0, 10**11),
    "power_w": (0, 2_000_000),
    "offered_power_w": (0, 2_000_000),
    "seq_no": (0, 2**63 - 1),
    "content_hash": (-(2**63), 2**63 - 1),
    "flags": (0, 2**31 - 1),
    "id": (-(2**31), 2**31 - 1),
}
"""Every other integer goes into a 31-bit column."""
RAW = frozenset(("raw", "payload", "needs"))
PLANNED = frozenset(("starts_at", "valid_from", "valid_to", "departs_at", "time_base"))
"""Times that may be years away."""


def names_of(value: Any) -> tuple[str, ...]:
    if is_dataclass(value):
        return tuple(field.name for field in fields(value))
    names: tuple[str, ...] = getattr(value, "_fields", ())
    return names


def check_fits(value: Any, name: str) -> None:
    """Hold every field of a report against the column it will be written to."""
    if name in RAW:
        assert b"\\u0000" not in orjson.dumps(value)
    elif named := names_of(value):
        for field in named:
            check_fits(getattr(value, field), field)
    elif isinstance(value, tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            check_fits(item, name)
    elif isinstance(value, int):
        low, high = RANGES.get(name, (0, 2**31 - 1))
        assert low <= value <= high, name
    else:
        check_leaf(value, name)


def check_leaf(value: Any, name: str) -> None:
    match value:
        case None:
            pass
        case datetime():
            assert value.tzinfo is UTC
            if name in PLANNED:
                assert 1970 <= value.year <= 2200
                return
            assert datetime(2015, 1, 1, tzinfo=UTC) <= value <= NOW + timedelta(days=1)
        case str():
            assert "\x00" not in value
            assert len(value.encode()) <= 10_000
        case float():
            assert math.isfinite(value)
            assert abs(value) < 1e38, "REAL"
        case _:
            pytest.fail(f"a report may not hold {type(value)}")


@pytest.mark.parametrize(("version", "action"), CASES)
def test_anything_is_read_or_untranslatable_and_answered(version: OcppVersion, action: str) -> None:
    dialect, schemas = DIALECTS[version], schemas_for(version)
    one_way = action in dialect.sends
    suffix = "" if one_way else dialect.request_suffix
    schema = read_schema(dialect.schema_folder, action + suffix)
    check_payload = schemas.check_send if one_way else schemas.check_request
    message = TRANSLATORS[version].inbound[action]
    foreign = st.dictionaries(st.sampled_from(["vendorX", "", "充"]), st.sampled_from(FOREIGN))

    @given(
        payloads(schema, schema.get("definitions", {})),
        st.lists(st.tuples(st.integers(0, 200), st.sampled_from(ODD)), max_size=4),
        foreign,
    )
    def check(drawn: dict[str, Any], spoils: list[tuple[int, Any]], extra: dict[str, Any]) -> None:
        spoil(drawn, spoils)
        payload = load_json(json.dumps(drawn | extra))
        valid = check_payload(action, payload) is None
        before = json.dumps(payload)
        try:
            reports = message.read(payload, Context(7, NOW, valid))
        except Untranslatable:
            reports = []
            assert spoils, "what makes sense can be read"
        for report in reports:
            check_fits(report, "report")
        assert json.dumps(payload) == before, "the payload belongs to the frame log"
        if message.answer is None:
            assert one_way
        else:
            answered = message.answer([reply_to(report) for report in reports], NOW)
            assert schemas.check_response(action, answered) is None

    check()
