"""The stations that are connected now: one connection each, and the link that carries commands.

A connection reads one frame after another: the next only when the last is answered, so a station's
messages are decided in order and a flood slows nobody but itself. Our calls' answers come through
the same reader; it never waits for a station, so it cannot block itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from chargehub.gateway.intake import Intake
from chargehub.gateway.translation import (
    Context,
    InboundMessage,
    Payload,
    Report,
    Request,
    Translator,
    Untranslatable,
    answer_status,
)
from chargehub.kit.clock import HubClock
from chargehub.kit.group_commit import CommitOutcomeUnknown, CommitQueueFull, StaleConnection
from chargehub.ocpp import (
    DIALECTS,
    CallAnswered,
    CallFailed,
    CallQueueFull,
    CallReceived,
    CallRefused,
    ErrorCode,
    FailureReason,
    Ignored,
    InvalidPayload,
    OcppSession,
    SessionClosed,
)
from chargehub.stations.commands import (
    Command,
    CommandAnswer,
    InvalidCommand,
    RawCommand,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.reports import BootReply, NoticeReported, RegistrationStatus

log = structlog.get_logger(__name__)

ONLINE = Gauge("chargehub_stations_online", "Stations with an open socket")
MESSAGES = Counter(
    "chargehub_ocpp_messages_total",
    "Frames that are no answered call (those: reply_seconds_count)",
    ["kind"],
)
REPLY_SECONDS = Histogram(
    "chargehub_ocpp_reply_seconds",
    "From a station's message read to its durable answer written",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
THROTTLED = Counter("chargehub_ocpp_throttled_total", "Times a station was read more slowly")

_REFUSED = MESSAGES.labels("call_refused")
_IGNORED = MESSAGES.labels("ignored")
_SENT = MESSAGES.labels("call_sent")


class StationSocket(ServerConnection):
    """A server connection that knows when it last heard anything, pings and pongs included."""

    admitted: Any = None
    last_heard: float = 0.0

    def process_event(self, event: Any) -> None:
        self.last_heard = self.loop.time()
        super().process_event(event)


@dataclass(slots=True)
class RateLimit:
    """A token bucket: so many messages a second for long, so many at once."""

    per_s: float
    burst: int
    _tokens: float = field(default=-1.0)
    _at: float = 0.0

    def delay(self, now: float) -> float:
        """Take one message; return the seconds to wait before the next is read."""
        if self._tokens < 0:
            self._tokens, self._at = float(self.burst), now
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_s) - 1
        self._at = now
        if self._tokens >= 0:
            return 0.0
        wait = -self._tokens / self.per_s
        self._tokens = 0.0
        return wait


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
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    registration: RegistrationStatus = RegistrationStatus.ACCEPTED
    _calls: dict[str, asyncio.Future[CommandAnswer]] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self) -> None:
        """Serve the station until its socket is gone."""
        try:
            async for text in self.socket:
                if not await self._receive(text):
                    return
                wait = self.rate_limit.delay(self.loop.time())
                if wait > 0:
                    THROTTLED.inc()
                    await asyncio.sleep(wait)
        except ConnectionClosed:
            pass
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Fail every open call at once; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
        for failed in self.session.close():
            self._finish_failed(failed)

    async def _receive(self, text: str | bytes) -> bool:
        """Work on one frame; return False when this socket may not go on."""
        began = self.loop.time()
        event = self.session.receive(text, began)
        match event:
            case CallReceived():
                if not await self._answer(event):
                    return False
                REPLY_SECONDS.observe(self.loop.time() - began)
            case CallAnswered():
                self._finish_answered(event)
            case CallFailed():
                self._finish_failed(event)
            case CallRefused():
                _REFUSED.inc()
                log.warning(
                    "call_refused",
                    station_id=self.identity,
                    action=event.action,
                    code=str(event.violation.code),
                    reason=event.violation.description,
                )
            case Ignored():
                _IGNORED.inc()
                log.info(
                    "frame_ignored",
                    station_id=self.identity,
                    reason=str(event.reason),
                    detail=event.detail,
                )
            case _:
                pass
        await self._flush()
        return True

    async def _answer(self, call: CallReceived) -> bool:
        message = self.translator.inbound[call.action]
        context = Context(self.station_id, self.clock.now(), call.valid)
        try:
            payload = await self._decide(message, call, context)
        except (StaleConnection, CommitOutcomeUnknown, CommitQueueFull) as error:
            # Not durable, so not acknowledged: the station comes back and says it again.
            log.warning("socket_closed_unanswered", station_id=self.identity, why=repr(error))
            superseded = isinstance(error, StaleConnection)
            await self.socket.close(
                CloseCode.POLICY_VIOLATION if superseded else CloseCode.TRY_AGAIN_LATER
            )
            return False
        except Exception:
            log.exception("call_failed", station_id=self.identity, action=call.action)
            self.session.reply_error(call.message_id, ErrorCode.INTERNAL_ERROR)
            return True
        self.session.reply(call.message_id, payload)
        return True

    async def _decide(
        self, message: InboundMessage, call: CallReceived, context: Context
    ) -> Payload:
        try:
            reports = message.read(call.payload, context)
        except Untranslatable as error:
            notice = NoticeReported(
                self.station_id,
                context.received_at,
                call.action,
                {"untranslatable": str(error), "payload": call.payload},
                flagged=True,
            )
            await self.intake.submit(self.station_id, self.epoch, notice)
            return message.answer([], self.clock.now())
        replies = []
        for report in reports:
            reply = await self.intake.submit(self.station_id, self.epoch, report)
            if isinstance(reply, BootReply):
                self.registration = reply.status
                self.session.accepted = reply.status is RegistrationStatus.ACCEPTED
            replies.append(reply)
        return message.answer(replies, self.clock.now())

    async def _flush(self) -> None:
        for text in self.session.texts_to_send():
            await self.socket.send(text)

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
            raise StationBusy from error
        except SessionClosed as error:
            raise StationOffline from error
        _SENT.inc()
        done: asyncio.Future[CommandAnswer] = self.loop.create_future()
        self._calls[message_id] = done
        self._arm()
        # Apart: a station that reads nothing blocks the writing, not the time-out. The end of the
        # socket fails the call through `abandon`.
        self.spawn(self._flush_quietly())
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
        self.spawn(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with suppress(ConnectionClosed):
            await self._flush()

    async def ping(self) -> None:
        with suppress(ConnectionClosed):
            await self.socket.ping()

    def spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        if reader is not None:
            self.spawn(self._keep(reader, answered))
        self._arm()
        done = self._calls.pop(answered.message_id, None)
        if done is not None and not done.done():
            done.set_result(CommandAnswer(answer_status(answered.payload), answered.payload))

    async def _keep(
        self, reader: Callable[[Payload, Context], Any], answered: CallAnswered
    ) -> None:
        """Store what an answer reports (a configuration, a device model)."""
        context = Context(self.station_id, self.clock.now(), answered.valid)
        try:
            reports: list[Report] = list(reader(answered.payload, context))
            for report in reports:
                await self.intake.submit(self.station_id, self.epoch, report)
        except (StaleConnection, CommitOutcomeUnknown, CommitQueueFull, Untranslatable) as error:
            log.warning("answer_not_kept", station_id=self.identity, why=repr(error))

    def _finish_failed(self, failed: CallFailed) -> None:
        self._arm()
        done = self._calls.pop(failed.message_id, None)
        if done is None or done.done():
            return
        done.set_exception(_failure(failed))


def _failure(failed: CallFailed) -> Exception:
    match failed.reason:
        case FailureReason.TIMED_OUT:
            return StationTimeout(sent=failed.sent)
        case FailureReason.CONNECTION_CLOSED:
            return StationOffline("The connection ended before the answer.", sent=failed.sent)
        case FailureReason.ANSWERED_WITH_ERROR:
            facts = {"station_error": str(failed.code), "station_detail": failed.description[:255]}
            if failed.code in {ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED}:
                return UnsupportedByStation(**facts)
            return StationAnswerError(f"The station answered {failed.code}.", **facts)


@dataclass(slots=True)
class Connections:
    """The newest connection of each station, and the link to it (implements StationLink)."""

    call_timeout_s: float
    _by_station: dict[int, StationConnection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_station)

    def all(self) -> list[StationConnection]:
        return list(self._by_station.values())

    def take_over(self, connection: StationConnection) -> bool:
        """Make this the station's connection, unless a newer one is; the older one is closed."""
        current = self._by_station.get(connection.station_id)
        if current is not None and current.epoch > connection.epoch:
            return False
        self._by_station[connection.station_id] = connection
        ONLINE.set(len(self._by_station))
        if current is not None:
            log.info("socket_superseded", station_id=current.identity)
            current.abandon()
            connection.spawn(current.socket.close(CloseCode.POLICY_VIOLATION, "superseded"))
        return True

    def leave(self, connection: StationConnection) -> bool:
        """Forget the connection, unless it is not the newest: then touch nothing."""
        if self._by_station.get(connection.station_id) is not connection:
            return False
        del self._by_station[connection.station_id]
        ONLINE.set(len(self._by_station))
        return True

    def online_ids(self) -> frozenset[int]:
        return frozenset(self._by_station)

    async def disconnect(self, station_id: int) -> None:
        connection = self._by_station.get(station_id)
        if connection is not None:
            await connection.socket.close(CloseCode.GOING_AWAY, "reconnect")

    async def send(self, station_id: int, command: Command) -> CommandAnswer:
        connection = self._by_station.get(station_id)
        if connection is None:
            raise StationOffline
        request = _encode(connection, command)
        _check_registration(connection, request.action)
        return await connection.request(request, self.call_timeout_s)


def _encode(connection: StationConnection, command: Command) -> Request:
    if isinstance(command, RawCommand):
        if command.action in DIALECTS[connection.session.version].station_requests:
            raise UnsupportedByStation(f"{command.action} is a station's message, not ours.")
        return Request(command.action, command.payload)
    request = connection.translator.encode(command)
    if request is None:
        raise UnsupportedByStation(f"This station cannot {type(command).__name__}.")
    return request


def _check_registration(connection: StationConnection, action: str) -> None:
    """B03.FR.03: nothing goes to a Rejected station; B02.FR.01: little to a Pending one."""
    registration = connection.registration
    if registration is RegistrationStatus.ACCEPTED:
        return
    allowed = connection.translator.allowed_while_pending
    if registration is RegistrationStatus.PENDING and action in allowed:
        return
    raise StationNotAccepted(f"The station's registration is {registration}.")
