"""Argon2id for people's passwords, in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chargehub.access.rules import normalise_password

_USUAL = PasswordHasher()


@cache
def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Hash once what unknown logins are checked against: it takes as long as a login."""
    return hasher.hash("the password of nobody")


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None, *, parallel: int = 2) -> None:
        self._hasher = hasher or _USUAL
        # Each hash holds 64 MiB and a core: a flood of logins must not take them all.
        self._slots = asyncio.Semaphore(parallel)
        self._nobody = _hash_of_nobody(self._hasher)

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, normalise_password(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Check a password; None (no such operator) costs the same time and is False."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, stored, normalise_password(password))

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)
