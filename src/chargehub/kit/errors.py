"""The one error base: a fact with a code and an HTTP status, rendered once as RFC 9457."""

from __future__ import annotations

from typing import Any, ClassVar


class ChargeHubError(Exception):
    """Something went wrong.

    The first line of a subclass's docstring is the title of its problem+json document; `detail` is
    the sentence of this occurrence and `facts` are extra members a client can act on.
    """

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.facts = facts

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


class NotFound(ChargeHubError):
    """There is no such thing, or it is not yours to see."""

    code = "not-found"
    status = 404


class Conflict(ChargeHubError):
    """The state of things does not allow this."""

    code = "conflict"
    status = 409


class InvalidInput(ChargeHubError):
    """The request is well formed but its content is not acceptable."""

    code = "invalid-input"
    status = 422


class Unauthenticated(ChargeHubError):
    """Log in first."""

    code = "unauthenticated"
    status = 401


class Forbidden(ChargeHubError):
    """Your role does not allow this."""

    code = "forbidden"
    status = 403
