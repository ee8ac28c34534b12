"""`OcppSession`: the RPC state of one connection to one station, without I/O, clock or log.

Owns message ids, matching, retries, time-outs, the one-call-in-flight rule and what the RPC layer
answers by itself. The meaning of payloads is the host's; nothing a station sends makes it raise.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import uuid4

from chargehub.ocpp.errors import (
    ErrorCode,
    InvalidPayload,
    NoSuchCall,
    SessionClosed,
    Violation,
    read_error_code,
)
from chargehub.ocpp.events import (
    CallAnswered,
    CallFailed,
    CallReceived,
    CallRefused,
    CallRepeated,
    Event,
    FailureReason,
    Ignored,
    IgnoredReason,
    ResultRefused,
    SendReceived,
)
from chargehub.ocpp.frames import (
    CALL,
    CALL_ERROR,
    CALL_RESULT,
    CALL_RESULT_ERROR,
    UNREADABLE_ID,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Malformed,
    OutboundFrame,
    Send,
    UnknownType,
    encode_call,
    encode_call_error,
    encode_call_result,
    encode_call_result_error,
    load_json,
    parse,
)
from chargehub.ocpp.our_calls import OurCall, OurCalls
from chargehub.ocpp.schemas import schemas_for
from chargehub.ocpp.versions import DIALECTS, OcppVersion

RECENT_CALLS = 8
"""So many of the station's CALLs at least are remembered to recognise a retry, at most twice."""


_DETAIL_MAX = 50
_ALWAYS_ALLOWED = frozenset({"BootNotification"})
_SIGNED = "-Signed"

# P4 4.3 keeps the first two apart: an action nobody knows, and one we do not serve.
_NOT_IMPLEMENTED = Violation(ErrorCode.NOT_IMPLEMENTED, "this action is not known")
_NOT_SUPPORTED = Violation(ErrorCode.NOT_SUPPORTED, "this action is not supported")
_NOT_ACCEPTED = Violation(ErrorCode.SECURITY_ERROR, "this station is not accepted")
_OVERLOADED = Violation(ErrorCode.GENERIC_ERROR, "too many calls wait for an answer")
_TOO_DEEP = Violation(ErrorCode.FORMAT_VIOLATION, "the payload is nested too deeply")
_UNKNOWN_TYPE = Violation(
    ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "this message type is not supported"
)


def _new_message_id() -> str:
    """Unique over all connections, in the 36 characters that P4 4.1.4 allows."""
    return str(uuid4())


class _Inbound:
    """A CALL of the station that was handed up.

    Of its text only the hash is kept: a thousand stations' last texts would be megabytes, read
    and written for every message.
    """

    __slots__ = ("action", "answer", "content", "message_id")

    def __init__(self, message_id: str, action: str, text: str) -> None:
        self.message_id = message_id
        self.action = action
        self.content = hash(text)
        self.answer: OutboundFrame | None = None


