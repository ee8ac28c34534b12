"""Drivers as staff see them: masked, in full with a reason and an audit entry; cards."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from tests.integration.api.conftest import RunningApi, problem_of

NUMBERS = itertools.count(1)


async def known_driver(api: RunningApi) -> tuple[UUID, str]:
    """Make a driver with a name, a plate and a VIN; return also the phone."""
    number = next(NUMBERS)
    phone = f"+86158{number:08d}"
    driver_id, client = await api.new_driver(phone)
    await client.patch("/drivers/me", json={"name": "欧阳小明", "kinds": ["taxi"]})
    body = {"plate": f"浙HD{number:05d}", "vin": f"LSVAA4187C4{number:06d}"}
    assert (await client.post("/vehicles", json=body)).status_code == 201
    return driver_id, phone


async def reveal(api: RunningApi, driver_id: UUID, **body: Any) -> Any:
    return await api.operator.post(f"/drivers/{driver_id}/reveal", json=body)


async def test_lists_are_masked(api: RunningApi) -> None:
    driver_id, phone = await known_driver(api)
    answers = [
        await api.viewer.get(f"/drivers/{driver_id}"),
        await api.viewer.get("/drivers"),
        await api.operator.post("/drivers/search", json={"phone": phone[3:]}),
    ]
    view = answers[0].json()
    assert view["phone"] == f"158****{phone[-4:]}"
    assert view["name"] == "欧**"
    assert view["plates"] == [f"浙H·D{'*' * 3}{phone[-2:]}"]
    assert view["kinds"] == ["taxi"]
    assert answers[1].json()["items"][0] == view
    assert answers[2].json()["items"] == [view]
    for answer in answers:
        assert phone.removeprefix("+86") not in answer.text
        assert "小明" not in answer.text
        assert f"D{phone[-5:]}" not in answer.text


async def test_drivers_are_paged_and_chosen_by_state(api: RunningApi) -> None:
    made = [(await known_driver(api))[0] for _ in range(3)]
    _, leaving = await api.new_driver()
    await leaving.delete("/drivers/me")
    await api.anonymous.post("/driver-logins/guests", json={})
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2", "state": "open"} | ({"cursor": cursor} if cursor else {})
        page = (await api.viewer.get("/drivers", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        assert all(not item["is_guest"] and not item["closed_at"] for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert [str(item) for item in reversed(made)] == [
        item for item in seen if item in {str(one) for one in made}
    ]
    guests = (await api.viewer.get("/drivers", params={"state": "guest"})).json()["items"]
    assert guests
    assert all(item["is_guest"] for item in guests)
    closed = (await api.viewer.get("/drivers", params={"state": "closed"})).json()["items"]
    assert all(item["closed_at"] and item["phone"] is None for item in closed)
    problem_of(await api.viewer.get("/drivers?cursor=x"), 422, "invalid-cursor")


async def test_found_by_plate_however_it_is_written(api: RunningApi) -> None:
    driver_id, phone = await known_driver(api)
    plate = f"浙h·d{phone[-5:]}"
    found = await api.operator.post("/drivers/search", json={"plate": plate})
    assert [item["id"] for item in found.json()["items"]] == [str(driver_id)]
    nobody = await api.operator.post("/drivers/search", json={"plate": "浙HD99999"})
    assert nobody.json() == {"items": []}


@pytest.mark.parametrize(
    "body", [{}, {"phone": "13900001234", "plate": "浙HD1288"}, {"phone": "1"}]
)
async def test_a_search_needs_one_thing(api: RunningApi, body: dict[str, str]) -> None:
    problem_of(await api.operator.post("/drivers/search", json=body), 422, "invalid-input")


async def test_full_values_need_a_role_a_reason_and_leave_an_audit_entry(api: RunningApi) -> None:
    driver_id, phone = await known_driver(api)
    reason = f"工单 8 回访 {phone} 或 158 0000 0001"
    with capture_logs() as lines:
        response = await reveal(api, driver_id, fields=["phone", "plates"], reason=reason)
    assert response.json() == {
        "phone": phone,
        "name": None,
        "plates": [f"浙HD{phone[-5:]}"],
        "vins": None,
    }
    entries = await api.admin.get("/audit", params={"subject": str(driver_id)})
    [entry] = entries.json()["items"]
    assert (entry["actor"], entry["action"]) == ("operator", "driver.revealed")
    assert entry["facts"]["fields"] == ["phone", "plates"]
    assert entry["facts"]["reason"] == f"工单 8 回访 158****{phone[-4:]} 或 158****0001"
    assert phone.removeprefix("+86") not in f"{entries.text} {lines}"
    everything = await reveal(
        api, driver_id, fields=["name", "vins", "phone", "plates"], reason="test"
    )
    assert everything.json()["name"] == "欧阳小明"
    assert everything.json()["vins"] == [f"LSVAA4187C4{phone[-6:]}"]
    refused = await api.viewer.post(
        f"/drivers/{driver_id}/reveal", json={"fields": ["phone"], "reason": "because"}
    )
    problem_of(refused, 403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"fields": ["phone"]},
        {"fields": ["phone"], "reason": "   x  "},
        {"fields": [], "reason": "because"},
        {"fields": ["phone_sealed"], "reason": "because"},
        {"fields": ["phone"], "reason": "x" * 201},
    ],
)
async def test_no_reveal_without_a_reason_and_a_field(
    api: RunningApi, body: dict[str, Any]
) -> None:
    driver_id, _ = await known_driver(api)
    problem_of(await reveal(api, driver_id, **body), 422, "invalid-input")
    entries = await api.admin.get("/audit", params={"subject": str(driver_id)})
    assert entries.json()["items"] == []


async def test_a_driver_who_is_not_there(api: RunningApi) -> None:
    path = f"/drivers/{uuid4()}"
    problem_of(await api.operator.get(path), 404, "not-found")
    body = {"fields": ["phone"], "reason": "because"}
    problem_of(await api.operator.post(f"{path}/reveal", json=body), 404, "not-found")
    problem_of(await api.operator.put(f"{path}/id-tokens/CARD", json={}), 404, "not-found")
    problem_of(await api.operator.delete(f"{path}/id-tokens/CARD"), 404, "not-found")


async def test_a_card_joins_the_drivers_group_and_stays_there(api: RunningApi) -> None:
    (driver_id, _), (other_id, _) = await known_driver(api), await known_driver(api)
    await api.operator.put("/id-tokens/Given-1", json={"max_power_w": 60_000, "holder": "x"})
    given = await api.operator.put(f"/drivers/{driver_id}/id-tokens/given-1", json={})
    assert given.status_code == 200
    card = given.json()
    assert (card["driver_id"], card["max_power_w"]) == (str(driver_id), 60_000)
    assert card["group"].startswith("DRV-")
    taken = await api.operator.put(f"/drivers/{other_id}/id-tokens/GIVEN-1", json={})
    problem_of(taken, 409, "id-token-taken")
    # What staff know of it may change, not whose it is.
    moved = await api.operator.put("/id-tokens/given-1", json={"group": "FLEET"})
    problem_of(moved, 409, "token-of-driver")
    kept = (await api.operator.put("/id-tokens/given-1", json={"holder": "y"})).json()
    assert (kept["group"], kept["driver_id"]) == (card["group"], str(driver_id))
    problem_of(await api.operator.delete("/id-tokens/given-1"), 409, "token-of-driver")
    wrong = await api.operator.delete(f"/drivers/{other_id}/id-tokens/given-1")
    problem_of(wrong, 404, "not-found")
    back = await api.operator.delete(f"/drivers/{driver_id}/id-tokens/given-1")
    assert back.status_code == 204
    free = (await api.operator.get("/id-tokens/given-1")).json()
    assert (free["driver_id"], free["group"], free["status"]) == (None, None, "Blocked")


async def give(api: RunningApi, token: str, driver_id: UUID) -> tuple[str, bool]:
    """Give a card to a driver; return its status, and whether that is as nobody's."""
    answer = await api.operator.put(f"/drivers/{driver_id}/id-tokens/{token}", json={})
    assert answer.is_success, answer.text
    card = answer.json()
    return card["status"], card["blocked_as_nobodys"]


