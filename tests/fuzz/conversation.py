"""One station's conversation with the hub: frames at once, perhaps an answer to a call of ours.

A script is drawn, run and judged; one that fails is run again with fewer and fewer frames.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import orjson

from chargehub.gateway.connections import Connections
from chargehub.stations.commands import (
    ChangeCredential,
    Command,
    CommandAnswer,
    GetCompositeSchedule,
    GetVariables,
    InvalidCommand,
    RawCommand,
    ReportInventory,
    StationAnswerError,
    UnsupportedByStation,
    VariableName,
)
from tests.fuzz.frames import Author, Sent, encoded
from tests.fuzz.oracle import CODES, NOTHING, REFUSES_RESULTS, Exchange, answered, judge
from tests.fuzz.payloads import (
    Fault,
    all_actions,
    chance,
    draw,
    request_schema,
    response_schema,
    spoil,
)
from tests.fuzz.wire import Wire, on_the_wire
from tests.hub_fixtures import BOOTS, DEADLINE_S

FRAMES_OF_A_SCRIPT = 24
_sentinels = itertools.count(1)


class Place(Protocol):
    """Where conversations take place."""

    @property
    def connections(self) -> Connections:
        """By which the hub asks a station."""

    async def connect(self, version: str, *, accepted: bool = True) -> tuple[int, Wire]:
        """Let a new station in; return its id and its end of the socket."""


@dataclass(frozen=True)
class Script:
    version: str
    accepted: bool
    frames: tuple[Sent, ...]
    asked: int | None
    """What is asked of the station and what it answers is drawn from this; None: nothing."""

    @classmethod
    def drawn(
        cls, rng: Random, version: str, *, accepted: bool = True, count: int = FRAMES_OF_A_SCRIPT
    ) -> Script:
        frames = Author(rng, version, accepted=accepted).frames(count)
        asked = rng.getrandbits(32) if accepted and chance(rng, 0.5) else None
        return cls(version, accepted, tuple(frames), asked)

    def __str__(self) -> str:
        lines = [f"{sent.data[:400]!r} asks for {sent.expected}" for sent in self.frames]
        return f"{self.version}, accepted {self.accepted}, asked {self.asked}\n" + "\n".join(lines)


@dataclass
class Answer:
    """What the station says to a call of ours, and what that must come to."""

    message_id: str
    text: bytes
    error_codes: frozenset[str] = frozenset()
    """Of the CALLRESULTERROR that it gets."""
    ends_call: bool = True


@dataclass
class Line:
    """A station's socket that many conversations share; a new one after it has ended."""

    place: Place
    version: str
    accepted: bool = True
    wire: Wire | None = None
    station_id: int = 0

    async def converse(self, script: Script) -> list[str]:
        """Run a script and return what is wrong with what came back."""
        if self.wire is None or self.wire.ended.done():
            self.station_id, self.wire = await self.place.connect(
                self.version, accepted=self.accepted
            )
        return await _Conversation(self.place, self.wire, self.station_id, script).held()

    async def hang_up(self) -> None:
        if self.wire is not None:
            self.wire.abort()
            await self.wire.ended


@dataclass
class _Conversation:
    place: Place
    wire: Wire
    station_id: int
    script: Script
    complaints: list[str] = field(default_factory=list)

    async def held(self) -> list[str]:
        command, answer = await self._be_asked()
        frames = [*self.script.frames, self._last()]
        sent = [on_the_wire(one) for one in frames]
        if answer is not None:
            from_hub = self.script.asked or 0
            sent.insert(from_hub % len(sent), on_the_wire(_unanswered(answer.text)))
        self.wire.write(b"".join(sent))
        sentinel = f'"{frames[-1].expected.message_id}"'
        heard = self.wire.heard
        await self.wire.until(lambda: bool(heard) and sentinel in heard[-1][:40])
        if self.wire.ended.done():
            return [f"the socket was closed: {self.wire.close_code}"]
        texts, heard[:] = list(heard), []
        texts = self._without_result_errors(texts, answer)
        asked_for = [(one.data, one.expected) for one in frames]
        self.complaints += judge(Exchange(self.script.version, asked_for, texts))
        if command is not None:
            await self._ended(command, answer)
        self._answer_others()
        return self.complaints

    def _last(self) -> Sent:
        """A call that is answered after all before it, on any session."""
        action = "Heartbeat" if self.script.accepted else "BootNotification"
        payload = {} if self.script.accepted else BOOTS[self.script.version]
        message_id = f"last-{next(_sentinels)}"
        expected = answered(message_id, self.script.version, action)
        return Sent(json.dumps([2, message_id, action, payload]).encode(), expected)

    # Our calls -----------------------------------------------------------------------------------

    async def _be_asked(self) -> tuple[asyncio.Task[CommandAnswer] | None, Answer | None]:
        if self.script.asked is None:
            return None, None
        rng = Random(self.script.asked)
        self._answer_others()
        command = asyncio.create_task(
            self.place.connections.send(self.station_id, _command(rng, self.script.version))
        )
        command.add_done_callback(lambda _: self.wire.data_received(b""))
        await self.wire.until(lambda: bool(self.wire.asked) or command.done())
        if command.done():
            await self._ended(command, None)
            return None, None
        message_id, action = self.wire.asked.pop()
        return command, _answer(rng, self.script.version, message_id, action)

    async def _ended(self, command: asyncio.Task[CommandAnswer], answer: Answer | None) -> None:
        """Every call ends once, with an answer or as one of these facts (invariant 3)."""
        if answer is not None and not answer.ends_call:
            if command.done():
                self.complaints.append(f"{answer.text[:200]!r} ended our call")
            self._refuse(answer.message_id)
        while not command.done() and not self.wire.ended.done():
            # The hub may ask by itself, before our call or behind it: one is in flight at a time.
            await self.wire.until(lambda: bool(self.wire.asked) or command.done())
            self._answer_others()
        async with asyncio.timeout(DEADLINE_S):
            (outcome,) = await asyncio.gather(command, return_exceptions=True)
        fine = CommandAnswer, StationAnswerError, InvalidCommand, UnsupportedByStation
        if not isinstance(outcome, fine):
            self.complaints.append(f"our call ended with {outcome!r}")

    def _without_result_errors(self, texts: list[str], answer: Answer | None) -> list[str]:
        """Take out the CALLRESULTERRORs; there must be one where it was deserved."""
        errors = [orjson.loads(text) for text in texts if text.startswith("[5,")]
        codes = answer.error_codes if answer is not None else frozenset[str]()
        if len(errors) != bool(codes) or any(error[2] not in codes for error in errors):
            said = answer.text[:300] if answer is not None else b""
            self.complaints.append(f"{errors} where {set(codes)} was due to {said!r}")
        return [text for text in texts if not text.startswith("[5,")]

    def _answer_others(self) -> None:
        """Refuse what the hub asks by itself."""
        for message_id, _ in self.wire.asked:
            self._refuse(message_id)
        self.wire.asked.clear()

    def _refuse(self, message_id: str) -> None:
        refusal = orjson.dumps([4, message_id, "NotSupported", "", {}])
        self.wire.write(on_the_wire(_unanswered(refusal)))


