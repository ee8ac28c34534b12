"""Frames as stations may send them: valid, spoilt and hostile ones, each with what it asks for.

One generator for every driver: what is drawn depends on the `Random` and the version alone.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from chargehub.gateway.translators import TRANSLATORS
from chargehub.ocpp import OcppVersion
from tests.fuzz.oracle import (
    NOTHING,
    RESULT,
    Expected,
    answered,
    before_acceptance,
    refused,
    unknown_type,
    unreadable,
)
from tests.fuzz.payloads import (
    SENDS,
    Drawn,
    Fault,
    Place,
    all_actions,
    chance,
    draw,
    request_schema,
    spoil,
)
from tests.hub_fixtures import V16, V21, VERSIONS

TEXT, BINARY = 1, 2


class Sent(NamedTuple):
    data: bytes
    expected: Expected
    opcode: int = TEXT
    pieces: int = 1
    """Fragments on the wire."""


SERVED = {
    version: tuple(
        action
        for action in sorted(TRANSLATORS[OcppVersion(version)].inbound)
        if action not in SENDS[version]
    )
    for version in VERSIONS
}
"""What the hub works on is what it can; everything else about its answers is the oracle's."""
UNSERVED = {
    version: tuple(sorted(set(all_actions(version)) - set(SERVED[version]))) for version in VERSIONS
}
BUSY = {
    version: tuple(
        action
        for action in ("StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues")
        if action in SERVED[version]
    )
    for version in VERSIONS
}

FRAME_MAX_BYTES = 200_000
"""Longer ones end the socket with 1009, which is `test_fuzz_listener`'s to show."""
ID_MAX = 255
"""What is echoed; the standard says 36."""
IDS = ("衢州", "x" * 30, "x" * 200, "x" * 255, 'a"b\\c', " ", "/-2", "\U0001f50c" * 60)
BAD_IDS: tuple[Any, ...] = ("", "x" * 256, "x" * 5_000, 7, None, True, 1.5, [], {}, ["id"])
STRANGE_ACTIONS = (
    "",
    "heartbeat",
    "Heartbeat ",
    "MakeCoffee",
    "CustomOperation",
    "衢州",
    "x" * 1_000,
    "HeartbeatRequest",
    "__class__",
    "../../BootNotification",
    "MakeCoffee-Signed",
)
NO_FRAMES = (
    "",
    " ",
    "[",
    "]",
    "{}",
    "[]",
    "[[]]",
    "null",
    "2",
    '"2"',
    "true",
    "not JSON",
    "[2.0]",
    '["2","id","Heartbeat",{}]',
    '[null,"id","Heartbeat",{}]',
    '[true,"id","Heartbeat",{}]',
    '[2.0,"id","Heartbeat",{}]',
    '[100000000000000000000000,"id","Heartbeat",{}]',
    '[2,"id","Heartbeat",{}',
    '[2,"id","Heartbeat",{}]]',
    '[2,"id","Heartbeat",{}][2,"id","Heartbeat",{}]',
    "[2,'id','Heartbeat',{}]",
    '[2,"id","Heartbeat",{},]',
    '[2,"id" "Heartbeat",{}]',
    "[2]",
    "GET / HTTP/1.1\r\n\r\n",
    "\x00",
    "\x16\x03\x01",
    "[" * 100_000,
    '[2,"deep","DataTransfer",' + '{"data":' * 10_000,
)
ANSWERS_TO_NOTHING = (
    '[3,"nobody-asked",{}]',
    '[3,"nobody-asked",{"status":"Accepted"}]',
    '[3,"nobody-asked"]',
    '[3,"nobody-asked",null,1,2]',
    "[3]",
    "[3,7,{}]",
    '[3,"",[]]',
    '[4,"nobody-asked","InternalError","",{}]',
    '[4,"nobody-asked"]',
    "[4]",
    "[4,null,null,null,null]",
    '[4,"-1","RpcFrameworkError","",{}]',
)
OTHER_TYPES = ("0", "1", "7", "9", "-1", "99", "2147483648")


