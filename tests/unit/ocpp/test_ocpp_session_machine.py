"""`OcppSession` under any order of events, and under any text at all.

The model knows what is in flight and what is owed; the session must never disagree.
"""

from __future__ import annotations

import json
from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chargehub.ocpp import (
    CallAnswered,
    CallFailed,
    CallQueueFull,
    CallReceived,
    CallRefused,
    CallRepeated,
    Event,
    Ignored,
    IgnoredReason,
    OcppSession,
    OcppVersion,
    ResultRefused,
    SendReceived,
)

STREAM = "NotifyPeriodicEventStream"
SUPPORTED = frozenset({"Heartbeat", "MeterValues", "DataTransfer", STREAM})
QUEUED_MAX = 4
EVENTS = (
    CallReceived,
    CallRefused,
    CallRepeated,
    SendReceived,
    ResultRefused,
    CallAnswered,
    CallFailed,
    Ignored,
)

VERSIONS = st.sampled_from(list(OcppVersion))
# Few ids, so that they repeat.
MESSAGE_IDS = st.sampled_from(["1", "2", "3"])
STATION_CALLS = st.sampled_from(
    [
        ("Heartbeat", "{}"),
        ("DataTransfer", '{"vendorId":"v"}'),
        ("DataTransfer", '{ "vendorId": "v" }'),
        ("DataTransfer", '{"vendorId":"w"}'),
        ("MeterValues", '{"connectorId":1}'),
        ("Heartbeat", '{"wrong":1}'),
        ("Reset", "{}"),
        ("Nonsense", "{}"),
        (STREAM, "{}"),
    ]
)


def broken_frames() -> st.SearchStrategy[str]:
    """Make text that looks like OCPP, and text that does not."""
    scalars = st.sampled_from(
        [
            "2",
            "3",
            "4",
            "5",
            "6",
            '"NotifyPeriodicEventStream"',
            "-1",
            "1e400",
            "1" + "0" * 30,
            "9" * 400,
            "NaN",
            "null",
            "true",
            '"1"',
            '"ours-1"',
            '"Heartbeat"',
            '"MeterValues"',
            '"MeterValues-Signed"',
            r'"\u0000"',
            r'"\ud800"',
            '"a\0b"',
            "{}",
            "[]",
            r'{"payload":"\udfff"}',
            '{"connectorId":1' + "0" * 25 + "}",
            "[" * 100_000,
            '{"a":' * 70 + "1" + "}" * 70,
        ]
    )
    arrays = st.lists(scalars, max_size=6).map(lambda items: f"[{','.join(items)}]")
    return arrays | scalars | st.text(max_size=30)


STREAMED = '{"id":1,"pending":0,"basetime":"2026-11-23T08:00:00Z","data":[{"t":0,"v":"230"}]}'


