"""The proof that a promise is kept: days with a full hub in the evening, a small one and a whole.

Nobody has a gun that another was promised, whoever comes within the window, or as they are called
from the queue, finds one of that power within two minutes, and what the hub says of a reservation
is what happened. In the queue nobody is passed over and no gun stands idle.
"""

from __future__ import annotations

import pytest

from tests.days.__main__ import show
from tests.days.ledger import Ledger
from tests.days.whole_day import FULL, SMALL, Size, live_a_day

SMALL_SEED = 7
"""A day on which everything happens that the test below asks for."""


async def check_day(database_url: str, size: Size, seed: int) -> Ledger:
    ledger = await live_a_day(database_url, size, seed)
    show(ledger, size, seed, 0.0)
    assert ledger.faults == []
    # A day that proves something: the hub was full while promises were to be kept.
    assert ledger.fullest.taken > 0.95
    assert ledger.full_minutes >= 15
    assert sum(promise.kept for promise in ledger.bookings) >= size.drivers // 10
    assert sum(promise.kept for promise in ledger.calls) >= size.drivers // 20
    return ledger


@pytest.mark.timeout(900)
async def test_every_promise_of_a_day_is_kept(database_url: str) -> None:
    ledger = await check_day(database_url, SMALL, SMALL_SEED)
    outcomes = ledger.outcomes()
    assert outcomes["no_show"] >= 1
    assert outcomes["cancelled"] >= 1
    assert ledger.moved
    assert ledger.extended >= 1
    assert ledger.repeated >= 1
    assert ledger.refused_at_held_gun >= 1
    assert ledger.walk_in_waits_s


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [4, 5])
async def test_every_promise_of_a_full_day_is_kept(database_url: str, seed: int) -> None:
    await check_day(database_url, FULL, seed)
