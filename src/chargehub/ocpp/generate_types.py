"""Writes `types_*.pyi`: a TypedDict for every message, from the same schemas that check payloads.

Run `python -m chargehub.ocpp.generate_types` after an update of the `ocpp` package; a test fails
while the files differ from what this would write. They exist for the type checker only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chargehub.ocpp.schemas import read_schema, schemas_for
from chargehub.ocpp.versions import DIALECTS, Dialect, OcppVersion

_HEADER = """\
# Payloads of {version}, for the type checker only. Written by `generate_types`: do not edit.

from typing import {names}
"""

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}

_OPEN_TYPES = frozenset({"CustomDataType"})
"""Types whose content is the vendor's own: a TypedDict would refuse what they are for."""


def types_text(version: OcppVersion) -> str:
    """Return the whole text of the version's file."""
    dialect = DIALECTS[version]
    writer = _Writer()
    for action in sorted(schemas_for(version).actions):
        writer.add_message(dialect, f"{action}Request", action + dialect.request_suffix)
        writer.add_message(dialect, f"{action}Response", f"{action}Response")
    for action in sorted(dialect.sends):
        writer.add_message(dialect, action, action)
    body = "\n".join(writer.declarations[name] for name in sorted(writer.declarations))
    names = ["Any"] if "Any]" in body or ": Any" in body else []
    names += ["Literal", "NotRequired", "TypeAlias", "TypedDict"]
    return _HEADER.format(version=version.value, names=", ".join(names)) + "\n" + body


def types_path(version: OcppVersion) -> Path:
    return Path(__file__).with_name(f"types_{DIALECTS[version].schema_folder}.pyi")


class _Writer:
    """Collects declarations by name; a definition that several messages share is written once."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self._message = ""

    def add_message(self, dialect: Dialect, name: str, schema_name: str) -> None:
        schema = read_schema(dialect.schema_folder, schema_name)
        self._message = name
        for definition, content in schema.get("definitions", {}).items():
            self._type_of(definition, content)
        self._add_object(name, schema)

    def _type_of(self, name: str, schema: dict[str, Any]) -> str:
        """Return the Python type; what needs a name of its own is declared as `name`."""
        reference = schema.get("$ref")
        if reference is not None:
            target = str(reference).rpartition("/")[2]
            return "dict[str, Any]" if target in _OPEN_TYPES else target
        if "enum" in schema:
            return self._add_enum(name, schema["enum"])
        kind = schema.get("type")
        if kind == "array":
            return f"list[{self._type_of(name, schema['items'])}]"
        if kind == "object":
            return self._add_object(name, schema)
        return "Any" if kind is None else _SCALARS[kind]

    def _add_enum(self, name: str, values: list[str]) -> str:
        lines = "".join(f'    "{value}",\n' for value in values)
        self._declare(name, f"{name}: TypeAlias = Literal[\n{lines}]\n")
        return name

    def _add_object(self, name: str, schema: dict[str, Any]) -> str:
        if name in _OPEN_TYPES:
            return "dict[str, Any]"
        required = schema.get("required", [])
        fields = ""
        for field, content in schema.get("properties", {}).items():
            # 1.6 writes its types in place. Within one message an object's field names it; an
            # enum needs its owner's name too, because many are called `status`.
            owner = name if "enum" in content else self._message
            kind = self._type_of(owner + field[0].upper() + field[1:], content)
            fields += f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}\n"
        body = f":\n{fields}" if fields else ": ...\n"
        self._declare(name, f"class {name}(TypedDict){body}")
        return name

    def _declare(self, name: str, text: str) -> None:
        # The schemas never give one name to two shapes; if they begin to, this must not guess.
        if self.declarations.setdefault(name, text) != text:
            raise ValueError(f"{name} has two shapes")


def main() -> None:
    for version in OcppVersion:
        types_path(version).write_text(types_text(version), encoding="utf-8")


if __name__ == "__main__":
    main()
