"""What has happened to transactions, told in this process after COMMIT. Pure.

Views that can be rebuilt listen to these; whoever must act on a fact reads the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """A transaction became known and is active; evse_no is None while the station has not said."""

    transaction_id: int
    station_id: int
    evse_no: int | None
    at: datetime
    charging_state: str | None = None


class TransactionProgressed(NamedTuple):
    """The newest values of an active transaction; None is "not told", which keeps the last value.

    `energy_wh` is the corrected energy since the begin. Not published for replayed older samples.
    `charging_state` is the OCPP 2.x word; stations that report Occupied are told apart by it.
    """

    transaction_id: int
    station_id: int
    evse_no: int | None
    at: datetime
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None
    charging_state: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A transaction ended, by the station or by policy; `energy_wh` is the corrected total."""

    transaction_id: int
    station_id: int
    evse_no: int | None
    at: datetime
    energy_wh: int | None = None
