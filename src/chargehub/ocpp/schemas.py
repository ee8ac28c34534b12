"""The official JSON schemas of one version: which actions exist, and whether a payload fits.

The schemas come from the installed `ocpp` package. Of what a station sends, formats such as
date-time are not enforced: an odd timestamp is read tolerantly and flagged, not refused. What we
send keeps to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

from chargehub.ocpp.errors import ErrorCode, Violation
from chargehub.ocpp.frames import DESCRIPTION_MAX, VENDOR_FIELDS
from chargehub.ocpp.versions import DIALECTS, Dialect, OcppVersion

_NAME_MAX = 50

_CODES = {
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "required": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "additionalProperties": ErrorCode.FORMAT_VIOLATION,
}
"""By violated keyword; every other keyword bounds a value (enum, maxLength, minimum, ...)."""

INTEGER_MAX = 2**31 - 1
"""P2 2.1.4: an integer has 32 bits at the stations."""

DECIMALS_MAX = 6
"""P2 2.1.4: a decimal has at most six places at the stations."""

_Check = Callable[[Any], None]


class _Checks(dict[str, _Check]):
    """By action; a schema is compiled when its action is first seen (0.2 ms each)."""

    def __init__(self, folder: str, suffix: str, *, formats: bool = False) -> None:
        super().__init__()
        self._folder = folder
        self._suffix = suffix
        self._formats = formats

    def __missing__(self, action: str) -> _Check:
        schema = read_schema(self._folder, action + self._suffix)
        check = jsonschema_rs.validator_for(schema, validate_formats=self._formats).validate
        self[action] = check
        return check


class Schemas:
    """All requests and responses of one version. Share one per process: `schemas_for`."""

    def __init__(self, dialect: Dialect) -> None:
        self.actions = frozenset(_action_names(dialect))
        """Every action the version knows, whoever may send it; none of them is a SEND."""
        self._requests = _Checks(dialect.schema_folder, dialect.request_suffix)
        self._responses = _Checks(dialect.schema_folder, "Response")
        self._sends = _Checks(dialect.schema_folder, "")
        self._outbound = _Checks(dialect.schema_folder, dialect.request_suffix, formats=True)

    def check_request(self, action: str, payload: Any) -> Violation | None:
        """Return what is wrong with it. The action must be one of `actions`."""
        return _check(self._requests[action], payload)

    def check_send(self, action: str, payload: Any) -> Violation | None:
        """Check a one-way message. The action must be one of the dialect's `sends`."""
        return _check(self._sends[action], payload)

    def check_outbound(self, action: str, payload: Any) -> Violation | None:
        """Check a request that we are about to send: formats and the range of numbers too."""
        return _check(self._outbound[action], payload) or _check_numbers(payload)

    def check_response(self, action: str, payload: Any) -> Violation | None:
        return _check(self._responses[action], payload)


@cache
def schemas_for(version: OcppVersion) -> Schemas:
    return Schemas(DIALECTS[version])


def read_schema(folder: str, name: str) -> dict[str, Any]:
    """Read one official schema, e.g. `read_schema("v16", "HeartbeatResponse")`."""
    source = files("ocpp").joinpath(folder, "schemas", f"{name}.json")
    schema: dict[str, Any] = json.loads(source.read_text(encoding="utf-8-sig"))
    return schema


def _action_names(dialect: Dialect) -> set[str]:
    folder = files("ocpp").joinpath(dialect.schema_folder, "schemas")
    stems = {entry.name.removesuffix(".json") for entry in folder.iterdir()}
    requests = {stem for stem in stems if not stem.endswith("Response")} - dialect.sends
    return {stem.removesuffix(dialect.request_suffix) for stem in requests}


def _check(check: _Check, payload: Any) -> Violation | None:
    try:
        check(payload)
    except jsonschema_rs.ValidationError as error:
        return _describe(error)
    except ValueError:
        # Not JSON as the validator understands it: nested too deeply, or a foreign type.
        return Violation(ErrorCode.FORMAT_VIOLATION, "the payload is not acceptable JSON")
    return None


def _describe(error: jsonschema_rs.ValidationError) -> Violation:
    kind = error.kind
    code = _CODES.get(kind.name, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION)
    # The path consists of indices and of names that the schema knows: nothing of the station's.
    place = "/".join(map(str, error.instance_path)) or "payload"
    return Violation(code, f"{place}: {_complaint(kind)}"[:DESCRIPTION_MAX])


def _complaint(kind: Any) -> str:
    kinds = jsonschema_rs.ValidationErrorKind
    match kind:
        case kinds.Required(property=missing):
            text = f"{missing} is missing"
        case kinds.AdditionalProperties(unexpected=names):
            text = f"{names[0][:_NAME_MAX]} is not a known property"
        case kinds.Enum(options=options):
            text = f"must be one of {', '.join(map(str, options))}"
        case kinds.Type(types=types):
            text = f"must be of type {' or '.join(types)}"
        case kinds.Format(format=wanted):
            text = f"must be a {wanted}"
        case kinds.MinItems(limit=limit):
            text = f"must have {limit} or more items"
        case _:
            text = f"violates {kind.name}"
    return text


def _check_numbers(value: Any, place: tuple[str, ...] = ()) -> Violation | None:
    """Find a number that stations cannot hold. What vendors put into theirs is their matter."""
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if key not in VENDOR_FIELDS]
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        return _beyond(place, f"is beyond {INTEGER_MAX}")
    elif isinstance(value, float) and round(value, DECIMALS_MAX) != value:
        return _beyond(place, f"has more than {DECIMALS_MAX} decimals")
    else:
        return None
    found = (_check_numbers(item, (*place, key)) for key, item in items)
    return next((violation for violation in found if violation is not None), None)


def _beyond(place: tuple[str, ...], complaint: str) -> Violation:
    description = f"{'/'.join(place)}: {complaint}"[:DESCRIPTION_MAX]
    return Violation(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, description)
