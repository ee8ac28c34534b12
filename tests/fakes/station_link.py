"""A StationLink without sockets: stations answer as scripted, what was sent is kept."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable

from chargehub.stations.commands import Command, CommandAnswer, StationOffline

Outcome = CommandAnswer | Exception | asyncio.Event
"""An answer, an error, or silence until the event is set (then it answers Accepted)."""


class FakeStationLink:
    def __init__(self) -> None:
        self.online: set[int] = set()
        self.sent: list[tuple[int, Command]] = []
        self.disconnected: list[int] = []
        self._scripts: dict[int, deque[Outcome]] = defaultdict(deque)

    def script(self, station_id: int, *outcomes: Outcome) -> None:
        """Queue what the station's next commands come to; unscripted ones are Accepted."""
        self._scripts[station_id].extend(outcomes)

    def online_ids(self) -> frozenset[int]:
        return frozenset(self.online)

    def check(self, station_id: int, command: Command, *, least_profile: int = 0) -> None:
        """Take every command: the gateway's tests say what a protocol has no words for."""

    def on_arrival(self, told: Callable[[int], None]) -> None:
        """Nobody arrives here: tests say who is online."""

    async def disconnect(self, station_id: int) -> None:
        self.disconnected.append(station_id)
        self.online.discard(station_id)

    async def send(self, station_id: int, command: Command) -> CommandAnswer:
        if station_id not in self.online:
            raise StationOffline
        self.sent.append((station_id, command))
        script = self._scripts[station_id]
        outcome = script.popleft() if script else CommandAnswer("Accepted", {"status": "Accepted"})
        if isinstance(outcome, asyncio.Event):
            await outcome.wait()
            return CommandAnswer("Accepted", {"status": "Accepted"})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
