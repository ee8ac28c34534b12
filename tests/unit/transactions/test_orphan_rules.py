"""Closing by policy is decided in the batch: what was committed before it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Item, Writes
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.meter import begin_track
from chargehub.transactions.orphans import SILENCE, CloseHandler, CloseRequested

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def decide(heard_ago: timedelta, silent_for: timedelta | None) -> bool:
    book = Book()
    begun_at = NOW - timedelta(hours=1)
    track = begin_track(5_000, begun_at, 120_000)
    book.put(
        OpenTransaction(
            1, 1, "1", 1, 1, "card", None, True, begun_at, track, heard_at=NOW - heard_ago
        )
    )
    request = CloseRequested(1, NOW, 1, silent_for)
    handler = CloseHandler(book, EventBus())
    return handler.decide(Item(1, None, handler, request, lambda *_: None), {}, Writes()).reply


@pytest.mark.parametrize(
    ("heard_ago", "silent_for", "closed"),
    [
        (SILENCE, SILENCE, True),
        (timedelta(seconds=1), SILENCE, False),
        (timedelta(seconds=1), None, True),
    ],
)
def test_a_message_that_came_after_the_look_keeps_the_transaction_open(
    heard_ago: timedelta, silent_for: timedelta | None, closed: bool
) -> None:
    assert decide(heard_ago, silent_for) is closed
