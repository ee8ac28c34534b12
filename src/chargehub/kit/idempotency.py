"""Idempotency-Key: a POST that a phone repeats has its effect once and the same answer each time.

Owns the header, what is remembered of a key, and for how long (wall time: a repeat is a matter of
the network). The words are those of draft-ietf-httpapi-idempotency-key-header. Why an answer is
kept or not: docs/decisions/0018-idempotency-keys.md.

A router takes `once: Once` and lists `*ONCE` among its problems. Where the effect is one
transaction, key, answer and effect are committed together:

    async with once.write(driver.driver_id) as connection:
        ...
        return once.keep(view)

Where a station is talked to in between, the key is claimed first:

    async with once.claimed(driver.driver_id):
        ...
        return once.keep(view)

Neither is for an answer that holds a secret: it is kept as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

import structlog
from fastapi import Depends, Header, Request, Response
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    Row,
    SmallInteger,
    Table,
    Text,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.clock import wall_now
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict, InvalidInput
from chargehub.kit.http import (
    PROBLEM_MEDIA_TYPE,
    AnsweredBefore,
    TooManyRequests,
    problem_document,
    provided,
    render_problem,
    request_id_of,
)
from chargehub.kit.tables import metadata

log = structlog.get_logger(__name__)

ViewT = TypeVar("ViewT", bound=BaseModel | None)

# An sf-string of RFC 8941 without escapes, or the same without its quotes, as many clients send it.
KEY_PATTERN = r"^([!#-\[\]-~]{1,128}|\"[!#-\[\]-~]{1,128}\")$"
STALE_AFTER = timedelta(minutes=5)
"""No request takes so long: one that is still under way then could not say how it ended."""
ASK_AGAIN_S = 1
REPLAYED = "Idempotent-Replayed"
# Somebody behind us was asked and said no, or nothing: that is an answer. Other refusals and
# failures changed nothing.
KEPT_FAILURES = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})

REPEATS = Counter(
    "chargehub_idempotency_keys_total", "Requests with an Idempotency-Key, by their end", ["end"]
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # Whose key it is; another's same key is another key.
    Column("principal", Text, primary_key=True),
    # SHA-256. The key itself is not kept: it keys the fingerprint, of which it cannot be guessed
    # then what the body said.
    Column("key_hash", LargeBinary, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("status", SmallInteger),
    Column("headers", JSONB(none_as_null=True)),
    Column("body", Text),
    Index("ix_idempotency_keys_begun_at", "begun_at"),
    CheckConstraint("state IN ('under_way', 'answered', 'unclear')", name="state"),
    CheckConstraint("(state = 'answered') = (status IS NOT NULL)", name="answered"),
)


class IdempotencyKeyReused(InvalidInput):
    """The Idempotency-Key was used for another request; every new request needs a new key."""

    code = "idempotency-key-reused"


class IdempotencyKeyUnderWay(Conflict):
    """A request with this Idempotency-Key is still under way; ask again in a moment."""

    code = "idempotency-key-under-way"


class IdempotencyOutcomeUnknown(Conflict):
    """A request with this Idempotency-Key was cut off; look whether it had its effect."""

    code = "idempotency-outcome-unknown"


ONCE = (
    InvalidInput,
    IdempotencyKeyReused,
    IdempotencyKeyUnderWay,
    IdempotencyOutcomeUnknown,
    TooManyRequests,
)
"""What every endpoint that takes a key can answer: `responses=problems(*GUARDS, *ONCE, ...)`."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What features.py hands over: where keys are kept, how long, and how many of one principal."""

    database: Database
    keep: timedelta = timedelta(hours=24)
    keys_max: int = 1_000
    wall: Callable[[], datetime] = wall_now


