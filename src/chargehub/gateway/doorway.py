"""The way in at one port: who came over TCP and is not a served station yet. Counts, decides.

Whoever connects has a place until its WebSocket handshake is done or its socket is gone; whoever
finds none is turned away unheard. Who is let in as what station is the listener's matter.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

ROOM_PER_HANDSHAKE = 2
"""Connections that have a place, for each handshake that may be decided: most of them, in a rush,
have not said yet what they want, and the others are owed an answer."""


@dataclass(slots=True)
class Doorway:
    handshakes_max: int
    present: int = 0
    """Connections on their way in."""
    deciding: int = 0
    """Those of them whose request was read and is being decided."""

    @property
    def room(self) -> int:
        return ROOM_PER_HANDSHAKE * self.handshakes_max

    @property
    def decides_more(self) -> bool:
        return self.deciding < self.handshakes_max

    def enter(self) -> Place | None:
        """Return a place; None where all are taken."""
        if self.present >= self.room:
            return None
        self.present += 1
        return Place(self)


@dataclass(slots=True, eq=False)
class Place:
    doorway: Doorway
    _held: bool = True

    def leave(self) -> None:
        """Give the place up; safe to call twice."""
        if self._held:
            self._held = False
            self.doorway.present -= 1


class TurnedAway(asyncio.Protocol):
    """A connection that found no place: ended before it has said anything."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()
