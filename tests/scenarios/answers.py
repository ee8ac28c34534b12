"""What a scenario receives is held against the official schemas, formats included."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema_rs

from chargehub.ocpp import OcppVersion
from chargehub.ocpp.schemas import read_schema
from chargehub.ocpp.versions import DIALECTS
from simulators.station import SimulatedStation


@cache
def _validator(version: str, action: str, *, answer: bool) -> Any:
    dialect = DIALECTS[OcppVersion(version)]
    suffix = "Response" if answer else dialect.request_suffix
    schema = read_schema(dialect.schema_folder, action + suffix)
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def check_answer(version: str, action: str, answer: dict[str, Any]) -> None:
    """Raise ValidationError when the hub's answer is not what the version prescribes."""
    _validator(version, action, answer=True).validate(answer)
    _check_wording(answer)


def check_answers_to(station: SimulatedStation) -> None:
    for acknowledged in station.acknowledged:
        check_answer(station.dialect.subprotocol, acknowledged.action, acknowledged.answer)


def check_request(version: str, action: str, payload: dict[str, Any]) -> None:
    """Raise when a call of the hub is not what the version prescribes."""
    _validator(version, action, answer=False).validate(payload)
    _check_wording(payload)


MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*")
WORDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


def _check_wording(value: Any) -> None:
    """Statements 28 and 39: nothing absent is sent, and times as we word them."""
    if isinstance(value, dict):
        for name, item in value.items():
            assert item not in (None, [], {}), f"{name} is absent and sent"
            _check_wording(item)
    elif isinstance(value, list):
        for item in value:
            _check_wording(item)
    elif isinstance(value, str) and MOMENT.fullmatch(value):
        assert WORDED.fullmatch(value), value
