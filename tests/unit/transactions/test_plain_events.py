"""The short way of a common event gives what the long way gives: rows, memory, what is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import Item, Writes
from chargehub.telemetry.readings import Flag, Reading
from chargehub.transactions import inbound
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.events import TransactionProgressed, TransactionStarted
from chargehub.transactions.facts import EventFacts, EvseFact
from chargehub.transactions.inbound import TransactionHandler
from chargehub.transactions.meter import begin_track
from chargehub.transactions.reports import EventKind, TransactionReported

BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
# Weighted so that most draws lack one thing at most for the short way.
STATES = st.sampled_from([None, "Charging", "Charging", "Charging", "SuspendedEV"])
TOLD = st.sampled_from([None, None, None, 1, 2])
KNOWN = st.sampled_from([1, 1, 1, None])
FLAGS = st.sampled_from([Flag.NONE, Flag.OFFLINE, Flag.REGISTER_RESET])


def moments(seconds: int = 3_000) -> st.SearchStrategy[datetime]:
    return st.integers(-60, seconds).map(lambda shift: BEGIN + timedelta(seconds=shift))


readings = st.tuples(
    moments(),
    st.one_of(st.none(), st.integers(990, 1_600), st.integers(0, 50_000)),
    st.one_of(st.none(), st.integers(0, 120_000)),
).map(lambda drawn: Reading(drawn[0], register_wh=drawn[1], power_w=drawn[2]))


def _reported(drawn: Any) -> TransactionReported:
    return TransactionReported(**drawn)


reported = st.fixed_dictionaries(
    {
        "station_id": st.just(7),
        "received_at": moments(),
        "kind": st.sampled_from([*[EventKind.UPDATED] * 5, EventKind.STARTED]),
        "at": moments(),
        "transaction_ref": st.just("t"),
        "evse_no": TOLD,
        "connector_no": TOLD,
        "readings": st.lists(readings, max_size=3).map(tuple),
        "seq_no": st.integers(0, 9),
        "trigger": st.sampled_from([None, None, "MeterValuePeriodic", "TxResumed"]),
        "charging_state": STATES,
        "offline": st.sampled_from([False, False, False, True]),
        "remote_start_id": TOLD,
        "reservation_id": TOLD,
        "flags": st.sampled_from([0, 0, 0, 0, int(Flag.CLOCK_SKEW)]),
    }
).map(_reported)
known = st.fixed_dictionaries(
    {
        "evse_no": KNOWN,
        "connector_no": KNOWN,
        "charging_state": STATES,
        "told_at": st.one_of(st.none(), moments()),
        "shown_at": st.one_of(st.none(), moments()),
        "remote_start_id": KNOWN,
        "reservation_id": KNOWN,
        "flags": FLAGS,
    }
)


@contextmanager
def the_long_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbound, "tells_values_only", lambda _report, _found: False)
        yield


def outcome(
    report: TransactionReported, before: dict[str, Any], register_wh: int | None
) -> dict[str, Any]:
    """Decide one event on a book with one transaction; return all that came of it."""
    book, bus = Book(), EventBus()
    book.put(
        OpenTransaction(
            id=3,
            station_id=7,
            ref="t",
            id_token="card",
            group_id_token=None,
            authorized=True,
            started_at=BEGIN,
            track=begin_track(register_wh, BEGIN, 120_000),
            heard_at=BEGIN,
            **before,
        )
    )
    told: list[object] = []
    bus.subscribe(TransactionProgressed, told.append)
    bus.subscribe(TransactionStarted, told.append)
    handler, writes = TransactionHandler(book, bus), Writes()
    facts = EventFacts(evses={(7, 1): EvseFact(120_000, None), (7, 2): EvseFact(120_000, None)})
    decision = handler.decide(Item(7, 1, handler, report, lambda *_: None), facts, writes)
    if decision.on_commit is not None:
        decision.on_commit()
    left = book.by_id(3)
    return {
        "reply": decision.reply,
        "rows": {statement.name: rows for statement, rows in writes.statements()},
        "left": left and {field.name: getattr(left, field.name) for field in fields(left)},
        "told": told,
    }


@settings(max_examples=1_000)
@given(reported, known, st.sampled_from([None, 0, 1_000, 1_000, 1_000]))
def test_both_ways_agree(
    report: TransactionReported, before: dict[str, Any], register_wh: int | None
) -> None:
    short = outcome(report, before, register_wh)
    with the_long_way():
        assert short == outcome(report, before, register_wh)


def test_the_common_event_takes_the_short_way() -> None:
    report = TransactionReported(
        station_id=7,
        received_at=BEGIN + timedelta(seconds=31),
        kind=EventKind.UPDATED,
        at=BEGIN + timedelta(seconds=30),
        transaction_ref="t",
        evse_no=1,
        connector_no=1,
        readings=(Reading(BEGIN + timedelta(seconds=30), register_wh=1_800),),
        trigger="MeterValuePeriodic",
        charging_state="Charging",
    )
    before = {"evse_no": 1, "connector_no": 1, "charging_state": "Charging"}
    came = outcome(report, before, 1_000)
    assert sorted(came["rows"]) == ["samples.insert", "transaction_events.insert"]
    assert came["left"]["track"].energy_wh == 800
    assert came["left"]["told_at"] == report.at
    assert came["left"]["heard_at"] == report.received_at
