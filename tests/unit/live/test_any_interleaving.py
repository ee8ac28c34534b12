"""Any order of events, flushes, reloads and viewers that come, stall and resume: no stale value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chargehub.live.board import TOPICS, Board
from chargehub.live.frames import FrameRing
from chargehub.stations.events import ConnectorStatusChanged, StationOnline, StationWentOffline
from chargehub.stations.reports import ConnectorStatus
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)
from tests.live_client import Viewer, view_of
from tests.synthetic_hub import START, hub_facts

STATIONS = 2
station_ids = st.integers(1, STATIONS)
guns = st.integers(1, 2)
transactions = st.integers(1, 5)
times = st.integers(-20 * 3600, 3600).map(lambda seconds: START + timedelta(seconds=seconds))
maybe = st.one_of(st.none(), st.integers(0, 1000))

events = st.one_of(
    st.builds(StationOnline, station_ids, st.just("x"), times),
    st.builds(StationWentOffline, station_ids, st.just("x"), times),
    st.builds(
        ConnectorStatusChanged,
        station_ids,
        st.integers(0, 2),
        st.integers(1, 2),
        st.sampled_from(ConnectorStatus),
        times,
    ),
    st.builds(TransactionStarted, transactions, station_ids, guns, times),
    st.builds(
        TransactionProgressed,
        transactions,
        station_ids,
        guns,
        times,
        maybe,
        maybe,
        maybe,
        st.sampled_from([None, "Charging", "SuspendedEV", "Idle"]),
    ),
    st.builds(TransactionEnded, transactions, station_ids, guns, times, maybe),
)
viewers = st.integers(0, 2)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("event"), events),
        st.tuples(st.just("event"), events),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("look"), viewers),
        st.tuples(st.just("forget"), viewers),
        st.tuples(st.just("reload"), st.none()),
    ),
    max_size=80,
)


@dataclass
class World:
    board: Board
    viewers: list[Viewer] = field(default_factory=lambda: [Viewer(), Viewer(), Viewer()])
    since_flush: list[Viewer] = field(default_factory=list)
    """What the board was after each event since the last flush (and at that flush)."""

    def note(self, *, afresh: bool = False) -> None:
        if afresh:
            self.since_flush.clear()
        self.since_flush.append(view_of(self.board.snapshot()))

    def look(self, viewer: Viewer) -> None:
        cursor = self.board.ring.cursor(viewer.last_event_id)
        viewer.apply_text(self.board.catch_up(cursor, TOPICS))
        # Frames that carry nothing for a viewer's topics tell their number by the beat.
        viewer.apply_text(self.board.beat_event())
        assert viewer.gaps == 0
        for key, evse in viewer.evses.items():
            assert any(evse == now.evses[key] for now in self.since_flush)
        for station_id, station in viewer.stations.items():
            assert any(station == now.stations[station_id] for now in self.since_flush)

    def act(self, kind: str, argument: Any) -> None:
        if kind == "event":
            _apply(self.board, argument)
            self.note()
        elif kind == "flush":
            self.board.flush()
            self.note(afresh=True)
        elif kind == "look":
            self.look(self.viewers[argument])
        elif kind == "forget":
            self.viewers[argument] = Viewer()
        else:
            self.board.load(hub_facts(STATIONS))
            self.note(afresh=True)


def _apply(board: Board, event: object) -> None:
    {
        StationOnline: board.station_online,
        StationWentOffline: board.station_went_offline,
        ConnectorStatusChanged: board.connector_status_changed,
        TransactionStarted: board.transaction_started,
        TransactionProgressed: board.transaction_progressed,
        TransactionEnded: board.transaction_ended,
    }[type(event)](event)  # type: ignore[operator]  # The table pairs each type with its handler.


@given(actions, st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_every_viewer_ends_equal_to_the_board(
    todo: list[tuple[str, Any]], ring_size: int, join: int
) -> None:
    board = Board(FrameRing("e", size=ring_size, join=join), lambda: START)
    board.load(hub_facts(STATIONS))
    world = World(board)
    world.note(afresh=True)
    for kind, argument in todo:
        world.act(kind, argument)
        assert len(board.ring) <= ring_size
    world.act("flush", None)
    truth = view_of(board.snapshot())
    for viewer in world.viewers:
        world.look(viewer)
        assert (viewer.stations, viewer.evses, viewer.hub) == (
            truth.stations,
            truth.evses,
            truth.hub,
        )


# Each transaction has its gun and its start; starts, progress and ends come in any order.
GUN_OF = {1: (1, 1), 2: (1, 1), 3: (1, 1), 4: (1, 2), 5: (2, 1)}
STARTED_AT = {number: START + timedelta(minutes=number) for number in GUN_OF}
told = st.tuples(
    st.sampled_from(["start", "start", "progress", "end", "flush", "look"]), transactions, maybe
)


def _tell(board: Board, running: dict[int, int | None], kind: str, number: int, power: Any) -> None:
    """Tell the board what a real server would: progress and ends are those of open ones."""
    place = GUN_OF[number]
    if kind == "start" and number not in running:
        running[number] = None
        board.transaction_started(TransactionStarted(number, *place, STARTED_AT[number]))
    elif kind == "progress" and number in running:
        running[number] = running[number] if power is None else power
        board.transaction_progressed(TransactionProgressed(number, *place, START, power))
    elif kind == "end" and number in running:
        del running[number]
        board.transaction_ended(TransactionEnded(number, *place, START))


@given(st.lists(told, max_size=60))
@settings(max_examples=300, deadline=None)
def test_every_viewer_ends_with_the_newest_open_transaction_of_each_gun(
    todo: list[tuple[str, int, Any]],
) -> None:
    board = Board(FrameRing("e", size=4, join=4), lambda: START)
    board.load(hub_facts(STATIONS))
    for station in (1, 2):
        board.station_online(StationOnline(station, "x", START))
    running: dict[int, int | None] = {}
    viewer = Viewer()
    for kind, number, power in [*todo, ("flush", 1, None), ("look", 1, None)]:
        _tell(board, running, kind, number, power)
        if kind == "flush":
            board.flush()
        elif kind == "look":
            cursor = board.ring.cursor(viewer.last_event_id)
            viewer.apply_text(board.catch_up(cursor, TOPICS))
    power_w = 0
    for gun in set(GUN_OF.values()):
        here = [number for number in running if GUN_OF[number] == gun]
        newest = max(here, key=lambda number: STARTED_AT[number], default=None)
        power_w += (running[newest] or 0) if newest is not None else 0
        shown = viewer.evses[f"{gun[0]}-{gun[1]}"]
        assert shown["transaction_id"] == newest
        assert shown["power_w"] == (running[newest] if newest is not None else None)
    assert viewer.hub["power_w"] == power_w
    assert viewer.hub["transactions_active"] == len({GUN_OF[number] for number in running})


@given(actions)
@settings(max_examples=100, deadline=None)
def test_a_viewer_of_one_topic_never_sees_the_other(todo: list[tuple[str, Any]]) -> None:
    board = Board(FrameRing("e"), lambda: START)
    board.load(hub_facts(STATIONS))
    topics = frozenset({"power"})
    cursor = None
    for kind, argument in todo:
        if kind == "event":
            _apply(board, argument)
        elif kind == "flush":
            board.flush()
        else:
            text = board.catch_up(cursor, topics)
            cursor = board.ring.seq
            assert b'"board"' not in text
            assert b'"transaction_id"' not in text