class SessionMachine(RuleBasedStateMachine):
    """One connection, its host and its station."""

    def __init__(self) -> None:
        super().__init__()
        self.connect()

    def connect(self) -> None:
        self.session: OcppSession | None = None
        self.version = OcppVersion.V16
        self.now = 0.0
        self.ours: list[str] = []
        self.on_the_wire: str | None = None
        self.ended: Counter[str] = Counter()
        self.owed: deque[tuple[str, str]] = deque()
        self.answers_due: Counter[str] = Counter()
        self.answers_sent: Counter[str] = Counter()
        self.refusals_due: Counter[str] = Counter()
        self.refusals_sent: Counter[str] = Counter()
        self.refusable: dict[str, str] = {}
        """Answers of ours that the station may still refuse, and what they answered."""

    def open_session(self) -> OcppSession:
        if self.session is None:
            self.session = OcppSession(
                self.version,
                supported=SUPPORTED,
                tolerant=frozenset({"MeterValues"}),
                queued_max=QUEUED_MAX,
                new_id=lambda: f"ours-{len(self.ours) + 1}",
            )
        return self.session

    def deliver(self) -> None:
        """Read what the session sends, as the station would."""
        for text in self.open_session().texts_to_send():
            kind, message_id, *_ = json.loads(text)
            if kind == 2:
                assert self.on_the_wire is None, "two calls of ours in flight"
                self.on_the_wire = message_id
            elif kind == 5:
                self.refusals_sent[message_id] += 1
            else:
                self.answers_sent[message_id] += 1

    def receive(self, text: str) -> Event:
        event = self.open_session().receive(text, self.now)
        if isinstance(event, CallAnswered | CallFailed):
            assert event.message_id == self.on_the_wire
            self.end(event.message_id)
        return event

    def end(self, message_id: str) -> None:
        self.ended[message_id] += 1
        if self.on_the_wire == message_id:
            self.on_the_wire = None

    @precondition(lambda self: self.session is None)
    @rule(version=VERSIONS)
    def speak(self, version: OcppVersion) -> None:
        self.version = version

    @rule(timeout=st.sampled_from([1.0, 10.0, 30.0]))
    def host_calls(self, timeout: float) -> None:
        session = self.open_session()
        waiting = len(self.ours) - sum(self.ended.values()) - (self.on_the_wire is not None)
        if waiting >= QUEUED_MAX:
            with pytest.raises(CallQueueFull):
                session.call("ClearCache", {}, self.now, timeout)
            return
        self.ours.append(session.call("ClearCache", {}, self.now, timeout))

    @rule(message_id=MESSAGE_IDS, call=STATION_CALLS)
    def station_calls(self, message_id: str, call: tuple[str, str]) -> None:
        action, payload = call
        event = self.receive(f'[2,"{message_id}","{action}",{payload}]')
        match event:
            case CallReceived():
                assert action in SUPPORTED - {STREAM}
                self.owed.append((message_id, action))
                self.refusable.pop(message_id, None)
            case CallRefused():
                self.answers_due[message_id] += 1
            case CallRepeated(answered=True):
                self.answers_due[message_id] += 1
            case CallRepeated(answered=False):
                assert message_id in {owed for owed, _ in self.owed}
            case _:
                raise AssertionError(event)

    @precondition(lambda self: self.owed)
    @rule(error=st.booleans())
    def host_answers_the_oldest(self, *, error: bool) -> None:
        message_id, action = self.owed.popleft()
        # The newest CALL of an id is the one that is remembered.
        remembered = message_id not in {owed for owed, _ in self.owed}
        if error:
            self.open_session().reply_error(message_id, "InternalError")
        else:
            self.open_session().reply(message_id, {})
            if remembered:
                self.refusable[message_id] = action
        self.answers_due[message_id] += 1

    @rule(message_id=MESSAGE_IDS)
    def station_refuses_an_answer(self, message_id: str) -> None:
        event = self.receive(f'[5,"{message_id}","FormatViolation","what is that?",{{}}]')
        if self.version is not OcppVersion.V21:
            assert isinstance(event, Ignored)
            if self.version is OcppVersion.V201:
                self.answers_due[message_id] += 1
            return
        action = self.refusable.pop(message_id, None)
        if action is None:
            assert event == Ignored(IgnoredReason.UNMATCHED_ANSWER, message_id=message_id)
        else:
            assert isinstance(event, ResultRefused)
            assert (event.message_id, event.action) == (message_id, action)

    @rule(
        message_id=MESSAGE_IDS,
        action=st.sampled_from([STREAM, "Heartbeat", "Nonsense"]),
        payload=st.sampled_from([STREAMED, "{}", "null", "7"]),
    )
    def station_sends(self, message_id: str, action: str, payload: str) -> None:
        event = self.receive(f'[6,"{message_id}","{action}",{payload}]')
        if self.version is OcppVersion.V201:
            self.answers_due[message_id] += 1
        if self.version is not OcppVersion.V21 or action != STREAM or payload == "7":
            assert isinstance(event, Ignored)
        else:
            assert isinstance(event, SendReceived)
            assert event.valid == (payload == STREAMED)

    @precondition(lambda self: self.on_the_wire is not None)
    @rule(
        answer=st.sampled_from(
            [
                '[3,"ID",{"status":"Accepted"}]',
                '[3,"ID",{"status":1}]',
                '[3,"ID"]',
                '[4,"ID","GenericError","",{}]',
                '[4,"ID"]',
            ]
        )
    )
    def station_answers(self, answer: str) -> None:
        message_id = str(self.on_the_wire)
        event = self.receive(answer.replace("ID", message_id))
        assert isinstance(event, CallAnswered | CallFailed)
        invalid = isinstance(event, CallAnswered) and not event.valid
        if invalid and self.version is OcppVersion.V21:
            self.refusals_due[message_id] += 1

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def station_answers_late(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.ended)))
        assert isinstance(self.receive(f'[3,"{message_id}",{{"status":"Accepted"}}]'), Ignored)

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        session = self.open_session()
        deadline = session.next_deadline
        failed = session.expire(self.now)
        assert bool(failed) == (deadline is not None and deadline <= self.now)
        for failure in failed:
            assert failure.sent == (failure.message_id == self.on_the_wire)
            self.end(failure.message_id)

    @rule()
    def connection_closes(self) -> None:
        session = self.open_session()
        self.deliver()
        for failure in session.close():
            assert failure.sent == (failure.message_id == self.on_the_wire)
            self.end(failure.message_id)
        assert all(self.ended[message_id] == 1 for message_id in self.ours)
        self.connect()

    @invariant()
    def every_call_of_ours_ends_once_at_most(self) -> None:
        self.deliver()
        assert all(times == 1 for times in self.ended.values())

    @invariant()
    def every_call_of_theirs_is_answered_once(self) -> None:
        assert self.answers_sent == self.answers_due
        assert self.refusals_sent == self.refusals_due
        assert self.open_session().unanswered_count == len(self.owed)

    @invariant()
    def the_line_is_never_idle_while_calls_wait(self) -> None:
        session = self.open_session()
        assert self.on_the_wire is not None or session.queued_count == 0
        assert (session.next_deadline is None) == (self.on_the_wire is None)


def test_any_order_of_events() -> None:
    steps = settings(derandomize=True, max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(SessionMachine, settings=steps)


@pytest.mark.slow
def test_any_order_of_events_at_random_and_length() -> None:
    steps = settings(max_examples=1000, stateful_step_count=60, deadline=None)
    run_state_machine_as_test(SessionMachine, settings=steps)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(VERSIONS, st.lists(broken_frames(), max_size=5), st.booleans())
def test_no_text_breaks_a_session(
    version: OcppVersion,
    texts: list[str],
    accepted: bool,
) -> None:
    session = OcppSession(
        version,
        supported=SUPPORTED,
        tolerant=frozenset({"MeterValues"}),
        accepted=accepted,
        new_id=lambda: "ours-1",
    )
    session.call("ClearCache", {}, 0.0, 30.0)
    for text in texts:
        event = session.receive(text, 0.0)
        assert isinstance(event, EVENTS)
        if isinstance(event, CallReceived):
            session.reply(event.message_id, {})
    sent = [json.loads(text) for text in session.texts_to_send()]
    # Of all that was said, only CALLs got an answer, and the connection still works.
    types = {2, 3, 4, 5} if version is OcppVersion.V21 else {2, 3, 4}
    assert {message[0] for message in sent} <= types
    session.accepted = True
    alive = session.receive('[2,"alive","Heartbeat",{}]', 0.0)
    assert isinstance(alive, CallReceived)
