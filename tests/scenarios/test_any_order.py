"""Whatever the order, the repetitions and the reconnects, the books are those of the plain order.

A property over one transaction's messages: the content decides, each message counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chargehub.telemetry.readings import Flag
from tests.scenarios.speech import V16, Message, Session
from tests.scenarios.stage import RawStation, Stage

SEEN_LATE = Flag.STUB | Flag.UNKNOWN_TRANSACTION
"""These tell how we came to know of a transaction, which does depend on the order."""

RECONNECT, SETTLE = "reconnect", "settle"
Step = int | str


@dataclass(frozen=True)
class Told:
    """One session: the registers at its begin, each 10 s, and at its end."""

    begin_wh: int
    samples_wh: tuple[int, ...]
    end_wh: int


STORIES = [
    Told(5_000, (5_300, 5_600, 5_900), 6_100),
    Told(0, (910_300, 910_600, 910_900), 911_100),
    Told(90_000, (90_300, 100, 400), 700),
    Told(5_000, (5_300, 5_600_000, 5_900), 6_100),
    Told(5_000, (5_300, 950_000, 5_900), 6_100),
]


def messages_of(station: RawStation, session: Session, began: float, told: Told) -> list[Message]:
    """Return the session's messages in their plain order; 1.6 must know its number by now."""
    speech = station.speech
    messages = [
        speech.sampled(session, began + 10 * step, [speech.value(register_wh)])
        for step, register_wh in enumerate(told.samples_wh, start=1)
    ]
    messages.append(speech.ended(session, began + 40, told.end_wh))
    return messages


async def tell(
    stage: Stage, station: RawStation, began: float, told: Told, steps: Sequence[Step]
) -> None:
    """Tell the session in the order of `steps`; 0 is its start, which 1.6 must tell first."""
    session = Session(1, await stage.new_token())
    started = station.speech.started(session, began, told.begin_wh, reservation_id=7)
    if station.speech.version == V16:
        station.speech.learn(session, await station.say(started))
    messages = [started, *messages_of(station, session, began, told)]
    for step in steps:
        if step == RECONNECT:
            await station.reconnect()
        elif step == SETTLE:
            await stage.settle()
        else:
            assert isinstance(step, int)
            await station.say(messages[step])
    await stage.settle()


async def books_of(stage: Stage, station: RawStation) -> dict[str, Any]:
    """Return all that is stored of the station's one transaction, without numbers of ours."""
    row = await stage.the_transaction(station.identity)
    columns = (
        "evse_no", "connector_no", "state", "authorization_status", "charging_state",
        "started_at", "ended_at", "begin_register_wh", "end_register_wh", "energy_wh",
        "max_power_w", "stopped_reason", "offline", "reservation_id", "first_seq_no",
        "last_seq_no", "id_token_kind",
    )  # fmt: skip
    books: dict[str, Any] = {name: getattr(row, name) for name in columns}
    books["flags"] = Flag(row.flags) & ~SEEN_LATE
    books["token"] = row.id_token == (row.stop_id_token or "").lower()
    books["samples"] = [
        (s.sampled_at, s.evse_no, s.context, s.register_wh, s.energy_wh)
        for s in await stage.samples_of(row.id)
    ]
    books["events"] = [(e.kind, e.at, e.seq_no) for e in await stage.events_of(row.id)]
    stray = await stage.rows(
        "SELECT 1 FROM samples WHERE station_id = :id AND transaction_id <> :transaction",
        id=station.station_id,
        transaction=row.id,
    )
    assert not stray
    return books


@st.composite
def tellings(draw: st.DrawFn) -> list[Step]:
    """Every message at least once, in any order, some again, with reconnects and settlings."""
    order = draw(st.permutations(range(5)))
    again = draw(st.lists(st.integers(0, 4), max_size=4))
    between = draw(st.lists(st.sampled_from((RECONNECT, SETTLE)), max_size=3))
    steps: list[Step] = list(order)
    extras: list[Step] = [*again, *between]
    for extra in extras:
        steps.insert(draw(st.integers(0, len(steps))), extra)
    return steps


@pytest.mark.parametrize("told", STORIES, ids=str)
@settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
# Settled in between, before it was known when it began: what that made of its clock must go.
@example(steps=[RECONNECT, 4, 1, 2, SETTLE, 0, 3, 4])
@given(steps=tellings())
async def test_any_order_gives_the_same_books(
    stage: Stage, version: str, told: Told, steps: list[Step]
) -> None:
    in_order, in_any = await stage.raw(version), await stage.raw(version)
    began = stage.clock.now()
    stage.pass_time(60)
    await tell(stage, in_order, began, told, range(5))
    await tell(stage, in_any, began, told, steps)
    assert await books_of(stage, in_any) == await books_of(stage, in_order)
    await stage.send_home()


@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    steps=st.permutations(range(5)),
    other_steps=st.permutations(range(5)),
    turns=st.lists(st.booleans(), min_size=10, max_size=10),
)
async def test_two_sessions_told_at_once_stay_apart(
    stage: Stage, steps: list[int], other_steps: list[int], turns: list[bool], version_2x: str
) -> None:
    """Both guns' queues are replayed in one, in any order of each."""
    station = await stage.raw(version_2x)
    began = stage.clock.now()
    stage.pass_time(60)
    queues = []
    for evse_no, order in ((1, steps), (2, other_steps)):
        session = Session(evse_no, await stage.new_token())
        told = STORIES[0] if evse_no == 1 else STORIES[2]
        started = station.speech.started(session, began, told.begin_wh)
        messages = [started, *messages_of(station, session, began, told)]
        queues.append([messages[index] for index in order])
    for turn in turns:
        queue = queues[turn] or queues[not turn]
        await station.say(queue.pop(0))
    await stage.settle()
    rows = await stage.transactions_of(station.identity)
    assert {row.evse_no: row.energy_wh for row in rows} == {1: 1_100, 2: 1_000}
    for row in rows:
        samples = await stage.samples_of(row.id)
        assert [sample.evse_no for sample in samples] == [row.evse_no] * 5
    await stage.send_home()
