"""What every HTTP feature shares: problem documents, request ids, parts, limits.

Owns the shape of errors on the wire (RFC 9457) and the middleware around every request. Knows no
feature: routers declare what they need as a dataclass of parts, app.py provides it. Text, number
and time types of the API are in `kit.fields`, paging in `kit.paging`.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from email.message import Message as HeaderReader
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import Histogram
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chargehub.kit.errors import ChargeHubError, InvalidInput, Unauthenticated

log = structlog.get_logger(__name__)

PartT = TypeVar("PartT")

API_PREFIX = "/api/v1"
PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_REPORTED_ERRORS = 50
_PLAIN_WORDS = {
    # Its own message is the regular expression, which tells nobody what to do.
    "string_pattern_mismatch": "Has characters that are not allowed here, or lacks some.",
    "extra_forbidden": "There is no such field here.",
    "json_invalid": "It is no JSON from this character on.",
    # Also of a body whose media type is another one.
    "model_attributes_type": "A JSON object is needed (Content-Type: application/json).",
}
_OF_PYDANTIC = "Value error, "
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
OTHER_CHARSETS: set[str] = set()
"""Paths whose body is a file that may be in another charset than UTF-8; they find out which."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

REQUEST_SECONDS = Histogram(
    "chargehub_http_request_seconds",
    "Time to the last byte of an API answer",
    ["method", "route", "status"],
)


class TooManyRequests(ChargeHubError):
    """You asked too often; wait before trying again."""

    code = "too-many-requests"
    status = 429


class PayloadTooLarge(ChargeHubError):
    """The request body is larger than allowed."""

    code = "payload-too-large"
    status = 413


class UnsupportedMediaType(ChargeHubError):
    """The request body is of another media type than this endpoint takes."""

    code = "unsupported-media-type"
    status = 415


class DatabaseUnavailable(ChargeHubError):
    """The database does not answer; nothing was changed, or the outcome is unknown."""

    code = "database-unavailable"
    status = 503


