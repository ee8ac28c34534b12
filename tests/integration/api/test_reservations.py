"""Reservations over REST: what a driver books and sees, what staff may, what rules are in force."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import insert, update

from chargehub.reservations.store import reservations
from chargehub.stations.store import connectors, station_connections
from tests.integration.api.conftest import (
    NAMES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)


@pytest_asyncio.fixture
async def place(api: RunningApi) -> str:
    """A Location of its own with a station that is here and two free guns, all reservable."""
    number = next(NAMES)
    location = f"R{number}"
    await make_location(api, location)
    await make_station(api, f"RS-{number}", location)
    station_id = await api.station_id(f"RS-{number}")
    async with api.database.write() as connection:
        await connection.execute(
            insert(station_connections).values(
                station_id=station_id,
                epoch=1,
                protocol="ocpp1.6",
                remote="here",
                connected_at=api.clock.now(),
            )
        )
        here = connectors.c.station_id == station_id
        await connection.execute(update(connectors).where(here).values(status="Available"))
    await set_rules(api, location, held_share_percent=100)
    return location


async def set_rules(api: RunningApi, location: str | None, **terms: Any) -> dict[str, Any]:
    body = {"location_id": location, "terms": terms}
    answer = await api.admin.post("/reservation-rules", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def new_driver(api: RunningApi) -> httpx.AsyncClient:
    return (await api.new_driver())[1]


async def book(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/reservations", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def in_hours(api: RunningApi, hours: float) -> str:
    return (api.clock.now() + timedelta(hours=hours)).isoformat()


async def test_a_driver_books_sees_and_cancels(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    made = await book(client, location_id=place, power_w=100_000)
    assert made["status"] == "requested"
    assert made["any_gun"]
    assert made["provisional"]
    assert made["location_id"] == place
    assert made["power_w"] == 120_000
    held = datetime.fromisoformat(made["hold_until"]) - datetime.fromisoformat(made["starts_at"])
    assert held == timedelta(minutes=15)
    assert (await client.get(f"/reservations/{made['id']}")).json() == made
    listed = (await client.get("/reservations", params={"only_open": True})).json()
    assert listed == {"items": [made], "next_cursor": None}
    ended = (await client.post(f"/reservations/{made['id']}/cancel")).json()
    assert (ended["status"], ended["end_reason"]) == ("cancelled", "cancelled")
    again = await client.post(f"/reservations/{made['id']}/cancel")
    assert again.json() == ended
    assert (await client.get("/reservations", params={"only_open": True})).json()["items"] == []
    await book(client, location_id=place)


async def test_a_late_cancellation_is_recorded_as_late(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    made = await book(client, location_id=place)
    async with api.database.write() as connection:
        before = api.clock.now() - timedelta(minutes=4)
        mine = reservations.c.id == made["id"]
        await connection.execute(update(reservations).where(mine).values(created_at=before))
    ended = (await client.post(f"/reservations/{made['id']}/cancel")).json()
    assert (ended["status"], ended["end_reason"]) == ("cancelled", "cancelled_late")


async def test_a_given_gun_in_any_case_and_later(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    evse = (await api.viewer.get(f"/locations/{place}/evses")).json()["items"][0]
    made = await book(client, gun_code=evse["gun_code"].lower(), starts_at=in_hours(api, 2))
    assert made["gun_code"] == evse["gun_code"]
    assert not made["provisional"]
    starts = datetime.fromisoformat(made["starts_at"])
    assert starts - datetime.fromisoformat(made["held_from"]) == timedelta(minutes=20)
    other = await new_driver(api)
    body = {"gun_code": evse["gun_code"], "starts_at": in_hours(api, 2.1)}
    problem = problem_of(await other.post("/reservations", json=body), 409, "reservation-refused")
    assert problem["rule"] == "gun_free"
    assert problem["passes_at"] is None
    after = datetime.fromisoformat(made["hold_until"]) + timedelta(minutes=20)
    assert datetime.fromisoformat(problem["next_window"]) == after


async def test_it_is_extended_once(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    made = await book(client, location_id=place)
    longer = (await client.post(f"/reservations/{made['id']}/extend")).json()
    more = datetime.fromisoformat(longer["hold_until"]) - datetime.fromisoformat(made["hold_until"])
    assert (more, longer["extended"]) == (timedelta(minutes=15), True)
    again = await client.post(f"/reservations/{made['id']}/extend")
    assert problem_of(again, 409, "reservation-refused")["rule"] == "extensions"


async def test_the_same_key_books_once(api: RunningApi, place: str) -> None:
    client, headers = await new_driver(api), {"Idempotency-Key": "one-booking"}
    body = {"location_id": place}
    first = await client.post("/reservations", json=body, headers=headers)
    again = await client.post("/reservations", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    other = {"location_id": place, "power_w": 1_000}
    reused = await client.post("/reservations", json=other, headers=headers)
    problem_of(reused, 422, "idempotency-key-reused")


@pytest.mark.parametrize("action", ["", "/cancel", "/extend"])
async def test_another_drivers_reservation_is_none(
    api: RunningApi, place: str, action: str
) -> None:
    made = await book(await new_driver(api), location_id=place)
    other = await new_driver(api)
    path = f"/reservations/{made['id']}{action}"
    answer = await (other.post(path) if action else other.get(path))
    problem_of(answer, 404, "not-found")
    assert (await other.get("/reservations")).json()["items"] == []


@pytest.mark.parametrize(
    ("terms", "hours", "rule", "passes"),
    [
        ({"max_active": 0}, 0, "max_active", False),
        ({"longest_lead_min": 60}, 3, "longest_lead", True),
        ({"verified_head_start_min": 1380}, 3, "verified_first", True),
        ({"held_share_percent": 0}, 0, "held_share", False),
    ],
)
async def test_a_refusal_names_its_rule_and_when_it_passes(
    api: RunningApi, place: str, terms: dict[str, int], hours: int, rule: str, *, passes: bool
) -> None:
    await set_rules(api, place, **terms)
    client = await new_driver(api)
    body: dict[str, Any] = {"location_id": place}
    if hours:
        body["starts_at"] = in_hours(api, hours)
    answer = await client.post("/reservations", json=body)
    problem = problem_of(answer, 409, "reservation-refused")
    assert problem["rule"] == rule
    assert (problem["passes_at"] is not None) == passes
    if passes:
        assert datetime.fromisoformat(problem["passes_at"]) > api.clock.now()


async def test_a_location_that_is_closed_takes_no_reservation(api: RunningApi, place: str) -> None:
    begin, end = api.clock.now() - timedelta(hours=1), api.clock.now() + timedelta(hours=2)
    holiday = {"period_begin": begin.isoformat(), "period_end": end.isoformat()}
    hours = {"twenty_four_seven": True, "exceptional_closings": [holiday]}
    closed = await api.admin.patch(f"/locations/{place}", json={"opening_times": hours})
    assert closed.status_code == 200, closed.text
    client = await new_driver(api)
    refused = await client.post("/reservations", json={"location_id": place})
    problem = problem_of(refused, 409, "reservation-refused")
    assert problem["rule"] == "opening_times"
    assert datetime.fromisoformat(problem["passes_at"]) == end
    await book(client, location_id=place, starts_at=problem["passes_at"])


async def test_what_is_over_is_neither_cancelled_nor_extended(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    made = await book(client, location_id=place)
    async with api.database.write() as connection:
        mine = reservations.c.id == made["id"]
        over = {"status": "used", "ended_at": api.clock.now()}
        await connection.execute(update(reservations).where(mine).values(over))
    for action in ("cancel", "extend"):
        answer = await client.post(f"/reservations/{made['id']}/{action}")
        assert problem_of(answer, 409, "reservation-refused")["rule"] == "open"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"location_id": "north", "power": 1},
        {"gun_code": "G1", "power_w": 5_000},
        {"location_id": "north", "power_w": -1},
        {"location_id": "north", "power_w": "120000"},
        {"location_id": "north", "power_w": 120},
        {"location_id": "north", "starts_at": "2026-11-23T18:00:00"},
        {"location_id": "n\x00rth"},
        {"gun_code": ""},
    ],
)
async def test_bad_bookings_are_told_what_is_wrong(api: RunningApi, body: dict[str, Any]) -> None:
    problem_of(await api.driver.post("/reservations", json=body), 422, "invalid-input")


async def test_unknown_places_and_past_windows(api: RunningApi, place: str) -> None:
    client = await new_driver(api)
    for body in ({"location_id": "nowhere"}, {"gun_code": "nowhere"}):
        problem_of(await client.post("/reservations", json=body), 404, "not-found")
    past = {"location_id": place, "starts_at": in_hours(api, -1)}
    problem_of(await client.post("/reservations", json=past), 422, "window-past")
    problem_of(await client.get("/reservations/2147483648"), 422, "invalid-input")


async def test_pages_of_own_and_of_a_location(api: RunningApi, place: str) -> None:
    await set_rules(api, place, held_share_percent=100, max_active=3)
    client = await new_driver(api)
    made = [await book(client, location_id=place, starts_at=in_hours(api, h)) for h in (1, 3, 5)]
    for who, path in (
        (client, "/reservations"),
        (api.operator, f"/locations/{place}/reservations"),
    ):
        first = (await who.get(path, params={"limit": 2})).json()
        rest = (await who.get(path, params={"cursor": first["next_cursor"]})).json()
        numbers = [item["id"] for item in first["items"] + rest["items"]]
        assert numbers == [item["id"] for item in reversed(made)]
        assert rest["next_cursor"] is None
        problem_of(await who.get(path, params={"cursor": "x"}), 422, "invalid-cursor")


async def test_staff_sees_a_locations_and_ends_one_with_a_reason(
    api: RunningApi, place: str
) -> None:
    client = await new_driver(api)
    made = await book(client, location_id=place)
    path = f"/locations/{place}/reservations"
    (item,) = (await api.operator.get(path)).json()["items"]
    assert item["id"] == made["id"]
    assert set(item) - set(made) == {"driver_id"}
    problem_of(await api.operator.get("/locations/nowhere/reservations"), 404, "not-found")
    url = f"{path}/{made['id']}/cancel"
    problem_of(await api.operator.post(url, json={"reason": ""}), 422, "invalid-input")
    elsewhere = f"/locations/elsewhere/reservations/{made['id']}/cancel"
    reason = {"reason": "The cable is broken"}
    problem_of(await api.operator.post(elsewhere, json=reason), 404, "not-found")
    ended = (await api.operator.post(url, json=reason)).json()
    assert (ended["status"], ended["end_reason"]) == ("cancelled", "cancelled_by_staff")
    entries = (await api.admin.get("/audit", params={"action": "reservation.cancelled"})).json()
    entry = entries["items"][0]
    assert (entry["subject"], entry["actor"]) == (str(made["id"]), "operator")
    assert entry["facts"] == reason
    again = await api.operator.post(url, json={"reason": "Once more"})
    assert again.json() == ended
    own = await book(client, location_id=place)
    assert (await client.post(f"/reservations/{own['id']}/cancel")).status_code == 200
    late = await api.operator.post(f"{path}/{own['id']}/cancel", json=reason)
    assert problem_of(late, 409, "reservation-refused")["rule"] == "open"
    after = (await api.admin.get("/audit", params={"action": "reservation.cancelled"})).json()
    assert after == entries


async def test_rules_are_versions_that_hold_from_their_time_on(api: RunningApi, place: str) -> None:
    usual = {"location_id": place}
    now = (await api.viewer.get("/reservation-rules/in-force", params=usual)).json()
    assert (now["held_share_percent"], now["hold_min"], now["no_show_limit"]) == (100, 15, 3)
    starts = in_hours(api, 24)
    body = {"location_id": place, "valid_from": starts, "terms": {"hold_min": 10}}
    coming = (await api.admin.post("/reservation-rules", json=body)).json()
    again = await api.admin.post("/reservation-rules", json=body)
    problem_of(again, 409, "version-taken")
    now = (await api.viewer.get("/reservation-rules/in-force", params=usual)).json()
    assert now["hold_min"] == 15
    then = {"location_id": place, "at": starts}
    later = (await api.viewer.get("/reservation-rules/in-force", params=then)).json()
    assert (later["hold_min"], later["held_share_percent"]) == (10, 30)
    listed = (await api.viewer.get("/reservation-rules", params=usual)).json()["items"]
    assert [item["id"] for item in listed][-1] == coming["id"]
    taken_back = await api.admin.delete(f"/reservation-rules/{coming['id']}")
    assert taken_back.status_code == 204
    problem_of(await api.admin.delete(f"/reservation-rules/{coming['id']}"), 404, "not-found")
    in_force = await api.admin.delete(f"/reservation-rules/{listed[0]['id']}")
    problem_of(in_force, 409, "version-in-force")
    entries = (await api.admin.get("/audit", params={"subject": place})).json()["items"]
    assert [item["action"] for item in entries[:3]] == [
        "reservation_rules.removed",
        "reservation_rules.added",
        "reservation_rules.added",
    ]


async def test_bad_rules_are_refused(api: RunningApi, place: str) -> None:
    for code, body in (
        ("rules-past", {"valid_from": in_hours(api, -1), "terms": {}}),
        ("unknown-location", {"location_id": "nowhere", "terms": {}}),
        ("invalid-input", {"terms": {"held_share_percent": 101}}),
        ("invalid-input", {"terms": {"hold": 10}}),
        ("invalid-input", {"location_id": place}),
    ):
        problem_of(await api.admin.post("/reservation-rules", json=body), 422, code)
