"""Use cases of access: operators and their logins.

A login is a row keyed by the SHA-256 of an opaque token, so it can be revoked. It expires on wall
time, because a demo clock must not log people out; the audit trail runs on the hub's clock.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.passwords import Passwords
from chargehub.access.rules import LoginGuard, Role, check_password
from chargehub.access.store import login_sessions, operators
from chargehub.kit.clock import HubClock, wall_now
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict, NotFound, Unauthenticated
from chargehub.kit.http import TooManyRequests

log = structlog.get_logger(__name__)

TOKEN_BYTES = 32


class LoginTaken(Conflict):
    """An operator with this login exists."""

    code = "login-taken"


class LastAdmin(Conflict):
    """The last enabled admin can be neither disabled nor demoted."""

    code = "last-admin"


class WrongLogin(Unauthenticated):
    """Login or password is wrong."""

    code = "wrong-login"


class WrongPassword(Conflict):
    """The present password is another one."""

    code = "wrong-password"


@dataclass(frozen=True, slots=True)
class Principal:
    """The operator behind a request."""

    operator_id: UUID
    login: str
    name: str
    role: Role
    token_hash: bytes
    csrf_hash: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedLogin:
    """What the operator gets; neither token is stored."""

    token: str
    csrf_token: str
    principal: Principal


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create_operator(
    connection: AsyncConnection,
    at: datetime,
    *,
    login: str,
    role: Role,
    password_hash: str,
    actor: str,
    name: str = "",
) -> UUID:
    """Insert an operator; LoginTaken when the login exists. Hash with `Passwords.hash` before."""
    operator_id = uuid.uuid4()
    values = {
        "id": operator_id,
        "login": login,
        "name": name,
        "role": role.value,
        "password_hash": password_hash,
        "created_at": at,
    }
    try:
        async with connection.begin_nested():
            await connection.execute(insert(operators).values(values))
    except IntegrityError as error:
        raise LoginTaken(login=login) from error
    await audit(connection, at, actor, "operator.created", login, role=role.value)
    return operator_id


async def revoke_logins(
    connection: AsyncConnection, at: datetime, operator_id: UUID, *, keep: bytes | None = None
) -> None:
    query = update(login_sessions).where(
        login_sessions.c.operator_id == operator_id, login_sessions.c.revoked_at.is_(None)
    )
    if keep is not None:
        query = query.where(login_sessions.c.token_hash != keep)
    await connection.execute(query.values(revoked_at=at))


class AccessService:
    def __init__(
        self,
        database: Database,
        clock: HubClock,
        *,
        lifetime: timedelta = timedelta(hours=12),
        passwords: Passwords | None = None,
        guard: LoginGuard | None = None,
        wall: Callable[[], datetime] = wall_now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = lifetime
        self._passwords = passwords or Passwords()
        self._guard = guard or LoginGuard()
        self._wall = wall

    async def log_in(
        self, login: str, password: str, *, address: str, user_agent: str = ""
    ) -> IssuedLogin:
        wait_s = self._guard.begin(login, address, time.monotonic())
        if wait_s > 0:
            log.warning("login_locked_out", login=login, address=address)
            raise TooManyRequests(
                "Too many failed logins; wait.", retry_after_s=max(1, math.ceil(wait_s))
            )
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    select(operators).where(
                        func.lower(operators.c.login) == login.lower(),
                        operators.c.disabled_at.is_(None),
                    )
                )
            ).one_or_none()
        stored = None if row is None else row.password_hash
        # No connection is held while Argon2 works.
        if not await self._passwords.verify(stored, password) or row is None:
            log.warning("login_failed", login=login, address=address)
            raise WrongLogin
        self._guard.succeeded(login, address)
        return await self._issue(row, password, address, user_agent)

    async def _issue(
        self, row: Row[Any], password: str, address: str, user_agent: str
    ) -> IssuedLogin:
        token, csrf_token = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        now = self._wall()
        principal = Principal(
            operator_id=row.id,
            login=row.login,
            name=row.name,
            role=Role(row.role),
            token_hash=digest(token),
            csrf_hash=digest(csrf_token),
            expires_at=now + self._lifetime,
        )
        fresh_hash = None
        if self._passwords.is_outdated(row.password_hash):
            fresh_hash = await self._passwords.hash(password)
        async with self._database.write() as connection:
            # The row lock makes a disabling that runs now either seen here or revoke this login.
            still = await connection.execute(
                select(operators.c.id)
                .where(operators.c.id == row.id, operators.c.password_hash == row.password_hash)
                .where(operators.c.disabled_at.is_(None))
                .with_for_update()
            )
            if still.one_or_none() is None:
                raise WrongLogin
            if fresh_hash is not None:
                await connection.execute(
                    update(operators)
                    .where(operators.c.id == row.id)
                    .values(password_hash=fresh_hash)
                )
            await connection.execute(
                delete(login_sessions).where(
                    login_sessions.c.operator_id == row.id,
                    or_(
                        login_sessions.c.expires_at <= now, login_sessions.c.revoked_at.is_not(None)
                    ),
                )
            )
            await connection.execute(
                insert(login_sessions).values(
                    token_hash=principal.token_hash,
                    operator_id=principal.operator_id,
                    csrf_hash=principal.csrf_hash,
                    created_at=now,
                    expires_at=principal.expires_at,
                    user_agent=user_agent[:200],
                )
            )
            await audit(
                connection, self._clock.now(), row.login, "login", row.login, address=address
            )
        return IssuedLogin(token, csrf_token, principal)

    async def authenticate(self, token: str) -> Principal | None:
        return await self.principal_of(digest(token))

    async def principal_of(self, token_hash: bytes) -> Principal | None:
        """Return who holds a login that is live now; streams ask this again from time to time."""
        query = (
            select(login_sessions, operators.c.login, operators.c.name, operators.c.role)
            .join(operators, operators.c.id == login_sessions.c.operator_id)
            .where(
                login_sessions.c.token_hash == token_hash,
                login_sessions.c.revoked_at.is_(None),
                login_sessions.c.expires_at > self._wall(),
                operators.c.disabled_at.is_(None),
            )
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Principal(
            operator_id=row.operator_id,
            login=row.login,
            name=row.name,
            role=Role(row.role),
            token_hash=row.token_hash,
            csrf_hash=row.csrf_hash,
            expires_at=row.expires_at,
        )

    async def log_out(self, principal: Principal) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(login_sessions)
                .where(login_sessions.c.token_hash == principal.token_hash)
                .values(revoked_at=self._wall())
            )
            await audit(connection, self._clock.now(), principal.login, "logout", principal.login)

    async def list_operators(self, *, after: str | None, limit: int) -> list[Row[Any]]:
        query = select(operators).order_by(func.lower(operators.c.login)).limit(limit)
        if after is not None:
            query = query.where(func.lower(operators.c.login) > after.lower())
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())

    async def add_operator(
        self, *, login: str, role: Role, password: str, actor: str, name: str = ""
    ) -> Row[Any]:
        check_password(login, password)
        password_hash = await self._passwords.hash(password)
        async with self._database.write() as connection:
            operator_id = await create_operator(
                connection,
                self._clock.now(),
                login=login,
                role=role,
                password_hash=password_hash,
                actor=actor,
                name=name,
            )
            return await _operator(connection, operator_id)

    async def change_operator(
        self,
        operator_id: UUID,
        *,
        actor: str,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
    ) -> Row[Any]:
        """Change what is not None. A changed role or a disabling ends the operator's logins."""
        now = self._clock.now()
        async with self._database.write() as connection:
            await _lock_admins(connection)
            before = await _operator(connection, operator_id)
            values: dict[str, Any] = {}
            if name is not None and name != before.name:
                values["name"] = name
            if role is not None and role.value != before.role:
                values["role"] = role.value
            if disabled is not None and disabled != (before.disabled_at is not None):
                values["disabled_at"] = now if disabled else None
            if not values:
                return before
            await connection.execute(
                update(operators).where(operators.c.id == operator_id).values(values)
            )
            if not await _enabled_admins(connection):
                raise LastAdmin
            if values.keys() & {"role", "disabled_at"}:
                await revoke_logins(connection, self._wall(), operator_id)
            facts = {key: value for key, value in values.items() if key != "disabled_at"}
            if "disabled_at" in values:
                facts["disabled"] = disabled
            await audit(connection, now, actor, "operator.changed", before.login, **facts)
            return await _operator(connection, operator_id)

    async def reset_password(self, operator_id: UUID, password: str, *, actor: str) -> None:
        """Set somebody's password and end their logins."""
        async with self._database.read() as connection:
            row = await _operator(connection, operator_id)
        check_password(row.login, password)
        password_hash = await self._passwords.hash(password)
        await self._store_password(row, password_hash, actor=actor, keep=None)

    async def change_own_password(self, principal: Principal, old: str, new: str) -> None:
        """Change one's password; the other logins of the operator end, this one stays."""
        address = f"operator:{principal.operator_id}"
        wait_s = self._guard.begin(principal.login, address, time.monotonic())
        if wait_s > 0:
            raise TooManyRequests(retry_after_s=max(1, math.ceil(wait_s)))
        async with self._database.read() as connection:
            row = await _operator(connection, principal.operator_id)
        if not await self._passwords.verify(row.password_hash, old):
            raise WrongPassword
        self._guard.succeeded(principal.login, address)
        check_password(row.login, new)
        password_hash = await self._passwords.hash(new)
        await self._store_password(
            row, password_hash, actor=principal.login, keep=principal.token_hash
        )

    async def _store_password(
        self, row: Row[Any], password_hash: str, *, actor: str, keep: bytes | None
    ) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(operators)
                .where(operators.c.id == row.id)
                .values(password_hash=password_hash)
            )
            await revoke_logins(connection, self._wall(), row.id, keep=keep)
            await audit(connection, self._clock.now(), actor, "operator.password", row.login)


async def _operator(connection: AsyncConnection, operator_id: UUID) -> Row[Any]:
    row = (
        await connection.execute(select(operators).where(operators.c.id == operator_id))
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such operator.")
    return row


async def _lock_admins(connection: AsyncConnection) -> None:
    # Two admins who disable each other at once must take turns.
    await connection.execute(
        select(operators.c.id)
        .where(operators.c.role == Role.ADMIN.value)
        .order_by(operators.c.id)
        .with_for_update()
    )


async def _enabled_admins(connection: AsyncConnection) -> int:
    query = select(func.count()).where(
        operators.c.role == Role.ADMIN.value, operators.c.disabled_at.is_(None)
    )
    return int((await connection.execute(query)).scalar_one())
