"""The drivers' door: the dependency that yields the DriverPrincipal or refuses.

A router writes `principal: Driver`. An operator's login opens no endpoint of drivers and the other
way round: their tokens stand in tables of their own. A cookie login must show its CSRF token on
unsafe methods. A driver sees only their own: another's id answers 404.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from chargehub.access.cookies import LoginCookies
from chargehub.access.principal import CSRF_HEADER, CsrfTokenMissing, live_login
from chargehub.drivers.logins import DriverLogins, DriverPrincipal
from chargehub.kit.errors import Forbidden, InvalidInput, Unauthenticated
from chargehub.kit.http import provided

__all__ = ["DRIVER_GUARDS", "AccountHolder", "AccountNeeded", "Driver", "DriverPrincipal", "driver"]

DRIVER_COOKIE = "chargehub_driver"
COOKIES = LoginCookies(DRIVER_COOKIE, "chargehub_driver_csrf")


class AccountNeeded(Forbidden):
    """A guest may charge only; log in by phone for this."""

    code = "account-needed"


DRIVER_GUARDS = (Unauthenticated, CsrfTokenMissing, InvalidInput)
"""What every endpoint of drivers can answer: `responses=problems(*DRIVER_GUARDS, ...)`."""

_bearer = HTTPBearer(
    scheme_name="DriverBearer", auto_error=False, description="The `token` of POST /driver-logins."
)
_cookie = APIKeyCookie(
    name=DRIVER_COOKIE,
    scheme_name="DriverCookie",
    auto_error=False,
    description=f"Set by POST /driver-logins. Unsafe methods also need the header {CSRF_HEADER}.",
)


async def driver(
    connection: HTTPConnection,
    logins: Annotated[DriverLogins, Depends(provided(DriverLogins))],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> DriverPrincipal:
    return await live_login(connection, bearer, cookie, logins.authenticate)


async def present_driver(
    connection: HTTPConnection,
    logins: Annotated[DriverLogins, Depends(provided(DriverLogins))],
) -> DriverPrincipal | None:
    """Return who is logged in already where a login is asked for; None: nobody.

    Not by the schemes of the closed doors: the document would say that this one is closed, too.
    """
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    bearer = None
    if scheme.lower() == "bearer":
        bearer = HTTPAuthorizationCredentials(scheme=scheme, credentials=credentials)
    try:
        return await driver(connection, logins, bearer, connection.cookies.get(DRIVER_COOKIE))
    except (Unauthenticated, CsrfTokenMissing):
        return None


Driver = Annotated[DriverPrincipal, Depends(driver)]


PresentDriver = Annotated[DriverPrincipal | None, Depends(present_driver)]


async def account_holder(principal: Driver) -> DriverPrincipal:
    """Refuse guests."""
    if principal.is_guest:
        raise AccountNeeded
    return principal


AccountHolder = Annotated[DriverPrincipal, Depends(account_holder)]
