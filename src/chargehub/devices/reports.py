"""What stations tell of their variables, in version-free words (OCPP 2.x device model).

The gateway's translators build these; `devices.inbound` handles them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chargehub.stations.commands import VariableName


@dataclass(frozen=True, slots=True)
class VariableReported:
    """One attribute of a variable. What the station left out is None; it may be known already."""

    name: VariableName
    value: str | None
    """None: it has none, or may not be read (B07.FR.03)."""
    mutability: str | None = None
    data_type: str | None = None
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    """Comma separated, as reported."""
    own_key: str | None = None
    """What the station itself calls it, where that is not the name."""


@dataclass(frozen=True, slots=True)
class VariablesReported:
    """A page of a report, or the answer to a question. Reply: None."""

    station_id: int
    received_at: datetime
    request_id: int | None
    """Of the report asked for; None for an answer."""
    variables: tuple[VariableReported, ...]
    seq_no: int | None = None
    last: bool = True
    """No page with a higher number follows."""
    unsupported: tuple[VariableName, ...] = ()
    """What was asked for and the station does not have."""


class WriteEffect(StrEnum):
    """What became of a written value."""

    APPLIED = "applied"
    AFTER_REBOOT = "after_reboot"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class VariableWritten:
    name: VariableName
    value: str
    status: str
    """The station's own word."""
    effect: WriteEffect


@dataclass(frozen=True, slots=True)
class VariablesWritten:
    """The answer to a write. Reply: None."""

    station_id: int
    received_at: datetime
    outcomes: tuple[VariableWritten, ...]
