"""The board: the newest state of every station and EVSE, and which of it changed. Pure.

Owns the last value per key (places), not its words (documents), its delivery (frames, stream) nor
its truth (the database, from which it is loaded). An event only stores values and marks keys as
changed, because TransactionProgressed comes thousands of times a second; the work is done once a
flush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from chargehub.live import documents
from chargehub.live.documents import encode
from chargehub.live.facts import (
    ConnectorFacts,
    HubFacts,
    LocationFacts,
    TransactionFacts,
    tells_all_of,
)
from chargehub.live.frames import FrameRing, Topics, event_text
from chargehub.live.places import Evse, Running, Station
from chargehub.live.today import Today
from chargehub.stations.events import ConnectorStatusChanged, StationOnline, StationWentOffline
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)

TOPICS: Topics = frozenset({"board", "power"})


class Board:
    """Events in, frames out. `tick` counts flushes; a snapshot is encoded once per tick."""

    def __init__(self, ring: FrameRing, now: Callable[[], datetime], rate: float = 1.0) -> None:
        self.ring = ring
        self.outdated = True
        """True when the database knows more than the board: load it again."""
        self._now = now
        self._rate = rate
        self._locations: tuple[LocationFacts, ...] = ()
        self._stations: dict[int, Station] = {}
        self._by_transaction: dict[int, Running] = {}
        # Stations that told of something the database does not know either: asking it again at
        # each of their events would cost everyone a new snapshot.
        self._asked_about: set[int] = set()
        self._today = Today()
        self._held: frozenset[tuple[int, int]] = frozenset()
        # By transaction, not entered yet: of what comes between two flushes the last one counts.
        self._progress: dict[int, TransactionProgressed] = {}
        self._changed_stations: set[Station] = set()
        self._changed_evses: set[Evse] = set()
        self._changed_power: set[Evse] = set()
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
            station = Station(
                station_facts, station_facts.online, station_facts.since, station_facts.whole
            )
            for evse_facts in station_facts.evses:
                held = (station_facts.station_id, evse_facts.evse_no) in self._held
                evse = Evse(station, evse_facts, dict(evse_facts.connectors), held)
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

    def _find_evse(self, station_id: int, evse_no: int | None) -> Evse | None:
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

    def _put(self, event: TransactionStarted | TransactionProgressed, evse: Evse) -> Running:
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
            parts["board"] = encode(self._board(self._changed_stations, self._changed_evses))
        if self._changed_power or self._changed_stations or self._hub_changed:
            parts["power"] = encode(self._power(self._changed_power))
        self.ring.append(encode(now), parts)
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
            parts = {name: encode(value) for name, value in self._snapshot_parts(topics).items()}
            text = event_text(self.ring.event_id, "snapshot", encode(now), parts)
            self._snapshots[topics] = text
        return text

    def beat_event(self) -> bytes:
        """Return the sign of life of a quiet board: it says that nothing changed until now."""
        # The comment line keeps proxies awake that look for one.
        return b": beat\n" + event_text(self.ring.event_id, "beat", encode(self._now()), {})

    def snapshot(self) -> bytes:
        """Return the whole board as one JSON document, including what was not flushed yet."""
        return encode({"id": self.ring.event_id, "at": self._now(), **self._snapshot_parts(TOPICS)})

    def _snapshot_parts(self, topics: Topics) -> dict[str, Any]:
        self._enter_progress()
        stations = self._stations.values()
        evses = [evse for station in stations for evse in station.evses.values()]
        layout = documents.layout(self._locations, stations)
        parts: dict[str, Any] = {"rate": self._rate, "layout": layout}
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

    def _board(self, stations: Iterable[Station], evses: Iterable[Evse]) -> dict[str, Any]:
        every, today = self._stations.values(), self._today.transactions
        hub = documents.hub_state(every, len(self._shown()), today)
        return documents.board(stations, evses, hub)

    def _power(self, evses: Iterable[Evse]) -> dict[str, Any]:
        return documents.power(evses, self._shown(), self._today.energy_wh)

    def _shown(self) -> list[Running]:
        """Return the transactions that are shown: one gun charges one car."""
        every = self._by_transaction.values()
        return [running for running in every if running is running.evse.shown_running]
