"""How log lines look and what they must not contain: structlog, redaction, one stream."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import orjson
import structlog

from chargehub.kit.secrets import redacted

DEPTH_LIMIT = 8

# Frames without their local variables: those hold passwords and tokens.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)

Format = Literal["auto", "json", "console"]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets by the name they are logged under, passwords inside URLs wherever they are."""
    for name, value in event.items():
        event[name] = redacted({name: value}, max_depth=DEPTH_LIMIT)[name]
    return event


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
