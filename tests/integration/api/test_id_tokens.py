"""idTokens through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import RunningApi, make_location, problem_of


async def put(api: RunningApi, token: str, **body: Any) -> tuple[int, dict[str, Any]]:
    response = await api.operator.put(f"/id-tokens/{token}", json=body)
    found: dict[str, Any] = response.json()
    return response.status_code, found


async def test_created_then_replaced_in_any_case(api: RunningApi) -> None:
    expiry = "2027-01-01T00:00:00+08:00"
    status, made = await put(api, "AbC-1", group="Fleet", expires_at=expiry, holder="Fleet car 1")
    assert status == 201
    assert made == {
        "token": "AbC-1",
        "kind": "ISO14443",
        "group": "Fleet",
        "status": "Accepted",
        "blocked_as_nobodys": False,
        "expires_at": "2026-12-31T16:00:00Z",
        "location_ids": None,
        "max_power_w": None,
        "holder": "Fleet car 1",
        "driver_id": None,
    }
    assert (await api.operator.get("/id-tokens/aBc-1")).json() == made
    status, replaced = await put(api, "ABC-1", kind="Central")
    assert status == 200
    assert (replaced["token"], replaced["group"], replaced["holder"]) == ("ABC-1", None, "")


async def test_statement_42_a_group_has_the_one_spelling_that_it_was_entered_in(
    api: RunningApi,
) -> None:
    """A station that compares with case, against 16 CiString, still finds the group."""
    for token, group in (("spelled-1", "Spelled"), ("spelled-2", "SPELLED")):
        _, made = await put(api, token, group=group)
        assert made["group"] == "Spelled"
    await api.operator.delete("/id-tokens/spelled-2")
    _, respelled = await put(api, "spelled-1", group="SPELLED")
    assert respelled["group"] == "SPELLED"


async def test_block_unblock_delete(api: RunningApi) -> None:
    await put(api, "card", group="g")
    blocked = (await api.operator.post("/id-tokens/CARD/block")).json()
    assert (blocked["status"], blocked["group"]) == ("Blocked", "g")
    assert (await api.operator.post("/id-tokens/card/unblock")).json()["status"] == "Accepted"
    assert (await api.operator.delete("/id-tokens/Card")).status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/block"), ("POST", "/unblock")):
        response = await api.operator.request(method, f"/id-tokens/card{path}")
        problem_of(response, 404, "not-found")


async def test_list_by_group_and_status(api: RunningApi) -> None:
    for number in range(5):
        await put(
            api,
            f"list-{number}",
            group="LISTED",
            status="Blocked" if number == 3 else "Accepted",
            holder=f"Driver {number}",
        )

    async def listed(**query: Any) -> list[str]:
        response = await api.operator.get("/id-tokens", params={"group": "listed", **query})
        return [item["token"] for item in response.json()["items"]]

    assert await listed() == [f"list-{number}" for number in range(5)]
    assert await listed(status="Blocked") == ["list-3"]
    first = (await api.operator.get("/id-tokens", params={"group": "LISTED", "limit": 3})).json()
    assert await listed(limit=3, cursor=first["next_cursor"]) == ["list-3", "list-4"]


async def test_key_codes_stay_out_of_the_audit_trail(api: RunningApi) -> None:
    await put(api, "73519", kind="KeyCode")
    await api.operator.delete("/id-tokens/73519")
    trail = await api.admin.get("/audit")
    assert "73519" not in trail.text
    assert "id_token.deleted" in trail.text


async def test_restrictions_are_stored_shown_and_of_known_locations(api: RunningApi) -> None:
    await make_location(api, "south")
    restricted = {"location_ids": ["south"], "max_power_w": 60_000}
    await put(api, "narrow", **restricted)
    shown = (await api.operator.get("/id-tokens/narrow")).json()
    assert {name: shown[name] for name in restricted} == restricted
    await put(api, "narrow")
    shown = (await api.operator.get("/id-tokens/narrow")).json()
    assert (shown["location_ids"], shown["max_power_w"]) == (None, None)
    refused: list[dict[str, Any]] = [
        {"location_ids": ["nowhere"]},
        {"location_ids": []},
        {"max_power_w": 0},
    ]
    for wrong in refused:
        response = await api.operator.put("/id-tokens/narrow", json=wrong)
        assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    "holder", ["浙H·D1234", "浙HD12345", "Li 13800001234", "33080219900307718X", "浙h d12345 car"]
)
async def test_no_holder_says_who_a_person_is(api: RunningApi, holder: str) -> None:
    """Staff see masks, and nobody searches for a part."""
    refused = await api.operator.put("/id-tokens/named", json={"holder": holder})
    problem_of(refused, 422, "invalid-input")
    assert holder not in refused.text
    problem_of(await api.operator.get("/id-tokens/named"), 404, "not-found")
    problem_of(await api.operator.get("/id-tokens", params={"holder": "D1"}), 422, "invalid-input")
