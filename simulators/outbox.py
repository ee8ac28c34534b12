"""The order in which a station's own messages leave, and which of them survive an outage.

Transaction messages are kept until they are answered, in the order in which they happened.
Everything else is dropped when the connection is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.client import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    Disconnected,
    Payload,
    Wire,
)
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.statistics import Statistics

QUEUE_LIMIT = 5_000
"""Beyond it the oldest samples go first (E04.FR.08); starts and stops stay."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    action: str
    payload: Payload
    answer: Payload


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Message:
    """One CALL to come. `build` runs when it leaves: a 1.6 stop may not know its id sooner."""

    action: str
    build: Callable[[], Payload]
    durable: bool = False
    sample: bool = False
    answered: Callable[[Payload], None] | None = None
    undelivered: Callable[[], None] = _nothing
    """Called when it could not be delivered at its first attempt."""
    failures: int = 0
    answer: asyncio.Future[Payload] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    attempts: int = 3
    """How often a transaction message is tried while the hub answers with a CALLERROR."""
    retry_s: float = 2.0
    """Wall time before the first repetition; it grows with each."""
    noticing_s: float = 0.05
    """Wall time given to a lost connection to be noticed."""


class Outbox:
    def __init__(
        self,
        wire: Wire,
        quirks: Quirks,
        statistics: Statistics,
        record: Callable[[Acknowledged], None],
        options: OutboxOptions | None = None,
    ) -> None:
        self._wire = wire
        self._quirks = quirks
        self._statistics = statistics
        self.record = record
        self._options = options or OutboxOptions()
        self._queue: deque[Message] = deque()
        self._released = False
        self._stir = asyncio.Event()
        self._resting = asyncio.Event()
        self._resting.set()
        self._durable_sent = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def released(self) -> bool:
        return self._released

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, message: Message) -> None:
        if not self._released and not message.durable:
            _drop(message)
            return
        self._queue.append(message)
        if len(self._queue) > QUEUE_LIMIT:
            self._shed()
        if self._released:
            self._wake()
        else:
            _tell_undelivered(message)

    def put_first(self, messages: list[Message]) -> None:
        """Put what must leave before all that waits, such as statuses after a reconnect."""
        self._queue.extendleft(reversed(messages))
        self._wake()

    def forget(self) -> None:
        self._queue.clear()

    def release(self) -> None:
        self._released = True
        self._wake()

    def pause(self) -> None:
        """Hold everything back; what is not durable is dropped."""
        self._released = False
        kept = [message for message in self._queue if message.durable]
        dropped = [message for message in self._queue if not message.durable]
        self._queue = deque(kept)
        for message in dropped:
            _drop(message)
        self._resting.set()
        for message in kept:
            _tell_undelivered(message)

    async def ask(self, message: Message) -> Payload:
        """Put a message and wait for its answer. Raises CallFailed."""
        message.answer = asyncio.get_running_loop().create_future()
        self.put(message)
        return await message.answer

    async def settled(self) -> None:
        """Wait until nothing can be sent: all is answered, or the line is down."""
        await self._resting.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if self._queue and self._released:
            self._resting.clear()
            self._stir.set()

    def _shed(self) -> None:
        for index, message in enumerate(self._queue):
            if message.sample:
                del self._queue[index]
                self._statistics.count_error("sample shed by a full queue")
                return

    async def _run(self) -> None:
        window = 2 if Misbehaviour.TWO_CALLS_AT_ONCE in self._quirks else 1
        while True:
            if not (self._queue and self._released):
                self._resting.set()
                self._stir.clear()
                await self._stir.wait()
                continue
            if window == 1:
                await self._deliver(self._queue[0])
            else:
                batch = list(self._queue)[:window]
                await asyncio.gather(*(self._deliver(message) for message in batch))

    async def _deliver(self, message: Message) -> None:
        if message.durable:
            self._durable_sent += 1
            await self._vandalise()
        lose = (
            Misbehaviour.LOSE_ANSWERS in self._quirks
            and message.durable
            and not message.failures
            and self._durable_sent % 3 == 1
        )
        payload = message.build()
        try:
            answer = await self._wire.call(message.action, payload, lose_answer=lose)
        except CallFailed as failure:
            await self._failed(message, failure)
            return
        self._remove(message)
        self.record(Acknowledged(message.action, payload, answer))
        if message.answered is not None:
            message.answered(answer)
        if message.answer is not None and not message.answer.done():
            message.answer.set_result(answer)

    async def _failed(self, message: Message, failure: CallFailed) -> None:
        _tell_undelivered(message)
        if isinstance(failure, Disconnected):
            if self._wire.connected:
                # The socket is closing but its reader has not noticed, or the next connection is
                # up already: without a pause this would try for ever and let nobody else run.
                await asyncio.sleep(self._options.noticing_s)
            else:
                self.pause()
            return
        message.failures += 1
        refused = isinstance(failure, CallRefused)
        if not message.durable or (refused and message.failures >= self._options.attempts):
            if message.durable:
                self._statistics.count_error(f"{message.action} given up")
            self._remove(message)
            _drop(message, failure)
        elif not isinstance(failure, CallTimedOut):
            await asyncio.sleep(self._options.retry_s * message.failures)

    async def _vandalise(self) -> None:
        send_raw = getattr(self._wire, "send_raw", None)
        if send_raw is None:
            return
        frames: list[str] = []
        if Misbehaviour.MALFORMED_FRAMES in self._quirks:
            frames.append(MALFORMED[self._durable_sent % len(MALFORMED)])
        if Misbehaviour.DEEP_FRAMES in self._quirks:
            frames.append("[" * 100_000)
        if Misbehaviour.OVERSIZED_FRAMES in self._quirks:
            frames.append('[2,"big","DataTransfer",{"data":"' + "x" * 2_000_000 + '"}]')
        try:
            for frame in frames:
                await send_raw(frame)
        except Disconnected:
            # The call that follows finds the same and is kept.
            return

    def _remove(self, message: Message) -> None:
        # By identity: a refused message may have been dropped by pause() meanwhile.
        for index, waiting in enumerate(self._queue):
            if waiting is message:
                del self._queue[index]
                return


def _tell_undelivered(message: Message) -> None:
    tell, message.undelivered = message.undelivered, _nothing
    tell()


def _drop(message: Message, failure: CallFailed | None = None) -> None:
    if message.answer is not None and not message.answer.done():
        message.answer.set_exception(failure or Disconnected(message.action))


MALFORMED = (
    "{",
    "[]",
    "[2]",
    '"text"',
    "null",
    '[2,"x"]',
    '[2,"x","Heartbeat"]',
    '[2,"x","Heartbeat",{},1]',
    '[2,7,"Heartbeat",{}]',
    '[2,"x",{},{}]',
    '[2,"x","Heartbeat",[]]',
    '[9,"x",{}]',
    '[3,"nobody-asked",{}]',
    '[4,"nobody-asked","GenericError","",{}]',
    '[2,"x","MeterValues",{"connectorId":NaN}]',
    '[2,"x","DataTransfer",{"vendorId":"\\u0000","data":"\\ud800"}]',
    '[2,"x","MeterValues",{"connectorId":99999999999999999999999999,"meterValue":[]}]',
)
