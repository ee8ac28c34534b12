"""The board: the newest state of every station and EVSE, and which of it changed. Pure.

Owns the last value per key and its JSON, not its delivery (frames, stream) nor its truth (the
database, from which it is loaded). An event only stores values and marks keys as changed, because
TransactionProgressed comes thousands of times a second; the work is done once a flush.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from chargehub.live.facts import (
    ConnectorFacts,
    EvseFacts,
    HubFacts,
    LocationFacts,
    StationFacts,
    TransactionFacts,
)
from chargehub.live.frames import FrameRing, Topics, event_text
from chargehub.stations.events import ConnectorStatusChanged, StationOnline, StationWentOffline
from chargehub.stations.reports import ConnectorStatus
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

TOPICS: Topics = frozenset({"board", "power"})
OFFLINE = "Offline"
"""What counts say of an EVSE whose station is not connected, whatever its last status was."""

# Of several connectors of one EVSE the most telling one is shown.
_TELLING = {
    status: rank
    for rank, status in enumerate(
        (
            ConnectorStatus.UNKNOWN,
            ConnectorStatus.AVAILABLE,
            ConnectorStatus.UNAVAILABLE,
            ConnectorStatus.RESERVED,
            ConnectorStatus.FAULTED,
            ConnectorStatus.OCCUPIED,
            ConnectorStatus.PREPARING,
            ConnectorStatus.FINISHING,
            ConnectorStatus.SUSPENDED_EVSE,
            ConnectorStatus.SUSPENDED_EV,
            ConnectorStatus.CHARGING,
        )
    )
}
# A 2.x connector only says Occupied; its transaction's chargingState says how.
_OCCUPIED_MEANS = {
    "Charging": ConnectorStatus.CHARGING,
    "EVConnected": ConnectorStatus.PREPARING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "Idle": ConnectorStatus.FINISHING,
}


@dataclass(slots=True, eq=False)
class _Evse:
    station: _Station
    facts: EvseFacts
    connectors: dict[int, ConnectorFacts]
    transaction_id: int | None = None
    started_at: datetime | None = None
    charging_state: str | None = None
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None

    @property
    def key(self) -> str:
        return f"{self.station.facts.station_id}-{self.facts.evse_no}"

    def reported(self) -> ConnectorFacts:
        if len(self.connectors) == 1:
            (fact,) = self.connectors.values()
            return fact
        return max(
            self.connectors.values(),
            key=lambda fact: _TELLING[fact.status],
            default=ConnectorFacts(ConnectorStatus.UNKNOWN, None),
        )

    def told_apart_by_power(self) -> bool:
        return self.charging_state is None and self.reported().status is ConnectorStatus.OCCUPIED

    def shown(self) -> ConnectorFacts:
        fact = self.reported()
        if fact.status is not ConnectorStatus.OCCUPIED or self.transaction_id is None:
            return fact
        meaning = _OCCUPIED_MEANS.get(self.charging_state or "")
        if meaning is None and (self.power_w or 0) > 0:
            meaning = ConnectorStatus.CHARGING
        return fact if meaning is None else ConnectorFacts(meaning, fact.since, fact.error)

    def begin(self, transaction: TransactionFacts) -> None:
        self.transaction_id = transaction.transaction_id
        self.started_at = transaction.started_at
        self.charging_state = transaction.charging_state
        self.power_w = transaction.power_w
        self.energy_wh = transaction.energy_wh
        self.soc_percent = transaction.soc_percent

    def end(self) -> None:
        self.transaction_id = self.started_at = self.charging_state = None
        self.power_w = self.energy_wh = self.soc_percent = None


@dataclass(slots=True, eq=False)
class _Station:
    facts: StationFacts
    online: bool
    since: datetime | None
    whole: ConnectorFacts
    evses: dict[int, _Evse] = field(default_factory=dict)


@dataclass(slots=True)
class _Today:
    """Transactions that started in the local day: their number and energy, by Location."""

    transactions: Counter[str] = field(default_factory=Counter)
    energy_wh: Counter[str] = field(default_factory=Counter)
    _known: dict[int, tuple[str, int]] = field(default_factory=dict)

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


class Board:
    """Events in, frames out. `tick` counts flushes; a snapshot is encoded once per tick."""

    def __init__(self, ring: FrameRing, now: Callable[[], datetime], rate: float = 1.0) -> None:
        self.ring = ring
        self.outdated = True
        """True when the database knows more than the board: load it again."""
        self._now = now
        self._rate = rate
        self._locations: tuple[LocationFacts, ...] = ()
        self._stations: dict[int, _Station] = {}
        self._by_transaction: dict[int, _Evse] = {}
        # Stations that told of something the database does not know either: asking it again at
        # each of their events would cost everyone a new snapshot.
        self._asked_about: set[int] = set()
        self._day_starts_at: datetime | None = None
        self._day_ends_at: datetime | None = None
        self._today = _Today()
        self._changed_stations: set[_Station] = set()
        self._changed_evses: set[_Evse] = set()
        self._changed_power: set[_Evse] = set()
        self._hub_changed = False
        self._snapshots: dict[Topics, bytes] = {}

    # Loading

    def load(self, facts: HubFacts) -> None:
        """Replace everything; every viewer gets a snapshot next."""
        self._locations = facts.locations
        self._today = _Today()
        for started in facts.today.transactions:
            self._today.start(started.transaction_id, started.location_id)
            self._today.count_energy(started.transaction_id, started.energy_wh)
        self._stations = {}
        self._by_transaction = {}
        for station_facts in facts.stations:
            station = _Station(
                station_facts, station_facts.online, station_facts.since, station_facts.whole
            )
            for evse_facts in station_facts.evses:
                evse = _Evse(station, evse_facts, dict(evse_facts.connectors))
                station.evses[evse_facts.evse_no] = evse
                running = evse_facts.transaction
                if running is not None:
                    evse.begin(running)
                    self._by_transaction[running.transaction_id] = evse
                    self._today.count_energy(running.transaction_id, running.energy_wh or 0)
            self._stations[station_facts.station_id] = station
        self._day_starts_at = facts.today.starts_at
        self._day_ends_at = facts.today.ends_at
        self._forget_changes()
        self._snapshots.clear()
        self.outdated = False
        self.ring.break_off()

    # Events, in the order in which they were committed

    def station_online(self, event: StationOnline) -> None:
        self._set_online(event.station_id, event.at, online=True)

    def station_went_offline(self, event: StationWentOffline) -> None:
        self._set_online(event.station_id, event.at, online=False)

    def connector_status_changed(self, event: ConnectorStatusChanged) -> None:
        station = self._stations.get(event.station_id)
        if station is None:
            self._ask_about(event.station_id)
            return
        fact = ConnectorFacts(event.status, event.at, event.error_code or None)
        if event.evse_no == 0:
            station.whole = fact
            self._changed_stations.add(station)
            return
        evse = station.evses.get(event.evse_no)
        if evse is None:
            self._ask_about(event.station_id)
            return
        evse.connectors[event.connector_no] = fact
        self._changed_evses.add(evse)

    def transaction_started(self, event: TransactionStarted) -> None:
        station = self._stations.get(event.station_id)
        if station is not None and self._is_today(event.at):
            self._today.start(event.transaction_id, station.facts.location_id)
            self._hub_changed = True
        evse = self._find_evse(event.station_id, event.evse_no)
        if evse is None:
            return
        self._put(event, evse)
        evse.started_at = event.at
        if event.charging_state is not None:
            evse.charging_state = event.charging_state

    def transaction_progressed(self, event: TransactionProgressed) -> None:
        evse = self._by_transaction.get(event.transaction_id)
        if evse is None:
            evse = self._find_evse(event.station_id, event.evse_no)
            # A transaction that was never ended does not take its EVSE back from a newer one.
            if evse is None or evse.transaction_id is not None:
                return
            self._put(event, evse)
        if event.power_w is not None:
            evse.power_w = event.power_w
        if event.energy_wh is not None:
            evse.energy_wh = event.energy_wh
            self._today.count_energy(event.transaction_id, event.energy_wh)
        if event.soc_percent is not None:
            evse.soc_percent = event.soc_percent
        self._changed_power.add(evse)
        if event.charging_state is not None and event.charging_state != evse.charging_state:
            evse.charging_state = event.charging_state
            self._changed_evses.add(evse)

    def transaction_ended(self, event: TransactionEnded) -> None:
        if event.energy_wh is not None:
            self._today.count_energy(event.transaction_id, event.energy_wh)
            self._hub_changed = True
        evse = self._by_transaction.pop(event.transaction_id, None)
        if evse is not None:
            evse.end()
            self._changed_evses.add(evse)
            self._changed_power.add(evse)

    def layout_changed(self, _event: object) -> None:
        self._asked_about.clear()
        self.outdated = True

    def _ask_about(self, station_id: int) -> None:
        """Load again for what is unknown of a station, once until the layout changes."""
        if station_id not in self._asked_about:
            self._asked_about.add(station_id)
            self.outdated = True

    def _set_online(self, station_id: int, at: datetime, *, online: bool) -> None:
        station = self._stations.get(station_id)
        if station is None:
            self._ask_about(station_id)
            return
        station.online = online
        station.since = at
        self._changed_stations.add(station)

    def _find_evse(self, station_id: int, evse_no: int | None) -> _Evse | None:
        station = self._stations.get(station_id)
        if station is None:
            self._ask_about(station_id)
            return None
        if evse_no is None:
            return None
        evse = station.evses.get(evse_no)
        if evse is None:
            self._ask_about(station_id)
        return evse

    def _put(self, event: TransactionStarted | TransactionProgressed, evse: _Evse) -> None:
        """Put a transaction on its EVSE; an older one that was never ended leaves it."""
        if evse.transaction_id == event.transaction_id:
            return
        if evse.transaction_id is not None:
            self._by_transaction.pop(evse.transaction_id, None)
        elsewhere = self._by_transaction.get(event.transaction_id)
        if elsewhere is not None:
            elsewhere.end()
            self._changed_evses.add(elsewhere)
            self._changed_power.add(elsewhere)
        self._by_transaction[event.transaction_id] = evse
        evse.begin(TransactionFacts(event.transaction_id, event.at))
        self._changed_evses.add(evse)
        self._changed_power.add(evse)

    def _is_today(self, at: datetime) -> bool:
        return self._day_starts_at is not None and at >= self._day_starts_at

    # Frames

    def notice_midnight(self) -> None:
        """Demand a new load once the local day is over: what counts as today is in the database."""
        if self._day_ends_at is not None and self._now() >= self._day_ends_at:
            self.outdated = True

    def flush(self) -> bool:
        """Turn what changed since the last flush into one frame; False when nothing did."""
        now = self._now()
        self._snapshots.clear()
        if not (
            self._changed_stations
            or self._changed_evses
            or self._changed_power
            or self._hub_changed
        ):
            return False
        self._changed_evses.update(
            evse for evse in self._changed_power if evse.told_apart_by_power()
        )
        parts: dict[str, bytes] = {}
        if self._changed_stations or self._changed_evses or self._hub_changed:
            parts["board"] = _json(self._board(self._changed_stations, self._changed_evses))
        if self._changed_power or self._changed_stations or self._hub_changed:
            parts["power"] = _json(self._power(self._changed_power))
        self.ring.append(_json(now), parts)
        self._forget_changes()
        return True

    def catch_up(self, cursor: int | None, topics: Topics) -> bytes:
        """Return what brings a viewer at `cursor` to the ring's newest frame (perhaps nothing)."""
        missed = self.ring.since(cursor, topics)
        return self.snapshot_event(topics) if missed is None else missed

    def snapshot_event(self, topics: Topics) -> bytes:
        """Return the snapshot event; shared by all viewers that need one between two flushes."""
        text = self._snapshots.get(topics)
        if text is None:
            now = self._now()
            parts = {name: _json(value) for name, value in self._snapshot_parts(topics).items()}
            text = event_text(self.ring.event_id, "snapshot", _json(now), parts)
            self._snapshots[topics] = text
        return text

    def beat_event(self) -> bytes:
        """Return the sign of life of a quiet board: it says that nothing changed until now."""
        # The comment line keeps proxies awake that look for one.
        return b": beat\n" + event_text(self.ring.event_id, "beat", _json(self._now()), {})

    def snapshot(self) -> bytes:
        """Return the whole board as one JSON document, including what was not flushed yet."""
        return _json({"id": self.ring.event_id, "at": self._now(), **self._snapshot_parts(TOPICS)})

    def _snapshot_parts(self, topics: Topics) -> dict[str, Any]:
        stations = self._stations.values()
        evses = [evse for station in stations for evse in station.evses.values()]
        parts: dict[str, Any] = {"rate": self._rate, "layout": self._layout()}
        if "board" in topics:
            parts["board"] = self._board(stations, evses)
        if "power" in topics:
            parts["power"] = self._power(evses)
        return parts

    def _forget_changes(self) -> None:
        self._changed_stations.clear()
        self._changed_evses.clear()
        self._changed_power.clear()
        self._hub_changed = False

    def _layout(self) -> dict[str, Any]:
        return {
            "locations": [
                {
                    "id": location.location_id,
                    "name": location.name,
                    "time_zone": location.time_zone,
                }
                for location in self._locations
            ],
            "stations": [
                {
                    "id": facts.station_id,
                    "identity": facts.identity,
                    "name": facts.name,
                    "location_id": facts.location_id,
                    "max_power_w": facts.max_power_w,
                    "evses": [
                        {
                            "id": evse.key,
                            "evse_no": evse.facts.evse_no,
                            "gun_code": evse.facts.gun_code,
                            "max_power_w": evse.facts.max_power_w,
                        }
                        for evse in station.evses.values()
                    ],
                }
                for station in self._stations.values()
                for facts in (station.facts,)
            ],
        }

    def _board(self, stations: Iterable[_Station], evses: Iterable[_Evse]) -> dict[str, Any]:
        shown = [(evse, evse.shown()) for evse in evses]
        return {
            "stations": [
                {
                    "id": station.facts.station_id,
                    "online": station.online,
                    "since": station.since,
                    "status": station.whole.status,
                    "error": station.whole.error,
                }
                for station in stations
            ],
            "evses": [
                {
                    "id": evse.key,
                    "status": fact.status,
                    "since": fact.since,
                    "error": fact.error,
                    "transaction_id": evse.transaction_id,
                    "started_at": evse.started_at,
                }
                for evse, fact in shown
            ],
            "hub": self._hub(),
        }

    def _power(self, evses: Iterable[_Evse]) -> dict[str, Any]:
        # An offline station's last power is a memory, not a load.
        power_w = sum(
            evse.power_w or 0 for evse in self._by_transaction.values() if evse.station.online
        )
        return {
            "evses": [
                {
                    "id": evse.key,
                    "power_w": evse.power_w,
                    "energy_wh": evse.energy_wh,
                    "soc_percent": evse.soc_percent,
                }
                for evse in evses
            ],
            "hub": {"power_w": power_w, "energy_today_wh": dict(self._today.energy_wh)},
        }

    def _hub(self) -> dict[str, Any]:
        states: Counter[str] = Counter()
        for station in self._stations.values():
            for evse in station.evses.values():
                states[evse.shown().status.value if station.online else OFFLINE] += 1
        return {
            "stations": len(self._stations),
            "stations_online": sum(station.online for station in self._stations.values()),
            "evses_by_state": dict(sorted(states.items())),
            "transactions_active": len(self._by_transaction),
            "transactions_today": dict(self._today.transactions),
        }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)
