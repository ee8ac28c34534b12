"""An error of the database tells what failed, and not with which values."""

from __future__ import annotations

import json

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from chargehub.kit import logging as hub_logging
from chargehub.kit.db import Database
from chargehub.stations.store import locations

MARK = "marker-52b9"


async def test_bound_values_are_in_no_error(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.write() as connection:
            await connection.execute(text("SELECT 1 / 0, CAST(:secret AS text)"), {"secret": MARK})
    assert "division by zero" in str(caught.value)
    assert MARK not in str(caught.value)


async def test_a_refused_row_is_in_no_log_line(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    hub_logging.configure("info", "json")
    # Who else logs meanwhile must not keep this test's output, which is closed after it.
    structlog.configure(cache_logger_on_first_use=False)
    row = {"id": "north", "name": None, "address": MARK, "latitude": 1, "longitude": 1}
    try:
        with pytest.raises(IntegrityError) as caught:
            async with database.write() as connection:
                await connection.execute(locations.insert().values(row))
        structlog.get_logger("test").error("failed", error=str(caught.value), exc_info=caught.value)
    finally:
        structlog.reset_defaults()
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    (line,) = (line for line in lines if line["event"] == "failed")
    assert "NotNullViolation" in line["error"]
    assert "NotNullViolation" in str(line["exception"])
    assert MARK not in str(line)
