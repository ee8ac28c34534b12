"""What a station tells about itself, in version-free words (OCPP 2.x terms).

The gateway's translators build these; `stations.inbound` handles them. `at` is the station's own
timestamp (None where it sent none), `received_at` the hub's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chargehub.stations.entry import Entry


class RegistrationStatus(StrEnum):
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class ConnectorStatus(StrEnum):
    """The board's states: OCPP 2.x ConnectorStatus, refined by what 1.6 tells beyond it."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"
    UNKNOWN = "Unknown"


PLUGGED_IN = frozenset(
    (
        ConnectorStatus.OCCUPIED,
        ConnectorStatus.PREPARING,
        ConnectorStatus.CHARGING,
        ConnectorStatus.SUSPENDED_EV,
        ConnectorStatus.SUSPENDED_EVSE,
        ConnectorStatus.FINISHING,
    )
)
"""The cable is in a car: it charges, is about to, or is done and its driver is long in coming."""
UNPLUGGED = frozenset((ConnectorStatus.AVAILABLE, ConnectorStatus.RESERVED))
"""The gun waits for a car."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A station's socket was accepted. Reply: ConnectionGranted, or None: no longer welcome."""

    station_id: int
    protocol: str
    remote: str
    received_at: datetime
    entry: Entry
    """What the handshake let it in by."""
    tls: str | None = None
    """TLS version and cipher suite; None on a plain socket."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A station's socket is gone. Ignored unless it was the newest. Reply: None."""

    station_id: int
    received_at: datetime
    epoch: int | None
    """None where we never learned it, because the answer to the COMMIT was lost."""
    connected_at: datetime | None = None
    """When it came; tells which socket it was where the epoch does not."""


@dataclass(frozen=True, slots=True)
class ConnectionGranted:
    """The fence value of this connection, and what the station was when it came."""

    epoch: int
    registration: RegistrationStatus


@dataclass(frozen=True, slots=True)
class BootReported:
    """BootNotification. Reply: BootReply, or BootRefused."""

    station_id: int
    received_at: datetime
    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BootReply:
    status: RegistrationStatus
    interval_s: int


@dataclass(frozen=True, slots=True)
class BootRefused:
    """The serial number is not that of the certificate: close the socket (B01.FR.12)."""

    serial_number: str
    certified_serial: str


@dataclass(frozen=True, slots=True)
class StatusReported:
    """StatusNotification, or NotifyEvent of AvailabilityState (H01.FR.23). Reply: None.

    evse_no 0 is the station as a whole.
    """

    station_id: int
    received_at: datetime
    evse_no: int
    connector_no: int
    status: ConnectorStatus
    at: datetime | None = None
    error_code: str | None = None
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeReported:
    """Anything to be kept and acknowledged as it is. Reply: None.

    Security events, firmware, log and diagnostics status, NotifyEvent data, DataTransfer of an
    unknown vendor, and messages whose payload failed its schema. `kind` is the OCPP 2.x action.
    """

    station_id: int
    received_at: datetime
    kind: str
    payload: dict[str, Any]
    at: datetime | None = None
    flagged: bool = False
