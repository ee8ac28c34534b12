"""Logging in and out, roles, lock-out, operators, the audit trail."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from chargehub.access.store import login_sessions, operators
from tests.integration.api.conftest import PASSWORD, RunningApi, problem_of


async def log_in(
    api: RunningApi, login: str, password: str = PASSWORD
) -> tuple[httpx.AsyncClient, httpx.Response]:
    """Log in from a browser of its own: the client has the cookies the answer set."""
    async with api.new_client() as once:
        response = await once.post("/login", json={"login": login, "password": password})
    browser = api.new_client()
    browser.cookies = httpx.Cookies(response.cookies)
    return browser, response


async def make_operator(api: RunningApi, login: str, role: str = "operator") -> str:
    response = await api.admin.post(
        "/operators", json={"login": login, "role": role, "password": PASSWORD}
    )
    assert response.status_code == 201, response.text
    operator_id: str = response.json()["id"]
    return operator_id


async def test_login_gives_a_token_and_two_strict_cookies(api: RunningApi) -> None:
    client, response = await log_in(api, "Viewer")
    async with client:
        assert response.status_code == 200
        body = response.json()
        assert body["login"] == "viewer"
        assert len(body["token"]) >= 43  # 256 bits in base64
        cookies = {line.split("=")[0]: line for line in response.headers.get_list("set-cookie")}
        assert "HttpOnly" in cookies["chargehub_session"]
        assert "HttpOnly" not in cookies["chargehub_csrf"]
        assert all("SameSite=strict" in line for line in cookies.values())
        assert response.headers["cache-control"] == "no-store"
        async with api.new_client(body["token"]) as bearer:
            me = (await bearer.get("/me")).json()
    assert (me["login"], me["role"]) == ("viewer", "viewer")


async def test_neither_token_nor_password_is_stored(api: RunningApi) -> None:
    client, response = await log_in(api, "viewer")
    await client.aclose()
    token = response.json()["token"].encode()
    async with api.database.read() as connection:
        hashes = set(await connection.scalars(select(login_sessions.c.token_hash)))
        stored = set(await connection.scalars(select(operators.c.password_hash)))
    assert token not in hashes
    assert all(len(item) == 32 for item in hashes)
    assert all(item.startswith("$argon2id$") for item in stored)


async def test_cookie_needs_csrf_token_on_unsafe_methods_only(api: RunningApi) -> None:
    client, response = await log_in(api, "viewer")
    async with client:
        assert (await client.get("/me")).status_code == 200
        problem_of(await client.post("/logout"), 403, "csrf-token-missing")
        problem_of(
            await client.post("/logout", headers={"X-CSRF-Token": "another"}),
            403,
            "csrf-token-missing",
        )
        right = {"X-CSRF-Token": response.json()["csrf_token"]}
        session = client.cookies["chargehub_session"]
        assert (await client.post("/logout", headers=right)).status_code == 204
        client.cookies.set("chargehub_session", session)
        problem_of(await client.get("/me"), 401, "unauthenticated")


async def test_wrong_password_and_unknown_login_look_the_same(api: RunningApi) -> None:
    answers = []
    for login in ("viewer", "nobody-at-all"):
        client, response = await log_in(api, login, "not the password")
        await client.aclose()
        document = problem_of(response, 401, "wrong-login")
        answers.append({**document, "request_id": ""})
    assert answers[0] == answers[1]


async def test_failed_logins_lock_out_even_the_right_password(api: RunningApi) -> None:
    await make_operator(api, "locked.out")
    statuses = []
    for _ in range(7):
        client, response = await log_in(api, "locked.out", "not the password")
        await client.aclose()
        statuses.append(response.status_code)
    assert statuses == [401, 401, 401, 401, 401, 429, 429]
    client, response = await log_in(api, "LOCKED.out")
    await client.aclose()
    document = problem_of(response, 429, "too-many-requests")
    assert 0 < int(response.headers["retry-after"]) == document["retry_after_s"]


async def test_login_expires_on_wall_time(api: RunningApi) -> None:
    client, response = await log_in(api, "viewer")
    async with client:
        assert response.status_code == 200
        api.wall.ahead = timedelta(hours=11, minutes=59)
        try:
            assert (await client.get("/me")).status_code == 200
            api.wall.ahead = timedelta(hours=12, minutes=1)
            problem_of(await client.get("/me"), 401, "unauthenticated")
        finally:
            api.wall.ahead = timedelta(0)


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "viewer"}])
async def test_disabling_or_another_role_ends_logins(
    api: RunningApi, change: dict[str, object]
) -> None:
    login = f"changed-{next(iter(change))}"
    operator_id = await make_operator(api, login)
    client, response = await log_in(api, login)
    async with client:
        assert response.status_code == 200
        changed = await api.admin.patch(f"/operators/{operator_id}", json=change)
        assert changed.status_code == 200
        problem_of(await client.get("/me"), 401, "unauthenticated")
    client, response = await log_in(api, login)
    await client.aclose()
    assert response.status_code == (401 if "disabled" in change else 200)


async def test_password_reset_and_own_change(api: RunningApi) -> None:
    operator_id = await make_operator(api, "forgetful")
    first, response = await log_in(api, "forgetful")
    reset = await api.admin.post(
        f"/operators/{operator_id}/password", json={"password": "another password"}
    )
    assert reset.status_code == 204
    problem_of(await first.get("/me"), 401, "unauthenticated")
    await first.aclose()

    other, _ = await log_in(api, "forgetful", "another password")
    own, response = await log_in(api, "forgetful", "another password")
    csrf = {"X-CSRF-Token": response.json()["csrf_token"]}
    async with own, other:
        body = {"old_password": "wrong", "new_password": "my own password"}
        refused = await own.post("/me/password", json=body, headers=csrf)
        problem_of(refused, 409, "wrong-password")
        body["old_password"] = "another password"
        weak = await own.post("/me/password", json={**body, "new_password": "short"}, headers=csrf)
        problem_of(weak, 422, "weak-password")
        done = await own.post("/me/password", json=body, headers=csrf)
        assert done.status_code == 204
        assert (await own.get("/me")).status_code == 200
        problem_of(await other.get("/me"), 401, "unauthenticated")
    client, response = await log_in(api, "forgetful", "my own password")
    await client.aclose()
    assert response.status_code == 200


async def test_last_admin_stays(api: RunningApi) -> None:
    me = (await api.admin.get("/me")).json()
    for change in ({"disabled": True}, {"role": "operator"}):
        refused = await api.admin.patch(f"/operators/{me['operator_id']}", json=change)
        problem_of(refused, 409, "last-admin")
    assert (await api.admin.get("/me")).status_code == 200


async def test_two_admins_cannot_demote_each_other_at_once(api: RunningApi) -> None:
    second_id = await make_operator(api, "second.admin", "admin")
    second, response = await log_in(api, "second.admin")
    first_id = (await api.admin.get("/me")).json()["operator_id"]
    demotion = {"role": "operator"}
    async with second, api.new_client(response.json()["token"]) as other:
        results = await asyncio.gather(
            api.admin.patch(f"/operators/{second_id}", json=demotion),
            other.patch(f"/operators/{first_id}", json=demotion),
        )
    assert min(item.status_code for item in results) == 200
    assert any(item.status_code in {401, 409} for item in results)
    async with api.database.write() as connection:
        admins = list(
            await connection.scalars(select(operators.c.login).where(operators.c.role == "admin"))
        )
        assert len(admins) == 1
        # Whoever won: the other tests go on with the first admin.
        await connection.execute(
            update(operators).where(operators.c.id == UUID(first_id)).values(role="admin")
        )
    issued = await api.access.log_in("admin", PASSWORD, address="test")
    api.admin.headers["Authorization"] = f"Bearer {issued.token}"
    await api.admin.patch(f"/operators/{second_id}", json=demotion)


async def test_login_names_are_unique_in_any_case(api: RunningApi) -> None:
    await make_operator(api, "Wang.Fang")
    again = await api.admin.post(
        "/operators", json={"login": "wang.fang", "role": "viewer", "password": PASSWORD}
    )
    problem_of(again, 409, "login-taken")


async def test_operators_page_by_cursor(api: RunningApi) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.admin.get("/operators", params=query)).json()
        seen += [item["login"] for item in page["items"]]
        assert all("password" not in key for item in page["items"] for key in item)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), key=str.lower)
    assert {"admin", "operator", "viewer"} <= set(seen)


async def test_audit_names_actor_action_and_subject(api: RunningApi) -> None:
    await make_operator(api, "audited")
    page = (await api.admin.get("/audit", params={"subject": "audited"})).json()
    [entry] = page["items"]
    assert entry["actor"] == "admin"
    assert entry["action"] == "operator.created"
    assert entry["facts"] == {"role": "operator"}
    newest = (await api.admin.get("/audit", params={"limit": 3})).json()
    following = (
        await api.admin.get("/audit", params={"limit": 3, "cursor": newest["next_cursor"]})
    ).json()
    ids = [item["id"] for item in newest["items"] + following["items"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 6
