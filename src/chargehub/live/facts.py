"""What the board is loaded with: the hub as the database has it at one moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chargehub.stations.reports import ConnectorStatus
from chargehub.transactions.events import TransactionProgressed


@dataclass(frozen=True, slots=True)
class LocationFacts:
    location_id: str
    name: str
    time_zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    status: ConnectorStatus
    since: datetime | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionFacts:
    transaction_id: int
    started_at: datetime
    charging_state: str | None = None
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None


@dataclass(frozen=True, slots=True)
class EvseFacts:
    evse_no: int
    gun_code: str
    max_power_w: int
    connectors: dict[int, ConnectorFacts]
    transactions: tuple[TransactionFacts, ...] = ()
    """All that are open here; of these the one that began last is shown."""


@dataclass(frozen=True, slots=True)
class StationFacts:
    station_id: int
    identity: str
    name: str
    location_id: str
    max_power_w: int
    online: bool
    since: datetime | None
    whole: ConnectorFacts
    """What the station said of itself as a whole (evse_no 0)."""
    evses: tuple[EvseFacts, ...]


@dataclass(frozen=True, slots=True)
class TodayTransaction:
    """A transaction that started in the local day, and its energy so far."""

    transaction_id: int
    location_id: str
    energy_wh: int


@dataclass(frozen=True, slots=True)
class TodayFacts:
    starts_at: datetime
    ends_at: datetime
    transactions: tuple[TodayTransaction, ...]


@dataclass(frozen=True, slots=True)
class HubFacts:
    locations: tuple[LocationFacts, ...]
    stations: tuple[StationFacts, ...]
    today: TodayFacts


def tells_all_of(event: TransactionProgressed, before: TransactionProgressed) -> bool:
    """Tell whether the event alone says as much as both: what is None keeps its value."""
    return (
        (event.power_w is not None or before.power_w is None)
        and (event.energy_wh is not None or before.energy_wh is None)
        and (event.soc_percent is not None or before.soc_percent is None)
        and (event.charging_state is not None or before.charging_state is None)
    )
