"""The hub's places as the board has them: stations, their EVSEs, and what charges there. Pure.

Of what is known of an EVSE it decides what is shown: which transaction, which status.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from chargehub.live.facts import ConnectorFacts, EvseFacts, StationFacts, TransactionFacts
from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.states import explain, most_telling


@dataclass(slots=True, eq=False)
class Running:
    """An open transaction on its EVSE; shown there unless another has begun later."""

    evse: Evse
    transaction_id: int
    started_at: datetime
    charging_state: str | None = None
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None


@dataclass(slots=True, eq=False)
class Evse:
    station: Station
    facts: EvseFacts
    connectors: dict[int, ConnectorFacts]
    held: bool = False
    """A reservation keeps it for somebody now."""
    running: dict[int, Running] = field(default_factory=dict)
    shown_running: Running | None = None
    """Of those running the one that began last: an old one may be told late, or never ended."""

    @property
    def key(self) -> str:
        return f"{self.station.facts.station_id}-{self.facts.evse_no}"

    def reported(self) -> ConnectorFacts:
        if len(self.connectors) == 1:
            (fact,) = self.connectors.values()
            return fact
        status = most_telling(fact.status for fact in self.connectors.values())
        return next(
            (fact for fact in self.connectors.values() if fact.status is status),
            ConnectorFacts(status, None),
        )

    def told_apart_by_power(self) -> bool:
        running = self.shown_running
        untold = running is None or running.charging_state is None
        return untold and self.reported().status is ConnectorStatus.OCCUPIED

    def shown(self) -> ConnectorFacts:
        fact = self.reported()
        running = self.shown_running
        if fact.status is ConnectorStatus.AVAILABLE and self.held:
            return replace(fact, status=ConnectorStatus.RESERVED)
        if fact.status is not ConnectorStatus.OCCUPIED or running is None:
            return fact
        meaning = explain(fact.status, running.charging_state, running.power_w)
        return ConnectorFacts(meaning, fact.since, fact.error)

    def begin(self, facts: TransactionFacts) -> Running:
        running = Running(
            self,
            facts.transaction_id,
            facts.started_at,
            facts.charging_state,
            facts.power_w,
            facts.energy_wh,
            facts.soc_percent,
        )
        self.running[facts.transaction_id] = running
        self.choose()
        return running

    def end(self, transaction_id: int) -> None:
        del self.running[transaction_id]
        self.choose()

    def choose(self) -> None:
        self.shown_running = max(
            self.running.values(),
            key=lambda running: (running.started_at, running.transaction_id),
            default=None,
        )


@dataclass(slots=True, eq=False)
class Station:
    facts: StationFacts
    online: bool
    since: datetime | None
    whole: ConnectorFacts
    evses: dict[int, Evse] = field(default_factory=dict)
