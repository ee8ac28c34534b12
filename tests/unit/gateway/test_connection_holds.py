"""A station that reads nothing is read no more: its answers must not pile up with us."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from chargehub.gateway.connection import StationConnection
from chargehub.gateway.intake import Intake
from chargehub.gateway.rate_limit import RateLimit
from chargehub.gateway.station_socket import StationSocket
from chargehub.gateway.translators import TRANSLATORS
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.ocpp import OcppSession, OcppVersion

NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()


class DeafSocket:
    """Takes nothing, until it is told to; gives one message after another."""

    def __init__(self) -> None:
        self.direct: Any = None
        self.queued = True
        self.paused = True
        self.given = 0
        self.sent: list[str] = []
        self.takes = asyncio.Event()

    async def recv(self) -> str:
        await asyncio.sleep(0)
        self.given += 1
        return f'[2,"{self.given}","Heartbeat",{{}}]'

    async def send(self, text: str) -> None:
        await self.takes.wait()
        self.sent.append(text)


async def test_nothing_more_is_read_while_answers_cannot_leave() -> None:
    socket = DeafSocket()
    translator = TRANSLATORS[OcppVersion.V16]
    connection = StationConnection(
        socket=cast(StationSocket, socket),
        station_id=1,
        identity="CS-1",
        epoch=1,
        session=OcppSession(OcppVersion.V16, supported=translator.inbound),
        translator=translator,
        intake=cast(Intake, None),  # A Heartbeat reports nothing.
        clock=HubClock(ClockPair(NOW, NOW, 1), wall=lambda: NOW),
        rate_limit=RateLimit(1e9, 10**9, 4_096),
        asked_limit=RateLimit(1e9, 10**9, 4_096),
    )
    running = asyncio.create_task(connection.run())
    for _ in range(200):
        await asyncio.sleep(0)
    # The message that cannot be answered, and at most the next, which finds the way barred.
    assert socket.given <= 2
    assert socket.sent == []
    socket.takes.set()
    async with asyncio.timeout(10):
        while socket.given < 50:  # noqa: ASYNC110  The fake has no event for it.
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [text.split('"')[1] for text in socket.sent[:2]] == ["1", "2"]
