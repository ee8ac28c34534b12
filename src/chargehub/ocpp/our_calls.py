"""The CALLs of ours to one station: one in flight, the others behind it, each with its deadline."""

from __future__ import annotations

from collections import deque

from chargehub.ocpp.errors import CallQueueFull, read_error_code
from chargehub.ocpp.events import CallFailed, FailureReason
from chargehub.ocpp.frames import CallError


class OurCall:
    """Queued or in flight."""

    __slots__ = ("action", "deadline", "message_id", "text", "timeout", "unlocks")

    def __init__(
        self,
        message_id: str,
        action: str,
        text: str,
        *,
        timeout: float,
        deadline: float,
        unlocks: frozenset[str],
    ) -> None:
        self.message_id = message_id
        self.action = action
        self.text = text
        self.timeout = timeout
        self.deadline = deadline
        self.unlocks = unlocks

    def fail(
        self, reason: FailureReason, *, sent: bool, error: CallError | None = None
    ) -> CallFailed:
        if error is None:
            return CallFailed(self.message_id, self.action, reason, sent)
        code = read_error_code(error.code)
        return CallFailed(
            self.message_id, self.action, reason, sent, code, error.description, error.details
        )


class OurCalls:
    """Every call that is queued here ends once: answered, expired, or with the connection."""

    __slots__ = ("_in_flight", "_queue", "_queued_max")

    def __init__(self, queued_max: int) -> None:
        self._queued_max = queued_max
        self._in_flight: OurCall | None = None
        self._queue: deque[OurCall] = deque()

    def check_room(self) -> None:
        """Raise CallQueueFull where one more may not wait."""
        if len(self._queue) >= self._queued_max:
            raise CallQueueFull(f"{self._queued_max} calls wait already")

    def queue(self, call: OurCall) -> None:
        self._queue.append(call)

    def take_next(self, now: float) -> OurCall | None:
        """Return what is to leave now, if anything: it is in flight, its time counted anew."""
        # P4 4.1.1: one CALL of ours at a time.
        if self._in_flight is not None or not self._queue:
            return None
        call = self._in_flight = self._queue.popleft()
        call.deadline = now + call.timeout
        return call

    def answered(self, message_id: str) -> OurCall | None:
        """Take what is in flight down; None where the answer is not to it.

        A late answer must never be taken for that of the next call.
        """
        call = self._in_flight
        if call is None or call.message_id != message_id:
            return None
        self._in_flight = None
        return call

    def expire(self, now: float) -> list[CallFailed]:
        """End those whose time is over."""
        failed: list[CallFailed] = []
        call = self._in_flight
        if call is not None and call.deadline <= now:
            self._in_flight = None
            failed.append(call.fail(FailureReason.TIMED_OUT, sent=True))
        overdue = [queued for queued in self._queue if queued.deadline <= now]
        for queued in overdue:
            self._queue.remove(queued)
            failed.append(queued.fail(FailureReason.TIMED_OUT, sent=False))
        return failed

    @property
    def next_deadline(self) -> float | None:
        """When `expire` has something to do at the earliest."""
        deadlines = [queued.deadline for queued in self._queue]
        if self._in_flight is not None:
            deadlines.append(self._in_flight.deadline)
        return min(deadlines, default=None)

    def end(self) -> list[CallFailed]:
        """Fail them all, with the connection."""
        reason = FailureReason.CONNECTION_CLOSED
        failed = [] if self._in_flight is None else [self._in_flight.fail(reason, sent=True)]
        failed += [queued.fail(reason, sent=False) for queued in self._queue]
        self._in_flight = None
        self._queue.clear()
        return failed

    @property
    def waiting(self) -> int:
        """How many have not left yet."""
        return len(self._queue)
