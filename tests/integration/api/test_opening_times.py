"""Opening times of a Location: given, changed, shown, refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import RunningApi, make_station, problem_of

WEEKDAY = {"weekday": 1, "period_begin": "06:00", "period_end": "22:30"}
NO_EXCEPTIONS: dict[str, Any] = {"exceptional_openings": [], "exceptional_closings": []}
ALWAYS = {"twenty_four_seven": True, "regular_hours": [], **NO_EXCEPTIONS}
SPRING = {"period_begin": "2027-02-06T00:00:00+08:00", "period_end": "2027-02-13T00:00:00+08:00"}


def location(location_id: str, **more: Any) -> dict[str, Any]:
    return {"id": location_id, "name": "A place", "latitude": 28.97, "longitude": 118.87, **more}


async def test_opening_times_are_shown_as_given_and_changed(api: RunningApi) -> None:
    made = await api.admin.post("/locations", json=location("always"))
    assert made.json()["opening_times"] == ALWAYS
    hours = {"twenty_four_seven": False, "regular_hours": [WEEKDAY], **NO_EXCEPTIONS}
    made = await api.admin.post("/locations", json=location("shop", opening_times=hours))
    assert made.status_code == 201, made.text
    assert (await api.viewer.get("/locations/shop")).json()["opening_times"] == hours
    renamed = await api.admin.patch("/locations/shop", json={"name": "Shop"})
    assert renamed.json()["opening_times"] == hours
    changed = await api.admin.patch("/locations/shop", json={"opening_times": ALWAYS})
    assert changed.json()["opening_times"] == ALWAYS


async def test_holidays_are_shown_in_utc_changed_and_taken_away(api: RunningApi) -> None:
    evening = {"period_begin": "2027-02-13T18:00:00Z", "period_end": "2027-02-13T22:00:00Z"}
    exceptions = {"exceptional_closings": [SPRING], "exceptional_openings": [evening]}
    hours = {"twenty_four_seven": False, "regular_hours": [WEEKDAY], **exceptions}
    made = await api.admin.post("/locations", json=location("festive", opening_times=hours))
    assert made.status_code == 201, made.text
    spring = {"period_begin": "2027-02-05T16:00:00Z", "period_end": "2027-02-12T16:00:00Z"}
    assert made.json()["opening_times"] == {
        **hours,
        "exceptional_closings": [spring],
        "exceptional_openings": [evening],
    }
    changed = await api.admin.patch("/locations/festive", json={"opening_times": ALWAYS})
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
        {**ALWAYS, "exceptional_closings": [{"period_begin": SPRING["period_begin"]}]},
        {**ALWAYS, "exceptional_closings": [{**SPRING, "period_begin": SPRING["period_end"]}]},
        {**ALWAYS, "exceptional_closings": [{**SPRING, "period_end": "2027-02-13"}]},
        {**ALWAYS, "exceptional_closings": [SPRING], "exceptional_openings": [SPRING]},
        {**ALWAYS, "exceptional_closings": [SPRING] * 101},
    ],
)
async def test_impossible_opening_times_are_refused(api: RunningApi, hours: Any) -> None:
    refused = await api.admin.post("/locations", json=location("refused", opening_times=hours))
    problem_of(refused, 422, "invalid-input")
    problem_of(await api.viewer.get("/locations/refused"), 404, "not-found")


async def test_no_location_takes_the_name_of_a_list(api: RunningApi) -> None:
    problem_of(await api.admin.post("/locations", json=location("nearby")), 422, "invalid-input")


async def test_a_holiday_closes_what_is_near(api: RunningApi) -> None:
    """The filter, whether it is open now, and when that changes."""
    now = api.clock.now()
    day = timedelta(days=1)
    closings = {"holiday": (now - day, now + day), "later": (now + day, now + 2 * day)}
    for number, (name, (begin, end)) in enumerate(closings.items()):
        period = {"period_begin": begin.isoformat(), "period_end": end.isoformat()}
        hours = {"twenty_four_seven": True, "exceptional_closings": [period]}
        body = location(name, opening_times=hours, latitude=-60.0 - number / 1000)
        assert (await api.admin.post("/locations", json=body)).status_code == 201
        await make_station(api, f"S-{name}", name)
    query = {"latitude": -60, "longitude": 118.87, "radius_m": 1_000}

    async def near(**more: Any) -> dict[str, dict[str, Any]]:
        answer = await api.anonymous.get("/locations/nearby", params={**query, **more})
        assert answer.status_code == 200, answer.text
        return {item["id"]: item for item in answer.json()["items"]}

    found = await near()
    assert {name: item["open_now"] for name, item in found.items()} == {
        "holiday": False,
        "later": True,
    }
    assert len(found["later"]["opening_times"]["exceptional_closings"]) == 1
    for name, change in (("holiday", now + day), ("later", now + day)):
        assert datetime.fromisoformat(found[name]["opening_changes_at"]) == change
    assert list(await near(open_now=True)) == ["later"]
