"""How log lines look and what they must not contain: structlog, redaction, one stream."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import orjson
import structlog

SECRET_NAMES = re.compile(
    r"password|secret|authorization$|cookie|credential|csrf|api_?key", re.IGNORECASE
)
SECRET_VARIABLES = frozenset({"authorizationkey", "basicauthpassword"})
URL_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")
HIDDEN = "(hidden)"
DEPTH_LIMIT = 6

# Frames without their local variables: those hold passwords and tokens.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)

Format = Literal["auto", "json", "console"]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets by the name they are logged under, passwords inside URLs wherever they are."""
    for name, value in event.items():
        event[name] = HIDDEN if SECRET_NAMES.search(name) else _clean(value, 0)
    return event


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return URL_PASSWORD.sub(rf"\1{HIDDEN}@", value) if "://" in value else value
    if depth >= DEPTH_LIMIT:
        return value if isinstance(value, (int, float, bool, type(None))) else str(type(value))
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth)
    if isinstance(value, (list, tuple)):
        return [_clean(item, depth + 1) for item in value]
    return value


def _clean_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    cleaned = {
        str(name): HIDDEN if SECRET_NAMES.search(str(name)) else _clean(item, depth + 1)
        for name, item in value.items()
    }
    # ChangeConfiguration {key, value} and SetVariables {variable, attributeValue} carry a
    # station's password under an innocent name.
    variable = value.get("variable")
    named = variable.get("name") if isinstance(variable, Mapping) else value.get("key")
    if str(named).lower() in SECRET_VARIABLES:
        cleaned |= {name: HIDDEN for name in ("value", "attributeValue") if name in value}
    return cleaned


def configure(level: str = "info", form: Format = "auto") -> None:
    """Send structlog's and the standard library's lines to stderr in one form."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Any] = (
        [redact, _console_renderer()]
        if console
        else [structlog.processors.ExceptionRenderer(_TRACEBACK), redact, _render_json]
    )
    least = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _drop_colours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(least, logging.INFO))
    # Their INFO lines tell of single requests and sockets: ours say it with the station's name.
    for name in ("uvicorn.access", "websockets", "alembic", "httpx"):
        logging.getLogger(name).setLevel(max(least, logging.WARNING))


def _console_renderer() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _drop_colours(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop uvicorn's second copy of its message, made for terminals."""
    event.pop("color_message", None)
    return event


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