class Author:
    """Writes frames of one version from one source of chance."""

    def __init__(self, rng: Random, version: str, *, accepted: bool = True) -> None:
        self.rng = rng
        self.version = version
        self.accepted = accepted
        # Ids of one connection are unique over its conversations, or they would be retries.
        self._prefix = f"{rng.getrandbits(40):x}-"
        self._count = 0
        self._last: list[Sent] = []

    def frames(self, count: int) -> list[Sent]:
        return [self.frame() for _ in range(count)]

    def frame(self) -> Sent:
        kind = self.rng.random()
        if kind < 0.35:
            sent = self._valid()
        elif kind < 0.70:
            sent = self._spoilt()
        else:
            sent = self.rng.choice(_HOSTILE)(self)
        if len(sent.data) > FRAME_MAX_BYTES:
            sent = self._call("Heartbeat", {})
        if not self.accepted:
            sent = sent._replace(expected=before_acceptance(sent.expected, self.version))
        if chance(self.rng, 0.02):
            sent = sent._replace(pieces=self.rng.randint(2, 4))
        self._last = [sent, *self._last[:3]]
        return sent

    # Valid and spoilt --------------------------------------------------------------------------

    def _call(self, action: str, payload: Any, *faults: Fault, message_id: str = "") -> Sent:
        message_id = message_id or self._id()
        expected = answered(message_id, self.version, action, *faults)
        return Sent(encoded([2, message_id, action, payload], self.rng), expected)

    def _id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"

    def _action(self) -> str:
        served = BUSY if chance(self.rng, 0.3) else SERVED
        return self.rng.choice(served[self.version])

    def _drawn(self, action: str = "") -> tuple[str, Drawn]:
        action = action or self._action()
        return action, draw(self.rng, request_schema(self.version, action))

    def _valid(self) -> Sent:
        action, drawn = self._drawn()
        return self._call(action, drawn.payload)

    def _spoilt(self) -> Sent:
        action, drawn = self._drawn()
        faults = [spoil(self.rng, drawn)]
        while chance(self.rng, 0.25):
            faults.append(spoil(self.rng, drawn))
        return self._call(action, drawn.payload, *faults)

    # Hostile -----------------------------------------------------------------------------------

    def strange_action(self) -> Sent:
        message_id = self._id()
        others = [name for other in VERSIONS for name in SERVED[other]]
        foreign = [name for name in others if name not in all_actions(self.version)]
        action = self.rng.choice((*STRANGE_ACTIONS, *foreign))
        expected = refused(message_id, self.version, Fault.UNKNOWN_ACTION)
        return Sent(encoded([2, message_id, action, {}], self.rng), expected)

    def unserved_action(self) -> Sent:
        message_id, action = self._id(), self.rng.choice(UNSERVED[self.version])
        payload = draw(self.rng, request_schema(self.version, action)).payload
        expected = refused(message_id, self.version, Fault.UNSERVED_ACTION)
        return Sent(encoded([2, message_id, action, payload], self.rng), expected)

    def wrong_length(self) -> Sent:
        message_id = self._id()
        rest = self.rng.choice(([], ["Heartbeat"], ["Heartbeat", {}, {}], ["Heartbeat", {}, 1, 2]))
        expected = refused(message_id, self.version, Fault.FRAMEWORK)
        return Sent(encoded([2, message_id, *rest], self.rng), expected)

    def wrong_action(self) -> Sent:
        message_id = self._id()
        action: Any = self.rng.choice((None, 7, True, [], {}, ["Heartbeat"]))
        expected = refused(message_id, self.version, Fault.FRAMEWORK)
        return Sent(encoded([2, message_id, action, {}], self.rng), expected)

    def no_object(self) -> Sent:
        message_id = self._id()
        payload: Any = self.rng.choice(([], [{}], "x", 7, True, 1.5))
        expected = refused(message_id, self.version, Fault.FORMATION)
        return Sent(encoded([2, message_id, self._action(), payload], self.rng), expected)

    def null_payload(self) -> Sent:
        """P4 4.1.5 allows null for "no payload"."""
        action = self._action()
        missing = request_schema(self.version, action).get("required")
        return self._call(action, None, *((Fault.OCCURRENCE,) if missing else ()))

    def strange_id(self) -> Sent:
        action, drawn = self._drawn("Heartbeat")
        message_id = (self._id() + self.rng.choice(IDS))[:ID_MAX]
        return self._call(action, drawn.payload, message_id=message_id)

    def bad_id(self) -> Sent:
        text = encoded([2, self.rng.choice(BAD_IDS), "Heartbeat", {}], self.rng)
        return Sent(text, unreadable(self.version))

    def unclean_id(self) -> Sent:
        """Firmware pads its buffers with NUL: the answer has exactly the id all the same."""
        message_id = self._id() + self.rng.choice(("\0", "\0\0", "\0x"))
        text = encoded([2, message_id, "Heartbeat", {}], self.rng)
        return Sent(text, answered(message_id, self.version, "Heartbeat"))

    def no_frame(self) -> Sent:
        return Sent(self.rng.choice(NO_FRAMES).encode(), unreadable(self.version))

    def cut_off(self) -> Sent:
        text = self._valid().data
        return Sent(whole(text[: self.rng.randrange(len(text))]), unreadable(self.version))

    def binary(self) -> Sent:
        data = self.rng.choice((self._valid().data, b"", b"\xff\xfe\x00", self.rng.randbytes(40)))
        return Sent(data, unreadable(self.version), BINARY)

    def answer_to_nothing(self) -> Sent:
        return Sent(self.rng.choice(ANSWERS_TO_NOTHING).encode(), NOTHING)

    def other_type(self) -> Sent:
        kind, message_id = self.rng.choice(OTHER_TYPES), self._id()
        rest = self.rng.choice((f',"{message_id}","Heartbeat",{{}}', f',"{message_id}"', ",7", ""))
        known = message_id if message_id in rest else None
        return Sent(f"[{kind}{rest}]".encode(), unknown_type(self.version, known))

    def one_way(self) -> Sent:
        """A SEND, good or bad: 2.1 answers none (statement 30), the others do not know it."""
        message_id = self._id()
        drawn = draw(self.rng, request_schema(V21, "NotifyPeriodicEventStream"))
        if chance(self.rng, 0.5):
            spoil(self.rng, drawn)
        action = self.rng.choice(("NotifyPeriodicEventStream",) * 3 + ("Heartbeat", "", 7, None))
        frame = [6, message_id, action, drawn.payload]
        frame = frame[: self.rng.choice((4, 4, 4, 3, 2))]
        expected = NOTHING if self.version == V21 else unknown_type(self.version, message_id)
        return Sent(encoded(frame, self.rng), expected)

    def result_error(self) -> Sent:
        """A CALLRESULTERROR for an answer of ours that was heard, or for none."""
        known = [s.expected for s in self._last if s.expected.words == {RESULT}]
        told = self.version == V21 and known and chance(self.rng, 0.5)
        message_id = known[0].message_id if told else self._id()
        rest = self.rng.choice(
            (
                ["TypeConstraintViolation", "no", {}],
                [],
                [None, None, "x"],
                ["x" * 999, "", {"a": []}],
            )
        )
        if told:
            # What it answers may be repeated from then on, with an answer of its own.
            self._last = []
        expected = NOTHING if self.version == V21 else unknown_type(self.version, message_id)
        return Sent(encoded([5, message_id, *rest], self.rng), expected)

    def repeated(self) -> Sent:
        """The same text again, or the same id with something else in it."""
        if not self._last:
            return self._valid()
        earlier = self.rng.choice(self._last)
        if earlier.expected.message_id is None or chance(self.rng, 0.6):
            return earlier
        if earlier.expected.message_id == "-1":
            return earlier
        action, drawn = self._drawn()
        return self._call(action, drawn.payload, message_id=earlier.expected.message_id)

    def signed(self) -> Sent:
        """P4 7.2: `X-Signed` is X (statement 31); 1.6 has no such thing."""
        message_id = self._id()
        action, drawn = self._drawn()
        faults = [spoil(self.rng, drawn)] if chance(self.rng, 0.4) else []
        sealed = urlsafe_b64encode(json.dumps(drawn.payload).encode()).decode().rstrip("=")
        payload = {"payload": sealed, "protected": "eyJ9", "signature": "AAAA"}
        expected = answered(message_id, self.version, action, *faults)
        if self.version == V16:
            expected = refused(message_id, self.version, Fault.UNKNOWN_ACTION)
        return Sent(encoded([2, message_id, f"{action}-Signed", payload], self.rng), expected)

    def sealed_badly(self) -> Sent:
        message_id, action = self._id(), self._action()
        payload = self.rng.choice(({"payload": "%%%"}, {"payload": 7}, {}, {"payload": "W10"}))
        every = (Fault.FORMATION, Fault.OCCURRENCE, Fault.TYPE)
        expected = answered(message_id, self.version, action, *every)
        expected = expected._replace(words=expected.words | {RESULT})
        if self.version == V16:
            expected = refused(message_id, self.version, Fault.UNKNOWN_ACTION)
        return Sent(encoded([2, message_id, f"{action}-Signed", payload], self.rng), expected)

    # Texts that are edited -----------------------------------------------------------------------

    def odd_text(self) -> Sent:
        """Put into a free string what text columns and UTF-8 do not take."""
        odd = ("\\u0000", "\\ud800", "\\udfff\\ud800", "\\u202e", "\x01\x1f", "\x7f", "\\ufeff")
        return self._edited(_is_free_text, self.rng.choice(odd))

    def huge_number(self) -> Sent:
        """Put in what no column holds. Whether it is out of range is the reader's judgement."""
        number = self.rng.choice(
            ("9223372036854775808", "18446744073709551616", "1" + "0" * 400, "-1e308", "1e-320")
        )
        faults = (Fault.TYPE, Fault.PROPERTY)
        return self._edited(_is_number, number, *faults, may_pass=True)

    def no_number(self) -> Sent:
        number = self.rng.choice(("NaN", "Infinity", "-Infinity", "1e400"))
        return self._edited(_is_number, number, Fault.TYPE)

    def _edited(
        self,
        wanted: Callable[[Place], bool],
        text: str,
        *faults: Fault,
        may_pass: bool = False,
    ) -> Sent:
        """Write a valid payload with the text in place of one value."""
        action, drawn = self._drawn()
        found = [place for place in drawn.places if wanted(place)]
        if not found:
            return self._call(action, drawn.payload)
        place = self.rng.choice(found)
        place.container[place.key] = "@HERE@"
        message_id = self._id()
        data = encoded([2, message_id, action, drawn.payload], self.rng)
        replacement = f'"{text}"' if not faults else text
        expected = answered(message_id, self.version, action, *faults)
        if may_pass:
            expected = expected._replace(words=expected.words | {RESULT})
        return Sent(data.replace(b'"@HERE@"', replacement.encode()), expected)

    def deep(self) -> Sent:
        """Deeper than any message of the standard: cut there, and answered as it is then."""
        depth = self.rng.choice((70, 300, 900))
        nested = self.rng.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth))
        if chance(self.rng, 0.5):
            return self._edited(_is_text, nested, Fault.TYPE)
        message_id = self._id()
        text = f'[2,"{message_id}","Heartbeat",{{"vendorX":{nested}}}]'
        return Sent(text.encode(), refused(message_id, self.version, Fault.FORMATION))

    def doubled_key(self) -> Sent:
        """A key twice: the last one counts, as with every common reader."""
        sent = self._valid()
        head, brace, rest = sent.data.decode().partition("{")
        if rest.lstrip().startswith("}"):
            return sent
        key = rest[: rest.index(":")].strip()
        return sent._replace(data=f"{head}{brace}{key}:[[7]],{rest}".encode())

    def dressed_up(self) -> Sent:
        """The same JSON in other clothes: a byte order mark, blanks, line breaks, escapes."""
        sent = self._valid()
        text = sent.data.decode()
        match self.rng.randrange(4):
            case 0:
                text = "\ufeff" + text
            case 1:
                text = f" \r\n\t{text}\n"
            case 2:
                text = json.dumps(json.loads(text), indent=2)
            case _:
                text = json.dumps(json.loads(text), ensure_ascii=True).replace(
                    "Heart", "\\u0048eart"
                )
        return sent._replace(data=text.encode())

    def long_one(self) -> Sent:
        """As long as a frame may get: 100 kB of vendor data, which 1.6 and 2.x do not bound."""
        if chance(self.rng, 0.8):
            return self._valid()
        payload = {"vendorId": "made-up", "data": self.rng.choice(("x", "衢")) * 30_000}
        return self._call("DataTransfer", payload)


