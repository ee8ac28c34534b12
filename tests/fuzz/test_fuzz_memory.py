"""What a whole hub keeps in memory of frames: nothing, once their transactions have ended.

Its own handlers, group commit and PostgreSQL, after rounds of conversations that are never the same
twice. What `test_fuzz_frames.py` measures is the gateway alone.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from chargehub.kit.clock import wall_now
from chargehub.kit.group_commit import BatchHandler, Decision, Item, Writes
from chargehub.transactions.orphans import CloseHandler, CloseRequested
from tests.fuzz.conversation import Line, Script
from tests.fuzz.payloads import all_actions, request_schema, response_schema
from tests.fuzz.test_fuzz_hub import AtHub
from tests.hub_fixtures import VERSIONS, RunningHub, eventually

OPEN = "SELECT id, station_id FROM transactions WHERE state = 'Active'"
SCRIPTS = 8
"""Of a version in a round."""
OF_STATIONS = {"_stations", "_asked_about", "translators", "_tolerant", "_calls"}
"""Which stations there are, what versions they speak, and what the hub asks them meanwhile."""
BYTES_A_FRAME = 250
"""The board counts the day's transactions; of reports that are kept it is several times that."""


@dataclass(eq=False)
class KeepingHandler:
    """Leaks: keeps every report."""

    handler: BatchHandler[Any, Any, Any]
    kept: list[Any]

    async def read(self, connection: Any, items: Sequence[Item[Any]]) -> Any:
        return await self.handler.read(connection, items)

    def decide(self, item: Item[Any], facts: Any, writes: Writes) -> Decision[Any]:
        self.kept.append(item.report)
        return self.handler.decide(item, facts, writes)


@dataclass
class Rounds:
    running: RunningHub
    lines: list[Line] = field(default_factory=list)

    async def left_of_a_frame(self, scripts: Iterable[Sequence[Script]]) -> float:
        """Hold conversations, end what they began; return how many bytes more there are a frame."""
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        sent = 0
        for of_all_versions in scripts:
            for line, script in zip(self.lines, of_all_versions, strict=True):
                assert await line.converse(script) == []
                sent += len(script.frames)
        assert await self._end_transactions() > 0
        await self._nothing_is_kept()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / sent

    async def _end_transactions(self) -> int:
        """As an operator does. Until then what is open is in the book, and nothing else."""
        hub = self.running.hub
        opened = await self.running.rows(OPEN)
        assert len(hub.features.ground.book) == len(opened)
        assert all(hub.features.ground.book.by_id(row.id) for row in opened)
        closing = CloseHandler(hub.features.ground.book, hub.bus)
        for row in opened:
            request = CloseRequested(row.station_id, wall_now(), row.id)
            assert await hub.committer.submit(row.station_id, None, closing, request)
        return len(opened)

    async def _nothing_is_kept(self) -> None:
        hub = self.running.hub
        stations = {line.station_id for line in self.lines}
        # They were commissioned behind the board's back, so it asks for them first.
        await eventually(lambda: set(tables_of(hub.features.feed.board)["_stations"]) == stations)
        hub.features.feed.board.flush()
        shown = tables_of(hub.features.feed.board)["_stations"].values()
        evses = [evse for station in shown for evse in station.evses.values()]
        assert [evse.running for evse in evses] == [{}] * 2 * len(stations)
        served = hub.connections.all()
        assert {connection.station_id for connection in served} == stations
        await eventually(lambda: not any(map(kept_of, served)))
        assert [
            kept_of(owner)
            for owner in (hub.features.ground.book, hub.features.feed.board, hub.listener)
        ] == [{}] * 3


def drawn(seed: str) -> list[list[Script]]:
    """Return a round's scripts, one of each version at a time."""
    return [
        [Script.drawn(Random(f"{seed}/{version}/{number}"), version) for version in VERSIONS]
        for number in range(SCRIPTS)
    ]


def tables_of(owner: object) -> dict[str, Any]:
    """Return all that an object may fill, by its attribute."""
    names = getattr(owner, "__slots__", None) or vars(owner)
    tables = ((name, getattr(owner, name)) for name in names)
    return {name: table for name, table in tables if isinstance(table, dict | list | set | deque)}


def kept_of(owner: object) -> dict[str, Any]:
    """Return what is in its tables, but for those of what there is, not of what was said."""
    tables = tables_of(owner).items()
    return {name: table for name, table in tables if table and name not in OF_STATIONS}


@contextmanager
def leaking(hub: RunningHub) -> Iterator[list[Any]]:
    """Keep every report meanwhile."""
    kept: list[Any] = []
    handlers = cast(dict[type, BatchHandler[Any, Any, Any]], hub.hub.listener.intake.handlers)
    before = dict(handlers)
    handlers.update({kind: KeepingHandler(handler, kept) for kind, handler in before.items()})
    yield kept
    handlers.update(before)


async def test_a_whole_hub_keeps_nothing_of_a_frame(hub: RunningHub) -> None:
    for version in VERSIONS:
        for action in all_actions(version):
            request_schema(version, action)
            response_schema(version, action)
    rounds = Rounds(hub, [Line(AtHub(hub), version) for version in VERSIONS])
    # Whatever can be is done before memory is counted: it takes several times as long then.
    warm_up = drawn("warm-up 1")
    measured = [drawn(f"measured {number}") for number in range(3)]
    kept_then = drawn("leaking")
    # First, what is kept on purpose gets there, once to be there and once to be counted.
    await rounds.left_of_a_frame(drawn("warm-up 0"))
    tracemalloc.start()
    try:
        await rounds.left_of_a_frame(warm_up)
        # Then a table may grow by a leap, in one round.
        left = [await rounds.left_of_a_frame(scripts) for scripts in measured]
        assert min(left) < BYTES_A_FRAME
        with leaking(hub) as kept:
            assert await rounds.left_of_a_frame(kept_then) > 2 * BYTES_A_FRAME
        assert kept
    finally:
        tracemalloc.stop()
        for line in rounds.lines:
            await line.hang_up()