class AnsweredBefore(Exception):
    """Ends a request with an answer that is there already."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


class FieldError(BaseModel):
    """One thing that is wrong with the request."""

    where: str = Field(examples=["body.max_power_w"])
    message: str = Field(examples=["Input should be greater than 0"])


class Problem(BaseModel):
    """RFC 9457 problem document; some codes carry further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/<code>`", examples=["/problems/not-found"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; act on this.", examples=["not-found"])
    request_id: str = Field(description="Quote it when you report a fault.")
    errors: list[FieldError] | None = None


def problems(*kinds: type[ChargeHubError]) -> dict[int | str, dict[str, Any]]:
    """Build the `responses=` of a route from the errors it can raise."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = responses.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "content": {
                    PROBLEM_MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        response["content"][PROBLEM_MEDIA_TYPE]["examples"][kind.code] = {
            "$ref": f"#/components/examples/{kind.code}"
        }
    return responses


def _problem_examples(base: type[ChargeHubError] = ChargeHubError) -> dict[str, Any]:
    """Build one example per problem code there is."""
    found = {
        base.code: {"summary": base.title(), "value": problem_document(base(), "3f0e9d6c5b7a")}
    }
    for kind in base.__subclasses__():
        found |= _problem_examples(kind)
    return found


def _document_bodies(responses: dict[str, Any]) -> None:
    """Add what any request with a body can be refused with."""
    for status, response in problems(PayloadTooLarge, UnsupportedMediaType).items():
        known = responses.setdefault(str(status), response)
        examples = known["content"][PROBLEM_MEDIA_TYPE]["examples"]
        examples.update(response["content"][PROBLEM_MEDIA_TYPE]["examples"])


def problem_document(error: ChargeHubError, request_id: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **error.facts,
    }


def render_problem(document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    # ASCII escapes, because a refused field name may hold a lone surrogate.
    return Response(
        json.dumps(document, default=str),
        status_code=document["status"],
        media_type=PROBLEM_MEDIA_TYPE,
        headers=headers,
    )


def address_of(connection: HTTPConnection) -> str:
    """Return the peer's address; empty where there is none, as at a Unix socket."""
    return connection.client.host if connection.client else ""


def request_id_of(connection: HTTPConnection) -> str:
    return str(connection.scope.get("state", {}).get("request_id", ""))


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChargeHubError)
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    return render_problem(problem_document(error, request_id_of(request)), headers)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The input itself is never echoed: it may be a password.
    errors = [
        {
            "where": ".".join(str(part)[:80] for part in item["loc"]),
            "message": _PLAIN_WORDS.get(item["type"], item["msg"].removeprefix(_OF_PYDANTIC)),
        }
        for item in error.errors()[:MAX_REPORTED_ERRORS]
    ]
    problem = InvalidInput("Some fields are not acceptable.", errors=errors)
    return render_problem(problem_document(problem, request_id_of(request)))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.BAD_REQUEST:
        # The framework's word for a body that is no text at all; bad JSON is 422 with it, too.
        problem = InvalidInput(
            "The body cannot be read.", errors=[{"where": "body", "message": str(error.detail)}]
        )
        return render_problem(problem_document(problem, request_id_of(request)))
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_at(request))
    unknown_path = status == HTTPStatus.NOT_FOUND and error.detail == status.phrase
    document = {
        "type": f"/problems/{_code_of(status)}",
        "title": status.phrase,
        "status": status.value,
        "detail": "There is nothing at this path." if unknown_path else str(error.detail),
        "code": _code_of(status),
        "request_id": request_id_of(request),
    }
    return render_problem(document, headers)


def _methods_at(request: Request) -> list[str]:
    """Return what a path takes (RFC 9110 10.2.1): the framework tells of its first route only."""
    path = request.scope["path"]
    return sorted(
        {
            method
            for context in iter_route_contexts(request.app.routes)
            if compile_path(str(context.path))[0].match(path)
            for method in context.methods or ()
        }
    )


def _code_of(status: HTTPStatus) -> str:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PayloadTooLarge.code
    return status.phrase.lower().replace(" ", "-")


async def _on_database_down(request: Request, error: Exception) -> Response:
    log.error("http_database_unavailable", error=str(error))
    return render_problem(problem_document(DatabaseUnavailable(), request_id_of(request)))


async def _on_answered_before(_request: Request, answered: Exception) -> Response:
    assert isinstance(answered, AnsweredBefore)
    return answered.response


class RequestContext:
    """The outermost layer of ours: request id, body limit, log, metric, and the bare 500."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if REQUEST_ID.fullmatch(request_id) is None:
            request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, send, request_id, headers)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, headers: Headers
    ) -> None:
        began = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(MutableHeaders(scope=message), request_id, scope["path"])
            await send(message)

        refusal = self._refusal(headers, scope["path"])
        try:
            if refusal is not None:
                answer = render_problem(problem_document(refusal, request_id))
                await answer(scope, receive, send_marked)
            else:
                await self._app(scope, self._limited(receive), send_marked)
        except Exception:
            log.exception("http_request_failed", method=scope["method"], path=scope["path"])
            if status:
                raise
            answer = render_problem(problem_document(ChargeHubError(), request_id))
            await answer(scope, receive, send_marked)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUEST_SECONDS.labels(scope["method"], route, str(status)).observe(
                time.perf_counter() - began
            )

    def _refusal(self, headers: Headers, path: str) -> ChargeHubError | None:
        """Return what is wrong with a body by what is said of it."""
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            return PayloadTooLarge()
        if path not in OTHER_CHARSETS and not _is_utf8(headers.get("content-type", "")):
            return UnsupportedMediaType("Send the body in UTF-8 (RFC 8259 8.1).")
        return None

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def receive_limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body_bytes:
                raise HTTPException(PayloadTooLarge.status, PayloadTooLarge.title())
            return message

        return receive_limited


def _is_utf8(media_type: str) -> bool:
    """Tell whether no other charset is named: bodies are read as UTF-8 whatever it says."""
    if "charset" not in media_type.lower():
        return True
    header = HeaderReader()
    header["content-type"] = media_type
    return header.get_content_charset() in _CHARSETS


def _mark(headers: MutableHeaders, request_id: str, path: str) -> None:
    headers["X-Request-Id"] = request_id
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if path.startswith("/api/"):
        # Answers show credentials once and live states: no cache may keep them.
        headers.setdefault("Cache-Control", "no-store")


def create_api(*, title: str, version: str, description: str, max_body_bytes: int) -> FastAPI:
    """Return an application with our errors, middleware and OpenAPI habits, and no routes."""
    api = FastAPI(
        title=title,
        version=version,
        description=description,
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
        responses=problems(ChargeHubError, DatabaseUnavailable),
    )
    api.add_middleware(RequestContext, max_body_bytes=max_body_bytes)
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        AnsweredBefore: _on_answered_before,
        ChargeHubError: _on_error,
        RequestValidationError: _on_validation,
        HTTPException: _on_http_exception,
        OperationalError: _on_database_down,
        InterfaceError: _on_database_down,
        PoolTimeout: _on_database_down,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)
    build = api.openapi

    def openapi() -> dict[str, Any]:
        document = build()
        for operations in document["paths"].values():
            for operation in operations.values():
                if "requestBody" in operation:
                    _document_bodies(operation["responses"])
        components = document.setdefault("components", {})
        used = set(re.findall(r'"#/components/examples/([^"]+)"', json.dumps(document["paths"])))
        examples = _problem_examples()
        components["examples"] = {code: examples[code] for code in sorted(used)}
        schemas = components.setdefault("schemas", {})
        for model in (FieldError, Problem):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        return document

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this as its hook.
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name


def provide(api: FastAPI, *parts: object) -> None:
    """Hand each feature its parts; `provided` finds them by their type."""
    registry: dict[type[Any], object] = getattr(api.state, "parts", {})
    registry.update({type(part): part for part in parts})
    api.state.parts = registry


def provided(kind: type[PartT]) -> Callable[[HTTPConnection], Awaitable[PartT]]:
    """Return the dependency that yields the application's part of this type."""

    async def find(connection: HTTPConnection) -> PartT:
        part: PartT = connection.app.state.parts[kind]
        return part

    return find
