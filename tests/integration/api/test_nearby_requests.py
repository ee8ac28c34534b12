"""Requests for what is nearby that are refused, and how the database finds what they ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from chargehub.drivers.account_rules import AddressBudget
from chargehub.finding.api import FindingParts
from chargehub.finding.queries import nearest_query
from chargehub.finding.rules import unit_vector
from chargehub.kit.db import Database
from chargehub.kit.paging import encode_cursor
from tests.integration.api.conftest import RunningApi, problem_of

HERE = (28.970, 118.870)

# Bad input, and too much of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "latitude=28",
        "latitude=91&longitude=118",
        "latitude=-90.1&longitude=118",
        "latitude=28&longitude=180.1",
        "latitude=NaN&longitude=118",
        "latitude=28&longitude=inf",
        "latitude=north&longitude=118",
        "latitude=28&longitude=118&datum=CGCS2000",
        "latitude=28&longitude=118&radius_m=0",
        "latitude=28&longitude=118&radius_m=NaN",
        "latitude=28&longitude=118&radius_m=30000000",
        "latitude=28&longitude=118&min_power_w=120",
        "latitude=28&longitude=118&standard=%00",
        "latitude=28&longitude=118&free_now=perhaps",
        "latitude=28&longitude=118&limit=101",
        "latitude=28&longitude=118&lat=28",
    ],
)
async def test_bad_input_is_refused(hub: RunningApi, query: str) -> None:
    answer = await hub.anonymous.get(f"/locations/nearby?{query}")
    assert problem_of(answer, 422, "invalid-input")["errors"]


@pytest.mark.parametrize("parts", [["x", "a"], ["nan", "a"], ["0x1p99999", "a"], ["1.0"], [1, 2]])
async def test_a_made_up_cursor_is_refused(hub: RunningApi, parts: list[Any]) -> None:
    cursor = encode_cursor("nearby", *parts)
    answer = await hub.anonymous.get(
        "/locations/nearby", params={"latitude": 1, "longitude": 1, "cursor": cursor}
    )
    problem_of(answer, 422, "invalid-cursor")


async def test_an_address_that_asks_too_often_waits(
    hub: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = hub.app.state.parts[FindingParts]
    monkeypatch.setitem(hub.app.state.parts, FindingParts, replace(parts, budget=AddressBudget(2)))
    query = {"latitude": 28, "longitude": 118}
    for _ in range(2):
        answer = await hub.anonymous.get("/locations/nearby", params=query)
        assert answer.status_code == 200
    answer = await hub.anonymous.get("/locations/nearby", params=query)
    problem_of(answer, 429, "too-many-requests")
    assert int(answer.headers["Retry-After"]) > 100
    problem_of(await hub.anonymous.get("/locations/north/guns"), 429, "too-many-requests")


# By the index ----------------------------------------------------------------------------------

MANY = """
INSERT INTO locations (id, name, latitude, longitude)
SELECT 'L' || n, 'L' || n, 20 + 25 * random(), 100 + 20 * random()
FROM generate_series(1, 10000) AS n
"""


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_ten_thousand_locations_are_found_by_the_index(
    database: Database, within: bool, after: bool
) -> None:
    query = text("EXPLAIN " + nearest_query(within=within, after=after))
    values = {"vector": list(unit_vector(*HERE)), "limit": 21, "now": "2026-11-23T00:00:00Z"}
    more = {"reach": 0.01} if within else {}
    place = {"chord": 0.001, "id": "L1"} if after else {}
    async with database.write() as connection:
        await connection.execute(text(MANY))
        await connection.execute(text("ANALYZE locations"))
        rows = await connection.execute(query, {**values, **more, **place})
        plan = "\n".join(rows.scalars())
    assert "Index Scan using ix_locations_unit_vector" in plan, plan
    assert "Order By" in plan
    assert "Seq Scan" not in plan
