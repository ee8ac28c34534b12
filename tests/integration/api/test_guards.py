"""The doors of the API: every endpoint is asked by every kind of caller, and a table says who may.

An endpoint that is new fails here until the table names its door; one whose code has another door
than the table fails too. What a caller may see of what is behind an open door (a driver only their
own, an operator no passwords) is asked by the feature's own tests.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import Update, update

from chargehub.access.principal import CSRF_HEADER, SAFE_METHODS, SESSION_COOKIE
from chargehub.access.rules import Role
from chargehub.access.service import IssuedLogin
from chargehub.access.store import login_sessions
from chargehub.api import build_api, create_openapi
from chargehub.drivers.accounts import open_account
from chargehub.drivers.logins import IssuedDriverLogin
from chargehub.drivers.principal import DRIVER_COOKIE
from chargehub.drivers.store import driver_logins, drivers
from chargehub.kit.http import API_PREFIX
from tests.integration.api.conftest import NAMES, PASSWORD, PHONES, RunningApi, problem_of

OPEN = {
    ("POST", "/api/v1/login"),
    ("GET", "/api/v1/openapi.json"),
    ("HEAD", "/api/v1/openapi.json"),
    ("POST", "/api/v1/driver-logins"),
    ("POST", "/api/v1/driver-logins/codes"),
    ("POST", "/api/v1/driver-logins/guests"),
    ("POST", "/api/v1/driver-logins/wechat"),
    ("GET", "/healthz"),
    # What everybody may know who wants to charge; no more often than they need to.
    ("GET", "/api/v1/locations/nearby"),
    ("GET", "/api/v1/locations/{location_id}/guns"),
    ("GET", "/readyz"),
    # Its door is the signature; what has none is 422.
    ("POST", "/api/v1/bay-gateways/{location_id}/events"),
    # The board page's files hold no data; what they show comes from guarded routes.
    ("GET", "/"),
    ("GET", "/console"),
    ("GET", "/console/"),
    ("GET", "/console/{name}"),
}
DRIVER, ACCOUNT_HOLDER = "driver", "account holder"
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
        GET /bays
        GET /bays/{bay_id}
        GET /bays/{bay_id}/commands
        GET /locations/{location_id}/bay-rules
        GET /reservation-rules
        GET /reservation-rules/in-force
        GET /live
        GET /live/snapshot
        GET //metrics
        GET /drivers
        GET /drivers/{driver_id}
        GET /drivers/{driver_id}/plug-and-charge
    """,
    "operator": """
        POST /bays
        PATCH /bays/{bay_id}
        DELETE /bays/{bay_id}
        POST /bays/{bay_id}/raise
        POST /bays/{bay_id}/lower
        GET /locations/{location_id}/reservations
        GET /locations/{location_id}/queue
        POST /locations/{location_id}/queue/{entry_id}/remove
        POST /locations/{location_id}/reservations/{reservation_id}/cancel
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
        POST /drivers/search
        POST /drivers/{driver_id}/reveal
        POST /drivers/{driver_id}/plug-and-charge/{binding_id}/unbind
        PUT /drivers/{driver_id}/id-tokens/{token}
        DELETE /drivers/{driver_id}/id-tokens/{token}
        GET /credential-reviews
        GET /credential-reviews/{credential_id}
        POST /credential-reviews/{credential_id}/image
        POST /credential-reviews/{credential_id}/approve
        POST /credential-reviews/{credential_id}/refuse
        POST /credential-reviews/{credential_id}/revoke
        POST /credential-imports
    """,
    "admin": """
        PUT /locations/{location_id}/bay-rules
        POST /reservation-rules
        DELETE /reservation-rules/{version_id}
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
        GET /drivers/me
        DELETE /drivers/me
        GET /drivers/me/export
        GET /drivers/me/id-tokens
        GET /guns/resolve
        POST /lock-commands
        GET /lock-commands/{lock_command_id}
        GET /charges
        POST /charges
        GET /charges/{charge_id}
        POST /charges/{charge_id}/stop
        GET /charges/{charge_id}/stream
        GET /inbox
        GET /inbox/stream
        POST /inbox/read-all
        POST /inbox/{message_id}/read
    """,
    # A driver who is known: no guest.
    ACCOUNT_HOLDER: """
        PATCH /drivers/me
        PUT /drivers/me/phone
        GET /vehicles
        POST /vehicles
        GET /vehicles/{vehicle_id}
        PATCH /vehicles/{vehicle_id}
        DELETE /vehicles/{vehicle_id}
        GET /vehicles/{vehicle_id}/plug-and-charge
        POST /vehicles/{vehicle_id}/plug-and-charge
        DELETE /vehicles/{vehicle_id}/plug-and-charge
        POST /reservations
        GET /reservations
        GET /reservations/{reservation_id}
        POST /reservations/{reservation_id}/cancel
        POST /reservations/{reservation_id}/extend
        POST /queue
        GET /queue
        DELETE /queue
        POST /queue/skip
        POST /credentials
        GET /credentials
        GET /credentials/{credential_id}
        POST /credentials/{credential_id}/withdraw
        PUT /credentials/{credential_id}/image
    """,
}
# What the live board's own tests start, and those of the inbox.
NOT_TRIED_ALLOWED = {"/api/v1/live", "/api/v1/live/snapshot", "/api/v1/inbox/stream"}
# They end the login that asks, so there each caller comes with one of its own.
ENDS_THE_LOGIN = {
    "/api/v1/logout",
    "/api/v1/driver-logins",
    "/api/v1/driver-logins/current",
    "/api/v1/drivers/me",
}
DUMMIES = {
    "bay_id": "999999",
    "lock_command_id": "00000000-0000-4000-8000-000000000000",
    "application_id": "00000000-0000-4000-8000-000000000000",
    "template_id": "999999",
    "driver_id": "00000000-0000-4000-8000-000000000000",
    "vehicle_id": "00000000-0000-4000-8000-000000000000",
    "binding_id": "00000000-0000-4000-8000-000000000000",
    "message_id": "999999",
    "credential_id": "00000000-0000-4000-8000-000000000000",
    "login_id": "00000000-0000-4000-8000-000000000000",
    "operator_id": "00000000-0000-4000-8000-000000000000",
    "charge_id": "00000000-0000-4000-8000-000000000000",
    "evse_no": "1",
    "transaction_id": "999999",
    "reservation_id": "999999",
    "version_id": "999999",
    "entry_id": "999999",
}
NO_LOGIN = "401 unauthenticated"
TOO_LITTLE = "403 forbidden"
NO_CSRF = "403 csrf-token-missing"
NO_GUESTS = "403 account-needed"
LET_IN = "let in"
OF_DRIVERS = {"DriverBearer", "DriverCookie"}
SCHEMES: dict[str, set[str]] = {"": set(), DRIVER: OF_DRIVERS, ACCOUNT_HOLDER: OF_DRIVERS}
"""By which logins the document says a door opens; operators' doors open by theirs."""
Operation = tuple[str, str]


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: with what, and what that is worth."""

    client: httpx.AsyncClient
    who: Role | str = ""
    """A role of operators, DRIVER for a guest, ACCOUNT_HOLDER; empty: the login is none."""
    csrf: bool = True
    """False: a browser that another site made ask."""

    def answer_at(self, method: str, door: str) -> str:
        """Say what they have to hear at the door of an operation."""
        if not self.who or (door in {DRIVER, ACCOUNT_HOLDER}) != (not isinstance(self.who, Role)):
            return NO_LOGIN
        if not self.csrf and method not in SAFE_METHODS:
            return NO_CSRF
        if isinstance(self.who, Role):
            return LET_IN if self.who.includes(Role(door)) else TOO_LITTLE
        return LET_IN if door in {DRIVER, self.who} else NO_GUESTS


def doors() -> dict[Operation, str]:
    return {
        (method, path[1:] if path.startswith("//") else API_PREFIX + path): door
        for door, lines in LEAST_ROLE.items()
        for method, path in (line.split() for line in lines.split("\n") if line.strip())
    }


def operations(app: FastAPI) -> Iterator[Operation]:
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or ()):
            yield method, str(context.path)


ALL = sorted(operations(build_api({}, 1)))
CLOSED = [item for item in ALL if item not in OPEN]


@pytest_asyncio.fixture(scope="module")
async def callers(api: RunningApi) -> AsyncIterator[dict[str, Caller]]:
    async with all_callers(api) as made:
        yield made


@asynccontextmanager
async def all_callers(api: RunningApi) -> AsyncIterator[dict[str, Caller]]:
    """Make one of each kind, with logins of their own."""
    made = {
        "nobody": Caller(api.new_client()),
        "a stranger with a token": Caller(api.new_client("wrong")),
    }
    for role in Role:
        issued = await operator_login(api, role)
        made[role.value] = Caller(api.new_client(issued.token), role)
    made |= await ended_operators(api)
    made |= browsers(api, "an admin", SESSION_COOKIE, [await operator_login(api) for _ in "123"])
    for who in (DRIVER, ACCOUNT_HOLDER):
        device = await driver_login(api, is_guest=who == DRIVER)
        made[who] = Caller(api.new_client(device.token), who)
    made |= await ended_drivers(api)
    made |= browsers(api, "a driver", DRIVER_COOKIE, [await driver_login(api) for _ in "123"])
    try:
        yield made
    finally:
        for caller in made.values():
            await caller.client.aclose()


async def operator_login(api: RunningApi, role: Role = Role.ADMIN) -> IssuedLogin:
    """Make an operator and log them in."""
    login = f"{role.value}-{next(NAMES)}"
    await api.access.add_operator(login=login, role=role, password=PASSWORD, actor="test")
    return await api.access.log_in(login, PASSWORD, address="test")


async def ended_operators(api: RunningApi) -> dict[str, Caller]:
    made = {}
    for name, over in ended_logins(api).items():
        issued = await operator_login(api)
        mine = login_sessions.c.token_hash == issued.principal.token_hash
        await change(api, update(login_sessions).where(mine).values(over))
        made[f"an admin's login that is {name}"] = Caller(api.new_client(issued.token))
    issued = await operator_login(api)
    await api.access.change_operator(issued.principal.operator_id, actor="test", disabled=True)
    made["an admin who is disabled"] = Caller(api.new_client(issued.token))
    return made


async def driver_login(api: RunningApi, *, is_guest: bool = False) -> IssuedDriverLogin:
    """Open an account and log it in."""
    async with api.database.write() as connection:
        driver_id = await open_account(
            connection,
            api.clock.now(),
            api.seal,
            phone=None if is_guest else f"+86138{next(PHONES):08d}",
            guest_until=api.clock.now() + timedelta(days=1) if is_guest else None,
        )
        assert driver_id is not None
        return await api.driver_logins.issue(connection, driver_id, "test")


async def ended_drivers(api: RunningApi) -> dict[str, Caller]:
    made = {}
    for name, over in ended_logins(api).items():
        issued = await driver_login(api)
        mine = driver_logins.c.id == issued.principal.login_id
        await change(api, update(driver_logins).where(mine).values(over))
        made[f"a driver's login that is {name}"] = Caller(api.new_client(issued.token))
    issued = await driver_login(api, is_guest=True)
    mine = drivers.c.id == issued.principal.driver_id
    await change(api, update(drivers).where(mine).values(closed_at=api.clock.now()))
    made["a driver whose account is closed"] = Caller(api.new_client(issued.token))
    return made


def ended_logins(api: RunningApi) -> dict[str, dict[str, datetime]]:
    """Tell how a login may have ended, and what its row then says."""
    return {
        "expired": {"expires_at": api.wall() - timedelta(seconds=1)},
        "revoked": {"revoked_at": api.wall()},
    }


async def change(api: RunningApi, statement: Update) -> None:
    async with api.database.write() as connection:
        assert (await connection.execute(statement)).rowcount == 1


def browsers(
    api: RunningApi, name: str, cookie: str, logins: Sequence[IssuedLogin | IssuedDriverLogin]
) -> dict[str, Caller]:
    """Make the ways in which a cookie comes: from our page, and from another site."""
    page, without, with_another = logins
    who: Role | str = Role.ADMIN if cookie == SESSION_COOKIE else ACCOUNT_HOLDER
    made = {}
    for what, login, token in (
        ("page", page, page.csrf_token),
        ("cookie without its CSRF token", without, None),
        ("cookie with another login's CSRF token", with_another, page.csrf_token),
    ):
        client = api.new_client()
        client.cookies.set(cookie, login.token)
        if token is not None:
            client.headers[CSRF_HEADER] = token
        made[f"{name}'s {what}"] = Caller(client, who, csrf=login is page)
    return made


def test_the_table_names_every_route_and_no_other() -> None:
    assert set(ALL) - OPEN == set(doors())


def test_the_document_tells_the_doors() -> None:
    """Whoever reads openapi.json knows with what login to come."""
    for path, methods in create_openapi()["paths"].items():
        for method, operation in methods.items():
            schemes = {name for item in operation.get("security", ()) for name in item}
            door = doors().get((method.upper(), path), "")
            assert schemes == SCHEMES.get(door, {"Bearer", "Cookie"}), f"{method} {path}"


def url_of(api: RunningApi, path: str) -> str:
    return api.url + re.sub(r"\{(\w+)\}", lambda match: DUMMIES.get(match[1], "nothing-here"), path)


async def heard(client: httpx.AsyncClient, method: str, url: str) -> str:
    """Ask without a body and say how the door answered."""
    async with client.stream(method, url) as response:
        status = response.status_code
        if status in {401, 403}:
            await response.aread()
            code = response.json()["code"]
            problem_of(response, status, code)
            return f"{status} {code}"
    # Whatever it says of a request that lacks everything, but no fault of the server.
    return LET_IN if status in {200, 204, 404, 415, 422} else f"unexpected {status}"


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_door(api: RunningApi, callers: dict[str, Caller], method: str, path: str) -> None:
    if path not in ENDS_THE_LOGIN:
        await ask_everybody(api, callers, method, path)
        return
    async with all_callers(api) as once:
        await ask_everybody(api, once, method, path)


async def ask_everybody(
    api: RunningApi, callers: dict[str, Caller], method: str, path: str
) -> None:
    door = doors()[method, path]
    expected = {name: caller.answer_at(method, door) for name, caller in callers.items()}
    assert LET_IN in expected.values()
    if path in NOT_TRIED_ALLOWED:
        expected = {name: answer for name, answer in expected.items() if answer != LET_IN}
    url = url_of(api, path)
    answers = {name: await heard(callers[name].client, method, url) for name in expected}
    assert answers == expected


@pytest.mark.parametrize(("method", "path"), sorted(OPEN))
async def test_open_route_needs_no_login(api: RunningApi, method: str, path: str) -> None:
    response = await api.anonymous.request(method, url_of(api, path))
    assert response.status_code in {200, 307, 404, 405, 422}
