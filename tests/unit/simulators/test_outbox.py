"""What a station's outbox keeps, and what it gives up."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from simulators import outbox as outbox_module
from simulators.client import Disconnected, Payload
from simulators.clock import ManualClock
from simulators.in_process import AcceptingHub, InProcessWire
from simulators.misbehaviour import NO_QUIRKS
from simulators.outbox import Acknowledged, Message, Outbox
from simulators.statistics import Statistics


class Line:
    """An outbox on a wire to an accepting hub, and what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.statistics = Statistics()
        self.wire = InProcessWire(AcceptingHub(ManualClock(0)))
        self.outbox = Outbox(self.wire, NO_QUIRKS, self.statistics, self.acknowledged.append)

    def put(self, action: str, number: int = 0, *, durable: bool = True) -> None:
        payload: Payload = {"n": number}
        sample = action == "MeterValues"
        self.outbox.put(Message(action, partial(dict, payload), durable=durable, sample=sample))

    async def flush(self) -> list[tuple[str, int]]:
        await self.wire.open()
        self.outbox.release()
        await self.outbox.settled()
        await self.outbox.stop()
        return [(a.action, a.payload["n"]) for a in self.acknowledged]


async def test_only_transaction_messages_survive_an_outage() -> None:
    line = Line()
    line.put("StartTransaction", 1)
    line.put("StatusNotification", 2, durable=False)
    line.put("StopTransaction", 3)
    assert await line.flush() == [("StartTransaction", 1), ("StopTransaction", 3)]


async def test_an_overfull_queue_sheds_its_oldest_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "QUEUE_LIMIT", 4)
    line = Line()
    line.put("StartTransaction", 0)
    for number in range(1, 6):
        line.put("MeterValues", number)
    line.put("StopTransaction", 6)
    assert await line.flush() == [
        ("StartTransaction", 0),
        ("MeterValues", 4),
        ("MeterValues", 5),
        ("StopTransaction", 6),
    ]
    assert line.statistics.errors["sample shed by a full queue"] == 3


async def test_who_asks_over_a_lost_line_is_told() -> None:
    line = Line()
    with pytest.raises(Disconnected):
        await line.outbox.ask(Message("Authorize", dict))
    await line.wire.open()
    line.outbox.release()
    asking = asyncio.create_task(line.outbox.ask(Message("Authorize", dict)))
    await asyncio.sleep(0)
    await line.wire.close()
    with pytest.raises(Disconnected):
        await asking
    await line.outbox.stop()


async def test_undelivered_is_told_once_and_after_the_message_is_queued() -> None:
    line = Line()
    told: list[int] = []

    def tell() -> None:
        told.append(len(line.outbox))

    line.outbox.put(Message("StartTransaction", dict, durable=True, undelivered=tell))
    line.outbox.pause()
    assert told == [1]