def _is_free_text(place: Place) -> bool:
    schema = place.schema
    free = schema.get("type") == "string" and "enum" not in schema and "format" not in schema
    return free and schema.get("maxLength", 99) > 3


def _is_text(place: Place) -> bool:
    return place.schema.get("type") == "string"


def _is_number(place: Place) -> bool:
    return place.schema.get("type") in {"integer", "number"}


_HOSTILE: tuple[Callable[[Author], Sent], ...] = (
    Author.strange_action,
    Author.unserved_action,
    Author.wrong_length,
    Author.wrong_action,
    Author.no_object,
    Author.null_payload,
    Author.strange_id,
    Author.bad_id,
    Author.unclean_id,
    Author.no_frame,
    Author.cut_off,
    Author.binary,
    Author.answer_to_nothing,
    Author.other_type,
    Author.one_way,
    Author.result_error,
    Author.repeated,
    Author.repeated,
    Author.signed,
    Author.sealed_badly,
    Author.odd_text,
    Author.odd_text,
    Author.huge_number,
    Author.no_number,
    Author.deep,
    Author.doubled_key,
    Author.dressed_up,
    Author.long_one,
)


def encoded(frame: Any, rng: Random) -> bytes:
    compact = (",", ":") if chance(rng, 0.5) else None
    return json.dumps(frame, ensure_ascii=chance(rng, 0.5), separators=compact).encode()


def whole(data: bytes) -> bytes:
    """Return it without a character that was cut in two: text frames are UTF-8."""
    return data.decode(errors="ignore").encode()


def pieces_of(sent: Sent) -> Iterator[bytes]:
    """Cut it for the wire; characters may be cut too (RFC 6455 5.6)."""
    size = max(1, -(-len(sent.data) // sent.pieces))
    cuts = range(0, max(len(sent.data), 1), size)
    for cut in cuts:
        yield sent.data[cut : cut + size]
