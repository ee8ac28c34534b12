"""The board: the newest state of every station and EVSE, and which of it changed. Pure.

Owns the last value per key and its JSON, not its delivery (frames, stream) nor its truth (the
database, from which it is loaded). An event only stores values and marks keys as changed, because
TransactionProgressed comes thousands of times a second; the work is done once a flush.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
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
    tells_all_of,
)
from chargehub.live.frames import FrameRing, Topics, event_text
from chargehub.live.today import Today
from chargehub.stations.events import ConnectorStatusChanged, StationOnline, StationWentOffline
from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.states import evse_state, explain, most_telling
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

TOPICS: Topics = frozenset({"board", "power"})


@dataclass(slots=True, eq=False)
class _Running:
    """An open transaction on its EVSE; shown there unless another has begun later."""

    evse: _Evse
    transaction_id: int
    started_at: datetime
    charging_state: str | None = None
    power_w: int | None = None
    energy_wh: int | None = None
    soc_percent: float | None = None


@dataclass(slots=True, eq=False)
class _Evse:
    station: _Station
    facts: EvseFacts
    connectors: dict[int, ConnectorFacts]
    held: bool = False
    """A reservation keeps it for somebody now."""
    running: dict[int, _Running] = field(default_factory=dict)
    shown_running: _Running | None = None
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

    def begin(self, facts: TransactionFacts) -> _Running:
        running = _Running(
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
class _Station:
    facts: StationFacts
    online: bool
    since: datetime | None
    whole: ConnectorFacts
    evses: dict[int, _Evse] = field(default_factory=dict)


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
        self._by_transaction: dict[int, _Running] = {}
        # Stations that told of something the database does not know either: asking it again at
        # each of their events would cost everyone a new snapshot.
        self._asked_about: set[int] = set()
        self._today = Today()
        self._held: frozenset[tuple[int, int]] = frozenset()
        # By transaction, not entered yet: of what comes between two flushes the last one counts.
        self._progress: dict[int, TransactionProgressed] = {}
        self._changed_stations: set[_Station] = set()
        self._changed_evses: set[_Evse] = set()
        self._changed_power: set[_Evse] = set()
        self._hub_changed = False
        self._snapshots: dict[Topics, bytes] = {}

    # Loading

    def load(self, facts: HubFacts) -> None:
        """Replace everything; every viewer gets a snapshot next."""
        self._locations = facts.locations
        self._progress.clear()
        self._today = Today.of(facts.today)
        self._stations = {}
        self._by_transaction = {}
        for station_facts in facts.stations:
            station = _Station(
                station_facts, station_facts.online, station_facts.since, station_facts.whole
            )
            for evse_facts in station_facts.evses:
                held = (station_facts.station_id, evse_facts.evse_no) in self._held
                evse = _Evse(station, evse_facts, dict(evse_facts.connectors), held)
                station.evses[evse_facts.evse_no] = evse
                for running in evse_facts.transactions:
                    self._by_transaction[running.transaction_id] = evse.begin(running)
                    self._today.count_energy(running.transaction_id, running.energy_wh or 0)
            self._stations[station_facts.station_id] = station
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
        self._enter_progress()
        station = self._stations.get(event.station_id)
        if station is not None and self._today.has_begun(event.at):
            self._today.start(event.transaction_id, station.facts.location_id)
            self._hub_changed = True
        evse = self._find_evse(event.station_id, event.evse_no)
        if evse is None:
            return
        running = self._put(event, evse)
        running.started_at = event.at
        if event.charging_state is not None:
            running.charging_state = event.charging_state
        evse.choose()
        self._changed_evses.add(evse)
        self._changed_power.add(evse)

    def transaction_progressed(self, event: TransactionProgressed) -> None:
        number = event.transaction_id
        if number not in self._by_transaction:
            self._enter(event)
            return
        before = self._progress.get(number)
        if before is not None and not tells_all_of(event, before):
            self._enter(before)
        self._progress[number] = event

    def _enter_progress(self) -> None:
        """Enter what was put off, before anything that comes after it is asked or told."""
        if self._progress:
            for event in self._progress.values():
                self._enter(event)
            self._progress.clear()

    def _enter(self, event: TransactionProgressed) -> None:
        running = self._by_transaction.get(event.transaction_id)
        if running is None:
            evse = self._find_evse(event.station_id, event.evse_no)
            # Its start is not known here, so it takes no EVSE from another.
            if evse is None or evse.running:
                return
            running = self._put(event, evse)
        if event.power_w is not None:
            running.power_w = event.power_w
        if event.energy_wh is not None:
            running.energy_wh = event.energy_wh
            self._today.count_energy(event.transaction_id, event.energy_wh)
        if event.soc_percent is not None:
            running.soc_percent = event.soc_percent
        self._changed_power.add(running.evse)
        if event.charging_state is not None and event.charging_state != running.charging_state:
            running.charging_state = event.charging_state
            self._changed_evses.add(running.evse)

    def transaction_ended(self, event: TransactionEnded) -> None:
        self._enter_progress()
        if event.energy_wh is not None:
            self._today.count_energy(event.transaction_id, event.energy_wh)
            self._hub_changed = True
        self._take_out(event.transaction_id)

    def set_held(self, held: frozenset[tuple[int, int]]) -> None:
        """Take in which EVSEs are reserved for somebody now."""
        for station_id, evse_no in held ^ self._held:
            station = self._stations.get(station_id)
            evse = None if station is None else station.evses.get(evse_no)
            if evse is not None:
                evse.held = (station_id, evse_no) in held
                self._changed_evses.add(evse)
        self._held = held

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

    def _put(self, event: TransactionStarted | TransactionProgressed, evse: _Evse) -> _Running:
        """Put a transaction on its EVSE, or find it there."""
        running = self._by_transaction.get(event.transaction_id)
        if running is not None and running.evse is evse:
            return running
        self._take_out(event.transaction_id)
        running = evse.begin(TransactionFacts(event.transaction_id, event.at))
        self._by_transaction[event.transaction_id] = running
        self._changed_evses.add(evse)
        self._changed_power.add(evse)
        return running

    def _take_out(self, transaction_id: int) -> None:
        running = self._by_transaction.pop(transaction_id, None)
        if running is not None:
            running.evse.end(transaction_id)
            self._changed_evses.add(running.evse)
            self._changed_power.add(running.evse)

    # Frames

    def notice_midnight(self) -> None:
        """Demand a new load once the local day is over: what counts as today is in the database."""
        if self._today.is_over(self._now()):
            self.outdated = True

    def flush(self) -> bool:
        """Turn what changed since the last flush into one frame; False when nothing did."""
        now = self._now()
        self._snapshots.clear()
        self._enter_progress()
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
        self._enter_progress()
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
        shown = [(evse, evse.shown(), evse.shown_running) for evse in evses]
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
                    "transaction_id": running.transaction_id if running else None,
                    "started_at": running.started_at if running else None,
                }
                for evse, fact, running in shown
            ],
            "hub": self._hub(),
        }

    def _power(self, evses: Iterable[_Evse]) -> dict[str, Any]:
        # An offline station's last power is a memory, not a load.
        power_w = sum(
            running.power_w or 0 for running in self._shown() if running.evse.station.online
        )
        return {
            "evses": [
                {
                    "id": evse.key,
                    "power_w": running.power_w if running else None,
                    "energy_wh": running.energy_wh if running else None,
                    "soc_percent": running.soc_percent if running else None,
                }
                for evse in evses
                for running in (evse.shown_running,)
            ],
            "hub": {"power_w": power_w, "energy_today_wh": dict(self._today.energy_wh)},
        }

    def _shown(self) -> list[_Running]:
        """Return the transactions that are shown: one gun charges one car."""
        every = self._by_transaction.values()
        return [running for running in every if running is running.evse.shown_running]

    def _hub(self) -> dict[str, Any]:
        states: Counter[str] = Counter()
        for station in self._stations.values():
            for evse in station.evses.values():
                state = evse_state(evse.shown().status, None, online=station.online)
                states[state.value] += 1
        return {
            "stations": len(self._stations),
            "stations_online": sum(station.online for station in self._stations.values()),
            "evses_by_state": dict(sorted(states.items())),
            "transactions_active": len(self._shown()),
            "transactions_today": dict(self._today.transactions),
        }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)
