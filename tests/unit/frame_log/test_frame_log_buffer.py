"""The frame log's buffer: what waits leaves in portions that no COMMIT chokes on, in order."""

from __future__ import annotations

from datetime import UTC, datetime

from chargehub.frame_log.log import PORTION_BYTES, ROW_BYTES, FrameLog
from chargehub.frame_log.store import INSERT_FRAMES, INSERT_FRAMES_AGAIN
from chargehub.limits import Limits

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def waiting(sizes: list[int]) -> FrameLog:
    log = FrameLog(text_max=Limits().frame_log_text, waiting_max_bytes=2**26)
    for number, size in enumerate(sizes):
        log.add(NOON, 1, 1, number, 2, "in", "made-up", "id", "DataTransfer", "x" * size)
    return log


def test_a_backlog_leaves_in_portions_and_in_order() -> None:
    sizes = [300] * 3_000 + [200_000] * 9 + [300] * 3_000
    log = waiting(sizes)
    taken, portions = [], log.portions
    for _ in range(portions):
        rows = log.take()
        assert sum(len(row[-1]) + ROW_BYTES for row in rows) < PORTION_BYTES + 201_000
        taken += [row[3] for row in rows]
    assert 4 <= portions <= 6
    assert taken == list(range(len(sizes)))
    assert (log.portions, log.take()) == (0, [])


def test_what_comes_in_meanwhile_waits_its_turn() -> None:
    log = waiting([PORTION_BYTES] * 3)
    first = log.take()
    log.add(NOON, 1, 1, 3, 2, "in", "made-up", "id", "Heartbeat", "late")
    assert [row[3] for row in first] == [0]
    log.give_back(first)
    numbers = [row[3] for _ in range(log.portions) for row in log.take()]
    assert numbers == [0, 1, 2, 3]


def test_what_comes_after_nothing_was_taken_is_not_in_what_was_taken() -> None:
    log = waiting([])
    taken = log.take()
    log.add(NOON, 1, 1, 3, 2, "in", "made-up", "id", "Heartbeat", "late")
    assert taken == []


def test_only_what_may_be_there_already_is_written_so_that_it_may() -> None:
    log = waiting([PORTION_BYTES] * 3)
    first = log.take()
    assert log.statement is INSERT_FRAMES
    log.give_back(first)
    assert log.take() == first
    assert log.statement is INSERT_FRAMES_AGAIN
    log.committed(first)
    log.take()
    assert log.statement is INSERT_FRAMES


def test_by_default_the_largest_frame_is_kept_whole() -> None:
    size = Limits().max_frame_bytes
    (row,) = waiting([size]).take()
    assert (len(row[-1]), row[5]) == (size, None)
