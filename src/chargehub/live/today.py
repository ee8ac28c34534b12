"""What the board tells of the local day: its transactions and their energy, by Location. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from chargehub.live.facts import TodayFacts


@dataclass(slots=True)
class Today:
    """Transactions that started in the local day: their number and energy, by Location."""

    starts_at: datetime | None = None
    """None until the first load."""
    ends_at: datetime | None = None
    transactions: Counter[str] = field(default_factory=Counter)
    energy_wh: Counter[str] = field(default_factory=Counter)
    _known: dict[int, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: TodayFacts) -> Today:
        today = cls(facts.starts_at, facts.ends_at)
        for started in facts.transactions:
            today.start(started.transaction_id, started.location_id)
            today.count_energy(started.transaction_id, started.energy_wh)
        return today

    def has_begun(self, at: datetime) -> bool:
        return self.starts_at is not None and at >= self.starts_at

    def is_over(self, at: datetime) -> bool:
        return self.ends_at is not None and at >= self.ends_at

    def start(self, transaction_id: int, location_id: str) -> None:
        if transaction_id not in self._known:
            self._known[transaction_id] = (location_id, 0)
            self.transactions[location_id] += 1

    def count_energy(self, transaction_id: int, energy_wh: int) -> None:
        known = self._known.get(transaction_id)
        if known is not None:
            location_id, before = known
            self._known[transaction_id] = (location_id, energy_wh)
            self.energy_wh[location_id] += energy_wh - before
