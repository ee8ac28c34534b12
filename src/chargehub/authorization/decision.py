"""The decision on a presented idToken (OCPP 2.x AuthorizationStatus words). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
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
    evse_nos: tuple[int, ...] = ()
    """The station's EVSEs that may be used; empty: all of them (C01.FR.19/20)."""

    @property
    def accepted(self) -> bool:
        return self.status is AuthorizationStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class TokenFact:
    """What is known of an idToken."""

    blocked: bool
    group_token: str | None = None
    expires_at: datetime | None = None
    location_ids: frozenset[str] | None = None
    """Where it may charge; None: everywhere."""
    max_power_w: int | None = None
    """The most powerful type of EVSE that it may use; None: any."""

    @property
    def restricted(self) -> bool:
        return self.location_ids is not None or self.max_power_w is not None


@dataclass(frozen=True, slots=True)
class Place:
    """A station as far as it decides who may charge there."""

    location_id: str
    evse_powers_w: Mapping[int, int]
    """Rated power by EVSE number."""


def decide(
    token: str,
    kind: str | None,
    fact: TokenFact | None,
    *,
    now: datetime,
    place: Place | None = None,
    evse_no: int | None = None,
    charging_elsewhere: bool = False,
) -> Authorization:
    """Decide who may charge now; the same for every protocol and every message.

    `place` is needed for a restricted token only; `evse_no` is None until it is known.
    """
    if kind == "NoAuthorization":
        return Authorization(AuthorizationStatus.ACCEPTED)  # C02.FR.02
    if fact is None or not token:
        # A token that is only the name of a group is not thereby valid (16 3.10).
        return Authorization(AuthorizationStatus.INVALID)
    status = AuthorizationStatus.ACCEPTED
    evse_nos: tuple[int, ...] = ()
    if fact.blocked:
        status = AuthorizationStatus.BLOCKED
    elif fact.expires_at is not None and fact.expires_at <= now:
        status = AuthorizationStatus.EXPIRED
    elif fact.restricted and place is not None:
        status, evse_nos = _judge_place(fact, place, evse_no)
    if status is AuthorizationStatus.ACCEPTED and charging_elsewhere:
        status = AuthorizationStatus.CONCURRENT_TX
    return Authorization(status, fact.group_token, fact.expires_at, evse_nos)


def decide_beside_holds(
    authorization: Authorization,
    held: Mapping[int, datetime],
    evse_nos: Collection[int],
    *,
    evse_no: int | None,
    taken: Collection[int] = (),
) -> Authorization:
    """Narrow an acceptance by the EVSEs that are held for others: by number, until when.

    `evse_no` None: whichever EVSE the token is presented for, so what is not `taken` must be left.
    Nothing said of a hold may be remembered longer than the hold lasts.
    """
    if not authorization.accepted or not held:
        return authorization
    until = min(held.values())
    cached = authorization.cache_expires_at
    until = until if cached is None else min(until, cached)
    if evse_no is not None:
        if evse_no not in held:
            return authorization
        refused = AuthorizationStatus.NOT_AT_THIS_TIME
        return replace(authorization, status=refused, cache_expires_at=until, evse_nos=())
    may = set(authorization.evse_nos or evse_nos) - set(held)
    if not may - set(taken):
        refused = AuthorizationStatus.NOT_AT_THIS_TIME
        return replace(authorization, status=refused, cache_expires_at=until, evse_nos=())
    return replace(authorization, cache_expires_at=until, evse_nos=tuple(sorted(may)))


def _judge_place(
    fact: TokenFact, place: Place, evse_no: int | None
) -> tuple[AuthorizationStatus, tuple[int, ...]]:
    if fact.location_ids is not None and place.location_id not in fact.location_ids:
        return AuthorizationStatus.NOT_AT_THIS_LOCATION, ()  # C01.FR.22
    powers = place.evse_powers_w
    limit = fact.max_power_w
    allowed = tuple(sorted(no for no, power in powers.items() if limit is None or power <= limit))
    if not allowed or (evse_no in powers and evse_no not in allowed):
        return AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE, ()  # C01.FR.18
    return AuthorizationStatus.ACCEPTED, allowed if len(allowed) < len(powers) else ()