def _unanswered(data: bytes) -> Sent:
    return Sent(data, NOTHING)


def _command(rng: Random, version: str) -> Command:
    typed: tuple[Callable[[], Command], ...] = (
        lambda: GetCompositeSchedule(1, 600),
        lambda: ReportInventory(1),
        lambda: ChangeCredential("ab" * 20),
        lambda: GetVariables((VariableName("OCPPCommCtrlr", "HeartbeatInterval"),)),
    )
    if chance(rng, 0.3):
        return rng.choice(typed)()
    action = rng.choice(all_actions(version))
    return RawCommand(action, draw(rng, request_schema(version, action)).payload)


def _answer(rng: Random, version: str, message_id: str, action: str) -> Answer:
    """Draw what a station says to our CALL: right, wrong, an error, or no answer at all."""
    drawn = draw(rng, response_schema(version, action))
    kind = rng.randrange(10)
    if kind < 3:
        return Answer(message_id, encoded([3, message_id, drawn.payload], rng))
    if kind < 7:
        faults = [spoil(rng, drawn)]
        while chance(rng, 0.3):
            faults.append(spoil(rng, drawn))
        return _invalid(version, message_id, encoded([3, message_id, drawn.payload], rng), *faults)
    if kind == 7:
        frame = [3, message_id, *rng.choice(([None], [[]], ["x"], [7], [True]))]
        return _invalid(version, message_id, encoded(frame, rng), Fault.TYPE, Fault.FORMATION)
    if kind == 8:
        rest: Any = rng.choice(
            (
                ["NotImplemented", "", {}],
                ["OccurrenceConstraintViolation", "line\nbreak", "details"],
                ["x" * 5_000, None, None],
                [],
                [7, {}, [], 9],
                ["\ud800", "\0", {"a": "\0"}],
            )
        )
        return Answer(message_id, json.dumps([4, message_id, *rest]).encode())
    text = encoded([3, message_id + "x", {}], rng)
    return Answer(message_id, text, ends_call=False)


def _invalid(version: str, message_id: str, text: bytes, *faults: Fault) -> Answer:
    if not REFUSES_RESULTS[version]:
        return Answer(message_id, text)
    return Answer(message_id, text, frozenset(CODES[version][fault] for fault in faults))


# --- Shrinking ------------------------------------------------------------------------------------

Try = Callable[[Script], Awaitable[list[str]]]


async def shrunk(script: Script, attempt: Try) -> Script:
    """Return the script with every frame left out that it fails without."""
    smallest = script
    step = max(1, len(script.frames) // 2)
    while True:
        at = 0
        while at < len(smallest.frames):
            frames = smallest.frames[:at] + smallest.frames[at + step :]
            fewer = Script(smallest.version, smallest.accepted, frames, smallest.asked)
            if await attempt(fewer):
                smallest = fewer
            else:
                at += step
        if step == 1:
            return smallest
        step //= 2


async def complain(place: Place, script: Script, name: str, complaints: list[str]) -> str:
    """Tell of a script that failed, shrunk on sockets of its own."""

    async def attempt(fewer: Script) -> list[str]:
        line = Line(place, fewer.version, fewer.accepted)
        try:
            return await line.converse(fewer)
        finally:
            await line.hang_up()

    again = await attempt(script)
    smallest = await shrunk(script, attempt) if again else script
    return "\n".join((name, *complaints[:10], "smallest script that fails:", str(smallest)))
