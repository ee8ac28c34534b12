"""Log lines carry no secrets, in either form, from structlog or from the standard library."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from chargehub.kit import logging as hub_logging
from chargehub.kit.logging import redact
from chargehub.kit.secrets import REDACTED


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        {"password": "hunter2"},
        {"new_password": "hunter2"},
        {"Authorization": "Basic hunter2"},
        {"secret_key": "hunter2"},
        {"headers": {"Cookie": "session=hunter2"}},
        {"url": "postgresql://hub:hunter2@db/hub"},
        {"payload": {"key": "AuthorizationKey", "value": "hunter2"}},
        {
            "payload": [
                {"variable": {"name": "BasicAuthPassword"}, "attributeValue": "hunter2"},
            ]
        },
        {"deep": [[[[[[[["hunter2"]]]]]]]]},
    ],
)
def test_secrets_are_hidden(secret: dict[str, object]) -> None:
    assert "hunter2" not in str(redact(None, "info", dict(secret)))


def test_the_rest_is_kept() -> None:
    event = {
        "event": "status",
        "station_id": 7,
        "payload": {"key": "HeartbeatInterval", "value": "9"},
    }
    assert redact(None, "info", dict(event)) == event


@pytest.mark.usefixtures("_restored")
def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    hub_logging.configure("info", "json")
    structlog.get_logger("a").info("booted", station_id=7, password="hunter2")
    logging.getLogger("b").warning("from %s", "outside")
    logging.getLogger("uvicorn.access").info("GET /")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("booted", "info"),
        ("from outside", "warning"),
    ]
    assert lines[0]["station_id"] == 7
    assert lines[0]["password"] == REDACTED


@pytest.mark.usefixtures("_restored")
def test_console_lines_and_levels(capsys: pytest.CaptureFixture[str]) -> None:
    hub_logging.configure("warning", "console")
    structlog.get_logger("a").info("quiet")
    structlog.get_logger("a").warning("loud", password="hunter2")
    written = capsys.readouterr().err
    assert "loud" in written
    assert "quiet" not in written
    assert "hunter2" not in written


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.usefixtures("_restored")
def test_a_traceback_shows_no_local_variables(
    form: hub_logging.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    hub_logging.configure("info", form)
    password = "hunter-2"
    try:
        int("x" + password[:0])
    except ValueError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert password not in written


@pytest.mark.usefixtures("_restored")
def test_exceptions_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    hub_logging.configure("info", "json")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert line["exception"][0]["exc_type"] == "ValueError"