async def comes_back(api: RunningApi, token: str, how: str, *, blocked_first: bool) -> None:
    """Let a card that a driver had, which staff may have blocked, be nobody's."""
    driver_id, client = await api.new_driver()
    await give(api, token, driver_id)
    if blocked_first:
        assert (await api.operator.post(f"/id-tokens/{token}/block")).status_code == 200
    path = f"/drivers/{driver_id}/id-tokens/{token}"
    ways = {"closed": (client, "/drivers/me"), "taken": (api.operator, path)}
    for way in how.split(" and "):
        asked, address = ways[way]
        assert (await asked.delete(address)).status_code == 204
    card = (await api.operator.get(f"/id-tokens/{token}")).json()
    assert (card["status"], card["blocked_as_nobodys"]) == ("Blocked", not blocked_first)


COMES_BACK = pytest.mark.parametrize("how", ["taken", "closed", "closed and taken"])


@COMES_BACK
async def test_a_card_that_came_back_is_good_for_whom_it_is_given_next(
    api: RunningApi, how: str
) -> None:
    token = f"BACK-{next(NUMBERS)}"
    await comes_back(api, token, how, blocked_first=False)
    next_id, _ = await known_driver(api)
    assert await give(api, token, next_id) == ("Accepted", False)


@COMES_BACK
async def test_a_card_that_staff_blocked_stays_blocked_whoever_is_given_it(
    api: RunningApi, how: str
) -> None:
    token = f"STOLEN-{next(NUMBERS)}"
    await comes_back(api, token, how, blocked_first=True)
    next_id, _ = await known_driver(api)
    assert await give(api, token, next_id) == ("Blocked", False)
    assert (await api.operator.post(f"/id-tokens/{token}/unblock")).json()["status"] == "Accepted"


@COMES_BACK
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/block", None, "Blocked"),
        ("PUT", "", {"status": "Blocked"}, "Blocked"),
        ("POST", "/unblock", None, "Accepted"),
        ("PUT", "", {}, "Accepted"),
    ],
)
async def test_what_staff_say_of_a_card_that_came_back_stands(
    api: RunningApi, how: str, method: str, path: str, body: dict[str, str] | None, expected: str
) -> None:
    token = f"SAID-{next(NUMBERS)}"
    await comes_back(api, token, how, blocked_first=False)
    said = await api.operator.request(method, f"/id-tokens/{token}{path}", json=body)
    assert (said.json()["status"], said.json()["blocked_as_nobodys"]) == (expected, False)
    next_id, _ = await known_driver(api)
    assert await give(api, token, next_id) == (expected, False)


async def test_the_app_token_stays_the_drivers(api: RunningApi) -> None:
    driver_id, client = await api.new_driver()
    [token] = (await client.get("/drivers/me/id-tokens")).json()["items"]
    answer = await api.operator.delete(f"/drivers/{driver_id}/id-tokens/{token['token']}")
    problem_of(answer, 409, "token-of-driver")
