"""A driver's logins: one row a device, keyed by the SHA-256 of an opaque token.

They run on wall time, as operators' logins do. How a driver proves who it is stands in `codes.py`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.service import TOKEN_BYTES, digest
from chargehub.drivers.accounts import find_account
from chargehub.drivers.store import driver_logins, drivers
from chargehub.kit.clock import wall_now
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound

LIFETIME = timedelta(days=30)
MAX_DEVICES = 10
"""Logins that one driver has at once; a further one ends the oldest."""


@dataclass(frozen=True, slots=True)
class DriverPrincipal:
    """The driver behind a request."""

    driver_id: UUID
    token_hash: bytes
    csrf_hash: bytes
    expires_at: datetime
    login_id: UUID
    is_guest: bool = False
    """Without an account: may charge, and nothing that needs to be held against somebody."""


@dataclass(frozen=True, slots=True)
class IssuedDriverLogin:
    """What the driver's device gets; neither token is stored."""

    token: str
    csrf_token: str
    principal: DriverPrincipal


class DriverLogins:
    def __init__(self, database: Database, *, wall: Callable[[], datetime] = wall_now) -> None:
        self._database = database
        self.wall = wall

    async def issue(
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        device_name: str = "",
        lifetime: timedelta = LIFETIME,
    ) -> IssuedDriverLogin:
        """Log a device in, in the caller's transaction; NotFound when the account is closed."""
        driver = await find_account(connection, driver_id, lock=True)
        token, csrf_token = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        now = self.wall()
        principal = DriverPrincipal(
            driver_id=driver_id,
            token_hash=digest(token),
            csrf_hash=digest(csrf_token),
            expires_at=now + lifetime,
            login_id=uuid.uuid4(),
            is_guest=driver.guest_until is not None,
        )
        await self._make_room(connection, driver_id, now)
        await connection.execute(
            insert(driver_logins).values(
                id=principal.login_id,
                token_hash=principal.token_hash,
                driver_id=driver_id,
                csrf_hash=principal.csrf_hash,
                device_name=device_name,
                created_at=now,
                expires_at=principal.expires_at,
            )
        )
        return IssuedDriverLogin(token, csrf_token, principal)

    async def authenticate(self, token: str) -> DriverPrincipal | None:
        return await self.principal_of(digest(token))

    async def principal_of(self, token_hash: bytes) -> DriverPrincipal | None:
        """Return who holds a login that is live now; streams ask this again from time to time."""
        query = (
            select(driver_logins, drivers.c.guest_until)
            .join(drivers, drivers.c.id == driver_logins.c.driver_id)
            .where(
                driver_logins.c.token_hash == token_hash,
                driver_logins.c.revoked_at.is_(None),
                driver_logins.c.expires_at > self.wall(),
                drivers.c.closed_at.is_(None),
            )
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return DriverPrincipal(
            driver_id=row.driver_id,
            token_hash=row.token_hash,
            csrf_hash=row.csrf_hash,
            expires_at=row.expires_at,
            login_id=row.id,
            is_guest=row.guest_until is not None,
        )

    async def list_devices(self, driver_id: UUID) -> list[Row[Any]]:
        """Return the driver's live logins, the newest first; there are MAX_DEVICES at most."""
        query = (
            select(driver_logins)
            .where(*self._live(driver_id))
            .order_by(driver_logins.c.created_at.desc(), driver_logins.c.id)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())

    async def log_out(self, driver_id: UUID, login_id: UUID) -> None:
        """End one login of this driver; NotFound where it is no live one of theirs."""
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(driver_logins)
                .where(driver_logins.c.id == login_id, *self._live(driver_id))
                .values(revoked_at=self.wall())
                .returning(driver_logins.c.id)
            )
            if ended.one_or_none() is None:
                raise NotFound("There is no such login.")

    async def log_out_everywhere(self, driver_id: UUID) -> None:
        async with self._database.write() as connection:
            await self.revoke_all(connection, driver_id)

    async def revoke_all(self, connection: AsyncConnection, driver_id: UUID) -> None:
        # The driver's row makes a login that is being issued wait, or be seen.
        await connection.execute(
            select(drivers.c.id).where(drivers.c.id == driver_id).with_for_update()
        )
        await connection.execute(
            update(driver_logins)
            .where(driver_logins.c.driver_id == driver_id, driver_logins.c.revoked_at.is_(None))
            .values(revoked_at=self.wall())
        )

    async def _make_room(self, connection: AsyncConnection, driver_id: UUID, now: datetime) -> None:
        """Forget the driver's ended logins, and end the oldest where there are too many."""
        await connection.execute(
            delete(driver_logins).where(
                driver_logins.c.driver_id == driver_id,
                or_(driver_logins.c.expires_at <= now, driver_logins.c.revoked_at.is_not(None)),
            )
        )
        kept = (
            select(driver_logins.c.id)
            .where(driver_logins.c.driver_id == driver_id)
            .order_by(driver_logins.c.created_at.desc(), driver_logins.c.id)
            .limit(MAX_DEVICES - 1)
        )
        await connection.execute(
            delete(driver_logins).where(
                driver_logins.c.driver_id == driver_id, driver_logins.c.id.not_in(kept)
            )
        )

    def _live(self, driver_id: UUID) -> tuple[Any, ...]:
        return (
            driver_logins.c.driver_id == driver_id,
            driver_logins.c.revoked_at.is_(None),
            driver_logins.c.expires_at > self.wall(),
        )
