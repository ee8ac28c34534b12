"""Every answer that a scenario receives is held against the official schemas, formats included."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs

from chargehub.ocpp import OcppVersion
from chargehub.ocpp.schemas import read_schema
from chargehub.ocpp.versions import DIALECTS
from simulators.station import SimulatedStation


@cache
def _validator(version: str, action: str) -> Any:
    folder = DIALECTS[OcppVersion(version)].schema_folder
    schema = read_schema(folder, f"{action}Response")
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def check_answer(version: str, action: str, answer: dict[str, Any]) -> None:
    """Raise ValidationError when the hub's answer is not what the version prescribes."""
    _validator(version, action).validate(answer)


def check_answers_to(station: SimulatedStation) -> None:
    for acknowledged in station.acknowledged:
        check_answer(station.dialect.subprotocol, acknowledged.action, acknowledged.answer)
