"""A hub within the process that accepts everything: for runs without a network."""

from __future__ import annotations

import asyncio
from collections import Counter

from simulators.client import Disconnected, Payload
from simulators.clock import Clock, rfc3339


class AcceptingHub:
    """Shared by the wires of all stations, so that numbers are given once."""

    def __init__(self, clock: Clock) -> None:
        self.received: Counter[str] = Counter()
        self._clock = clock
        self._last_number = 0

    def answer(self, action: str, payload: Payload) -> Payload:
        self.received[action] += 1
        now = rfc3339(self._clock.now())
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": 86_400}
        answer: Payload = {"currentTime": now} if action == "Heartbeat" else {}
        if "idToken" in payload:
            answer["idTokenInfo"] = _verdict(payload["idToken"]["idToken"])
        elif "idTag" in payload:
            answer["idTagInfo"] = _verdict(payload["idTag"])
        if action == "StartTransaction":
            self._last_number += 1
            answer["transactionId"] = self._last_number
        return answer


class InProcessWire:
    def __init__(self, hub: AcceptingHub) -> None:
        self._hub = hub
        self._lost = asyncio.Event()
        self._lost.set()

    @property
    def connected(self) -> bool:
        return not self._lost.is_set()

    async def open(self) -> None:
        self._lost.clear()

    async def call(self, action: str, payload: Payload, *, lose_answer: bool = False) -> Payload:
        await asyncio.sleep(0)
        if not self.connected or lose_answer:
            raise Disconnected(action)
        return self._hub.answer(action, payload)

    async def close(self, *, abruptly: bool = False) -> None:  # noqa: ARG002 - there is no cable.
        self._lost.set()

    async def wait_lost(self) -> None:
        await self._lost.wait()


def _verdict(token: str) -> Payload:
    return {"status": "Invalid" if token.startswith("LOST") else "Accepted"}