class OcppSession:
    """Feed it what arrives, send what `frames_to_send` gives, call `expire` at `next_deadline`."""

    __slots__ = (
        "_closed",
        "_dialect",
        "_new_id",
        "_older",
        "_ours",
        "_outgoing",
        "_recent",
        "_schemas",
        "_supported",
        "_tolerant",
        "_unanswered",
        "_unanswered_max",
        "_unlocked",
        "_unlocked_by",
        "accepted",
        "version",
    )

    def __init__(
        self,
        version: OcppVersion,
        *,
        supported: Collection[str],
        tolerant: Collection[str] = frozenset(),
        accepted: bool = True,
        unlocked_by: Mapping[str, frozenset[str]] | None = None,
        queued_max: int = 32,
        unanswered_max: int = 256,
        new_id: Callable[[], str] = _new_message_id,
    ) -> None:
        """Take the host's tables; sets and mappings are shared, not copied.

        `supported`: the station's actions the host works on, one-way ones too. `tolerant`: those
        of them that are handed up even when their schema check fails. `unlocked_by`: our action ->
        the station's actions it permits before acceptance (E16J 3.10, B02.FR.09).
        """
        self.version = version
        self.accepted = accepted
        """While False only BootNotification and what we asked for is let through."""
        self._dialect = DIALECTS[version]
        self._schemas = schemas_for(version)
        self._supported = supported
        self._tolerant = tolerant
        self._unlocked_by = unlocked_by or {}
        self._unlocked = _ALWAYS_ALLOWED
        self._ours = OurCalls(queued_max)
        self._unanswered_max = unanswered_max
        self._new_id = new_id
        self._closed = False
        self._outgoing: list[OutboundFrame] = []
        self._unanswered: list[_Inbound] = []
        # The last calls, and those before them: one goes when the other is full. Dropping them one
        # by one would let the dict be rebuilt every other message.
        self._recent: dict[str, _Inbound] = {}
        self._older: dict[str, _Inbound] = {}

    # What the station says ---------------------------------------------------------------------

    def receive(self, text: str | bytes, now: float) -> Event:
        """Take one message of the socket (bytes: a binary frame) and say what it means."""
        if self._closed:
            return Ignored(IgnoredReason.SESSION_CLOSED)
        frame = parse(text, self._dialect.message_types)
        if isinstance(frame, Call):
            return self._receive_call(frame, str(text))
        match frame:
            case CallResult() | CallError():
                event: Event = self._receive_answer(frame, now)
            case CallResultError():
                event = self._receive_result_error(frame)
            case Send():
                event = self._receive_send(frame)
            case UnknownType():
                event = self._receive_unknown_type(frame)
            case _:
                event = self._receive_malformed(frame)
        return event

    def _receive_call(self, call: Call, text: str) -> Event:
        known = self._known(call.message_id)
        if known is not None and known.content == hash(text):
            return self._repeat(call, known)
        signed = self._dialect.signed_actions and call.action.endswith(_SIGNED)
        if signed:
            call = _unseal(call)
        message_id, action, payload = call
        obstacle = self._obstacle(action)
        if obstacle is not None:
            return self._refuse(call, obstacle)
        violation = self._schemas.check_request(action, payload)
        # 16 4.7, 4.8, 4.10, J01.FR.18: billing data is answered even if it makes no sense.
        if violation is not None and action not in self._tolerant:
            return self._refuse(call, violation)
        self._remember(message_id, action, text)
        return CallReceived(message_id, action, payload, violation, signed)

    def _obstacle(self, action: str) -> Violation | None:
        if action not in self._schemas.actions:
            return _NOT_IMPLEMENTED
        if action not in self._supported:
            return _NOT_SUPPORTED
        if not self.accepted and action not in self._unlocked:
            return _NOT_ACCEPTED
        # The host stops reading long before; this is the last line of defence.
        if len(self._unanswered) >= self._unanswered_max:
            return _OVERLOADED
        return None

    def _repeat(self, call: Call, known: _Inbound) -> CallRepeated:
        # P4 4.1.4: the same id and content on one connection is a retry, run once.
        if known.answer is not None:
            self._outgoing.append(known.answer)
        return CallRepeated(call.message_id, call.action, known.answer is not None)

    def _remember(self, message_id: str, action: str, text: str) -> None:
        inbound = _Inbound(message_id, action, text)
        self._unanswered.append(inbound)
        if len(self._recent) >= RECENT_CALLS:
            self._older, self._recent = self._recent, {}
        self._recent[message_id] = inbound

    def _known(self, message_id: str) -> _Inbound | None:
        return self._recent.get(message_id) or self._older.get(message_id)

    def _forget(self, inbound: _Inbound) -> None:
        for calls in (self._recent, self._older):
            if calls.get(inbound.message_id) is inbound:
                del calls[inbound.message_id]

    def _refuse(self, call: Call, violation: Violation) -> CallRefused:
        # Refusals are not remembered: what was refused before acceptance may pass after it.
        self._send_error(call.message_id, call.action, violation)
        return CallRefused(call.message_id, call.action, violation)

    def _receive_answer(self, answer: CallResult | CallError, now: float) -> Event:
        call = self._ours.answered(answer.message_id)
        if call is None:
            return Ignored(IgnoredReason.UNMATCHED_ANSWER, message_id=answer.message_id)
        if isinstance(answer, CallError):
            self._send_next(now)
            return call.fail(FailureReason.ANSWERED_WITH_ERROR, sent=True, error=answer)
        violation = self._schemas.check_response(call.action, answer.payload)
        if violation is not None and self._dialect.refuses_results:
            # 2.1 FR.06; what can be read of the result is used all the same.
            spelling = self._dialect.spell(violation.code)
            text = encode_call_result_error(call.message_id, spelling, violation.description)
            frame = OutboundFrame(text, CALL_RESULT_ERROR, call.message_id, call.action)
            self._outgoing.append(frame)
        self._send_next(now)
        payload = answer.payload if isinstance(answer.payload, dict) else {}
        return CallAnswered(call.message_id, call.action, payload, violation)

    def _receive_send(self, send: Send) -> SendReceived | Ignored:
        message_id, action, payload = send
        wanted = action in self._dialect.sends and action in self._supported
        if not wanted or not (self.accepted or action in self._unlocked):
            return Ignored(IgnoredReason.UNWANTED_SEND, action[:_DETAIL_MAX], message_id)
        # Nobody would hear of a refusal, so what fails its schema is handed up too.
        violation = self._schemas.check_send(action, payload)
        return SendReceived(message_id, action, payload, violation)

    def _receive_result_error(self, error: CallResultError) -> ResultRefused | Ignored:
        known = self._known(error.message_id)
        if known is None or known.answer is None:
            return Ignored(IgnoredReason.UNMATCHED_ANSWER, message_id=error.message_id)
        # A retry is worked on anew: the remembered answer has failed already.
        self._forget(known)
        code = read_error_code(error.code)
        return ResultRefused(error.message_id, known.action, code, error.description, error.details)

    def _receive_unknown_type(self, frame: UnknownType) -> Ignored:
        if self._dialect.answers_unknown_types:
            self._send_error(frame.message_id or UNREADABLE_ID, "", _UNKNOWN_TYPE)
        detail = str(frame.message_type)[:_DETAIL_MAX]
        return Ignored(IgnoredReason.UNKNOWN_MESSAGE_TYPE, detail, frame.message_id)

    def _receive_malformed(self, frame: Malformed) -> Event:
        fault = frame.fault
        if fault is None:
            return Ignored(IgnoredReason.MALFORMED, frame.reason)
        if frame.message_id is not None:
            self._send_error(frame.message_id, "", fault)
            return CallRefused(frame.message_id, "", fault)
        if self._dialect.answers_unreadable:
            self._send_error(UNREADABLE_ID, "", fault)
        return Ignored(IgnoredReason.MALFORMED, frame.reason)

    # What we answer ----------------------------------------------------------------------------

    def reply(self, message_id: str, payload: Mapping[str, Any]) -> None:
        """Answer a CALL that was handed up; of several with one id, the oldest."""
        self._answer(message_id, encode_call_result(message_id, payload), CALL_RESULT)

    def reply_error(
        self,
        message_id: str,
        code: ErrorCode | str,
        description: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer with a CALLERROR. It is not remembered: a retry is worked on anew."""
        text = encode_call_error(message_id, self._dialect.spell(code), description, details or {})
        self._answer(message_id, text, CALL_ERROR)

    def _answer(self, message_id: str, text: str, message_type: int) -> None:
        if self._closed:
            return
        for inbound in self._unanswered:
            if inbound.message_id == message_id:
                break
        else:
            raise NoSuchCall(f"no CALL with the id {message_id!r} waits for an answer")
        self._unanswered.remove(inbound)
        frame = OutboundFrame(text, message_type, message_id, inbound.action)
        if message_type == CALL_RESULT:
            inbound.answer = frame
        else:
            self._forget(inbound)
        self._outgoing.append(frame)

    def _send_error(self, message_id: str, action: str, violation: Violation) -> None:
        spelling = self._dialect.spell(violation.code)
        text = encode_call_error(message_id, spelling, violation.description, {})
        self._outgoing.append(OutboundFrame(text, CALL_ERROR, message_id, action))

    def spelled(self, code: ErrorCode | str) -> str:
        """Return a code as the station gets it in this version."""
        return self._dialect.spell(code)

    # What we ask -------------------------------------------------------------------------------

    def call(self, action: str, payload: Mapping[str, Any], now: float, timeout: float) -> str:
        """Send a CALL, or queue it behind the one in flight, and return its message id.

        It fails unsent when it has waited `timeout`, and unanswered `timeout` after it was sent.
        Raises SessionClosed, CallQueueFull, InvalidPayload.
        """
        if self._closed:
            raise SessionClosed("the connection is closed")
        self._ours.check_room()
        message_id = self._new_id()
        text = encode_call(message_id, action, payload)
        if action not in self._schemas.actions:
            raise InvalidPayload(
                Violation(ErrorCode.NOT_IMPLEMENTED, f"{self.version} has no action {action}")
            )
        # What leaves is checked, not what was given: absent fields are gone, dates are text.
        try:
            leaving = load_json(text)[3]
        except ValueError:
            raise InvalidPayload(_TOO_DEEP) from None
        violation = self._schemas.check_outbound(action, leaving)
        if violation is not None:
            # An empty list that was given and does not leave is empty and not missing.
            given = self._schemas.check_outbound(action, payload)
            if given is not None and given.code is violation.code:
                violation = given
            raise InvalidPayload(violation)
        unlocks = self._unlocked_by.get(action, frozenset())
        requested = payload.get("requestedMessage")
        if requested in unlocks:
            unlocks = frozenset({requested})
        self._ours.queue(
            OurCall(
                message_id, action, text, timeout=timeout, deadline=now + timeout, unlocks=unlocks
            )
        )
        self._send_next(now)
        return message_id

    def _send_next(self, now: float) -> None:
        call = self._ours.take_next(now)
        if call is not None:
            self._unlocked |= call.unlocks
            self._outgoing.append(OutboundFrame(call.text, CALL, call.message_id, call.action))

    def expire(self, now: float) -> list[CallFailed]:
        """End the calls whose time is over; the next of the queue leaves."""
        if self._closed:
            return []
        failed = self._ours.expire(now)
        self._send_next(now)
        return failed

    @property
    def next_deadline(self) -> float | None:
        """When `expire` has something to do at the earliest."""
        return self._ours.next_deadline

    # The connection ----------------------------------------------------------------------------

    def frames_to_send(self) -> list[OutboundFrame]:
        """Hand over what is to be sent, in order, and forget it."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def texts_to_send(self) -> list[str]:
        """Hand over the same where nobody asks what it is."""
        return [frame.text for frame in self.frames_to_send()]

    def close(self) -> list[CallFailed]:
        """End the session with its connection: every open call fails, once."""
        if self._closed:
            return []
        self._closed = True
        failed = self._ours.end()
        self._outgoing.clear()
        self._unanswered.clear()
        self._recent.clear()
        self._older.clear()
        return failed

    @property
    def unanswered_count(self) -> int:
        """CALLs of the station that still wait for our answer."""
        return len(self._unanswered)

    @property
    def queued_count(self) -> int:
        """CALLs of ours that have not left yet."""
        return self._ours.waiting


def _unseal(call: Call) -> Call:
    """Take the message out of its flattened JWS (P4 7.1, 7.2); the signature stays unverified.

    What cannot be read stays as it came, and the schema check says the rest.
    """
    action = call.action.removesuffix(_SIGNED)
    sealed = call.payload.get("payload")
    if not isinstance(sealed, str):
        return Call(call.message_id, action, call.payload)
    try:
        inner = load_json(urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)).decode())
    except ValueError:
        inner = None
    return Call(call.message_id, action, inner if isinstance(inner, dict) else call.payload)
