"""The board: what events make of it, and what its frames say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargehub.live.board import TOPICS, Board
from chargehub.live.facts import ConnectorFacts, TransactionFacts
from chargehub.live.frames import FrameRing
from chargehub.stations.events import (
    ConnectorStatusChanged,
    HubLayoutChanged,
    StationOnline,
    StationWentOffline,
)
from chargehub.stations.reports import ConnectorStatus as Status
from chargehub.transactions.events import (
    TransactionEnded,
    TransactionProgressed,
    TransactionStarted,
)
from tests.live_client import Viewer, view_of
from tests.synthetic_hub import START, hub_facts


@pytest.fixture
def board() -> Board:
    board = Board(FrameRing("e"), lambda: START)
    board.load(hub_facts(3))
    for station in (1, 2, 3):
        board.station_online(StationOnline(station, f"QZ-{station:03d}", START))
    return board


def evse(board: Board, key: str) -> dict[str, Any]:
    return view_of(board.snapshot()).evses[key]


def outdated(board: Board) -> bool:
    return board.outdated


def hub(board: Board) -> dict[str, Any]:
    return view_of(board.snapshot()).hub


def status(board: Board, station: int, gun: int, value: Status, connector: int = 1) -> None:
    board.connector_status_changed(ConnectorStatusChanged(station, gun, connector, value, START))


def progress(board: Board, transaction: int = 7, **values: Any) -> None:
    board.transaction_progressed(TransactionProgressed(transaction, 1, 2, START, **values))


def start(board: Board, transaction: int = 7, at: datetime = START, **values: Any) -> None:
    board.transaction_started(TransactionStarted(transaction, 1, 2, at, **values))


def end(board: Board, transaction: int = 7, energy_wh: int | None = None) -> None:
    board.transaction_ended(TransactionEnded(transaction, 1, 2, START, energy_wh))


def test_a_transaction_from_its_start_to_its_end(board: Board) -> None:
    status(board, 1, 2, Status.CHARGING)
    start(board)
    progress(board, power_w=98_000, energy_wh=1200, soc_percent=41.5)
    shown = evse(board, "1-2")
    assert (shown["status"], shown["transaction_id"]) == ("Charging", 7)
    assert (shown["power_w"], shown["energy_wh"], shown["soc_percent"]) == (98_000, 1200, 41.5)
    assert hub(board)["power_w"] == 98_000
    assert hub(board)["transactions_active"] == 1
    end(board, energy_wh=1500)
    shown = evse(board, "1-2")
    assert shown["transaction_id"] is None
    assert [shown[key] for key in ("power_w", "energy_wh", "soc_percent")] == [None, None, None]
    assert hub(board)["power_w"] == 0
    assert hub(board)["transactions_today"] == {"quzhou-hub": 1}
    assert hub(board)["energy_today_wh"] == {"quzhou-hub": 1500}


def test_a_value_not_told_keeps_the_last_one(board: Board) -> None:
    start(board)
    progress(board, power_w=50_000, soc_percent=20.0)
    progress(board, energy_wh=300)
    shown = evse(board, "1-2")
    assert (shown["power_w"], shown["soc_percent"], shown["energy_wh"]) == (50_000, 20.0, 300)


def test_samples_of_an_unheard_start_put_the_transaction_on_its_evse(board: Board) -> None:
    progress(board, power_w=60_000)
    assert evse(board, "1-2")["transaction_id"] == 7


def test_an_older_transaction_that_was_never_ended_does_not_come_back(board: Board) -> None:
    start(board, 7)
    start(board, 8)
    progress(board, 8, power_w=60_000)
    progress(board, 7, power_w=1)
    end(board, 7)
    shown = evse(board, "1-2")
    assert (shown["transaction_id"], shown["power_w"]) == (8, 60_000)


def test_a_start_told_twice_is_one(board: Board) -> None:
    start(board)
    progress(board, power_w=60_000)
    start(board)
    assert evse(board, "1-2")["power_w"] == 60_000
    assert hub(board)["transactions_today"] == {"quzhou-hub": 1}


def test_only_transactions_of_the_local_day_count_as_today(board: Board) -> None:
    start(board, 7, START - timedelta(hours=15))
    end(board, 7, energy_wh=900)
    assert (hub(board)["transactions_today"], hub(board)["energy_today_wh"]) == ({}, {})


@pytest.mark.parametrize(
    ("charging_state", "power_w", "shown"),
    [
        ("Charging", 0, "Charging"),
        ("EVConnected", None, "Preparing"),
        ("SuspendedEV", 0, "SuspendedEV"),
        ("SuspendedEVSE", 0, "SuspendedEVSE"),
        ("Idle", None, "Finishing"),
        (None, 40_000, "Charging"),
        (None, 0, "Occupied"),
        ("Something", 0, "Occupied"),
    ],
)
def test_an_occupied_connector_is_told_apart_by_its_transaction(
    board: Board, charging_state: str | None, power_w: int | None, shown: str
) -> None:
    viewer = Viewer()
    viewer.apply_text(board.catch_up(None, TOPICS))
    board.flush()
    status(board, 1, 2, Status.OCCUPIED)
    start(board)
    board.flush()
    progress(board, power_w=power_w, charging_state=charging_state)
    board.flush()
    assert evse(board, "1-2")["status"] == shown
    cursor = board.ring.cursor(viewer.last_event_id)
    viewer.apply_text(board.catch_up(cursor, TOPICS))
    assert viewer.evses["1-2"]["status"] == shown
    end(board)
    assert evse(board, "1-2")["status"] == "Occupied"


def test_of_several_connectors_the_most_telling_one_shows(board: Board) -> None:
    status(board, 1, 1, Status.AVAILABLE, connector=1)
    status(board, 1, 1, Status.CHARGING, connector=2)
    assert evse(board, "1-1")["status"] == "Charging"
    status(board, 1, 1, Status.UNAVAILABLE, connector=2)
    assert evse(board, "1-1")["status"] == "Unavailable"


def test_an_offline_station_keeps_its_last_status_but_counts_as_offline(board: Board) -> None:
    status(board, 1, 2, Status.CHARGING)
    start(board)
    progress(board, power_w=60_000)
    board.station_went_offline(StationWentOffline(1, "QZ-001", START))
    assert evse(board, "1-2")["status"] == "Charging"
    assert hub(board)["evses_by_state"] == {"Offline": 2, "Unknown": 4}
    assert hub(board)["stations_online"] == 2
    assert hub(board)["power_w"] == 0


def test_the_station_as_a_whole_has_a_status_of_its_own(board: Board) -> None:
    board.connector_status_changed(
        ConnectorStatusChanged(1, 0, 0, Status.FAULTED, START, "EmergencyStop")
    )
    station = view_of(board.snapshot()).stations[1]
    assert (station["status"], station["error"]) == ("Faulted", "EmergencyStop")
    assert evse(board, "1-1")["status"] == "Unknown"


def test_what_the_board_does_not_know_makes_it_outdated_and_breaks_nothing(board: Board) -> None:
    unknown: list[Callable[[], None]] = [
        lambda: board.station_online(StationOnline(99, "new", START)),
        lambda: board.connector_status_changed(
            ConnectorStatusChanged(99, 1, 1, Status.AVAILABLE, START)
        ),
        lambda: board.connector_status_changed(
            ConnectorStatusChanged(1, 9, 1, Status.AVAILABLE, START)
        ),
        lambda: board.transaction_progressed(TransactionProgressed(5, 99, 1, START, 1)),
        lambda: board.transaction_started(TransactionStarted(5, 1, 9, START)),
        lambda: board.layout_changed(HubLayoutChanged(START)),
    ]
    for tell in unknown:
        board.layout_changed(HubLayoutChanged(START))
        board.load(hub_facts(3))
        tell()
        assert board.outdated


@pytest.mark.parametrize(("station", "gun"), [(1, 9), (99, 1)])
def test_what_the_database_does_not_know_either_is_asked_for_once(
    board: Board, station: int, gun: int
) -> None:
    status(board, station, gun, Status.AVAILABLE)
    assert outdated(board)
    board.load(hub_facts(3))
    for other_gun in (gun, gun + 1):
        status(board, station, other_gun, Status.CHARGING)
        board.transaction_started(TransactionStarted(7, station, other_gun, START))
        board.transaction_progressed(TransactionProgressed(8, station, other_gun, START, 1))
    assert not outdated(board), "one misconfigured station makes the board reload for everyone"
    board.layout_changed(HubLayoutChanged(START))
    board.load(hub_facts(3))
    status(board, station, gun, Status.AVAILABLE)
    assert outdated(board)


def test_a_transaction_whose_evse_is_not_told_yet_waits_without_harm(board: Board) -> None:
    board.transaction_started(TransactionStarted(7, 1, None, START))
    assert not board.outdated
    assert hub(board)["transactions_active"] == 0
    progress(board, power_w=60_000)
    assert evse(board, "1-2")["transaction_id"] == 7


def test_midnight_makes_the_board_outdated() -> None:
    now = START
    board = Board(FrameRing("e"), lambda: now)
    board.load(hub_facts(1))
    board.notice_midnight()
    assert not board.outdated
    now = START + timedelta(hours=10)
    board.notice_midnight()
    assert board.outdated


def test_a_flush_without_changes_makes_no_frame(board: Board) -> None:
    assert board.flush()
    before = board.ring.seq
    assert not board.flush()
    assert board.ring.seq == before


def test_a_frame_holds_only_what_changed(board: Board) -> None:
    board.flush()
    start(board)
    board.flush()
    progress(board, power_w=60_000)
    progress(board, power_w=61_000)
    cursor = board.ring.seq
    board.flush()
    text = board.catch_up(cursor, TOPICS)
    data = json.loads(text.split(b"data: ")[1])
    assert data["power"]["evses"] == [
        {"id": "1-2", "power_w": 61_000, "energy_wh": None, "soc_percent": None}
    ]
    assert "board" not in data


def test_viewers_between_two_flushes_share_one_snapshot(board: Board) -> None:
    first = board.catch_up(None, TOPICS)
    status(board, 1, 1, Status.CHARGING)
    assert board.catch_up(None, TOPICS) is first
    board.flush()
    assert b'"Charging"' in board.catch_up(None, TOPICS)


def test_the_beat_carries_the_newest_id_and_the_time(board: Board) -> None:
    board.flush()
    viewer = Viewer()
    viewer.apply_text(board.beat_event())
    assert viewer.beats == 1
    assert viewer.last_event_id == board.ring.event_id
    assert board.beat_event().startswith(b": beat\n")


def test_loading_takes_running_transactions_along() -> None:
    facts = hub_facts(1)
    (station,) = facts.stations
    gun = station.evses[0]
    running = TransactionFacts(5, START, None, 30_000, 4_000, 50.0)
    charging = {1: ConnectorFacts(Status.CHARGING, START)}
    loaded = type(gun)(gun.evse_no, gun.gun_code, gun.max_power_w, charging, (running,))
    values = {name: getattr(station, name) for name in station.__dataclass_fields__}
    values.update(online=True, evses=(loaded,))
    board = Board(FrameRing("e"), lambda: datetime(2026, 11, 23, 7, tzinfo=UTC))
    board.load(type(facts)(facts.locations, (type(station)(**values),), facts.today))
    assert hub(board)["power_w"] == 30_000
    assert evse(board, "1-1")["energy_wh"] == 4_000
