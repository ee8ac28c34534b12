"""One connected station: its frames in order, its calls decided one after another, our calls out.

Nothing here waits for a station: a frame is worked on at once, or queued behind the call that is
waiting for its COMMIT. The reader is a loop over the socket; replies leave from the commit's
callback, which saves each message a task switch. A flood slows nobody but its sender.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from chargehub.gateway.answers import answer_status, failure_of, resolve
from chargehub.gateway.frame_recorder import FrameRecorder
from chargehub.gateway.intake import Intake
from chargehub.gateway.messages import refused_answer
from chargehub.gateway.rate_limit import LogQuota, RateLimit
from chargehub.gateway.station_socket import StationSocket
from chargehub.gateway.translation import (
    Answer,
    Context,
    Payload,
    Report,
    Request,
    Translator,
    Untranslatable,
)
from chargehub.kit.clock import HubClock
from chargehub.kit.group_commit import CommitOutcomeUnknown, CommitQueueFull, StaleConnection
from chargehub.kit.metrics import HotHistogram, limit_counter
from chargehub.ocpp import (
    CallAnswered,
    CallFailed,
    CallQueueFull,
    CallReceived,
    CallRefused,
    ErrorCode,
    Event,
    Ignored,
    InvalidPayload,
    OcppSession,
    ResultRefused,
    SendReceived,
    SessionClosed,
)
from chargehub.stations.commands import (
    CommandAnswer,
    InvalidCommand,
    StationBusy,
    StationOffline,
    UnsupportedByStation,
)
from chargehub.stations.entry import SecurityProfile
from chargehub.stations.reports import BootRefused, BootReply, RegistrationStatus

log = structlog.get_logger(__name__)

MESSAGES = Counter(
    "chargehub_ocpp_messages_total",
    "Frames that are no answered call (those: reply_seconds_count)",
    ["kind"],
)
REPLY_SECONDS = HotHistogram(
    "chargehub_ocpp_reply_seconds",
    "From a station's message read to its durable answer written",
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
THROTTLED = Counter("chargehub_ocpp_throttled_total", "Times a station was read more slowly")

_REFUSED = MESSAGES.labels("call_refused")
_IGNORED = MESSAGES.labels("ignored")
_SENT = MESSAGES.labels("call_sent")
_NEVER_ANSWERED = MESSAGES.labels("never_answered")
_BUSY = limit_counter("outbound_waiting")


FRESH_S = 0.2
TIMER_RESOLUTION_S = 0.001
HELD_ASKED_S = 1.0
"""A socket that is not read for going too fast is looked at this often: it may be gone."""
SHOWN_MAX = 64
TOLD_EVERY_S = 60.0
"""A station that goes too fast is named in the log this often at most."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """A message of the station on its way from being read to being answered, or only stored."""

    message_id: str
    answer: Answer | None
    """How its answer is made; None for what is never answered."""
    received_at: datetime
    began: float
    reports: Sequence[Report] = ()
    replies: list[Any] = field(default_factory=list)
    readable: bool = True
    failed: bool = False


@dataclass(slots=True, eq=False)
class StationConnection:
    """One socket of one station, from its granted epoch to its end."""

    socket: StationSocket
    station_id: int
    identity: str
    epoch: int
    session: OcppSession
    translator: Translator
    intake: Intake
    clock: HubClock
    rate_limit: RateLimit
    asked_limit: RateLimit
    """In force instead while it has a call of ours, whose answer may stand behind a flood."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    registration: RegistrationStatus = RegistrationStatus.ACCEPTED
    log_quota: LogQuota = field(default_factory=LogQuota)
    security_profile: int = SecurityProfile.BASIC
    waiting_max: int = 64
    """Calls of the station that may wait for their turn; then its socket is read no more."""
    recorder: FrameRecorder | None = None
    """Logs every frame, unless the frame log is off."""
    _waiting: deque[tuple[CallReceived | SendReceived | ResultRefused, datetime, float]] = field(
        default_factory=deque
    )
    _current: _Exchange | None = None
    _unsent: deque[str] = field(default_factory=deque)
    _writer: asyncio.Task[Any] | None = None
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _throttled: bool = False
    _throttled_told_at: float = -TOLD_EVERY_S
    _ended: bool = False
    _calls: dict[str, tuple[Request, asyncio.Future[CommandAnswer]]] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self) -> None:
        """Serve the station until its socket is gone."""
        try:
            while True:
                text = await self.socket.recv()
                await self._hold()
                if self._ended:
                    return
                self._take(text, self.loop.time())
                if not self._holding and not self.socket.queued:
                    self.socket.direct = self._take
        except ConnectionClosed:
            pass
        finally:
            self.socket.direct = None
            self.abandon()

    def _take(self, text: str | bytes, now: float) -> None:
        """Work on one message; where the station goes too fast, let the next ones queue."""
        try:
            self._receive(text, now)
        except Exception:
            log.exception("frame_failed", station_id=self.identity)
            self.abandon()
            self.spawn(self.socket.close(CloseCode.INTERNAL_ERROR))
        self._throttle(len(text), now)
        if self._holding:
            self.socket.direct = None

    def _throttle(self, size: int, now: float) -> None:
        if (self.asked_limit if self._calls else self.rate_limit).take(size, now):
            return
        THROTTLED.inc()
        self._throttled = True
        if now >= self._throttled_told_at + TOLD_EVERY_S:
            self._throttled_told_at = now
            log.warning("station_throttled", station_id=self.identity)

    @property
    def _holding(self) -> bool:
        """True while nothing more may be read.

        It sends faster than it may or than it can be answered, or it reads too slowly: its messages
        queue up, then TCP slows it down, and nobody else.
        """
        if self._unsent or self._ended or len(self._waiting) >= self.waiting_max:
            return True
        return self._throttled and self._resume_at > self.loop.time()

    @property
    def _resume_at(self) -> float:
        return (self.asked_limit if self._calls else self.rate_limit).resume_at

    async def _hold(self) -> None:
        while self._holding and not self._ended:
            wait = self._resume_at - self.loop.time()
            if wait > 0 and self.socket.state is State.CLOSED:
                self.abandon()  # What it said too fast it has no answer to, and says again.
                return
            self._room.clear()
            with suppress(TimeoutError):
                # A timer may ring early by its loop's resolution, so all is asked again.
                ask_again_s = min(max(wait, TIMER_RESOLUTION_S), HELD_ASKED_S)
                async with asyncio.timeout(ask_again_s if wait > 0 else None):
                    await self._room.wait()

    def abandon(self) -> None:
        """Fail every open call at once and work on nothing more; safe to call twice."""
        self._ended = True
        self._waiting.clear()
        self._room.set()
        if self._timer is not None:
            self._timer.cancel()
        for failed in self.session.close():
            self._finish_failed(failed)

    def _receive(self, text: str | bytes, now: float) -> None:
        event = self.session.receive(text, now)
        received_at = self.clock.now_about()
        if self.recorder is not None:
            # Before it is worked on, so that the COMMIT of what it causes finds it in the log.
            self.recorder.received(text, event, received_at)
        if isinstance(event, CallReceived):
            self._queue(event, received_at, now)
            if self._current is None:
                self._flush()  # Else the reply leaves after its COMMIT.
        else:
            self._take_other(event, received_at, now)
            self._flush()

    def _queue(
        self, message: CallReceived | SendReceived | ResultRefused, at: datetime, now: float
    ) -> None:
        """Work on a message, or let it wait for the one before it."""
        if self._current is None and not self._waiting:
            self._current = self._open(message, at, now)
            self._work()
        else:
            self._waiting.append((message, at, now))

    def _take_other(self, event: Event, received_at: datetime, now: float) -> None:
        match event:
            case SendReceived() | ResultRefused():
                _NEVER_ANSWERED.inc()
                self._queue(event, received_at, now)
            case CallAnswered():
                self._finish_answered(event)
            case CallFailed():
                self._finish_failed(event)
            case CallRefused():
                _REFUSED.inc()
                self._note(
                    now,
                    "call_refused",
                    action=event.action[:SHOWN_MAX],
                    code=self.session.spelled(event.violation.code),
                    reason=event.violation.description,
                )
            case Ignored():
                _IGNORED.inc()
                self._note(now, "frame_ignored", reason=str(event.reason), detail=event.detail)
            case _:
                pass

    def _note(self, now: float, fact: str, **details: str) -> None:
        """Log what the station did wrong; one that does it all the time is not logged each time."""
        suppressed = self.log_quota.take(now)
        if suppressed is not None:
            log.warning(fact, station_id=self.identity, left_out=suppressed, **details)

    def _work(self) -> None:
        """Go on with the station's calls, one after another, until one must wait for COMMIT."""
        while not self._ended:
            exchange = self._current
            if exchange is None:
                if not self._waiting:
                    return
                exchange = self._current = self._open(*self._waiting.popleft())
                self._room.set()
            if len(exchange.replies) < len(exchange.reports):
                report = exchange.reports[len(exchange.replies)]
                try:
                    self.intake.hand_in(self.station_id, self.epoch, report, self._decided)
                except CommitQueueFull as error:
                    self._break_off(error)
                return
            self._current = None
            if exchange.answer is not None:
                self._reply(exchange, exchange.answer)

    def _open(
        self, call: CallReceived | SendReceived | ResultRefused, received_at: datetime, began: float
    ) -> _Exchange:
        if isinstance(call, ResultRefused):
            # The station has not heard what we decided: kept, for people to see.
            notice = refused_answer(call, Context(self.station_id, received_at, valid=False))
            return _Exchange(call.message_id, None, received_at, began, (notice,))
        message = self.translator.inbound[call.action]
        context = Context(self.station_id, received_at, call.valid)
        exchange = _Exchange(call.message_id, message.answer, received_at, began)
        try:
            exchange.reports, exchange.readable = message.reports_of(
                call.action, call.payload, context
            )
        except Exception:
            log.exception("call_unreadable", station_id=self.identity, action=call.action)
            exchange.failed = True
        return exchange

    def _decided(self, reply: Any, error: BaseException | None) -> None:
        """Take what the group commit made of the current exchange's report."""
        exchange = self._current
        if exchange is None or self._ended:
            return
        if error is not None:
            if isinstance(error, (StaleConnection, CommitOutcomeUnknown)):
                self._break_off(error)
                return
            exchange.failed = True
            exchange.reports = ()
        elif isinstance(reply, BootRefused):
            self._break_off(reply, CloseCode.POLICY_VIOLATION)
            return
        elif isinstance(reply, BootReply):
            self.registration = reply.status
            self.session.accepted = reply.status is RegistrationStatus.ACCEPTED
        exchange.replies.append(reply)
        self._work()
        self._flush()

    def _reply(self, exchange: _Exchange, answer: Answer) -> None:
        message_id = exchange.message_id
        if exchange.failed:
            self.session.reply_error(message_id, ErrorCode.INTERNAL_ERROR)
            return
        replies = exchange.replies if exchange.readable else []
        took_s = self.loop.time() - exchange.began
        # A station sets its clock by our answer, so after a wait the time is read again.
        now = exchange.received_at if took_s < FRESH_S else self.clock.now()
        try:
            payload = answer(replies, now)
        except Exception:
            # A fault of ours: what was said is stored, and a call is never left without an end.
            log.exception("call_unanswerable", station_id=self.identity)
            self.session.reply_error(message_id, ErrorCode.INTERNAL_ERROR)
            return
        self.session.reply(message_id, payload)
        REPLY_SECONDS.observe(took_s)

    def _break_off(self, why: object, code: CloseCode = CloseCode.TRY_AGAIN_LATER) -> None:
        """Close unanswered: what is not durable is not acknowledged, and comes again."""
        log.warning("socket_closed_unanswered", station_id=self.identity, why=repr(why))
        if isinstance(why, StaleConnection):
            code = CloseCode.POLICY_VIOLATION
        self.abandon()
        self.spawn(self.socket.close(code))

    def _flush(self) -> None:
        """Send what the session wants sent, without waiting where the socket takes it at once."""
        frames = self.session.frames_to_send()
        if not frames:
            return
        if self.recorder is not None:
            self.recorder.sent(frames, self.clock.now_about())
        if self._unsent or self.socket.paused:
            self._unsent.extend(frame.text for frame in frames)
            if self._writer is None:
                self._writer = self.spawn(self._write())
            return
        for frame in frames:
            self.socket.send_at_once(frame.text)

    async def _write(self) -> None:
        """Send to a socket whose buffer is full, as fast as it drains."""
        with suppress(ConnectionClosed):
            while self._unsent:
                await self.socket.send(self._unsent[0])
                self._unsent.popleft()
        self._unsent.clear()
        self._writer = None
        self._room.set()

    async def request(self, request: Request, timeout_s: float) -> CommandAnswer:
        """Send one of our calls and wait for its end."""
        try:
            message_id = self.session.call(
                request.action, request.payload, self.loop.time(), timeout_s
            )
        except InvalidPayload as error:
            if error.violation.code is ErrorCode.NOT_IMPLEMENTED:
                raise UnsupportedByStation(
                    f"The station's protocol has no {request.action}."
                ) from error
            raise InvalidCommand(error.violation.description) from error
        except CallQueueFull as error:
            _BUSY.inc()
            raise StationBusy from error
        except SessionClosed as error:
            raise StationOffline from error
        _SENT.inc()
        done: asyncio.Future[CommandAnswer] = self.loop.create_future()
        self._calls[message_id] = request, done
        self._room.set()
        self._arm()
        # The end of the socket fails the call through `abandon`.
        self._flush()
        return await done

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.session.next_deadline
        if deadline is not None:
            self._timer = self.loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        for failed in self.session.expire(self.loop.time()):
            self._finish_failed(failed)
        self._arm()
        self._flush()

    async def ping(self) -> None:
        with suppress(ConnectionClosed):
            await self.socket.ping()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _finish_answered(self, answered: CallAnswered) -> None:
        if not answered.valid:
            # Slightly invalid results are common: used, and noted.
            log.warning(
                "answer_invalid",
                station_id=self.identity,
                action=answered.action,
                reason=answered.violation.description if answered.violation else "",
            )
        reader = self.translator.results.get(answered.action)
        self._arm()
        request, done = self._calls.pop(answered.message_id, (None, None))
        asked = None if request is None else request.payload
        answer = CommandAnswer(answer_status(answered.payload, asked), answered.payload)
        if reader is None:
            resolve(done, answer)
            return
        context = Context(self.station_id, self.clock.now(), answered.valid, asked)
        self.spawn(self._keep(reader, context, answer, done))

    async def _keep(
        self,
        reader: Callable[[Payload, Context], Sequence[Report]],
        context: Context,
        answer: CommandAnswer,
        done: asyncio.Future[CommandAnswer] | None,
    ) -> None:
        """Store what an answer reports (a configuration, what was written), then hand it over."""
        try:
            reports = tuple(reader(answer.payload, context))
            answer = replace(answer, told=reports)
            for report in reports:
                await self.intake.submit(self.station_id, self.epoch, report)
        except (StaleConnection, CommitOutcomeUnknown) as error:
            if not self._ended:
                self._break_off(error)
        except (CommitQueueFull, Untranslatable) as error:
            log.warning("answer_not_kept", station_id=self.identity, why=repr(error))
        except Exception:
            log.exception("answer_not_kept", station_id=self.identity)
        resolve(done, answer)

    def _finish_failed(self, failed: CallFailed) -> None:
        self._arm()
        _, done = self._calls.pop(failed.message_id, (None, None))
        if done is None or done.done():
            return
        done.set_exception(failure_of(failed))
