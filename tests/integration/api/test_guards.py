"""Nothing is open by default: every route is walked without login and with too low a role."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from chargehub.access.rules import Role
from chargehub.app import build_api
from chargehub.kit.http import API_PREFIX
from tests.integration.api.conftest import RunningApi, problem_of

OPEN = {
    ("POST", "/api/v1/login"),
    ("GET", "/api/v1/openapi.json"),
    ("HEAD", "/api/v1/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    # The board page's files hold no data; what they show comes from guarded routes.
    ("GET", "/"),
    ("GET", "/console"),
    ("GET", "/console/"),
    ("GET", "/console/{name}"),
}
ROLES = ("viewer", "operator", "admin")
DRIVER = "driver"
# Who may do what, said a second time and independently of the code. A new route must be added.
LEAST_ROLE = {
    "viewer": """
        POST /logout
        GET /me
        POST /me/password
        GET /locations
        GET /locations/{location_id}
        GET /locations/{location_id}/evses
        GET /evses
        GET /charging-stations
        GET /charging-stations/{identity}
        GET /charging-stations/{identity}/commands
        GET /charging-stations/{identity}/queued-commands
        GET /charging-stations/{identity}/variables
        GET /configuration-templates
        GET /configuration-templates/{template_id}
        GET /configuration-templates/{template_id}/drift
        GET /template-applications
        GET /template-applications/{application_id}
        GET /template-applications/{application_id}/stations
        GET /charging-stations/{identity}/evses/{evse_no}/samples
        GET /charging-stations/{identity}/charging-profiles
        GET /charging-stations/{identity}/charging-limits
        GET /charging-stations/{identity}/composite-schedule
        GET /charging-profile-observations
        GET /transactions
        GET /transactions/{transaction_id}
        GET /transactions/{transaction_id}/samples
        GET /transactions/{transaction_id}/events
        GET /live
        GET /live/snapshot
        GET //metrics
    """,
    "operator": """
        GET /charging-stations/{identity}/notices
        GET /charging-stations/{identity}/frames
        GET /frames
        POST /charging-stations/{identity}/commands/{action}
        DELETE /charging-stations/{identity}/queued-commands/{command_id}
        PATCH /charging-stations/{identity}/variables
        POST /charging-stations/{identity}/variables/read
        POST /configuration-templates/{template_id}/applications
        POST /template-applications/{application_id}/cancel
        POST /charging-stations/{identity}/reset
        POST /charging-stations/{identity}/availability
        POST /charging-stations/{identity}/unlock
        POST /charging-stations/{identity}/charging-profiles
        DELETE /charging-stations/{identity}/charging-profiles
        POST /charging-stations/{identity}/charging-profiles/report
        POST /charging-stations/{identity}/start-under-profile
        GET /charging-stations/{identity}/labels.html
        GET /locations/{location_id}/labels.html
        POST /transactions/start
        POST /transactions/{transaction_id}/stop
        POST /transactions/{transaction_id}/close
        GET /id-tokens
        GET /id-tokens/{token}
        PUT /id-tokens/{token}
        DELETE /id-tokens/{token}
        POST /id-tokens/{token}/block
        POST /id-tokens/{token}/unblock
    """,
    "admin": """
        GET /operators
        POST /operators
        PATCH /operators/{operator_id}
        POST /operators/{operator_id}/password
        GET /audit
        POST /locations
        PATCH /locations/{location_id}
        POST /charging-stations
        POST /charging-stations/import
        PATCH /charging-stations/{identity}
        POST /charging-stations/{identity}/credential
        POST /charging-stations/{identity}/credential/change
        POST /charging-stations/{identity}/replace
        POST /configuration-templates
        PUT /configuration-templates/{template_id}
        DELETE /configuration-templates/{template_id}
        POST /charging-stations/{identity}/decommission
    """,
    # No role of operators: neither opens what is the other's.
    DRIVER: """
        GET /driver-logins
        DELETE /driver-logins
        DELETE /driver-logins/current
        DELETE /driver-logins/{login_id}
    """,
}
# No answer to look at: a login that is revoked, and what the live board's own tests start.
NOT_TRIED_ALLOWED = {
    *("/api/v1/logout", "/api/v1/live", "/api/v1/live/snapshot"),
    *("/api/v1/driver-logins", "/api/v1/driver-logins/current"),
}
DUMMIES = {
    "application_id": "00000000-0000-4000-8000-000000000000",
    "template_id": "999999",
    "login_id": "00000000-0000-4000-8000-000000000000",
    "operator_id": "00000000-0000-4000-8000-000000000000",
    "evse_no": "1",
    "transaction_id": "999999",
}
Operation = tuple[str, str]


def least_roles() -> dict[Operation, str]:
    return {
        (method, path[1:] if path.startswith("//") else API_PREFIX + path): role
        for role, lines in LEAST_ROLE.items()
        for method, path in (line.split() for line in lines.split("\n") if line.strip())
    }


def operations(app: FastAPI) -> Iterator[Operation]:
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or ()):
            yield method, str(context.path)


ALL = sorted(operations(build_api({}, 1)))


def test_the_table_names_every_route_and_no_other() -> None:
    assert set(ALL) - OPEN == set(least_roles())


def url_of(api: RunningApi, path: str) -> str:
    return api.url + re.sub(r"\{(\w+)\}", lambda match: DUMMIES.get(match[1], "nothing-here"), path)


@pytest.mark.parametrize(("method", "path"), [item for item in ALL if item not in OPEN])
async def test_route_is_guarded(api: RunningApi, method: str, path: str) -> None:
    url = url_of(api, path)
    problem_of(await api.anonymous.request(method, url), 401, "unauthenticated")
    wrong = await api.anonymous.request(method, url, headers={"Authorization": "Bearer wrong"})
    problem_of(wrong, 401, "unauthenticated")
    least = least_roles()[method, path]
    strangers = (*ROLES, Role.CONFORMANCE.value) if least == DRIVER else (DRIVER,)
    for stranger in strangers:
        client = api.clients[stranger]
        problem_of(await client.request(method, url), 401, "unauthenticated")
    lower = () if least == DRIVER else (*ROLES[: ROLES.index(least)], Role.CONFORMANCE.value)
    for role in lower:
        problem_of(await api.clients[role].request(method, url), 403, "forbidden")
    if path not in NOT_TRIED_ALLOWED:
        allowed = await api.clients[least].request(method, url)
        assert allowed.status_code in {200, 404, 415, 422}, allowed.text


@pytest.mark.parametrize(("method", "path"), sorted(OPEN))
async def test_open_route_needs_no_login(api: RunningApi, method: str, path: str) -> None:
    response = await api.anonymous.request(method, url_of(api, path))
    assert response.status_code in {200, 307, 404, 405, 422}
