"""Who may do what, which passwords are acceptable, when a login is locked out. Pure."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from chargehub.kit.addresses import network_of
from chargehub.kit.errors import InvalidInput

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 200


class WeakPassword(InvalidInput):
    """The password is too short, too long, or the login itself."""

    code = "weak-password"


class Role(StrEnum):
    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    CONFORMANCE = "conformance"
    """An outside test suite: opens the test adapter, and nothing else does or is opened."""

    def includes(self, other: Role) -> bool:
        if Role.CONFORMANCE in {self, other}:
            return self is other
        return _RANKS[self] >= _RANKS[other]


_RANKS = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}


def normalise_password(password: str) -> str:
    # RFC 8265: the same password typed on another keyboard may arrive decomposed.
    return unicodedata.normalize("NFC", password)


def check_password(login: str, password: str) -> None:
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise WeakPassword(
            f"Use {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.",
            min_length=MIN_PASSWORD_LENGTH,
        )
    if password.casefold() == login.casefold():
        raise WeakPassword("The password may not be the login.")


@dataclass(slots=True)
class _Attempts:
    failures: int
    locked_until: float


class LoginGuard:
    """Counts failed logins in a bounded table and locks the key out for ever longer.

    An attempt counts as failed from its beginning, so that parallel guesses gain nothing. The
    address alone is counted too, with a higher limit: one address can neither try many logins nor
    push other keys out of the table. Of IPv6 a whole /64 counts as one address.
    """

    def __init__(
        self,
        *,
        max_keys: int = 10_000,
        free_failures: int = 5,
        free_failures_per_address: int = 50,
        first_lock_s: float = 30.0,
        longest_lock_s: float = 900.0,
    ) -> None:
        self._table: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()
        self._max_keys = max_keys
        self._free_failures = free_failures
        self._free_failures_per_address = free_failures_per_address
        self._first_lock_s = first_lock_s
        self._longest_lock_s = longest_lock_s

    def __len__(self) -> int:
        return len(self._table)

    def begin(self, login: str, address: str, now_s: float) -> float:
        """Count an attempt; return the seconds it must wait, 0 when it may go on."""
        keys = self._keys(login, address)
        wait_s = max(
            (self._table[key].locked_until - now_s for key, _ in keys if key in self._table),
            default=0.0,
        )
        if wait_s > 0:
            return wait_s
        for key, free in keys:
            attempts = self._table.setdefault(key, _Attempts(0, 0.0))
            self._table.move_to_end(key)
            attempts.failures += 1
            beyond = attempts.failures - free
            if beyond >= 0:
                lock_s = self._first_lock_s * 2.0 ** min(beyond, 10)
                attempts.locked_until = now_s + min(lock_s, self._longest_lock_s)
        while len(self._table) > self._max_keys:
            self._table.popitem(last=False)
        return 0.0

    def succeeded(self, login: str, address: str) -> None:
        own, of_address = (key for key, _ in self._keys(login, address))
        self._table.pop(own, None)
        # Only this attempt is forgiven: a valid login must not reset its address's other guesses.
        attempts = self._table.get(of_address)
        if attempts is not None:
            attempts.failures -= 1

    def _keys(self, login: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        network = network_of(address)
        return (
            ((login.lower(), network), self._free_failures),
            (("", network), self._free_failures_per_address),
        )
