"""The generated types are those that the generator would write today."""

from __future__ import annotations

import ast

import pytest

from chargehub.ocpp import DIALECTS, OcppVersion, schemas_for
from chargehub.ocpp.generate_types import types_path, types_text


@pytest.mark.parametrize("version", list(OcppVersion))
def test_the_committed_types_follow_the_installed_schemas(version: OcppVersion) -> None:
    written = types_path(version).read_text(encoding="utf-8")
    hint = "run python -m chargehub.ocpp.generate_types"
    assert written == types_text(version), hint


@pytest.mark.parametrize("version", list(OcppVersion))
def test_every_message_has_its_types(version: OcppVersion) -> None:
    tree = ast.parse(types_text(version))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for action in schemas_for(version).actions:
        assert {f"{action}Request", f"{action}Response"} <= classes
    assert classes >= DIALECTS[version].sends


def test_required_and_optional_fields_are_told_apart() -> None:
    text = types_text(OcppVersion.V16)
    assert "    idTag: str\n    meterStart: int\n    reservationId: NotRequired[int]\n" in text