class _Claim(NamedTuple):
    principal: str
    key_hash: bytes
    fingerprint: bytes
    begun_at: datetime


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class OnceOnly:
    """One request and its key, if it has one; without it everything simply happens."""

    def __init__(
        self, repeats: Repeats, request: Request, response: Response, key: str | None
    ) -> None:
        self._repeats = repeats
        self._request = request
        self._response = response
        self._key = None if key is None else key.strip('"')
        self._answer: _Answer | None = None

    def keep(
        self, view: ViewT, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> ViewT:
        """Note the answer and return it. `status` and `headers` go into this one as well."""
        if status is not None:
            self._response.status_code = status
        self._response.headers.update(headers or {})
        usual = getattr(self._request.scope.get("route"), "status_code", None)
        self._answer = _Answer(
            status or self._response.status_code or usual or HTTPStatus.OK,
            dict(headers or {}),
            "" if view is None else view.model_dump_json(by_alias=True),
        )
        return view

    @asynccontextmanager
    async def write(self, principal: UUID | str) -> AsyncIterator[AsyncConnection]:
        """One transaction of the effect, the key and the answer, or the answer of before.

        An exception leaves nothing behind, the key included: a repeat is a fresh request.
        """
        async with self._repeats.database.write() as connection:
            claim = await self._look(connection, principal)
            yield connection
            answer = self._noted()
            if claim is not None:
                await _store(connection, claim, "answered", answer)
        self._count(claim, "done")

    @asynccontextmanager
    async def claimed(self, principal: UUID | str) -> AsyncIterator[None]:
        """Claim the key before anything is done, and put the answer in its place afterwards.

        A refusal frees the key. What was cut off is never done again: a repeat is told so.
        """
        async with self._repeats.database.write() as connection:
            claim = await self._look(connection, principal)
            if claim is not None:
                await _store(connection, claim, "under_way")
        try:
            yield
            answer = self._noted()
        except ChargeHubError as error:
            await self._close(claim, error)
            raise
        except BaseException:
            # Also where the server is stopping and this task is cancelled.
            await asyncio.shield(self._finish(claim, "unclear"))
            raise
        await self._finish(claim, "answered", answer)
        self._count(claim, "done")

    def _noted(self) -> _Answer:
        if self._answer is None:
            raise RuntimeError("an endpoint with a key has to keep its answer")
        return self._answer

    async def _look(self, connection: AsyncConnection, principal: UUID | str) -> _Claim | None:
        """Return the claim of a key that is new, None without a key; else raise."""
        if self._key is None:
            return None
        now = self._repeats.wall()
        key = self._key.encode()
        claim = _Claim(
            str(principal), hashlib.sha256(key).digest(), await self._fingerprint(key), now
        )
        lock = f"idempotency {claim.principal} {claim.key_hash.hex()}"
        mine = select(func.pg_try_advisory_xact_lock(func.hashtextextended(lock, 0)))
        if not await connection.scalar(mine):
            raise self._under_way()
        kept = idempotency_keys.c
        of_principal = kept.principal == claim.principal
        living = kept.begun_at > now - self._repeats.keep
        known = (
            await connection.execute(
                select(idempotency_keys).where(
                    of_principal, kept.key_hash == claim.key_hash, living
                )
            )
        ).one_or_none()
        if known is not None:
            self._refuse_or_answer(known, claim)
        several = select(kept.key_hash).where(of_principal, living).limit(self._repeats.keys_max)
        count = select(func.count()).select_from(several.subquery())
        if (await connection.scalar(count) or 0) >= self._repeats.keys_max:
            self._count(claim, "refused")
            raise TooManyRequests("Too many keys of yours are kept; wait.", retry_after_s=3_600)
        return claim

    def _refuse_or_answer(self, known: Row[Any], claim: _Claim) -> None:
        if not hmac.compare_digest(known.fingerprint, claim.fingerprint):
            self._count(claim, "reused")
            raise IdempotencyKeyReused
        if known.state == "answered":
            self._count(claim, "replayed")
            raise AnsweredBefore(_render(known))
        if known.state == "unclear" or known.begun_at <= claim.begun_at - STALE_AFTER:
            self._count(claim, "unclear")
            raise IdempotencyOutcomeUnknown
        raise self._under_way()

    def _under_way(self) -> IdempotencyKeyUnderWay:
        REPEATS.labels("under_way").inc()
        return IdempotencyKeyUnderWay(retry_after_s=ASK_AGAIN_S)

    async def _fingerprint(self, key: bytes) -> bytes:
        """Return what tells requests apart: method, address and body; of JSON what it says."""
        request = self._request
        body = await request.body()
        with suppress(ValueError, RecursionError):
            body = json.dumps(json.loads(body), sort_keys=True).encode()
        parts = (request.method, request.url.path, request.url.query)
        return hmac.digest(key, "\n".join(parts).encode() + b"\n\n" + body, "sha256")

    async def _close(self, claim: _Claim | None, error: ChargeHubError) -> None:
        """Keep, free or leave unclear what ended with an error."""
        if error.status in KEPT_FAILURES:
            problem = render_problem(problem_document(error, request_id_of(self._request)))
            headers = {"Content-Type": PROBLEM_MEDIA_TYPE}
            answer = _Answer(error.status, headers, bytes(problem.body).decode())
            await self._finish(claim, "answered", answer)
        elif error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            await self._finish(claim, "unclear")
        elif claim is not None:
            async with self._repeats.database.write() as connection:
                await connection.execute(delete(idempotency_keys).where(*_place(claim)))

    async def _finish(
        self, claim: _Claim | None, state: str, answer: _Answer | None = None
    ) -> None:
        if claim is None:
            return
        if state == "unclear":
            log.warning("idempotency_outcome_unknown", path=self._request.url.path)
        async with self._repeats.database.write() as connection:
            await _store(connection, claim, state, answer)

    def _count(self, claim: _Claim | None, end: str) -> None:
        if claim is not None:
            REPEATS.labels(end).inc()


def _place(claim: _Claim) -> tuple[Any, ...]:
    kept = idempotency_keys.c
    return kept.principal == claim.principal, kept.key_hash == claim.key_hash


async def _store(
    connection: AsyncConnection, claim: _Claim, state: str, answer: _Answer | None = None
) -> None:
    values = claim._asdict() | {"state": state, "status": None, "headers": None, "body": None}
    values |= answer._asdict() if answer is not None else {}
    await connection.execute(
        insert(idempotency_keys)
        .values(values)
        .on_conflict_do_update(index_elements=["principal", "key_hash"], set_=values)
    )


def _render(known: Row[Any]) -> Response:
    headers = {"Content-Type": "application/json"} if known.body else {}
    return Response(
        known.body, status_code=known.status, headers=headers | known.headers | {REPLAYED: "true"}
    )


async def once(
    request: Request,
    response: Response,
    repeats: Annotated[Repeats, Depends(provided(Repeats))],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=KEY_PATTERN,
            description="A new random text for each new request, best a UUID; the same one where "
            "a request is sent again. The same key and body are given the same answer for a day, "
            "with another body 422. A refusal that changed nothing is not kept.",
            examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        ),
    ] = None,
) -> OnceOnly:
    return OnceOnly(repeats, request, response, idempotency_key)


Once = Annotated[OnceOnly, Depends(once)]


async def close_left_open(connection: AsyncConnection) -> int:
    """Mark what a dead server left under way; nobody else's server runs on this database."""
    left = update(idempotency_keys).where(idempotency_keys.c.state == "under_way")
    return (await connection.execute(left.values(state="unclear"))).rowcount


async def forget_keys(connection: AsyncConnection, principal: UUID | str) -> None:
    """Delete what is kept of a principal's requests, who is going."""
    of_principal = idempotency_keys.c.principal == str(principal)
    await connection.execute(delete(idempotency_keys).where(of_principal))
