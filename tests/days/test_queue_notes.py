"""The notes on the queue find fault: an idle gun, one passed over, two guns, a call too long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.days.people import MIDNIGHT, MINUTE
from tests.days.queue_notes import FreeGun, QueueNotes

GUN = FreeGun("QZ-001-1", 60_000)


def clock(minute: float) -> str:
    return datetime.fromtimestamp(MIDNIGHT + minute * MINUTE, UTC).isoformat()


def entry(number: int, joined: float, wanted_w: int = 0, **more: Any) -> dict[str, Any]:
    usual = {"status": "waiting", "call": None, "called_at": None, "skipped": 0}
    mine = {"id": number, "joined_at": clock(joined), "wanted_power_w": wanted_w}
    return usual | mine | more


def called(number: int, joined: float, power_w: int = 60_000) -> dict[str, Any]:
    call = {"reservation_id": 70 + number, "gun_code": GUN.code, "power_w": power_w}
    return entry(number, joined, status="called", call=call, called_at=clock(joined))


def held(number: int, begin: float, end: float, **more: Any) -> dict[str, Any]:
    usual = {"gun_code": GUN.code, "driver_id": "one", "queue_entry_id": None, "called_at": None}
    times = {"held_from": clock(begin), "starts_at": clock(begin), "hold_until": clock(end)}
    return usual | times | {"id": number} | more


def look(
    *minutes: float,
    line: list[dict[str, Any]],
    held: list[dict[str, Any]] | None = None,
    free: tuple[FreeGun, ...] = (),
) -> QueueNotes:
    notes = QueueNotes()
    for minute in minutes:
        notes.look(MIDNIGHT + minute * MINUTE, line, held or [], free)
    return notes


@pytest.mark.parametrize(
    ("minutes", "wanted_w", "reservations", "idle"),
    [
        ((5, 6), 0, [], [GUN.code]),
        ((5,), 0, [], []),  # A moment is needed to call somebody.
        ((5, 6), 120_000, [], []),
        ((5, 6), 0, [held(1, 30, 45)], []),  # Kept for a window to come.
        ((5, 6), 0, [held(1, 90, 105)], [GUN.code]),
        ((5, 6), 0, [held(1, 4, 19, gun_code="QZ-002-1")], []),  # Theirs first, whose gun is not.
        ((5, 6), 0, [held(1, 4, 19, gun_code="QZ-002-1", called_at=clock(4))], [GUN.code]),
    ],
)
def test_a_gun_that_stands_free_while_somebody_waits_is_seen(
    minutes: tuple[float, ...], wanted_w: int, reservations: list[dict[str, Any]], idle: list[str]
) -> None:
    notes = look(*minutes, line=[entry(1, 4, wanted_w)], held=reservations, free=(GUN,))
    assert notes.idle == idle


@pytest.mark.parametrize(
    ("first", "passed_over"),
    [
        (entry(1, 4), {(1, 2)}),
        (entry(1, 6), set()),
        (entry(1, 4, 120_000), set()),  # The gun would not have done.
        (entry(1, 4, skipped=1), set()),
        (entry(1, 4, called_at=clock(4.5)), set()),
    ],
)
def test_who_came_first_and_is_not_called_first_is_seen(
    first: dict[str, Any], passed_over: set[tuple[int, int]]
) -> None:
    assert look(7, 8, line=[first, called(2, 5)]).passed_over == passed_over


@pytest.mark.parametrize(
    ("other", "twice"),
    [
        (held(2, 5, 10, gun_code="QZ-002-1", queue_entry_id=8), {"one"}),
        (held(2, 5, 10, gun_code="QZ-002-1", queue_entry_id=8, driver_id="two"), set()),
        (held(2, 7, 10, gun_code="QZ-002-1", queue_entry_id=8), set()),
        (held(2, 5, 10, gun_code="QZ-002-1"), set()),
    ],
)
def test_who_is_called_while_a_gun_is_held_for_them_is_seen(
    other: dict[str, Any], twice: set[str]
) -> None:
    assert look(6, line=[], held=[held(1, 4, 19), other]).held_twice == twice


@pytest.mark.parametrize(("minute", "too_long"), [(10.5, set()), (11.5, {1})])
def test_a_gun_that_is_held_past_the_end_is_seen(minute: float, too_long: set[int]) -> None:
    assert look(minute, line=[], held=[held(1, 5, 10)]).held_too_long == too_long


def test_each_finding_is_told_as_a_fault() -> None:
    reservations = [
        held(1, 1, 2, gun_code="QZ-002-1", queue_entry_id=8, called_at=clock(1)),
        held(2, 1, 9, gun_code="QZ-003-1", called_at=clock(1)),
    ]
    notes = look(5, 6, line=[entry(1, 3), called(2, 4)], held=reservations, free=(GUN,))
    assert len(notes.faults) == 4
