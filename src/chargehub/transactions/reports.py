"""What a station tells about charging, in version-free words (OCPP 2.x terms)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from chargehub.authorization.decision import Authorization
from chargehub.telemetry.readings import Reading


class EventKind(StrEnum):
    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class IdToken:
    """What was presented. `kind` is None where the protocol names none (1.6)."""

    text: str
    kind: str | None = None
    presented: str | None = None
    """A car's VIN or MAC as the station wrote it; `text` is then its idToken here."""


@dataclass(slots=True)
class TransactionReported:
    """StartTransaction, StopTransaction, or TransactionEvent. Reply: TransactionReply.

    Changed by nobody, though not frozen: thousands are made a second, and frozen ones take three
    times as long.

    `transaction_ref` is the id the station uses: its own text (2.x), the number we gave (1.6), or
    None in a 1.6 start, which asks us for one. A start without a reference is recognised by
    content: station, evse, token, timestamp, register (16 3.7.1).
    """

    station_id: int
    received_at: datetime
    kind: EventKind
    at: datetime
    transaction_ref: str | None
    evse_no: int | None = None
    connector_no: int | None = None
    id_token: IdToken | None = None
    register_wh: int | None = None
    """meterStart or meterStop of 1.6; 2.x carries it as a reading's context."""
    readings: tuple[Reading, ...] = ()
    seq_no: int | None = None
    trigger: str | None = None
    charging_state: str | None = None
    stopped_reason: str | None = None
    offline: bool = False
    remote_start_id: int | None = None
    reservation_id: int | None = None
    flags: int = 0
    raw: dict[str, Any] | None = None
    """The payload as received, kept when flags are set; else what of it no field here tells."""
    assigns_ref: bool = False
    """True when the reply must name the transaction (1.6 StartTransaction)."""
    ref_is_ours: bool = False
    """True where we number the transactions: a reference we did not give is unknown (1.6)."""
    content_hash: int = 0
    """Signed 64-bit hash of the whole payload."""


@dataclass(frozen=True, slots=True)
class TransactionReply:
    """`authorization` is None when no token was presented (E01.FR.11/12)."""

    transaction_id: int
    authorization: Authorization | None = None


class SamplesReported(NamedTuple):
    """MeterValues. Reply: None."""

    station_id: int
    received_at: datetime
    evse_no: int
    readings: tuple[Reading, ...]
    transaction_ref: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizeRequested:
    """Authorize. Reply: Authorization."""

    station_id: int
    received_at: datetime
    id_token: IdToken
