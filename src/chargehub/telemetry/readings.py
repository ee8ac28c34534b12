"""A reading: one moment's measured values in hub units, and why it may deserve a second look.

How a station's spelling becomes a reading is `telemetry.meter_values`; whether a register makes
sense within a transaction is `transactions.meter`.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntFlag
from typing import Any, NamedTuple


class Flag(IntFlag):
    """Why a reading or a transaction deserves a second look. Stored as an integer bit set."""

    NONE = 0
    UNIT_MISSING = 1
    """No unit: Wh assumed (16 7.37)."""
    PHASE_SUMMED = 2
    """Only per-phase values: their sum is used."""
    UNIT_SUSPECT = 4
    """The unit cannot be true (Wh numbers labelled kWh): rescaled."""
    SIGNED = 8
    """The value is signed meter data, kept opaque."""
    UNREADABLE = 16
    """A value that is no finite number: kept raw, not used."""
    NEGATIVE = 32
    """Negative where impossible: kept raw, not used."""
    IMPLAUSIBLE = 64
    """Beyond physical limits: kept raw, not used."""
    CLOCK_SKEW = 128
    """The station's timestamp is far from ours (1970, no zone, next year)."""
    REGISTER_RESET = 256
    """The register fell: energy continues from before the fall."""
    ZERO_BEGIN = 512
    """The begin register was 0 while the meter was not: the first real register is the begin."""
    GAP = 1024
    """Events are missing between the first and the last (seqNo)."""
    UNKNOWN_TRANSACTION = 2048
    """Refers to a transaction we do not know, or a closed one."""
    STUB = 4096
    """The transaction was first seen by an Updated or Ended event."""
    SUSPECT = 8192
    """A new start came while this one was open, or it was closed by policy."""
    INVALID_PAYLOAD = 16384
    """The message failed its schema and was read field by field."""
    OFFLINE = 32768
    """Happened while the station was offline; reported later."""
    REFUSED_TOKEN = 65536
    """Started with a token we refused."""
    BEGIN_MISSING = 131072
    """No begin register at all: the first reading is the begin."""
    CLOSED_BY_POLICY = 262144
    """Never stopped by the station; closed by us."""
    END_BEFORE_BEGIN = 524288
    """The end register is below the begin register and no reset explains it."""
    UNKNOWN_EVSE = 1048576
    """At an EVSE that was never commissioned (connectorId 99): it holds no idToken."""
    HELD_FOR_ANOTHER = 2097152
    """Begun, offline, at a gun that was held for somebody else's reservation."""


class Reading(NamedTuple):
    """Values of one moment. Energy in Wh, power in W, current in A, voltage in V.

    A NamedTuple, because thousands are made a second and a frozen dataclass costs six times that.
    """

    sampled_at: datetime
    context: str = "Sample.Periodic"
    register_wh: int | None = None
    power_w: int | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    soc_percent: float | None = None
    temperature_c: float | None = None
    offered_power_w: int | None = None
    extras: dict[str, Any] | None = None
    """Other measurands, phases and locations: {"Measurand[@phase][/location]": value}."""
    flags: int = 0
    raw: Any = None
    """The station's own element, kept when a flag is set."""
    content_hash: int = 0
    """Signed 64-bit hash of the station's element: replays are recognised by content."""
