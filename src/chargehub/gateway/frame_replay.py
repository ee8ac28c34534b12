"""Logged calls of stations, worked on again: session, translator and rules as if they came anew.

Owns the order of a message's steps outside a socket, and nothing else: which calls, on what
database and at what time is its caller's matter. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
import structlog

from chargehub.gateway.intake import Intake
from chargehub.gateway.translation import Context, Report, Translator
from chargehub.ocpp import (
    CALL_ERROR,
    CallReceived,
    OcppSession,
    OcppVersion,
    SendReceived,
    load_json,
)
from chargehub.transactions.reports import TransactionReported

log = structlog.get_logger(__name__)

NUMBERING_ACTION = "StartTransaction"
"""The call whose answer gives a transaction the number that all later calls name."""
_NUMBER = "transactionId"


class LoggedCall(Protocol):
    """A station's call as `frame_log.queries.read_calls` returns it."""

    @property
    def at(self) -> datetime: ...
    @property
    def station_id(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def protocol(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def cut_from(self) -> int | None: ...
    @property
    def answer_type(self) -> int | None: ...
    @property
    def answer_text(self) -> str | None: ...


def was_refused(call: LoggedCall) -> bool:
    """Tell whether the call was answered with an error: then it had no effect."""
    return call.answer_type == CALL_ERROR


@dataclass(slots=True)
class GivenNumbers:
    """The numbers that were given to transactions when the calls came first.

    A start whose answer got lost is told again in the same words, and that answer has its number.
    """

    _of: dict[tuple[int, str], int] = field(default_factory=dict)
    highest: int = 0

    def learn(self, call: LoggedCall) -> None:
        number = _number_in(call.answer_text) if not was_refused(call) else None
        if number is not None:
            self._of[_content_of(call)] = number
            self.highest = max(self.highest, number)

    def of(self, call: LoggedCall) -> int:
        """Return the number of a call's transaction; a free one where none was given."""
        number = _number_in(call.answer_text) or self._of.get(_content_of(call))
        if number is None:
            self.highest += 1
            number = self.highest
        return number


@dataclass(slots=True)
class FrameReplay:
    """Feeds one call after another; each is durable before the next."""

    intake: Intake
    translators: Mapping[OcppVersion, Translator]
    numbers: GivenNumbers
    give_number: Callable[[int], Awaitable[None]]
    """Makes this the number of the next transaction that begins."""
    fed: int = 0
    unusable: int = 0
    """Calls that were logged only in part, or failed now."""
    _sessions: dict[int, tuple[int, OcppSession]] = field(default_factory=dict)

    async def feed(self, call: LoggedCall) -> None:
        """Work on a call at the hub's time at which it came. Its answer goes nowhere."""
        if was_refused(call):
            return
        if call.cut_from is not None:
            self.unusable += 1
            return
        session = self._session_of(call)
        event = session.receive(call.text, call.at.timestamp())
        if not isinstance(event, CallReceived | SendReceived):
            return  # A repetition within its connection: answered then, and not worked on.
        message = self.translators[session.version].inbound[event.action]
        context = Context(call.station_id, call.at, event.valid)
        reports, readable = message.reports_of(event.action, event.payload, context)
        try:
            replies = [await self._submit(call, report) for report in reports]
            if message.answer is not None:
                payload = message.answer(replies if readable else [], call.at)
                session.reply(event.message_id, payload)
        except Exception:
            log.exception("frame_not_replayed", station=call.station_id, action=event.action)
            self.unusable += 1
        else:
            self.fed += 1
        session.frames_to_send()

    async def _submit(self, call: LoggedCall, report: Report) -> Any:
        if isinstance(report, TransactionReported):
            await self.give_number(self.numbers.of(call))
        return await self.intake.submit(call.station_id, None, report)

    def _session_of(self, call: LoggedCall) -> OcppSession:
        epoch, session = self._sessions.get(call.station_id, (None, None))
        if session is None or epoch != call.epoch:
            version = OcppVersion(call.protocol)
            translator = self.translators[version]
            session = OcppSession(
                version, supported=translator.inbound, tolerant=translator.tolerant
            )
            self._sessions[call.station_id] = (call.epoch, session)
        return session


def _content_of(call: LoggedCall) -> tuple[int, str]:
    """Return what a repetition has in common with the call: all but its message id."""
    try:
        payload = load_json(call.text)[-1]
    except (ValueError, LookupError, TypeError):
        payload = call.text
    return call.station_id, orjson.dumps(payload, option=orjson.OPT_SORT_KEYS).decode()


def _number_in(answer: str | None) -> int | None:
    try:
        payload = load_json(answer or "")[2]
        number = payload[_NUMBER]
    except (ValueError, LookupError, TypeError):
        return None
    return number if type(number) is int else None
