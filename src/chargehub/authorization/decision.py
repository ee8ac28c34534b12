"""The decision on a presented idToken (OCPP 2.x AuthorizationStatus words). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AuthorizationStatus(StrEnum):
    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Authorization:
    status: AuthorizationStatus
    group_id_token: str | None = None
    """Returned so that the station can match a group (C09.FR.09); its type is Central."""
    cache_expires_at: datetime | None = None

    @property
    def accepted(self) -> bool:
        return self.status is AuthorizationStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class TokenFact:
    """What is known of an idToken."""

    blocked: bool
    group_token: str | None = None
    expires_at: datetime | None = None


def decide(
    token: str,
    kind: str | None,
    fact: TokenFact | None,
    *,
    now: datetime,
    charging_elsewhere: bool = False,
) -> Authorization:
    """Decide who may charge now; the same for every protocol and every message."""
    if kind == "NoAuthorization":
        return Authorization(AuthorizationStatus.ACCEPTED)  # C02.FR.02
    if fact is None or not token:
        # A token that is only the name of a group is not thereby valid (16 3.10).
        return Authorization(AuthorizationStatus.INVALID)
    status = AuthorizationStatus.ACCEPTED
    if fact.blocked:
        status = AuthorizationStatus.BLOCKED
    elif fact.expires_at is not None and fact.expires_at <= now:
        status = AuthorizationStatus.EXPIRED
    elif charging_elsewhere:
        status = AuthorizationStatus.CONCURRENT_TX
    return Authorization(status, fact.group_token, fact.expires_at)
