"""The two cookies of a login: one for the server alone, one that the page's scripts read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fastapi import Response


@dataclass(frozen=True, slots=True)
class LoginCookies:
    """Names of the cookies of one kind of login."""

    token: str
    csrf: str

    def give(
        self, response: Response, token: str, csrf_token: str, *, expires: datetime, secure: bool
    ) -> None:
        """Set both; `secure` is True wherever the API is served over TLS."""
        for name, value, http_only in (
            (self.token, token, True),
            (self.csrf, csrf_token, False),
        ):
            response.set_cookie(
                name,
                value,
                expires=expires,
                httponly=http_only,
                secure=secure,
                samesite="strict",
                path="/",
            )

    def forget(self, response: Response) -> None:
        for name in (self.token, self.csrf):
            response.delete_cookie(name, path="/", samesite="strict")
