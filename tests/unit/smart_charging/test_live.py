"""Statement 49: which transactions are live, and which may be a replay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chargehub.smart_charging.service import is_live
from chargehub.transactions.book import OpenTransaction
from chargehub.transactions.meter import MeterTrack
from tests.unit.smart_charging.profiles import NOON


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@pytest.mark.parametrize(
    ("started", "begun", "told", "heard", "live"),
    [
        # Minutes: begin by the station's clock and when we heard of it; newest word, likewise.
        (0, 0, 0, 0, True),
        (0, 0, 60, 60, True),
        (0, 0, 10, 60, False),  # What it said last was old.
        (0, 50, 0, 50, False),  # A queued start.
        (0, 50, 49, 50, True),  # Its replay has reached the present.
        (0, 50, 30, 50.5, False),  # Still in the burst.
        (0, 50, 51, 51, True),
        (-60, 0, -60, 0, False),  # An hour slow, or queued: not known yet.
        (-60, 0, -56, 4, False),
        (-60, 0, -54, 6, True),  # An hour slow: it keeps its distance.
        (-60, 0, -20, 6, False),  # A slow replay does not.
        (60, 0, 70, 10, True),  # An hour fast.
    ],
)
def test_statement_49_what_is_live(
    started: float, begun: float, told: float, heard: float, live: bool
) -> None:
    transaction = OpenTransaction(
        id=1,
        station_id=1,
        ref="T1",
        evse_no=1,
        connector_no=1,
        id_token=None,
        group_id_token=None,
        authorized=True,
        started_at=NOON + minutes(started),
        track=MeterTrack(120_000, last_at=NOON + minutes(told)),
        heard_at=NOON + minutes(heard),
    )
    assert is_live(transaction, NOON + minutes(begun)) is live
