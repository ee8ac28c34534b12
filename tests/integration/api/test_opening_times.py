"""Opening times of a Location: given, changed, shown, refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import RunningApi, problem_of

WEEKDAY = {"weekday": 1, "period_begin": "06:00", "period_end": "22:30"}
ALWAYS = {"twenty_four_seven": True, "regular_hours": []}


def location(location_id: str, **more: Any) -> dict[str, Any]:
    return {"id": location_id, "name": "A place", "latitude": 28.97, "longitude": 118.87, **more}


async def test_opening_times_are_shown_as_given_and_changed(api: RunningApi) -> None:
    made = await api.admin.post("/locations", json=location("always"))
    assert made.json()["opening_times"] == ALWAYS
    hours = {"twenty_four_seven": False, "regular_hours": [WEEKDAY]}
    made = await api.admin.post("/locations", json=location("shop", opening_times=hours))
    assert made.status_code == 201, made.text
    assert (await api.viewer.get("/locations/shop")).json()["opening_times"] == hours
    renamed = await api.admin.patch("/locations/shop", json={"name": "Shop"})
    assert renamed.json()["opening_times"] == hours
    changed = await api.admin.patch("/locations/shop", json={"opening_times": ALWAYS})
    assert changed.json()["opening_times"] == ALWAYS


@pytest.mark.parametrize(
    "hours",
    [
        {"twenty_four_seven": False},
        {"twenty_four_seven": True, "regular_hours": [WEEKDAY]},
        {"twenty_four_seven": False, "regular_hours": [WEEKDAY | {"weekday": 8}]},
        {"twenty_four_seven": False, "regular_hours": [WEEKDAY | {"period_end": "06:00"}]},
        {"twenty_four_seven": False, "regular_hours": [WEEKDAY | {"period_end": "24:01"}]},
        {"twenty_four_seven": False, "regular_hours": [WEEKDAY | {"period_begin": "6:00"}]},
        {"twenty_four_seven": False, "regular_hours": [WEEKDAY, WEEKDAY]},
        {"twenty_four_seven": "yes"},
    ],
)
async def test_impossible_opening_times_are_refused(api: RunningApi, hours: Any) -> None:
    refused = await api.admin.post("/locations", json=location("refused", opening_times=hours))
    problem_of(refused, 422, "invalid-input")
    problem_of(await api.viewer.get("/locations/refused"), 404, "not-found")


async def test_no_location_takes_the_name_of_a_list(api: RunningApi) -> None:
    problem_of(await api.admin.post("/locations", json=location("nearby")), 422, "invalid-input")
