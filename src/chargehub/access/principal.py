"""The doors of the API: dependencies that yield the Principal or refuse.

A router writes `principal: Viewer`, `Operator` or `Admin` (`Conformance`: the test adapter). A
cookie login must show its CSRF token on unsafe methods; a Bearer token needs none, because no
browser sends it by itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from chargehub.access.cookies import LoginCookies
from chargehub.access.rules import Role
from chargehub.access.service import AccessService, Principal, digest
from chargehub.kit.errors import Forbidden, InvalidInput, Unauthenticated
from chargehub.kit.http import provided

SESSION_COOKIE = "chargehub_session"
CSRF_COOKIE = "chargehub_csrf"
COOKIES = LoginCookies(SESSION_COOKIE, CSRF_COOKIE)
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfTokenMissing(Forbidden):
    """A cookie login must send its CSRF token in X-CSRF-Token."""

    code = "csrf-token-missing"


GUARDS = (Unauthenticated, Forbidden, CsrfTokenMissing, InvalidInput)
"""What every endpoint behind a login can answer: `responses=problems(*GUARDS, ...)`."""

_bearer = HTTPBearer(
    scheme_name="Bearer", auto_error=False, description="The `token` of POST /login."
)
_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="Cookie",
    auto_error=False,
    description=f"Set by POST /login. Unsafe methods also need the header {CSRF_HEADER}.",
)


class _Login(Protocol):
    @property
    def csrf_hash(self) -> bytes: ...


Login = TypeVar("Login", bound=_Login)


async def live_login(
    connection: HTTPConnection,
    bearer: HTTPAuthorizationCredentials | None,
    cookie: str | None,
    authenticate: Callable[[str], Awaitable[Login | None]],
) -> Login:
    """Return the login that a request shows, of operators or of drivers.

    A Bearer token goes before the cookie. Raises Unauthenticated, CsrfTokenMissing.
    """
    token = bearer.credentials if bearer is not None else cookie
    if not token:
        raise Unauthenticated
    login = await authenticate(token)
    if login is None:
        raise Unauthenticated("The login is unknown, expired or revoked.")
    if bearer is None and connection.scope.get("method") not in SAFE_METHODS:
        shown = digest(connection.headers.get(CSRF_HEADER, ""))
        if not hmac.compare_digest(shown, login.csrf_hash):
            raise CsrfTokenMissing
    return login


async def authenticated(
    connection: HTTPConnection,
    service: Annotated[AccessService, Depends(provided(AccessService))],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Principal:
    return await live_login(connection, bearer, cookie, service.authenticate)


def require(role: Role) -> Callable[[Principal], Awaitable[Principal]]:
    """Return the dependency that demands this role or a higher one."""

    async def check(principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
        demand(principal, role)
        return principal

    return check


def demand(principal: Principal, role: Role) -> None:
    if not principal.role.includes(role):
        raise Forbidden(f"This needs the role {role.value}.", needed_role=role.value)


viewer = require(Role.VIEWER)
operator = require(Role.OPERATOR)
admin = require(Role.ADMIN)
conformance = require(Role.CONFORMANCE)

Viewer = Annotated[Principal, Depends(viewer)]
Operator = Annotated[Principal, Depends(operator)]
Admin = Annotated[Principal, Depends(admin)]
Conformance = Annotated[Principal, Depends(conformance)]
